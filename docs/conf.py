"""How Sphinx builds the site: `make docs`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from rims_rl.version import __version__

DOCS = Path(__file__).parent
REPOSITORY = DOCS.parent
#: Pages whose text stands elsewhere in the repository.
ELSEWHERE = {
    "learning": REPOSITORY / "results/learning.md",
    "speed": REPOSITORY / "benchmarks/README.md",
    "changelog": REPOSITORY / "CHANGELOG.md",
    "contributing": REPOSITORY / "CONTRIBUTING.md",
}
_LINK = re.compile(
    r"(?P<text>!?\[[^\]]*\])\((?!https?:|mailto:|#)(?P<path>[^)#\s]+)(?P<place>[^)\s]*)\)"
)

project = "rims_rl"
author = "The rims_rl developers"
project_copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
# In docstrings `name` is a link where the site has the name, and code elsewhere.
default_role = "py:obj"
highlight_language = "none"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
napoleon_use_ivar = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"rims_rl {__version__}"
html_show_sourcelink = html_copy_source = False


def _read_page(app: Any, page: str, source: list[str]) -> None:
    """Takes the text of a page from where it stands, and makes its links fit the site."""
    folder = (DOCS / page).parent
    if page in ELSEWHERE:
        app.env.note_dependency(str(ELSEWHERE[page]))
        source[0] = ELSEWHERE[page].read_text(encoding="utf-8")
        folder = ELSEWHERE[page].parent
    here = (DOCS / page).parent

    def fitting(link: re.Match[str]) -> str:
        target = (folder / link["path"]).resolve()
        if target.is_dir():
            return link["text"].strip("![]")  # a site has no folders to show
        for name, file in ELSEWHERE.items():
            if target == file:
                target = DOCS / f"{name}.md"
        return f"{link['text']}({os.path.relpath(target, here)}{link['place']})"

    source[0] = _LINK.sub(fitting, source[0])


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _read_page)

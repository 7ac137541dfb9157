"""The pages of docs/ hang together: every page is in a toctree, and links lead somewhere."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
#: Of the site, with what the build leaves there left out.
PAGES = {page for page in DOCS.rglob("*.md") if "_build" not in page.parts}
#: Pages of the site whose text stands elsewhere.
ON_THE_SITE = runpy.run_path(str(DOCS / "conf.py"))["ELSEWHERE"].values()


def blocks(page, language):
    """The code of a page, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.M)


def in_toctrees(page):
    """The pages that the toctrees of a page name."""
    lines = "".join(blocks(page, r"\{toctree\}")).splitlines()
    names = [line.rpartition("<")[2].rstrip(">") for line in lines if line and line[0] != ":"]
    return {page.parent / f"{name}.md" for name in names}


def test_every_page_is_in_a_toctree():
    reached, to_read = set(), [DOCS / "index.md"]
    while to_read:
        page = to_read.pop()
        if page not in reached:
            reached.add(page)
            to_read += in_toctrees(page)
    assert reached == PAGES


@pytest.mark.parametrize("page", sorted(PAGES), ids=lambda page: str(page.relative_to(DOCS)))
def test_links_lead_somewhere(page):
    for name in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text("utf-8")):
        target = (page.parent / name).resolve()
        assert target.exists(), name
        # A page that the site does not have cannot be linked there.
        assert target.suffix != ".md" or target in (*PAGES, *ON_THE_SITE), name


@pytest.mark.slow
def test_the_tutorial_runs(tmp_path):
    """All of its commands and code, with fewer steps."""
    page = DOCS / "tutorial.md"
    environment = {**os.environ, "WANDB_MODE": "offline", "MPLBACKEND": "agg"}

    def run(*command, **options):
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, **options)

    for language, code in re.findall(
        r"^```(bash|python)\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.M
    ):
        if language == "python":
            run(sys.executable, "-c", code)
        elif not code.startswith(("tensorboard", "wandb")):  # a server; a program of others
            code = code.replace("--total-timesteps 50000", "--total-timesteps 13000")
            run("bash", "-ec", f'python() {{ "{sys.executable}" "$@"; }}\n{code}')
    assert (tmp_path / "cartpole.mp4").exists()
    assert (tmp_path / "compare.png").exists()


def test_the_house_shows_every_package():
    house = (DOCS / "images" / "house.svg").read_text("utf-8")
    packages = [folder.parent.name for folder in (ROOT / "rims_rl").glob("*/__init__.py")]
    assert len(packages) > 5
    assert [name for name in packages if f">{name}<" not in house] == []


def test_hooks_before_a_commit_have_the_versions_of_lint():
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M))
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    found = {hook["repo"].rpartition("/")[2]: hook["rev"] for hook in hooks}
    assert found == {
        "ruff-pre-commit": f"v{pinned['ruff']}",
        "mirrors-clang-format": f"v{pinned['clang-format']}",
    }

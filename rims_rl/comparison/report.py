"""A comparison as one HTML file that needs no network: ``report.html`` with all it shows inside."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from rims_rl.runs.errors import UsageError
from rims_rl.runs.files import finite, write_text
from rims_rl.version import __version__

#: Of ``page/``, in the order in which they build on each other.
_SCRIPTS = ("data.js", "statistics.js", "plots.js", "tables.js", "page.js")


class NoPlotlyError(UsageError):
    """Plotly, which draws the page's plots, is not installed."""


def write_report(summary: Mapping[str, Any], file: Path, title: str, command: str) -> None:
    """Writes a page with plots and tables that can be filtered.

    Args:
        summary: what `rims_rl.comparison.summary.summarise` gives.
        file: to write; its folder is made.
        title: of the page.
        command: that made the report, for those who want to make it again.

    Raises:
        NoPlotlyError: plotly is not installed.
    """
    parts = {
        "title": html.escape(title),
        "command": html.escape(command),
        "version": html.escape(__version__),
        "style": _text("page", "style.css"),
        "plotly": _plotly(),
        "summary": _embedded(summary),
        "script": "\n".join(_text("page", name) for name in _SCRIPTS),
    }
    # In one pass: what is filled in may itself look like a placeholder.
    page = re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _text("report.html"))
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, page)


def _text(*names: str) -> str:
    file = resources.files("rims_rl").joinpath("comparison", *names)
    return file.read_text(encoding="utf-8")


def _plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise NoPlotlyError(
            'the report needs plotly: pip install -c constraints.txt -e ".[report]"'
        ) from None
    source: str = get_plotlyjs()
    return source


def _embedded(summary: Mapping[str, Any]) -> str:
    """JSON that stays inside its script element, whatever it contains."""
    text = json.dumps(finite(summary), allow_nan=False, default=str)
    return text.replace("<", "\\u003c")

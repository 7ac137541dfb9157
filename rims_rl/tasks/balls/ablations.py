"""Bouncing balls: what one head and no input attention cost a RIM (figure 15)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure as Picture
from matplotlib.ticker import MaxNLocator

from rims_rl.experiments.curves import Curve, progress_values
from rims_rl.experiments.drawing import draw_curves
from rims_rl.experiments.figure import Drawing, Figure
from rims_rl.experiments.store import Runs, StoredRun, Wanted
from rims_rl.tasks.balls.figure_models import SAME, rim
from rims_rl.tasks.drawing.styles import seeds_note
from rims_rl.tasks.video import FOLLOWED

NORMAL = "normal"
_COLOURS = ("tab:blue", "tab:orange", "tab:red")
_COLUMNS = {
    "training loss": "train/loss",
    **{f"frame {n} of the rollout": f"valid/rollout_bce_{n}" for n in FOLLOWED},
}
_CLAIM = "one head and no input attention are both worse than the normal model in the rollout"


def ablations() -> dict[str, Wanted]:
    """The normal RIM and its ablations by name.

    Our reading of "one head": one of the input attention and one of the communication.
    """
    return {
        NORMAL: rim(SAME.train_set),
        "one head": rim(SAME.train_set, core_kwargs={"input_heads": 1, "comm_heads": 1}),
        "no input attention": rim(SAME.train_set, core_kwargs={"input_attention": None}),
    }


def _figure15(runs: Runs) -> Drawing:
    models = ablations()
    runs.prepare(list(models.values()))
    picture = Picture(figsize=(12, 3.6), layout="constrained")
    panels = picture.subplots(1, len(_COLUMNS))
    numbers = {}
    for axes, (title, column) in zip(panels, _COLUMNS.items(), strict=True):
        curves = [
            _curve(found, column, f"{name}{seeds_note(runs, found)}", colour)
            for (name, model), colour in zip(models.items(), _COLOURS, strict=True)
            if (found := runs.stored(model))
        ]
        drawn = [curve for curve in curves if curve.values.size]
        if curves and not drawn:
            axes.text(0.5, 0.5, "videos too short", ha="center", transform=axes.transAxes)
        else:
            draw_curves(axes, drawn, marker="o", ms=2)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylabel("cross-entropy (nats per pixel)")
        numbers[title] = {curve.label: curve.numbers() for curve in drawn}
    panels[0].legend(frameon=False, fontsize=8)
    return Drawing(picture, numbers, {"claim": _CLAIM})


def _curve(of_model: Sequence[StoredRun], column: str, label: str, colour: str) -> Curve:
    """The values that the runs wrote after each epoch."""
    values = np.array([progress_values(run.folder, column) for run in of_model])
    return Curve(range(1, 1 + values.shape[1]), values, label, colour)


FIGURES = (Figure("fig15", "balls: losses of RIM, one head, no input attention", _figure15),)

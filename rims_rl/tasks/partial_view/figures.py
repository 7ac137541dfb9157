"""Partial view: scores one frame ahead with other numbers of balls (figure 13)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture
from matplotlib.ticker import MaxNLocator

from rims_rl.experiments.curves import Curve
from rims_rl.experiments.drawing import draw_curves
from rims_rl.experiments.figure import Drawing, Figure
from rims_rl.experiments.store import Runs, Wanted
from rims_rl.tasks.drawing.styles import model_curves
from rims_rl.tasks.partial_view.task import PartialViewOptions
from rims_rl.tasks.wanted import planned, wanted

_TASK = "partial-view"
_LEARNED = ("rim", "lstm", "rmc")
_SCORES = {"f1": "F1 score", "balanced_accuracy": "balanced accuracy"}
_CLAIM = "RIMs are ahead of LSTM and RMC out of distribution; TTO is the upper bound"


def view_models() -> list[Wanted]:
    """The models of the comparison: three that learn, and the oracle."""
    learned = [wanted(_TASK, {"core": core}) for core in _LEARNED]
    nothing_to_learn = {"epochs": 1, "train_size": 1, "valid_size": 1}
    return [*learned, wanted(_TASK, {"core": "tto", **nothing_to_learn})]


def score_curves(runs: Runs, score: str) -> list[Curve]:
    """A score by the number of moving balls, a curve for each model.

    Args:
        runs: trains and finds the models.
        score: ``f1`` or ``balanced_accuracy``.
    """
    balls = _options(runs).test_balls
    return model_curves(
        runs, view_models(), lambda run: [run.metrics[f"{score}_{n}"] for n in balls], balls
    )


def draw_scores(axes: Axes, curves: Sequence[Curve], name: str) -> None:
    """Draws a score by the number of balls.

    Args:
        axes: to draw on.
        curves: as of `score_curves`.
        name: of the score, for people.
    """
    draw_curves(axes, curves, marker="o", ms=3)
    axes.set_xlabel("moving balls")
    axes.set_ylabel(name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def name_models(axes: Axes) -> None:
    """Names the curves of `draw_scores` beside a panel, where they hide nothing."""
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))


def _options(runs: Runs) -> PartialViewOptions:
    options: PartialViewOptions = planned(runs, view_models()[0]).options
    return options


def _figure13(runs: Runs) -> Drawing:
    runs.prepare(view_models())
    picture = Picture(figsize=(12, 3.8), layout="constrained")
    panels = picture.subplots(1, len(_SCORES))
    trained_with = _options(runs).balls
    numbers: dict[str, Any] = {"balls_in_training": trained_with}
    for axes, (score, name) in zip(panels, _SCORES.items(), strict=True):
        curves = score_curves(runs, score)
        draw_scores(axes, curves, name)
        axes.axvline(trained_with, color="0.3", ls=":", lw=1, zorder=0)
        axes.set_title(f"{name}, one frame ahead (dotted: as in training)", fontsize=10)
        numbers[score] = {curve.label: curve.numbers() for curve in curves}
    name_models(panels[-1])
    return Drawing(picture, numbers, {"claim": _CLAIM})


FIGURES = (Figure("fig13", "partial view: F1 and balanced accuracy by number of balls", _figure13),)

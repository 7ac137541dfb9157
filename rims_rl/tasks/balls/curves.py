"""Cross-entropy of each frame of a rollout, models of bouncing balls side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from rims_rl.experiments.curves import Curve
from rims_rl.experiments.drawing import draw_curves
from rims_rl.experiments.store import Runs, Wanted
from rims_rl.tasks.balls.figure_models import Experiment
from rims_rl.tasks.drawing.styles import model_curves
from rims_rl.tasks.wanted import planned

#: What the paper says in words where it has no numbers.
CLAIM = "RIMs have the lowest cross-entropy in the rollout, most of all out of distribution"


def bce_curves(runs: Runs, models: Sequence[Wanted], experiment: Experiment) -> list[Curve]:
    """The test's cross-entropy of frames 1 to T - 1, a curve for each model."""
    metric = f"rollout_bce_{experiment.test_set}"
    return model_curves(runs, models, lambda run: list(run.metrics[metric]))


def next_frame_bce(
    runs: Runs, models: Sequence[Wanted], experiment: Experiment
) -> dict[str, list[float]]:
    """The test's mean cross-entropy of frames predicted from true ones, for each seed."""
    metric = f"bce_{experiment.test_set}"
    curves = model_curves(runs, models, lambda run: [run.metrics[metric]])
    return {curve.label: curve.mean_over(slice(None)) for curve in curves}


def frames_given(runs: Runs, model: Wanted) -> int:
    """The number of true frames that the rollouts of a model begin with."""
    return int(planned(runs, model).options.given)


def shown_frames(curve: Curve, first: int, last: int | None) -> Curve:
    """The part of a curve from one frame to another, both included; to the end if None."""
    return _part(curve, slice(first - 1, last))


def draw_panel(axes: Axes, curves: Sequence[Curve], title: str, given: int) -> None:
    """Draws curves of a rollout: pale while true frames are fed in, strong from there on.

    Args:
        axes: to draw on.
        curves: as of `bce_curves`.
        title: of the panel.
        given: true frames.
    """
    axes.set_title(title, fontsize=10)
    if curves:
        at = given - curves[0].x[0]
        fed = [_part(curve, slice(at + 1)) for curve in curves]
        curves = [_part(curve, slice(at, None)) for curve in curves]
        draw_curves(axes, fed, alpha=0.45, label=None)
    draw_curves(axes, curves)
    axes.axvline(given, color="0.3", ls="--", lw=1)
    axes.set_xlabel(f"frame (dashed line: {given} true frames)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def panel_numbers(curves: Sequence[Curve], experiment: Experiment, given: int) -> dict[str, Any]:
    """The numbers behind a panel, with each model's mean over the rolled out frames shown."""
    rolled = {curve.label: curve.mean_over(slice(given - curve.x[0] + 1, None)) for curve in curves}
    return {
        "train_set": experiment.train_set,
        "test_set": experiment.test_set,
        "true_frames": given,
        "bce": {curve.label: curve.numbers() for curve in curves},
        "mean_rolled_out_bce": rolled,
        "lowest": min(rolled, key=lambda label: float(np.mean(rolled[label])), default=None),
    }


def _part(curve: Curve, points: slice) -> Curve:
    return replace(curve, x=curve.x[points], values=curve.values[:, points])

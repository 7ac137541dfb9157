"""Cross-entropy of each frame of a rollout, models of bouncing balls side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from rims_rl.figures.ball_models import Experiment
from rims_rl.figures.rollouts import video_task
from rims_rl.figures.runs import Runs, Wanted
from rims_rl.figures.seed_curves import SeedCurve, draw_curves
from rims_rl.figures.styles import colours, model_name

#: What the paper says in words where it has no numbers.
CLAIM = "RIMs have the lowest cross-entropy in the rollout, most of all out of distribution"


def bce_curves(runs: Runs, models: Sequence[Wanted], experiment: Experiment) -> list[SeedCurve]:
    """The test's cross-entropy of frames 1 to T - 1, a curve for each model."""
    stored = [runs.every_seed(model) for model in models]
    return [
        SeedCurve(
            label=model_name(of_model[0]),
            colour=colour,
            x=range(1, 1 + len(values[0])),
            values=np.array(values),
        )
        for of_model, colour in zip(stored, colours([part[0] for part in stored]), strict=True)
        for values in [[run.metrics[f"rollout_bce_{experiment.test_set}"] for run in of_model]]
    ]


def frames_given(runs: Runs, model: Wanted) -> int:
    """How many true frames the rollouts of a model begin with."""
    return int(video_task(runs.run(model)).options.given)


def draw_panel(axes: Axes, curves: Sequence[SeedCurve], title: str, given: int) -> None:
    """Draws curves of a rollout: pale while true frames are fed in, strong from there on.

    Args:
        axes: to draw on.
        curves: as of `bce_curves`.
        title: of the panel.
        given: true frames.
    """
    draw_curves(axes, [_part(curve, slice(given)) for curve in curves], alpha=0.45, label=None)
    draw_curves(axes, [_part(curve, slice(given - 1, None)) for curve in curves])
    axes.axvline(given, color="0.3", ls="--", lw=1)
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(f"frame (dashed line: {given} true frames)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def panel_numbers(
    curves: Sequence[SeedCurve], experiment: Experiment, given: int
) -> dict[str, Any]:
    """The numbers behind a panel, with each model's mean over the rolled out frames."""
    rolled = {curve.label: curve.mean_over(slice(given, None)) for curve in curves}
    return {
        "train_set": experiment.train_set,
        "test_set": experiment.test_set,
        "true_frames": given,
        "bce": {curve.label: curve.numbers() for curve in curves},
        "mean_rolled_out_bce": rolled,
        "lowest": min(rolled, key=lambda label: float(np.mean(rolled[label]))),
    }


def _part(curve: SeedCurve, points: slice) -> SeedCurve:
    return SeedCurve(
        curve.label, curve.colour, curve.x[points], curve.values[:, points], curve.dashes
    )

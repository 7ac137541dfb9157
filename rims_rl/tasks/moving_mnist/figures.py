"""Moving MNIST: what hiding one RIM does to the prediction (figures 22 to 25)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure as Picture

from rims_rl.experiments.figure import Drawing, Figure
from rims_rl.experiments.store import Runs, StoredRun
from rims_rl.tasks.drawing.rollouts import FIRST, roll_out, video_model, video_task
from rims_rl.tasks.drawing.strips import draw_strips, predicted_strip, truth_strip
from rims_rl.tasks.drawing.styles import model_name
from rims_rl.tasks.wanted import wanted

_STEP = 2
_CLAIM = (
    "with sparse activation the prediction goes on without the masked RIM; with most RIMs active "
    "they co-adapt"
)
_LEGEND = (
    "white: prediction, blue: truth over it; orange line: here the true frames end; in brackets: "
    "mean cross-entropy of the rolled out frames of all test videos"
)


def draw_masking(rims: int, active: int, runs: Runs) -> Drawing:
    """Draws the rollout of one video with each RIM masked in turn.

    Args:
        rims: k_T.
        active: k_A.
        runs: trains and finds the model; the first seed's is drawn, the numbers are of all.
    """
    model = wanted("moving-mnist", {"num_rims": rims, "num_active": active})
    stored = runs.every_seed(model)
    effects = {run.seed: masking_effects(run) for run in stored}
    shown = stored[0]
    picture = Picture(figsize=(11, 0.95 * (rims + 2) + 0.6), layout="constrained")
    panels = picture.subplots(rims + 1, 1, height_ratios=[2] + [1] * rims)
    for axes, masked_rim in zip(panels, (None, *range(rims)), strict=True):
        rollout = roll_out(shown, video_task(shown).train_name, FIRST, masked_rim)
        frames = rollout.frames(_STEP)
        name = _name(masked_rim)
        strips = [predicted_strip("predicted", rollout, frames)]
        if masked_rim is None:
            strips.insert(0, truth_strip("truth", rollout, frames))
        draw_strips(axes, strips, frames, {rollout.given: "orange"})
        bce = effects[shown.seed][name]["rolled_out_bce"]
        axes.set_title(f"{name} ({bce:.3f})", fontsize=9, loc="left")
    picture.suptitle(model_name(shown), fontsize=11)
    picture.supxlabel(_LEGEND, fontsize=9)
    numbers = {f"seed {seed}": found for seed, found in effects.items()}
    return Drawing(picture, {**numbers, **_summary(effects)}, {"claim": _CLAIM})


def masking_effects(run: StoredRun) -> dict[str, dict[str, float]]:
    """Cross-entropy of all test videos without a mask and with each RIM masked.

    The mask itself is in `VideoModel.forward`.

    Args:
        run: of a RIM on a video task.

    Returns:
        For each mask the means over the frames predicted from true frames and over those rolled
        out, and how many times the latter is that without a mask.
    """
    task, model = video_task(run), video_model(run)
    videos, given = task.test_videos(task.train_name), task.options.given
    effects: dict[str, dict[str, float]] = {}
    for masked_rim in (None, *range(task.plan.model.num_rims)):
        with torch.no_grad():
            bce = task.rollout_bce(model, videos, masked_rim)
        effects[_name(masked_rim)] = {
            "true_frames_bce": float(np.mean(bce[:given])),
            "rolled_out_bce": float(np.mean(bce[given:])),
        }
    whole = effects[_name(None)]["rolled_out_bce"]
    for found in effects.values():
        found["times_unmasked"] = found["rolled_out_bce"] / whole
    return effects


def _summary(effects: Mapping[int, Mapping[str, Mapping[str, float]]]) -> dict[str, Any]:
    """The mean effect of masking a RIM, and the largest, over RIMs and seeds."""
    times = [
        found["times_unmasked"]
        for of_seed in effects.values()
        for name, found in of_seed.items()
        if name != _name(None)
    ]
    return {"mean_times_unmasked": float(np.mean(times)), "max_times_unmasked": max(times)}


def _name(masked_rim: int | None) -> str:
    return "no RIM masked" if masked_rim is None else f"RIM {masked_rim + 1} masked"


FIGURES = tuple(
    Figure(
        name,
        f"moving MNIST: each RIM masked in turn, {active} of {rims} active",
        partial(draw_masking, rims, active),
    )
    for name, rims, active in (("fig22", 4, 3), ("fig23", 5, 2), ("fig24", 5, 3), ("fig25", 5, 4))
)

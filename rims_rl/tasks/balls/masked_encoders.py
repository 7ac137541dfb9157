"""Spatially masked encoders: are the RIMs active in whose strip the balls are (figure 6)?

Axes: T time, B batch, K RIMs, P checkpoints, F frames shown, Y rows and X columns of a frame.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from torch import Tensor

from rims_rl.experiments.curves import Curve
from rims_rl.experiments.drawing import draw_curves
from rims_rl.experiments.figure import Drawing, Figure
from rims_rl.experiments.store import Runs, StoredRun, Wanted
from rims_rl.runs.errors import UsageError
from rims_rl.runs.folder import CHECKPOINTS
from rims_rl.tasks.balls.figure_models import SAME, rim
from rims_rl.tasks.checkpoints import load_weights
from rims_rl.tasks.drawing.rollouts import Rollout, roll_out, true_frames, video_model, video_task
from rims_rl.tasks.drawing.strips import Strip, draw_strips, paint
from rims_rl.tasks.drawing.styles import model_name, seeds_note
from rims_rl.tasks.video_models import StripEncoders, VideoModel
from rims_rl.tasks.wanted import load_trained_run

#: Epochs of the checkpoints (P), and of each the RIMs' correlations (P, K).
Correlations = tuple[list[float], NDArray[np.float64]]

_DATA = SAME.test_set

#: Every second epoch's checkpoint of a long run is 5 GB; of a quick run every epoch's is kept.
_OPTIONS: dict[str, Any] = {"own_strips": True, "checkpoint_every": 2, "keep_checkpoints": 1_000}

#: The paper shows every fifth frame.
_STEP = 5
#: Test videos in which activation is compared with the balls.
_VIDEOS = slice(32)

_GREY = "0.45"
_OPACITY = 0.65
_CLAIM = "early in training activation correlates with the balls' places, later less"


def _figure6(runs: Runs) -> Drawing:
    stored = runs.every_seed(_model())
    found = [correlations(run) for run in stored]
    picture = Picture(figsize=(11, 6.2), layout="constrained")
    top, middle, bottom = picture.subplots(3, 1, height_ratios=(1, 1, 1.4))
    fed, rolled = (roll_out(stored[0], _DATA, only_true=only_true) for only_true in (True, False))
    _draw_strip(top, stored[0], fed, "darkorange", "true frames fed in: prediction orange")
    _draw_strip(middle, stored[0], rolled, "limegreen", "rolled out: prediction green")
    middle.set_xlabel("frame; grey: strips of the active RIMs; white: truth", fontsize=9)
    curve = _mean_curve(found)
    draw_curves(bottom, [curve], marker="o", ms=3)
    for strip in found[0][1].T:
        bottom.plot(curve.x, strip, color="0.7", lw=0.8, zorder=0)
    bottom.axhline(0, color="0.3", lw=0.8)
    bottom.set_xlabel("epoch")
    bottom.xaxis.set_major_locator(MaxNLocator(integer=True))
    bottom.set_ylabel("correlation")
    bottom.set_title(
        "correlation of a RIM's activation with the balls' ink in its strip (blue: mean over RIMs"
        f"{seeds_note(runs, stored)}, grey: each RIM)",
        fontsize=10,
    )
    return Drawing(picture, {**_numbers(stored, found), "mean": curve.numbers()}, {"claim": _CLAIM})


def active_rims(model: VideoModel, frames: Tensor) -> NDArray[np.bool_]:
    """The RIMs that are active as a model sees frames (T, B, 1, Y, X): (T, B, K)."""
    with torch.no_grad():
        _, _, info = model.core(model.encoder(frames), None, None, return_info=True)
    active: NDArray[np.bool_] = info.active_mask.numpy()
    return active


def ink_of_strips(model: VideoModel, frames: Tensor) -> NDArray[np.float32]:
    """The amount of ink in each RIM's strip, frames (T, B, 1, Y, X): (T, B, K)."""
    rows = frames.sum(dim=(2, 4)).numpy()
    strips = itertools.pairwise(_strips(model).edges)
    return np.stack([rows[..., start:stop].sum(-1) for start, stop in strips], axis=-1)


def correlations(run: StoredRun) -> Correlations:
    """Correlation of each RIM's activation with the ink in its strip, over the run's training.

    Over the frames of some test videos, true frames fed in. A RIM that is always or never active
    does not follow the balls: 0.

    Args:
        run: of a model with an encoder for each strip, its checkpoints kept.

    Returns:
        The epochs of its checkpoints (P), and the correlations (P, K).

    Raises:
        UsageError: it has no checkpoints any more.
    """
    saved = _checkpoints(run.folder / CHECKPOINTS)
    if not saved:
        raise UsageError(f"{run.folder / CHECKPOINTS} is empty: the figure needs those of training")
    frames = true_frames(run, _DATA, _VIDEOS)[:-1]
    model = load_trained_run(run).task.make_model().eval()
    assert isinstance(model, VideoModel)
    ink = ink_of_strips(model, frames)
    epochs, rows = [], []
    for updates, file in saved:
        load_weights(file, model)
        epochs.append(updates / load_trained_run(run).task.updates_per_epoch)
        rows.append(correlation(active_rims(model, frames), ink))
    return epochs, np.array(rows)


def _model() -> Wanted:
    model = rim(SAME.train_set, **_OPTIONS)
    return dataclasses.replace(model, quick={**model.quick, "checkpoint_every": 1})


def _checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """Updates and file of each checkpoint, the oldest first."""
    descriptions = sorted(folder.glob("step-*.json"))
    return [(json.loads(d.read_text())["updates"], d.with_suffix(".zip")) for d in descriptions]


def correlation(active: NDArray[np.bool_], ink: NDArray[np.float32]) -> list[float]:
    """Pearson's correlation of activation and ink for each RIM: (T, B, K), (T, B, K) -> (K)."""
    masks, amounts = (part.reshape(-1, part.shape[-1]).T for part in (active.astype(float), ink))
    return [
        float(np.corrcoef(mask, amount)[0, 1]) if np.ptp(mask) and np.ptp(amount) else 0.0
        for mask, amount in zip(masks, amounts, strict=True)
    ]


def _mean_curve(found: list[Correlations]) -> Curve:
    """The mean over RIMs at each checkpoint, of all seeds."""
    values = np.array([of_seed.mean(axis=1) for _, of_seed in found])
    return Curve(found[0][0], values, "mean over RIMs", "tab:blue")


def _numbers(stored: list[StoredRun], found: list[Correlations]) -> dict[str, Any]:
    by_seed = {
        f"seed {run.seed}": values.tolist() for run, (_, values) in zip(stored, found, strict=True)
    }
    return {"epochs": found[0][0], "correlation_of_each_rim": by_seed}


def _draw_strip(axes: Axes, run: StoredRun, rollout: Rollout, colour: str, label: str) -> None:
    """Frames with the strips of active RIMs in grey, and the truth and the prediction on them."""
    model = video_model(run)
    frames = rollout.frames(_STEP)
    before = [frame - 1 for frame in frames]
    seen = torch.from_numpy(rollout.inputs)[:, None, None]
    shade = np.zeros_like(rollout.true[frames])
    active = active_rims(model, seen)[before, 0]
    for rim_index, (start, stop) in enumerate(itertools.pairwise(_strips(model).edges)):
        shade[:, start:stop] = active[:, rim_index, None, None]
    images = paint(shade, _GREY)
    images = paint(rollout.true[frames], "white", below=images)
    images = paint(rollout.predicted[before], colour, _OPACITY, images)
    given = video_task(run).options.given
    marks = {given: "orange"} if rollout.given == given else {}
    draw_strips(axes, [Strip("", images)], frames, marks)
    axes.set_title(f"{model_name(run)}, {label}", fontsize=10, loc="left")


def _strips(model: VideoModel) -> StripEncoders:
    assert isinstance(model.encoder, StripEncoders)
    return model.encoder


FIGURES = (
    Figure("fig6", "balls: one encoder per strip and RIM, and which RIMs are active", _figure6),
)

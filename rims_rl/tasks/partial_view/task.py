"""Partial view (paper, section D.5): predict windows one frame ahead, with other numbers of balls.

Axes: N sequences, T time, B batch, V windows, C pixels along a side, S pixels of a frame's side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rims_rl.runs.errors import UsageError
from rims_rl.runs.options import at_least, option
from rims_rl.tasks.common_options import CacheOptions, all_at_least, not_empty
from rims_rl.tasks.metrics import Confusion, frame_bce
from rims_rl.tasks.partial_view import data as partial_view
from rims_rl.tasks.partial_view.models import Oracle, ViewModel
from rims_rl.tasks.seeding import Split
from rims_rl.tasks.stored_videos import EVAL_BATCH, StoredVideoTask, as_frames, unit
from rims_rl.tasks.task import (
    RECURRENT,
    Batch,
    chunks,
    final_rng,
    on_device_of,
    valid_rng,
    weighted_mean,
)
from rims_rl.tasks.video_cache import Recipe


@dataclass(frozen=True)
class PartialViewOptions(CacheOptions):
    """Options of the partial view."""

    balls: int = option(partial_view.PartialViewSpec.balls, "moving balls in training")
    test_balls: list[int] = option(
        [1, 2, 3, 4, 5, 6], "numbers of moving balls in the test, e.g. [1, 6]"
    )
    views: int = option(partial_view.VIEWS, "windows of a frame")
    view_side: int = option(partial_view.VIEW_SIDE, "pixels along a side of a window")
    frames: int = option(partial_view.PartialViewSpec.frames, "frames of a video")

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "balls", "views", "view_side")
        if self.view_side >= partial_view.SIDE:
            raise UsageError(
                f"--view-side must be below the {partial_view.SIDE} pixels of a frame's side, got "
                f"{self.view_side}"
            )
        at_least(self, 2, "frames")
        not_empty(self, "test_balls")
        all_at_least(self, 1, "test_balls")


class PartialView(StoredVideoTask[PartialViewOptions]):
    """Predict what windows at random places show one frame later."""

    name = "partial-view"
    summary = "predict small windows of a frame of balls; tested with 1 to 6 balls"
    options_type = PartialViewOptions
    cores = (*RECURRENT, "tto")
    goal = "valid/f1"
    larger_is_better = True

    @property
    def train_name(self) -> str:
        """The number of moving balls."""
        return str(self.options.balls)

    @property
    def test_names(self) -> list[str]:
        """The numbers of moving balls."""
        return [str(number) for number in self.options.test_balls]

    def recipe(self, split: Split, name: str, size: int) -> Recipe:
        """Of videos with so many moving balls, (N, T, S, S)."""
        spec = partial_view.PartialViewSpec(
            int(name), size, self.options.data_seed, self.options.frames
        )
        return partial_view.recipe(spec, split)

    def make_model(self) -> nn.Module:
        """An encoder and a decoder of windows with the core between them, or the oracle."""
        if self._has_oracle:
            return Oracle(self.options.view_side)
        return ViewModel(self.plan.model, partial_view.SIDE, self.options.view_side)

    def batch(self, update: int) -> Batch:
        """The model's input (windows; the oracle: whole next frames), corners, next windows."""
        return self._batch(self.train_videos(update), self.train_rng(update))

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Binary cross-entropy of the windows, in nats per pixel."""
        logits, targets = _predict(model, batch)
        return frame_bce(logits, targets).mean()

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Metrics with as many balls as in training."""
        metrics = self._metrics(model, self.valid_videos, valid_rng())
        return {f"valid/{name}": value for name, value in metrics.items()}

    def test(self, model: nn.Module) -> dict[str, Any]:
        """Metrics for every number of balls."""
        return {
            f"{metric}_{name}": value
            for name in self.test_names
            for metric, value in self._metrics(model, self.test_videos(name), final_rng()).items()
        }

    def _metrics(
        self, model: nn.Module, videos: NDArray[np.uint8], rng: np.random.Generator
    ) -> dict[str, float]:
        """Cross-entropy, F1 and balanced accuracy over all pixels of all windows."""
        counts, losses = Confusion(), []
        for part in chunks(len(videos), EVAL_BATCH):
            batch = on_device_of(model, self._batch(videos[part], rng))
            logits, targets = _predict(model, batch)
            counts += Confusion.of(logits, targets)
            losses.append((part.stop - part.start, frame_bce(logits, targets).mean()))
        return {
            "bce": float(weighted_mean(losses)),
            "f1": counts.f1,
            "balanced_accuracy": counts.balanced_accuracy,
        }

    def _batch(self, videos: NDArray[np.uint8], rng: np.random.Generator) -> Batch:
        views = partial_view.views(videos, rng, self.options.views, self.options.view_side)
        time_first = (np.ascontiguousarray(part.swapaxes(0, 1)) for part in views)
        corners, seen, targets = map(torch.from_numpy, time_first)
        shown = as_frames(videos[:, 1:]) if self._has_oracle else seen
        return (shown, corners, targets)

    @property
    def _has_oracle(self) -> bool:
        return self.plan.model.core == "tto"


def _predict(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """Logits and targets, each (T, B, V, C, C)."""
    shown, corners, targets = batch
    logits: Tensor = model(unit(shown), corners)
    return logits, unit(targets)

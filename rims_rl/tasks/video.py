"""What the tasks on whole frames share: teacher forcing in training, rollouts in the test.

Axes: N sequences, T time, B batch, C channels, Y rows and X columns of a frame.
"""

from __future__ import annotations

import functools
from abc import abstractmethod
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from rims_rl.tasks.data.cache import Recipe, Videos, load, require_room
from rims_rl.tasks.data.seeding import Split
from rims_rl.tasks.metrics import frame_bce
from rims_rl.tasks.options import RolloutOptions
from rims_rl.tasks.task import (
    RECURRENT,
    Batch,
    StoredSequences,
    Task,
    chunks,
    on_device_of,
    weighted_mean,
)
from rims_rl.tasks.video_models import VideoModel, rollout

Options = TypeVar("Options", bound=RolloutOptions)

#: Videos evaluated at once: their feature maps take 20 MB each.
EVAL_BATCH = 32

#: Frames of the rollout whose error the paper follows over training (figure 15), counted from 1.
FOLLOWED = (4, 5)


class VideoTask(Task[Options]):
    """Predict each next frame of a video.

    The loss and ``bce`` are the binary cross-entropy in nats a pixel of the prediction from true
    frames; ``rollout_bce`` has one for each frame from the second on, the first `given` from true
    frames and the others from the model's own predictions.
    """

    cores = RECURRENT
    goal = "valid/bce"

    @abstractmethod
    def recipe(self, split: Split, name: str, size: int) -> Recipe:
        """So many videos of a split of the data set of this name, (N, T, Y, X) or with colours."""

    @property
    @abstractmethod
    def train_name(self) -> str:
        """The data set that training and validation use."""

    @property
    @abstractmethod
    def test_names(self) -> list[str]:
        """The data sets of the test."""

    def recipes(self) -> list[Recipe]:
        """Videos to train on, to validate with and to test with."""
        learning = self.config.learning
        return [
            self.recipe("train", self.train_name, learning.train_size),
            self.recipe("validation", self.train_name, learning.valid_size),
            *(self.recipe("test", name, learning.test_size) for name in self.test_names),
        ]

    def prepare(self) -> None:
        """Generates the videos, or finds them on disk."""
        self._order = StoredSequences(self)
        recipes = self.recipes()
        require_room(self.options.cache, recipes)
        self._train, self._valid = (load(self.options.cache, recipe) for recipe in recipes[:2])
        for name in self.test_names:
            self.test_videos(name)

    @functools.cache  # noqa: B019 (a task lives as long as its run)
    def test_videos(self, name: str) -> Videos:
        """The test videos of a data set."""
        return load(self.options.cache, self.recipe("test", name, self.config.learning.test_size))

    def batch(self, update: int) -> Batch:
        """Frames (T, B, C, Y, X), uint8."""
        # A sorted order of sequences reads the file forwards.
        return (as_frames(self._train[np.sort(self._order.indices(update))]),)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy of the next frames."""
        return _one_step_bce(model, unit(batch[0]))

    def validate(self, model: nn.Module) -> dict[str, float]:
        """One-step and rollout cross-entropy on sequences as in training."""
        size = min(self.options.rollout_size, len(self._valid))
        frames = self.rollout_bce(model, self._valid[:size])
        rolled = frames[self.options.given :]
        followed = {f"valid/rollout_bce_{n}": rolled[n - 1] for n in FOLLOWED if n <= len(rolled)}
        return {self.goal: self.bce(model, self._valid), **followed}

    def test(self, model: nn.Module) -> dict[str, Any]:
        """One-step cross-entropy, and that of each frame of a rollout, on every data set."""
        metrics: dict[str, Any] = {}
        for name in self.test_names:
            videos = self.test_videos(name)
            metrics[f"bce_{name}"] = self.bce(model, videos)
            metrics[f"rollout_bce_{name}"] = self.rollout_bce(model, videos)
        return metrics

    def bce(self, model: nn.Module, videos: Videos) -> float:
        """Cross-entropy of all frames predicted from true ones."""
        parts = []
        for part in chunks(len(videos), EVAL_BATCH):
            (frames,) = on_device_of(model, (as_frames(videos[part]),))
            parts.append((frames.shape[1], _one_step_bce(model, unit(frames))))
        return float(weighted_mean(parts))

    def rollout_bce(
        self, model: nn.Module, videos: Videos, masked_rim: int | None = None
    ) -> list[float]:
        """Cross-entropy of frames 1 to T - 1 of rollouts.

        Args:
            model: of this task.
            videos: true ones.
            masked_rim: see `VideoModel.forward`.
        """
        assert isinstance(model, VideoModel)
        parts = []
        for part in chunks(len(videos), EVAL_BATCH):
            (frames,) = on_device_of(model, (as_frames(videos[part]),))
            true = unit(frames)
            logits = rollout(model, true, self.options.given, masked_rim)
            parts.append((true.shape[1], frame_bce(logits, true[1:])))
        mean: list[float] = weighted_mean(parts).tolist()
        return mean


def as_frames(videos: Videos) -> Tensor:
    """Videos (B, T, Y, X) or (B, T, Y, X, C) as frames (T, B, C, Y, X), still uint8."""
    with_channels = videos if videos.ndim == 5 else videos[..., np.newaxis]
    # A copy, as torch wants what it can write to and stored videos are read-only.
    return torch.from_numpy(np.array(with_channels.transpose(1, 0, 4, 2, 3), order="C"))


def unit(frames: Tensor) -> Tensor:
    """Grey levels of uint8 as numbers in [0, 1]."""
    return frames.float() / 255


def _one_step_bce(model: nn.Module, frames: Tensor) -> Tensor:
    logits, _ = model(frames[:-1])
    return frame_bce(logits, frames[1:]).mean()

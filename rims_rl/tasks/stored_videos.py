"""Parts that the tasks on videos share: data sets that lie on the disk, read as frames.

Axes: N sequences, T time, B batch, C channels, Y rows and X columns of a frame.
"""

from __future__ import annotations

import functools
from abc import abstractmethod
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from rims_rl.tasks.common_options import CacheOptions
from rims_rl.tasks.seeding import Split
from rims_rl.tasks.task import EpochOrder, Task
from rims_rl.tasks.video_cache import Recipe, Videos, load, require_room

Options = TypeVar("Options", bound=CacheOptions)

#: Videos evaluated at once: their feature maps take 20 MB each.
EVAL_BATCH = 32


class StoredVideoTask(Task[Options]):
    """A task on videos that are generated once."""

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
        learning = self.plan.learning
        return [
            self.recipe("train", self.train_name, learning.train_size),
            self.recipe("validation", self.train_name, learning.valid_size),
            *(self.recipe("test", name, learning.test_size) for name in self.test_names),
        ]

    def prepare(self) -> None:
        """Generates the videos, or finds them on disk."""
        self._order = EpochOrder(self)
        recipes = self.recipes()
        require_room(self.options.cache, recipes)
        self._train, self.valid_videos = (load(self.options.cache, each) for each in recipes[:2])
        for name in self.test_names:
            self.test_videos(name)

    @functools.cache  # noqa: B019 (a task lives as long as its run)
    def test_videos(self, name: str) -> Videos:
        """The test videos of a data set."""
        return load(self.options.cache, self.recipe("test", name, self.plan.learning.test_size))

    def train_videos(self, update: int) -> Videos:
        """The training videos of an update, (B, ...)."""
        # A sorted order of sequences reads the file forwards.
        return self._train[np.sort(self._order.indices(update))]


def as_frames(videos: Videos) -> Tensor:
    """Videos (B, T, Y, X) or (B, T, Y, X, C) as frames (T, B, C, Y, X), still uint8."""
    with_channels = videos if videos.ndim == 5 else videos[..., np.newaxis]
    # A copy, as torch wants what it can write to and stored videos are read-only.
    return torch.from_numpy(np.array(with_channels.transpose(1, 0, 4, 2, 3), order="C"))


def unit(frames: Tensor) -> Tensor:
    """Grey levels of uint8 as numbers in [0, 1]."""
    return frames.float() / 255

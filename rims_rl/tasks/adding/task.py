"""The adding task (paper, section D.2): sum the marked numbers of a long stream.

Axes: T time, B batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rims_rl.runs.options import at_least, option
from rims_rl.tasks.adding import data as adding
from rims_rl.tasks.common_options import EmbeddingOptions, all_at_least, not_empty
from rims_rl.tasks.models import SequenceModel
from rims_rl.tasks.sampling import sampled_loss
from rims_rl.tasks.task import Batch, Task, final_rng, valid_rng


@dataclass(frozen=True)
class AddingOptions(EmbeddingOptions):
    """Options of the adding task."""

    length: int = option(50, "steps of a training stream")
    count: int = option(2, "marked numbers of a training stream")
    test_lengths: list[int] = option([200], "further lengths of the test, e.g. [200]")
    test_counts: list[int] = option([], "further numbers of marks of the test, e.g. [3, 4]")

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "count")
        at_least(self, self.count, "length")
        not_empty(self, "test_lengths")
        all_at_least(self, 1, "test_counts")
        all_at_least(self, max([self.count, *self.test_counts]), "test_lengths")


class Adding(Task[AddingOptions]):
    """Add up the marked numbers; loss and metric are the squared error."""

    name = "adding"
    summary = "add up the marked numbers of a stream; tested with longer streams"
    options_type = AddingOptions
    goal = "valid/squared_error"

    def make_model(self) -> nn.Module:
        """A linear map of number and mark, the core and a linear head on the last step."""
        size = self.options.embedding_size
        return SequenceModel(nn.Linear(2, size), size, self.plan.model, 1, last_only=True)

    def batch(self, update: int) -> Batch:
        """Fresh streams (T, B, 2) and their sums (B)."""
        options, size = self.options, self.batch_size(update)
        return _sample(size, options.length, options.count, self.train_rng(update))

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Mean squared error."""
        inputs, targets = batch
        return functional.mse_loss(model(inputs).squeeze(-1), targets)

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Squared error on streams as in training."""
        options, size = self.options, self.plan.learning.valid_size
        return {self.goal: self._error(model, options.length, options.count, size, valid_rng())}

    def test(self, model: nn.Module) -> dict[str, Any]:
        """Squared error for every length and number of marks."""
        options, size = self.options, self.plan.learning.test_size
        return {
            f"squared_error_{length}_count{count}": self._error(
                model, length, count, size, final_rng()
            )
            for length in sorted({options.length, *options.test_lengths})
            for count in sorted({options.count, *options.test_counts})
            if count <= length
        }

    def _error(
        self, model: nn.Module, length: int, count: int, size: int, rng: np.random.Generator
    ) -> float:
        return sampled_loss(self, model, size, lambda many: _sample(many, length, count, rng))


def _sample(size: int, length: int, count: int, rng: np.random.Generator) -> Batch:
    inputs, targets = adding.sample(size, length, rng, count)
    return torch.from_numpy(inputs), torch.from_numpy(targets)

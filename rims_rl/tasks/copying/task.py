"""The copying task (paper, sections 4.1 and D.1): memory over a long blank span.

Axes: T time, B batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rims_rl.runs.options import at_least, option
from rims_rl.tasks.common_options import EmbeddingOptions, all_at_least, not_empty
from rims_rl.tasks.copying import data as copying
from rims_rl.tasks.metrics import last_steps_cross_entropy
from rims_rl.tasks.models import SequenceModel
from rims_rl.tasks.sampling import sampled_loss
from rims_rl.tasks.task import Batch, Task, final_rng, valid_rng


@dataclass(frozen=True)
class CopyingOptions(EmbeddingOptions):
    """Options of the copying task."""

    span: int = option(50, "steps from the digits to the answer, in training")
    test_spans: list[int] = option([200], "further spans of the test, e.g. [200]")

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "span")
        not_empty(self, "test_spans")
        all_at_least(self, 1, "test_spans")


class Copying(Task[CopyingOptions]):
    """Reproduce ten digits after a blank span.

    The loss and the metric are the cross-entropy in nats of the last ten steps alone.
    """

    name = "copying"
    summary = "reproduce ten digits after a blank span; tested with longer spans"
    options_type = CopyingOptions
    goal = "valid/cross_entropy"

    def make_model(self) -> nn.Module:
        """An embedding of the symbols, the core and a linear head."""
        size = self.options.embedding_size
        return SequenceModel(
            nn.Embedding(copying.SYMBOLS, size),
            size,
            self.plan.model,
            copying.SYMBOLS,
            last_only=False,
        )

    def batch(self, update: int) -> Batch:
        """Fresh sequences, each (T, B)."""
        return _sample(self.batch_size(update), self.options.span, self.train_rng(update))

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy of the last ten steps."""
        inputs, targets = batch
        return last_steps_cross_entropy(model(inputs), targets, copying.DIGITS)

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Cross-entropy at the training span."""
        size = self.plan.learning.valid_size
        return {self.goal: self._cross_entropy(model, self.options.span, size, valid_rng())}

    def test(self, model: nn.Module) -> dict[str, Any]:
        """Cross-entropy at every span."""
        size = self.plan.learning.test_size
        spans = sorted({self.options.span, *self.options.test_spans})
        return {
            f"cross_entropy_{span}": self._cross_entropy(model, span, size, final_rng())
            for span in spans
        }

    def _cross_entropy(
        self, model: nn.Module, span: int, size: int, rng: np.random.Generator
    ) -> float:
        return sampled_loss(self, model, size, lambda count: _sample(count, span, rng))


def _sample(size: int, span: int, rng: np.random.Generator) -> Batch:
    inputs, targets = copying.sample(size, span, rng)
    return torch.from_numpy(inputs), torch.from_numpy(targets)

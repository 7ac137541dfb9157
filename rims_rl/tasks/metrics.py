"""The metrics of the supervised tasks, as the paper defines them.

Axes: T time, B batch, C classes, and F the remaining axes of a frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


def last_steps_cross_entropy(logits: Tensor, targets: Tensor, steps: int) -> Tensor:
    """Mean cross-entropy in nats of the last steps: (T, B, C), (T, B) -> ()."""
    return functional.cross_entropy(logits[-steps:].flatten(0, 1), targets[-steps:].flatten())


def accuracy(logits: Tensor, targets: Tensor) -> Tensor:
    """Share of targets whose logit is the largest: (..., C), (...) -> ().

    NaN where a logit is: a model that diverged has no largest one, but is right now and then.
    """
    share = (logits.argmax(-1) == targets).float().mean()
    return share.masked_fill(logits.isnan().any(), torch.nan)


def frame_bce(logits: Tensor, frames: Tensor) -> Tensor:
    """Binary cross-entropy in nats of each frame, mean over pixels and batch: (T, B, F) -> (T).

    Frames are grey values in [0, 1]; where pixels are not black or white even a perfect prediction
    has a cross-entropy above 0.
    """
    losses = functional.binary_cross_entropy_with_logits(logits, frames, reduction="none")
    return losses.flatten(1).mean(1)


@dataclass(frozen=True)
class Confusion:
    """Counts of pixels by prediction and truth; counts of batches add up."""

    true_positive: int = 0
    false_positive: int = 0
    false_negative: int = 0
    true_negative: int = 0

    @classmethod
    def of(cls, logits: Tensor, frames: Tensor) -> Confusion:
        """Counts pixels that are above one half, of the same shape."""
        predicted, true = logits > 0.0, frames > 0.5
        pairs = torch.stack([predicted & true, predicted & ~true, ~predicted & true])
        both, wrong, missed = (int(count) for count in pairs.flatten(1).sum(1))
        return cls(both, wrong, missed, true.numel() - both - wrong - missed)

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(
            self.true_positive + other.true_positive,
            self.false_positive + other.false_positive,
            self.false_negative + other.false_negative,
            self.true_negative + other.true_negative,
        )

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 1 where there is nothing to find or to miss."""
        found = 2 * self.true_positive
        return _ratio(found, found + self.false_positive + self.false_negative)

    @property
    def balanced_accuracy(self) -> float:
        """Mean of the shares of positives and of negatives that are right."""
        positives = _ratio(self.true_positive, self.true_positive + self.false_negative)
        negatives = _ratio(self.true_negative, self.true_negative + self.false_positive)
        return (positives + negatives) / 2


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 1.0

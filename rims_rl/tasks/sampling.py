"""Validation and test of tasks whose sequences are drawn anew for every batch.

Axes: B batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from rims_rl.tasks.task import Batch, Task, chunks, on_device_of, weighted_mean


def sampled_loss(
    task: Task[Any], model: nn.Module, size: int, sample: Callable[[int], Batch]
) -> float:
    """The mean loss of a task over fresh sequences.

    Args:
        task: has the loss.
        model: to evaluate.
        size: how many sequences.
        sample: draws so many sequences, B.
    """
    parts = []
    for part in chunks(size):
        count = part.stop - part.start
        parts.append((count, task.loss(model, on_device_of(model, sample(count)))))
    return float(weighted_mean(parts))

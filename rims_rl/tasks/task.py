"""All training needs to know of a task; every task of `rims_rl.tasks.registry` is one of these.

Axes: T time, B batch.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rims_rl.tasks.cores import check_core
from rims_rl.tasks.options import TaskPlan
from rims_rl.tasks.video_cache import Recipe

Options = TypeVar("Options")

#: Inputs and targets of a task, each with the sequences in its second axis or its only one.
Batch = tuple[Tensor, ...]

#: Cores that work step by step, and the one that needs whole sequences.
RECURRENT = ("rim", "lstm", "gru", "rmc")
SEQUENCE = (*RECURRENT, "transformer")

_TRAIN, _VALID, _TEST, _ORDER = range(4)


class Task(abc.ABC, Generic[Options]):
    """A data set, a model for it, a loss and the metrics.

    Training data depend on the seed and the update alone, so that a resumed run sees what it would
    have seen. Validation and test data are the same in all runs of a task.

    Attributes:
        name: on the command line.
        summary: one line for the help.
        options_type: the dataclass of the task's own options.
        cores: those that can do it.
        goal: the validation metric that chooses the best model.
        larger_is_better: whether the goal is to be large.

    Args:
        plan: of the run.

    Raises:
        UsageError: the core cannot do this task.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    options_type: ClassVar[type]
    cores: ClassVar[tuple[str, ...]] = SEQUENCE
    goal: ClassVar[str]
    larger_is_better: ClassVar[bool] = False

    def __init__(self, plan: TaskPlan[Options]) -> None:
        check_core(plan.model, self.name, self.cores)
        self.plan = plan
        self.options = plan.options

    def recipes(self) -> list[Recipe]:
        """The data sets that `prepare` generates where the disk does not have them."""
        return []

    def prepare(self) -> None:
        """Loads the data, before the run leaves a trace on disk.

        Raises:
            UsageError: they cannot be had; the message says what would work.
        """

    @property
    def train_size(self) -> int:
        """Training sequences of an epoch."""
        return self.plan.learning.train_size

    @property
    def updates_per_epoch(self) -> int:
        """Updates of an epoch, the last of which may have fewer sequences."""
        return -(-self.train_size // self.plan.learning.batch_size)

    @abc.abstractmethod
    def make_model(self) -> nn.Module:
        """A fresh model."""

    @abc.abstractmethod
    def batch(self, update: int) -> Batch:
        """The sequences of an update, counted from 0 over the whole run."""

    @abc.abstractmethod
    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The loss that training minimises, a scalar."""

    @abc.abstractmethod
    def validate(self, model: nn.Module) -> dict[str, float]:
        """Metrics after an epoch by name; `goal` is one of them."""

    @abc.abstractmethod
    def test(self, model: nn.Module) -> dict[str, Any]:
        """Metrics of the best model by name, numbers or lists of them."""

    def batch_size(self, update: int) -> int:
        """Sequences of an update."""
        size = self.plan.learning.batch_size
        return min(size, self.train_size - update % self.updates_per_epoch * size)

    def train_rng(self, update: int) -> np.random.Generator:
        """The random generator of an update."""
        return np.random.default_rng([_TRAIN, self.plan.run.seed, update])


class EpochOrder:
    """Shuffles stored training sequences anew in every epoch.

    Args:
        task: with its sizes and its seed.
    """

    def __init__(self, task: Task[Any]) -> None:
        self._task = task
        self._epoch = -1
        self._order: NDArray[np.int64]

    def indices(self, update: int) -> NDArray[np.int64]:
        """Indices of the sequences that an update takes, (B)."""
        epoch, position = divmod(update, self._task.updates_per_epoch)
        if epoch != self._epoch:
            rng = np.random.default_rng([_ORDER, self._task.plan.run.seed, epoch])
            self._order = rng.permutation(self._task.train_size)
            self._epoch = epoch
        start = position * self._task.plan.learning.batch_size
        return self._order[start : start + self._task.batch_size(update)]


def valid_rng() -> np.random.Generator:
    """The random generator of validation sequences, the same in all runs."""
    return np.random.default_rng([_VALID])


def final_rng() -> np.random.Generator:
    """The random generator of test sequences, the same in all runs."""
    return np.random.default_rng([_TEST])


def chunks(size: int, most: int = 128) -> Iterator[slice]:
    """Cuts so many sequences into batches for evaluation, of so many at most."""
    return (slice(at, min(at + most, size)) for at in range(0, size, most))


def on_device_of(model: nn.Module, batch: Batch) -> Batch:
    """A batch where the model's weights are."""
    device = next(model.parameters()).device
    return tuple(tensor.to(device) for tensor in batch)


def weighted_mean(parts: Iterable[tuple[int, Tensor]]) -> Tensor:
    """Mean of the batches' means, each with the number of its sequences; in float64."""
    counts, values = zip(*parts, strict=True)
    weights = torch.tensor(counts, dtype=torch.float64)
    stacked = torch.stack([value.detach().cpu().double() for value in values])
    mean: Tensor = torch.tensordot(weights, stacked, dims=1) / weights.sum()
    return mean

"""Files on disk that a run of a task goes on from: weights, optimizer and progress."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from rims_rl.runs.errors import UsageError
from rims_rl.runs.files import write_atomically


@dataclass(frozen=True)
class TaskFacts:
    """The facts that a run knows beside its model.

    Attributes:
        updates: done so far.
        loss_sum: of the updates of the epoch that is not over.
        loss_count: their number.
        best: best value of the task's goal so far, None before the first epoch's end.
        best_epoch: where it was, counted from 1.
        seconds: of training and validation so far.
        wandb_id: the run's id at Weights & Biases, None when not tracked.
    """

    updates: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    best: float | None = None
    best_epoch: int | None = None
    seconds: float = 0.0
    wandb_id: str | None = None

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> TaskFacts:
        """That of a checkpoint."""
        return cls(**{field.name: facts[field.name] for field in dataclasses.fields(cls)})


#: What a checkpoint of a task says.
FACTS = tuple(field.name for field in dataclasses.fields(TaskFacts))


def save_state(model: nn.Module, optimizer: Optimizer, path: Path) -> None:
    """Saves weights and the optimizer's state."""
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)


def save_weights(model: nn.Module, file: Path) -> None:
    """Saves a model's weights so that the file holds either the old or the new, never half."""
    state = {"model": model.state_dict()}
    write_atomically(file, lambda path: torch.save(state, path))


def load_weights(file: Path, model: nn.Module, optimizer: Optimizer | None = None) -> None:
    """Puts saved weights, and the optimizer's state if asked for, back.

    Raises:
        UsageError: the file is missing or damaged, or holds another model.
    """
    try:
        state: Mapping[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UsageError(f"no such model: {file}") from None
    except Exception as error:  # torch.load has no type of its own for a damaged file
        reason = textwrap.shorten(str(error), 100, placeholder=" ...")
        raise UsageError(f"{file} cannot be read as a model: {reason}") from None
    try:
        model.load_state_dict(state["model"])
        if optimizer is not None:
            optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, KeyError, ValueError, TypeError) as error:
        reason = textwrap.shorten(str(error).partition("\n")[2] or str(error), 160)
        raise UsageError(f"{file} is a checkpoint of another model: {reason}") from None

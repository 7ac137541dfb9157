"""Files on disk that a run of a task goes on from: weights, optimizer and progress."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from rims_rl.runs.checkpoints import Facts
from rims_rl.runs.errors import UsageError
from rims_rl.runs.files import write_atomically


@dataclass(frozen=True, kw_only=True)
class TaskFacts(Facts):
    """The facts that a run of a task knows beside its model.

    Attributes:
        updates: done so far.
        loss_sum: of the updates of the epoch that is not over.
        loss_count: their number.
        best: best value of the task's goal so far, None before the first epoch's end.
        best_epoch: where it was, counted from 1.
        seconds: of training and validation so far.
    """

    updates: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    best: float | None = None
    best_epoch: int | None = None
    seconds: float = 0.0


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

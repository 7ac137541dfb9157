"""The results of a run: what figures and tables read, beside the trained model itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rims_rl.runs.errors import UsageError, warn
from rims_rl.runs.files import finite, write_text
from rims_rl.runs.folder import BEST_MODEL, CONFIG, RESULTS, describe_environment
from rims_rl.tasks.checkpoints import TaskFacts, load_weights
from rims_rl.tasks.models import param_count
from rims_rl.tasks.parser import read_stored, resumed_plan
from rims_rl.tasks.registry import make_task
from rims_rl.tasks.task import Task


@dataclass(frozen=True)
class TrainedTask:
    """A trained model with the task that it was trained on.

    Attributes:
        task: with its plan; call its `prepare` before using its data.
        model: in evaluation mode.
    """

    task: Task[Any]
    model: nn.Module


def write_results(
    folder: Path, task: Task[Any], model: nn.Module, progress: TaskFacts
) -> dict[str, Any]:
    """Tests a run's best model and writes ``results.json``.

    Args:
        folder: of the run.
        task: trained on.
        model: the best one.
        progress: of the run.

    Returns:
        The test metrics.
    """
    model.eval()
    with torch.no_grad():
        metrics = task.test(model)
    results = {
        "task": task.name,
        "model": task.plan.label(),
        "quick": task.plan.quick,
        "metrics": metrics,
        "best": {"epoch": progress.best_epoch, task.goal: progress.best},
        "param_count": param_count(model),
        "updates": progress.updates,
        "seconds": round(progress.seconds, 1),
        "config": task.plan.flat(),
        "environment": describe_environment(),
    }
    if lost := [name for name, value in metrics.items() if finite(value) != value]:
        warn(f"not finite in the test: {', '.join(lost)}")
    write_text(folder / RESULTS, json.dumps(finite(results), indent=2, allow_nan=False) + "\n")
    return metrics


def load_trained_task(folder: Path) -> TrainedTask:
    """Loads the best model of a run, on the CPU.

    Args:
        folder: of the run.

    Raises:
        UsageError: there is no such run or model, or it cannot be read.
    """
    if not (folder / CONFIG).is_file():
        raise UsageError(f"{folder} holds no run of a task (it has no {CONFIG})")
    task = make_task(resumed_plan(read_stored(folder / CONFIG), {}))
    model = task.make_model()
    load_weights(folder / BEST_MODEL, model)
    return TrainedTask(task, model.eval())

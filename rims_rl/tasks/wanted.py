"""Models of the tasks as experiments want them, and as they find them again."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from rims_rl.core.config import RIMConfig
from rims_rl.experiments.store import Runs, StoredRun, Wanted
from rims_rl.tasks import parser
from rims_rl.tasks.options import TaskPlan
from rims_rl.tasks.results import TrainedTask, load_trained_task
from rims_rl.tasks.trainee import TASK_RUNS


def wanted(
    task: str,
    options: Mapping[str, Any] | None = None,
    quick: Mapping[str, Any] | None = None,
) -> Wanted:
    """A model of a task.

    Args:
        task: its name.
        options: that differ from the task's preset, which has the paper's settings.
        quick: what ``--quick`` changes further, over the task's quick preset.
    """
    return Wanted(TASK_RUNS, {"task": task, **(options or {})}, {"quick": True, **(quick or {})})


def fewer_units(task: str, options: Mapping[str, Any]) -> dict[str, int]:
    """The units of ``--quick`` for a model: the same share as the task's presets have.

    Args:
        task: its name.
        options: of the model, ``hidden_size`` among them.
    """
    few, many = (parser.read_preset(name)["hidden_size"] for name in (f"{task}-quick", task))
    rims = options.get("num_rims", RIMConfig.num_rims)
    return {"hidden_size": rims * round(options["hidden_size"] * few / many / rims)}


def planned(runs: Runs, model: Wanted) -> TaskPlan[Any]:
    """The settings of a model, with its first seed."""
    return cast(TaskPlan[Any], runs.job(model, runs.seeds[0]).plan)


def plan_of(run: StoredRun) -> TaskPlan[Any]:
    """The settings of a run."""
    return cast(TaskPlan[Any], run.plan)


def load_trained_run(run: StoredRun) -> TrainedTask:
    """The best model of a run and its task, on the CPU."""
    return _load(run.folder)


@functools.lru_cache(maxsize=8)
def _load(folder: Path) -> TrainedTask:
    return load_trained_task(folder)

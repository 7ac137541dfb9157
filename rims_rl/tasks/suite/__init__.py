"""The supervised tasks by name, one file each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rims_rl.tasks.config import TaskConfig
from rims_rl.tasks.suite.adding import Adding
from rims_rl.tasks.suite.balls import Balls
from rims_rl.tasks.suite.copying import Copying
from rims_rl.tasks.suite.mnist import Mnist
from rims_rl.tasks.suite.moving_mnist import MovingMnist
from rims_rl.tasks.suite.partial_view import PartialView
from rims_rl.tasks.task import Task

_ALL: tuple[type[Task[Any]], ...] = (Copying, Adding, Mnist, Balls, PartialView, MovingMnist)

TASKS: Mapping[str, type[Task[Any]]] = {task.name: task for task in _ALL}

__all__ = ["TASKS", "make_task"]


def make_task(config: TaskConfig[Any]) -> Task[Any]:
    """The task of a configuration; its data are not loaded yet."""
    return TASKS[config.task](config)

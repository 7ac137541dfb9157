"""The supervised tasks by name, one folder each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rims_rl.tasks.adding.task import Adding
from rims_rl.tasks.balls.task import Balls
from rims_rl.tasks.copying.task import Copying
from rims_rl.tasks.mnist.task import Mnist
from rims_rl.tasks.moving_mnist.task import MovingMnist
from rims_rl.tasks.options import TaskPlan
from rims_rl.tasks.partial_view.task import PartialView
from rims_rl.tasks.task import Task

_ALL: tuple[type[Task[Any]], ...] = (Copying, Adding, Mnist, Balls, PartialView, MovingMnist)

TASKS: Mapping[str, type[Task[Any]]] = {task.name: task for task in _ALL}

__all__ = ["TASKS", "make_task"]


def make_task(plan: TaskPlan[Any]) -> Task[Any]:
    """The task of a plan; its data are not loaded yet."""
    return TASKS[plan.task](plan)

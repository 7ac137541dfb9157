"""Comparison of what a core sees: all at once, the places of a grid, the last action too."""

from __future__ import annotations

from collections.abc import Mapping

from rims_rl.experiments.figure import Drawing, Figure
from rims_rl.experiments.store import Runs
from rims_rl.published.cores import LSTM, NARROW, NARROW_RIM, Options
from rims_rl.published.learning import LearningTask, draw, learned, task_table
from rims_rl.published.object_picking import SMALL

_LAST_ACTION: Options = {"observe_last_action": True}
#: By the names under which their results stand.
INPUTS: Mapping[str, Options] = {
    NARROW_RIM: NARROW,
    "RIM, last action and reward": {**NARROW, **_LAST_ACTION},
    "RIM, places": {**NARROW, "spatial_input": True},
    LSTM: {"core": "lstm"},
    "LSTM, last action and reward": {"core": "lstm", **_LAST_ACTION},
}
INPUT_TASKS: Mapping[str, LearningTask] = {
    "object picking, small": LearningTask(SMALL, INPUTS),
    "MinAtar Breakout": LearningTask(
        {"env": "MinAtar/Breakout-v1", "total_timesteps": 500_000}, INPUTS
    ),
}


def _inputs(runs: Runs) -> Drawing:
    """Every task with every kind of input."""
    results = learned(runs, INPUT_TASKS)
    tables = [task_table(name, INPUT_TASKS[name], cores) for name, cores in results.items()]
    picture = draw(results, INPUT_TASKS, list(INPUTS))
    return Drawing(picture, {"tasks": results}, markdown="\n\n".join(tables))


FIGURES = (Figure("inputs", "what the core sees: the last action, the places of a grid", _inputs),)

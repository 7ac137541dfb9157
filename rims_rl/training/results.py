"""The results of a run of an agent: what comparisons read, a few kilobytes beside its tables."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rims_rl.experiments.curves import window_means
from rims_rl.runs.files import write_text
from rims_rl.runs.folder import (
    EPISODES,
    PROGRESS,
    RESULTS,
    first_command,
    read_changes,
    read_environment,
)
from rims_rl.training.options import TrainPlan

#: Columns of ``progress.csv``: agent steps; seconds and rollouts since the start or last resume.
STEPS, ELAPSED, ROLLOUTS = "time/total_timesteps", "time/time_elapsed", "time/iterations"
#: Windows of equal length in which episodes and metrics are averaged.
WINDOWS = 40
#: Columns of ``progress.csv`` that are kept in windows, beside how often each RIM is active.
METRICS = ("train/explained_variance", "train/entropy_loss")
ACTIVITY = "rim/active_"
#: Columns of ``progress.csv`` that are summed up over all updates.
STATISTICS = (
    "train/approx_kl",
    "train/grad_norm",
    "rim/activation_entropy",
    "rim/active_set_changes",
    "rim/active_set_changes_by_update",
    "core/largest_state",
)
#: Options that change nothing of what is learned.
NOT_LEARNED = TrainPlan.NOT_IN_IDENTITY | {"eval_every", "eval_episodes", "eval_deterministic"}
#: Columns of ``progress.csv`` of an evaluation, of which the last is kept.
EVALUATED = ("eval/mean_reward", "eval/mean_ep_length", "eval/success_rate")


def write_results(folder: Path, plan: TrainPlan, param_count: int, best: float | None) -> None:
    """Sums up a run and writes ``results.json``.

    Args:
        folder: of the run.
        plan: of the run.
        param_count: parameters of the policy.
        best: mean return of the best evaluation, None without any.
    """
    results = {
        "env": plan.env.env,
        "model": plan.label(),
        "param_count": param_count,
        **summary(folder, plan.run.total_timesteps),
        "best_evaluation": best,
        "config": all_options(folder, plan.flat()),
        "command": _command(folder),
        "environment": read_environment(folder),
    }
    write_text(folder / RESULTS, json.dumps(results) + "\n")


def all_options(folder: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """A run's options, with ``resumed_with``: those that changed on the way, if any did.

    Args:
        folder: of the run.
        options: of the whole run, as they are at its end.
    """
    constant = options.get("learning_rate_schedule") == "constant"
    same = NOT_LEARNED | ({"total_timesteps"} if constant else set())
    changes = (change for changed in read_changes(folder) for change in changed.items())
    told = [f"{name} {old} -> {new}" for name, (old, new) in changes if name not in same]
    return {**options, **({"resumed_with": ", ".join(told)} if told else {})}


def summary(folder: Path, total: int) -> dict[str, Any]:
    """The summary of a run's tables.

    Args:
        folder: of the run.
        total: agent steps of the whole run.

    Returns:
        ``timesteps`` learned from; ``windows``: the ends of `WINDOWS` windows, and means of the
        episodes that ended in each and of the metrics, by column (None where there are none);
        ``last_evaluation`` by column; ``statistics``: median, mean and largest by column.
    """
    progress = pd.read_csv(folder / PROGRESS)
    known = [column for column in EVALUATED if column in progress]
    evaluated = progress[[STEPS, *known]].dropna(subset=known[:1])
    last = evaluated.iloc[-1].to_dict() if known and len(evaluated) else None
    return {
        "timesteps": int(progress[STEPS].max()),
        "windows": windows(folder, progress, total),
        "last_evaluation": last,
        "statistics": {
            column: _summed_up(progress[column].dropna())
            for column in STATISTICS
            if column in progress
        },
    }


def windows(folder: Path, progress: pd.DataFrame, total: int) -> dict[str, list[float | None]]:
    """Means of a run's episodes and metrics in windows of equal length, see `summary`."""
    edges = np.linspace(0, total, WINDOWS + 1)
    metrics = [str(name) for name in progress if _is_metric(str(name))]
    tables = (
        (pd.read_csv(folder / EPISODES), "timesteps", ["return", "length", "success"]),
        (progress, STEPS, metrics),
    )
    columns: dict[str, list[float | None]] = {"timesteps": edges[1:].tolist()}
    for table, steps, names in tables:
        means = window_means(table, steps, names, edges)
        for name in names:
            values = means[name].to_numpy(dtype=np.float64)
            columns[name] = _rounded(values)
    hours = hours_at(progress, edges[1:])
    return columns if hours is None else {**columns, "hours": _rounded(hours)}


def _rounded(values: NDArray[np.float64]) -> list[float | None]:
    return [None if np.isnan(v) else float(f"{v:.5g}") for v in values]


def hours_at(progress: pd.DataFrame, steps: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Hours of training at some agent steps; None if no clock was logged.

    Args:
        progress: the table ``progress.csv``.
        steps: at which.
    """
    if ELAPSED not in progress:
        return None
    table = progress[[STEPS, ELAPSED, ROLLOUTS]].dropna()
    if not len(table):
        return None
    logged, elapsed, rollouts = table.to_numpy(dtype=np.float64).T
    return np.asarray(np.interp(steps, logged, running_hours(elapsed, rollouts)))


def running_hours(
    elapsed: NDArray[np.float64], rollouts: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Hours of training from the seconds that a run's clock shows; it restarts when resumed.

    Args:
        elapsed: in the order in which it was logged (num_rows,).
        rollouts: since the clock started, if known (num_rows,): after a short first part it may
            show more when it is next looked at.
    """
    passed = np.diff(elapsed, prepend=0.0)
    restarted = passed < 0
    if rollouts is not None:
        restarted |= np.diff(rollouts, prepend=0.0) <= 0
    hours: NDArray[np.float64] = np.cumsum(np.where(restarted, elapsed, passed)) / 3600
    return hours


def _command(folder: Path) -> str | None:
    """The command that began a run, less its folder, which is this machine's."""
    command = first_command(folder)
    if command is None:
        return None
    words = [word for word in shlex.split(command) if not word.startswith("--run-dir=")]
    if "--run-dir" in words:
        place = words.index("--run-dir")
        del words[place : place + 2]
    return shlex.join(words)


def _is_metric(column: str) -> bool:
    return column in METRICS or column.removeprefix(ACTIVITY).isdecimal()  # of RIM k


def _summed_up(values: pd.Series[Any]) -> dict[str, float] | None:
    if not len(values):
        return None
    return {
        "median": float(values.median()),
        "mean": float(values.mean()),
        "largest": float(values.max()),
    }

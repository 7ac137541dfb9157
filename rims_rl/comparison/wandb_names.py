"""Names that runs at Weights & Biases give things, and the record of a run that gives them."""

from __future__ import annotations

import math
import shlex
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rims_rl.comparison.record import Array, Record
from rims_rl.runs.errors import UsageError
from rims_rl.runs.options import option_names
from rims_rl.runs.wandb_log import STEP_AXIS
from rims_rl.training.options import GROUPS
from rims_rl.training.results import running_hours

#: Returns, in the order in which they are looked for: CleanRL's and ours, SB3's, evaluations'.
METRICS = ("charts/episodic_return", "rollout/ep_rew_mean", "eval/mean_reward")
#: W&B's own count of rows.
ROW_COUNT = "_step"
#: Agent steps, or rows as the last resort.
STEP_AXES = (STEP_AXIS, "time/total_timesteps", ROW_COUNT)
#: Seconds since the start, and since 1970.
CLOCKS = ("_runtime", "_timestamp")
ENV_KEYS = ("env_id", "env", "gym_id", "env_name")
CORE_KEYS = ("exp_name", "model", "algo")
#: The job type of our evaluations, which learn nothing.
EVALUATION = "eval"

#: A line of a run's history; a metric that was not logged then is missing.
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Names:
    """The names that runs give things, None for the first known name that they have.

    Attributes:
        env: key of the environment's id in the config.
        core: key of what is compared in the config.
        metric: return of an episode.
    """

    env: str | None = None
    core: str | None = None
    metric: str | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics to look for, in order."""
        return (self.metric,) if self.metric else METRICS

    def metric_in(self, logged: Container[str]) -> str | None:
        """The first of the `metrics` that a run has logged."""
        return next((name for name in self.metrics if name in logged), None)


@dataclass(frozen=True)
class Logged:
    """A run as it was read.

    Attributes:
        source: where, for people.
        config: the run's configuration.
        metric: its return.
        rows: of the history, in the order in which they were logged.
        command: that began it, if known.
        last: the newest value of all that was logged.
    """

    source: str
    config: Mapping[str, Any]
    metric: str
    rows: Sequence[Row]
    command: str | None = None
    last: Row = field(default_factory=dict)


def record_of(run: Logged, names: Names) -> Record | None:
    """The record of a run, None where its metric was never logged beside a step.

    Raises:
        UsageError: the run does not say its environment or what is compared.
    """
    axis = step_axis(run.rows, run.metric)
    rows = [row for row in run.rows if math.isfinite(number(row, run.metric) + number(row, axis))]
    if not rows:
        return None
    steps, hours = _column(rows, axis), _hours(rows)
    order = np.argsort(steps, kind="stable")
    trained = float(np.nanmax([number(row, axis) for row in (*run.rows, run.last)]))
    return Record(
        source=run.source,
        env=_said(run, "environment", names.env, ENV_KEYS, "ceik"),
        core=_said(run, "core or algorithm", names.core, CORE_KEYS, "cen"),
        seed=_whole(run.config.get("seed")),
        steps=steps[order],
        returns=_column(rows, run.metric)[order],
        total=_finite(run.config.get("total_timesteps")),
        hours=None if hours is None else hours[order],
        settings=_settings(run.config),
        parameters=_whole(run.config.get("param_count")),
        command=run.command,
        trained=trained,
    )


def step_axis(rows: Sequence[Row], metric: str) -> str:
    """The first known axis that stands beside a metric."""
    beside = [row for row in rows if metric in row]
    return next((axis for axis in STEP_AXES if any(axis in row for row in beside)), ROW_COUNT)


def number(row: Row, name: str) -> float:
    """A value of a row; NaN where it has none."""
    return _number(row.get(name))


def command_of(about: Mapping[str, Any] | None) -> str | None:
    """The command line, from what W&B notes of a run's process."""
    about = about or {}
    program = about.get("code_path") or about.get("codePath") or about.get("program")
    if not program:
        return None
    return " ".join(("python", program, shlex.join(about.get("args") or ()))).rstrip()


def _said(run: Logged, what: str, chosen: str | None, known: Sequence[str], option: str) -> str:
    keys = [chosen] if chosen else known
    for key in keys:
        if run.config.get(key) is not None:
            return str(run.config[key])
    raise UsageError(
        f"{run.source} does not say its {what}: its config has no {' or '.join(keys)} but "
        f"{listed(run.config)}; a wandb: source can name the key, as in ?{option}=KEY"
    )


def listed(names: Mapping[str, Any] | Sequence[str] | set[str], most: int = 20) -> str:
    """Names for people, without W&B's own."""
    own = sorted(name for name in names if not name.startswith("_"))
    more = f" and {len(own) - most} more" if len(own) > most else ""
    return (", ".join(own[:most]) or "nothing") + more


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """A run's options; of ours those alone that its folder has, so that both are the same."""
    ours = {"core", "param_count"} <= set(config)
    options = {name for group in GROUPS.values() for name in option_names(group)}
    return {
        key: value
        for key, value in config.items()
        if not key.startswith("_") and (key in options or not ours)
    }


def _hours(rows: Sequence[Row]) -> Array | None:
    clock = next((c for c in CLOCKS if all(math.isfinite(number(row, c)) for row in rows)), None)
    if clock is None:
        return None
    seconds = _column(rows, clock)
    return running_hours(seconds if clock == "_runtime" else seconds - seconds[0])


def _column(rows: Sequence[Row], name: str) -> Array:
    return np.array([number(row, name) for row in rows])


def _number(value: Any, default: float = math.nan) -> float:
    """A value of W&B's JSON, which writes ``"NaN"`` and ``"Infinity"`` as text."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return default


def _finite(value: Any) -> float | None:
    found = _number(value)
    return found if math.isfinite(found) else None


def _whole(value: Any) -> int | None:
    found = _finite(value)
    return None if found is None else int(found)

"""Names that runs at Weights & Biases give things, and the record of a run that gives them."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rims_rl.comparison.naming import in_todays_terms, split_off_core
from rims_rl.comparison.record import Record
from rims_rl.experiments.statistics import Array
from rims_rl.runs.errors import UsageError, listed, warn
from rims_rl.runs.options import option_names
from rims_rl.runs.wandb_log import STEP_AXIS
from rims_rl.training.options import GROUPS
from rims_rl.training.results import STEPS, running_hours

#: CleanRL's return and ours.
OURS = "charts/episodic_return"
#: Returns, in the order in which they are looked for, and how they are made.
METRICS = {
    OURS: "of one episode",
    "rollout/ep_rew_mean": "a mean of the last 100 episodes",  # SB3's
    "eval/mean_reward": "a mean of episodes of an evaluation",
}
#: W&B's own count of rows.
ROW_COUNT = "_step"
#: Agent steps, or rows as the last resort.
STEP_AXES = (STEP_AXIS, STEPS, ROW_COUNT)
#: Seconds since the start, and since 1970.
CLOCKS = ("_runtime", "_timestamp")
ENV_KEYS = ("env_id", "env", "gym_id", "env_name")
CORE_KEYS = ("exp_name", "model", "algo")
#: The job type of our evaluations, which learn nothing.
EVALUATION_JOB = "eval"
#: Of W&B's callback for SB3, which logs all that a model has: they differ from run to run.
_OF_CALLBACK = frozenset(("start_time", "tensorboard_log", "run_name", "log_dir"))
#: The text of an object without one of its own, such as ``<...DummyVecEnv object at 0x7f...>``.
_OBJECT = re.compile(r" at 0x[0-9a-fA-F]+>")

#: How many of the runs that are left out are told.
_TOLD = 3

#: A line of a run's history; a metric that was not logged then is missing.
Row = Mapping[str, Any]


class NoRecordError(UsageError):
    """A run says too little of itself to be compared."""


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
        return (self.metric,) if self.metric else tuple(METRICS)

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


def record_of(run: Logged, names: Names) -> Record:
    """The record of a run.

    Raises:
        NoRecordError: the run does not say its environment or what is compared, or its metric was
            never logged beside a step.
    """
    axis = step_axis(run.rows, run.metric)
    rows = [row for row in run.rows if math.isfinite(number(row, run.metric) + number(row, axis))]
    if not rows:
        raise NoRecordError(f"{run.source} has no {run.metric} beside its steps")
    steps, hours = _column(rows, axis), _hours(rows)
    order = np.argsort(steps, kind="stable")
    trained = float(np.nanmax([number(row, axis) for row in (*run.rows, run.last)]))
    label, settings = split_off_core(_settings(run.config))
    if label is None or names.core is not None:
        label = _said(run, "core or algorithm", names.core, CORE_KEYS, "cen")
        if names.core is None and _is_ours(run.config):
            label, settings = in_todays_terms(label, settings, run.config)
    return Record(
        source=run.source,
        env=_said(run, "environment", names.env, ENV_KEYS, "ceik"),
        label=label,
        seed=_whole(run.config.get("seed")),
        steps=steps[order],
        returns=_column(rows, run.metric)[order],
        total=_finite(run.config.get("total_timesteps")),
        hours=None if hours is None else hours[order],
        settings=settings,
        param_count=_whole(run.config.get("param_count")),
        command=run.command,
        trained=trained,
        notes=[*_notes(run, names, axis)],
    )


def readable(readers: Iterable[Callable[[], Record]], needed: bool = True) -> list[Record]:
    """The records of the runs that have one; the others are told.

    Args:
        readers: each reads a run, or raises `NoRecordError`.
        needed: whether there must be one.

    Raises:
        NoRecordError: none has a record, though one is needed.
    """
    records, refused = [], []
    for read in readers:
        try:
            records.append(read())
        except NoRecordError as error:
            refused.append(error)
    if needed and refused and not records:
        raise refused[0]
    if refused:
        more = f"; and {len(refused) - _TOLD} more" if len(refused) > _TOLD else ""
        warn(f"left out: {'; '.join(map(str, refused[:_TOLD]))}{more}")
    return records


def _notes(run: Logged, names: Names, axis: str) -> Iterator[str]:
    """Tells where the numbers may not be those of other runs."""
    if axis == ROW_COUNT:
        yield "no agent steps were logged: the rows of the log are taken for them"
    if names.metric is None and run.metric != OURS:
        yield f"the return is {run.metric}, {METRICS[run.metric]}"


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
        if run.config.get(key) is not None and not _is_object(run.config[key]):
            return str(run.config[key])
    raise NoRecordError(
        f"{run.source} does not say its {what}: its config has no {' or '.join(keys)} but "
        f"{listed(own(run.config))}; a wandb: source can name the key, as in ?{option}=KEY"
    )


def own(names: Iterable[str]) -> Iterator[str]:
    """Names less W&B's own."""
    return (name for name in names if not name.startswith("_"))


def _is_object(value: Any) -> bool:
    """Tells whether a value is the text of an object, such as the lines of a network's layers."""
    return isinstance(value, str) and ("\n" in value or _OBJECT.search(value) is not None)


def _is_ours(config: Mapping[str, Any]) -> bool:
    """Tells whether `rims_rl.train` made a run."""
    return {"core", "param_count"} <= set(config)


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """A run's options; of ours those alone that its folder has, so that both are the same."""
    ours = _is_ours(config)
    options = {name for group in GROUPS.values() for name in option_names(group)}
    return {
        key: config[key]
        for key in own(config)
        if (key in options if ours else key not in _OF_CALLBACK and not _is_object(config[key]))
    }


def _hours(rows: Sequence[Row]) -> Array | None:
    clock = next((c for c in CLOCKS if all(math.isfinite(number(row, c)) for row in rows)), None)
    if clock is None:
        return None
    seconds = _column(rows, clock)
    return running_hours(seconds if clock == "_runtime" else seconds - seconds[0])


def _column(rows: Sequence[Row], name: str) -> Array:
    return np.array([number(row, name) for row in rows])


def _number(value: Any) -> float:
    """A value of W&B's JSON, which writes ``"NaN"`` and ``"Infinity"`` as text."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _finite(value: Any) -> float | None:
    found = _number(value)
    return found if math.isfinite(found) else None


def _whole(value: Any) -> int | None:
    found = _finite(value)
    return None if found is None else int(found)

"""Runs at Weights & Biases, ours and others'."""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Callable, Iterable, Sequence, Sized
from typing import Any, TypeVar

import wandb

from rims_rl.comparison.record import Record
from rims_rl.comparison.wandb_names import (
    CLOCKS,
    EVALUATION_JOB,
    ROW_COUNT,
    STEP_AXES,
    Logged,
    Names,
    Row,
    command_of,
    own,
    readable,
    record_of,
)
from rims_rl.comparison.wandb_source import KEYS, Source, parse_source
from rims_rl.runs.errors import UsageError, did_you_mean, listed, warn
from rims_rl.runs.wandb_run import logged_in

#: Seconds to wait for an answer of the server.
TIMEOUT = 60
#: How many runs are looked at to say what a project has.
_GLANCE = 50

_Result = TypeVar("_Result")


def read_wandb(spec: str) -> list[Record]:
    """The runs of a project that have a return.

    Args:
        spec: ``wandb:ENTITY/PROJECT``, with a filter as openrlbenchmark has it:
            ``?ceik=`` and ``?cen=`` name the keys of the environment and of what is compared in
            the runs' config, ``?metric=`` the return; ``tag=``, ``group=``, ``state=`` and any key
            of the config keep the runs that have such a value. A key given twice allows both
            values, a tag given twice asks for both.

    Raises:
        UsageError: nothing can be read; the message says why.
    """
    source = parse_source(spec)
    api = _connect()
    runs = _training(_listed(api, source, source.query()))
    if not runs:
        raise UsageError(_why_none(api, source))
    metrics = {run: source.names.metric_in(_metrics(run)) for run in runs}
    wanted = " or ".join(source.names.metrics)
    if not any(metrics.values()):
        had = {name for run in runs for name in own(_metrics(run))}
        raise UsageError(f"{source.path}: no run has {wanted}; they have {listed(had)}")
    if others := [run.id for run, metric in metrics.items() if metric is None]:
        warn(f"{source.path}: left out, as they have no {wanted}: {listed(others)}")
    return readable(
        functools.partial(_record, run, metric, source.names)
        for run, metric in metrics.items()
        if metric is not None
    )


def _connect() -> wandb.Api:
    if not logged_in():  # W&B would ask for a key where there is a terminal
        raise UsageError("not logged in to Weights & Biases: run `wandb login` first")
    try:
        return wandb.Api(timeout=TIMEOUT)
    except Exception as error:  # W&B's errors have nothing in common
        raise UsageError(
            f"Weights & Biases cannot be reached or refuses the key: {error}"
        ) from None


def _listed(
    api: wandb.Api, source: Source, query: dict[str, Any], most: int | None = None
) -> list[Any]:
    try:
        runs = api.runs(source.path, filters=query, lazy=False)
        return list(itertools.islice(runs, most))
    except Exception as error:  # W&B's errors have nothing in common
        if str(error).startswith("Could not find project"):
            raise UsageError(
                f"{source.path} is no project at Weights & Biases, or you may not see it"
            ) from None
        raise UsageError(f"Weights & Biases does not list {source.path}: {error}") from None


def _training(runs: Iterable[Any]) -> list[Any]:
    return [run for run in runs if getattr(run, "job_type", None) != EVALUATION_JOB]


def _record(run: Any, metric: str, names: Names) -> Record:
    rows = _history(run, metric)
    command = run.config.get("command") or command_of(_in_time(run, lambda: run.metadata))
    logged = Logged(run.url, run.config, metric, rows, command, run.summary_metrics)
    return record_of(logged, names)


def _metrics(run: Any) -> set[str]:
    keys = (getattr(run, "history_keys", None) or {}).get("keys", {})
    return {*keys, *run.summary_metrics}


def _history(run: Any, metric: str) -> Sequence[Row]:
    """Rows with a metric, a step axis and a clock; W&B gives those alone that have all of them."""
    known = {*_metrics(run), ROW_COUNT}
    clocks = [[name] for name in CLOCKS if name in known]
    axes = [axis for axis in STEP_AXES if axis in known]
    for axis, clock in itertools.product(axes, [*clocks, []]):
        rows: list[Row] = []
        # W&B's reader of stored histories wants its own count of rows among the keys.
        keys = list(dict.fromkeys((metric, axis, *clock, ROW_COUNT)))
        _in_time(run, functools.partial(_read, run, keys, rows), rows)
        if rows:
            return rows
    return []


def _read(run: Any, keys: list[str], rows: list[Row]) -> None:
    for row in run.scan_history(keys=keys):
        rows.append(row)


def _in_time(run: Any, work: Callable[[], _Result], progress: Sized = ()) -> _Result:
    """Does some work for as long as it comes forward.

    W&B's client waits for a history or a file without a limit, so it waits on a thread of its own.
    """
    results: list[_Result] = []
    errors: list[Exception] = []

    def attempt() -> None:
        try:
            results.append(work())
        except Exception as error:  # W&B's errors have nothing in common
            errors.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    before = -1
    while thread.is_alive():
        if len(progress) == before:
            raise UsageError(f"{run.url}: Weights & Biases sent nothing for {TIMEOUT} seconds")
        before = len(progress)
        thread.join(TIMEOUT)
    if errors:
        raise UsageError(f"{run.url} cannot be read: {errors[0]}")
    return results[0]


def _why_none(api: wandb.Api, source: Source) -> str:
    """Why a filter leaves no run."""
    runs = _training(_listed(api, source, {}, _GLANCE))
    if not runs:
        return f"{source.path} has no runs"
    keys = {key for run in runs for key in run.config}
    for key in source.config:
        if key not in keys:
            hint = did_you_mean(key, [*KEYS, *keys])
            return f"{source.path}: no run's config has {key}; they have {listed(own(keys))}{hint}"
    return f"{source.path} has no run with {source.filters()}"

"""Runs in the local logs of Weights & Biases, written without a connection or beside one."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rims_rl.comparison.folders import is_run
from rims_rl.comparison.record import Record
from rims_rl.comparison.wandb_names import (
    EVALUATION_JOB,
    ROW_COUNT,
    Logged,
    Names,
    NoRecordError,
    Row,
    command_of,
    number,
    own,
    readable,
    record_of,
    step_axis,
)
from rims_rl.runs.errors import UsageError, listed
from rims_rl.runs.wandb_log import UnreadableLogError, log_records

#: In ``offline-run-DATE_TIME-ID`` or, of a run that was online, ``run-DATE_TIME-ID``.
_LOGS = "*run-*/run-*.wandb"


@dataclass
class _Part:
    """The content of a log; a resumed run has several logs."""

    config: dict[str, Any] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)
    job_type: str | None = None

    def add(self, kind: str, content: dict[str, Any]) -> None:
        """Takes in a record of the log."""
        if kind == "history":
            self.rows.append(content["item"])
        elif kind == "environment":
            self.about |= content
        elif kind in ("run", "config"):
            config = content if kind == "config" else content.get("config", {})
            self.config |= config.get("update", {})
            self.job_type = content.get("job_type", self.job_type)


def read_offline(folder: Path, needed: bool = True) -> list[Record]:
    """All runs in a folder, at any depth, that W&B logged with a return.

    What lies in a run folder of ours is not read: that folder says it all.

    Args:
        folder: with ``offline-run-*`` folders somewhere in it.
        needed: whether one of its logs, if it has any, must be that of an agent.

    Raises:
        UsageError: a log cannot be read, or none says what it is of though one is needed.
    """
    runs = {logs[0]: [_read(log) for log in logs] for logs in _logs(folder).values()}
    trained = {log: parts for log, parts in runs.items() if parts[0].job_type != EVALUATION_JOB}
    readers = (
        functools.partial(_of_parts, str(log.parent), parts) for log, parts in trained.items()
    )
    return readable(readers, needed)


def _logs(folder: Path) -> dict[str, list[Path]]:
    """Logs by the run's id, in the order of time; a copy of a log counts once."""
    found: dict[str, dict[str, Path]] = defaultdict(dict)
    for log in folder.rglob(_LOGS) if not _is_log(folder) else folder.glob("run-*.wandb"):
        if not any(map(is_run, _between(log, folder))):
            found[log.stem][_time(log)] = log
    return {name: [logs[time] for time in sorted(logs)] for name, logs in sorted(found.items())}


def _is_log(folder: Path) -> bool:
    return any(folder.glob("run-*.wandb"))


def _time(log: Path) -> str:
    return log.parent.name.removeprefix("offline-")


def _between(log: Path, folder: Path) -> Iterable[Path]:
    """The folders above a log, up to the one that was asked for."""
    return (parent for parent in log.parents if parent.is_relative_to(folder))


def _of_parts(source: str, parts: Sequence[_Part]) -> Record:
    rows = [row for part in parts for row in part.rows]
    logged = {name for row in rows for name in row}
    metric = Names().metric_in(logged)
    if metric is None:
        wanted = " or ".join(Names().metrics)
        raise NoRecordError(f"{source} has no {wanted}; it has {listed(own(logged))}")
    config = {key: value for part in parts for key, value in part.config.items()}
    joined = _joined([part.rows for part in parts], step_axis(rows, metric))
    return record_of(Logged(source, config, metric, joined, command_of(parts[0].about)), Names())


def _read(log: Path) -> _Part:
    part = _Part()
    try:
        for record in log_records(log):
            part.add(record["type"], record.get(record["type"], {}))
    except (UnreadableLogError, KeyError):
        raise UsageError(f"{log} cannot be read as a log of Weights & Biases") from None
    return part


def _joined(parts: Sequence[Sequence[Row]], axis: str) -> list[Row]:
    """The rows of all parts; what a killed part logged beyond where the next began is dropped.

    W&B's own count of rows starts again in each part: nothing can be dropped by that.
    """
    rows: list[Row] = []
    for part in parts:
        steps = [number(row, axis) for row in part if axis in row]
        if steps and axis != ROW_COUNT:
            rows = [row for row in rows if not number(row, axis) >= steps[0]]
        rows += part
    return rows

"""All that a comparison knows of a run, wherever it was read."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from rims_rl.experiments.statistics import Array
from rims_rl.runs.errors import UsageError


@dataclass(frozen=True, eq=False)
class Record:
    """The returns of a run while it learned.

    Attributes:
        source: where it was read, for people.
        env: environment's id.
        label: of what is compared, such as the core with its sizes.
        seed: of the run; None if it does not say.
        steps: agent steps at which episodes ended, in order (num_episodes,).
        returns: of those episodes, unclipped (num_episodes,).
        total: agent steps that it was to learn from; None if it does not say.
        trained: agent steps that it learned from; those of its last episode's end if None.
        exact: whether these are known to the step.
        notes: what a reader must know of it, without its source.
        hours: since its start, at the same episodes (num_episodes,); None if it does not say.
        settings: its options by name.
        param_count: number of its weights.
        command: that began it.
    """

    source: str
    env: str
    label: str
    seed: int | None
    steps: Array
    returns: Array
    total: float | None
    hours: Array | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    param_count: int | None = None
    command: str | None = None
    trained: float | None = None
    exact: bool = False
    notes: Sequence[str] = ()

    @property
    def reached(self) -> float:
        """Agent steps that it got to."""
        last = float(self.steps[-1]) if len(self.steps) else 0.0
        return last if self.trained is None else self.trained

    @property
    def length(self) -> float:
        """Agent steps up to which it can be compared."""
        return self.reached if self.total is None else self.total


def whole_rows(file: Path, columns: Sequence[str], skip: int = 0) -> pd.DataFrame:
    """The rows of a CSV file, less the last one if it was cut off while it was written.

    Args:
        file: to read.
        columns: that must be numbers; the file may have others.
        skip: lines before the columns' names.

    Raises:
        UsageError: it is no such file, or a row in its middle is damaged.
    """
    try:
        whole, _, _ = file.read_bytes().rpartition(b"\n")
        table = pd.read_csv(io.BytesIO(whole), skiprows=skip)
    except (OSError, ValueError) as error:
        reason = f"{error}".partition("\n")[0]
        raise UsageError(f"{file} cannot be read: {reason}") from None
    if lacking := [name for name in columns if name not in table]:
        raise UsageError(f"{file} cannot be read: it lacks the columns {', '.join(lacking)}")
    numbers = table[list(columns)].apply(pd.to_numeric, errors="coerce")
    damaged = numbers.isna().any(axis=1)
    if damaged.any():
        line = int(damaged.to_numpy().argmax()) + skip + 2
        raise UsageError(f"{file} cannot be read: line {line} is damaged")
    read: pd.DataFrame = table.assign(**numbers)
    return read

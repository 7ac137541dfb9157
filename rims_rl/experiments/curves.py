"""Curves of several runs that differ in their seed: interquartile means in bootstrap intervals.

Axes: N seeds, X points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rims_rl.experiments.statistics import Array, bootstrap_interval, interquartile_mean
from rims_rl.runs.folder import PROGRESS

#: Parts of a training, the last of which is its end.
TENTHS = 10


@dataclass(frozen=True)
class Curve:
    """One quantity over the course of several runs, or over anything else.

    Attributes:
        x: of the points (X), such as the ends of windows of training.
        values: of each seed (N, X); NaN where a run has nothing.
        label: for a legend.
        colour: of the line; the next of Matplotlib's cycle if None.
        dashes: of the line, in Matplotlib's words.
    """

    x: Sequence[float] | Array
    values: Array
    label: str = ""
    colour: str | None = None
    dashes: str = "-"

    def center(self) -> Array:
        """Interquartile mean over seeds (X); NaN where no run has anything."""
        return np.array([interquartile_mean(c) if c.size else np.nan for c in self._columns()])

    def interval(self) -> tuple[Array, Array]:
        """95% bootstrap interval of `center`, two of (X); NaN where there is a single value."""
        nothing = [np.nan, np.nan]
        bounds = [
            bootstrap_interval(column, interquartile_mean) or nothing for column in self._columns()
        ]
        low, high = np.array(bounds).T
        return low, high

    def mean_over(self, points: slice) -> list[float]:
        """Mean over some points for each seed (N)."""
        means: list[float] = self.values[:, points].mean(axis=1).tolist()
        return means

    def numbers(self) -> dict[str, Any]:
        """The values behind the line, as JSON can hold them; no interval for a single seed."""
        is_alone = len(self.values) == 1
        return {
            "x": list(self.x),
            "center": self.center().tolist(),
            "interval": None if is_alone else [bound.tolist() for bound in self.interval()],
            "by_seed": self.values.tolist(),
        }

    def _columns(self) -> list[Array]:
        return [column[~np.isnan(column)] for column in self.values.T]


def window_means(
    table: pd.DataFrame, steps: str, columns: Sequence[str], edges: Array
) -> pd.DataFrame:
    """The means of some columns of a run's table in windows (num_windows x num_columns).

    Args:
        table: rows in the order of their steps.
        steps: the column that says when a row was.
        columns: to average; NaN in windows without rows.
        edges: of the windows (num_windows + 1,), each of which includes its end, and the first
            its beginning.
    """
    window = pd.cut(table[steps], list(edges), labels=False, include_lowest=True)
    means = table.groupby(window)[list(columns)].mean()
    whole: pd.DataFrame = means.reindex(range(len(edges) - 1))
    return whole


def in_tenths(values: Sequence[float | None]) -> list[float | None]:
    """Means of a quantity over the tenths of a training.

    Args:
        values: its means in windows, a multiple of ten; None where there is none.

    Returns:
        The mean of the windows of each tenth that have one; None where none has.
    """
    tenths = np.array(values, dtype=float).reshape(TENTHS, -1)
    known = [row[~np.isnan(row)] for row in tenths]
    return [float(row.mean()) if len(row) else None for row in known]


def at_the_end(values: Sequence[float | None]) -> float:
    """The mean of the last tenth of `values`, see `in_tenths`, or of the last one that has any."""
    known = (value for value in reversed(in_tenths(values)) if value is not None)
    return next(known, math.nan)


def first_at(
    level: float, x: Sequence[float] | Array, values: Sequence[float | None] | Array
) -> float | None:
    """The x at which values first reach a level; None where they never do.

    Args:
        level: to reach.
        x: of the values, such as the ends of windows.
        values: None or NaN where there is nothing.
    """
    reached = np.flatnonzero(np.array(values, dtype=float) >= level)
    return float(x[reached[0]]) if reached.size else None


def progress_values(run: Path, column: str) -> Array:
    """The values of a quantity in ``progress.csv``, rows without it left out."""
    table = pd.read_csv(run / PROGRESS)
    if column not in table:
        return np.array([])
    return table[column].dropna().to_numpy(dtype=np.float64)

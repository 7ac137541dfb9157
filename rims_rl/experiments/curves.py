"""Learning curves of stored runs: interquartile means over seeds, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rims_rl.experiments.statistics import bootstrap_interval, interquartile_mean
from rims_rl.runs.folder import PROGRESS

if TYPE_CHECKING:  # half a second that a training has no use for
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """One quantity over the course of several runs that differ in their seed.

    Attributes:
        timesteps: ends of the windows (num_windows,).
        values: of each run (num_runs x num_windows); NaN where a run has nothing.
    """

    timesteps: Array
    values: Array

    def center(self) -> Array:
        """Interquartile mean over runs (num_windows,); NaN where no run has anything."""
        return np.array([interquartile_mean(c) if c.size else np.nan for c in self._columns()])

    def interval(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """95% bootstrap interval of `center`, two of (num_windows,)."""
        nothing = [np.nan, np.nan]
        bounds = [
            bootstrap_interval(column, interquartile_mean, rng) or nothing
            for column in self._columns()
        ]
        low, high = np.array(bounds).T
        return low, high

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


def progress_values(run: Path, column: str) -> Array:
    """The values of a quantity in ``progress.csv``, rows without it left out."""
    table = pd.read_csv(run / PROGRESS)
    if column not in table:
        return np.array([])
    return table[column].dropna().to_numpy(dtype=np.float64)


def plot_curves(
    axes: Axes,
    curves: Mapping[str, Curve],
    ylabel: str,
    rng: np.random.Generator,
    colours: Mapping[str, str] | None = None,
) -> None:
    """Draws interquartile means with their intervals as bands, one colour for each curve.

    A line goes straight on over windows in which no run has anything.

    Args:
        axes: to draw on.
        curves: by name.
        ylabel: what they are of.
        rng: of the intervals' bootstrap.
        colours: by name, for names that several panels share; Matplotlib's cycle if None.
    """
    for name, curve in curves.items():
        colour = colours[name] if colours else None
        center = curve.center()
        known = ~np.isnan(center)
        at = curve.timesteps[known]
        (line,) = axes.plot(at, center[known], label=name, color=colour)
        low, high = (bound[known] for bound in curve.interval(rng))
        axes.fill_between(at, low, high, color=line.get_color(), alpha=0.15, lw=0)
    axes.set_xlabel("agent steps")
    axes.set_ylabel(ylabel)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)

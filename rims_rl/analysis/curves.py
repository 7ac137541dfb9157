"""Learning curves of stored runs: interquartile means over seeds, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy import stats

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
        """Interquartile mean over runs (num_windows,)."""
        return np.array([interquartile_mean(column) for column in self.values.T])

    def interval(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """95% bootstrap interval of `center`, two of (num_windows,)."""
        bounds = [interval_of_mean(column, rng) for column in self.values.T]
        low, high = zip(*bounds, strict=True)
        return np.array(low), np.array(high)


def interquartile_mean(values: Array) -> float:
    """Mean of the middle half of some numbers, NaN left out."""
    kept = values[~np.isnan(values)]
    return float(stats.trim_mean(kept, 0.25)) if kept.size else float("nan")


def interval_of_mean(values: Array, rng: np.random.Generator) -> tuple[float, float]:
    """95% percentile bootstrap interval of the interquartile mean, NaN left out."""
    kept = values[~np.isnan(values)]
    if kept.size < 2:
        return float("nan"), float("nan")
    means = [stats.trim_mean(rng.choice(kept, kept.size), 0.25) for _ in range(2000)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def episode_curve(runs: Sequence[Path], total: int, windows: int, column: str = "return") -> Curve:
    """The mean of a column of ``episodes.csv`` in windows of equal length.

    Args:
        runs: run folders.
        total: timesteps at the end of the last window.
        windows: how many.
        column: ``return``, ``length`` or ``success``.
    """
    edges = np.linspace(0, total, windows + 1)
    rows = []
    for run in runs:
        table = pd.read_csv(run / "episodes.csv")
        window = pd.cut(table["timesteps"], list(edges), labels=False)
        means = table.groupby(window)[column].mean()
        rows.append(means.reindex(range(windows)).to_numpy(dtype=np.float64))
    return Curve(edges[1:], np.array(rows))


def progress_values(run: Path, column: str) -> Array:
    """What ``progress.csv`` holds of a quantity, rows without it left out."""
    table = pd.read_csv(run / "progress.csv")
    if column not in table:
        return np.array([])
    return table[column].dropna().to_numpy(dtype=np.float64)


def plot_curves(
    axes: Axes, curves: Mapping[str, Curve], ylabel: str, rng: np.random.Generator
) -> None:
    """Draws interquartile means with their intervals as bands, one colour for each curve."""
    for name, curve in curves.items():
        (line,) = axes.plot(curve.timesteps, curve.center(), label=name)
        low, high = curve.interval(rng)
        axes.fill_between(curve.timesteps, low, high, color=line.get_color(), alpha=0.15, lw=0)
    axes.set_xlabel("agent steps")
    axes.set_ylabel(ylabel)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)

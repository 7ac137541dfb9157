"""Curves with a value for each point and seed: interquartile means in bootstrap intervals.

Axes: N seeds, X points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from rims_rl.experiments.curves import Curve

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SeedCurve:
    """A curve of a model that was trained with several seeds.

    Attributes:
        label: of the model.
        colour: of the line.
        x: (X).
        values: (N, X).
        dashes: of the line, in matplotlib's words.
    """

    label: str
    colour: str
    x: Sequence[float]
    values: Floats
    dashes: str = "-"

    @property
    def center(self) -> Floats:
        """Interquartile mean over seeds, (X)."""
        return self._curve.center()

    def interval(self) -> tuple[Floats, Floats] | None:
        """95% bootstrap interval of the center, two of (X); None for a single seed."""
        return self._curve.interval(np.random.default_rng(0)) if len(self.values) > 1 else None

    def mean_over(self, points: slice) -> list[float]:
        """Mean over some points for each seed, (N)."""
        means: list[float] = self.values[:, points].mean(axis=1).tolist()
        return means

    def numbers(self) -> dict[str, Any]:
        """The values behind the line, as JSON can hold them."""
        interval = self.interval()
        return {
            "x": list(self.x),
            "center": self.center.tolist(),
            "interval": None if interval is None else [bound.tolist() for bound in interval],
            "by_seed": self.values.tolist(),
        }

    @property
    def _curve(self) -> Curve:
        return Curve(np.asarray(self.x, dtype=np.float64), self.values)


def draw_curves(axes: Axes, curves: Sequence[SeedCurve], **line: Any) -> None:
    """Draws each curve in the band of its interval, or says that there is none.

    The caller adds the legend.

    Args:
        axes: to draw on.
        curves: to draw.
        **line: further arguments of matplotlib's `plot`.
    """
    for curve in curves:
        style = {"color": curve.colour, "ls": curve.dashes, "label": curve.label, **line}
        axes.plot(curve.x, curve.center, **style)
        if (interval := curve.interval()) is not None:
            axes.fill_between(curve.x, *interval, color=curve.colour, alpha=0.15, lw=0)
    if not curves:
        axes.text(0.5, 0.5, "not trained", ha="center", transform=axes.transAxes)
    axes.grid(alpha=0.3)

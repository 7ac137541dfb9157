"""Curves, panels and legends as all pictures have them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture
from matplotlib.ticker import EngFormatter

from rims_rl.experiments.curves import Curve
from rims_rl.experiments.statistics import Array

#: Panels in a row.
_COLUMNS = 4


def grid(count: int, width: float, height: float) -> tuple[Picture, list[Axes]]:
    """A picture of some panels in rows that are as long as one another, but for the last.

    Args:
        count: of panels.
        width: of each, in inches.
        height: of each, in inches.
    """
    rows = math.ceil(count / _COLUMNS)
    columns = math.ceil(count / rows)
    picture = Picture(figsize=(width * columns, height * rows), layout="constrained")
    panels = picture.subplots(rows, columns, squeeze=False).flat
    for unused in panels[count:]:
        unused.set_visible(False)
    return picture, list(panels[:count])


def draw_curves(axes: Axes, curves: Sequence[Curve], **line: Any) -> None:
    """Draws each curve in the band of its interval, if it has one, or says that there is none.

    The caller adds the legend.

    Args:
        axes: to draw on.
        curves: to draw.
        **line: further arguments of Matplotlib's `plot`.
    """
    for curve in curves:
        interval = curve.interval() if len(curve.values) > 1 else None
        style = {"color": curve.colour, "ls": curve.dashes, "label": curve.label, **line}
        draw_band(axes, np.asarray(curve.x), curve.center(), interval, **style)
    if not curves:
        axes.text(0.5, 0.5, "not trained", ha="center", transform=axes.transAxes)
    axes.grid(alpha=0.3)


def draw_band(
    axes: Axes, x: Array, center: Array, interval: tuple[Array, Array] | None, **line: Any
) -> None:
    """Draws a line, which goes straight on over points without a value, in its interval's band.

    Args:
        axes: to draw on.
        x: of the points (X).
        center: the line (X).
        interval: the edges of the band, two of (X).
        **line: further arguments of Matplotlib's `plot`.
    """
    known = ~np.isnan(center)
    (drawn,) = axes.plot(x[known], center[known], **line)
    if interval is not None:
        low, high = (bound[known] for bound in interval)
        axes.fill_between(x[known], low, high, color=drawn.get_color(), alpha=0.15, lw=0)


def label_steps(axes: Axes) -> None:
    """Names the axis of agent steps, and tells them as `in_thousands`."""
    axes.set_xlabel("agent steps")
    in_thousands(axes)


def in_thousands(axes: Axes) -> None:
    """Tells thousands and millions along the x-axis as 1k and 1M."""
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def legend_above(picture: Picture, panels: Sequence[Axes], names: Sequence[str] = ()) -> None:
    """Adds one legend for all panels, above them, where it hides nothing.

    Args:
        picture: of the panels.
        panels: whose lines have labels.
        names: of the lines, in the legend's order; by default as they were drawn.
    """
    lines = {
        label: line
        for axes in panels
        for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    shown = [name for name in names or lines if name in lines]
    if shown:
        picture.legend(
            [lines[name] for name in shown],
            shown,
            loc="outside upper center",
            ncols=len(shown),
            frameon=False,
        )

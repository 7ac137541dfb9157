"""The picture of a look inside an agent, see `rims_rl.training.inspection`.

Axes: T steps of a game, K RIMs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from rims_rl.training.inspection import Array, Trace
from rims_rl.training.video import Mask, rim_colour

_MARKS = {"reward": ("^", "tab:green"), "punishment": ("v", "tab:red"),
          "life lost": ("x", "tab:red"), "room": ("d", "tab:blue")}  # fmt: skip


def draw(trace: Trace, scores: Mapping[str, Mapping[str, Any]] | None, title: str) -> Figure:
    """Rasters of a game, who reads from whom, and scores without each RIM.

    Args:
        trace: of the game.
        scores: summaries of `scores_without`; None to leave them out.
        title: of the picture.
    """
    panels = 1 + (trace.attention is not None)
    heights = [2.3 * panels, 3, *([2] if trace.places is not None else [])]
    picture = Figure(figsize=(11, 1.1 * sum(heights) + 0.3), layout="constrained")
    parts = picture.subfigures(len(heights), 1, squeeze=False, height_ratios=heights).flat
    above, below = parts[0], parts[1]
    if trace.places is not None:
        _draw_places(parts[2], trace.places, trace.active)
    rasters = above.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
    _draw_active(rasters[0], trace)
    if trace.attention is not None:
        _draw_attention(rasters[1], trace.attention)
    rasters[-1].set_xlabel("step of the game")
    left, right = below.subplots(1, 2)
    _draw_communication(left, trace)
    _draw_scores(right, scores)
    picture.suptitle(title, fontsize=11)
    return picture


def _stretches(active: Mask) -> list[tuple[float, int]]:
    """Starts of stretches of active steps (T,), and their lengths; step 0 is around 0."""
    ends = np.flatnonzero(np.diff(np.pad(active.astype(int), 1))).reshape(-1, 2)
    return [(float(begin) - 0.5, int(end - begin)) for begin, end in ends]


def _draw_active(axes: Axes, trace: Trace) -> None:
    steps, rims = trace.active.shape
    for k in range(rims):
        colour = np.array(rim_colour(k, rims)) / 255
        axes.broken_barh(_stretches(trace.active[:, k]), (k + 0.6, 0.8), color=colour, lw=0)
    for kind, happened in trace.events.items():
        at = np.flatnonzero(happened)
        if len(at):
            mark, of_mark = _MARKS[kind]
            axes.plot(at, [0.2] * len(at), mark, color=of_mark, ms=5, label=kind)
    axes.set_yticks(range(1, rims + 1), [f"RIM {k}" for k in range(1, rims + 1)])
    axes.set_ylim(rims + 0.6, -0.3)
    axes.set_xlim(-0.5, steps - 0.5)
    axes.set_title("active RIMs", fontsize=10, loc="left")
    if any(happened.any() for happened in trace.events.values()):
        axes.legend(loc="upper right", fontsize=8, ncols=4, bbox_to_anchor=(1, 1.16), frameon=False)


def _draw_attention(axes: Axes, attention: Array) -> None:
    steps, rims = attention.shape
    image = axes.imshow(
        attention.T, "viridis", aspect="auto", interpolation="nearest", vmin=0,
        extent=(-0.5, steps - 0.5, rims + 0.5, 0.5),
    )  # fmt: skip
    axes.set_yticks(range(1, rims + 1), [f"RIM {k}" for k in range(1, rims + 1)])
    axes.set_title("attention on the input", fontsize=10, loc="left")
    axes.figure.colorbar(image, ax=axes, pad=0.01)


def _draw_places(picture: SubFigure, places: Array, active: Mask) -> None:
    rims = active.shape[1]
    maps = [places[active[:, k], k].mean(0) if active[:, k].any() else None for k in range(rims)]
    brightest = max(seen.max() for seen in maps if seen is not None)
    row = picture.subplots(1, rims, squeeze=False)[0]
    for k, (axes, seen) in enumerate(zip(row, maps, strict=True)):
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(f"RIM {k + 1}", fontsize=9)
        if seen is not None:  # one that was never active stays blank
            image = axes.imshow(seen, "viridis", vmin=0, vmax=brightest)
    picture.colorbar(image, ax=list(row), pad=0.01)
    picture.suptitle("attention on the places of the input, mean over active steps", fontsize=10)


def _draw_communication(axes: Axes, trace: Trace) -> None:
    if trace.communication is None:
        axes.set_axis_off()
        axes.set_title("no communication", fontsize=10)
        return
    rims = trace.communication.shape[-1]
    steps = trace.active.sum(0, dtype=float)[:, None]
    reads = np.where(steps > 0, steps, np.nan)  # a RIM that never read anything stays blank
    image = axes.imshow(trace.communication.sum(0) / reads, "magma", vmin=0)
    names = [str(k) for k in range(1, rims + 1)]
    axes.set_xticks(range(rims), names)
    axes.set_yticks(range(rims), names)
    axes.set_xlabel("read from RIM")
    axes.set_ylabel("active RIM")
    axes.set_title("attention in communication, mean over its active steps", fontsize=10)
    axes.figure.colorbar(image, ax=axes)


def _draw_scores(axes: Axes, scores: Mapping[str, Mapping[str, Any]] | None) -> None:
    if not scores:
        axes.set_axis_off()
        return
    for place, summary in enumerate(scores.values()):
        grey = (80, 80, 80)
        colour = np.array(rim_colour(place - 1, len(scores) - 1) if place else grey) / 255
        axes.plot(place, summary["mean"], "o", color=colour)
        if summary.get("mean_interval"):
            axes.vlines(place, *summary["mean_interval"], color=colour, lw=2)
    axes.set_xticks(range(len(scores)), list(scores), rotation=30)
    axes.set_ylabel("mean return, 95% interval")
    axes.set_title("score with a RIM held inactive", fontsize=10)
    axes.grid(alpha=0.3, axis="y")

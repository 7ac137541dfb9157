"""Pictures of a comparison, drawn from its summary."""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture
from matplotlib.ticker import MaxNLocator

from rims_rl.comparison.aggregate import AGGREGATES
from rims_rl.comparison.summary import SCALES
from rims_rl.experiments.drawing import draw_band, grid, in_thousands

Summary = Mapping[str, Any]

#: What the axis of learning curves shows.
AXES = {"steps": "agent steps", "frames": "emulator frames", "hours": "hours of training"}
#: Told apart by people who see colours differently, too (Okabe and Ito 2008).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
#: Of lines, for more cores than there are colours.
DASHES = ("-", "--", ":", "-.")


def draw_curves(summary: Summary, axis: str = "steps") -> Picture:
    """Learning curves, a panel for each game.

    Args:
        summary: of the comparison.
        axis: one of `AXES`.
    """
    envs, looks = summary["envs"], _looks(summary)
    names = summary["short_names"]
    picture, panels = grid(len(envs), 3.3, 2.7)
    for axes, env in zip(panels, envs, strict=True):
        for arm in summary["arms"]:
            if arm["env"] == env:
                _draw_arm(axes, arm, axis, looks[arm["core"]])
        axes.set_title(names[env], fontsize=9)
        axes.grid(alpha=0.3)
        axes.tick_params(labelsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        _name_ticks(axes, axis)
    picture.supxlabel(AXES[axis], fontsize=9)
    picture.supylabel("return of training episodes", fontsize=9)
    _legend(picture, panels[0], looks)
    return picture


def draw_together(summary: Summary, axis: str = "steps") -> Picture:
    """All games together: curve, aggregates, profiles, probability of improvement.

    Args:
        summary: of the comparison.
        axis: of the curve, one of `AXES`, hours being the mean over games; the share of the
            training instead, where games differ in steps or frames, or hours are not known.
    """
    cores, looks = summary["together"]["cores"], _looks(summary)
    picture = Picture(figsize=(12, 6.4), layout="constrained")
    (curve, profile), (aggregates, better) = picture.subplots(2, 2)
    along = {core: _along_games(summary, core, axis) for core in cores}
    is_known = None not in along.values()
    for core, found in cores.items():
        points = found["curve"] | {axis: along[core]}
        x = axis if is_known else "share_of_training"
        _band(curve, points, x, "center", looks[core])
        _band(profile, found["profile"], "levels", "share", looks[core])
    mean = ", the mean over games" if axis == "hours" else ""
    curve.set_xlabel(f"{AXES[axis]}{mean}" if is_known else "share of the training")
    _name_ticks(curve, axis if is_known else "share_of_training")
    curve.set_ylabel("normalised return, IQM")
    profile.set_xlabel("normalised final return")
    profile.set_ylabel("share of runs above it")
    _draw_aggregates(aggregates, cores, looks)
    _draw_better(better, cores, looks, summary["baseline"])
    for axes in (curve, profile, aggregates, better):
        axes.grid(alpha=0.3)
    _legend(picture, curve, {core: looks[core] for core in cores})
    games = len(summary["together"]["envs"])
    counted = "1 game" if games == 1 else f"{games} games"
    picture.supxlabel(f"{counted}; {summary['scale_text']}", fontsize=9)
    return picture


def draw_improvement(summary: Summary) -> Picture:
    """Relative improvement over the baseline, a bar for each game, sorted, a panel a core."""
    looks = _looks(summary)
    cores = {core: percent for core, percent in summary["improvement"].items() if percent}
    games = max(map(len, cores.values()))
    names = summary["short_names"]
    picture, panels = grid(len(cores), 4.2, 0.22 * games + 1.4)
    for axes, (core, percent) in zip(panels, cores.items(), strict=True):
        ordered = sorted(percent.items(), key=lambda item: item[1])
        games_shown, bars = [names[env] for env, _ in ordered], [p for _, p in ordered]
        axes.barh(games_shown, bars, color=looks[core].colour)
        axes.margins(y=0.5 / games)
        axes.axvline(0, color="0.3", lw=1)
        title = textwrap.fill(f"{core} over {summary['baseline']}", 40)
        axes.set_title(title, fontsize=9)
        axes.tick_params(labelsize=8)
        axes.set_xlabel("improvement in %", fontsize=9)
        axes.grid(alpha=0.3, axis="x")
    floor, top = SCALES[summary["scale"]]
    explained = f"{summary['formula']}, floor: {floor}, top: {top}"
    picture.supxlabel(textwrap.fill(explained, 70), fontsize=8)
    return picture


@dataclass(frozen=True)
class _Look:
    """Tells a core apart from others."""

    colour: str
    dash: str


def _looks(summary: Summary) -> dict[str, _Look]:
    looks = itertools.cycle(_Look(colour, dash) for dash in DASHES for colour in COLOURS)
    return dict(zip(summary["cores"], looks, strict=False))


def _draw_arm(axes: Axes, arm: Mapping[str, Any], axis: str, look: _Look) -> None:
    along = _along(arm, axis)
    if along is not None:
        _band(axes, arm["curve"] | {axis: along}, axis, "center", look)


def _name_ticks(axes: Axes, axis: str) -> None:
    """Steps and frames as `in_thousands`; half an hour is not 500m."""
    if axis in ("steps", "frames"):
        in_thousands(axes)


def _along(arm: Mapping[str, Any], axis: str) -> list[float] | None:
    """The ends of a curve's windows on an axis; None if its runs do not say them."""
    curve = arm["curve"]
    if axis == "frames":
        return [step * arm["frames_per_step"] for step in curve["steps"]]
    return None if None in curve[axis] else curve[axis]


def _along_games(summary: Summary, core: str, axis: str) -> list[float] | None:
    """The ends of windows in all games together; None where games do not agree on them."""
    envs = summary["together"]["envs"]
    arms = [arm for arm in summary["arms"] if arm["core"] == core and arm["env"] in envs]
    along = [places for arm in arms if (places := _along(arm, axis)) is not None]
    if len(along) < len(arms):
        return None
    if axis == "hours":
        return list(np.mean(along, axis=0))
    return along[0] if all(places == along[0] for places in along) else None


def _band(axes: Axes, curve: Mapping[str, Any], x: str, y: str, look: _Look) -> None:
    along, center = np.array(curve[x], dtype=float), np.array(curve[y], dtype=float)
    bounds = None
    if curve["low"] is not None:
        bounds = np.array(curve["low"], dtype=float), np.array(curve["high"], dtype=float)
    draw_band(axes, along, center, bounds, color=look.colour, ls=look.dash, lw=1.5)


def _draw_aggregates(axes: Axes, cores: Mapping[str, Any], looks: Mapping[str, _Look]) -> None:
    names = list(AGGREGATES)
    for number, (core, found) in enumerate(cores.items()):
        places = [place + _shift(number, len(cores)) for place in range(len(names))]
        for place, name in zip(places, names, strict=True):
            _dot(axes, place, found[name], looks[core].colour)
    axes.set_xticks(range(len(names)), [*names[:-1], "optimality gap\n(less is better)"])
    axes.set_ylabel("normalised final return")


def _draw_better(
    axes: Axes, cores: Mapping[str, Any], looks: Mapping[str, _Look], baseline: str | None
) -> None:
    others = [core for core, f in cores.items() if f["probability of improvement"]]
    for place, core in enumerate(others):
        _dot(axes, place, cores[core]["probability of improvement"], looks[core].colour)
    axes.axhline(0.5, color="0.3", lw=1, ls="--")
    axes.set_xlim(-0.5, max(len(others), 1) - 0.5)
    axes.set_ylim(0, 1)
    axes.set_xticks(range(len(others)), others)
    axes.set_ylabel(f"probability that a run\nis better than one of {baseline}")


def _dot(axes: Axes, x: float, estimate: Mapping[str, Any], colour: str) -> None:
    axes.plot(x, estimate["value"], "o", color=colour)
    if estimate["interval"]:
        axes.vlines(x, *estimate["interval"], color=colour, lw=2)


def _shift(number: int, count: int) -> float:
    return 0.12 * (number - (count - 1) / 2)


def _legend(picture: Picture, axes: Axes, looks: Mapping[str, _Look]) -> None:
    lines = [
        axes.plot([], [], color=look.colour, ls=look.dash, label=core)[0]
        for core, look in looks.items()
    ]
    # As many in a row as the picture is wide: an inch holds some fourteen letters.
    letters = max(map(len, looks), default=0) + 5
    columns = max(1, min(6, int(14 * picture.get_figwidth() / letters)))
    picture.set_figheight(picture.get_figheight() + 0.2 * math.ceil(len(looks) / columns))
    picture.legend(
        handles=lines, loc="outside upper center", ncols=columns, frameon=False, fontsize=9
    )

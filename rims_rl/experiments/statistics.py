"""Interquartile means and bootstrap intervals over seeds, of one game or of several.

Scores of games are a list of arrays, one for each game with a number for each seed; games may have
different numbers of seeds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import scipy  # its submodules are loaded when they are first used
from numpy.typing import NDArray

Array = NDArray[np.float64]
Scores = Sequence[Array]

CONFIDENCE = 0.95
RESAMPLES = 9999
#: Numbers of resamples that are in memory at once.
_AT_ONCE = 10_000_000
INTERVAL_METHOD = f"percentile bootstrap, {RESAMPLES} resamples"


def interquartile_mean(values: Any, axis: int = -1) -> Any:
    """Mean of the middle half of some numbers along an axis."""
    return scipy.stats.trim_mean(values, 0.25, axis=axis)


def stratified_bootstrap(
    statistic: Callable[..., Any],
    *groups: Scores,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Any, Any] | None:
    """The 95% confidence interval of a statistic: percentiles over seeds drawn anew in each game.

    Args:
        statistic: of one group of scores or of several, resamples of them along the first axis.
        *groups: those groups.
        resamples: how many are drawn.
        seed: of the resamples, the same at each call, so that an interval depends on its scores
            alone.

    Returns:
        Both ends, shaped like the statistic; None where a game has one seed alone, which tells
        nothing of the spread.
    """
    games = [game for scores in groups for game in scores]
    if min(map(len, games)) < 2:
        return None

    def of_resamples(*drawn: Array, axis: int) -> Any:
        rest = iter(drawn)
        values = statistic(*(list(itertools.islice(rest, len(scores))) for scores in groups))
        return np.moveaxis(values, 0, -1)

    interval = scipy.stats.bootstrap(
        games,
        of_resamples,
        confidence_level=CONFIDENCE,
        n_resamples=resamples,
        batch=max(1, _AT_ONCE // sum(map(len, games))),
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return interval.low, interval.high


def bootstrap_interval(
    values: Sequence[float] | Array, statistic: Callable[..., Any]
) -> list[float] | None:
    """The 95% confidence interval of a statistic of such numbers.

    Args:
        values: independent numbers.
        statistic: takes them and an axis.

    Returns:
        Both ends, the same whenever the values are; None for fewer than two values, which tell
        nothing of their spread.
    """
    bounds = stratified_bootstrap(lambda scores: statistic(scores[0], axis=-1), [np.array(values)])
    return None if bounds is None else [float(end) for end in bounds]


def over_seeds(values: Sequence[float]) -> dict[str, Any]:
    """Interquartile mean over seeds with its interval, and the seeds' values, as JSON."""
    return {
        "interquartile mean": float(interquartile_mean(values)),
        "interval": bootstrap_interval(values, interquartile_mean),
        "each seed": list(values),
    }


def with_interval(numbers: Mapping[str, Any]) -> str:
    """The numbers that `over_seeds` gives, as text."""
    return between(numbers["interquartile mean"], numbers["interval"])


def between(value: float, interval: Sequence[float] | None) -> str:
    """A number and its interval, if there is one, as text."""
    bounds = f" [{', '.join(map(three_digits, interval))}]" if interval else ""
    return f"{three_digits(value)}{bounds}"


def three_digits(value: float | None) -> str:
    """A number to the three digits that count, such as 0.00123 or 12,300; empty for none."""
    if value is None or math.isnan(value):
        return ""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 1000 else f"{value:.3g}"

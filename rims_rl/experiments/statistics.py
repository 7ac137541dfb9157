"""Interquartile means and bootstrap intervals over seeds; over games: `comparison.aggregate`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import scipy  # its submodules are loaded when they are first used
from numpy.typing import NDArray

CONFIDENCE = 0.95
RESAMPLES = 9999
#: Numbers of resamples that are in memory at once.
_AT_ONCE = 10_000_000
INTERVAL_METHOD = f"percentile bootstrap, {RESAMPLES} resamples"


def interquartile_mean(values: Any, axis: int = -1) -> Any:
    """Mean of the middle half of some numbers along an axis."""
    return scipy.stats.trim_mean(values, 0.25, axis=axis)


def bootstrap_interval(
    values: Sequence[float] | NDArray[np.float64],
    statistic: Callable[..., Any],
) -> list[float] | None:
    """The 95% confidence interval of a statistic of such numbers.

    Args:
        values: independent numbers.
        statistic: takes them and an axis.

    Returns:
        Both ends, the same whenever the values are; None for fewer than two values, which tell
        nothing of their spread.
    """
    if len(values) < 2:
        return None
    if len(set(values)) == 1:
        return [float(values[0])] * 2
    result = scipy.stats.bootstrap(
        (values,),
        statistic,
        confidence_level=CONFIDENCE,
        n_resamples=RESAMPLES,
        batch=max(1, _AT_ONCE // len(values)),
        method="percentile",
        rng=np.random.default_rng(0),
    )
    return [float(result.confidence_interval.low), float(result.confidence_interval.high)]


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

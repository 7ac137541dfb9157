"""Robust means and their uncertainty, the same everywhere in the project."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

CONFIDENCE = 0.95
INTERVAL_METHOD = "percentile bootstrap, 9999 resamples"


def interquartile_mean(values: Any, axis: int = -1) -> Any:
    """Mean of the middle half of some numbers along an axis."""
    return stats.trim_mean(values, 0.25, axis=axis)


def bootstrap_interval(
    values: Sequence[float] | NDArray[np.float64],
    statistic: Callable[..., Any],
    rng: np.random.Generator,
) -> list[float] | None:
    """Where a statistic of such numbers lies with 95% confidence.

    Args:
        values: independent numbers.
        statistic: takes them and an axis.
        rng: draws the resamples.

    Returns:
        Both ends; None for fewer than two values, which tell nothing of their spread.
    """
    if len(values) < 2:
        return None
    if len(set(values)) == 1:
        return [float(values[0])] * 2
    result = stats.bootstrap(
        (values,), statistic, confidence_level=CONFIDENCE, method="percentile", rng=rng
    )
    return [float(result.confidence_interval.low), float(result.confidence_interval.high)]

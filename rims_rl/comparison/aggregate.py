"""Scores of games and seeds as one number, with bootstrap intervals (Agarwal et al. 2021).

Statistics take `Scores`, and resamples of them, (num_resamples, num_seeds) each: they work along
the last axis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rims_rl.experiments.statistics import Array, Scores, interquartile_mean

Statistic = Callable[[Scores], Any]

#: The score that the optimality gap is counted from: human level, or the best core's at the end.
OPTIMAL = 1.0


def pooled_iqm(scores: Scores) -> Any:
    """Mean of the middle half of all runs, whatever their game."""
    return interquartile_mean(np.concatenate(scores, axis=-1))


def median_of_games(scores: Scores) -> Any:
    """Median over games of the mean over seeds."""
    return np.median(_game_means(scores), axis=0)


def mean_of_games(scores: Scores) -> Any:
    """Mean over games of the mean over seeds."""
    return np.mean(_game_means(scores), axis=0)


def optimality_gap(scores: Scores) -> Any:
    """The mean distance of runs below `OPTIMAL`; more than that does not count."""
    return OPTIMAL - np.minimum(np.concatenate(scores, axis=-1), OPTIMAL).mean(axis=-1)


#: By the names under which they are shown; less is better for the last.
AGGREGATES: Mapping[str, Statistic] = {
    "IQM": pooled_iqm,
    "median": median_of_games,
    "mean": mean_of_games,
    "optimality gap": optimality_gap,
}


def performance_profile(scores: Scores, levels: Array) -> Any:
    """The share of runs above each level (..., num_levels)."""
    runs = np.concatenate(scores, axis=-1)
    # A level at a time: all at once would be (resamples x runs x levels).
    return np.stack([(runs > level).mean(axis=-1) for level in levels], axis=-1)


def probability_of_improvement(scores: Scores, others: Scores) -> Any:
    """The probability that a run is better than another core's in the same game, mean over games.

    Ties count half, so that equal groups give 0.5 (Mann-Whitney's U over the number of pairs).
    """
    return np.mean([_better(a, b) for a, b in zip(scores, others, strict=True)], axis=0)


def _game_means(scores: Scores) -> Array:
    return np.stack([game.mean(axis=-1) for game in scores])


def _better(a: Array, b: Array) -> Any:
    above = a[..., :, None] > b[..., None, :]
    equal = a[..., :, None] == b[..., None, :]
    return (above + 0.5 * equal).mean(axis=(-2, -1))

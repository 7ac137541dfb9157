"""A comparison as numbers: what tables, pictures and the report show, ready for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rims_rl.comparison.aggregate import (
    AGGREGATES,
    performance_profile,
    pooled_iqm,
    probability_of_improvement,
)
from rims_rl.comparison.comparison import FEW_SEEDS, IMPROVEMENT, Arm, Comparison
from rims_rl.comparison.games import atari_game, frames_per_step, table7
from rims_rl.comparison.naming import short_games
from rims_rl.comparison.record import Record
from rims_rl.experiments.statistics import (
    INTERVAL_METHOD,
    Array,
    Scores,
    over_seeds,
    stratified_bootstrap,
)

#: How many normalised scores performance profiles are drawn at.
LEVELS = 81
#: Where the paper's scores have no order to agree with.
WITHIN_SPREAD = "within the paper's spread"
#: k_A of the RIMs in the paper's table 7.
TABLE_7_ACTIVE = 5
#: Quantiles of all runs' scores between which profiles are drawn.
PROFILED = (0.05, 0.95)
#: What 0 and 1 are on the scale of normalised returns.
SCALES = {
    "human": ("a random agent", "a human"),
    "best": ("all cores' first episodes", "the best core's last"),
}
#: Settings that differ from run to run, whatever is compared.
_NOT_TOLD = ("seed", "run_dir")
#: Resamples where many intervals are asked for.
_FEWER = 2000


def summarise(comparison: Comparison, threshold: float | None = None) -> dict[str, Any]:
    """All numbers of a comparison.

    Args:
        comparison: of runs.
        threshold: return of which it is told when runs reach it; None for what the baseline has
            in the end in each game.

    Returns:
        ``baseline``, ``scale``, ``scale_text`` and ``formula`` (of the improvement) for people,
        ``intervals`` (how they are made), ``few_seeds``, ``profile_levels`` and ``profiled`` (in
        how many scores profiles are drawn, and between which quantiles), ``envs``,
        ``short_names``, ``cores``, ``problems``, ``threshold``;
        ``anchors``: the returns that are 0 and 1 by game; ``arms``: for each core in each game its
        curve, scores and settings; ``together``: aggregates over the games that all cores have;
        ``improvement`` over the baseline in percent by core and game; ``paper``: table 7 beside
        ours, by game.
    """
    return {
        "baseline": comparison.baseline,
        "scale": comparison.scale,
        "scale_text": "0: {}, 1: {}".format(*SCALES[comparison.scale]),
        "formula": IMPROVEMENT,
        "intervals": f"{INTERVAL_METHOD}; {_FEWER:,} for profiles and the curve of all games",
        "few_seeds": FEW_SEEDS,
        "profile_levels": LEVELS,
        "profiled": list(PROFILED),
        "envs": comparison.envs,
        "short_names": short_games(comparison.envs),
        "cores": comparison.cores,
        "problems": list(comparison.problems),
        "threshold": threshold,
        "anchors": {env: anchors._asdict() for env, anchors in comparison.anchors.items()},
        "arms": [_arm(comparison, arm, threshold) for arm in comparison.arms.values()],
        "together": _together(comparison),
        "improvement": _improvement(comparison),
        "paper": _paper(comparison),
    }


def _arm(comparison: Comparison, arm: Arm, threshold: float | None) -> dict[str, Any]:
    low, high = arm.curve.interval()
    return {
        "env": arm.env,
        "core": arm.core,
        "seeds": [record.seed for record in arm.records],
        "parameters": arm.param_count,
        "steps_per_second": arm.speed,
        "frames_per_step": frames_per_step(arm.env, arm.records[0].settings),
        "curve": {
            "steps": list(map(float, arm.curve.x)),
            "hours": _hours(arm),
            "center": _numbers(arm.curve.center()),
            "low": _numbers(low),
            "high": _numbers(high),
            "each_seed": [_numbers(row) for row in arm.curve.values],
        },
        "final": over_seeds(arm.final.tolist()),
        "score": comparison.score(arm.env, arm.core),
        "best": over_seeds(arm.best.tolist()),
        "area": over_seeds(arm.area.tolist()),
        "threshold": _threshold(comparison, arm, threshold),
        "settings": dict(arm.records[0].settings),
        "runs": [_run(record, arm.records[0]) for record in arm.records],
    }


def _run(record: Record, first: Record) -> dict[str, Any]:
    """A run, with the settings in which it differs from the first of its core."""
    of_its_own = {
        name: value
        for name, value in record.settings.items()
        if name not in _NOT_TOLD and first.settings.get(name) != value
    }
    return {
        "source": record.source,
        "seed": record.seed,
        "command": record.command,
        "settings": of_its_own,
    }


def _hours(arm: Arm) -> list[float | None]:
    """Hours of training at the ends of the windows, the mean over the seeds that say them."""
    ends = arm.curve.x
    timed = [np.interp(ends, r.steps, r.hours) for r in arm.records if r.hours is not None]
    return _numbers(np.mean(timed, axis=0)) if timed else [None] * len(ends)


def _threshold(comparison: Comparison, arm: Arm, threshold: float | None) -> dict[str, Any] | None:
    """The agent steps after which each seed has a return; None where there is none to reach."""
    key = arm.env, comparison.baseline or ""
    if threshold is None:
        if key not in comparison.arms:
            return None
        threshold = comparison.arms[key].end
    return {"return": threshold, "steps": arm.steps_to(threshold)}


def _together(comparison: Comparison) -> dict[str, Any] | None:
    envs = comparison.shared_envs
    if not envs:
        return None
    scores = {core: comparison.scores(core) for core in comparison.cores}
    base = scores.get(comparison.baseline or "")
    levels = _levels(scores)
    return {
        "envs": envs,
        "cores": {
            core: {
                **{name: _estimate(of, own) for name, of in AGGREGATES.items()},
                "probability of improvement": None
                if base is None or core == comparison.baseline
                else _better(own, base),
                "profile": _profile(own, levels),
                "curve": _curve(comparison, core),
            }
            for core, own in scores.items()
        },
    }


def _estimate(statistic: Any, *groups: Scores) -> dict[str, Any]:
    bounds = stratified_bootstrap(statistic, *groups)
    interval = None if bounds is None else [float(bound) for bound in bounds]
    return {"value": float(statistic(*groups)), "interval": interval}


def _better(own: Scores, base: Scores) -> dict[str, Any] | None:
    """The probability of improvement; None where single seeds say nothing of it."""
    found = _estimate(probability_of_improvement, own, base)
    return found if found["interval"] else None


def _levels(scores: Mapping[str, Scores]) -> Array:
    """Normalised scores from the lowest to the highest, 0 and 1 among them in any case.

    A game that nobody learned much of has scores far from both: they do not widen the range.
    """
    runs = np.concatenate([game for of_core in scores.values() for game in of_core])
    low, high = np.quantile(runs, PROFILED)
    return np.linspace(min(0.0, low), max(1.0, high), LEVELS)


def _profile(scores: Scores, levels: Array) -> dict[str, Any]:
    def shares(resampled: Scores) -> Any:
        return performance_profile(resampled, levels)

    bounds = stratified_bootstrap(shares, scores, resamples=_FEWER)
    low, high = (None, None) if bounds is None else (bounds[0].tolist(), bounds[1].tolist())
    return {"levels": levels.tolist(), "share": shares(scores).tolist(), "low": low, "high": high}


def _curve(comparison: Comparison, core: str) -> dict[str, Any]:
    """Interquartile mean of normalised returns over all games, by the share of the training."""
    arms = [comparison.arms[env, core] for env in comparison.shared_envs]
    counted = slice(comparison.seeds_counted(core))
    values = [comparison.normalised(arm.env, arm.curve.values[counted]) for arm in arms]
    count = values[0].shape[1]
    points = [_point([game[:, window] for game in values]) for window in range(count)]
    return {
        "share_of_training": [(window + 1) / count for window in range(count)],
        **{name: [point[name] for point in points] for name in ("center", "low", "high")},
    }


def _point(columns: Scores) -> dict[str, float | None]:
    known = [column[~np.isnan(column)] for column in columns]
    if not all(map(len, known)):  # a game has not ended an episode by then
        return {"center": None, "low": None, "high": None}
    low, high = stratified_bootstrap(pooled_iqm, known, resamples=_FEWER) or (None, None)
    return {"center": float(pooled_iqm(known)), "low": low, "high": high}


def _improvement(comparison: Comparison) -> dict[str, dict[str, float]]:
    if comparison.baseline is None:
        return {}
    return {
        core: {
            env: comparison.improvement(env, core)
            for env in comparison.envs
            if (env, core) in comparison.arms
            and (env, comparison.baseline) in comparison.arms
            and comparison.is_learned(env)
        }
        for core in comparison.cores
        if core != comparison.baseline
    }


def _paper(comparison: Comparison) -> dict[str, dict[str, Any]]:
    """Table 7 beside ours: whether both say the same of which is better, by game."""
    found = {}
    for env in comparison.envs:
        game = atari_game(env)
        if game is None or game not in table7():
            continue
        theirs = table7()[game]
        ours = {
            core: float(np.mean(comparison.arms[env, core].final))
            for core in comparison.cores
            if (env, core) in comparison.arms
        }
        by_likeness = sorted(ours, key=lambda core: not _is_papers(comparison.arms[env, core]))
        rim, lstm = (
            next((core for core in by_likeness if core.startswith(kind)), None)
            for kind in ("rim", "lstm")
        )
        found[env] = {
            "game": game,
            **theirs,
            "ours": ours,
            "compared": (rim, lstm) if rim and lstm else None,
            "agreement": _agreement(ours[rim], ours[lstm], theirs) if rim and lstm else None,
        }
    return found


def _is_papers(arm: Arm) -> bool:
    """Tells whether as many RIMs are active as in the paper's table 7."""
    return arm.records[0].settings.get("num_active") == TABLE_7_ACTIVE


def _agreement(rim: float, lstm: float, theirs: Mapping[str, float]) -> str:
    """Compares the order of a RIM's and an LSTM's score with the paper's.

    Scores that differ by less than the paper's spread over seeds have no order there.
    """
    difference = theirs["rims_ppo"] - theirs["lstm_ppo"]
    if abs(difference) <= max(theirs["rims_pm"], theirs["lstm_pm"]):
        return WITHIN_SPREAD
    if rim == lstm:
        return "a tie here"
    return "same order" if (rim - lstm) * difference > 0 else "other order"


def _numbers(values: Sequence[float] | Array) -> list[float | None]:
    """For JSON, which has no NaN."""
    return [None if math.isnan(v) else float(f"{v:.6g}") for v in values]

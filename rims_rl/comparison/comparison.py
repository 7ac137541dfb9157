"""Runs side by side: an arm for each core in each game, human-normalised scores, what is amiss."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from rims_rl.comparison.games import atari_game, references
from rims_rl.comparison.naming import (
    NOT_COMPARED,
    OF_CORE,
    other_meanings,
    runs_by_name,
    settings_of,
)
from rims_rl.comparison.record import Record
from rims_rl.experiments.curves import TENTHS, Curve, first_at, window_means
from rims_rl.experiments.statistics import Array, interquartile_mean
from rims_rl.runs.errors import few
from rims_rl.training.results import WINDOWS

#: How many of the windows in which returns are averaged count as the end.
LAST = WINDOWS // TENTHS
#: The formula of `Comparison.improvement`.
IMPROVEMENT = "100 x (core - baseline) / (max(top, baseline) - floor)"
#: Hours of training that say how fast it is.
_TIMED = 30 / 3600
#: With fewer seeds a 95% bootstrap interval is hardly more than their range, and covers less.
FEW_SEEDS = 4
#: By how much runs of unknown length may differ without a word.
ROUGHLY = 1.1
#: The share of the median length below which such a run is not compared.
BROKEN_OFF = 0.5


@dataclass(frozen=True, eq=False)
class Arm:
    """The runs of one core in one game, which differ in their seed alone.

    Attributes:
        env: environment's id.
        core: name, the same in every game.
        records: of its seeds.
        limit: agent steps up to which all cores of the game are compared.
    """

    env: str
    core: str
    records: Sequence[Record]
    limit: float

    @cached_property
    def curve(self) -> Curve:
        """Mean returns in windows, (num_seeds x num_windows); where none ended, that before."""
        return Curve(self._edges[1:], self._windows.ffill(axis=1).to_numpy(dtype=np.float64))

    @cached_property
    def final(self) -> Array:
        """Mean of the last windows in which episodes ended, for each seed (num_seeds,).

        Where none ended in any of them it is that of the last one before.
        """
        ends = self._windows.iloc[:, -LAST:].mean(axis=1).to_numpy(dtype=np.float64)
        final: Array = np.where(np.isnan(ends), self.curve.values[:, -1], ends)
        return final

    @property
    def _edges(self) -> Array:
        return np.linspace(0, self.limit, WINDOWS + 1)

    @cached_property
    def _windows(self) -> pd.DataFrame:
        """Mean returns in windows, (num_seeds x num_windows); NaN where none ended."""
        tables = [pd.DataFrame({"steps": r.steps, "return": r.returns}) for r in self.records]
        means = [window_means(t, "steps", ["return"], self._edges)["return"] for t in tables]
        windows: pd.DataFrame = pd.DataFrame([mean.to_numpy(dtype=np.float64) for mean in means])
        return windows

    @cached_property
    def end(self) -> float:
        """The return at the end, interquartile mean over seeds."""
        return float(interquartile_mean(self.final))

    @cached_property
    def best(self) -> Array:
        """The largest mean of a window, for each seed (num_seeds,)."""
        best: Array = np.nanmax(self.curve.values, axis=1)
        return best

    @cached_property
    def area(self) -> Array:
        """Mean return over training: the area under the curve by its length (num_seeds,)."""
        area: Array = np.nanmean(self.curve.values, axis=1)
        return area

    def steps_to(self, threshold: float) -> list[float | None]:
        """The steps at which each seed's windows first reach a return; None where they never do."""
        return [first_at(threshold, self.curve.x, row) for row in self.curve.values]

    @property
    def speed(self) -> float | None:
        """Agent steps per second up to the last episode's end, the median over seeds.

        None of runs that are shorter than `_TIMED`: their clocks count seconds.
        """
        rates = [r.steps[-1] / r.hours[-1] / 3600 for r in self.records
                 if r.hours is not None and len(r.hours) and r.hours[-1] > _TIMED]  # fmt: skip
        return float(np.median(rates)) if rates else None

    @property
    def param_count(self) -> int | None:
        """Number of weights, the largest of its runs."""
        return max((r.param_count for r in self.records if r.param_count), default=None)


class Anchors(NamedTuple):
    """Returns of a game that are 0 and 1 on the scale of its scores.

    Attributes:
        floor: of a random agent; of all cores when they begin to learn, where that is not known.
        top: of a human; of the best core in the end, where that is not known.
    """

    floor: float
    top: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several cores in several games.

    Attributes:
        arms: by environment and core; not every core need be in every game.
        baseline: the core that others are measured by; None if it is not there.
        problems: what a reader must know, a sentence each.
    """

    arms: Mapping[tuple[str, str], Arm]
    baseline: str | None
    problems: Sequence[str]

    @cached_property
    def envs(self) -> list[str]:
        """Environments, in order."""
        return sorted({env for env, _ in self.arms})

    @cached_property
    def cores(self) -> list[str]:
        """Cores, the baseline first."""
        names = sorted({core for _, core in self.arms})
        return sorted(names, key=lambda name: name != self.baseline)

    @cached_property
    def shared_envs(self) -> list[str]:
        """Games that every core has runs in and somebody learned: what is counted together."""
        return [
            env
            for env in self.envs
            if all((env, core) in self.arms for core in self.cores) and self.is_learned(env)
        ]

    def is_learned(self, env: str) -> bool:
        """Tells whether a core ends better than cores begin, so that scores mean something."""
        return self.anchors[env].top > self.anchors[env].floor

    def is_noisy(self, env: str) -> bool:
        """Tells whether runs of a core differ, seed by seed, by more than floor and top."""
        arms = [arm for (e, _), arm in self.arms.items() if e == env and len(arm.records) > 1]
        spread = np.mean([arm.final.std(ddof=1) for arm in arms]) if arms else 0.0
        return bool(spread > self.anchors[env].top - self.anchors[env].floor)

    @cached_property
    def scale(self) -> str:
        """The scale that makes scores of different games comparable: ``human`` or ``best``."""
        return "human" if all(map(atari_game, self.envs)) else "best"

    @cached_property
    def anchors(self) -> Mapping[str, Anchors]:
        """Between which returns each game's scores are counted."""
        return {env: self._anchors(env) for env in self.envs}

    def _anchors(self, env: str) -> Anchors:
        game = atari_game(env)
        if game and self.scale == "human":
            reference = references()[game]
            return Anchors(reference.random, reference.human)
        arms = [arm for (e, _), arm in self.arms.items() if e == env]
        begin = [row[~np.isnan(row)][0] for arm in arms for row in arm.curve.values]
        return Anchors(float(np.mean(begin)), max(arm.end for arm in arms))

    def normalised(self, env: str, returns: Array) -> Array:
        """Returns on the scale of the `anchors`: 0 is the floor, 1 the top."""
        floor, top = self.anchors[env]
        return (returns - floor) / (top - floor)

    def score(self, env: str, core: str) -> float | None:
        """The normalised return of a core at the end; None in a game that nobody learned."""
        end = np.array(self.arms[env, core].end)
        return float(self.normalised(env, end)) if self.is_learned(env) else None

    def scores(self, core: str) -> list[Array]:
        """Normalised final returns of a core in `shared_envs`, an array of seeds for each.

        A game counts as much as any other: each has as many seeds as all have.
        """
        counted = slice(self.seeds_counted(core))
        return [
            self.normalised(env, self.arms[env, core].final[counted]) for env in self.shared_envs
        ]

    def seeds_counted(self, core: str) -> int:
        """The number of seeds that each game of a core has at least; 0 if no game is counted."""
        return min((len(self.arms[env, core].records) for env in self.shared_envs), default=0)

    def improvement(self, env: str, core: str) -> float:
        """The gain of a core over the baseline at the end, in percent, in a game `is_learned`.

        `IMPROVEMENT`, of returns at the end. The paper's figures 5, 17 and 18 show a relative
        improvement and give no formula: this is that of Wang et al. 2016.
        """
        assert self.baseline is not None
        ours, theirs = (self.arms[env, c].end for c in (core, self.baseline))
        floor, top = self.anchors[env]
        return 100 * (ours - theirs) / (max(top, theirs) - floor)


def compare(records: Iterable[Record], baseline: str = "lstm") -> Comparison:
    """Puts runs side by side.

    Runs of a core whose settings differ become cores of their own, with the difference in their
    names; cores of different lengths are compared up to the shortest; both is told, and so is
    what is missing.

    Args:
        records: of the runs.
        baseline: beginning of the name of the core that others are measured by, or its label.
    """
    problems: list[str] = []
    whole = _unique(_finished(records, problems), problems)
    by_arm = {arm: _not_broken_off(runs, problems) for arm, runs in runs_by_name(whole).items()}
    names = {core: runs[0].label for (_, core), runs in by_arm.items()}
    chosen = _baseline(names, baseline)
    if chosen is None and names:
        problems.append(f"no core is called {baseline}...: nothing is measured by a baseline")
    also = [name for name in sorted(names) if name.startswith(baseline) and name != chosen]
    if chosen is not None and also and baseline not in (chosen, names[chosen]):
        problems.append(
            f"{chosen} is the baseline; {few(also)} would be {baseline}... too: --baseline "
            "takes a whole name"
        )
    arms: dict[tuple[str, str], Arm] = {}
    for env in sorted({env for env, _ in by_arm}):
        of_env = {core: runs for (e, core), runs in by_arm.items() if e == env}
        limit = _limit(env, of_env, problems)
        problems += _other_settings(env, of_env, chosen)
        for core, runs in of_env.items():
            in_time = [run for run in runs if run.steps[0] <= limit]
            problems += [
                f"left out: in {run.source} no episode ended within {limit:,.0f} agent steps"
                for run in runs
                if run not in in_time
            ]
            if in_time:
                arms[env, core] = Arm(env, core, in_time, limit)
    problems += [*other_meanings(by_arm), *_missing(arms, names)]
    problems += _noted(whole)
    comparison = Comparison(arms, chosen, problems)
    problems += _left_out_together(comparison)
    return replace(comparison, problems=[*problems, *_hard_to_scale(comparison)])


def _noted(records: Iterable[Record]) -> Iterable[str]:
    """Each note once, with the runs that it is of."""
    sources: dict[str, list[str]] = defaultdict(list)
    for record in records:
        for note in record.notes:
            sources[note].append(record.source)
    for note, of in sources.items():
        yield f"{few(of)}: {note}"


def _baseline(labels: Mapping[str, str], wanted: str) -> str | None:
    """The core that is meant, of those with such labels by name."""
    found = [n for n in sorted(labels) if labels[n] == wanted or n.startswith(wanted)]
    return found[0] if found else None


def _finished(records: Iterable[Record], problems: list[str]) -> list[Record]:
    whole, empty, short = [], [], []
    for record in records:
        if not (len(record.steps) and record.reached):
            empty.append(record.source)
        elif record.total is not None and record.reached < record.total * (
            1.0 if record.exact else 0.9  # where only the last episode's end is known
        ):
            steps = f"{record.reached:,.0f} of {record.total:,.0f} agent steps"
            short.append(f"{record.source} reached {steps}")
        else:
            whole.append(record)
    problems += [f"left out: in {few(empty)} no episode ended"] if empty else []
    problems += [f"left out: {few(short)}"] if short else []
    return whole


def _not_broken_off(runs: Sequence[Record], problems: list[str]) -> list[Record]:
    """The runs of a core less those that were surely broken off, though they say no total."""
    typical = np.median([run.length for run in runs])
    kept = []
    for run in runs:
        if run.total is None and run.reached < BROKEN_OFF * typical:
            problems.append(
                f"left out: {run.source} reached {run.reached:,.0f} agent steps and others of its "
                f"core {typical:,.0f}: it looks broken off"
            )
        else:
            kept.append(run)
    return kept


def _unique(records: Iterable[Record], problems: list[str]) -> list[Record]:
    """Each run once, though two sources may have it."""
    kept: dict[str, Record] = {}
    copies = []
    for record in records:
        key = json.dumps([record.env, record.label, record.seed, settings_of(record), record.total])
        if key in kept and record.seed is not None:
            copies.append(f"{record.source} has the settings of {kept[key].source}")
        else:
            kept[key if record.seed is not None else record.source] = record
    problems += [f"left out: {few(copies)}"] if copies else []
    return list(kept.values())


def _limit(env: str, arms: Mapping[str, Sequence[Record]], problems: list[str]) -> float:
    lengths = {core: [r.length for r in runs] for core, runs in arms.items()}
    shortest = min(min(of_core) for of_core in lengths.values())
    # A run that does not say its total ends with an episode, somewhere.
    exact = all(r.total is not None for runs in arms.values() for r in runs)
    longer = [
        f"{core} {max(of_core):,.0f}"
        for core, of_core in lengths.items()
        if max(of_core) > shortest * (1 if exact else ROUGHLY)
    ]
    if longer:
        problems.append(
            f"{env}: compared up to {shortest:,.0f} agent steps, though some had more: "
            f"{', '.join(longer)}"
        )
    return shortest


def _other_settings(
    env: str, arms: Mapping[str, Sequence[Record]], baseline: str | None
) -> Iterable[str]:
    """Settings in which a core differs from the baseline, beside the core's own."""
    first = arms.get(baseline or "") or next(iter(arms.values()))
    reference = first[0].settings
    for core, runs in arms.items():
        mine = runs[0].settings
        if not mine:
            yield f"{env}: nothing is known of the settings of {core}"
        keys = sorted((set(mine) & set(reference)) - OF_CORE - NOT_COMPARED)
        different = [f"{k} {mine[k]}, not {reference[k]}" for k in keys if mine[k] != reference[k]]
        if different:
            yield f"{env}: {core} has other settings: {'; '.join(different)}"


def _missing(arms: Mapping[tuple[str, str], Arm], names: Iterable[str]) -> Iterable[str]:
    """Reasons why a core is not counted, or its interval is not known, in all games."""
    envs = sorted({env for env, _ in arms})
    seeds = {key: len(arm.records) for key, arm in arms.items()}
    most = {env: max(n for (e, _), n in seeds.items() if e == env) for env in envs}
    for core in sorted(names):
        absent = [env for env in envs if (env, core) not in arms]
        fewer = [
            f"{env} {seeds[env, core]} of {most[env]}"
            for env in envs
            if seeds.get((env, core), most[env]) < most[env]
        ]
        if absent:
            yield f"missing: {core} has no runs in {few(absent)}"
        if fewer:
            yield f"missing: {core} has fewer seeds in {few(fewer)}"
        if single := [env for env in envs if seeds.get((env, core)) == 1]:
            yield f"no interval: {core} has a single seed in {few(single)}"
        if hardly := [env for env in envs if 1 < seeds.get((env, core), 0) < FEW_SEEDS]:
            yield (
                f"few seeds: {core} has less than {FEW_SEEDS} in {few(hardly)}; its interval "
                "there is hardly more than their range, and covers much less than 95%"
            )
    if arms and not any(all((env, core) in arms for core in names) for env in envs):
        yield (
            "nothing is counted together: no game has runs of every core; choose cores that have "
            "games in common with --cores"
        )


def _left_out_together(comparison: Comparison) -> Iterable[str]:
    """Seeds that are not counted in all games together, where some games have more."""
    for core in comparison.cores:
        counted = comparison.seeds_counted(core)
        arms = (comparison.arms[env, core] for env in comparison.shared_envs)
        if more := [arm.env for arm in arms if len(arm.records) > counted]:
            yield (
                f"together: of {core} the first {counted} of each game are counted, as many as all "
                f"have; there are more in {few(more)}"
            )


def _hard_to_scale(comparison: Comparison) -> Iterable[str]:
    """Games whose scores cannot be compared with those of others, or hardly."""
    for env in comparison.envs:
        if not comparison.is_learned(env):
            yield f"{env}: nobody learned anything; it does not count in what is counted together"
        elif comparison.is_noisy(env):
            yield (
                f"{env}: seeds of a core differ by more than anybody learned; its normalised score "
                "says little"
            )
    for env in comparison.envs:
        if comparison.scale == "human" and references()[atari_game(env) or ""].is_close:
            yield (
                f"{env}: a human scores hardly more than a random agent; its normalised score says "
                "little"
            )

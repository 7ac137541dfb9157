"""A comparison as tables: Markdown for people, rows for CSV."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rims_rl.comparison.aggregate import AGGREGATES
from rims_rl.comparison.pictures import Summary
from rims_rl.comparison.summary import WITHIN_SPREAD
from rims_rl.experiments.statistics import between, three_digits, with_interval
from rims_rl.experiments.tables import Table, as_markdown


def rows(summary: Summary) -> list[dict[str, Any]]:
    """A row for each core in each game: the columns of the table as a file."""
    return [_row(arm) for arm in summary["arms"]]


def as_text(summary: Summary, command: str) -> str:
    """The whole comparison in Markdown.

    Args:
        summary: of the comparison.
        command: that makes it.
    """
    parts = [f"    {command}", to_know(summary["problems"]), _of_games(summary)]
    if summary["together"]:
        parts.append(_of_all(summary))
    if summary["improvement"]:
        parts.append(_of_improvement(summary))
    if summary["paper"]:
        parts.append(as_markdown(beside_paper(summary)))
    parts.append(f"Intervals: 95%, {summary['intervals']}, over the seeds of each game.")
    return "\n\n".join(part for part in parts if part) + "\n"


def beside_paper(summary: Summary) -> Table:
    """The paper's table 7 beside ours, game by game, and how often both agree.

    Args:
        summary: of the comparison.
    """
    cores, games = summary["cores"], summary["paper"]
    head = ("game", "LSTM, paper", "RIMs, paper", *(f"{core}, ours" for core in cores), "agreement")
    body = [
        (
            found["game"],
            _give_or_take(found["lstm_ppo"], found["lstm_pm"]),
            _give_or_take(found["rims_ppo"], found["rims_pm"]),
            *(_ours(summary, env, core) for core in cores),
            found["agreement"] or "",
        )
        for env, found in games.items()
    ]
    told = [found["agreement"] for found in games.values() if found["agreement"]]
    ordered = [agreement for agreement in told if agreement != WITHIN_SPREAD]
    steps = sorted({arm["curve"]["steps"][-1] for arm in summary["arms"] if arm["env"] in games})
    pairs = {" and ".join(of["compared"]): None for of in games.values() if of["compared"]}
    title = (
        "The paper's table 7 (RIMs 6/5; its code's default is 10M agent steps), final scores and "
        f"their spread over seeds, beside ours ({' or '.join(f'{n:,.0f}' for n in steps)} steps): "
        f"{' or '.join(pairs) or 'RIM and LSTM'} in the same order in "
        f"{ordered.count('same order')} of {len(ordered)} games in which the paper's differ by "
        "more than its spread"
    )
    return Table(title, head, body)


def _ours(summary: Summary, env: str, core: str) -> str:
    for arm in summary["arms"]:
        if (arm["env"], arm["core"]) == (env, core):
            seeds = arm["final"]["each seed"]
            spread = float(np.std(seeds, ddof=1)) if len(seeds) > 1 else None
            return _give_or_take(float(np.mean(seeds)), spread)
    return ""


def _give_or_take(value: float, spread: float | None) -> str:
    return _text(value) if spread is None else f"{_text(value)} ± {_text(spread)}"


def to_know(problems: Sequence[str]) -> str:
    """The list of what a reader must know, in Markdown; empty if there is nothing."""
    return (
        "\n".join(["**To know**", "", *(f"- {problem}" for problem in problems)])
        if problems
        else ""
    )


def _of_games(summary: Summary) -> str:
    goal = summary["threshold"]
    goal = "the baseline's end" if goal is None else f"{goal:g}"
    head = ("game", "core", "seeds", "parameters", "steps/s", "return at the end", "score",
            "best window", "over training", f"seeds that reach {goal}, median of when")  # fmt: skip
    body = []
    for arm, row in zip(summary["arms"], rows(summary), strict=True):
        reached = row["seeds_at_threshold"]
        steps = row["steps_to_threshold"]
        cells = (
            arm["env"],
            arm["core"],
            str(row["seeds"]),
            "" if row["parameters"] is None else f"{row['parameters']:,}",
            _text(row["steps_per_second"]),
            with_interval(arm["final"]),
            three_digits(row["score"]),
            with_interval(arm["best"]),
            with_interval(arm["area"]),
            ""
            if reached is None
            else f"{reached}, {'never' if steps is None else f'{steps:,.0f}'}",
        )
        body.append(cells)
    title = (
        "Games: interquartile mean over seeds, 95% interval; score: the normalised return at the "
        f"end, {summary['scale_text']}"
    )
    return as_markdown(Table(title, head, body))


def _of_all(summary: Summary) -> str:
    found = summary["together"]
    names = (*AGGREGATES, "probability of improvement")
    body = [[core, *(_estimate(of[name]) for name in names)] for core, of in found["cores"].items()]
    title = (
        f"Together: {len(found['envs'])} of {len(summary['envs'])} games, those that every core "
        f"has and somebody learned; normalised return at the end, {summary['scale_text']}"
    )
    return as_markdown(Table(title, ("core", *names), body))


def _of_improvement(summary: Summary) -> str:
    cores = summary["improvement"]
    body = [
        [env, *(_percent(of.get(env)) for of in cores.values())]
        for env in summary["envs"]
        if any(env in of for of in cores.values())
    ]
    title = (
        f"Improvement over {summary['baseline']}: {summary['formula']}, of interquartile means "
        f"at the end, floor and top being {summary['scale_text']}"
    )
    return as_markdown(Table(title, ("game", *cores), body))


def _row(arm: Mapping[str, Any]) -> dict[str, Any]:
    low, high = arm["final"]["interval"] or (None, None)
    steps = None if arm["threshold"] is None else arm["threshold"]["steps"]
    # Late is never: where half of the seeds or fewer get there, nothing says when.
    median = (
        np.median([math.inf if step is None else step for step in steps]) if steps else math.inf
    )
    return {
        "env": arm["env"],
        "core": arm["core"],
        "seeds": len(arm["seeds"]),
        "parameters": arm["parameters"],
        "steps_per_second": arm["steps_per_second"],
        "final": arm["final"]["interquartile mean"],
        "final_low": low,
        "final_high": high,
        "score": arm["score"],
        "best": arm["best"]["interquartile mean"],
        "area": arm["area"]["interquartile mean"],
        "seeds_at_threshold": None if steps is None else sum(step is not None for step in steps),
        "steps_to_threshold": float(median) if math.isfinite(median) else None,
    }


def _estimate(estimate: Mapping[str, Any] | None) -> str:
    return "" if estimate is None else between(estimate["value"], estimate["interval"])


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:+.0f}"


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"

"""The paper's figures of Atari, 5, 17 to 20, and its table 7, from the runs of suites."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from rims_rl.comparison.comparison import IMPROVEMENT, compare
from rims_rl.comparison.folders import of_results
from rims_rl.comparison.pictures import draw_curves, draw_improvement
from rims_rl.comparison.summary import summarise
from rims_rl.comparison.text import beside_paper
from rims_rl.experiments.figure import Drawing, Figure
from rims_rl.experiments.store import Runs
from rims_rl.experiments.tables import as_markdown, draw_tables
from rims_rl.published.cores import LSTM, QUICK_ATARI, RIM
from rims_rl.published.suites import Suite
from rims_rl.runs.errors import UsageError

RIM_5, NO_ATTENTION = "RIM 6/5", "RIM, no input attention"
_OF_IMPROVEMENT = ("improvement", "baseline", "scale", "anchors", "problems")
_TABLE_7, _WITHOUT_ATTENTION = "atari41", "atari30"


def _compared(runs: Runs, suite: Suite, cores: Sequence[str]) -> dict[str, Any]:
    """The comparison of some cores of a suite, the first of which is the baseline."""
    models = {key: model for key, model in suite.models(QUICK_ATARI).items() if key[1] in cores}
    runs.prepare(list(models.values()), numbers_only=True)
    records, names = [], {}
    for (_, core), model in models.items():
        for run in runs.stored(model, numbers_only=True):
            records.append(of_results(str(run.folder), run.results, run.seed))
            names[core] = records[-1].label
    comparison = compare(records, names.get(cores[0], cores[0]))
    if not comparison.arms:
        raise UsageError("nothing to draw: " + "; ".join(comparison.problems[:3]))
    return {**summarise(comparison), "note": suite.note}


def _improvement(ours: str, theirs: str, runs: Runs, suite: Suite) -> Drawing:
    summary = _compared(runs, suite, (theirs, ours))
    if not any(summary["improvement"].values()):
        raise UsageError(f"no game has runs of both {ours} and {theirs}")
    numbers = {
        "formula": f"{IMPROVEMENT}, of interquartile means at the end",
        "ends": {f"{arm['env']}, {arm['core']}": arm["final"] for arm in summary["arms"]},
        **{name: summary[name] for name in _OF_IMPROVEMENT},
    }
    return Drawing(draw_improvement(summary), numbers, note=summary["note"])


def _curves(cores: Sequence[str], runs: Runs, suite: Suite) -> Drawing:
    summary = _compared(runs, suite, cores)
    numbers = {name: summary[name] for name in ("arms", "together", "problems")}
    return Drawing(draw_curves(summary), numbers, note=summary["note"])


def _table_7(runs: Runs, suite: Suite) -> Drawing:
    summary = _compared(runs, suite, (LSTM, RIM_5))
    table = beside_paper(summary)
    paper = {
        game["game"]: {name: game[name] for name in ("lstm_ppo", "rims_ppo")}
        for game in summary["paper"].values()
    }
    picture = draw_tables("Table 7: Atari", [table])
    return Drawing(picture, summary["paper"], paper, as_markdown(table), summary["note"])


FIGURES = (
    Figure(
        "fig5",
        "Atari: improvement of RIMs, 4 of 6 active, over LSTM",
        partial(_improvement, RIM, LSTM),
        suite=_TABLE_7,
    ),
    Figure(
        "fig17",
        "Atari: improvement of 5 active RIMs over 4",
        partial(_improvement, RIM_5, RIM),
        suite=_TABLE_7,
    ),
    Figure(
        "fig18",
        "Atari: improvement of RIMs, 5 of 6 active, over LSTM",
        partial(_improvement, RIM_5, LSTM),
        suite=_TABLE_7,
    ),
    Figure(
        "fig19",
        "Atari: learning curves of LSTM and RIMs, 4 and 5 active",
        partial(_curves, (LSTM, RIM, RIM_5)),
        suite=_TABLE_7,
    ),
    Figure(
        "fig20",
        "Atari: learning curves without input attention, all active",
        partial(_curves, (LSTM, RIM, NO_ATTENTION)),
        suite=_WITHOUT_ATTENTION,
    ),
    Figure("table7", "Atari: final scores beside the paper's", _table_7, suite=_TABLE_7),
)

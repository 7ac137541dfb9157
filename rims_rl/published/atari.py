"""The paper's figures of Atari, 5, 17 to 20, and its table 7, from the runs of suites."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rims_rl.comparison.comparison import compare
from rims_rl.comparison.folders import of_results
from rims_rl.comparison.pictures import draw_curves, draw_improvement
from rims_rl.comparison.summary import summarise
from rims_rl.comparison.text import beside_paper
from rims_rl.experiments.figure import Drawing, Figure
from rims_rl.experiments.store import Runs
from rims_rl.experiments.tables import Table, draw_tables
from rims_rl.published.cores import LSTM, QUICK_ATARI, RIM
from rims_rl.published.suites import read_suite
from rims_rl.runs.errors import UsageError

RIM_5, NO_ATTENTION = "RIM 6/5", "RIM, no input attention"
_SUITE, _WITHOUT_ATTENTION = "atari41", "atari30"


def _compared(runs: Runs, suite_name: str, cores: Sequence[str]) -> dict[str, Any]:
    """The comparison of some cores of a suite, the first of which is the baseline."""
    # Few games of the suite, in --quick.
    suite = read_suite(suite_name, "cpu" if runs.quick else runs.budget.name or None)
    models = {key: model for key, model in suite.models(QUICK_ATARI).items() if key[1] in cores}
    runs.prepare(list(models.values()), numbers_only=True, budgeted=True)
    records, names = [], {}
    for (_, core), model in models.items():
        for run in runs.stored(model, numbers_only=True):
            records.append(of_results(str(run.folder), run.results, run.seed))
            names[core] = records[-1].core
    comparison = compare(records, names.get(cores[0], cores[0]))
    if not comparison.arms:
        raise UsageError("nothing to draw: " + "; ".join(comparison.problems[:3]))
    return summarise(comparison)


def _improvement(suite: str, ours: str, theirs: str, runs: Runs) -> Drawing:
    summary = _compared(runs, suite, (theirs, ours))
    if not any(summary["improvement"].values()):
        raise UsageError(f"no game has runs of both {ours} and {theirs}")
    numbers = {name: summary[name] for name in ("improvement", "baseline", "scale", "problems")}
    return Drawing(draw_improvement(summary), numbers)


def _curves(suite: str, cores: Sequence[str], runs: Runs) -> Drawing:
    summary = _compared(runs, suite, cores)
    numbers = {name: summary[name] for name in ("arms", "together", "problems")}
    return Drawing(draw_curves(summary), numbers)


def _figure_5(runs: Runs) -> Drawing:
    return _improvement(_SUITE, RIM, LSTM, runs)


def _figure_17(runs: Runs) -> Drawing:
    return _improvement(_SUITE, RIM_5, RIM, runs)


def _figure_18(runs: Runs) -> Drawing:
    return _improvement(_SUITE, RIM_5, LSTM, runs)


def _figure_19(runs: Runs) -> Drawing:
    return _curves(_SUITE, (LSTM, RIM, RIM_5), runs)


def _figure_20(runs: Runs) -> Drawing:
    return _curves(_WITHOUT_ATTENTION, (LSTM, RIM, NO_ATTENTION), runs)


def _table_7(runs: Runs) -> Drawing:
    summary = _compared(runs, _SUITE, (LSTM, RIM))
    cores = summary["cores"]
    head = ("game", "LSTM-PPO, paper", "RIMs-PPO, paper", *(f"{core}, ours" for core in cores),
            "agreement")  # fmt: skip
    body = [
        (
            found["game"],
            f"{found['lstm_ppo']:,.0f} ± {found['lstm_pm']:,.0f}",
            f"{found['rims_ppo']:,.0f} ± {found['rims_pm']:,.0f}",
            *(_cell(summary, env, core) for core in cores),
            found["agreement"] or "",
        )
        for env, found in summary["paper"].items()
    ]
    table = Table("final scores: ours are means of the last tenth of the training", head, body)
    paper = {game["game"]: {k: game[k] for k in ("lstm_ppo", "rims_ppo")}
             for game in summary["paper"].values()}  # fmt: skip
    picture = draw_tables("Table 7: Atari", [table])
    return Drawing(picture, summary["paper"], paper, beside_paper(summary))


def _cell(summary: dict[str, Any], env: str, core: str) -> str:
    arms = [arm for arm in summary["arms"] if (arm["env"], arm["core"]) == (env, core)]
    if not arms:
        return ""
    seeds = arms[0]["final"]["each seed"]
    return f"{np.mean(seeds):,.1f} ± {np.std(seeds):,.1f}"


FIGURES = (
    Figure("fig5", "Atari: improvement of RIMs, 4 of 6 active, over LSTM", _figure_5),
    Figure("fig17", "Atari: improvement of 5 active RIMs over 4", _figure_17),
    Figure("fig18", "Atari: improvement of RIMs, 5 of 6 active, over LSTM", _figure_18),
    Figure("fig19", "Atari: learning curves of LSTM and RIMs, 4 and 5 active", _figure_19),
    Figure("fig20", "Atari: learning curves without input attention, all active", _figure_20),
    Figure("table7", "Atari: final scores beside the paper's", _table_7),
)

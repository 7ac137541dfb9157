"""The command ``python -m rims_rl.compare``: which core is better, and how sure is that."""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from rims_rl.comparison.comparison import Comparison, compare
from rims_rl.comparison.naming import runs_by_name
from rims_rl.comparison.pictures import AXES, draw_curves, draw_improvement, draw_together
from rims_rl.comparison.record import Record
from rims_rl.comparison.report import NoPlotlyError, write_report
from rims_rl.comparison.sources import read_sources
from rims_rl.comparison.summary import summarise
from rims_rl.comparison.text import as_text, beside_paper, rows, to_know
from rims_rl.comparison.wandb_report import check_project, make_report, send_report
from rims_rl.experiments.command import Parser, create_folder, finite_number, run_command
from rims_rl.experiments.output import write_picture
from rims_rl.experiments.tables import as_markdown
from rims_rl.runs.errors import UsageError, listed, warn
from rims_rl.runs.files import finite, write_text

#: Names of the files in ``--out``.
NUMBERS, TABLE, TEXT, REPORT = "comparison.json", "comparison.csv", "comparison.md", "report.html"
BASELINE = "lstm"


def main(argv: Sequence[str] | None = None) -> int:
    """Compares the runs of the sources that the command line names.

    Args:
        argv: the arguments; those of the process by default.

    Returns:
        The exit status: 0; 2 for a request that cannot be done; 130 or 143 after Ctrl-C or
        SIGTERM.
    """
    return run_command("compare", _parser(), argv, _compare)


def _compare(options: argparse.Namespace, command: str) -> int:
    records = _chosen(read_sources(options.sources), options)
    comparison = compare(records, options.baseline or BASELINE)
    _check(comparison, options.baseline)
    if options.wandb_report:
        check_project(options.wandb_report)
    summary = {**summarise(comparison, options.threshold), "command": command}
    if options.against and not summary["paper"]:
        raise UsageError("--against paper: none of the games is in the paper's table 7")
    hours = [hour for arm in summary["arms"] for hour in arm["curve"]["hours"]]
    if options.axis == "hours":
        if all(hour is None for hour in hours):
            raise UsageError(
                "--axis hours: no run says how long it took; steps and frames are known"
            )
        untimed = {arm["core"] for arm in summary["arms"] if None in arm["curve"]["hours"]}
        summary["problems"] += [
            f"no hours are known of {core} in all games: its curves of those are not drawn"
            for core in sorted(untimed)
        ]
    create_folder(options.out, "--out")
    write_text(options.out / NUMBERS, json.dumps(finite(summary), indent=1, allow_nan=False) + "\n")
    write_text(options.out / TABLE, pd.DataFrame(rows(summary)).to_csv(index=False))
    text = as_text(summary, command)
    write_text(options.out / TEXT, text)
    for name, picture in _pictures(summary, options.axis).items():
        for suffix in (".png", ".svg"):
            file = options.out / f"{name}{suffix}"
            if picture is None:
                file.unlink(missing_ok=True)  # of an earlier comparison
            else:
                write_picture(picture, file)
    if options.against:
        text = "\n\n".join([to_know(summary["problems"]), as_markdown(beside_paper(summary))])
    print(text)
    print(f"numbers  {options.out / NUMBERS}")
    (options.out / REPORT).unlink(missing_ok=True)
    try:
        write_report(summary, options.out / REPORT, options.title, command)
        print(f"written  {options.out / REPORT}", flush=True)
    except NoPlotlyError as error:
        warn(error)
    if options.wandb_report:
        report = make_report(summary, options.wandb_report, options.title, command)
        print(f"sent     {send_report(report)}", flush=True)
    return 0


def _pictures(summary: Mapping[str, Any], axis: str) -> dict[str, Figure | None]:
    """The pictures by name, None where there is nothing to draw."""
    is_gained = any(summary["improvement"].values())
    return {
        "curves": draw_curves(summary, axis),
        "together": draw_together(summary, axis) if summary["together"] else None,
        "improvement": draw_improvement(summary) if is_gained else None,
    }


def _chosen(records: Sequence[Record], options: argparse.Namespace) -> list[Record]:
    """The records that the patterns of the command line leave; a core's is its label or name."""
    of_games = [record for record in records if _matches([record.env], options.games)]
    if not of_games:
        raise UsageError(
            f"no run is of a game {_either(options.games)}: there are "
            f"{listed({record.env for record in records})}"
        )
    named = runs_by_name(of_games).items()
    names = {record.source: name for (_, name), runs in named for record in runs}
    chosen = [r for r in of_games if _matches([r.label, names[r.source]], options.cores)]
    if not chosen:
        raise UsageError(
            f"no run is of a core {_either(options.cores)}: there are "
            f"{listed({record.label for record in of_games})}"
        )
    return chosen


def _matches(names: Iterable[str], patterns: Sequence[str] | None) -> bool:
    return not patterns or any(
        fnmatch.fnmatchcase(name, pattern) for name in names for pattern in patterns
    )


def _either(patterns: Sequence[str]) -> str:
    return " or ".join(map(repr, patterns))


def _check(comparison: Comparison, baseline: str | None) -> None:
    if not comparison.arms:
        raise UsageError("no run got to its end: " + "; ".join(comparison.problems[:3]))
    envs, cores = comparison.envs, comparison.cores
    if len(cores) > 1 and len(comparison.arms) == len(envs):
        there = [f"{core} in {env}" for env, core in sorted(comparison.arms)]
        raise UsageError(f"no two cores have runs in the same game: {listed(there, most=5)}")
    if baseline and comparison.baseline is None:
        raise UsageError(f"--baseline {baseline}: the cores are {', '.join(cores)}")


def _parser() -> Parser:
    parser = Parser(
        "compare",
        "Compare runs of agents: learning curves, scores of all games together, a report to look "
        "at.\nRuns that differ in more than their core and seed are told apart and named.",
        "sources:\n"
        "  DIR                          a run, a store of runs, published results, logs of SB3's\n"
        "                               Monitor or of RL Baselines3 Zoo\n"
        "  wandb:ENTITY/PROJECT[?...]   runs of Weights & Biases, ours or others'; the filter is\n"
        "                               that of openrlbenchmark, e.g. ?ceik=env_id&cen=exp_name&\n"
        "                               metric=charts/episodic_return",
    )
    parser.add_argument("sources", metavar="SOURCE", nargs="+", help="where runs are, see below")
    parser.add_argument(
        "--baseline",
        metavar="CORE",
        help=f"what others are measured by: the beginning of a core's name [{BASELINE}]",
    )
    for name in ("games", "cores"):
        parser.add_argument(
            f"--{name}",
            metavar="PATTERN",
            action="append",
            help=f"only such {name}; give it again for more [all]",
        )
    parser.add_argument(
        "--axis", choices=AXES, default="steps", help="of learning curves in pictures [%(default)s]"
    )
    parser.add_argument(
        "--threshold",
        type=finite_number,
        metavar="RETURN",
        help="tell after how many steps it is reached [the baseline's return at the end]",
    )
    parser.add_argument(
        "--against", choices=("paper",), help="show the paper's table 7 beside ours"
    )
    parser.add_argument(
        "--wandb-report",
        metavar="ENTITY/PROJECT",
        help="also send a report to Weights & Biases, with panels of that project's runs",
    )
    parser.add_argument(
        "--title", default="Comparison of cores", help="of the report [%(default)s]"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", default=Path("comparison"), help="[%(default)s]"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

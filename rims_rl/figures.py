"""The command ``python -m rims_rl.figures``: figures and tables of the paper, comparisons."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rims_rl.envs import UnknownEnvError
from rims_rl.experiments.budget import Budget, read_budget
from rims_rl.experiments.command import (
    GOES_ON,
    Parser,
    add_executor_options,
    chosen_executor,
    create_folder,
    positive,
    run_command,
)
from rims_rl.experiments.figure import Figure
from rims_rl.experiments.output import write_figure
from rims_rl.experiments.store import STORE, Runs
from rims_rl.published.catalogue import FIGURES
from rims_rl.published.suites import read_suite
from rims_rl.runs.errors import UsageError, did_you_mean
from rims_rl.tasks.trainee import TASK_RUNS

#: Seeds of each model, as in the paper.
_SEEDS = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Makes the figure that the command line names.

    Args:
        argv: the arguments; those of the process by default.

    Returns:
        The exit status, see `run_command`.
    """
    return run_command("figures", _parser(), argv, _make, UnknownEnvError)


def _make(options: argparse.Namespace, command: str) -> int:
    figure = _figure(options.figure)
    if options.quick and options.budget:
        raise UsageError("--quick has its own budget: leave out it or --budget")
    # --quick has the games of a suite's small budget.
    suite = figure.suite and read_suite(figure.suite, "cpu" if options.quick else options.budget)
    budget = Budget(options.budget or "")
    if options.budget and not suite:
        budget = read_budget(options.budget, TASK_RUNS)
    usual = 1 if options.quick else suite.seeds if suite else _SEEDS
    root = options.runs or (Path(f"{STORE}-quick") if options.quick else STORE)
    if not options.dry_run:
        create_folder(root, "--runs")
        create_folder(options.out, "--out")
    runs = Runs(
        root,
        range(options.seeds or usual),
        quick=options.quick,
        budget=budget,
        executor=chosen_executor(_parser(), options),
        only=options.only,
        published=None if options.quick else options.out / "runs",
    )
    drawing = figure.make(runs, suite) if suite else figure.make(runs)
    picture = write_figure(figure, drawing, runs, options.out, command)
    if drawing.markdown:
        print(f"\n{drawing.markdown}\n")
    print(f"written  {picture}\nnumbers  {picture.with_suffix('.json')}", flush=True)
    return 0


def _figure(name: str) -> Figure:
    if name not in FIGURES:
        hint = did_you_mean(name, FIGURES)
        raise UsageError(f"unknown figure {name!r}: choose from {', '.join(FIGURES)}{hint}")
    return FIGURES[name]


def _parser() -> Parser:
    listing = "\n".join(f"  {figure.name:<16}{figure.title}" for figure in FIGURES.values())
    parser = Parser(
        "figures",
        "Make a figure or table of the RIMs paper, or a comparison of agents: train "
        "what is missing,\nor read stored runs, then write a picture and the numbers behind it.",
        f"figures:\n{listing}\n\n{GOES_ON}",
    )
    parser.add_argument("figure", metavar="FIGURE", help="one of the names below")
    parser.add_argument("--quick", action="store_true", help="small budgets: minutes, no result")
    parser.add_argument(
        "--budget",
        metavar="NAME",
        help="smaller than the paper's: cpu, or for supervised tasks YAML of options by task; "
        "figures of Atari and figure 4 take the budgets of their suites",
    )
    parser.add_argument(
        "--seeds",
        type=positive,
        metavar="N",
        help=f"of each model [{_SEEDS}, or those of its suite's budget; quick 1]",
    )
    add_executor_options(parser)
    parser.add_argument(
        "--only",
        "--train",
        metavar="PATTERN",
        default="*",
        help="train only runs with such a title, e.g. 'copying, lstm-*'; draw what is stored "
        "[%(default)s]",
    )
    parser.add_argument(
        "--runs", type=Path, metavar="DIR", help=f"trained runs [{STORE}, {STORE}-quick]"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", default=Path("figures"), help="pictures [%(default)s]"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

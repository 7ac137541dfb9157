"""The command ``python -m rims_rl.suite``: trains games x cores x seeds."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

from rims_rl.experiments.command import (
    GOES_ON,
    Parser,
    add_executor_options,
    chosen_executor,
    create_folder,
    positive,
    run_command,
)
from rims_rl.experiments.store import STORE, Runs, Wanted
from rims_rl.published.suites import read_suite, suite_titles
from rims_rl.runs.errors import UsageError
from rims_rl.runs.options import Track
from rims_rl.runs.wandb_run import tagged


def main(argv: Sequence[str] | None = None) -> int:
    """Trains what is missing of the suite that the command line names.

    Args:
        argv: the arguments; those of the process by default.

    Returns:
        The exit status, see `rims_rl.experiments.command.run_command`.
    """
    return run_command("suite", _parser(), argv, _train)


def _train(options: argparse.Namespace, command: str) -> int:
    suite = read_suite(options.suite, options.budget)
    if options.results is not None and options.results.resolve().is_relative_to(
        options.runs.resolve()
    ):
        raise UsageError(f"--results {options.results} is in --runs: its runs would be read twice")
    if not options.dry_run:
        if options.results is not None:
            create_folder(options.results, "--results")
        create_folder(options.runs, "--runs")
    runs = Runs(
        options.runs,
        range(options.seeds or suite.seeds),
        executor=chosen_executor(_parser(), options),
        only=options.only,
        published=options.results,
        track=options.track,
    )
    models = suite.models()
    try:
        with tagged(suite.name):  # so that its runs are found together at Weights & Biases
            runs.prepare(list(models.values()), numbers_only=True)
    finally:
        runs.publish()  # those that were done before, too, whatever stops the others
    _tell(suite.title, models, runs)
    stored = shlex.quote(str(options.results or runs.root))
    print(f"compare  python -m rims_rl.compare {stored}", flush=True)
    return 0


def _tell(title: str, models: Mapping[tuple[str, str], Wanted], runs: Runs) -> None:
    """Says what is there, and what to do with it."""
    stored = {key: len(runs.stored(model, numbers_only=True)) for key, model in models.items()}
    count, total = sum(stored.values()), len(models) * len(runs.seeds)
    print(f"{count} of {total} runs of {title} are here")
    for (env, core), count in stored.items():
        if count < len(runs.seeds):
            print(f"  missing: {env}, {core}: {len(runs.seeds) - count} of {len(runs.seeds)} seeds")


def _parser() -> Parser:
    listing = "\n".join(f"  {name:<16}{title}" for name, title in suite_titles().items())
    parser = Parser(
        "suite",
        "Train agents in several games, with several cores and seeds and the same settings.",
        f"suites:\n{listing}\n\n{GOES_ON}",
    )
    parser.add_argument(
        "suite", metavar="SUITE", help="one of the names below, or a YAML file like theirs"
    )
    parser.add_argument(
        "--budget", metavar="NAME", help="how long and how many seeds: paper, cpu [the first]"
    )
    parser.add_argument("--seeds", type=positive, metavar="N", help="of each core [the budget's]")
    parser.add_argument(
        "--only",
        "--train",
        metavar="PATTERN",
        default="*",
        help="train only runs with such a title, e.g. 'Pong*, lstm-*' [%(default)s]",
    )
    add_executor_options(parser)
    parser.add_argument(
        "--track",
        choices=get_args(Track),
        default="off",
        help="Weights & Biases, as --track of rims_rl.train [%(default)s]",
    )
    parser.add_argument(
        "--results",
        type=Path,
        metavar="DIR",
        help="also keep the results of each run there as it ends, a few kilobytes, and train none "
        "that has some: to go on on another machine",
    )
    parser.add_argument(
        "--runs", type=Path, metavar="DIR", default=STORE, help="trained runs [%(default)s]"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""The command ``python -m rims_rl.figures``: figures and tables of the paper, comparisons."""

from __future__ import annotations

import argparse
import difflib
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

import torch

from rims_rl.experiments.budget import Budget, read_budget
from rims_rl.experiments.cluster import Ray
from rims_rl.experiments.executor import (
    DryRun,
    Executor,
    NothingTrained,
    OneByOne,
    Processes,
    TrainingStoppedError,
)
from rims_rl.experiments.figure import Figure
from rims_rl.experiments.output import write_figure
from rims_rl.experiments.store import Runs
from rims_rl.published.catalogue import FIGURES
from rims_rl.runs.errors import UsageError, exit_status, report
from rims_rl.runs.options import flag
from rims_rl.tasks.trainee import TASK_RUNS

PROGRAM = "python -m rims_rl.figures"


def main(argv: Sequence[str] | None = None) -> int:
    """Makes the figure that the command line names.

    Args:
        argv: the arguments; those of the process by default.

    Returns:
        The exit status: 0; 2 for a request that cannot be done; 130 or 143 after Ctrl-C or
        SIGTERM, with all runs saved; 1 where a loss is not finite.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = shlex.join([*PROGRAM.split(), *arguments])
    before = signal.signal(signal.SIGTERM, _raise_stop)
    try:
        return exit_status(
            "figures",
            lambda: _make(_parser().parse_args(arguments), command),
            "interrupted; the same command goes on from the checkpoints saved",
        )
    except NothingTrained as commands:
        print(commands)
        return 0
    except TrainingStoppedError as error:
        report("figures", error)
        return error.status
    finally:
        signal.signal(signal.SIGTERM, before)


def _make(options: argparse.Namespace, command: str) -> int:
    figure = _figure(options.figure)
    seeds = options.seeds or (1 if options.quick else 3)
    budget = read_budget(options.budget, TASK_RUNS) if options.budget else Budget()
    if options.quick and options.budget:
        raise UsageError("--quick has its own budget: leave out it or --budget")
    root = options.runs or Path("runs") / ("figures-quick" if options.quick else "figures")
    _create(root, "--runs")
    _create(options.out, "--out")
    runs = Runs(
        root,
        range(seeds),
        quick=options.quick,
        budget=budget,
        executor=_executor(options),
        only=options.train,
        published=None if options.quick else options.out / "runs",
    )
    drawing = figure.make(runs)
    picture = write_figure(figure, drawing, runs, options.out, command)
    if drawing.markdown:
        print(f"\n{drawing.markdown}\n")
    print(f"written  {picture}\nnumbers  {picture.with_suffix('.json')}", flush=True)
    return 0


def _executor(options: argparse.Namespace) -> Executor:
    if options.dry_run:
        return DryRun()
    if options.executor == "ray":
        gpus = options.gpus_per_run
        return Ray(options.ray_address, options.cpus_per_run, gpus, options.jobs)
    for name in ("ray_address", "cpus_per_run", "gpus_per_run"):
        if getattr(options, name) != _parser().get_default(name):
            raise UsageError(f"{flag(name)} is for --executor ray")
    jobs = options.jobs or _default_jobs()
    return OneByOne() if jobs == 1 else Processes(jobs)


def _figure(name: str) -> Figure:
    if name not in FIGURES:
        nearest = difflib.get_close_matches(name, FIGURES, n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        raise UsageError(f"unknown figure {name!r}: choose from {', '.join(FIGURES)}{hint}")
    return FIGURES[name]


def _create(folder: Path, option: str) -> None:
    """Creates a folder now rather than fail after hours of training."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot create {folder}: {error.strerror}; choose another {option}"
        ) from None


def _default_jobs() -> int:
    """A training for each core; one where a GPU does the work."""
    return 1 if torch.cuda.is_available() else os.cpu_count() or 1


def _raise_stop(number: int, frame: FrameType | None) -> NoReturn:
    # `timeout` sends it twice; the trainings are to be saved once, in peace.
    signal.signal(number, signal.SIG_IGN)
    raise TrainingStoppedError("stopped: the same command goes on from here", 128 + number)


class _Parser(argparse.ArgumentParser):
    """Leaves it to `main` to report errors, in one line."""

    def error(self, message: str) -> NoReturn:
        """Raises a `UsageError`."""
        raise UsageError(f"{message}; see {PROGRAM} --help")


def _parser() -> argparse.ArgumentParser:
    listing = "\n".join(f"  {figure.name:<16}{figure.title}" for figure in FIGURES.values())
    parser = _Parser(
        prog=PROGRAM,
        description="Make a figure or table of the RIMs paper, or a comparison of agents: train "
        "what is missing,\nor read stored runs, then write a picture and the numbers behind it.",
        epilog=f"figures:\n{listing}\n\nCtrl-C saves the trainings; the same command goes on.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("figure", metavar="FIGURE", help="one of the names below")
    parser.add_argument("--quick", action="store_true", help="small budgets: minutes, no result")
    parser.add_argument(
        "--budget",
        metavar="NAME",
        help="of supervised tasks, smaller than the paper's: cpu, or YAML of options by task",
    )
    parser.add_argument("--seeds", type=_positive, metavar="N", help="of each model [3; quick 1]")
    parser.add_argument("--jobs", type=_positive, metavar="N", help="trainings at once [all cores]")
    parser.add_argument(
        "--executor", choices=("process", "ray"), default="process",
        help="where to train: processes of this machine, or a Ray cluster [process]",
    )  # fmt: skip
    parser.add_argument("--ray-address", metavar="ADDRESS", help="of the cluster [this machine]")
    parser.add_argument("--cpus-per-run", type=float, metavar="N", default=1.0, help="on Ray [1]")
    parser.add_argument("--gpus-per-run", type=float, metavar="N", default=0.0, help="on Ray [0]")
    parser.add_argument(
        "--dry-run", action="store_true", help="print the commands that would train, and end"
    )
    parser.add_argument(
        "--train",
        metavar="PATTERN",
        default="*",
        help="train only runs with such a title, e.g. 'copying, lstm-*'; draw what is stored [*]",
    )
    parser.add_argument(
        "--runs", type=Path, metavar="DIR", help="trained runs [runs/figures, runs/figures-quick]"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", default=Path("figures"), help="pictures [figures]"
    )
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())

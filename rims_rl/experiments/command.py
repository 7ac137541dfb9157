"""Parts that commands over many runs share: where to train, how they stop, errors of one line."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

import torch

from rims_rl.experiments.cluster import Ray
from rims_rl.experiments.executor import (
    DryRun,
    Executor,
    NothingTrained,
    OneByOne,
    Processes,
    TrainingStoppedError,
)
from rims_rl.runs.errors import UsageError, exit_status, report
from rims_rl.runs.options import flag
from rims_rl.runs.parser import readable

#: What a help text ends with.
GOES_ON = "Ctrl-C saves the trainings; the same command goes on."


class Parser(argparse.ArgumentParser):
    """Help with line breaks as they are written, no abbreviations, errors for `run_command`.

    Args:
        name: of the command, ``python -m rims_rl.NAME``.
        description: at the top of the help text.
        epilog: at its end.
    """

    def __init__(self, name: str, description: str, epilog: str) -> None:
        super().__init__(
            prog=f"python -m rims_rl.{name}",
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Raises a `UsageError`."""
        ours = readable(message, [action.dest for action in self._actions])
        raise UsageError(ours if ours != message else f"{message}; see {self.prog} --help")


def run_command(
    name: str,
    parser: Parser,
    argv: Sequence[str] | None,
    work: Callable[..., int],
    *refusals: type[Exception],
) -> int:
    """Runs a command that may train; Ctrl-C and SIGTERM save what it trains.

    Args:
        name: of the command, for messages.
        parser: of its arguments.
        argv: the arguments; those of the process if None.
        work: takes the parsed arguments and the command as text; returns the exit status.
        *refusals: errors beside `UsageError` that say what the user should change.

    Returns:
        The exit status: that of `work`; 2 for a request that cannot be done; 130 or 143 after
        Ctrl-C or SIGTERM, with all runs saved; 1 where a loss is not finite.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = shlex.join([*parser.prog.split(), *arguments])
    before = signal.signal(signal.SIGTERM, _raise_stop)
    try:
        return exit_status(
            name,
            lambda: work(parser.parse_args(arguments), command),
            "interrupted; the same command goes on from the checkpoints saved",
            *refusals,
        )
    except NothingTrained as commands:
        if not str(commands):  # beside where commands go
            print("nothing is missing", file=sys.stderr)
            return 0
        with contextlib.suppress(BrokenPipeError):  # the reader, such as `head`, has enough
            print(commands, flush=True)
        return 0
    except TrainingStoppedError as error:
        report(name, error)
        return error.status
    finally:
        signal.signal(signal.SIGTERM, before)


def add_executor_options(parser: argparse.ArgumentParser) -> None:
    """Adds where runs are trained."""
    parser.add_argument("--jobs", type=positive, metavar="N", help="trainings at once [all cores]")
    parser.add_argument(
        "--executor", choices=("process", "ray"), default="process",
        help="where to train: processes of this machine, or a Ray cluster [%(default)s]",
    )  # fmt: skip
    parser.add_argument("--ray-address", metavar="ADDRESS", help="of the cluster [this machine]")
    parser.add_argument(
        "--cpus-per-run", type=share, metavar="N", default=1.0, help="on Ray [%(default)s]"
    )
    parser.add_argument(
        "--gpus-per-run", type=share, metavar="N", default=0.0, help="on Ray [%(default)s]"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print the commands that would train, and end"
    )


def chosen_executor(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Executor:
    """The executor that the options of `add_executor_options` ask for.

    Raises:
        UsageError: options of Ray without it.
    """
    if options.dry_run:
        return DryRun()
    if options.executor == "ray":
        gpus = options.gpus_per_run
        return Ray(options.ray_address, options.cpus_per_run, gpus, options.jobs)
    for name in ("ray_address", "cpus_per_run", "gpus_per_run"):
        if getattr(options, name) != parser.get_default(name):
            raise UsageError(f"{flag(name)} is for --executor ray")
    jobs = options.jobs or _default_jobs()
    return OneByOne() if jobs == 1 else Processes(jobs)


def create_folder(folder: Path, option: str) -> None:
    """Creates a folder now rather than fail after hours of training.

    Args:
        folder: to create.
        option: that named it.

    Raises:
        UsageError: it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot create {folder}: {error.strerror}; choose another {option}"
        ) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"no permission to write in {folder}; choose another {option}")


def positive(text: str) -> int:
    """A number of things of which there must be one, from the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text}")
    return int(text)


def finite_number(text: str) -> float:
    """A number from the command line that is neither NaN nor infinite."""
    with contextlib.suppress(ValueError):
        if math.isfinite(number := float(text)):
            return number
    raise argparse.ArgumentTypeError(f"expected a finite number, got {text}")


def share(text: str) -> float:
    """A number of at least 0 from the command line, such as half a GPU."""
    if (number := finite_number(text)) < 0:
        raise argparse.ArgumentTypeError(f"expected a number of at least 0, got {text}")
    return number


def _default_jobs() -> int:
    """A training for each core; one where a GPU does the work."""
    return 1 if torch.cuda.is_available() else os.cpu_count() or 1


def _raise_stop(number: int, frame: FrameType | None) -> NoReturn:
    # `timeout` sends it twice; the trainings are to be saved once, in peace.
    signal.signal(number, signal.SIG_IGN)
    raise TrainingStoppedError("stopped: the same command goes on from here", 128 + number)

"""Commands that let a trained agent play: their options, how they are read, how they end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import jsonargparse

from rims_rl.envs import UnknownEnvError
from rims_rl.runs.errors import exit_status
from rims_rl.runs.options import check_seed, option
from rims_rl.runs.parser import add_options, make_parser


@dataclass(frozen=True)
class PlayOptions:
    """The agent, the environment that it plays, and how."""

    run: str = option("", "run folder, or a model's zip file")
    env: str | None = option(None, "environment id; default: the one it was trained in")
    env_kwargs: dict[str, Any] = option({}, "settings of the environment, as {key: value}")
    checkpoint: str = option("final", "which model of the run: final, best or a zip file")
    deterministic: bool = option(False, "take the likeliest action instead of sampling")
    normalize: str | None = option(
        None,
        "what observations are normalised by: vecnormalize.pkl, or our JSON; default: "
        "what lies beside the model",
    )
    seed: int = option(0, "seed of environments, actions and intervals")
    device: str = option("auto", "auto, cpu, cuda or cuda:N")
    video: str | None = option(None, "write a video of a game, .mp4 or .gif")

    def __post_init__(self) -> None:
        check_seed(self.seed)


def make_play_parser(
    program: str, description: str, options: type[PlayOptions]
) -> jsonargparse.ArgumentParser:
    """A parser of a run, then options.

    Args:
        program: as it is called.
        description: of what it does.
        options: the command's.
    """
    parser = make_parser(program, description)
    parser.usage = "%(prog)s RUN [options]"
    help_of = {entry.name: entry.metadata["help"] for entry in fields(options)}
    parser.add_argument("run", type=str, metavar="RUN", help=help_of["run"])
    add_options(parser, options, leave_out=("run", "deterministic"))
    parser.add_argument("--deterministic", action="store_true", help=help_of["deterministic"])
    return parser


def play_command(
    name: str, argv: Sequence[str] | None, work: Callable[[Sequence[str]], int]
) -> int:
    """Runs such a command.

    Args:
        name: of the command, for messages.
        argv: the arguments; those of the process if None.
        work: takes them; returns the exit status.

    Returns:
        The exit status: that of `work`; 2 for a request that cannot be done; 130 after Ctrl-C.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    interrupted = "interrupted; nothing more is written"
    return exit_status(name, lambda: work(arguments), interrupted, UnknownEnvError, OSError)

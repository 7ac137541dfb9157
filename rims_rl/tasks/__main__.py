"""The command ``python -m rims_rl.tasks``: trains a sequence model on a supervised task."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rims_rl.run.errors import exit_status
from rims_rl.tasks.parser import command_line, overview, parse
from rims_rl.tasks.session import new_session, resumed_session, run_session


def main(argv: Sequence[str] | None = None) -> int:
    """Trains and tests as the command line says.

    Args:
        argv: the arguments; those of the process by default.

    Returns:
        The exit status: 0; 2 for a request that cannot be done; 130 or 143 after Ctrl-C or
        SIGTERM, with a checkpoint saved; 1 where the loss is not finite.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments in ([], ["-h"], ["--help"]):
        print(overview())
        return 0 if arguments else 2
    return exit_status(
        "tasks",
        lambda: _train(arguments),
        "interrupted at once; the checkpoints saved before are intact",
    )


def _train(arguments: Sequence[str]) -> int:
    request = parse(arguments)
    if request.resume is not None:
        session = resumed_session(request.resume, request.task, request.values)
    else:
        session = new_session(request.task, request.values)
    return run_session(session, command_line(arguments))


if __name__ == "__main__":
    sys.exit(main())

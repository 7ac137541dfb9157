"""The command ``python -m rims_rl.tasks``: trains a sequence model on a supervised task."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rims_rl.runs import session
from rims_rl.tasks.parser import overview
from rims_rl.tasks.trainee import TASK_RUNS


def main(argv: Sequence[str] | None = None) -> int:
    """Trains and tests as the command line says; see `rims_rl.runs.session.main`."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments in (["-h"], ["--help"]):
        print(overview())
        return 0
    return session.main(TASK_RUNS, arguments)


if __name__ == "__main__":
    sys.exit(main())

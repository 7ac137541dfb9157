"""The command ``python -m rims_rl.evaluate``: scores of a trained agent, and a video of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rims_rl.training.evaluation import evaluate, parse
from rims_rl.training.playing import play_command


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluates as the command line says.

    Args:
        argv: the arguments; those of the process by default.

    Returns:
        The exit status: 0; 2 for a request that cannot be done; 130 after Ctrl-C.
    """
    return play_command("evaluate", argv, _evaluate)


def _evaluate(arguments: Sequence[str]) -> int:
    evaluate(parse(arguments))
    return 0


if __name__ == "__main__":
    sys.exit(main())

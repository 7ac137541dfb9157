"""The command ``python -m rims_rl.evaluate``: scores of a trained agent, and a video of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rims_rl.envs import UnknownEnvError
from rims_rl.run.errors import UsageError, report
from rims_rl.run.evaluation import evaluate, parse


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluates as the command line says.

    Args:
        argv: the arguments; those of the process by default.

    Returns:
        The exit status: 0; 2 for a request that cannot be done; 130 after Ctrl-C.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        request = parse(arguments)
        result: Path = evaluate(request)
    except (UsageError, UnknownEnvError, OSError) as error:
        report("evaluate", error)
        return 2
    except KeyboardInterrupt:
        report("evaluate", "interrupted; nothing was written")
        return 130
    print(f"written {result}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

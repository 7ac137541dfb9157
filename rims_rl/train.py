"""The command ``python -m rims_rl.train``: trains an agent and leaves a complete run folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rims_rl.runs import session
from rims_rl.training.trainee import AGENTS


def main(argv: Sequence[str] | None = None) -> int:
    """Trains as the command line says; see `rims_rl.runs.session.main`."""
    return session.main(AGENTS, argv)


if __name__ == "__main__":
    sys.exit(main())

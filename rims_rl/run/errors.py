"""What the commands tell the user on stderr: one line for each error or warning."""

from __future__ import annotations

import sys


class UsageError(ValueError):
    """Something the user asked for cannot be done; the message says what would work."""


def report(command: str, message: object) -> None:
    """Prints an error as exactly one line on stderr, whatever the exception's layout was."""
    text = " ".join(str(message).split())
    print(f"rims_rl.{command}: error: {text}", file=sys.stderr)


def warn(message: object) -> None:
    """Prints a warning as exactly one line on stderr."""
    print(f"rims_rl: warning: {' '.join(str(message).split())}", file=sys.stderr)

"""Messages of the commands to the user on stderr: one line for each error or warning."""

from __future__ import annotations

import errno
import os
import select
import sys
from collections.abc import Callable, Iterable
from difflib import get_close_matches

#: What the system says where there is no room: the disk is full, or the user's part of it.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class UsageError(ValueError):
    """Something the user asked for cannot be done; the message says what would work."""


def report(command: str, message: object) -> None:
    """Prints an error as exactly one line on stderr, whatever the exception's layout was."""
    text = " ".join(str(message).split())
    print(f"rims_rl.{command}: error: {text}", file=sys.stderr)


def did_you_mean(
    name: str, known: Iterable[str], show: Callable[[str], str] = str, otherwise: str = ""
) -> str:
    """The end of a message about a name that is not known: the one or two nearest that are.

    Args:
        name: that is not known.
        known: names.
        show: how a name is written.
        otherwise: what to say if none is near.
    """
    nearest = get_close_matches(name, list(known), n=2)
    return f"; did you mean {' or '.join(map(show, nearest))}?" if nearest else otherwise


def listed(names: Iterable[str], most: int = 20) -> str:
    """Names for people, in order."""
    ordered = sorted(names)
    more = f" and {len(ordered) - most} more" if len(ordered) > most else ""
    return (", ".join(ordered[:most]) or "nothing") + more


def few(names: Iterable[str]) -> str:
    """The first three names, and how many more there are."""
    return listed(names, most=3)


def exit_status(
    command: str, work: Callable[[], int], interrupted: str, *refusals: type[Exception]
) -> int:
    """Does the work of a command; what goes wrong by the user's doing becomes one line.

    Args:
        command: its name.
        work: returns the exit status.
        interrupted: what to say after Ctrl-C.
        *refusals: errors beside `UsageError` that say what the user should change.

    Returns:
        That of the work; 2 for a request that cannot be done or a full disk; 130 after Ctrl-C; 1
        where nobody reads what is printed.
    """
    refused: tuple[type[Exception], ...] = (UsageError, *refusals)
    try:
        status = work()
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        if not _is_stdout_closed():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except refused as error:
        report(command, error)
        return 2
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        report(command, "no room left on the disk: make room; what was saved before is intact")
        return 2
    except KeyboardInterrupt:
        report(command, interrupted)
        return 130


def _is_stdout_closed() -> bool:
    """Tells whether the reader of what is printed, such as `head`, has enough."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
    except (OSError, ValueError):  # no file: a test's, or a notebook's
        return False
    return any(event & select.POLLERR for _, event in poll.poll(0))


def warn(message: object) -> None:
    """Prints a warning as exactly one line on stderr."""
    print(f"rims_rl: warning: {' '.join(str(message).split())}", file=sys.stderr)

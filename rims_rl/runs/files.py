"""Writing files so that a kill at any moment leaves either the old content or the new."""

from __future__ import annotations

import hashlib
import math
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rims_rl.runs.errors import NO_ROOM, UsageError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` to fill, which takes its place if all went well.

    Args:
        path: the file to create or replace.

    Raises:
        UsageError: the disk is full, or the user's part of it.
    """
    # The suffix stays last: SB3 appends ".zip" to a path that lacks it.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        if not _is_full(path.parent, error):
            raise
        raise UsageError(
            f"no room left in {path.parent} for {path.name}: make room and go on; what was saved "
            "before is intact"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Lets `write` fill a temporary file beside `path`, then renames it over `path`.

    Args:
        path: the file to create or replace.
        write: called with the temporary path; must create that file.

    Raises:
        UsageError: the disk is full, or the user's part of it.
    """
    with replacing(path) as temporary:
        write(temporary)


def remove_temporaries(folder: Path) -> None:
    """Removes what `replacing` left in a folder when it was killed; nobody writes there."""
    for file in folder.glob(".*.tmp*"):
        if re.fullmatch(r"\..+\.\d+\.tmp(\.\w+)?", file.name):
            file.unlink()


def write_text(path: Path, text: str) -> None:
    """Writes a small text file atomically."""
    write_atomically(path, lambda temporary: _write_utf8(temporary, text))


def finite(value: Any) -> Any:
    """The same for JSON, which has neither NaN nor infinity."""
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def sha256(path: Path) -> str:
    """The hexadecimal SHA-256 digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def nearest_existing(path: Path) -> Path:
    """The path itself, or the nearest folder above it that is there."""
    existing = path.absolute()
    while not os.path.exists(existing):  # False also where one may not look
        existing = existing.parent
    return existing


def free_bytes(folder: Path) -> int:
    """The bytes that the disk of a folder, which need not exist yet, has left."""
    return shutil.disk_usage(nearest_existing(folder)).free


def _write_utf8(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _is_full(folder: Path, error: Exception) -> bool:
    """Tells whether a lack of room is behind an error: torch has no error of its own for that."""
    return getattr(error, "errno", None) in NO_ROOM or free_bytes(folder) < 2**16


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())

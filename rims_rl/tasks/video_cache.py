"""Generated videos on the disk: made once, checked whenever they are loaded."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from tqdm import tqdm

from rims_rl.runs.errors import UsageError, warn
from rims_rl.runs.files import free_bytes, write_atomically, write_text

Videos = NDArray[np.uint8]

_SAMPLED = 64
"""How many videos the checksum looks at: reading all of a big set would take longer than a look."""


@dataclass(frozen=True)
class Recipe:
    """The content of a data set and how it is made; two data sets of one recipe are equal.

    Attributes:
        name: of the file, for people.
        version: of the code that generates it.
        options: all that the content depends on, as JSON can hold it.
        shape: (N, ...) of the whole.
        blocks: generates it, some videos after the other.
    """

    name: str
    version: int
    options: dict[str, Any]
    shape: tuple[int, ...]
    blocks: Callable[[], Iterable[Videos]] = field(compare=False, repr=False)

    def path(self, folder: Path) -> Path:
        """The file of the data set: data sets of other options have other files."""
        text = json.dumps(self.options, sort_keys=True)
        return folder / f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}.npy"

    def size(self) -> int:
        """Bytes of the content."""
        return math.prod(self.shape)


def load(folder: Path, recipe: Recipe) -> Videos:
    """The data set from the disk, after generating it if it is not there or not intact.

    Several processes may ask at once: one generates, the others wait for it.

    Args:
        folder: of the cache; created where needed.
        recipe: what is wanted; it generates nothing if the disk has it.

    Returns:
        uint8 of the recipe's shape, read-only, mapped from the file.

    Raises:
        UsageError: the disk has no room for it, or the folder cannot be written.
    """
    path = recipe.path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            _ensure(path, recipe)
    except OSError as error:
        raise UsageError(
            f"cannot write data to {folder}: {error.strerror}; choose another folder with "
            "--cache-dir"
        ) from None
    return _open(path)


def require_room(folder: Path, recipes: Iterable[Recipe]) -> None:
    """Refuses work whose data sets the disk has no room for, before any is generated.

    Args:
        folder: of the cache.
        recipes: all that the work needs; those that are there take no more room.

    Raises:
        UsageError: saying how much is missing.
    """
    paths = {recipe.path(folder): recipe for recipe in recipes}
    missing = [recipe for path, recipe in paths.items() if not os.path.exists(path)]
    if missing and free_bytes(folder) < sum(recipe.size() for recipe in missing):
        raise UsageError(_no_room(folder, missing))


def _ensure(path: Path, recipe: Recipe) -> None:
    if path.exists():
        defect = _defect(path, recipe)
        if defect is None:
            return
        warn(f"{path} is {defect}: generating it again")
        path.unlink()
    for leftover in path.parent.glob(f".{path.stem}.*"):
        leftover.unlink()  # of a killed process: the lock is ours
    require_room(path.parent, [recipe])
    write_atomically(path, lambda temporary: _write(temporary, recipe))
    write_text(_card(path), json.dumps(_describe(path, recipe), indent=2) + "\n")


def _write(path: Path, recipe: Recipe) -> None:
    """Writes one block after the other, as a full disk would kill who writes through a map."""
    header = {"descr": "|u1", "fortran_order": False, "shape": recipe.shape}
    bar = tqdm(total=recipe.shape[0], unit="video", desc=recipe.name, disable=None)
    with bar, path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in recipe.blocks():
            file.write(block.data)
            bar.update(len(block))


def _defect(path: Path, recipe: Recipe) -> str | None:
    """The defect of a file, as it follows "is"; None if there is none."""
    try:
        card = json.loads(_card(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "without its description"
    if not isinstance(card, dict) or card.get("version") != recipe.version:
        return "of another version"
    try:
        intact = card == _describe(path, recipe)
    except (ValueError, EOFError):
        return "truncated"
    return None if intact else "damaged"


def _describe(path: Path, recipe: Recipe) -> dict[str, Any]:
    """The description that is written beside a file."""
    videos = _open(path)
    return {
        "version": recipe.version,
        "options": recipe.options,
        "shape": list(videos.shape),
        "sampled_sha256": _checksum(videos),
    }


def _checksum(videos: Videos) -> str:
    digest = hashlib.sha256()
    for row in np.linspace(0, len(videos) - 1, min(len(videos), _SAMPLED)).astype(int):
        digest.update(np.ascontiguousarray(videos[row]).data)
    return digest.hexdigest()


def _open(path: Path) -> Videos:
    videos: Videos = np.load(path, mmap_mode="r")
    return videos


def _card(path: Path) -> Path:
    return path.with_suffix(".json")


def _no_room(folder: Path, recipes: Sequence[Recipe]) -> str:
    names = ", ".join(recipe.name for recipe in recipes)
    needed = sum(recipe.size() for recipe in recipes)
    return (
        f"{names}: generated data of {needed / 1e9:.2f} GB need room in {folder}, which has "
        f"{free_bytes(folder) / 1e9:.2f} GB left: make room, choose another folder "
        "(--cache-dir or XDG_CACHE_HOME) or fewer sequences (--train-size, --test-size)"
    )

"""Checkpoints: all that a resumed run needs, checked before they are trusted."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import random
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rims_rl.runs.errors import warn
from rims_rl.runs.files import sha256, write_atomically, write_text

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The facts that a run knows beside its model; each kind of run adds its own.

    Attributes:
        wandb_id: the run's id at Weights & Biases, None when not tracked.
    """

    wandb_id: str | None = None

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """That of a checkpoint."""
        return cls(**{name: facts[name] for name in cls.names()})

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of what a checkpoint says."""
        return tuple(field.name for field in dataclasses.fields(cls))


@dataclass(frozen=True)
class Checkpoint:
    """An intact checkpoint on disk.

    Attributes:
        file: a zip file with the weights and the optimizer.
        facts: what the run knew then beside its model; under ``rng`` the states of the random
            generators, for `restore_rng`.
    """

    file: Path
    facts: Mapping[str, Any]


def save_checkpoint(
    folder: Path,
    step: int,
    write: Callable[[Path], None],
    facts: Mapping[str, Any],
    keep: int,
    every: int = 1,
) -> Path:
    """Saves a file for a step with a description beside it, and removes old ones.

    The description is written after the file that it vouches for, so that a file without one was
    never complete. Where a step is saved again, the old file or the new is intact at any moment.

    Args:
        folder: the run's ``checkpoints`` folder.
        step: orders the checkpoints.
        write: as in `write_atomically`.
        facts: JSON to describe it with, beside the checksum and the random states.
        keep: how many checkpoints stay.
        every: those of such steps stay; one in between is replaced by the next.

    Returns:
        The file.
    """
    path = folder / f"step-{step:012d}.zip"
    card = path.with_suffix(".json")

    def write_described(temporary: Path) -> None:
        write(temporary)
        if old := _intact_description(path):
            # A kill may come before the new file takes the old one's place, or right after.
            _write_json(card, {**_described(temporary, facts), _BEFORE: old})

    write_atomically(path, write_described)
    _write_json(card, _described(path, facts))
    saved = sorted(folder.glob("step-*.zip"))
    regular = [file for file in saved if step_of(file) % every == 0]
    for old in set(saved) - {path, *regular[-keep:]}:
        old.with_suffix(".json").unlink(missing_ok=True)
        old.unlink()
    return path


def step_of(file: Path) -> int:
    """The step of a checkpoint, by its name."""
    return int(file.stem.removeprefix("step-"))


def newest_checkpoint(folder: Path, needed: Collection[str]) -> Checkpoint | None:
    """The newest intact checkpoint, or None; warns of each damaged one that is newer.

    Args:
        folder: the run's ``checkpoints`` folder.
        needed: facts without which it is of no use.
    """
    damaged = []
    for path in sorted(folder.glob("step-*.zip"), reverse=True):
        try:
            facts = _usable_description(path, needed)
        except _DAMAGED as error:
            damaged.append(f"skipping the damaged checkpoint {path}: {error}")
        else:
            for message in damaged:
                warn(message)
            return Checkpoint(path, facts)
    return None


def what_is_damaged(folder: Path, needed: Collection[str]) -> str:
    """The fault of the newest of checkpoints none of which is intact; empty without any."""
    for path in sorted(folder.glob("step-*.zip"), reverse=True):
        try:
            _usable_description(path, needed)
        except _DAMAGED as error:
            return f"{path.name}: {error}"
    return ""


#: In a description: that of the file which the described one replaces.
_BEFORE = "before"
#: What reading a damaged checkpoint raises.
_DAMAGED = (OSError, ValueError, KeyError, TypeError)


def _described(path: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {**facts, "sha256": sha256(path), "rng": rng_state()}


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(content) + "\n")


def _description(path: Path) -> dict[str, Any]:
    description: dict[str, Any] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    digest = sha256(path)
    if description["sha256"] != digest:
        description = description.get(_BEFORE, description)
    if description["sha256"] != digest:
        raise ValueError("its checksum does not match")
    if not zipfile.is_zipfile(path):
        raise ValueError("it is not a zip file")
    return {name: value for name, value in description.items() if name != _BEFORE}


def _usable_description(path: Path, needed: Collection[str]) -> dict[str, Any]:
    description = _description(path)
    if missing := {*needed, "rng"} - set(description):
        raise ValueError(f"it does not say {', '.join(sorted(missing))}")
    return description


def _intact_description(path: Path) -> dict[str, Any] | None:
    try:
        return _description(path)
    except _DAMAGED:
        return None


def rng_state() -> dict[str, Any]:
    """The states of all global random generators, as JSON."""
    name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 (SB3 uses this one)
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {
        "python": random.getstate(),
        "numpy": [name, np.asarray(keys).tolist(), *rest],
        "torch": _encode(torch.get_rng_state()),
        "cuda": [_encode(state) for state in cuda],
    }


def restore_rng(state: dict[str, Any]) -> None:
    """Puts back what `rng_state` recorded, as far as this machine's devices match."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    np.random.set_state(tuple(state["numpy"]))  # noqa: NPY002
    torch.set_rng_state(_decode(state["torch"]))
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([_decode(text) for text in state["cuda"]])


@contextlib.contextmanager
def undisturbed_rng() -> Iterator[None]:
    """Puts all global random generators back at the end, as if nothing had drawn from them."""
    before = rng_state()
    try:
        yield
    finally:
        restore_rng(before)


def _encode(state: torch.Tensor) -> str:
    return base64.b64encode(state.numpy().tobytes()).decode()


def _decode(text: str) -> torch.Tensor:
    return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8)

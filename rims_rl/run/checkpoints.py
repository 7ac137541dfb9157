"""Checkpoints: the model and all that a resumed run needs, checked before they are trusted."""

from __future__ import annotations

import base64
import dataclasses
import json
import random
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from rims_rl.run.errors import warn
from rims_rl.run.files import sha256, write_atomically, write_text

Described = TypeVar("Described")


@dataclass(frozen=True)
class Progress:
    """What a run knows beside its model.

    Attributes:
        timesteps: agent steps whose data the model has learned from.
        best_return: mean return of the best evaluation so far, None before the first.
        last_eval: timesteps of the latest evaluation, None before the first.
        wandb_id: the run's id at Weights & Biases, None when not tracked.
    """

    timesteps: int = 0
    best_return: float | None = None
    last_eval: int | None = None
    wandb_id: str | None = None


@dataclass(frozen=True)
class Checkpoint:
    """An intact checkpoint on disk.

    Attributes:
        model: the zip file that `RecurrentPPO.load` reads.
        progress: what the run knew then.
        rng: states of the random generators, for `restore_rng`.
        reward_scale: for `restore_reward_scale`.
    """

    model: Path
    progress: Progress
    rng: dict[str, Any]
    reward_scale: dict[str, float] | None


def save_model(model: BaseAlgorithm, path: Path) -> None:
    """Saves a model so that `path` holds either the old model or the new one, never half."""
    write_atomically(path, model.save)


def save_checkpoint(folder: Path, model: BaseAlgorithm, progress: Progress, keep: int) -> Path:
    """Saves a checkpoint and removes all but the newest `keep`.

    Args:
        folder: the run's ``checkpoints`` folder.
        model: saved with its optimizer.
        progress: of the run.
        keep: how many checkpoints stay.

    Returns:
        The model's file.
    """
    scale = reward_scale(model.get_vec_normalize_env())
    facts = {**dataclasses.asdict(progress), "reward_scale": scale}
    return save_described(folder, progress.timesteps, model.save, facts, keep)


def save_described(
    folder: Path,
    step: int,
    write: Callable[[Path], None],
    facts: dict[str, Any],
    keep: int,
    every: int = 1,
) -> Path:
    """Saves a file for a step with a description beside it, and removes old ones.

    The description is written after the file that it vouches for, so that a file without one was
    never complete.

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
    write_atomically(path, write)
    description = {**facts, "sha256": sha256(path), "rng": rng_state()}
    write_text(path.with_suffix(".json"), json.dumps(description) + "\n")
    saved = sorted(folder.glob("step-*.zip"))
    regular = [file for file in saved if int(file.stem.removeprefix("step-")) % every == 0]
    for old in set(saved) - {path, *regular[-keep:]}:
        old.with_suffix(".json").unlink(missing_ok=True)
        old.unlink()
    return path


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest intact checkpoint, or None; warns of each damaged one that is newer."""
    return newest_described(folder, _checkpoint)


def newest_described(
    folder: Path, make: Callable[[Path, dict[str, Any]], Described]
) -> Described | None:
    """The newest intact file of `save_described`, or None; warns of each damaged one that is newer.

    Args:
        folder: the run's ``checkpoints`` folder.
        make: turns the file and its description into what is returned.
    """
    damaged = []
    for path in sorted(folder.glob("step-*.zip"), reverse=True):
        try:
            checkpoint = make(path, _description(path))
        except (OSError, ValueError, KeyError, TypeError) as error:
            damaged.append(f"skipping the damaged checkpoint {path}: {error}")
        else:
            for message in damaged:
                warn(message)
            return checkpoint
    return None


def _description(path: Path) -> dict[str, Any]:
    description: dict[str, Any] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    if description["sha256"] != sha256(path):
        raise ValueError("its checksum does not match")
    if not zipfile.is_zipfile(path):
        raise ValueError("it is not a zip file")
    return description


def _checkpoint(path: Path, description: dict[str, Any]) -> Checkpoint:
    names = [field.name for field in dataclasses.fields(Progress)]
    progress = Progress(**{name: description[name] for name in names})
    return Checkpoint(path, progress, description["rng"], description["reward_scale"])


def reward_scale(env: VecNormalize | None) -> dict[str, float] | None:
    """What normalised rewards are divided by, as JSON; None if they are not normalised."""
    if env is None:
        return None
    statistics = env.ret_rms
    return {name: float(getattr(statistics, name)) for name in ("mean", "var", "count")}


def restore_reward_scale(env: VecEnv, scale: dict[str, float] | None) -> None:
    """Puts back what `reward_scale` recorded, into environments that normalise rewards."""
    if isinstance(env, VecNormalize) and scale is not None:
        for name, value in scale.items():
            setattr(env.ret_rms, name, np.float64(value))


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


def _encode(state: torch.Tensor) -> str:
    return base64.b64encode(state.numpy().tobytes()).decode()


def _decode(text: str) -> torch.Tensor:
    return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8)

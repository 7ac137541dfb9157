"""What a checkpoint of an agent holds beside the model: progress and the scale of rewards."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from rims_rl.runs.checkpoints import save_checkpoint
from rims_rl.runs.files import write_atomically


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

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Progress:
        """That of a checkpoint."""
        return cls(**{field.name: facts[field.name] for field in dataclasses.fields(cls)})


#: What a checkpoint of an agent says.
FACTS = (*(field.name for field in dataclasses.fields(Progress)), "reward_scale")


def save_model(model: BaseAlgorithm, path: Path) -> None:
    """Saves a model so that `path` holds either the old model or the new one, never half."""
    write_atomically(path, model.save)


def save_agent(folder: Path, model: BaseAlgorithm, progress: Progress, keep: int) -> Path:
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
    return save_checkpoint(folder, progress.timesteps, model.save, facts, keep)


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

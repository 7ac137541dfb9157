"""The content of an agent's checkpoint beside the model: progress and the scale of rewards."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from stable_baselines3.common.base_class import BaseAlgorithm

from rims_rl.runs.checkpoints import Facts, save_checkpoint
from rims_rl.runs.files import write_atomically, write_text
from rims_rl.training.scales import (
    OBSERVATION_SCALE,
    REWARD_SCALE,
    observation_scale,
    reward_scale,
)


@dataclass(frozen=True, kw_only=True)
class AgentFacts(Facts):
    """The facts that a run of an agent knows beside its model.

    Attributes:
        timesteps: agent steps whose data the model has learned from.
        best_return: mean return of the best evaluation so far, None before the first.
        last_eval: timesteps of the latest evaluation, None before the first.
    """

    timesteps: int = 0
    best_return: float | None = None
    last_eval: int | None = None


#: What a checkpoint of an agent says.
FACTS = (*AgentFacts.names(), REWARD_SCALE)


def save_model(model: BaseAlgorithm, path: Path) -> None:
    """Saves a model so that `path` holds either the old model or the new one, never half.

    Where observations are normalised, how stands in a JSON file beside it.
    """
    write_atomically(path, model.save)
    if scale := observation_scale(model.get_vec_normalize_env()):
        write_text(path.with_suffix(".json"), json.dumps({OBSERVATION_SCALE: scale}) + "\n")


def save_agent(folder: Path, model: BaseAlgorithm, progress: AgentFacts, keep: int) -> Path:
    """Saves a checkpoint and removes all but the newest `keep`.

    Args:
        folder: the run's ``checkpoints`` folder.
        model: saved with its optimizer.
        progress: of the run.
        keep: how many checkpoints stay.

    Returns:
        The model's file.
    """
    env = model.get_vec_normalize_env()
    facts = {
        **dataclasses.asdict(progress),
        REWARD_SCALE: reward_scale(env),
        OBSERVATION_SCALE: observation_scale(env),
    }
    return save_checkpoint(folder, progress.timesteps, model.save, facts, keep)

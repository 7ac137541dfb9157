"""The scales of normalised rewards and observations (`VecNormalize`): as JSON, and put back.

`rims_rl.training.checkpoints.save_agent` keeps it in each checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from rims_rl.runs.errors import UsageError

#: The keys of the statistics in a checkpoint's description.
REWARD_SCALE, OBSERVATION_SCALE = "reward_scale", "observation_scale"
#: The attribute of a model that tells whether it learned from normalised observations.
NORMALIZED = "observations_normalized"


def reward_scale(env: VecNormalize | None) -> dict[str, Any] | None:
    """The scale that divides normalised rewards, as JSON; None if they are not normalised."""
    return None if env is None else _as_json(env.ret_rms)


def observation_scale(env: VecNormalize | None) -> dict[str, Any] | None:
    """Mean and variance of normalised observations, as JSON; None if they are not normalised.

    Those of a dictionary stand under its keys.
    """
    if env is None or not env.norm_obs:
        return None
    if isinstance(env.obs_rms, dict):
        return {key: _as_json(statistics) for key, statistics in env.obs_rms.items()}
    return _as_json(env.obs_rms)


def restore_scales(env: VecEnv, facts: Mapping[str, Any]) -> None:
    """Puts back what a checkpoint recorded of rewards and observations, where these are scaled."""
    if not isinstance(env, VecNormalize):
        return
    if (rewards := facts[REWARD_SCALE]) is not None:
        _restore(env.ret_rms, rewards)
    observations = facts.get(OBSERVATION_SCALE)  # version 0.1 had none
    if observations is not None and env.norm_obs:
        _restore_observations(env, observations)


def load_scales(file: str | Path, venv: VecEnv) -> VecNormalize:
    """Normalises observations as in the training of a model, as SB3's `VecNormalize.load` does.

    An agent of ``--normalize-observations`` has to see them so, wherever it acts. The statistics
    stay what they are, and rewards are not normalised.

    Args:
        file: JSON beside a model of ours, ``model.json`` or ``best_model.json``, or what SB3's
            `VecNormalize.save` wrote, which runs code when it is read.
        venv: environments as they are.

    Raises:
        UsageError: it cannot be read, or is of other observations.
    """
    file = Path(file)
    try:
        if file.suffix != ".json":
            loaded = VecNormalize.load(str(file), venv)
            loaded.training = loaded.norm_reward = False
            return loaded
        observations = json.loads(file.read_text(encoding="utf-8"))[OBSERVATION_SCALE]
        new = VecNormalize(venv, training=False, norm_reward=False)
        _restore_observations(new, observations)
    except Exception as error:  # pickle has no error of its own for a damaged file
        reason = " ".join(str(error).split())
        raise UsageError(
            f"{file} cannot be read as what observations are scaled by: {reason}"
        ) from None
    return new


def _restore_observations(env: VecNormalize, saved: Mapping[str, Any]) -> None:
    if isinstance(env.obs_rms, dict):
        for key, statistics in env.obs_rms.items():
            _restore(statistics, saved[key])
    else:
        _restore(env.obs_rms, saved)


def _as_json(statistics: RunningMeanStd) -> dict[str, Any]:
    return {
        "mean": np.asarray(statistics.mean).tolist(),
        "var": np.asarray(statistics.var).tolist(),
        "count": float(statistics.count),
    }


def _restore(statistics: RunningMeanStd, saved: Mapping[str, Any]) -> None:
    for name in ("mean", "var"):
        values = np.array(saved[name], dtype=np.float64)
        if values.shape != np.shape(getattr(statistics, name)):
            raise ValueError(f"{values.shape} numbers for {np.shape(getattr(statistics, name))}")
        setattr(statistics, name, values)
    statistics.count = saved["count"]

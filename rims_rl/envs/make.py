"""Builds the vector environment of any id, set up as its family is usually trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.env_util import make_vec_env as make_monitored_vec_env
from stable_baselines3.common.vec_env import VecEnv

from rims_rl.envs.atari import AtariVecEnv
from rims_rl.envs.atari_games import AtariSettings
from rims_rl.envs.last_action import VecLastAction
from rims_rl.envs.minatar import make_minatar
from rims_rl.envs.minigrid import make_minigrid
from rims_rl.envs.popgym import make_popgym
from rims_rl.envs.registry import Family, family_of, spec_of

AnyEnv = gym.Env[Any, Any]

#: How environments of a family are made where `gymnasium.make` is not enough.
_MAKERS: Mapping[Family, Callable[..., AnyEnv]] = {
    "minigrid": make_minigrid,
    "minatar": make_minatar,
    "popgym": make_popgym,
}


def make_vec_env(
    env_id: str,
    n_envs: int = 1,
    seed: int | None = None,
    *,
    env_kwargs: Mapping[str, Any] | None = None,
    render_mode: str | None = None,
    observe_last_action: bool = False,
) -> VecEnv:
    """Build environments that Stable-Baselines3 steps together.

    `info["episode"]` at the end of an episode holds the raw return "r" and the length in agent
    steps "l"; `info["is_success"]` is there where the environment knows of success.

    Args:
        env_id: Any registered id of Atari (`PongNoFrameskip-v4`, `ALE/Pong-v5`), MiniGrid,
            BabyAI, object picking, MinAtar, POPGym or another Gymnasium environment.
        n_envs: How many environments.
        seed: Environment i gets the seed `seed + i`; None: a random one.
        env_kwargs: For Atari the fields of `AtariSettings`, for others what the environment's
            constructor takes.
        render_mode: "rgb_array" to draw the environments. It costs speed on Atari, which then
            runs in Python.
        observe_last_action: Whether observations show the last action and reward, too, see
            `VecLastAction`.

    Returns:
        The vector environment.

    Raises:
        UnknownEnvError: If the id is unknown; the message names the nearest ones.
        ValueError: If the environment cannot be built from these arguments.
    """
    if not isinstance(env_id, str):
        raise ValueError(
            f"env_id must be a registered id, not {env_id!r}: stable_baselines3's make_vec_env "
            "takes functions and classes"
        )
    if n_envs < 1:
        raise ValueError(f"n_envs must be at least 1, not {n_envs}")
    kwargs = dict(env_kwargs or {})
    if family_of(env_id) == "atari":
        env: VecEnv = AtariVecEnv(spec_of(env_id), n_envs, AtariSettings.of(kwargs), render_mode)
        if seed is not None:
            env.seed(seed)
    else:
        env = make_monitored_vec_env(_maker(env_id, kwargs, render_mode), n_envs, seed)
        for what in ("action", "observation"):
            # Of Discrete and MultiDiscrete.
            if np.any(first := getattr(getattr(env, f"{what}_space"), "start", 0)):
                env.close()
                raise ValueError(
                    f"{env_id} numbers its {what}s from {first}, and Stable-Baselines3 from 0: "
                    f"wrap it in gymnasium.wrappers.Transform{what.capitalize()}"
                )
    return VecLastAction(env) if observe_last_action else env


def _maker(
    env_id: str, env_kwargs: dict[str, Any], render_mode: str | None
) -> Callable[[], AnyEnv]:
    # Some environments that draw nothing do not take the argument at all.
    drawing: dict[str, Any] = {} if render_mode is None else {"render_mode": render_mode}

    def make() -> AnyEnv:
        try:
            if maker := _MAKERS.get(family_of(env_id)):
                return maker(env_id, env_kwargs=env_kwargs, render_mode=render_mode)
            return gym.make(env_id, **drawing, **env_kwargs)
        except (TypeError, gym.error.Error) as error:
            reason = " ".join(str(error).split())
            raise ValueError(
                f"cannot build {env_id} with env_kwargs {env_kwargs}: {reason}"
            ) from error

    return make

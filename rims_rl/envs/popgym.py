"""POPGym: small tasks that cannot be done without memory."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

Vector = npt.NDArray[np.float32]

MAZES = "popgym-Labyrinth"
"""How the ids begin that popgym registers only where mazelib is installed, too."""


def register_popgym() -> None:
    """Register POPGym's ids with Gymnasium; calling it again changes nothing.

    Raises:
        ModuleNotFoundError: If popgym is not installed.
    """
    importlib.import_module("popgym")


def register_mazes() -> None:
    """As `register_popgym`, for the ids that begin with `MAZES`.

    Raises:
        ModuleNotFoundError: If popgym or mazelib is not installed.
    """
    importlib.import_module("mazelib")
    register_popgym()


class FlatObservation(gym.Wrapper[Vector, Any, Any, Any]):
    """Makes one vector of what is observed, with the previous action where that is needed.

    Observation: a float32 box of one dimension. What is discrete is one-hot. The previous action
    comes last and is all zeros before the first one, unlike that of POPGym's own wrapper, where
    no action and action 0 look the same.

    Args:
        env: An environment whose observations can be flattened.
        with_action: Whether the previous action is part of the observation.
    """

    def __init__(self, env: gym.Env[Any, Any], with_action: bool) -> None:
        super().__init__(env)
        seen = [env.observation_space, *([env.action_space] if with_action else [])]
        flat = spaces.flatten_space(spaces.Tuple(seen))
        assert isinstance(flat, spaces.Box)
        low, high = flat.low.astype(np.float32), flat.high.astype(np.float32)
        self.observation_space = spaces.Box(low, high, dtype=np.float32)
        self.with_action = with_action

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Vector, dict[str, Any]]:
        """Start an episode."""
        obs, info = self.env.reset(seed=seed, options=options)
        return self._flat(obs), info

    def step(self, action: Any) -> tuple[Vector, float, bool, bool, dict[str, Any]]:
        """Act once."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        return self._flat(obs, action), float(reward), terminated, truncated, info

    def _flat(self, obs: Any, action: Any = None) -> Vector:
        parts: list[Any] = [spaces.flatten(self.env.observation_space, obs)]
        if self.with_action:
            space = self.env.action_space
            none_yet = np.zeros(spaces.flatdim(space))
            parts.append(none_yet if action is None else spaces.flatten(space, action))
        return np.concatenate(parts).astype(np.float32)


class RepeatableMazes(gym.Wrapper[Any, Any, Any, Any]):
    """Draws each maze from the environment's own generator.

    Stock mazes come from Python's and NumPy's global generators, which are seeded only where
    `reset` gets a seed: later ones would depend on everything else that draws from those.
    """

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode in a new maze."""
        own = self.unwrapped.np_random
        return self.env.reset(
            seed=int(own.integers(2**31)) if seed is None else seed, options=options
        )


def make_popgym(
    env_id: str,
    *,
    env_kwargs: Mapping[str, Any] | None = None,
    render_mode: str | None = None,
) -> gym.Env[Any, Any]:
    """Make a POPGym environment for Stable-Baselines3.

    Args:
        env_id: A registered `popgym-` id.
        env_kwargs: Arguments of the environment.
        render_mode: `"rgb_array"` for CartPole and Pendulum, or None.

    Returns:
        The environment with its own Box, Discrete or MultiDiscrete observations, which SB3 takes;
        a float32 vector where they are nested, or where the environment says that they need the
        previous action.

    Raises:
        ValueError: If it does not render, heeds no settings, or its spaces cannot be made flat.
    """
    # Some infos share arrays, of which Gymnasium's checker would warn at the start of each run.
    env = gym.make(env_id, disable_env_checker=True, **(env_kwargs or {}))
    stock: Any = env.unwrapped
    if env_kwargs and _takes_anything(type(stock)):
        raise ValueError(f"{env_id} heeds no settings, got {', '.join(env_kwargs)}")
    if render_mode not in (None, *env.metadata["render_modes"]):
        raise ValueError(f"{env_id} draws no pictures for render_mode {render_mode!r}")
    # The constructors do not take it, or take and forget it.
    stock.render_mode = render_mode
    _check_spaces(env_id, env)
    if MAZES in env_id:
        env = RepeatableMazes(env)
    plain = isinstance(env.observation_space, spaces.Box | spaces.Discrete | spaces.MultiDiscrete)
    if plain and not stock.obs_requires_prev_action:
        return env
    return FlatObservation(env, with_action=stock.obs_requires_prev_action)


def _takes_anything(kind: type[gym.Env[Any, Any]]) -> bool:
    """Tells whether an environment takes and forgets its arguments, as some of POPGym do."""
    try:
        kind(**{"an argument of no environment": None})
    except TypeError:
        return False
    return True


def _check_spaces(env_id: str, env: gym.Env[Any, Any]) -> None:
    if not env.observation_space.is_np_flattenable:
        raise ValueError(
            f"{env_id} has observations that cannot be made one vector: {env.observation_space}"
        )
    usable = spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary
    if not isinstance(env.action_space, usable):
        raise ValueError(f"{env_id} has actions that PPO cannot take: {env.action_space}")

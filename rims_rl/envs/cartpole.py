"""CartPole without velocities: balancing needs memory, and nothing else is hard."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.classic_control import CartPoleEnv
from numpy.typing import NDArray

Array = NDArray[np.float32]
CARTPOLE_ID = "rims_rl/CartPoleNoVelocity-v1"
_POSITIONS = [0, 2]


class PositionsOnly(gym.ObservationWrapper[Array, Any, Any]):
    """Shows the position of the cart and the angle of the pole, and hides how they change."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        full = env.observation_space
        assert isinstance(full, gym.spaces.Box)
        self.observation_space = gym.spaces.Box(full.low[_POSITIONS], full.high[_POSITIONS])

    def observation(self, observation: Array) -> Array:
        """(4,) -> (2,)."""
        return observation[_POSITIONS]


def make_cartpole(**kwargs: Any) -> gym.Env[Array, Any]:
    """Builds the environment; takes what Gymnasium's CartPole takes."""
    return PositionsOnly(CartPoleEnv(**kwargs))


def register_cartpole() -> None:
    """Registers ``rims_rl/CartPoleNoVelocity-v1`` with Gymnasium; again changes nothing."""
    if CARTPOLE_ID not in gym.registry:
        gym.register(CARTPOLE_ID, f"{__name__}:{make_cartpole.__name__}", max_episode_steps=500)

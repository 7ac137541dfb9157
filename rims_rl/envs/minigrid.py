"""MiniGrid and BabyAI: symbols ahead of the agent, and the mission as word numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import redirect_stdout
from functools import lru_cache
from io import StringIO
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from minigrid.core.constants import COLOR_TO_IDX, DIR_TO_VEC, OBJECT_TO_IDX, STATE_TO_IDX
from minigrid.envs.wfc.wfcenv import WFCEnv

Observation = dict[str, npt.NDArray[np.uint8]]

PAD, UNKNOWN = 0, 1
"""Word numbers after the end of a mission and of words outside `VOCABULARY`."""

_WORDS = (
    "a after and at avoid ball behind blue box door end fetch find from front get go goal green"
    " grey hallway in key lava left matching maze must near next object of on open opening pick"
    " purple put reach red right room rooms square the then to traverse unlock up use yellow"
    " you your"
)
VOCABULARY = tuple(_WORDS.split())
"""Every word of a stock mission; word `i` has number `i + 2`."""

MAX_WORDS = 72
"""Longest mission: BabyAI's grammar makes at most 4 clauses of 17 words and 4 words between."""

_NUMBER_OF = {word: number for number, word in enumerate(VOCABULARY, start=UNKNOWN + 1)}


def grid_space(view_size: int = 7) -> spaces.Box:
    """Space of symbolic views: type, colour and state of every cell.

    Its upper bounds are the largest symbols, not 255: Stable-Baselines3 would take an uint8 box
    up to 255 for a picture, reorder its axes and divide it by 255.

    Args:
        view_size: Cells along each side of the view.

    Returns:
        An uint8 box (view_size, view_size, 3).
    """
    largest = [max(table.values()) for table in (OBJECT_TO_IDX, COLOR_TO_IDX, STATE_TO_IDX)]
    high = np.broadcast_to(np.array(largest, dtype=np.uint8), (view_size, view_size, 3))
    return spaces.Box(np.zeros_like(high), high, dtype=np.uint8)


@lru_cache(maxsize=4096)
def mission_tokens(mission: str) -> tuple[int, ...]:
    """Number the words of a mission, ignoring case and punctuation.

    Args:
        mission: The mission in words.

    Returns:
        `MAX_WORDS` numbers, `PAD` after the last word; words beyond are cut off.
    """
    words = re.findall(r"[a-z]+", mission.lower())[:MAX_WORDS]
    numbers = [_NUMBER_OF.get(word, UNKNOWN) for word in words]
    return (*numbers, *[PAD] * (MAX_WORDS - len(numbers)))


class SymbolicObservation(gym.Wrapper[Any, int, dict[str, Any], int]):
    """Gives a stock environment's observation in a form that Stable-Baselines3 takes.

    Observation, a Dict of uint8 boxes: `grid` (7, 7, 3), the agent's partial view;
    `direction` (1,), the compass of the stock observation; `mission` (`MAX_WORDS`,), the
    numbers of the mission's words.

    At the end of an episode `info["is_success"]` says whether its last reward was positive,
    which is how all these environments mark success.
    """

    def __init__(self, env: gym.Env[dict[str, Any], int]) -> None:
        super().__init__(env)
        stock = env.observation_space
        assert isinstance(stock, spaces.Dict)
        assert stock["image"].shape is not None
        self.observation_space = spaces.Dict(
            grid=grid_space(stock["image"].shape[0]),
            direction=spaces.Box(0, len(DIR_TO_VEC) - 1, (1,), np.uint8),
            mission=spaces.Box(0, UNKNOWN + len(VOCABULARY), (MAX_WORDS,), np.uint8),
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode; BabyAI's prints about layouts it rejected are swallowed."""
        with redirect_stdout(StringIO()):
            obs, info = self.env.reset(seed=seed, options=options)
        return _symbolic(obs), info

    def step(self, action: int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Act once."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        if terminated or truncated:
            info["is_success"] = float(reward) > 0
        return _symbolic(obs), float(reward), terminated, truncated, info


def make_minigrid(
    env_id: str,
    *,
    env_kwargs: Mapping[str, Any] | None = None,
    render_mode: str | None = None,
) -> gym.Env[Observation, int]:
    """Make a MiniGrid, BabyAI or object-picking environment for Stable-Baselines3.

    Args:
        env_id: A registered `MiniGrid-`, `BabyAI-` or `rims_rl/` id.
        env_kwargs: Arguments of the environment.
        render_mode: `"rgb_array"`, `"human"` or None.

    Returns:
        The environment with Dict observations of uint8 boxes: `grid`, and either `target` or
        `mission` and `direction`.

    Raises:
        ValueError: If MiniGrid's package lacks the files that the environment needs.
    """
    env = gym.make(env_id, render_mode=render_mode, **(env_kwargs or {}))
    if isinstance(env.unwrapped, WFCEnv) and not env.unwrapped.config.pattern_path.is_file():
        raise ValueError(
            f"{env_id} needs a picture that the installed minigrid package lacks: "
            f"{env.unwrapped.config.pattern_path}"
        )
    assert isinstance(env.observation_space, spaces.Dict)
    return SymbolicObservation(env) if "image" in env.observation_space.spaces else env


def _symbolic(obs: Mapping[str, Any]) -> Observation:
    return {
        "grid": obs["image"],
        "direction": np.array([obs["direction"]], dtype=np.uint8),
        "mission": np.array(mission_tokens(obs["mission"]), dtype=np.uint8),
    }

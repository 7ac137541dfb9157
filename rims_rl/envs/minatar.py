"""MinAtar: five Atari games on 10 x 10 cells, what is where as planes of zeros and ones."""

from __future__ import annotations

import colorsys
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

Planes = npt.NDArray[np.uint8]
Frame = npt.NDArray[np.uint8]

MAX_STEPS = 5_000
"""Longest game. MinAtar ends Freeway after 2,501 steps and the others when the player is hit or
drops the ball, so that a good player, or a submarine that waits at the surface, goes on forever."""

CELL = 16
"""Side of a cell in pictures, in pixels."""


def register_minatar() -> None:
    """Register the stock ids with Gymnasium; calling it again changes nothing.

    `MinAtar/<Game>-v0` has six actions, `MinAtar/<Game>-v1` those that do something in the game.

    Raises:
        ModuleNotFoundError: If minatar is not installed.
    """
    with _no_word_of_drawing():
        from minatar.gym import register_envs
    if "MinAtar/Breakout-v1" not in gym.registry:
        register_envs()


class PlanesFirst(gym.Wrapper[Planes, int, Any, int]):
    """Gives a game's observation in a form that Stable-Baselines3 takes, and draws it.

    Observation: an uint8 box (C, 10, 10) of 0 and 1, a plane for each kind of thing in the game.
    Its upper bound is 1: SB3 would take an uint8 box up to 255 for a picture and divide it by 255.
    """

    def __init__(self, env: gym.Env[Any, int]) -> None:
        super().__init__(env)
        assert env.observation_space.shape is not None
        height, width, planes = env.observation_space.shape
        self.observation_space = spaces.Box(0, 1, (planes, height, width), np.uint8)
        self._colours = _colours(planes)

    @property
    def _game(self) -> Any:
        stock: Any = self.unwrapped
        return stock.game

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Planes, dict[str, Any]]:
        """Start a game, the same one for the same seed."""
        # Now and then MinAtar repeats the last action instead of the agent's. It forgets it at no
        # reset, so that the same seed would give another game after other games.
        self._game.last_action = 0
        cells, info = self.env.reset(seed=seed, options=options)
        return _planes_first(cells), info

    def step(self, action: int) -> tuple[Planes, float, bool, bool, dict[str, Any]]:
        """Act once."""
        cells, reward, terminated, truncated, info = self.env.step(action)
        return _planes_first(cells), float(reward), terminated, truncated, info

    def render(self) -> Any:
        """Draw the game where the mode is "rgb_array"; the package itself needs seaborn for it.

        Returns:
            A picture (160, 160, 3), the things of the last plane on top; in other modes what the
            stock environment returns.
        """
        if self.render_mode != "rgb_array":
            return self.env.render()
        cells = self._game.state()  # (10, 10, C) bool
        top = (cells * np.arange(1, cells.shape[-1] + 1)).max(-1)  # 0: nothing there
        return self._colours[top].repeat(CELL, 0).repeat(CELL, 1)


def make_minatar(
    env_id: str,
    *,
    env_kwargs: Mapping[str, Any] | None = None,
    render_mode: str | None = None,
) -> gym.Env[Planes, int]:
    """Make a MinAtar game for Stable-Baselines3.

    Args:
        env_id: A registered `MinAtar/` id.
        env_kwargs: Arguments of the game (`sticky_action_prob`, `difficulty_ramping`), and
            `max_episode_steps` instead of `MAX_STEPS`.
        render_mode: `"rgb_array"` or None.

    Returns:
        The game with observations (C, 10, 10) uint8 of 0 and 1.

    Raises:
        ValueError: If an argument has a value that does not work.
    """
    _check(env_kwargs or {})
    kwargs = {"max_episode_steps": MAX_STEPS, **(env_kwargs or {})}
    return PlanesFirst(gym.make(env_id, render_mode=render_mode, **kwargs))


def _check(env_kwargs: Mapping[str, Any]) -> None:
    """Refuse values that the games take silently."""
    sticky = env_kwargs.get("sticky_action_prob", 0.0)
    if isinstance(sticky, bool) or not isinstance(sticky, int | float) or not 0 <= sticky <= 1:
        raise ValueError(f"sticky_action_prob must be a number from 0 to 1, not {sticky!r}")
    ramping = env_kwargs.get("difficulty_ramping", True)
    if not isinstance(ramping, bool):
        raise ValueError(f"difficulty_ramping must be true or false, not {ramping!r}")


def _planes_first(cells: npt.NDArray[Any]) -> Planes:
    """(10, 10, C) bool -> (C, 10, 10) uint8."""
    return np.ascontiguousarray(cells.transpose(2, 0, 1), dtype=np.uint8)


def _colours(planes: int) -> Frame:
    """Black for an empty cell and a colour for each plane: (planes + 1, 3)."""
    hues = [colorsys.hsv_to_rgb(plane / planes, 0.6, 1.0) for plane in range(planes)]
    return (np.array([(0, 0, 0), *hues]) * 255).astype(np.uint8)


@contextmanager
def _no_word_of_drawing() -> Iterator[None]:
    """Silences that minatar cannot draw without matplotlib and seaborn: we draw ourselves."""
    root = logging.getLogger()
    # A warning to a root logger without handlers gives it one, for every other package, too.
    handler = logging.NullHandler()
    root.addHandler(handler)
    root.addFilter(_is_about_something_else)
    try:
        yield
    finally:
        root.removeFilter(_is_about_something_else)
        root.removeHandler(handler)


def _is_about_something_else(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(("Cannot import matplotlib", "Cannot import seaborn"))

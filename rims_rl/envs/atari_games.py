"""Builds Atari games as Gymnasium vector environments: in C++, or in Python where they are seen."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from ale_py.vector_env import AtariVectorEnv
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation

Frame = npt.NDArray[np.uint8]


#: Arguments of a registered id that games of either kind are made with.
_EMULATOR = ("repeat_action_probability", "full_action_space", "max_num_frames_per_episode")
#: Those that our preprocessing has in its own way.
_REPLACED = ("frameskip", "obs_type")


@dataclass(frozen=True)
class AtariSettings:
    """The way an Atari game is presented to the agent; the defaults are the usual preprocessing.

    Attributes:
        episodic_life: Whether a lost life ends the agent's episode (the game itself goes on).
        clip_rewards: Whether the agent sees only the sign of a reward.
        fire_start: Whether FIRE starts a game and, in place of the agent's first action, each
            further life, where there is this button: many games stand still until it is pressed.
        noop_max: A game starts with 0 to this many frames without action.
        frame_skip: Emulator frames an agent step lasts; the last two are max-pooled.
        frame_stack: Frames in an observation, the oldest first; zeros before the episode's start.
        screen_size: Height and width of a frame.
        repeat_action_probability: Chance that a frame repeats the last action ("sticky actions");
            None: as the id is registered.
        full_action_space: Whether all 18 actions are legal; None: as the id is registered.
        max_num_frames_per_episode: Frames after which a game is cut off; None: as the id is
            registered.
        threads: Emulator threads; None: one per processor core, at most one per environment.
    """

    episodic_life: bool = True
    clip_rewards: bool = True
    fire_start: bool = True
    noop_max: int = 30
    frame_skip: int = 4
    frame_stack: int = 4
    screen_size: int = 84
    repeat_action_probability: float | None = None
    full_action_space: bool | None = None
    max_num_frames_per_episode: int | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        """Refuse values that no game can be built with."""
        for field in fields(self):
            value = getattr(self, field.name)
            works, wanted = _RULES[field.name]
            if not works(value) and not (value is None and field.default is None):
                raise ValueError(f"Atari setting {field.name} must be {wanted}, not {value!r}")

    @classmethod
    def of(cls, kwargs: Mapping[str, Any]) -> AtariSettings:
        """Make settings of keyword arguments that a user wrote.

        Args:
            kwargs: Names and values of settings; what is not named keeps its default.

        Returns:
            The settings.

        Raises:
            ValueError: For an unknown name or a value that does not work.
        """
        for name in kwargs:
            if name not in _RULES:
                near = get_close_matches(name, _RULES, n=1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(_RULES)}"
                raise ValueError(f"unknown Atari setting {name!r}: {hint}")
        return cls(**kwargs)

    def emulator_kwargs(self, spec: EnvSpec) -> dict[str, Any]:
        """Say how the emulator plays: as the id is registered, unless set otherwise.

        Args:
            spec: The registry's entry of an Atari id.

        Returns:
            Keyword arguments that ALE's environments take.

        Raises:
            ValueError: The id is registered with others, which not all of them take.
        """
        if not {"game", *_EMULATOR} <= set(spec.kwargs) <= {"game", *_EMULATOR, *_REPLACED}:
            raise ValueError(
                f"{spec.id} must be registered as ALE registers its games, with game, "
                f"{', '.join(_EMULATOR)} and frameskip alone, not with {', '.join(spec.kwargs)}"
            )
        chosen = {name: getattr(self, name) for name in _EMULATOR}
        return {name: spec.kwargs[name] if v is None else v for name, v in chosen.items()}


def cpp_games(spec: EnvSpec, n_envs: int, settings: AtariSettings) -> AtariVectorEnv:
    """Build games that run in C++ threads: fast, and without a colour picture.

    Args:
        spec: The registry's entry of an Atari id.
        n_envs: How many games.
        settings: How they are presented.

    Returns:
        A vector environment with raw rewards in which only the end of a game ends an episode.
    """
    return AtariVectorEnv(
        spec.kwargs["game"],
        n_envs,
        num_threads=settings.threads or min(n_envs, _available_cores()),
        autoreset_mode=AutoresetMode.SAME_STEP,
        img_height=settings.screen_size,
        img_width=settings.screen_size,
        stack_num=settings.frame_stack,
        frameskip=settings.frame_skip,
        # ALE draws the number of no-ops from 0 to one less than this.
        noop_max=settings.noop_max + 1,
        # ALE would restart the whole game at every lost life.
        episodic_life=False,
        reward_clipping=False,
        use_fire_reset=settings.fire_start,
        **settings.emulator_kwargs(spec),
    )


def visible_games(
    spec: EnvSpec, n_envs: int, settings: AtariSettings, render_mode: str
) -> SyncVectorEnv:
    """Build games of Gymnasium's wrappers: slower, with the same frames and a colour picture.

    Args:
        spec: The registry's entry of an Atari id.
        n_envs: How many games.
        settings: How they are presented.
        render_mode: Gymnasium's render mode.

    Returns:
        A vector environment with raw rewards in which only the end of a game ends an episode.
    """
    game = partial(_visible_game, spec, settings, render_mode)
    return SyncVectorEnv([game] * n_envs, autoreset_mode=AutoresetMode.SAME_STEP)


class StartOfGame(gym.Wrapper[Frame, int, Frame, int]):
    """Starts a game as ALE's C++ environment does: no-ops, the first of them FIRE.

    Args:
        env: The game, frame by frame.
        settings: How many no-ops there are at most, and whether FIRE is pressed.
    """

    def __init__(self, env: gym.Env[Frame, int], settings: AtariSettings) -> None:
        super().__init__(env)
        meanings: list[str] = env.unwrapped.get_action_meanings()  # type: ignore[attr-defined]
        self._noop_max = settings.noop_max
        self._fire = fire_action(meanings) if settings.fire_start else None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Frame, dict[str, Any]]:
        """Reset the game and play its first frames."""
        frame, info = self.env.reset(seed=seed, options=options)
        noops = int(self.unwrapped.np_random.integers(self._noop_max + 1))
        fires = [] if self._fire is None else [self._fire]
        for action in fires + [0] * (noops - len(fires)):
            frame, _, terminated, truncated, info = self.env.step(action)
            if terminated or truncated:
                frame, info = self.env.reset(options=options)
        return frame, info


def fire_action(meanings: list[str]) -> int | None:
    """Find the number of the action FIRE; None if the game has no such button."""
    return meanings.index("FIRE") if "FIRE" in meanings else None


def _visible_game(spec: EnvSpec, settings: AtariSettings, render_mode: str) -> gym.Env[Frame, int]:
    env = gym.make(
        spec.id,
        frameskip=1,
        obs_type="grayscale",
        render_mode=render_mode,
        disable_env_checker=True,
        **settings.emulator_kwargs(spec),
    )
    env = AtariPreprocessing(
        StartOfGame(env, settings),
        noop_max=0,
        frame_skip=settings.frame_skip,
        screen_size=settings.screen_size,
    )
    return FrameStackObservation(env, settings.frame_stack, padding_type="zero")


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_probability(value: object) -> bool:
    return isinstance(value, int | float) and not _is_flag(value) and 0 <= value <= 1


def _is_count_from(least: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and not _is_flag(value) and value >= least


_FLAG = (_is_flag, "true or false")
_COUNT = (_is_count_from(1), "a whole number of at least 1")
_RULES: dict[str, tuple[Callable[[object], bool], str]] = {
    "episodic_life": _FLAG,
    "clip_rewards": _FLAG,
    "fire_start": _FLAG,
    "noop_max": (_is_count_from(0), "a whole number of at least 0"),
    "frame_skip": _COUNT,
    "frame_stack": _COUNT,
    "screen_size": _COUNT,
    "repeat_action_probability": (_is_probability, "a number from 0 to 1"),
    "full_action_space": _FLAG,
    "max_num_frames_per_episode": _COUNT,
    "threads": _COUNT,
}

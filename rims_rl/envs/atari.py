"""Presents Atari games, stepped together, as one Stable-Baselines3 `VecEnv`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.envs.registration import EnvSpec
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from rims_rl.envs.atari_games import AtariSettings, cpp_games, fire_action, visible_games

Frames = npt.NDArray[np.uint8]

# ALE takes seeds as C integers.
_SEED_LIMIT = 2**31


class AtariVecEnv(VecEnv):
    """Atari games as the agent sees them: clipped rewards, lives as episodes, stacked frames.

    Observations are channel-first, (n_envs, frame_stack, height, width) uint8, as the CNN
    policies of SB3 take them. `info["episode"]` comes at the end of a *game*, whatever the agent
    sees of it: the raw score "r", the length in agent steps "l" and the seconds since the start
    "t". At each end of an episode of the agent, lost lives included where they end one, `info`
    holds `terminal_observation` and `TimeLimit.truncated`.

    Args:
        spec: The registry's entry of an Atari id.
        n_envs: How many games.
        settings: How they are presented.
        render_mode: None runs the games in C++, which draws no colour picture; "rgb_array" runs
            Gymnasium's wrappers in Python: the same game and frames, slower, for videos.

    Raises:
        ValueError: For another render mode.
    """

    _lives: npt.NDArray[np.int32]
    _life_lost: npt.NDArray[np.bool_]
    _returns: npt.NDArray[np.float64]
    _lengths: npt.NDArray[np.int64]
    _visible_frames: npt.NDArray[np.int64]

    def __init__(
        self,
        spec: EnvSpec,
        n_envs: int,
        settings: AtariSettings,
        render_mode: str | None = None,
    ) -> None:
        self.spec = spec
        self.settings = settings
        self.render_mode = render_mode
        self._games: gym.vector.VectorEnv[Frames, npt.NDArray[np.int64], npt.NDArray[Any]]
        if render_mode is None:
            cpp = cpp_games(spec, n_envs, settings)
            self.action_meanings = [action.name for action in cpp.ale.get_action_set()]
            self._games = cpp
        elif render_mode == "rgb_array":
            visible = visible_games(spec, n_envs, settings, render_mode)
            self.action_meanings = list(visible.call("get_action_meanings")[0])
            self._games = visible
        else:
            raise ValueError(f"Atari games render as 'rgb_array' or None, not {render_mode!r}")
        super().__init__(
            n_envs, self._games.single_observation_space, self._games.single_action_space
        )
        self._fire = fire_action(self.action_meanings) if settings.fire_start else None
        self._start = time.time()
        self._actions = np.zeros(n_envs, dtype=np.int64)
        self._begin_games(np.zeros(n_envs, dtype=np.int32))

    def reset(self) -> Frames:
        """Start a new game in every environment, with the seeds of `seed` if it was called.

        Returns:
            Observations (n_envs, frame_stack, height, width).
        """
        seed = self._seeds[0]
        if seed is not None:
            seed %= _SEED_LIMIT - self.num_envs
        observations, info = self._games.reset(seed=seed)
        self._begin_games(info["lives"])
        self._reset_seeds()
        self._reset_options()
        return observations

    def step_async(self, actions: npt.NDArray[Any]) -> None:
        """Take the agent's actions (n_envs,) for the next step.

        Raises:
            ValueError: They are not one of the game's actions for each game.
        """
        chosen = np.asarray(actions, dtype=np.int64)
        count = len(self.action_meanings)
        # The C++ games would wait without end for one that died of an unknown action.
        if chosen.shape != (self.num_envs,) or not ((chosen >= 0) & (chosen < count)).all():
            raise ValueError(
                f"actions must be {self.num_envs} numbers from 0 to {count - 1}, got {actions}"
            )
        self._actions = chosen

    def step_wait(self) -> VecEnvStepReturn:
        """Play one agent step in every game.

        Returns:
            Observations (n_envs, frame_stack, height, width), rewards (n_envs,), ends of the
            agent's episodes (n_envs,) and one info per environment. After an end, the observation
            is the first one of the next episode.
        """
        actions = self._actions
        if self._fire is not None:
            actions = np.where(self._life_lost, self._fire, actions)
        observations, rewards, terminated, truncated, info = self._games.step(actions)
        game_over = terminated | truncated
        lives = info["lives"]
        # Some games play on for a few frames with no life left: their end is still to come.
        self._life_lost = (lives < self._lives) & (lives > 0) & ~game_over
        self._lives = lives
        self._returns += rewards
        self._lengths += 1
        self._visible_frames += 1
        dones = game_over | self._life_lost if self.settings.episodic_life else game_over

        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for index in np.flatnonzero(dones):
            over = game_over[index]
            last = (info["final_obs"] if over else observations)[index].copy()
            infos[index]["terminal_observation"] = self._without_past(last, index)
            infos[index]["TimeLimit.truncated"] = bool(truncated[index] and not terminated[index])
            if over:
                infos[index]["episode"] = self._finish_game(index)
            self._visible_frames[index] = 1
        for index in np.flatnonzero(self._visible_frames < self.settings.frame_stack):
            self._without_past(observations[index], index)

        if self.settings.clip_rewards:
            rewards = np.sign(rewards)
        return observations, rewards.astype(np.float32), dones, infos

    @property
    def life_lost(self) -> npt.NDArray[np.bool_]:
        """Mask (n_envs,) of the games that lost a life in the latest step and go on."""
        return self._life_lost

    def close(self) -> None:
        """End the games."""
        self._games.close()

    def get_images(self) -> Sequence[npt.NDArray[np.uint8] | None]:
        """Return the colour picture of each game; None where `render_mode` is None."""
        if self.render_mode is None:
            return [None] * self.num_envs
        images: Sequence[npt.NDArray[np.uint8]] = self._games.call("render")  # type: ignore[attr-defined]
        return images

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of this object, which all its games share, once per game."""
        return [getattr(self, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Refuse: a running game has nothing to set."""
        raise AttributeError(
            f"cannot set {attr_name!r}: Atari games are set up when they are made, "
            "by the env_kwargs of make_vec_env"
        )

    def env_method(
        self,
        method_name: str,
        *method_args: Any,
        indices: VecEnvIndices = None,
        **method_kwargs: Any,
    ) -> list[Any]:
        """Answer `get_action_meanings`, the one method that a game has here."""
        if method_name != "get_action_meanings":
            raise AttributeError(
                f"cannot call {method_name!r}: Atari games step together and answer only "
                "'get_action_meanings'"
            )
        return [self.action_meanings for _ in self._get_indices(indices)]

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Say that games are monitored (`info["episode"]` is raw) and not wrapped otherwise."""
        return [issubclass(wrapper_class, Monitor) for _ in self._get_indices(indices)]

    def _begin_games(self, lives: npt.NDArray[np.int32]) -> None:
        self._lives = lives
        self._life_lost = np.zeros(self.num_envs, dtype=np.bool_)
        self._returns = np.zeros(self.num_envs)
        self._lengths = np.zeros(self.num_envs, dtype=np.int64)
        # Frames since the agent's episode began: what came before is hidden from it.
        self._visible_frames = np.ones(self.num_envs, dtype=np.int64)

    def _finish_game(self, index: np.intp) -> dict[str, Any]:
        episode = {
            "r": float(self._returns[index]),
            "l": int(self._lengths[index]),
            "t": round(time.time() - self._start, 6),
        }
        self._returns[index] = self._lengths[index] = 0
        return episode

    def _without_past(self, observation: Frames, index: np.intp) -> Frames:
        """Zero, in place, the frames of before the episode, as after a reset."""
        hidden = self.settings.frame_stack - self._visible_frames[index]
        if hidden > 0:
            observation[:hidden] = 0
        return observation

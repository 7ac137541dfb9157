"""Environments that show the agent its last action and the reward that it brought."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

#: The entries of an observation that this adds.
LAST_ACTION, LAST_REWARD = "last_action", "last_reward"
#: The entry that holds an observation that was no dictionary.
OBSERVATION = "observation"


class VecLastAction(VecEnvWrapper):
    """Adds the last action and the last reward to each observation.

    Observations become dictionaries: ``last_action``, (A,) floats, one-hot where actions are
    numbered, and ``last_reward``, (1,), beside the entries that they had, or beside
    ``observation`` where they were no dictionaries. Both are zeros where an episode starts.

    Args:
        venv: Environments; rewards are shown as they give them.

    Raises:
        ValueError: Their observations have such an entry already.
    """

    def __init__(self, venv: VecEnv) -> None:
        inner = venv.observation_space
        entries = dict(inner.spaces) if isinstance(inner, spaces.Dict) else {OBSERVATION: inner}
        if shows_last_action(inner):
            raise ValueError(f"the observations show {LAST_ACTION} and {LAST_REWARD} already")
        actions = spaces.flatten_space(venv.action_space)
        assert isinstance(actions, spaces.Box)
        entries[LAST_ACTION] = spaces.Box(
            actions.low.astype(np.float32), actions.high.astype(np.float32)
        )
        entries[LAST_REWARD] = spaces.Box(-np.inf, np.inf, (1,))
        super().__init__(venv, spaces.Dict(entries))
        self._actions = self._no_actions()

    def _no_actions(self) -> NDArray[np.float32]:
        return np.zeros((self.num_envs, spaces.flatdim(self.action_space)), np.float32)

    def reset(self) -> dict[str, Any]:
        """Starts all environments: nothing was done, nothing was gained."""
        no_rewards = np.zeros((self.num_envs, 1), np.float32)
        return _with_last(self.venv.reset(), self._no_actions(), no_rewards)

    def step_async(self, actions: NDArray[Any]) -> None:
        """Sends the actions (N, ...), which the next observations show."""
        flat = [np.asarray(spaces.flatten(self.action_space, each)) for each in actions]
        self._actions = np.stack(flat).astype(np.float32)
        self.venv.step_async(actions)

    def step_wait(self) -> tuple[dict[str, Any], NDArray[Any], NDArray[Any], list[dict[str, Any]]]:
        """Waits for what the environments answer."""
        observations, rewards, dones, infos = self.venv.step_wait()
        shown = rewards.astype(np.float32)[:, None]
        for i in np.flatnonzero(dones):
            last = infos[i]["terminal_observation"]
            infos[i]["terminal_observation"] = _with_last(last, self._actions[i], shown[i].copy())
        over = dones[:, None]
        actions, shown = np.where(over, 0, self._actions), np.where(over, 0, shown)
        return _with_last(observations, actions, shown), rewards, dones, infos


def shows_last_action(space: spaces.Space[Any]) -> bool:
    """Tells whether observations of this space hold the last action and reward."""
    return isinstance(space, spaces.Dict) and {LAST_ACTION, LAST_REWARD} <= set(space.spaces)


def _with_last(observation: Any, action: NDArray[Any], reward: NDArray[Any]) -> dict[str, Any]:
    entries = observation if isinstance(observation, dict) else {OBSERVATION: observation}
    return {**entries, LAST_ACTION: action, LAST_REWARD: reward}

"""The last action and reward as they look beside observations, and when they are forgotten."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv

from rims_rl.envs import VecLastAction, make_vec_env, shows_last_action

DISCRETE = spaces.Discrete(3)
BOX = spaces.Box(-1, 1, (2,))


class Counting(gym.Env[Any, Any]):
    """Shows the step, pays it, and ends after three."""

    def __init__(self, actions: spaces.Space[Any], observation: spaces.Space[Any]) -> None:
        self.action_space, self.observation_space = actions, observation

    def _seen(self) -> Any:
        seen = np.array([self.step_number], np.float32)
        return seen if isinstance(self.observation_space, spaces.Box) else {"step": seen}

    def reset(self, **_: Any) -> tuple[Any, dict[str, Any]]:
        self.step_number = 0
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.step_number += 1
        return self._seen(), float(self.step_number), self.step_number == 3, False, {}


def counting(actions: spaces.Space[Any], *, as_dict: bool = False) -> Any:
    number = spaces.Box(0, 9, (1,))
    space = spaces.Dict({"step": number}) if as_dict else number
    return VecLastAction(DummyVecEnv([lambda: Counting(actions, space)] * 2))


def test_an_episode_shows_what_was_done_and_gained_and_the_next_begins_with_nothing() -> None:
    env = counting(DISCRETE)
    seen = env.reset()
    assert env.observation_space.contains({key: value[0] for key, value in seen.items()})
    assert not seen["last_action"].any()
    assert not seen["last_reward"].any()
    for step in (1, 2):
        seen, rewards, _, _ = env.step(np.array([2, 0]))
        np.testing.assert_array_equal(seen["observation"], [[step]] * 2)
        np.testing.assert_array_equal(seen["last_action"], [[0, 0, 1], [1, 0, 0]])
        np.testing.assert_array_equal(seen["last_reward"][:, 0], rewards)
    seen, rewards, dones, infos = env.step(np.array([1, 0]))
    assert dones.all()
    np.testing.assert_array_equal(rewards, [3, 3])
    assert not seen["last_action"].any()
    assert not seen["last_reward"].any()
    last = infos[0]["terminal_observation"]
    assert env.observation_space.contains(last)
    np.testing.assert_array_equal(last["observation"], [3])
    np.testing.assert_array_equal(last["last_action"], [0, 1, 0])
    np.testing.assert_array_equal(last["last_reward"], [3])


def test_actions_that_are_numbers_are_shown_as_they_are() -> None:
    env = counting(BOX)
    env.reset()
    actions = np.array([[0.5, -1], [0, 0.25]], np.float32)
    np.testing.assert_array_equal(env.step(actions)[0]["last_action"], actions)


def test_a_dictionary_keeps_its_entries() -> None:
    env = counting(DISCRETE, as_dict=True)
    assert set(env.reset()) == {"step", "last_action", "last_reward"}


def test_it_is_shown_once() -> None:
    env = counting(DISCRETE)
    assert shows_last_action(env.observation_space)
    assert not shows_last_action(env.venv.observation_space)
    with pytest.raises(ValueError, match="show last_action and last_reward already"):
        VecLastAction(env)


@pytest.mark.parametrize(
    "env_id", ["PongNoFrameskip-v4", "rims_rl/PickupDistractorsSmall-v0", "CartPole-v1"]
)
def test_observations_are_in_their_space_in_every_family(env_id: str) -> None:
    env: Any = make_vec_env(env_id, 2, seed=0, observe_last_action=True)
    plain = make_vec_env(env_id, 2, seed=0)
    seen, without = env.reset(), plain.reset()
    for _ in range(30):
        entries = {key: value for key, value in seen.items() if not key.startswith("last_")}
        same = entries if isinstance(without, dict) else entries["observation"]
        np.testing.assert_equal(same, without)
        first = {key: value[0] for key, value in seen.items()}
        assert env.observation_space.contains(first)
        actions = np.array([env.action_space.sample() for _ in range(2)])
        seen, without = env.step(actions)[0], plain.step(actions)[0]
    env.close()
    plain.close()

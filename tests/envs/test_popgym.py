"""POPGym in a form Stable-Baselines3 takes: every id, the same episodes for the same seed."""

from __future__ import annotations

import random
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.env_checker import check_env as check_sb3_env

from rims_rl.envs import family_of, make_vec_env
from rims_rl.envs.popgym import MAZES, FlatObservation, make_popgym, register_popgym

register_popgym()
EVERY_ID = sorted(name for name in gym.registry if name.startswith("popgym-"))
REMEMBERS_ACTIONS = ("Battleship", "Concentration", "MineSweeper", "MultiarmedBandit", "Labyrinth")


def played(env: Any, seed: int, steps: int = 120, elsewhere: int = 0) -> list[Any]:
    """All that a player sees and gets who draws the same actions every time.

    Between two of them, others draw `elsewhere` numbers from the global generators.
    """
    env.action_space.seed(0)
    record: list[Any] = [np.asarray(env.reset(seed=seed)[0]).tolist()]
    for step in range(steps):
        np.random.rand(elsewhere)  # noqa: NPY002  (it is what some environment might draw from)
        [random.random() for _ in range(elsewhere)]
        obs, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        record += [np.asarray(obs).tolist(), reward, terminated, truncated]
        if terminated or truncated or step % 50 == 49:
            record.append(np.asarray(env.reset()[0]).tolist())
    return record


def test_fourteen_tasks_have_three_levels_each():
    tasks = [name for name in EVERY_ID if not name.startswith(MAZES)]
    assert len(tasks) == 14 * 3
    assert all(family_of(name) == "popgym" for name in tasks)


@pytest.mark.filterwarnings("ignore:.*action space.*:UserWarning")  # no box from -1 to 1: pendulum
@pytest.mark.parametrize("env_id", EVERY_ID)
def test_the_checker_accepts(env_id):
    check_sb3_env(make_popgym(env_id))


@pytest.mark.parametrize("env_id", EVERY_ID)
def test_same_seed_same_episodes_whatever_was_drawn_elsewhere(env_id):
    env = make_popgym(env_id)
    first = played(env, seed=5)
    assert played(make_popgym(env_id), seed=5, elsewhere=1) == first
    played(env, seed=6, steps=7)
    assert played(env, seed=5) == first
    assert played(env, seed=7) != first


@pytest.mark.parametrize("env_id", EVERY_ID)
def test_observations_are_plain_or_one_vector(env_id):
    env = make_popgym(env_id)
    stock: Any = env.unwrapped
    space = env.observation_space
    remembers = any(task in env_id for task in REMEMBERS_ACTIONS)
    assert stock.obs_requires_prev_action == remembers
    if remembers or isinstance(stock.observation_space, spaces.Tuple):
        assert isinstance(space, spaces.Box)
        assert space.dtype == np.float32
        assert len(space.shape) == 1
    else:
        assert space == stock.observation_space
    assert isinstance(env.action_space, spaces.Box | spaces.Discrete | spaces.MultiDiscrete)


def test_a_tuple_is_flattened_in_its_order():
    env = make_popgym("popgym-AutoencodeEasy-v0")
    obs, _ = env.reset(seed=0)
    stock: Any = env.unwrapped
    mode, card = stock.make_obs(stock.deck["system"][-1])
    expected = np.concatenate([np.eye(2)[mode], np.eye(4)[card]])
    np.testing.assert_array_equal(obs, expected)


def test_the_previous_action_comes_last_and_not_before_the_first():
    env = make_popgym("popgym-MineSweeperEasy-v0")
    obs, _ = env.reset(seed=0)
    assert obs.tolist() == [1, 0, 0, *[0] * 8]
    obs = env.step(np.array([2, 0]))[0]
    assert obs[3:].tolist() == [0, 0, 1, 0, 1, 0, 0, 0]
    assert env.reset()[0][3:].tolist() == [0] * 8


def test_a_vector_environment_runs_through_episodes():
    env = make_vec_env("popgym-RepeatPreviousEasy-v0", 2, seed=0)
    assert env.observation_space == spaces.Discrete(4)
    env.reset()
    infos: list[dict[str, Any]] = [{}]
    for _ in range(60):
        _, _, _, infos = env.step(np.zeros(2, dtype=np.int64))
        if "episode" in infos[0]:
            break
    assert infos[0]["episode"]["l"] == 51


def test_what_can_be_drawn_is_and_the_rest_is_refused_in_one_line(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    env = make_popgym("popgym-PositionOnlyCartPoleMedium-v0", render_mode="rgb_array")
    env.reset(seed=0)
    picture: Any = env.render()
    assert picture.ndim == 3
    with pytest.raises(ValueError, match=r"^popgym-RepeatFirstEasy-v0 draws no pictures.*$"):
        make_popgym("popgym-RepeatFirstEasy-v0", render_mode="rgb_array")


class Odd(gym.Env[Any, Any]):
    """Spaces that PPO cannot take."""

    obs_requires_prev_action = False

    def __init__(self, observation_space: Any, action_space: Any) -> None:
        self.observation_space = observation_space
        self.action_space = action_space


def test_settings_that_would_be_forgotten_are_refused():
    assert make_popgym("popgym-CountRecallEasy-v0", env_kwargs={"num_decks": 2}) is not None
    with pytest.raises(ValueError, match="CountRecallMedium-v0 heeds no settings, got num_decks"):
        make_popgym("popgym-CountRecallMedium-v0", env_kwargs={"num_decks": 8})


@pytest.mark.parametrize(
    ("observation", "action", "words"),
    [
        (spaces.Sequence(spaces.Discrete(2)), spaces.Discrete(2), "cannot be made one vector"),
        (spaces.Discrete(2), spaces.Tuple([spaces.Discrete(2)]), "actions that PPO cannot take"),
    ],
)
def test_spaces_that_cannot_be_made_flat_are_refused_in_one_line(
    monkeypatch, observation, action, words
):
    monkeypatch.setattr(gym, "make", lambda *_, **__: Odd(observation, action))
    with pytest.raises(ValueError, match=words) as error:
        make_popgym("popgym-Odd-v0")
    assert "\n" not in str(error.value)


def test_nested_dictionaries_are_flattened_too():
    space = spaces.Dict(a=spaces.Tuple([spaces.Discrete(2)]), b=spaces.Box(-1, 1, (2, 2)))
    env = FlatObservation(Odd(space, spaces.Discrete(3)), with_action=True)
    assert env.observation_space == spaces.Box(
        np.array([0, 0, *[-1] * 4, 0, 0, 0], np.float32), 1, dtype=np.float32
    )

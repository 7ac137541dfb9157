"""MinAtar in a form Stable-Baselines3 takes: the stock games, the same for the same seed."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.env_checker import check_env as check_sb3_env
from stable_baselines3.common.preprocessing import is_image_space, preprocess_obs

from rims_rl.envs import family_of, make_vec_env
from rims_rl.envs.minatar import CELL, MAX_STEPS, make_minatar, register_minatar

register_minatar()
GAMES = ["Asterix", "Breakout", "Freeway", "Seaquest", "SpaceInvaders"]
IDS = [f"MinAtar/{game}-v{version}" for game in GAMES for version in (0, 1)]

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*out of date.*"),
    pytest.mark.filterwarnings("ignore:.*image.*:UserWarning"),  # planes, no picture
]


def played(env: Any, seed: int, steps: int = 50) -> list[Any]:
    """All that a player sees and gets who draws his actions with the same seed every time."""
    actions = np.random.default_rng(0).integers(env.action_space.n, size=steps)
    record: list[Any] = [env.reset(seed=seed)[0].tolist()]
    for action in actions:
        planes, reward, terminated, truncated, _ = env.step(action)
        record += [planes.tolist(), reward, terminated]
        if terminated or truncated:
            record.append(env.reset()[0].tolist())
    return record


@pytest.mark.parametrize("env_id", IDS)
def test_the_checker_accepts(env_id):
    check_sb3_env(make_minatar(env_id))


@pytest.mark.parametrize("env_id", IDS)
def test_same_seed_same_games_whatever_was_played_before(env_id):
    # Games that repeat actions often, so that one carried over from the game before would tell.
    env, other = (make_minatar(env_id, env_kwargs={"sticky_action_prob": 0.5}) for _ in range(2))
    for seed in range(5):
        first = played(env, seed)
        assert played(other, seed) == first
        played(env, seed + 100, steps=7)
        assert played(env, seed) == first
        assert played(env, seed + 1) != first


@pytest.mark.parametrize("env_id", IDS)
def test_planes_are_the_stock_observation(env_id):
    env = make_minatar(env_id)
    assert env.observation_space == spaces.Box(0, 1, env.observation_space.shape, np.uint8)
    planes, _ = env.reset(seed=0)
    stock: Any = env.unwrapped
    for action in (0, 1, 2, 1, 0):
        np.testing.assert_array_equal(planes.transpose(1, 2, 0), stock.game.state())
        planes = env.step(action)[0]


def test_versions_differ_in_their_actions():
    actions = {version: make_minatar(f"MinAtar/Breakout-{version}") for version in ("v0", "v1")}
    assert actions["v0"].action_space == spaces.Discrete(6)
    assert actions["v1"].action_space == spaces.Discrete(3)


def test_stable_baselines_neither_reorders_nor_scales():
    env = make_vec_env("MinAtar/Seaquest-v1", 2, seed=0)
    assert family_of("MinAtar/Seaquest-v1") == "minatar"
    assert not is_image_space(env.observation_space)
    seen = env.reset()
    assert isinstance(seen, np.ndarray)
    taken = preprocess_obs(torch.as_tensor(seen), env.observation_space)
    assert isinstance(taken, torch.Tensor)
    np.testing.assert_array_equal(taken.numpy(), seen.astype(np.float32))


def test_a_game_that_would_go_on_forever_is_cut_off():
    env = make_minatar("MinAtar/Seaquest-v1", env_kwargs={"sticky_action_prob": 0.0})
    env.reset(seed=0)
    assert MAX_STEPS == 5_000  # as the documentation has it
    ends = [env.step(0)[2:4] for _ in range(MAX_STEPS)]
    assert not any(any(end) for end in ends[:-1])
    assert ends[-1] == (False, True)
    short = make_minatar("MinAtar/Seaquest-v1", env_kwargs={"max_episode_steps": 1})
    short.reset(seed=0)
    assert short.step(0)[2:4] == (False, True)


@pytest.mark.parametrize("env_id", IDS[1::2])
def test_pictures_show_what_is_where(env_id):
    env = make_minatar(env_id, render_mode="rgb_array")
    planes, _ = env.reset(seed=0)
    picture: Any = env.render()
    assert (picture.shape, picture.dtype) == ((10 * CELL, 10 * CELL, 3), np.uint8)
    cells = picture[::CELL, ::CELL]
    np.testing.assert_array_equal(cells.any(-1), planes.any(0))
    np.testing.assert_array_equal(cells.repeat(CELL, 0).repeat(CELL, 1), picture)
    highest = (planes * np.arange(1, len(planes) + 1)[:, None, None]).max(0)
    shown = {(int(top), *cells[at].tolist()) for at, top in np.ndenumerate(highest)}
    assert len({colour[1:] for colour in shown}) == len(np.unique(highest)) == len(shown)


def test_importing_it_says_nothing_and_leaves_logging_alone():
    program = (
        "import logging, rims_rl.envs as envs; envs.family_of('MinAtar/Breakout-v1');"
        "print(logging.getLogger().handlers, logging.getLogger().filters)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[] []\n", "")


def test_registering_again_changes_nothing(recwarn, caplog):
    with caplog.at_level(logging.WARNING):
        register_minatar()
    assert not recwarn.list
    assert not caplog.records

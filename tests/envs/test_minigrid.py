"""MiniGrid and BabyAI in a form Stable-Baselines3 takes: nothing lost, nothing corrupted."""

from typing import Any

import gymnasium as gym
import minigrid  # noqa: F401  (registers the ids)
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env as check_gymnasium_env
from gymnasium.utils.env_checker import data_equivalence
from minigrid.envs.babyai.core.verifier import (
    AfterInstr,
    AndInstr,
    BeforeInstr,
    ObjDesc,
    PutNextInstr,
)
from stable_baselines3.common.env_checker import check_env as check_sb3_env
from stable_baselines3.common.preprocessing import is_image_space, preprocess_obs
from stable_baselines3.common.utils import obs_as_tensor
from stable_baselines3.common.vec_env import DummyVecEnv

from rims_rl.envs.minigrid import (
    MAX_WORDS,
    PAD,
    UNKNOWN,
    VOCABULARY,
    grid_space,
    make_minigrid,
    mission_tokens,
)
from rims_rl.envs.pickup import register_envs

pytestmark = pytest.mark.filterwarnings("ignore:.*image.*:UserWarning")  # symbols, no picture

register_envs()
SOME_IDS = [
    "MiniGrid-Empty-5x5-v0",
    "MiniGrid-DoorKey-6x6-v0",
    "MiniGrid-Dynamic-Obstacles-5x5-v0",
    "MiniGrid-MemoryS7-v0",
    "BabyAI-PickupDist-v0",
    "BabyAI-PutNextS5N2Carrying-v0",
    "BabyAI-BossLevel-v0",
    "rims_rl/PickupDistractors-v0",
]
EVERY_ID = [
    env_id
    for env_id in sorted(gym.registry)
    if env_id.startswith(("MiniGrid-", "BabyAI-")) and "WFC" not in env_id
]
"""Without the WFC mazes, whose patterns MiniGrid's package does not ship."""


def words_of(tokens):
    return [VOCABULARY[token - UNKNOWN - 1] for token in tokens if token != PAD]


@pytest.mark.parametrize("env_id", SOME_IDS)
def test_both_checkers_accept(env_id):
    check_gymnasium_env(make_minigrid(env_id).unwrapped, skip_render_check=True)
    check_sb3_env(make_minigrid(env_id))


@pytest.mark.parametrize("env_id", SOME_IDS)
def test_same_seed_and_actions_give_the_same_run(env_id):
    def run():
        env = make_minigrid(env_id)
        space: Any = env.action_space
        actions = np.random.default_rng(0).integers(space.n, size=60)
        record: list[Any] = [env.reset(seed=5)]
        for action in actions:
            record.append(env.step(action))
            if record[-1][2] or record[-1][3]:
                record.append(env.reset())
        return record

    assert data_equivalence(run(), run())


@pytest.mark.filterwarnings("ignore:.*out of date.*")
@pytest.mark.parametrize("env_id", EVERY_ID)
def test_every_stock_id_gives_symbols_in_the_space_and_known_words(env_id):
    env = make_minigrid(env_id)
    stock: Any = env.unwrapped
    for seed in range(2):
        obs, _ = env.reset(seed=seed)
        assert env.observation_space.contains(obs)
        assert UNKNOWN not in obs["mission"]
        mission = stock.mission.replace(",", "").lower().split()
        assert words_of(obs["mission"]) == mission
    assert env.observation_space.contains(env.step(env.action_space.sample())[0])


def test_grid_and_direction_are_the_stock_environments():
    env = make_minigrid("BabyAI-GoToLocal-v0")
    stock_env: Any = env.unwrapped
    env.reset(seed=1)
    for action in (0, 2, 2, 1, 2):
        obs = env.step(action)[0]
        stock = stock_env.gen_obs()
        np.testing.assert_array_equal(obs["grid"], stock["image"])
        assert obs["direction"].tolist() == [stock["direction"]]


@pytest.mark.parametrize("env_id", ["BabyAI-GoToLocal-v0", "rims_rl/PickupDistractors-v0"])
def test_stable_baselines_neither_reorders_nor_scales_nor_one_hot_encodes(env_id):
    vec_env = DummyVecEnv([lambda: make_minigrid(env_id)])
    space = vec_env.observation_space
    assert isinstance(space, spaces.Dict)
    assert not any(is_image_space(box) for box in space.values())
    obs = vec_env.reset()
    assert isinstance(obs, dict)
    seen = preprocess_obs(obs_as_tensor(obs, torch.device("cpu")), space)
    assert isinstance(seen, dict)
    for key, values in obs.items():
        np.testing.assert_array_equal(seen[key].numpy(), values.astype(np.float32))


def test_success_is_told_at_the_end_of_an_episode_only():
    env = make_minigrid("MiniGrid-Empty-5x5-v0")
    env.reset(seed=0)
    infos = [env.step(action)[-1] for action in (2, 2, 1, 2, 2)]
    assert infos[:-1] == [{}] * 4
    assert infos[-1] == {"is_success": True}


def test_timeout_is_no_success():
    env = make_minigrid("MiniGrid-Empty-5x5-v0", env_kwargs={"max_steps": 2})
    env.reset(seed=0)
    env.step(0)
    _, reward, terminated, truncated, info = env.step(0)
    assert (reward, terminated, truncated, info) == (0, False, True, {"is_success": False})


def test_negative_reward_is_no_success():
    env = make_minigrid("MiniGrid-Dynamic-Obstacles-5x5-v0")
    rewards, successes = [], []
    for seed in range(40):
        env.reset(seed=seed)
        ended = False
        while not ended:
            _, reward, terminated, truncated, info = env.step(2)
            ended = terminated or truncated
        rewards.append(float(reward))
        successes.append(info["is_success"])
    assert min(rewards) < 0
    assert successes == [reward > 0 for reward in rewards]


def test_tokens_ignore_case_and_punctuation_and_mark_unknown_words():
    tokens = mission_tokens("Pick up the RED ball, then fly")
    assert words_of(tokens[:6]) == ["pick", "up", "the", "red", "ball", "then"]
    assert tokens[6:] == (UNKNOWN, *[PAD] * (MAX_WORDS - 7))


def test_longest_mission_of_babyais_grammar_fits(monkeypatch):
    env = gym.make("BabyAI-BossLevel-v0").unwrapped
    env.reset(seed=0)
    thing = ObjDesc("ball", "yellow", "front")
    monkeypatch.setattr(thing, "find_matching_objs", lambda env, use_location=True: None)
    thing.obj_set = [None]
    clause = PutNextInstr(thing, thing)
    both = AndInstr(clause, clause)
    missions = [order(both, both).surface(env) for order in (AfterInstr, BeforeInstr)]
    assert max(len(mission.split()) for mission in missions) == MAX_WORDS
    assert not any(UNKNOWN in mission_tokens(mission) for mission in missions)


def test_render_mode_and_arguments_reach_the_environment():
    env = make_minigrid(
        "MiniGrid-Empty-5x5-v0", env_kwargs={"agent_view_size": 5}, render_mode="rgb_array"
    )
    env.reset(seed=0)
    image = env.render()
    assert isinstance(image, np.ndarray)
    assert image.ndim == 3
    space: Any = env.observation_space
    assert space["grid"] == grid_space(5)


def test_nothing_is_printed_while_layouts_are_drawn(capsys):
    env = make_minigrid("BabyAI-GoToLocal-v0")
    for seed in range(30):
        env.reset(seed=seed)
    assert capsys.readouterr().out == ""


def test_a_maze_without_its_picture_is_refused_in_one_line():
    with pytest.raises(ValueError, match=r"MiniGrid-WFC-MazeSimple-v0 needs a picture.*\.png$"):
        make_minigrid("MiniGrid-WFC-MazeSimple-v0")

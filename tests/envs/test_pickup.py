"""Object picking with distractors: rules, solvability, kinds, and the fast view's equality."""

from collections import deque
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as check_gymnasium_env
from gymnasium.utils.env_checker import data_equivalence
from minigrid.core.actions import Actions
from minigrid.core.constants import COLOR_TO_IDX, DIR_TO_VEC, OBJECT_TO_IDX
from minigrid.minigrid_env import MiniGridEnv
from stable_baselines3.common.env_checker import check_env as check_sb3_env

from rims_rl.envs.pickup import KNOWN_KINDS, NOVEL_KINDS, PickupDistractors, register_envs

pytestmark = pytest.mark.filterwarnings("ignore:.*image.*:UserWarning")  # symbols, no picture

register_envs()
IDS = sorted(env_id for env_id in gym.registry if env_id.startswith("rims_rl/Pickup"))
SMALL = "rims_rl/PickupDistractorsSmall-v0"


def make(env_id, **kwargs):
    return gym.make(env_id, disable_env_checker=True, **kwargs).unwrapped


#: As docs/environments.md has them: room, distractors, their kinds, what a wrong pick does.
SIZES = {
    "": (7, 4, KNOWN_KINDS, "continue"),
    "Novel": (7, 4, NOVEL_KINDS, "continue"),
    "More": (7, 8, KNOWN_KINDS, "continue"),
    "Small": (6, 3, KNOWN_KINDS, "end"),
    "SmallNovel": (6, 3, NOVEL_KINDS, "end"),
    "SmallMore": (6, 6, KNOWN_KINDS, "end"),
}


def test_sizes_of_the_ids():
    assert {f"rims_rl/PickupDistractors{name}-v0" for name in SIZES} == set(IDS)
    for name, size in SIZES.items():
        env = make(f"rims_rl/PickupDistractors{name}-v0")
        assert (env.width, env.num_distractors, env.distractor_kinds, env.wrong_pick) == size


def shortest_path(env, goals):
    """Actions to the nearest place from which the agent faces a goal: breadth-first search."""
    start = (*map(int, env.agent_pos), env.agent_dir)
    came_from: dict[tuple[int, ...], Any] = {start: None}
    queue = deque([start])
    while queue:
        x, y, direction = state = queue.popleft()
        dx, dy = DIR_TO_VEC[direction]
        ahead = (x + dx, y + dy)
        if any(env.grid.get(*ahead) is goal for goal in goals):
            actions: list[Actions] = []
            while came_from[state]:
                state, action = came_from[state]
                actions.append(action)
            return actions[::-1]
        moves = [
            (Actions.left, (x, y, (direction - 1) % 4)),
            (Actions.right, (x, y, (direction + 1) % 4)),
        ]
        if env.grid.get(*ahead) is None:
            moves.append((Actions.forward, (*ahead, direction)))
        for action, after in moves:
            if after not in came_from:
                came_from[after] = (state, action)
                queue.append(after)
    raise AssertionError("the layout cannot be solved")


def fetch(env, *things):
    """Pick up the nearest of `things`; the last step's result and how many steps it took."""
    actions = [*shortest_path(env, things), Actions.pickup]
    for action in actions:
        result = env.step(action)
    return result, len(actions)


@pytest.mark.parametrize("env_id", IDS)
def test_perfect_player_solves_200_seeds_with_the_reward_of_the_formula(env_id):
    env = make(env_id)
    for seed in range(200):
        env.reset(seed=seed)
        (_, reward, terminated, truncated, info), steps = fetch(env, env.target)
        assert (terminated, truncated) == (True, False)
        assert info == {"is_success": True, "wrong_picks": 0}
        assert reward == pytest.approx(1 - 0.9 * steps / env.max_steps)


@pytest.mark.parametrize("env_id", [env_id for env_id in IDS if "Small" in env_id])
def test_grabbing_whatever_is_nearest_succeeds_at_most_about_one_time_in_four(env_id):
    env = make(env_id)
    successes = 0
    for seed in range(200):
        env.reset(seed=seed)
        (_, _, terminated, _, info), _ = fetch(env, *env.objects)
        assert terminated
        successes += info["is_success"]
    assert successes / 200 < 0.33


def test_target_is_often_out_of_view_at_the_start():
    env = make(SMALL)
    seen = 0
    for seed in range(200):
        obs, _ = env.reset(seed=seed)
        seen += (obs["grid"][..., :2] == obs["target"]).all(-1).any()
    assert 0.3 < seen / 200 < 0.7


@pytest.mark.parametrize("env_id", IDS)
def test_both_checkers_accept(env_id):
    check_gymnasium_env(make(env_id), skip_render_check=True)
    check_sb3_env(make(env_id))


def random_run(env, steps):
    """Observations, rewards, ends and infos of a fixed random player."""
    actions = np.random.default_rng(0)
    record = [env.reset(seed=7)]
    for action in actions.integers(env.action_space.n, size=steps):
        record.append(env.step(action))
        if record[-1][2] or record[-1][3]:
            record.append(env.reset())
    return record


@pytest.mark.parametrize("env_id", IDS)
def test_same_seed_and_actions_give_the_same_run(env_id):
    runs = [random_run(make(env_id), 300) for _ in range(2)]
    assert data_equivalence(*runs)


def test_known_and_novel_kinds_split_all_kinds_and_share_types_and_colours():
    assert not set(KNOWN_KINDS) & set(NOVEL_KINDS)
    assert len(KNOWN_KINDS) + len(NOVEL_KINDS) == 18
    for kinds in (KNOWN_KINDS, NOVEL_KINDS):
        assert {type_ for type_, _ in kinds} == {"ball", "key", "box"}
        assert {colour for _, colour in kinds} == set(COLOR_TO_IDX)


@pytest.mark.parametrize("env_id", IDS)
def test_target_is_known_and_distractors_are_of_the_versions_kinds(env_id):
    env = make(env_id)
    allowed = NOVEL_KINDS if "Novel" in env_id else KNOWN_KINDS
    targets, distractors = set(), set()
    for seed in range(150):
        env.reset(seed=seed)
        target, *others = [(thing.type, thing.color) for thing in env.objects]
        assert len(others) == env.num_distractors
        assert target not in others
        assert env.mission == f"pick up the {target[1]} {target[0]}"
        targets.add(target)
        distractors.update(others)
    assert targets == set(KNOWN_KINDS)
    assert distractors == set(allowed)


def test_more_versions_have_more_distractors_than_known_ones():
    for size in ("", "Small"):
        known = make(f"rims_rl/PickupDistractors{size}-v0")
        assert make(f"rims_rl/PickupDistractors{size}More-v0").num_distractors > (
            known.num_distractors
        )


def test_wrong_pick_continues_with_the_distractor_in_hand():
    env = make(SMALL, wrong_pick="continue", max_steps=100)
    env.reset(seed=3)
    distractor = env.objects[1]
    (obs, reward, terminated, truncated, info), _ = fetch(env, distractor)
    assert (reward, terminated, truncated, info) == (0, False, False, {})
    np.testing.assert_array_equal(obs["grid"][3, 6], distractor.encode())
    env.step(Actions.pickup)
    assert env.carrying is distractor, "nothing else can be picked up before it is put down"
    env.step(Actions.drop)
    assert env.carrying is None
    (_, _, terminated, _, info), _ = fetch(env, env.target)
    assert terminated
    assert info == {"is_success": True, "wrong_picks": 1}


def test_wrong_pick_ends_the_episode_with_nothing():
    env = make(SMALL, wrong_pick="end")
    env.reset(seed=3)
    (_, reward, terminated, _, info), _ = fetch(env, env.objects[1])
    assert (reward, terminated) == (0, True)
    assert info == {"is_success": False, "wrong_picks": 1}


def test_episode_is_cut_after_max_steps_without_reward():
    env = make(SMALL, max_steps=5)
    env.reset(seed=0)
    results = [env.step(Actions.left) for _ in range(5)]
    assert [result[3] for result in results] == [False] * 4 + [True]
    assert results[-1][1:3] == (0, False)
    assert results[-1][4] == {"is_success": False, "wrong_picks": 0}


def test_view_equals_minigrids_own_at_every_step():
    env = make(SMALL, wrong_pick="continue", max_steps=400)
    actions = np.random.default_rng(1)
    carried = 0
    for seed in range(4):
        obs, _ = env.reset(seed=seed)
        for _ in range(200):
            np.testing.assert_array_equal(obs["grid"], MiniGridEnv.gen_obs(env)["image"])
            carried += env.carrying is not None
            obs, _, terminated, truncated, _ = env.step(actions.integers(5))
            if terminated or truncated:
                break
    assert carried > 20


def test_target_holds_the_grids_symbols_of_the_named_object():
    env = make(SMALL)
    obs, _ = env.reset(seed=0)
    colour, type_ = env.mission.split()[-2:]
    assert obs["target"].tolist() == [OBJECT_TO_IDX[type_], COLOR_TO_IDX[colour]]


def test_actions_that_could_destroy_the_target_are_left_out():
    assert make(SMALL).action_space.n == Actions.drop + 1


def test_render_shows_the_room():
    env = make(SMALL, render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().shape == (6 * 32, 6 * 32, 3)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"kinds": "unknown"}, "kinds must be one of known, novel"),
        ({"wrong_pick": "punish"}, "wrong_pick must be one of continue, end"),
        ({"room_size": 3}, "at least 4"),
        ({"room_size": 5, "num_distractors": 9}, "0 to 4 in a room of size 5"),
        ({"max_steps": 0}, "max_steps must be at least 1"),
    ],
)
def test_bad_arguments_are_refused_with_what_would_work(kwargs, message):
    with pytest.raises(ValueError, match=message):
        PickupDistractors(**kwargs)


def test_registering_twice_changes_nothing(recwarn):
    before = dict(gym.registry)
    register_envs()
    assert gym.registry == before
    assert not recwarn

"""Atari games against Stable-Baselines3's own pipeline, and what holds at the ends of episodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.env_util import make_atari_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack, VecTransposeImage

from rims_rl.envs import AtariSettings, AtariVecEnv, make_vec_env

BREAKOUT = "BreakoutNoFrameskip-v4"
PONG = "PongNoFrameskip-v4"
NOOP, FIRE, UP_OR_RIGHT = 0, 1, 2
# In the agent's hands from the first frame on, so that it can replay another pipeline's start.
BARE = {"noop_max": 0, "fire_start": False, "threads": 1}

NAMES_57 = (
    "Alien Amidar Assault Asterix Asteroids Atlantis BankHeist BattleZone BeamRider Berzerk "
    "Bowling Boxing Breakout Centipede ChopperCommand CrazyClimber Defender DemonAttack "
    "DoubleDunk Enduro FishingDerby Freeway Frostbite Gopher Gravitar Hero IceHockey Jamesbond "
    "Kangaroo Krull KungFuMaster MontezumaRevenge MsPacman NameThisGame Phoenix Pitfall Pong "
    "PrivateEye Qbert Riverraid RoadRunner Robotank Seaquest Skiing Solaris SpaceInvaders "
    "StarGunner Surround Tennis TimePilot Tutankham UpNDown Venture VideoPinball WizardOfWor "
    "YarsRevenge Zaxxon"
)
ATARI_57 = NAMES_57.split()
SAMPLE = {"Freeway", "Pong", "Surround", "Breakout", "MontezumaRevenge"}


def reset(env: VecEnv) -> np.ndarray:
    observation = env.reset()
    assert isinstance(observation, np.ndarray)
    return observation


def action_count(env: VecEnv) -> int:
    assert isinstance(env.action_space, gym.spaces.Discrete)
    return int(env.action_space.n)


def play(env: VecEnv, actions: Sequence[int]) -> tuple[Any, ...]:
    for action in actions:
        step = env.step(np.full(env.num_envs, action))
    return step


def random_play(env: VecEnv, steps: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Observations, rewards, dones and infos of random actions."""
    rng = np.random.default_rng(seed)
    count = action_count(env)
    history = [env.step(rng.integers(count, size=env.num_envs)) for _ in range(steps)]
    observations, rewards, dones, infos = zip(*history, strict=True)
    return np.stack(observations), np.stack(rewards), np.stack(dones), np.array(infos)


@pytest.mark.parametrize("actions", [[6, 0], [-1, 0], [0], [[0], [0]]])
def test_an_action_that_the_game_does_not_have_is_refused(actions: list[Any]) -> None:
    env = make_vec_env("PongNoFrameskip-v4", 2, 0, env_kwargs=BARE)
    env.reset()
    with pytest.raises(ValueError, match="actions must be 2 numbers from 0 to 5, got"):
        env.step(np.array(actions))
    env.step(np.array([5, 0]))
    env.close()


def pixel_difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    difference: np.ndarray = np.abs(one.astype(int) - other.astype(int))
    return difference


# SB3 takes the maximum of two frames in colour and then the grey value, ALE the other way round:
# where red flickers against blue they differ, by a few grey levels in few pixels.
@pytest.mark.parametrize(
    ("game", "worst_pixel", "worst_mean"),
    [("Breakout", 0, 0.0), ("SpaceInvaders", 0, 0.0), ("Pong", 29, 0.1), ("Qbert", 29, 0.1)],
)
@pytest.mark.parametrize("episodic_life", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_same_game_as_make_atari_env(
    game: str, worst_pixel: int, worst_mean: float, episodic_life: bool
) -> None:
    env_id = f"{game}NoFrameskip-v4"
    wrapper_kwargs = {"noop_max": 0, "terminal_on_life_loss": episodic_life}
    reference = VecTransposeImage(
        VecFrameStack(make_atari_env(env_id, 1, seed=0, wrapper_kwargs=wrapper_kwargs), 4)
    )
    ours = make_vec_env(env_id, 1, 0, env_kwargs={**BARE, "episodic_life": episodic_life})
    frame = reset(reference)[0, -1]
    ours.reset()
    assert pixel_difference(frame, play(ours, [FIRE, UP_OR_RIGHT])[0][0, -1]).max() <= worst_pixel

    rng = np.random.default_rng(1)
    episodes = games = 0
    for _ in range(1000):
        action = rng.integers(action_count(ours), size=1)
        expected, expected_reward, expected_done, (expected_info,) = reference.step(action)
        observation, reward, done, (info,) = ours.step(action)
        assert reward == expected_reward
        assert done == expected_done
        assert info.get("episode", {}).get("r") == expected_info.get("episode", {}).get("r")
        if done:
            episodes += 1
            assert info["TimeLimit.truncated"] == expected_info["TimeLimit.truncated"]
            if "episode" in info:
                games += 1
                # SB3's monitor counts frames, four per agent step.
                assert info["episode"]["l"] == np.ceil(expected_info["episode"]["l"] / 4)
                play(ours, [FIRE, UP_OR_RIGHT])
            else:
                # What SB3 plays, unseen by the agent, between two lives.
                play(ours, [NOOP, FIRE, UP_OR_RIGHT])
        else:
            assert isinstance(expected, np.ndarray)
            assert isinstance(observation, np.ndarray)
            difference = pixel_difference(expected[0, -1], observation[0, -1])
            assert difference.max() <= worst_pixel
            assert difference.mean() <= worst_mean
    lives = {"Breakout": 5, "SpaceInvaders": 3, "Pong": 1, "Qbert": 4}[game]
    assert games >= 1
    assert episodes >= games * (lives if episodic_life else 1)


def test_stacks_equal_those_of_sb3_within_an_episode() -> None:
    reference = VecTransposeImage(
        VecFrameStack(make_atari_env(BREAKOUT, 1, seed=0, wrapper_kwargs={"noop_max": 0}), 4)
    )
    ours = make_vec_env(BREAKOUT, 1, 0, env_kwargs=BARE)
    reference.reset()
    ours.reset()
    play(ours, [FIRE, UP_OR_RIGHT])
    play(reference, [NOOP] * 3)
    play(ours, [NOOP] * 3)
    for action in [2, 3, 3, 0, 2]:
        np.testing.assert_array_equal(play(ours, [action])[0], play(reference, [action])[0])


def test_lost_lives_end_episodes_but_not_the_game() -> None:
    env = make_vec_env(BREAKOUT, 2, seed=3)
    env.reset()
    _, rewards, dones, infos = random_play(env, 400)
    for index in range(2):
        ends = np.flatnonzero(dones[:, index])
        game_ends = [t for t in ends if "episode" in infos[t, index]]
        first = game_ends[0]
        assert list(ends).index(first) == 4, "Breakout has five lives"
        episode = infos[first, index]["episode"]
        assert episode["l"] == first + 1
        assert episode["r"] == rewards[: first + 1, index].sum()
        assert all("terminal_observation" in infos[t, index] for t in ends)
        assert not any(infos[t, index]["TimeLimit.truncated"] for t in ends)
    assert all(not info for info in infos[~dones])


def test_whole_games_are_episodes_without_episodic_life() -> None:
    env = make_vec_env(BREAKOUT, 2, seed=3, env_kwargs={"episodic_life": False})
    env.reset()
    _, _, dones, infos = random_play(env, 400)
    assert dones.any(axis=0).all()
    assert all("episode" in info for info in infos[dones])


def test_a_new_life_does_not_see_the_old_one() -> None:
    env = make_vec_env(BREAKOUT, 1, seed=0)
    env.reset()
    for _ in range(100):
        observation, _, (done,), (info,) = play(env, [NOOP])
        if done:
            break
    assert info["terminal_observation"].any(axis=(1, 2)).all()
    np.testing.assert_array_equal(info["terminal_observation"][-1], observation[0, -1])
    for visible in (1, 2, 3, 4):
        assert list(observation[0].any(axis=(1, 2))) == [False] * (4 - visible) + [True] * visible
        observation = play(env, [NOOP])[0]


@pytest.mark.parametrize("episodic_life", [True, False])
def test_fire_starts_every_life(episodic_life: bool) -> None:
    env = make_vec_env(BREAKOUT, 1, 0, env_kwargs={"episodic_life": episodic_life})
    env.reset()
    ends = [play(env, [NOOP])[3][0] for _ in range(150)]
    assert any("episode" in info for info in ends), "somebody without FIRE plays on for ever"


def test_rewards_are_clipped_for_learning_and_raw_in_the_episode() -> None:
    clipped, raw = (
        make_vec_env("SpaceInvadersNoFrameskip-v4", 1, 0, env_kwargs={"clip_rewards": clip})
        for clip in (True, False)
    )
    clipped.reset()
    raw.reset()
    _, signs, dones, infos = random_play(clipped, 700)
    _, rewards, _, raw_infos = random_play(raw, 700)
    assert rewards.max() > 1
    np.testing.assert_array_equal(signs, np.sign(rewards))
    assert signs.dtype == rewards.dtype == np.float32
    game_end = next(t for t in np.flatnonzero(dones) if "episode" in infos[t, 0])
    total = rewards[: game_end + 1].sum()
    assert infos[game_end, 0]["episode"]["r"] == raw_infos[game_end, 0]["episode"]["r"] == total


@pytest.mark.parametrize("render_mode", [None, "rgb_array"])
def test_a_cut_off_game_is_truncated(render_mode: str | None) -> None:
    kwargs = {**BARE, "max_num_frames_per_episode": 40}
    env = make_vec_env(PONG, 2, 0, env_kwargs=kwargs, render_mode=render_mode)
    env.reset()
    before, _, _, _ = play(env, [NOOP] * 9)
    observation, _, dones, infos = play(env, [NOOP])
    assert dones.all()
    for index, info in enumerate(infos):
        assert info["TimeLimit.truncated"] is True
        assert info["episode"]["l"] == 10
        last = info["terminal_observation"]
        np.testing.assert_array_equal(last[:-1], before[index, 1:])
        assert last[-1].any()
        assert list(observation[index].any(axis=(1, 2))) == [False, False, False, True]
    assert not play(env, [NOOP] * 9)[2].any()
    assert play(env, [NOOP])[2].all()


@pytest.mark.parametrize("render_mode", [None, "rgb_array"])
def test_seeds_repeat_and_differ(render_mode: str | None) -> None:
    def history(seed: int, n_envs: int = 2) -> np.ndarray:
        env = make_vec_env("ALE/Breakout-v5", n_envs, seed, render_mode=render_mode)
        first = reset(env)
        return np.concatenate([first[None], random_play(env, 150)[0]])

    one = history(7)
    np.testing.assert_array_equal(one, history(7))
    assert (one != history(8)).any()
    # Environment i of seed s is environment i - 1 of seed s + 1.
    assert (one[:, 0] != one[:, 1]).any()
    np.testing.assert_array_equal(one[0, 1], history(8, n_envs=1)[0, 0])


def test_seed_method_takes_any_seed_and_is_used_once() -> None:
    env = make_vec_env("ALE/Pong-v5", 2)
    for seed in (0, 2**32 - 1, None):
        assert len(env.seed(seed)) == 2
        env.reset()
    env.seed(5)
    first, second = env.reset(), random_play(env, 30)[0]
    env.reset()
    env.seed(5)
    np.testing.assert_array_equal(first, env.reset())
    np.testing.assert_array_equal(second, random_play(env, 30)[0])


def test_sticky_actions_are_as_the_id_says() -> None:
    def history(env_id: str, seed: int, **kwargs: Any) -> np.ndarray:
        env = make_vec_env(env_id, 1, seed, env_kwargs={**BARE, **kwargs})
        env.reset()
        return random_play(env, 60)[0]

    plain = history(PONG, 1)
    np.testing.assert_array_equal(plain, history(PONG, 2))
    sticky = history("ALE/Pong-v5", 1)
    np.testing.assert_array_equal(sticky, history("ALE/Pong-v5", 1))
    assert (sticky != plain).any()
    assert (sticky != history("ALE/Pong-v5", 2)).any()
    np.testing.assert_array_equal(plain, history("ALE/Pong-v5", 1, repeat_action_probability=0.0))


@pytest.mark.parametrize(
    "kwargs", [{"mode": 1}, {"repeat_action_probability": 0.0, "full_action_space": False,
                             "max_num_frames_per_episode": 1000, "difficulty": 1}]
)  # fmt: skip
def test_an_id_with_settings_that_games_in_cpp_have_not_is_refused(kwargs: dict[str, Any]) -> None:
    game = {"game": "pong", "frameskip": 4}
    gym.register("MyPong-v0", entry_point="ale_py.env:AtariEnv", kwargs={**game, **kwargs})
    try:
        with pytest.raises(ValueError, match="MyPong-v0 must be registered as ALE registers its"):
            make_vec_env("MyPong-v0", 1, seed=0)
    finally:
        del gym.registry["MyPong-v0"]


def test_the_visible_game_is_the_fast_one() -> None:
    fast, visible = (
        make_vec_env(BREAKOUT, 1, 0, env_kwargs={"noop_max": 0}, render_mode=mode)
        for mode in (None, "rgb_array")
    )
    np.testing.assert_array_equal(fast.reset(), visible.reset())
    for one, other in zip(random_play(fast, 300)[:3], random_play(visible, 300)[:3], strict=True):
        np.testing.assert_array_equal(one, other)
    image = visible.render()
    assert image is not None
    assert image.shape == (210, 160, 3)
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 5
    assert list(fast.get_images()) == [None]


def test_observations_stay_as_they_were() -> None:
    env = make_vec_env(BREAKOUT, 1, 0)
    kept = [reset(env)]
    copies = [kept[0].copy()]
    for _ in range(20):
        kept.append(play(env, [FIRE])[0])
        copies.append(kept[-1].copy())
    np.testing.assert_array_equal(kept, copies)


def test_sb3_takes_the_observations_as_they_are() -> None:
    env = make_vec_env(PONG, 2, seed=0)
    assert isinstance(env.observation_space, gym.spaces.Box)
    assert is_image_space(env.observation_space)
    assert is_image_space_channels_first(env.observation_space)
    model = RecurrentPPO("CnnLstmPolicy", env, n_steps=8, batch_size=16, n_epochs=1)
    assert not isinstance(model.get_env(), VecTransposeImage)
    model.learn(32)
    assert model.num_timesteps == 32
    returns, lengths = evaluate_policy(
        model,
        make_vec_env(PONG, 1, 0, env_kwargs={"max_num_frames_per_episode": 400}),
        n_eval_episodes=2,
        return_episode_rewards=True,
    )
    assert isinstance(lengths, list)
    assert isinstance(returns, list)
    assert all(90 < length <= 100 for length in lengths)
    assert all(-21 <= value <= 0 for value in returns)


def test_a_vec_env_answers_for_its_games() -> None:
    env = make_vec_env(BREAKOUT, 3, seed=0)
    assert isinstance(env, AtariVecEnv)
    assert env.env_is_wrapped(Monitor) == [True] * 3
    assert env.env_is_wrapped(gym.wrappers.TimeLimit, indices=[0, 2]) == [False] * 2
    assert env.get_attr("render_mode", indices=1) == [None]
    assert env.get_attr("spec")[0].id == BREAKOUT
    assert not env.has_attr("action_masks")
    assert env.env_method("get_action_meanings", indices=0) == [["NOOP", "FIRE", "RIGHT", "LEFT"]]
    with pytest.raises(AttributeError, match="when they are made"):
        env.set_attr("lives", 3)
    with pytest.raises(AttributeError, match="answer only"):
        env.env_method("step", 0)
    env.close()


def test_settings_shape_the_game() -> None:
    kwargs = {"frame_stack": 2, "screen_size": 42, "full_action_space": True}
    env = make_vec_env(PONG, 1, env_kwargs=kwargs)
    assert env.observation_space.shape == (2, 42, 42)
    assert env.action_space == gym.spaces.Discrete(18)
    assert reset(env).shape == (1, 2, 42, 42)


@pytest.mark.parametrize(
    ("kwargs", "line"),
    [
        ({"episodic_lives": True}, "unknown Atari setting 'episodic_lives': did you mean epis"),
        ({"xyz": 1}, "unknown Atari setting 'xyz': there are episodic_life, clip_rewards"),
        ({"frame_skip": 0}, "frame_skip must be a whole number of at least 1, not 0"),
        ({"noop_max": "30"}, "noop_max must be a whole number of at least 0, not '30'"),
        ({"clip_rewards": 1}, "clip_rewards must be true or false, not 1"),
        ({"clip_rewards": None}, "clip_rewards must be true or false, not None"),
        ({"repeat_action_probability": 2}, "must be a number from 0 to 1, not 2"),
    ],
)
def test_settings_that_do_not_work_are_refused(kwargs: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line) as error:
        AtariSettings.of(kwargs)
    assert "\n" not in str(error.value)


def test_games_do_not_render_otherwise() -> None:
    with pytest.raises(ValueError, match="'rgb_array' or None, not 'human'"):
        make_vec_env(PONG, 1, render_mode="human")


@pytest.mark.parametrize(
    "game",
    [pytest.param(game, marks=() if game in SAMPLE else pytest.mark.slow) for game in ATARI_57],
)
def test_every_game_plays(game: str) -> None:
    ids = [f"ALE/{game}-v5"] + ([] if game == "Surround" else [f"{game}NoFrameskip-v4"])
    for env_id in ids:
        env = make_vec_env(env_id, 1, seed=0, env_kwargs={"threads": 1})
        assert reset(env).any()
        observation, reward, _, _ = play(env, [NOOP])
        assert observation.shape == (1, 4, 84, 84)
        assert reward.shape == (1,)
        env.close()


def test_there_are_57_games() -> None:
    assert len(set(ATARI_57)) == 57

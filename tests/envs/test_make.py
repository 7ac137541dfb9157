"""Every family of environments from its id, and one clear line for an id or argument that fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from rims_rl.envs import AtariVecEnv, UnknownEnvError, family_of, make_vec_env


@pytest.mark.parametrize(
    ("env_id", "family"),
    [
        ("PongNoFrameskip-v4", "atari"),
        ("PongNoFrameskip-v0", "atari"),
        ("ALE/Pong-v5", "atari"),
        ("MiniGrid-Empty-5x5-v0", "minigrid"),
        ("BabyAI-GoToRedBallGrey-v0", "minigrid"),
        ("rims_rl/PickupDistractors-v0", "minigrid"),
        ("MinAtar/Breakout-v1", "minatar"),
        ("popgym-RepeatPreviousEasy-v0", "popgym"),
        ("popgym:popgym-RepeatPreviousEasy-v0", "popgym"),
        ("CartPole-v1", "gymnasium"),
        ("gymnasium.envs.classic_control:CartPole-v1", "gymnasium"),
    ],
)
def test_family_of(env_id: str, family: str) -> None:
    assert family_of(env_id) == family


def test_62_games_have_a_no_frameskip_id() -> None:
    ids = [name for name in gym.registry if name.endswith("NoFrameskip-v4")]
    assert len(ids) == 62
    assert all(family_of(name) == "atari" for name in ids)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("pongnoframeskip-v4", "PongNoFrameskip-v4"),
        ("PongNoFramskip-v4", "PongNoFrameskip-v4"),
        ("ALE/PongNoFrameskip-v4", "PongNoFrameskip-v4"),
        ("BreakoutNoFrameskip", "BreakoutNoFrameskip-v4"),
        ("Pong-v5", "ALE/Pong-v5"),
        ("pong", "ALE/Pong-v5"),
        ("pong", "PongNoFrameskip-v4"),
        ("Pong-v4", "PongNoFrameskip-v4"),
        ("ale/pong-v5", "ALE/Pong-v5"),
        ("cartpole", "CartPole-v1"),
        ("minigrid-doorkey-8x8", "MiniGrid-DoorKey-8x8-v0"),
        ("PickupDistractors-v0", "rims_rl/PickupDistractors-v0"),
        ("minatar/breakout", "MinAtar/Breakout-v1"),
        ("popgym-RepeatPrevious-v0", "popgym-RepeatPreviousEasy-v0"),
    ],
)
def test_an_unknown_id_is_told_the_nearest(written: str, meant: str) -> None:
    with pytest.raises(UnknownEnvError) as error:
        make_vec_env(written)
    assert meant in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("written", ["", "xyzzyq", "no_such_module:CartPole-v1", "..:b"])
def test_an_id_like_no_other_is_refused_plainly(written: str) -> None:
    with pytest.raises(UnknownEnvError, match=r"no registered id is like it|cannot import"):
        family_of(written)


def test_a_module_that_cannot_be_imported_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_game.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UnknownEnvError, match=r"cannot import 'broken_game' of .*: division by"):
        family_of("broken_game:Mine-v0")


WITHOUT_PACKAGES = """
import importlib.abc, sys

class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in ("minatar", "popgym"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
from rims_rl import make_vec_env
from rims_rl.train import main

for env_id in sys.argv[1:]:
    try:
        make_vec_env(env_id)
    except ValueError as error:
        print(f"{type(error).__name__}: {error}")
print(make_vec_env("CartPole-v1").num_envs)
print(main(["--env", "MinAtar/Breakout-v1"]))
"""


def test_without_its_package_a_family_says_how_to_install_it() -> None:
    ids = ["MinAtar/Breakout-v1", "popgym-RepeatPreviousEasy-v0"]
    command = [sys.executable, "-c", WITHOUT_PACKAGES, *ids]
    done = subprocess.run(command, capture_output=True, text=True)
    benchmarks = 'pip install -c constraints.txt -e ".[benchmarks]"'
    assert done.stdout.splitlines() == [
        f"UnknownEnvError: {ids[0]} needs minatar: {benchmarks}",
        f"UnknownEnvError: {ids[1]} needs popgym: {benchmarks}",
        "1",
        "2",
    ]
    assert f"{ids[0]} needs minatar: {benchmarks}" in done.stderr
    assert "Traceback" not in done.stderr


def test_mazes_need_one_package_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mazelib", None)  # what import then does not find
    with pytest.raises(UnknownEnvError, match=r'needs mazelib: pip install "popgym\[navigation\]"'):
        family_of("popgym-LabyrinthEscapeEasy-v0")


def test_a_plain_environment_is_monitored() -> None:
    env = make_vec_env("CartPole-v1", 3, seed=0)
    assert isinstance(env, DummyVecEnv)
    assert env.env_is_wrapped(Monitor) == [True] * 3
    env.reset()
    infos: list[dict[str, Any]] = [{}]
    while not any("episode" in info for info in infos):
        _, _, _, infos = env.step(np.zeros(3, dtype=np.int64))
    episode = next(info["episode"] for info in infos if "episode" in info)
    assert episode["r"] == episode["l"] > 5


@pytest.mark.parametrize("env_id", ["CartPole-v1", "MiniGrid-Empty-Random-6x6-v0"])
def test_seeds_repeat_and_differ_between_environments(env_id: str) -> None:
    def first(seed: int) -> Any:
        observation = make_vec_env(env_id, 8, seed).reset()
        return observation["grid"] if isinstance(observation, dict) else observation

    np.testing.assert_array_equal(first(3), first(3))
    assert (first(3) != first(100)).any()
    assert (first(3)[1:] != first(3)[:-1]).any()


def test_dict_observations_of_grids() -> None:
    env = make_vec_env("rims_rl/PickupDistractorsSmall-v0", 2, seed=0)
    assert isinstance(env.observation_space, spaces.Dict)
    observation = env.reset()
    assert isinstance(observation, dict)
    assert observation["grid"].shape == (2, 7, 7, 3)


@pytest.mark.parametrize(
    "env_id",
    [
        *("CartPole-v1", "MiniGrid-Empty-5x5-v0", "PongNoFrameskip-v4", "ALE/Breakout-v5"),
        *("MinAtar/Breakout-v1", "popgym-PositionOnlyPendulumEasy-v0"),
    ],
)
def test_every_family_renders(env_id: str) -> None:
    env = make_vec_env(env_id, 1, seed=0, render_mode="rgb_array")
    env.reset()
    image = env.render()
    assert image is not None
    assert image.ndim == 3
    assert image.any()
    env.close()


def test_env_kwargs_reach_the_environment() -> None:
    env = make_vec_env("FrozenLake-v1", 1, env_kwargs={"map_name": "8x8"})
    assert env.observation_space == spaces.Discrete(64)
    atari = make_vec_env("PongNoFrameskip-v4", 1, env_kwargs={"frame_stack": 1})
    assert isinstance(atari, AtariVecEnv)
    assert atari.observation_space.shape == (1, 84, 84)


@pytest.mark.parametrize(
    "env_id",
    [
        *("CartPole-v1", "PongNoFrameskip-v4", "MiniGrid-Empty-5x5-v0"),
        *("MinAtar/Breakout-v1", "popgym-RepeatPreviousEasy-v0"),
    ],
)
def test_an_unknown_keyword_is_one_clear_line(env_id: str) -> None:
    with pytest.raises(ValueError, match="gravitas") as error:
        make_vec_env(env_id, env_kwargs={"gravitas": 1})
    assert "\n" not in str(error.value)


def test_actions_that_do_not_begin_at_0_are_refused() -> None:
    def shifted(**_: Any) -> Any:
        env = gym.make("CartPole-v1")
        return gym.wrappers.TransformAction(env, lambda a: a - 1, gym.spaces.Discrete(2, start=1))

    gym.register("Shifted-v0", shifted)
    with pytest.raises(ValueError, match="numbers its actions from 1, and Stable-Baselines3 from"):
        make_vec_env("Shifted-v0")


def test_observations_that_do_not_begin_at_0_are_refused() -> None:
    def shifted(**_: Any) -> Any:
        env = gym.make("FrozenLake-v1")
        return gym.wrappers.TransformObservation(
            env, lambda seen: seen + 1, gym.spaces.Discrete(16, start=1)
        )

    gym.register("ShiftedLake-v0", shifted)
    with pytest.raises(ValueError, match=r"its observations from 1.*TransformObs"):
        make_vec_env("ShiftedLake-v0")


def test_some_environments_are_needed() -> None:
    with pytest.raises(ValueError, match="n_envs must be at least 1, not 0"):
        make_vec_env("CartPole-v1", 0)


def test_a_function_that_makes_an_environment_is_for_sb3() -> None:
    with pytest.raises(ValueError, match=r"must be a registered id.*stable_baselines3's make_vec"):
        make_vec_env(lambda: gym.make("CartPole-v1"))  # type: ignore[arg-type]  # to be refused

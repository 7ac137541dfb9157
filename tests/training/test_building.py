"""The things that a plan builds."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, FlattenExtractor
from stable_baselines3.common.vec_env import DummyVecEnv

from rims_rl import RIMConfig
from rims_rl.agents import (
    AppendingExtractor,
    AtariCnn,
    GridExtractor,
    LinearFeatures,
    SmallGridCnn,
)
from rims_rl.core.config import VARIANTS
from rims_rl.envs.last_action import LAST_ACTION, LAST_REWARD
from rims_rl.runs.errors import UsageError
from rims_rl.training.building import (
    EVALUATING,
    PLAYING,
    RESUMING,
    _features,
    derived_seed,
    make_model,
    make_training_env,
)
from rims_rl.training.parser import plan


def built(**options: Any) -> Any:
    """The model of `train` with these options."""
    planned = plan({"n_envs": 2, "n_minibatches": 1, "n_steps": 2, **options})
    env = make_training_env(planned, 0)
    try:
        return make_model(planned, env)
    finally:
        env.close()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_precision_reaches_the_cnn(precision: str) -> None:
    model = built(env="PongNoFrameskip-v4", precision=precision)
    assert isinstance(model.policy.features_extractor, AtariCnn)
    assert model.policy.features_extractor.precision == precision


@pytest.mark.parametrize(
    ("env", "extractor"),
    [
        ("PongNoFrameskip-v4", AtariCnn),
        ("BabyAI-GoToLocal-v0", GridExtractor),
        ("MinAtar/Breakout-v1", SmallGridCnn),
        ("popgym-MineSweeperEasy-v0", LinearFeatures),
        ("popgym-CountRecallEasy-v0", LinearFeatures),
        ("CartPole-v1", LinearFeatures),
    ],
)
def test_features_of_a_size_that_is_asked_for(
    env: str, extractor: type[BaseFeaturesExtractor]
) -> None:
    features = built(env=env, features_dim=48).policy.features_extractor
    assert isinstance(features, extractor)
    assert features.features_dim == 48


def test_vectors_are_left_as_they_are_unless_asked() -> None:
    features = built(env="CartPole-v1").policy.features_extractor
    assert isinstance(features, FlattenExtractor)


@pytest.mark.parametrize(
    ("env", "extractor"),
    [("MinAtar/Freeway-v1", SmallGridCnn), ("popgym-RepeatFirstEasy-v0", LinearFeatures)],
)
def test_presets_of_benchmarks(env: str, extractor: type) -> None:
    model = built(env=env)
    assert isinstance(model.policy.features_extractor, extractor)
    assert model.policy.lstm_actor.hidden_size == 120


def test_features_of_a_size_for_other_dictionaries_are_refused() -> None:
    options = {"env": "popgym-RepeatFirstEasy-v0", "n_envs": 2, "n_minibatches": 1}
    env = DummyVecEnv([lambda: gym.make("CartPole-v1")])
    env.observation_space = spaces.Dict(a=env.observation_space)
    with pytest.raises(UsageError, match="--features-dim 128 is not for dictionaries"):
        make_model(plan(options), env)


def test_what_else_a_grid_comes_with_is_appended_beside_the_last_action() -> None:
    env = make_training_env(plan({"env": "rims_rl/PickupDistractorsSmall-v0"}), 0)
    env.close()
    assert isinstance(env.observation_space, spaces.Dict)
    battery = spaces.Box(0, 1, (1,))
    shown = spaces.Dict({
        **env.observation_space.spaces, "battery": battery,
        LAST_ACTION: spaces.Box(0, 1, (7,)), LAST_REWARD: battery,
    })  # fmt: skip
    features = _features(plan({"env": "CartPole-v1"}), shown)
    assert features["features_extractor_kwargs"] == {
        "extractor": GridExtractor, "appended": (LAST_ACTION, LAST_REWARD, "battery"),
    }  # fmt: skip


def test_arguments_of_the_extractor_do_not_push_out_ours() -> None:
    given = {"features_extractor_kwargs": {"features_dim": 64}}
    extractor = built(
        env="PongNoFrameskip-v4", precision="bfloat16", policy_kwargs=given
    ).policy.features_extractor
    assert (extractor.precision, extractor.features_dim) == ("bfloat16", 64)


@pytest.mark.parametrize("name", ["use_sde", "squash_output", "full_std", "use_expln"])
def test_arguments_that_the_command_cannot_switch_on_are_not_offered(name: str) -> None:
    with pytest.raises(UsageError, match=f"--policy-kwargs: unknown key '{name}'"):
        built(env="CartPole-v1", policy_kwargs={name: True})


def test_precision_without_images_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--precision bfloat16 is for image observations"):
        built(env="CartPole-v1", precision="bfloat16")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_active": 6},
        *({"variant": name} for name in VARIANTS),
        {"core_kwargs": {"input_attention": None}},
        {"core_kwargs": {"communication": "residual", "dynamics": "lstm", "comm_top_k": 2}},
        {"core_kwargs": {"backend": "reference", "input_value_size": 7}},
    ],
    ids=str,
)
def test_a_saved_model_spells_its_cell_out(options: dict[str, Any]) -> None:
    """So that it computes the same when defaults have changed."""
    options = {"env": "CartPole-v1", "hidden_size": 24, **options}
    policy = built(**options).policy_kwargs["core_kwargs"]
    assert set(policy) >= {f.name for f in fields(RIMConfig) if f.init} - {"input_size", "backend"}
    assert RIMConfig(5, **policy) == RIMConfig(5, **plan(options).model.options())


@pytest.mark.parametrize(
    ("env", "inner"),
    [
        ("PongNoFrameskip-v4", AtariCnn),
        ("rims_rl/PickupDistractorsSmall-v0", GridExtractor),
        ("MinAtar/Breakout-v1", SmallGridCnn),
        ("CartPole-v1", FlattenExtractor),
    ],
)
def test_the_last_action_and_reward_reach_the_core(
    env: str, inner: type[BaseFeaturesExtractor]
) -> None:
    without, policy = built(env=env).policy, built(env=env, observe_last_action=True).policy
    features = policy.features_extractor
    assert isinstance(features, AppendingExtractor)
    assert isinstance(features.extractor, inner)
    assert type(without.features_extractor) is inner
    assert policy.features_dim == without.features_dim + policy.action_space.n + 1
    # All else is the same: the heads, and what an optimiser is given beside the wider input.
    assert str(policy.mlp_extractor) == str(without.mlp_extractor)
    assert str(features.extractor) == str(without.features_extractor)


@pytest.mark.parametrize("last_action", [False, True])
@pytest.mark.parametrize(
    ("env", "positions", "size"),
    [
        ("PongNoFrameskip-v4", 49, 64),
        ("rims_rl/PickupDistractorsSmall-v0", 25, 64),
        ("MinAtar/Breakout-v1", 64, 128),
    ],
)
def test_spatial_input_is_a_row_for_each_place(
    env: str, positions: int, size: int, last_action: bool
) -> None:
    policy = built(env=env, spatial_input=True, observe_last_action=last_action).policy
    seen, _ = policy.obs_to_tensor(policy.observation_space.sample())
    features = policy.extract_features(seen)
    extra = policy.action_space.n + 1 if last_action else 0
    assert features.shape == (1, positions, size + extra)


def test_spatial_input_is_refused_where_there_are_no_places_or_no_attention() -> None:
    with pytest.raises(UsageError, match="--spatial-input is for images and grids"):
        built(env="CartPole-v1", spatial_input=True)
    with pytest.raises(UsageError, match=r"core 'lstm' .* reads one row of features a step"):
        built(env="MinAtar/Breakout-v1", spatial_input=True, core="lstm")


def test_every_setting_reaches_ppo() -> None:
    settings = {
        "n_epochs": 3, "gamma": 0.9, "gae_lambda": 0.8, "ent_coef": 0.03, "vf_coef": 0.7,
        "max_grad_norm": 0.3, "target_kl": 0.05,
    }  # fmt: skip
    of_progress = {"learning_rate": 1e-3, "clip_range": 0.4, "clip_range_vf": 0.1}
    model = built(env="CartPole-v1", **settings, **of_progress, learning_rate_schedule="constant")
    assert {name: getattr(model, name) for name in settings} == settings
    for remaining in (1.0, 0.5):
        assert model.lr_schedule(remaining) == 1e-3
        assert model.clip_range(remaining) == 0.4
        assert model.clip_range_vf(remaining) == 0.1
    falling = built(env="CartPole-v1", learning_rate=1e-3, learning_rate_schedule="linear")
    assert [falling.lr_schedule(left) for left in (1.0, 0.5, 0.0)] == [1e-3, 5e-4, 0.0]
    assert falling.clip_range_vf is None


def test_seeds_for_other_purposes_are_others() -> None:
    """Training environment i of seed s has seed s + i: none of these may be near."""
    purposes = (EVALUATING, RESUMING, PLAYING)
    derived = [
        derived_seed(seed, *key) for seed in (0, 1)
        for key in ((), *((purpose, step) for purpose in purposes for step in (0, 64)))
    ]  # fmt: skip
    assert len(set(derived)) == len(derived)
    assert min(derived) > 10_000
    assert derived_seed(1, EVALUATING, 64) == derived_seed(1, EVALUATING, 64)


def test_a_value_that_does_not_work_is_named() -> None:
    with pytest.raises(UsageError, match=r"of a type that does not work: .*\(net_arch 64"):
        built(env="CartPole-v1", policy_kwargs={"net_arch": 64})


class Odd(gym.Env[Any, Any]):
    """Shows nothing but an observation of a space that SB3 does not take."""

    action_space = spaces.Discrete(2)

    def __init__(self, space: spaces.Space[Any]) -> None:
        self.observation_space = space


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (spaces.Dict({"a.b": spaces.Box(0, 1, (2,))}), "--env Odd-v0: .*module name"),
        (spaces.Dict({"a": spaces.Dict({"b": spaces.Box(0, 1, (2,))})}), "--env Odd-v0: Nested"),
    ],
)
def test_a_space_that_sb3_does_not_take_is_named_in_a_line(
    space: spaces.Space[Any], words: str
) -> None:
    gym.register("Odd-v0", lambda **_: Odd(space))
    try:
        with pytest.raises(UsageError, match=words):
            built(env="Odd-v0")
    finally:
        gym.registry.pop("Odd-v0")


def test_a_box_as_wide_as_floats_are_is_no_reason_to_refuse() -> None:
    """Whatever a sample of such a space gives: environments show other numbers."""
    widest = float(np.finfo(np.float32).max)
    wide = spaces.Box(-widest, widest, (4,), np.float32)

    def show(**_: Any) -> Any:
        return gym.wrappers.TransformObservation(gym.make("CartPole-v1"), lambda x: x, wide)

    gym.register("Wide-v0", show)
    for _ in range(8):  # a sample, which is another each time, was refused in two of five
        built(env="Wide-v0")

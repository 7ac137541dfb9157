"""The policies in stock RecurrentPPO: spaces, states, gradients, saving."""

import inspect
import subprocess
import sys
from dataclasses import fields
from typing import Any, cast

import gymnasium as gym
import numpy as np
import pytest
import sb3_contrib
import stable_baselines3
import torch
from gymnasium import spaces
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.env_util import make_atari_env, make_vec_env
from stable_baselines3.common.policies import BaseModel
from stable_baselines3.common.save_util import load_from_zip_file
from stable_baselines3.common.torch_layers import CombinedExtractor, MlpExtractor
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecNormalize

import rims_rl
from rims_rl.agents import CnnRimPolicy, MlpRimPolicy, MultiInputRimPolicy
from rims_rl.core import RIMConfig, core_options

CORES = ["rim", "lstm", "gru", "none"]
#: With scores close to one another: where all winners are far ahead, no gradient moves them.
SMALL: dict[str, Any] = {"hidden_size": 12, "num_rims": 3, "num_active": 2, "score_bias_std": 1.0}


def small(core):
    """As many units for every core, and what else a RIM needs."""
    return {name: SMALL[name] for name in SMALL if name in core_options(core)}


def learns(model, steps=32):
    """Every weight moves."""
    before = {name: weight.detach().clone() for name, weight in model.policy.named_parameters()}
    model.learn(steps)
    still = [n for n, weight in model.policy.named_parameters() if torch.equal(weight, before[n])]
    assert still == []


class RandomSpaces(gym.Env):
    """Random observations of any space, episodes of 5 steps, reward for the first action."""

    def __init__(self, observation_space, action_space):
        self.observation_space, self.action_space = observation_space, action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        self.steps += 1
        assert self.action_space.contains(action), action
        return self.observation_space.sample(), 1.0, False, self.steps == 5, {}


def vec_env(observation_space, action_space, n_envs=2):
    return DummyVecEnv([lambda: RandomSpaces(observation_space, action_space)] * n_envs)


def make_model(
    policy, env, algorithm=sb3_contrib.RecurrentPPO, core="rim", policy_kwargs=None, **kw
):
    options = {"n_steps": 16, "batch_size": 16, "n_epochs": 2, "seed": 0, "device": "cpu", **kw}
    policy_kwargs = {"core": core, "core_kwargs": small(core), **(policy_kwargs or {})}
    return algorithm(policy, env, policy_kwargs=policy_kwargs, **options)


def reset(env) -> np.ndarray:
    observation = env.reset()
    assert isinstance(observation, np.ndarray)
    return observation


VECTOR = spaces.Box(-1, 1, (3,))
IMAGE = spaces.Box(0, 255, (2, 36, 36), np.uint8)
OBSERVATIONS = {
    "vector": VECTOR,
    "image": IMAGE,
    "discrete": spaces.Discrete(5),
    "multi-discrete": spaces.MultiDiscrete([3, 4]),
    "multi-binary": spaces.MultiBinary(4),
    "dict": spaces.Dict(
        {"image": IMAGE, "vector": VECTOR, "word": spaces.Discrete(4),
         "words": spaces.MultiDiscrete([3, 2])}
    ),
}  # fmt: skip
ACTIONS = {
    "box": spaces.Box(-1, 1, (2,)),
    "discrete": spaces.Discrete(3),
    "multi-discrete": spaces.MultiDiscrete([2, 3]),
    "multi-binary": spaces.MultiBinary(3),
}
POLICIES = {"image": "CnnRimPolicy", "dict": "MultiInputRimPolicy"}
ALGORITHMS = [sb3_contrib.RecurrentPPO, rims_rl.RecurrentPPO]


@pytest.mark.parametrize("observation", OBSERVATIONS)
@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=["stock", "ours"])
def test_every_observation_and_action_space_trains(observation, action, algorithm):
    env = vec_env(OBSERVATIONS[observation], ACTIONS[action])
    model = make_model(POLICIES.get(observation, "MlpRimPolicy"), env, algorithm)
    learns(model)
    actions, state = model.predict(env.reset(), episode_start=np.ones(2, dtype=bool))
    assert len(actions) == 2
    assert state[0].shape == (1, 2, 12)


@pytest.mark.parametrize("shared_core", [True, False])
def test_values_are_those_of_the_step_and_are_no_step(shared_core):
    env = make_vec_env("CartPole-v1", 2, seed=0)
    policy = make_model("MlpRimPolicy", env, policy_kwargs={"shared_core": shared_core}).policy
    obs, states = torch.randn(2, 4), (torch.randn(1, 2, 12).tanh(), torch.zeros(1, 2, 12))
    starts = torch.zeros(2)
    with torch.no_grad():
        _, values, _, _ = policy(obs, RNNStates(states, states), starts)
        info = policy.latest_info
        torch.testing.assert_close(policy.predict_values(obs, states, starts), values)
    assert policy.latest_info is info


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=["stock", "ours"])
def test_one_word_changes_the_core(core, algorithm):
    model = make_model("MlpRimPolicy", make_vec_env("CartPole-v1", 2), algorithm, core=core)
    before = {n: p.clone() for n, p in model.policy.named_parameters()}
    model.learn(64)
    assert (model.policy.active_mask is not None) == (core == "rim")
    for name, parameter in model.policy.named_parameters():
        assert not torch.equal(parameter, before[name]), f"{name} was not trained"


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("shared_core", [True, False])
def test_without_shared_features_or_core(core, shared_core):
    env = make_vec_env("CartPole-v1", 2)
    options = {"shared_core": shared_core, "share_features_extractor": shared_core}
    model = make_model("MlpRimPolicy", env, core=core, policy_kwargs=options)
    learns(model)
    assert (model.policy.lstm_critic is None) == shared_core


@pytest.mark.parametrize("shared_core", [True, False])
def test_the_value_loss_reaches_the_core(shared_core):
    env = make_vec_env("CartPole-v1", 2)
    policy = make_model("MlpRimPolicy", env, policy_kwargs={"shared_core": shared_core}).policy
    obs = torch.randn(8, 4)
    zeros = (torch.zeros(1, 2, 12), torch.zeros(1, 2, 12))
    values, log_prob, _ = policy.evaluate_actions(
        obs, torch.zeros(8), RNNStates(zeros, zeros), torch.zeros(8)
    )
    critic = policy.lstm_actor if shared_core else policy.lstm_critic
    values.sum().backward(retain_graph=True)
    assert all(p.grad is not None for p in critic.parameters())
    policy.zero_grad()
    log_prob.sum().backward()
    assert all(p.grad is not None for p in policy.lstm_actor.parameters())


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=["stock", "ours"])
@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("shared_core", [True, False])
def test_the_ratio_is_one_before_the_first_update(algorithm, core, shared_core):
    """With episode starts inside the sequences: episodes last 5 of the rollout's 32 steps."""
    env = vec_env(VECTOR, spaces.Discrete(3), n_envs=4)
    model = make_model(
        "MlpRimPolicy", env, algorithm, core=core, n_steps=32, batch_size=64,
        policy_kwargs={"shared_core": shared_core},
    )  # fmt: skip
    model.learn(128)  # states and weights are no longer those of the start
    _, callback = model._setup_learn(128, None)
    model.collect_rollouts(model.env, callback, model.rollout_buffer, 32)
    starts = model.rollout_buffer.episode_starts
    assert starts[1:].sum() > 10
    model.policy.set_training_mode(True)
    compared = 0
    for batch in model.rollout_buffer.get(64):
        values, log_prob, _ = model.policy.evaluate_actions(
            batch.observations, batch.actions.long().flatten(), batch.lstm_states,
            batch.episode_starts,
        )  # fmt: skip
        mask = batch.mask > 0
        ratio = (log_prob - batch.old_log_prob).exp()[mask]
        assert (ratio - 1).abs().max() < 1e-4
        assert (values.flatten() - batch.old_values)[mask].abs().max() < 1e-4
        compared += int(mask.sum())
    assert compared == 128


def test_gsde_target_kl_value_clipping_and_normalisation():
    env = VecNormalize(make_vec_env("Pendulum-v1", 3, seed=0))
    model = make_model(
        "MlpRimPolicy", env, use_sde=True, sde_sample_freq=4, target_kl=0.01, clip_range_vf=0.2,
        batch_size=13, learning_rate=0.1, n_epochs=10,
    )  # fmt: skip
    before = {name: p.detach().clone() for name, p in model.policy.named_parameters()}
    model.learn(96)
    after = dict(model.policy.named_parameters())
    assert all(torch.isfinite(p).all() for p in after.values())
    changed = {name for name, p in after.items() if not torch.equal(p, before[name])}
    assert {"log_std", "value_net.weight", "action_net.weight"} <= changed
    assert model._n_updates < 10 * (96 // (3 * model.n_steps))  # the divergence ended it early
    assert cast(Any, env.obs_rms).count > 96


def test_predict_carries_the_state_and_forgets_it_at_episode_starts():
    env = make_vec_env("CartPole-v1", 2, seed=0)
    policy = make_model("MlpRimPolicy", env).policy
    obs = reset(env)
    _, first = policy.predict(obs, episode_start=np.ones(2, bool), deterministic=True)
    _, second = policy.predict(obs, first, np.zeros(2, bool), deterministic=True)
    assert first is not None
    assert second is not None
    assert not np.allclose(first[0], second[0])
    _, again = policy.predict(obs, second, np.array([True, False]), deterministic=True)
    np.testing.assert_allclose(again[0][:, 0], first[0][:, 0], atol=1e-6)
    assert not np.allclose(again[0][:, 1], first[0][:, 1])
    assert policy.active_mask.shape == (2, 3)
    assert (policy.active_mask.sum(1) == 2).all()


@pytest.mark.parametrize("core", CORES)
def test_the_policy_alone_is_saved_and_loaded(core, tmp_path):
    env = make_vec_env("CartPole-v1", 2, seed=0)
    options = {"shared_core": False, "share_features_extractor": False, "net_arch": [8]}
    policy = make_model("MlpRimPolicy", env, core=core, policy_kwargs=options).policy
    policy.save(tmp_path / "policy.pth")
    loaded = MlpRimPolicy.load(tmp_path / "policy.pth")
    obs = reset(env)
    expected_action, expected_state = policy.predict(obs, deterministic=True)
    action, state = loaded.predict(obs, deterministic=True)
    assert expected_state is not None
    assert state is not None
    np.testing.assert_array_equal(expected_action, action)
    np.testing.assert_array_equal(expected_state[0], state[0])
    assert loaded.core_kwargs == policy.core_kwargs
    assert loaded.core_kwargs.items() >= small(core).items()


def test_a_saved_model_says_every_option_of_its_cell(tmp_path):
    """So that it computes the same when defaults have changed."""
    model = rims_rl.RecurrentPPO(
        "MlpRimPolicy", make_vec_env("CartPole-v1", 2, seed=0),
        policy_kwargs={"core_kwargs": small("rim")}, n_steps=8, batch_size=8, device="cpu",
    )  # fmt: skip
    model.save(tmp_path / "m.zip")
    data, _, _ = load_from_zip_file(tmp_path / "m.zip")
    assert data is not None
    saved = data["policy_kwargs"]["core_kwargs"]
    assert set(saved) == {f.name for f in fields(RIMConfig) if f.init} - {"input_size"}
    core = model.policy.lstm_actor
    assert isinstance(core, rims_rl.RIM)
    assert RIMConfig(4, **saved) == core.config


FRESH_PROCESSES = """
import os, sys, numpy as np, torch
from sb3_contrib import RecurrentPPO
torch.optim.Adam([torch.zeros(1)])  # imports half of torch, here once for all
for folder in sys.argv[1:]:
    if os.fork():
        assert os.wait()[1] == 0
        continue
    assert "rims_rl" not in sys.modules
    model = RecurrentPPO.load(f"{folder}/model.zip", device="cpu")
    obs = np.load(f"{folder}/obs.npy")
    action, state = model.predict(obs, episode_start=np.ones(2, bool), deterministic=True)
    np.save(f"{folder}/state.npy", state[0])
    break
"""


def atari_model():
    """Stock RecurrentPPO and stock environments, as SB3's own examples make them."""
    env = VecFrameStack(make_atari_env("PongNoFrameskip-v4", 2, seed=0), 4)
    options = {"core_kwargs": {"hidden_size": 60}}
    return sb3_contrib.RecurrentPPO(
        "CnnRimPolicy", env, policy_kwargs=options, n_steps=16, batch_size=16, n_epochs=1,
        device="cpu",
    )  # fmt: skip


def test_models_load_in_fresh_processes_that_never_imported_us(tmp_path):
    env = make_vec_env("CartPole-v1", 2, seed=0)
    models = {"stock": make_model("MlpRimPolicy", env), "stock on Atari": atari_model()}
    models["ours"] = make_model("MlpRimPolicy", env, rims_rl.RecurrentPPO)
    for name, model in models.items():
        (tmp_path / name).mkdir()
        model.learn(32)
        model.save(tmp_path / name / "model.zip")
        np.save(tmp_path / name / "obs.npy", model._last_obs)
    subprocess.run([sys.executable, "-c", FRESH_PROCESSES, *models], check=True, cwd=tmp_path)
    for name, model in models.items():
        obs = model._last_obs
        _, state = model.predict(obs, episode_start=np.ones(2, bool), deterministic=True)
        atol = 1e-5 if "Atari" in name else 1e-6
        found = np.load(tmp_path / name / "state.npy")
        np.testing.assert_allclose(found, state[0], atol=atol, err_msg=name)


def test_training_goes_on_after_loading(tmp_path):
    env = make_vec_env("CartPole-v1", 2, seed=0)
    model = make_model("MlpRimPolicy", env)
    model.learn(32)
    model.save(tmp_path / "model.zip")
    loaded = sb3_contrib.RecurrentPPO.load(tmp_path / "model.zip", env=env)
    for name, weight in model.policy.state_dict().items():
        assert torch.equal(loaded.policy.state_dict()[name], weight)
    updates = adam_steps(model)
    assert adam_steps(loaded) == updates > 0
    loaded.learn(32, reset_num_timesteps=False)
    assert loaded.num_timesteps == 64
    assert adam_steps(loaded) == 2 * updates


def adam_steps(model):
    """Counts how often Adam has moved the weights."""
    (steps,) = {int(state["step"]) for state in model.policy.optimizer.state.values()}
    return steps


def test_heads_and_cnn_are_the_papers():
    env = vec_env(spaces.Box(0, 255, (4, 84, 84), np.uint8), spaces.Discrete(6))
    policy = make_model(
        "CnnRimPolicy", env, policy_kwargs={"core_kwargs": {"hidden_size": 510}}
    ).policy
    shapes = [tuple(p.shape) for p in policy.features_extractor.parameters() if p.dim() > 1]
    assert shapes == [(32, 4, 8, 8), (64, 32, 4, 4), (32, 64, 3, 3), (512, 32 * 7 * 7)]
    assert policy.action_net.weight.shape == (6, 510)
    assert policy.value_net.weight.shape == (1, 510)
    linear = policy.features_extractor.linear[0].weight
    torch.testing.assert_close(linear @ linear.T, 2 * torch.eye(512), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "space",
    [spaces.Box(0, 1, (3, 36, 36), np.float32), spaces.Box(0, 255, (3, 36, 36), np.uint8)],
    ids=["floats", "bytes"],
)
def test_images_are_taken_as_they_are_without_normalization(space, tmp_path):
    """As SB3's policies for images: floats, and bytes that are not divided by 255."""
    options = {"normalize_images": False, "core_kwargs": {"hidden_size": 12}}
    model = make_model("CnnRimPolicy", vec_env(space, spaces.Discrete(2)), policy_kwargs=options)
    model.learn(32)
    obs = torch.as_tensor(space.sample()[None])
    expected = model.policy.features_extractor(obs.float())
    torch.testing.assert_close(model.policy.extract_features(obs), expected)
    model.save(tmp_path / "model")
    again = type(model).load(tmp_path / "model", device="cpu")
    torch.testing.assert_close(again.policy.extract_features(obs), expected)


@pytest.mark.parametrize(
    ("policy", "options", "words"),
    [
        (MlpRimPolicy, {"core_kwargs": {"hidden_size": 13}}, "hidden_size 13 is not divisible"),
        (MlpRimPolicy, {"core_kwargs": {"num_actve": 2}}, "'rim' has no option num_actve"),
        (MlpRimPolicy, {"core": "rn"}, "unknown core 'rn'"),
        (MlpRimPolicy, {"core": None}, "given by its name, one of rim, lstm"),
        (MlpRimPolicy, {"core": rims_rl.RIM}, "given by its name"),
        (MlpRimPolicy, {"core_kwargs": rims_rl.RIMConfig(4, 12)}, "a dictionary of the core's"),
        (MlpRimPolicy, {"num_rims": 3}, "give it in core_kwargs=dict(num_rims=3)"),
        (MlpRimPolicy, {"core_kwargs": {"num_active": "2"}}, "num_active must be a whole number"),
        (MlpRimPolicy, {"lstm_hidden_size": 64}, "use core='lstm'"),
        (MlpRimPolicy, {"share_features_extractor": False}, "shared_core=False"),
        (CnnRimPolicy, {}, "CnnRimPolicy needs an image"),
    ],
)
def test_bad_arguments_get_one_line(policy, options, words):
    with pytest.raises(ValueError, match=r".") as caught:
        policy(VECTOR, spaces.Discrete(2), lambda _: 1e-3, **options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_same_seed_begins_with_the_same_network_around_any_core():
    """So that cores are compared on what they learn, not on the CNNs that their seeds drew."""
    space = spaces.Box(0, 255, (4, 84, 84), np.uint8)
    weights: list[list[torch.Tensor]] = []
    for core in ("rim", "lstm", "gru", "rnn"):
        torch.manual_seed(3)
        policy = CnnRimPolicy(
            space, spaces.Discrete(6), lambda _: 1e-3, core=core, core_kwargs={"hidden_size": 12}
        )
        parts = policy.features_extractor, policy.action_net, policy.value_net
        weights.append([p for part in parts for p in part.parameters()])
        weights[-1].append(torch.rand(1))  # what is drawn next, too
    for others in weights[1:]:
        assert all(map(torch.equal, weights[0], others))


@pytest.mark.parametrize("shift", [0, 1])
def test_images_are_scaled_alike_whoever_asks(shift):
    """Training and `predict` must see the same, whatever SB3 takes for an image."""
    space = spaces.Box(0, 255 - shift, (3, 36, 36), np.uint8)
    options = {"features_extractor_kwargs": {"normalized_image": bool(shift)}}
    env = vec_env(space, spaces.Discrete(2))
    policy = make_model("CnnRimPolicy", env, policy_kwargs=options).policy
    for dtype in (torch.uint8, torch.float32):  # as the buffer has it, and as an environment may
        obs = torch.as_tensor(np.stack([space.sample()])).to(dtype)
        learned = policy.extract_features(obs)
        predicted = BaseModel.extract_features(policy, obs, policy.features_extractor)
        torch.testing.assert_close(learned, predicted)


def test_heads_of_ones_own_know_the_size_of_the_cores_output():
    class Wide(MlpRimPolicy):
        def _build_mlp_extractor(self):
            self.mlp_extractor = MlpExtractor(self.lstm_output_dim, [5], torch.nn.ReLU)

    policy = Wide(VECTOR, spaces.Discrete(2), lambda _: 1e-3, core_kwargs=SMALL)
    policy.predict(VECTOR.sample())


def test_a_single_environment_may_tell_one_number_for_episode_starts():
    policy = MlpRimPolicy(VECTOR, spaces.Discrete(2), lambda _: 1e-3, core_kwargs=SMALL)
    observation, told = VECTOR.sample(), cast(Any, True)
    _, state = policy.predict(observation, None, np.ones(1, bool), deterministic=True)
    _, same = policy.predict(observation, None, told, deterministic=True)
    assert state is not None
    np.testing.assert_array_equal(same, state)


def test_a_state_of_other_environments_is_refused():
    policy = MlpRimPolicy(VECTOR, spaces.Discrete(2), lambda _: 1e-3, core_kwargs=SMALL)
    three = np.stack([VECTOR.sample() for _ in range(3)])
    _, state = policy.predict(three)
    for others in (three[:2], np.concatenate([three, three])):
        with pytest.raises(ValueError, match="observations do not go with a state of 3"):
            policy.predict(others, state)


def test_subclasses_have_arguments_of_their_own():
    class Algorithm(rims_rl.RecurrentPPO):
        def __init__(self, *args, extra=1, **kwargs):
            super().__init__(*args, **kwargs)

    class Core(rims_rl.RIM):
        def __init__(self, input_size, extra=1):
            super().__init__(input_size, **SMALL)

    class Same(rims_rl.RIM):
        pass

    assert "extra" in inspect.signature(Algorithm).parameters
    assert list(inspect.signature(Core).parameters) == ["input_size", "extra"]
    assert "num_rims" in inspect.signature(Same).parameters


def test_grids_get_their_own_extractor():
    env = rims_rl.make_vec_env("rims_rl/PickupDistractorsSmall-v0", 2, seed=0)
    model = make_model("MultiInputRimPolicy", env)
    assert type(model.policy.features_extractor).__name__ == "GridExtractor"
    assert isinstance(model.policy, MultiInputRimPolicy)
    learns(model)


@pytest.mark.gpu
@pytest.mark.parametrize("core", CORES)
def test_training_on_cuda(core):
    env = vec_env(IMAGE, spaces.Discrete(3))
    model = make_model("CnnRimPolicy", env, rims_rl.RecurrentPPO, core=core, device="cuda")
    model.learn(32)
    assert next(model.policy.parameters()).is_cuda


def test_a_policy_for_other_observations_says_which_to_use():
    images = gym.spaces.Box(0, 255, (84, 84, 4), np.uint8)
    with pytest.raises(ValueError, match="use MlpRimPolicy for vectors"):
        MultiInputRimPolicy(cast(Any, images), gym.spaces.Discrete(2), lambda _: 1e-3)
    with pytest.warns(UserWarning, match="CnnRimPolicy has a CNN"):
        MlpRimPolicy(images, gym.spaces.Discrete(2), lambda _: 1e-3)
    entries = spaces.Dict(a=VECTOR)
    with pytest.raises(ValueError, match="use MultiInputRimPolicy for dictionaries"):
        MlpRimPolicy(entries, spaces.Discrete(2), lambda _: 1e-3)
    MlpRimPolicy(
        entries, spaces.Discrete(2), lambda _: 1e-3, features_extractor_class=CombinedExtractor
    )


@pytest.mark.parametrize("given", ["foreach", "differentiable", None])
def test_adam_is_fused_unless_another_way_is_chosen(given):
    options = {given: True} if given else {}
    policy = MlpRimPolicy(
        VECTOR, spaces.Discrete(2), lambda _: 1e-3, core="lstm", optimizer_kwargs=options
    )
    defaults = policy.optimizer.defaults
    assert defaults["eps"] == 1e-5
    assert bool(defaults["fused"]) is (given is None)


@pytest.mark.parametrize("policy", [MlpRimPolicy, CnnRimPolicy])
def test_arguments_of_sb3_are_given_by_name(policy):
    with pytest.raises(TypeError, match="positional argument"):
        policy(IMAGE, spaces.Discrete(2), lambda _: 1e-3, [8])


@pytest.mark.parametrize(
    ("entry", "options", "words"),
    [
        (spaces.Box(0, 255, (3, 7, 7), np.uint8), {}, "image of .* at least 36 x 36"),
        (spaces.Box(0, 1, (3, 7, 7)), {"normalize_images": False}, "image of .* at least 36 x"),
        (spaces.Text(9), {}, "is text"),
    ],
)
def test_what_combined_features_stumble_over_is_named(entry, options, words):
    space = spaces.Dict(seen=entry, more=VECTOR)
    with pytest.raises(ValueError, match=f"'seen' {words}|'seen' is an {words}"):
        MultiInputRimPolicy(space, spaces.Discrete(2), lambda _: 1e-3, **options)


@pytest.mark.parametrize("core", ["rim", "gru"])
def test_an_exported_policy_acts_for_any_number_of_environments(core, monkeypatch):
    pytest.importorskip("torch", "2.13", reason="older ones stop while they trace")

    class Act(torch.nn.Module):
        def __init__(self, policy):
            super().__init__()
            self.policy = policy

        def forward(self, obs, h, c, starts):
            actions, (h, c) = self.policy._predict(obs, (h, c), starts, deterministic=True)
            return actions, h, c

    env = rims_rl.make_vec_env("CartPole-v1", 1, seed=0)
    model = make_model("MlpRimPolicy", env, core=core)
    act, units = Act(model.policy.eval()), model.policy.lstm_actor.hidden_size

    def inputs(count):
        state = torch.randn(1, count, units)
        return torch.randn(count, 4), state, state, torch.zeros(count)

    count = torch.export.Dim("count", min=2, max=64)
    axes = {"obs": {0: count}, "h": {1: count}, "c": {1: count}, "starts": {0: count}}
    monkeypatch.setattr(torch.distributions.Distribution, "_validate_args", False)
    exported = torch.export.export(act, inputs(4), dynamic_shapes=axes).module()
    torch.testing.assert_close(exported(*(given := inputs(7))), act(*given))


def test_algorithms_without_memory_are_told_which_to_use():
    env = vec_env(VECTOR, spaces.Discrete(2))
    model = stable_baselines3.PPO(rims_rl.agents.MlpRimPolicy, env, device="cpu")
    with pytest.raises(TypeError, match=r"train it with sb3_contrib\.RecurrentPPO"):
        model.learn(8)

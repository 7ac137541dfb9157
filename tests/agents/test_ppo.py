"""RecurrentPPO with minibatches of whole sequences."""

from typing import Any

import numpy as np
import pytest
import sb3_contrib
from stable_baselines3.common.env_util import make_vec_env

import rims_rl

POLICY = {"core_kwargs": {"hidden_size": 12, "num_rims": 3, "num_active": 2}}


def make_model(algorithm=rims_rl.RecurrentPPO, n_envs=4, **options):
    env = make_vec_env("CartPole-v1", n_envs, seed=0)
    options = {"n_steps": 16, "batch_size": 32, "n_epochs": 1, "seed": 0, **options}
    return algorithm("MlpRimPolicy", env, policy_kwargs=POLICY, device="cpu", **options)


def test_minibatches_are_whole_sequences_and_cover_the_rollout_once():
    model = make_model()
    model.learn(64)
    buffer = model.rollout_buffer
    batches = list(buffer.get(32))
    assert len(batches) == 2
    seen = []
    for batch in batches:
        assert batch.mask.all()
        assert batch.lstm_states.pi[0].shape == (1, 2, 12)
        observations = batch.observations.reshape(2, 16, 4)
        for n in range(2):
            env = next(e for e in range(4)
                       if np.array_equal(buffer.observations[:, e], observations[n]))  # fmt: skip
            seen.append(env)
            rows = slice(n * 16, (n + 1) * 16)
            np.testing.assert_array_equal(buffer.returns[:, env], batch.returns[rows])
            np.testing.assert_array_equal(buffer.actions[:, env], batch.actions[rows])
            np.testing.assert_array_equal(buffer.episode_starts[:, env], batch.episode_starts[rows])
            np.testing.assert_array_equal(
                buffer.hidden_states_pi[0, 0, env], batch.lstm_states.pi[0][0, n]
            )
    assert sorted(seen) == [0, 1, 2, 3]


def test_none_is_one_minibatch_and_the_order_changes():
    model = make_model(batch_size=None)
    model.learn(64)
    (batch,) = model.rollout_buffer.get(None)
    assert len(batch.mask) == 64
    orders = {tuple(next(iter(model.rollout_buffer.get(16))).returns.tolist()) for _ in range(20)}
    assert len(orders) > 1


@pytest.mark.parametrize("batch_size", [24, 8, 48, 128])
def test_minibatches_that_do_not_divide_are_refused(batch_size):
    with pytest.raises(ValueError, match=r"use one of 16, 32, 64$"):
        make_model(batch_size=batch_size)


@pytest.mark.parametrize(
    ("n_envs", "n_steps", "batch_size"),
    [(1, 32, 32), (4, 16, 64), (3, 64, 64), (2, 200, 200), (8, 128, 128)],
)
def test_minibatches_fit_by_themselves_where_nobody_chose(n_envs, n_steps, batch_size):
    env = make_vec_env("CartPole-v1", n_envs, seed=0)
    model = rims_rl.RecurrentPPO("MlpRimPolicy", env, n_steps=n_steps, policy_kwargs=POLICY)
    assert model.batch_size == batch_size


def test_models_go_to_stock_recurrent_ppo_and_back(tmp_path):
    ours = make_model()
    ours.learn(64)
    ours.save(tmp_path / "ours.zip")
    stock = sb3_contrib.RecurrentPPO.load(tmp_path / "ours.zip", env=ours.env)
    stock.learn(64, reset_num_timesteps=False)
    stock.save(tmp_path / "stock.zip")
    back = rims_rl.RecurrentPPO.load(tmp_path / "stock.zip", env=ours.env)
    for name, weight in stock.policy.state_dict().items():
        assert (back.policy.state_dict()[name] == weight).all()
    back.learn(64, reset_num_timesteps=False)
    assert back.num_timesteps == 192


def test_a_model_is_loaded_into_other_environments_and_refused_when_it_learns(tmp_path):
    make_model().save(tmp_path / "ours.zip")
    make_model(sb3_contrib.RecurrentPPO, batch_size=24).save(tmp_path / "stock.zip")
    for name, n_envs in (("ours.zip", 1), ("stock.zip", None)):
        env = None if n_envs is None else make_vec_env("CartPole-v1", n_envs, seed=0)
        model = rims_rl.RecurrentPPO.load(tmp_path / name, env=env)
        model.predict(model.observation_space.sample())
        model.set_env(make_vec_env("CartPole-v1", n_envs or 4, seed=0))
        with pytest.raises(ValueError, match=r"batch_size .* into whole sequences"):
            model.learn(1)


def test_the_same_seed_gives_the_same_training():
    weights = []
    for _ in range(2):
        model = make_model()
        model.learn(128)
        weights.append(model.policy.state_dict())
    for name in weights[0]:
        assert (weights[0][name] == weights[1][name]).all()


def test_a_minibatch_of_one_step_is_refused_where_advantages_are_normalised():
    options: dict[str, Any] = {
        "n_steps": 1,
        "policy_kwargs": {"core": "gru", "core_kwargs": {"hidden_size": 4}},
    }
    with pytest.raises(ValueError, match="one step cannot be normalised"):
        rims_rl.RecurrentPPO("MlpRimPolicy", "CartPole-v1", **options)
    whole = rims_rl.RecurrentPPO(
        "MlpRimPolicy", "CartPole-v1", normalize_advantage=False, **options
    )
    whole.learn(4)

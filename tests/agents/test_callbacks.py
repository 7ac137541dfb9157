"""Statistics of active RIMs, and the guard against tensors that are not finite."""

import math

import gymnasium as gym
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger

from rims_rl.agents import RecurrentPPO
from rims_rl.agents.callbacks import CoreStatistics, FiniteGuard, NonFiniteError, activation_entropy


def model_for(env="CartPole-v1", **kwargs):
    policy = {"core_kwargs": {"hidden_size": 12, "num_rims": 4, "num_active": 2}, "core": "rim"}
    policy.update(kwargs)
    return RecurrentPPO(
        "MlpRimPolicy", env, n_steps=16, batch_size=16, n_epochs=1, policy_kwargs=policy,
        device="cpu", seed=0,
    )  # fmt: skip


def test_activation_entropy():
    assert activation_entropy(torch.tensor([1.0, 1.0, 0.0])) == pytest.approx(0)
    assert activation_entropy(torch.tensor([0.5, 0.5])) == pytest.approx(1)
    assert activation_entropy(torch.tensor([1.0, 1.0])) == 1
    # binary entropies of 3/4 and 1/4 are equal; the most possible is that of 1/2, ln 2
    expected = (math.log(4) - 0.75 * math.log(3)) / math.log(2)
    assert activation_entropy(torch.tensor([0.75, 0.25])) == pytest.approx(expected)


class Spy(BaseCallback):
    """Keeps the latest logged values of the rollout."""

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.values = dict(self.logger.name_to_value)


def test_statistics_of_a_rollout():
    model, spy = model_for(), Spy()
    model.set_logger(Logger(None, []))
    model.learn(16, [CoreStatistics(), spy])
    shares = [spy.values[f"rim/active_{k}"] for k in (1, 2, 3, 4)]
    assert sum(shares) == pytest.approx(2)
    assert 0 <= spy.values["rim/activation_entropy"] <= 1


def test_no_statistics_without_rims():
    model, spy = model_for(core="lstm", core_kwargs={"hidden_size": 12}), Spy()
    model.set_logger(Logger(None, []))
    model.learn(16, [CoreStatistics(), spy])
    assert not any(name.startswith("rim/") for name in spy.values)


def test_bad_parameter_is_named_and_restored():
    model, guard = model_for(), FiniteGuard()
    model.learn(16, guard)
    good = model.policy.action_net.weight.detach().clone()
    with torch.no_grad():
        model.policy.action_net.weight[0, 0] = torch.nan
    with pytest.raises(NonFiniteError, match=r"parameter action_net\.weight is not finite"):
        model.learn(16, guard)
    guard.close()
    guard.restore()
    assert torch.isfinite(model.policy.action_net.weight).all()
    assert model.policy.action_net.weight.shape == good.shape
    assert model.num_timesteps == 0


def test_bad_state_is_named():
    model, guard = model_for(), FiniteGuard()
    guard.init_callback(model)
    guard.on_training_start({}, {})
    states = torch.full((1, 1, 12), torch.inf)
    with pytest.raises(NonFiniteError, match="lstm_actor is not finite"):
        model.policy.predict_values(torch.zeros(1, 4), (states, states), torch.zeros(1))
    guard.close()


class NanReward(gym.Wrapper):
    """CartPole that pays NaN."""

    def step(self, action):
        observation, _, *rest = super().step(action)
        return observation, math.nan, *rest


def test_bad_reward_is_named():
    model = model_for(NanReward(gym.make("CartPole-v1")))
    with pytest.raises(NonFiniteError, match="reward"):
        model.learn(16, FiniteGuard())


def test_hooks_are_gone_after_training():
    model = model_for()
    model.learn(16, FiniteGuard())
    assert not model.policy.lstm_actor._forward_hooks

"""Statistics of active RIMs, and the guard against tensors that are not finite."""

import math
from typing import Any, cast

import gymnasium as gym
import numpy as np
import pytest
import sb3_contrib
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger

from rims_rl.agents import LinearFeatures, MlpRimPolicy, RecurrentPPO
from rims_rl.agents.callbacks import (
    CoreStatistics,
    DivergedError,
    FiniteGuard,
    UpdateStatistics,
    activation_entropy,
)


def model_for(
    env="CartPole-v1", core="rim", core_kwargs=None, n_steps=16, policy_kwargs=None, **kwargs
):
    rims = {"hidden_size": 12, "num_rims": 4, "num_active": 2}
    policy = {"core": core, "core_kwargs": core_kwargs or rims, **(policy_kwargs or {})}
    return RecurrentPPO(
        "MlpRimPolicy", env, n_steps=n_steps, batch_size=n_steps, n_epochs=1, device="cpu", seed=0,
        policy_kwargs=policy, **kwargs,
    )  # fmt: skip


def test_activation_entropy():
    assert activation_entropy(torch.tensor([1.0, 1.0, 0.0])) == pytest.approx(0)
    assert activation_entropy(torch.tensor([0.5, 0.5])) == pytest.approx(1)
    assert activation_entropy(torch.tensor([1.0, 1.0])) == 1
    # binary entropies of 3/4 and 1/4 are equal; the most possible is that of 1/2, ln 2
    expected = (math.log(4) - 0.75 * math.log(3)) / math.log(2)
    assert activation_entropy(torch.tensor([0.75, 0.25])) == pytest.approx(expected)


class Asks(BaseCallback):
    """Predicts for another number of environments, as an evaluation does."""

    def _on_step(self) -> bool:
        self.model.predict(np.ones((3, 4), np.float32), deterministic=True)
        return True


class Interrupts(BaseCallback):
    def _on_step(self) -> bool:
        if self.num_timesteps == 24:
            raise KeyboardInterrupt
        return True


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
    model, other = model_for(), Spy()
    model.set_logger(Logger(None, []))
    model.learn(16, [Asks(), CoreStatistics(), other])
    names = [name for name in spy.values if name.startswith("rim/")]
    assert [other.values[name] for name in names] == [spy.values[name] for name in names]


def test_no_statistics_without_rims():
    model, spy = model_for(core="lstm", core_kwargs={"hidden_size": 12}), Spy()
    model.set_logger(Logger(None, []))
    model.learn(16, [CoreStatistics(), spy])
    assert not any(name.startswith("rim/") for name in spy.values)


def test_a_policy_of_sb3_contrib_has_a_state_and_no_rims():
    model, spy = sb3_contrib.RecurrentPPO("MlpLstmPolicy", "CartPole-v1", n_steps=16), Spy()
    model.set_logger(Logger(None, []))
    model.learn(16, [CoreStatistics(), spy])
    assert 0 < spy.values["core/largest_state"] < 1
    assert not any(name.startswith("rim/") for name in spy.values)


class Recorder(BaseCallback):
    """Keeps what acted, and what was logged and left in the gradients after each update."""

    def __init__(self) -> None:
        super().__init__()
        self.masks: list[torch.Tensor] = []
        self.starts: list[torch.Tensor] = []
        self.states: list[torch.Tensor] = []
        self.norms: list[torch.Tensor] = []
        self.updates: list[dict[str, float]] = []

    def _on_step(self) -> bool:
        mask = cast(MlpRimPolicy, self.model.policy).active_mask
        assert mask is not None
        self.masks.append(mask)
        self.states.append(self.locals["lstm_states"].pi[0])
        self.starts.append(torch.as_tensor(cast(RecurrentPPO, self.model)._last_episode_starts))
        return True

    def _on_rollout_start(self) -> None:
        gradients = [p.grad for p in self.model.policy.parameters() if p.grad is not None]
        self.norms.append(torch.cat([g.flatten() for g in gradients or [torch.zeros(1)]]).norm())
        self.updates.append(dict(self.logger.name_to_value))


def watched(learning_rate, rollouts=1):
    """A model after some rollouts of 64 steps, with what was recorded on the way."""
    spy, recorder = Spy(), Recorder()
    model = model_for(learning_rate=learning_rate, n_steps=64, max_grad_norm=1e9)
    model.set_logger(Logger(None, []))
    model.learn(64 * rollouts, [CoreStatistics(), UpdateStatistics(), spy, recorder])
    return model, spy, recorder


def test_the_active_sets_of_stored_steps_are_those_that_acted():
    model, spy, recorder = watched(learning_rate=0.0)
    buffer, masks = model.rollout_buffer, torch.stack(recorder.masks)
    observations = torch.as_tensor(buffer.observations).flatten(0, 1)
    states = torch.zeros(1, 1, 12), torch.zeros(1, 1, 12)
    starts = torch.as_tensor(buffer.episode_starts)
    assert starts[1:].any()
    assert torch.equal(model.policy.active_sets(observations, states, starts), masks)
    within = ~torch.stack(recorder.starts)[1:, 0].bool()
    changed = (masks[1:] != masks[:-1]).any(-1)[:, 0][within]
    assert 0 < changed.sum() < len(changed)
    share = changed.double().mean().item()
    assert spy.values["rim/active_set_changes"] == pytest.approx(share)


def test_a_rollout_is_summed_up_in_numbers():
    _, spy, recorder = watched(learning_rate=0.0)
    shares = torch.cat(recorder.masks).double().mean(0)
    found = [spy.values[f"rim/active_{k}"] for k in (1, 2, 3, 4)]
    assert found == pytest.approx(shares.tolist())
    assert spy.values["rim/activation_entropy"] == pytest.approx(activation_entropy(shares))
    largest = torch.cat(recorder.states).abs().max().item()
    assert spy.values["core/largest_state"] == pytest.approx(largest)
    assert 0 < largest < 1


def test_an_update_changes_active_sets_as_far_as_it_changes_the_policy():
    name = "rim/active_set_changes_by_update"
    _, _, still = watched(learning_rate=0.0, rollouts=2)
    assert still.updates[1][name] == 0.0
    _, _, moved = watched(learning_rate=0.1, rollouts=2)
    assert 0 < moved.updates[1][name] <= 1


def test_the_gradients_norm_is_that_before_clipping():
    _, _, recorder = watched(learning_rate=0.0, rollouts=3)
    assert "train/grad_norm" not in recorder.updates[0]
    for update, norm in zip(recorder.updates[1:], recorder.norms[1:], strict=True):
        assert update["train/grad_norm"] == pytest.approx(norm.item(), rel=1e-5)


def test_watching_leaves_no_hooks():
    model, _, _ = watched(learning_rate=0.0)
    assert not any(p._post_accumulate_grad_hooks for p in model.policy.parameters())


def test_an_interrupted_watch_can_be_closed_and_begins_anew():
    model, watch = model_for(), UpdateStatistics()
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            model.learn(64, [watch, Interrupts()])
    assert {len(p._post_accumulate_grad_hooks) for p in model.policy.parameters()} == {1}
    watch.close()
    assert not any(p._post_accumulate_grad_hooks for p in model.policy.parameters())


@pytest.mark.parametrize("frozen", ["features", "value_net"])
def test_frozen_parameters_have_no_gradient_to_watch(frozen):
    features = {"features_extractor_class": LinearFeatures}
    model = model_for(policy_kwargs=features)
    for name, parameter in model.policy.named_parameters():
        parameter.requires_grad_(not name.startswith(frozen))
    recorder = Recorder()
    model.set_logger(Logger(None, []))
    model.learn(32, [UpdateStatistics(), recorder])
    assert recorder.updates[1]["train/grad_norm"] > 0


def test_cores_without_rims_have_no_active_sets():
    model = model_for(core="gru", core_kwargs={"hidden_size": 12})
    with pytest.raises(TypeError, match="'gru' has no RIMs"):
        model.policy.active_sets(torch.zeros(1, 4), (torch.zeros(1, 1, 12),) * 2, torch.zeros(1, 1))


class Spoil(BaseCallback):
    """Spoils a weight as the second update would, and keeps what was before it and after."""

    def _on_step(self):
        return True

    def _on_rollout_start(self):
        state = {n: p.detach().clone() for n, p in self.model.policy.named_parameters()}
        if self.num_timesteps == 16:
            optimizer = cast(Any, self.model.policy).optimizer
            self.optimizer_steps = int(next(iter(optimizer.state.values()))["step"])
            self.before = state
        elif self.num_timesteps == 32:
            self.after = state

    def _on_rollout_end(self):
        if self.num_timesteps == 32:

            def spoil(*_):
                with torch.no_grad():
                    cast(Any, self.model.policy).action_net.weight[0, 0] = torch.nan

            cast(Any, self.model.policy).optimizer.register_step_post_hook(spoil)


def test_bad_parameter_is_named_and_restored():
    model, guard = model_for(), FiniteGuard()
    spoil = Spoil()
    with pytest.raises(FloatingPointError, match=r"parameter action_net\.weight is not finite"):
        model.learn(64, [spoil, guard])
    guard.close()
    assert not torch.equal(spoil.before["action_net.weight"], spoil.after["action_net.weight"])
    guard.restore()
    for name, parameter in model.policy.named_parameters():
        assert torch.equal(parameter, spoil.before[name]), name
    (steps,) = {int(state["step"]) for state in cast(Any, model.policy).optimizer.state.values()}
    assert steps == spoil.optimizer_steps
    assert model.num_timesteps == 16


def test_bad_state_is_named():
    model, guard = model_for(), FiniteGuard()
    guard.init_callback(model)
    guard.on_training_start({}, {})
    states = torch.full((1, 1, 12), torch.inf)
    with pytest.raises(FloatingPointError, match="lstm_actor is not finite") as caught:
        model.policy.predict_values(torch.zeros(1, 4), (states, states), torch.zeros(1))
    assert isinstance(caught.value, DivergedError)
    bad = torch.full((1, 4), torch.nan)
    with pytest.raises(FloatingPointError, match="input of lstm_actor is not finite") as caught:
        model.policy.predict_values(bad, (torch.zeros_like(states),) * 2, torch.zeros(1))
    assert not isinstance(caught.value, DivergedError)
    guard.close()


class NanReward(gym.Wrapper):
    """CartPole that pays NaN."""

    def step(self, action):
        observation, _, *rest = super().step(action)
        return observation, math.nan, *rest


def test_bad_reward_is_named():
    model = model_for(NanReward(gym.make("CartPole-v1")))
    with pytest.raises(FloatingPointError, match="reward"):
        model.learn(16, FiniteGuard())


def test_hooks_are_gone_after_training():
    model = model_for()
    model.learn(16, FiniteGuard())
    assert not model.policy.lstm_actor._forward_hooks

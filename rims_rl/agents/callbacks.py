"""Callbacks that watch a `CorePolicy`: active RIMs, updates, and whether all is finite."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from sb3_contrib import RecurrentPPO
from sb3_contrib.common.recurrent.buffers import RecurrentRolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.running_mean_std import RunningMeanStd
from torch import Tensor, nn

from rims_rl.agents.core_policy import CorePolicy
from rims_rl.core import RIM


def activation_entropy(frequencies: Tensor) -> float:
    """Measures how much the choice of active RIMs varies, from how often each is active.

    The mean over RIMs of the binary entropy of "is it active?", divided by its largest possible
    value with as many RIMs active: 0 if always the same RIMs are active, 1 if all equally often.

    Args:
        frequencies: (K,) share of the steps at which each RIM is active.

    Returns:
        A number in [0, 1]; 1 where there is no choice because all RIMs are always active.
    """
    highest = _binary_entropy(frequencies.mean())
    if highest <= 0:
        return 1.0
    return float(_binary_entropy(frequencies).mean() / highest)


def _binary_entropy(p: Tensor) -> Tensor:
    entropy: Tensor = torch.special.entr(p) + torch.special.entr(1 - p)
    return entropy


class CoreStatistics(BaseCallback):
    """Logs of each rollout how large the core's state became and which RIMs were active.

    ``core/largest_state`` is the largest absolute h of the actor's core. For policies with RIMs
    only: ``rim/active_<k>``, counted from 1, and ``rim/activation_entropy``;
    ``rim/active_set_changes`` is the share of steps, those at the start of an episode left out,
    at which other RIMs are active than at the step before.
    """

    def _on_training_start(self) -> None:
        self._previous: Tensor | None = None

    def _on_rollout_start(self) -> None:
        self._largest_state = 0.0
        self._active_steps: Tensor | None = None
        self._steps = 0
        self._changes = 0.0
        self._continued = 0

    def _on_step(self) -> bool:
        largest = self.locals["lstm_states"].pi[0].abs().max().item()
        self._largest_state = max(self._largest_state, largest)
        mask = getattr(self.model.policy, "acted_mask", None)  # sb3-contrib's own have none
        if mask is not None:
            # (n_envs, K) -> (K,)
            active = mask.sum(dim=0, dtype=torch.float64)
            self._active_steps = active + (0 if self._active_steps is None else self._active_steps)
            self._steps += mask.shape[0]
            self._count_changes(mask)
        return True

    def _count_changes(self, mask: Tensor) -> None:
        if self._previous is not None:
            starts = cast(RecurrentPPO, self.model)._last_episode_starts
            goes_on = ~torch.as_tensor(starts, dtype=torch.bool, device=mask.device)
            self._changes += float(((mask != self._previous).any(dim=1) & goes_on).sum())
            self._continued += int(goes_on.sum())
        self._previous = mask

    def _on_rollout_end(self) -> None:
        self.logger.record("core/largest_state", self._largest_state)
        if self._active_steps is None:
            return
        frequencies = self._active_steps.cpu() / self._steps
        for k, share in enumerate(frequencies.tolist(), start=1):
            self.logger.record(f"rim/active_{k}", share)
        self.logger.record("rim/activation_entropy", activation_entropy(frequencies))
        if self._continued:
            self.logger.record("rim/active_set_changes", self._changes / self._continued)


class UpdateStatistics(BaseCallback):
    """Logs how large the gradients of an update are, and how it changes which RIMs are active.

    ``train/grad_norm`` is the root mean square over minibatches of the gradient's norm before
    clipping. ``rim/active_set_changes_by_update``, for policies with RIMs only, is the share of
    the rollout's steps, of one environment in eight, at which the policy after the update would
    have other RIMs active than the policy before.

    Where ``learn`` ends by an exception, `close` takes its hooks off the policy.
    """

    def __init__(self) -> None:
        super().__init__()
        self._hooks: list[torch.utils.hooks.RemovableHandle] = []

    def _on_training_start(self) -> None:
        self.close()
        self._rollout: _Rollout | None = None
        self._squares: Tensor | float = 0.0
        self._minibatches = 0
        policy = cast(CorePolicy, self.model.policy)
        self._hooks = [
            parameter.register_post_accumulate_grad_hook(self._add_gradient)
            for parameter in policy.parameters()
            if parameter.requires_grad
        ]
        self._hooks.append(policy.optimizer.register_step_post_hook(self._add_minibatch))

    def _add_gradient(self, parameter: Tensor) -> None:
        assert parameter.grad is not None
        self._squares += torch.linalg.vector_norm(parameter.grad).square()

    def _add_minibatch(self, *step: Any) -> None:
        self._minibatches += 1

    def _on_rollout_start(self) -> None:
        self._record_update()

    def _record_update(self) -> None:
        if self._minibatches:
            mean_square = float(self._squares) / self._minibatches
            self.logger.record("train/grad_norm", math.sqrt(mean_square))
            self._squares = 0.0
            self._minibatches = 0
        if self._rollout is not None:
            changes = self._rollout.changes(cast(CorePolicy, self.model.policy))
            self.logger.record("rim/active_set_changes_by_update", changes)
            self._rollout = None

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        policy = cast(CorePolicy, self.model.policy)
        if isinstance(policy.lstm_actor, RIM):
            buffer = cast(RecurrentPPO, self.model).rollout_buffer
            self._rollout = _Rollout.of(cast(RecurrentRolloutBuffer, buffer), policy)

    def _on_training_end(self) -> None:
        self._record_update()  # the last one, which no rollout follows
        self.close()

    def close(self) -> None:
        """Removes the hooks from the policy, so that it can be pickled or used elsewhere."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()


@dataclass(frozen=True)
class _Rollout:
    """A part of a rollout that is kept beyond the update.

    Attributes:
        observations: of T steps of N environments, (T * N, ...), or a dictionary of such.
        states: h and c before the first step, (1, N, hidden_size).
        starts: episode starts (T, N).
        active: sets of the policy that made the rollout (T, N, K).
    """

    observations: Any
    states: tuple[Tensor, Tensor]
    starts: Tensor
    active: Tensor

    @classmethod
    def of(cls, buffer: RecurrentRolloutBuffer, policy: CorePolicy) -> _Rollout:
        count = math.ceil(buffer.n_envs / 8)

        def pick(array: Any) -> Tensor:
            return buffer.to_torch(array[:, :count].reshape(-1, *array.shape[2:]))

        def first(array: Any) -> Tensor:
            return buffer.to_torch(array[0][:, :count])

        stored = buffer.observations
        observations = (
            {key: pick(array) for key, array in stored.items()}
            if isinstance(stored, dict)
            else pick(stored)
        )
        states = (first(buffer.hidden_states_pi), first(buffer.cell_states_pi))
        starts = buffer.to_torch(buffer.episode_starts[:, :count])
        active = policy.active_sets(observations, states, starts)
        return cls(observations, states, starts, active)

    def changes(self, policy: CorePolicy) -> float:
        now = policy.active_sets(self.observations, self.states, self.starts)
        return float((now != self.active).any(dim=-1).double().mean())


class DivergedError(FloatingPointError):
    """A tensor of the policy itself is not finite: learning went wrong, not the environment."""


class FiniteGuard(BaseCallback):
    """Stops training with a `FloatingPointError` that names the first tensor that is not finite.

    It is a `DivergedError` for parameters and for the core's output and state.

    Rewards, observations, the core's output and state are checked at every step, the parameters
    after every update. `snapshot` holds policy and optimizer as they were before the update that
    failed; likewise kept is what rewards and observations are normalised by.
    """

    def __init__(self) -> None:
        super().__init__()
        self.snapshot: dict[str, Any] = {}
        self.snapshot_timesteps = 0
        self._scales: list[dict[str, Any]] = []
        self._hooks: list[torch.utils.hooks.RemovableHandle] = []

    def check_parameters(self) -> None:
        """Raises if a parameter of the policy is not finite."""
        for name, parameter in self.model.policy.named_parameters():
            if not torch.isfinite(parameter).all():
                raise DivergedError(f"parameter {name} is not finite after an update")

    def restore(self) -> None:
        """Puts back policy, optimizer, scales and step count as before the last update."""
        self.model.set_parameters(self.snapshot)
        self.model.num_timesteps = self.snapshot_timesteps
        for statistics, kept in zip(self._statistics(), self._scales, strict=True):
            vars(statistics).update(kept)

    def _statistics(self) -> list[RunningMeanStd]:
        """The statistics that rewards and observations are normalised by."""
        env = self.model.get_vec_normalize_env()
        if env is None:
            return []
        seen = getattr(env, "obs_rms", {})
        return [env.ret_rms, *(seen.values() if isinstance(seen, dict) else (seen,))]

    def _on_training_start(self) -> None:
        for name in ("lstm_actor", "lstm_critic"):
            core = getattr(self.model.policy, name)
            if isinstance(core, nn.Module):
                hook = self._core_hook(name)
                self._hooks.append(core.register_forward_hook(hook))

    def _core_hook(self, name: str) -> Any:
        def check(module: nn.Module, inputs: Any, outputs: Any) -> None:
            output, state = outputs[0], outputs[1]
            named = {"input": inputs[0], "output": output}
            named.update(zip(("state h", "state c"), state, strict=True))
            for what, tensor in named.items():
                if not torch.isfinite(tensor).all():
                    self.check_parameters()
                    kind = FloatingPointError if what == "input" else DivergedError
                    raise kind(f"{what} of {name} is not finite")

        return check

    def _on_rollout_start(self) -> None:
        self.check_parameters()
        self.snapshot = {
            name: _copied(state) for name, state in self.model.get_parameters().items()
        }
        self.snapshot_timesteps = self.model.num_timesteps
        self._scales = [copy.deepcopy(vars(statistics)) for statistics in self._statistics()]

    def _on_step(self) -> bool:
        if not np.isfinite(self.locals["rewards"]).all():
            raise FloatingPointError("a reward of the environment is not finite")
        observations = self.locals["new_obs"]
        for key, array in (
            observations.items()
            if isinstance(observations, dict)
            else (("the observation", observations),)
        ):
            if not np.isfinite(array).all():
                raise FloatingPointError(f"{key} of the environment is not finite")
        return True

    def _on_training_end(self) -> None:
        self.check_parameters()
        self.close()

    def close(self) -> None:
        """Removes the hooks from the policy, so that it can be saved or used elsewhere."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()


def _copied(state: Any) -> Any:
    """A copy of a state dict whose tensors share no memory with it."""
    if isinstance(state, Tensor):
        return state.detach().clone()
    if isinstance(state, dict):
        return {key: _copied(value) for key, value in state.items()}
    if isinstance(state, list):
        return [_copied(value) for value in state]
    return state

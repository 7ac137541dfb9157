"""Callbacks that watch a recurrent policy: which RIMs are active, and whether all is finite."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor, nn

from rims_rl.agents.core_policy import MlpRimPolicy


class NonFiniteError(RuntimeError):
    """A tensor holds NaN or infinity; the message says which."""


def activation_entropy(frequencies: Tensor) -> float:
    """How much the choice of active RIMs varies, from how often each is active.

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

    ``core/largest_state`` is the largest absolute h of the actor's core. ``rim/active_<k>`` and
    ``rim/activation_entropy``, for policies with RIMs only, count RIMs from 1.
    """

    def _on_rollout_start(self) -> None:
        self._largest_state = 0.0
        self._active_steps: Tensor | None = None
        self._steps = 0

    def _on_step(self) -> bool:
        largest = self.locals["lstm_states"].pi[0].abs().max().item()
        self._largest_state = max(self._largest_state, largest)
        mask = cast(MlpRimPolicy, self.model.policy).active_mask
        if mask is not None:
            # (n_envs, K) -> (K,)
            active = mask.sum(dim=0, dtype=torch.float64)
            self._active_steps = active + (0 if self._active_steps is None else self._active_steps)
            self._steps += mask.shape[0]
        return True

    def _on_rollout_end(self) -> None:
        self.logger.record("core/largest_state", self._largest_state)
        if self._active_steps is None:
            return
        frequencies = self._active_steps.cpu() / self._steps
        for k, share in enumerate(frequencies.tolist(), start=1):
            self.logger.record(f"rim/active_{k}", share)
        self.logger.record("rim/activation_entropy", activation_entropy(frequencies))


class FiniteGuard(BaseCallback):
    """Stops training with a `NonFiniteError` that names the first tensor that is not finite.

    Rewards, observations, the core's output and state are checked at every step, the parameters
    after every update. `snapshot` holds policy and optimizer as they were before the update that
    failed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.snapshot: dict[str, Any] = {}
        self.snapshot_timesteps = 0
        self._hooks: list[torch.utils.hooks.RemovableHandle] = []

    def check_parameters(self) -> None:
        """Raises if a parameter of the policy is not finite."""
        for name, parameter in self.model.policy.named_parameters():
            if not torch.isfinite(parameter).all():
                raise NonFiniteError(f"parameter {name} is not finite after an update")

    def restore(self) -> None:
        """Puts back policy, optimizer and step count as they were before the last update."""
        self.model.set_parameters(self.snapshot)
        self.model.num_timesteps = self.snapshot_timesteps

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
                    raise NonFiniteError(f"{what} of {name} is not finite")

        return check

    def _on_rollout_start(self) -> None:
        self.check_parameters()
        self.snapshot = {
            name: _copied(state) for name, state in self.model.get_parameters().items()
        }
        self.snapshot_timesteps = self.model.num_timesteps

    def _on_step(self) -> bool:
        if not np.isfinite(self.locals["rewards"]).all():
            raise NonFiniteError("a reward of the environment is not finite")
        observations = self.locals["new_obs"]
        for key, array in (
            observations.items()
            if isinstance(observations, dict)
            else (("the observation", observations),)
        ):
            if not np.isfinite(array).all():
                raise NonFiniteError(f"{key} of the environment is not finite")
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

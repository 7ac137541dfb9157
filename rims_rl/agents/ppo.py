"""sb3-contrib's RecurrentPPO with minibatches of whole sequences."""

from __future__ import annotations

import sb3_contrib
from gymnasium import spaces
from sb3_contrib.common.recurrent.buffers import RecurrentDictRolloutBuffer, RecurrentRolloutBuffer

from rims_rl.agents.buffers import SequenceDictRolloutBuffer, SequenceRolloutBuffer
from rims_rl.agents.core_policy import CorePolicy


def sequence_batch_sizes(n_steps: int, n_envs: int) -> list[int]:
    """Minibatch sizes that hold whole sequences of n_steps and divide the environments."""
    return [n_steps * n for n in range(1, n_envs + 1) if n_envs % n == 0]


class RecurrentPPO(sb3_contrib.RecurrentPPO):
    """Recurrent PPO whose minibatches are whole sequences of some of the environments.

    sb3-contrib cuts the rollout at a random place, splits it at every episode start and pads the
    pieces. Here a minibatch is a block of n_steps x (batch_size / n_steps) samples: no padding,
    and episodes that start inside a sequence are left to the core. Everything else, saved files
    included, is the parent's.

    Raises:
        ValueError: batch_size does not divide the environments into whole sequences.
    """

    def _setup_model(self) -> None:
        sizes = sequence_batch_sizes(self.n_steps, self.n_envs)
        if self.batch_size is not None and self.batch_size not in sizes:
            raise ValueError(
                f"batch_size {self.batch_size} does not divide {self.n_envs} environments of "
                f"{self.n_steps} steps into whole sequences: use one of "
                f"{', '.join(map(str, sizes))}"
            )
        super()._setup_model()
        if isinstance(self.policy, CorePolicy):
            # Saved models say all options, so that other defaults change nothing.
            self.policy_kwargs = {**self.policy_kwargs, "core_kwargs": self.policy.core_kwargs}
        stock_buffer = self.rollout_buffer
        assert isinstance(stock_buffer, RecurrentRolloutBuffer | RecurrentDictRolloutBuffer)
        is_dict = isinstance(self.observation_space, spaces.Dict)
        buffer_class = SequenceDictRolloutBuffer if is_dict else SequenceRolloutBuffer
        self.rollout_buffer = buffer_class(
            self.n_steps,
            self.observation_space,
            self.action_space,
            stock_buffer.hidden_state_shape,
            self.device,
            gamma=self.gamma,
            gae_lambda=self.gae_lambda,
            n_envs=self.n_envs,
        )

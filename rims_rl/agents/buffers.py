"""Rollout buffers whose minibatches are whole sequences of some of the environments.

Axes: T steps of a rollout, N environments of a minibatch.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sb3_contrib.common.recurrent.buffers import RecurrentDictRolloutBuffer, RecurrentRolloutBuffer
from sb3_contrib.common.recurrent.type_aliases import (
    RecurrentDictRolloutBufferSamples,
    RecurrentRolloutBufferSamples,
    RNNStates,
)
from torch import Tensor

Array = NDArray[Any]


def _sequence_fields(
    buffer: RecurrentRolloutBuffer | RecurrentDictRolloutBuffer, envs: Array
) -> tuple[Callable[[Array], Tensor], dict[str, Any]]:
    """A function that picks the sequences of `envs`, and all fields but the observations."""

    def pick(array: Array) -> Tensor:
        # (T, n_envs, ...) -> (N * T, ...), ordered by environment as the policies expect
        picked = np.ascontiguousarray(array.swapaxes(0, 1)[envs])
        return buffer.to_torch(picked.reshape(-1, *array.shape[2:]), copy=False)

    def first(array: Array) -> Tensor:
        return buffer.to_torch(np.ascontiguousarray(array[0][:, envs]), copy=False)

    states = RNNStates(
        (first(buffer.hidden_states_pi), first(buffer.cell_states_pi)),
        (first(buffer.hidden_states_vf), first(buffer.cell_states_vf)),
    )
    fields = {
        "actions": pick(buffer.actions),
        "old_values": pick(buffer.values),
        "old_log_prob": pick(buffer.log_probs),
        "advantages": pick(buffer.advantages),
        "returns": pick(buffer.returns),
        "lstm_states": states,
        "episode_starts": pick(buffer.episode_starts),
        "mask": torch.ones(len(envs) * buffer.buffer_size, device=buffer.device),
    }
    return pick, fields


def _minibatches_of_envs(n_envs: int, n_steps: int, batch_size: int | None) -> list[Array]:
    size = n_envs if batch_size is None else batch_size // n_steps
    order = np.random.permutation(n_envs)  # noqa: NPY002 (SB3 seeds numpy's global generator)
    return [order[start : start + size] for start in range(0, n_envs, size)]


class SequenceRolloutBuffer(RecurrentRolloutBuffer):
    """Rollouts of plain observations, sampled as whole sequences without padding."""

    def get(  # type: ignore[override]
        self, batch_size: int | None = None
    ) -> Generator[RecurrentRolloutBufferSamples, None, None]:
        """Yields minibatches of batch_size / T environments each, in random order."""
        assert self.full, "the rollout is not complete"
        for envs in _minibatches_of_envs(self.n_envs, self.buffer_size, batch_size):
            pick, fields = _sequence_fields(self, envs)
            yield RecurrentRolloutBufferSamples(observations=pick(self.observations), **fields)


class SequenceDictRolloutBuffer(RecurrentDictRolloutBuffer):
    """Rollouts of dictionary observations, sampled as whole sequences without padding."""

    def get(  # type: ignore[override]
        self, batch_size: int | None = None
    ) -> Generator[RecurrentDictRolloutBufferSamples, None, None]:
        """Yields minibatches of batch_size / T environments each, in random order."""
        assert self.full, "the rollout is not complete"
        for envs in _minibatches_of_envs(self.n_envs, self.buffer_size, batch_size):
            pick, fields = _sequence_fields(self, envs)
            observations = {key: pick(array) for key, array in self.observations.items()}
            yield RecurrentDictRolloutBufferSamples(observations=observations, **fields)

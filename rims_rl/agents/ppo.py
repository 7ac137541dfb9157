"""sb3-contrib's RecurrentPPO with minibatches of whole sequences."""

from __future__ import annotations

import inspect
from typing import Any

import sb3_contrib
from gymnasium import spaces
from sb3_contrib.common.recurrent.buffers import RecurrentDictRolloutBuffer, RecurrentRolloutBuffer

from rims_rl.agents.buffers import SequenceDictRolloutBuffer, SequenceRolloutBuffer
from rims_rl.agents.core_policy import CorePolicy

_SIGNATURE = inspect.signature(sb3_contrib.RecurrentPPO)


class RecurrentPPO(sb3_contrib.RecurrentPPO):
    """Recurrent PPO whose minibatches are whole sequences of some of the environments.

    sb3-contrib cuts the rollout at a random place, splits it at every episode start and pads the
    pieces. Here a minibatch is a block of n_steps x (batch_size / n_steps) samples: no padding,
    and episodes that start inside a sequence are left to the core. Everything else, saved files
    included, is the parent's.

    A saved model is loaded into any number of environments; the minibatches have to fit when it
    learns. Its file holds all options of RIMs, those left to their defaults included: give `load`
    no policy_kwargs, which SB3 compares with them.

    Left to its default, batch_size is the largest up to sb3-contrib's 128 that divides the
    environments into whole sequences, and one sequence where these are longer.

    Raises:
        ValueError: batch_size does not divide the environments into whole sequences, or a
            minibatch is one step.
    """

    def __init__(self, *args: Any, _init_setup_model: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, _init_setup_model=False, **kwargs)  # type: ignore[misc]
        if _init_setup_model:
            if "batch_size" not in _SIGNATURE.bind_partial(*args, **kwargs).arguments:
                usual, sizes = self.batch_size or 0, self._batch_sizes()
                self.batch_size = max((size for size in sizes if size <= usual), default=sizes[0])
            self._check_batch_size()
            self._setup_model()

    def _setup_learn(self, *args: Any, **kwargs: Any) -> Any:
        self._check_batch_size()
        return super()._setup_learn(*args, **kwargs)

    def _batch_sizes(self) -> list[int]:
        """Those that divide the environments into whole sequences, from one sequence up."""
        divisors = (n for n in range(1, self.n_envs + 1) if self.n_envs % n == 0)
        return [self.n_steps * n for n in divisors]

    def _check_batch_size(self) -> None:
        sizes = self._batch_sizes()
        if self.batch_size is not None and self.batch_size not in sizes:
            raise ValueError(
                f"batch_size {self.batch_size} does not divide {self.n_envs} environments of "
                f"{self.n_steps} steps into whole sequences: use one of "
                f"{', '.join(map(str, sizes))}"
            )
        if self.batch_size == 1 and self.normalize_advantage:
            raise ValueError(
                "the advantage of a minibatch of one step cannot be normalised: use more n_steps "
                "or environments, or normalize_advantage=False"
            )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):  # its arguments are its own
            cls.__signature__ = None  # type: ignore[attr-defined]

    def _setup_model(self) -> None:
        super()._setup_model()
        if isinstance(self.policy, CorePolicy):
            # Saved models say all options of RIMs, so that other defaults change nothing.
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


# `help(RecurrentPPO)` and editors show the real arguments.
RecurrentPPO.__signature__ = _SIGNATURE  # type: ignore[attr-defined]

"""What all cores share: states, resets inside a sequence, and checks of shapes.

Axes: T time, B batch, D input features, S units of the state.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rims_rl.core.dynamics import State


def initial_state(x: Tensor, size: int) -> State:
    """A state of zeros for the input x (T, B, ...): two tensors (1, B, S)."""
    zeros = x.new_zeros(1, x.shape[1], size)
    return zeros, zeros


def keep_factors(episode_starts: Tensor | None, x: Tensor) -> Tensor | None:
    """What the state is multiplied with before each step: (T, B) -> (T, B), or None.

    None if no episode starts, so that the common case costs nothing.
    """
    if episode_starts is None or not bool(episode_starts.any()):
        return None
    return 1.0 - episode_starts.to(x.dtype)


def check_sequence(
    x: Tensor,
    input_size: int,
    state: State | None,
    state_size: int,
    episode_starts: Tensor | None,
) -> None:
    """Raises a ValueError that names the argument whose shape does not fit."""
    if x.dim() not in (3, 4) or x.shape[-1] != input_size or x.shape[0] == 0:
        raise ValueError(
            f"x must be (T, B, {input_size}) or (T, B, R, {input_size}) with T >= 1, "
            f"got {tuple(x.shape)}"
        )
    steps, batch = x.shape[:2]
    if state is not None and (isinstance(state, Tensor) or len(state) != 2):
        raise ValueError("state must be a pair (h, c)")
    for name, tensor in zip("hc", state or (), strict=False):
        if tensor.shape != (1, batch, state_size):
            raise ValueError(
                f"state {name} must be (1, {batch}, {state_size}), got {tuple(tensor.shape)}"
            )
    if episode_starts is not None and episode_starts.shape != torch.Size([steps, batch]):
        raise ValueError(
            f"episode_starts must be ({steps}, {batch}), got {tuple(episode_starts.shape)}"
        )

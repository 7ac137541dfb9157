"""The relational memory core (Santoro et al. 2018, arXiv 1806.01822), called like `RIM`.

Axes: T time, B batch, D input features, N slots, F units per slot, S = N * F hidden units, A heads.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from rims_rl.core.base import Core, keep_factors
from rims_rl.core.dynamics import State
from rims_rl.core.sizes import check_divisible, check_positive

#: Constant added to the forget gate, the paper's b~ (1 in its published code).
FORGET_BIAS = 1.0


class RMC(Core):
    """A memory of N slots that attend to one another and to the input, each gated like an LSTM.

    With memory m_i, output h_i of slot i and input x_t at each step (paper, equations 2 to 9)::

        a_i = heads of softmax(m_i W_q ([m; x] W_k)^T / sqrt(d)) [m; x] W_v, side by side
        u_i = LN(m_i + a_i),  g_i = LN(u_i + MLP(u_i))
        f_i, i_i, o_i = W x_t + U h_i + b
        m_i <- sigmoid(f_i + 1) * m_i + sigmoid(i_i) * g_i,  h_i <- sigmoid(o_i) * tanh(m_i)

    All weights are shared by the slots. The paper leaves open how a slot differs from the next at
    the start; as its published code, we start from rows of the identity, so slots beyond F stay
    equal to one another: have no more slots than units in each. The state's c is the memory's
    distance from there, so that zeros are the start for this core, too.

    Args:
        input_size: features D.
        hidden_size: units S of all slots together.
        slots: number N of slots.
        heads: attention heads A.

    Raises:
        ValueError: the sizes do not divide; the message names sizes that work.
    """

    def __init__(self, input_size: int, hidden_size: int, slots: int = 6, heads: int = 4) -> None:
        super().__init__()
        check_rmc_sizes(hidden_size, slots, heads)
        self.input_size = input_size
        self.hidden_size = self.output_size = hidden_size
        self.slots, self.heads, self.units = slots, heads, hidden_size // slots
        self.row = nn.Linear(input_size, self.units)
        self.query_key_value = nn.Linear(self.units, 3 * self.units)
        self.after_attention = nn.LayerNorm(self.units)
        self.mlp = nn.Sequential(
            nn.Linear(self.units, self.units), nn.ReLU(), nn.Linear(self.units, self.units)
        )
        self.after_mlp = nn.LayerNorm(self.units)
        self.input_gates = nn.Linear(input_size, 3 * self.units)
        self.state_gates = nn.Linear(self.units, 3 * self.units, bias=False)

    def run(self, x: Tensor, state: State, episode_starts: Tensor | None) -> tuple[Tensor, State]:
        """See `Core.run`: (T, B, D) -> (T, B, S)."""
        h, c = (s.reshape(-1, self.slots, self.units) for s in state)
        keep = keep_factors(episode_starts, x)
        rows = self.row(x).unsqueeze(2)  # (T, B, 1, F)
        gates = self.input_gates(x).unsqueeze(2)  # (T, B, 1, 3F)
        start = torch.eye(self.slots, self.units, dtype=c.dtype, device=c.device)
        outputs = []
        for t in range(x.shape[0]):
            if keep is not None:
                h, c = h * keep[t, :, None, None], c * keep[t, :, None, None]
            h, memory = self._step(rows[t], gates[t], h, start + c)
            c = memory - start
            outputs.append(h)
        last = h.flatten(1).unsqueeze(0), c.flatten(1).unsqueeze(0)
        return torch.stack(outputs).flatten(2), last

    def _step(self, row: Tensor, input_gates: Tensor, h: Tensor, memory: Tensor) -> State:
        """One step: (B, 1, F), (B, 1, 3F), 2 x (B, N, F) -> 2 x (B, N, F)."""
        updated = self.after_attention(memory + self._attend(memory, row))
        candidate = self.after_mlp(updated + self.mlp(updated))
        forget, write, output = (input_gates + self.state_gates(h)).chunk(3, dim=-1)
        memory = torch.sigmoid(forget + FORGET_BIAS) * memory + torch.sigmoid(write) * candidate
        return torch.sigmoid(output) * torch.tanh(memory), memory

    def _attend(self, memory: Tensor, row: Tensor) -> Tensor:
        """Attention of the slots (B, N, F) to themselves and the input row (B, 1, F)."""
        everything = self.query_key_value(torch.cat([memory, row], dim=1))
        queries, keys, values = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, A, N + 1, F / A)
            for part in everything.chunk(3, dim=-1)
        )
        scores = queries[:, :, : self.slots] @ keys.transpose(2, 3) / math.sqrt(keys.shape[-1])
        read: Tensor = scores.softmax(dim=-1) @ values
        return read.transpose(1, 2).flatten(2)


def check_rmc_sizes(hidden_size: int, slots: int, heads: int) -> None:
    """Refuses sizes that do not divide.

    Raises:
        ValueError: the message names sizes that work.
    """
    check_positive("slots", slots)
    check_positive("heads", heads)
    unit = slots * heads
    check_divisible(hidden_size, unit, f"slots {slots} x heads {heads} = {unit}")

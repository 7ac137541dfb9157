"""The recurrent cells that RIMs run independently of one another (paper section 2.3).

Axes: B batch, K RIMs, H units per RIM, I attended input features, G gates of the cell.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rims_rl.core.init import orthogonal_per_rim

State = tuple[Tensor, Tensor]


class _IndependentCells(nn.Module):
    """K recurrent cells of the same size, each with its own weights."""

    gates: int

    def __init__(self, num_rims: int, input_size: int, rim_size: int) -> None:
        super().__init__()
        width = self.gates * rim_size
        self.weight_ih = nn.Parameter(torch.empty(num_rims, input_size, width))
        self.weight_hh = nn.Parameter(torch.empty(num_rims, rim_size, width))
        self.bias_ih = nn.Parameter(torch.zeros(num_rims, width))
        self.bias_hh = nn.Parameter(torch.zeros(num_rims, width))
        orthogonal_per_rim(self.weight_ih)
        orthogonal_per_rim(self.weight_hh)

    def input_gates(self, attended: Tensor) -> Tensor:
        """The input's part of all gates, (B, K, I) -> (B, K, G * H)."""
        return torch.einsum("bki,kig->bkg", attended, self.weight_ih) + self.bias_ih

    def _state_gates(self, h: Tensor) -> Tensor:
        return torch.einsum("bkh,khg->bkg", h, self.weight_hh) + self.bias_hh


class GRUDynamics(_IndependentCells):
    """Gated recurrent units, gates in the order r, z, n (as `torch.nn.GRU`)."""

    gates = 3

    def forward(self, attended: Tensor, h: Tensor, c: Tensor) -> State:
        """Candidate states of one step: (B, K, I), (B, K, H) -> (B, K, H); c is not used."""
        input_r, input_z, input_n = self.input_gates(attended).chunk(3, dim=-1)
        state_r, state_z, state_n = self._state_gates(h).chunk(3, dim=-1)
        r = torch.sigmoid(input_r + state_r)
        z = torch.sigmoid(input_z + state_z)
        n = torch.tanh(input_n + r * state_n)
        return n + z * (h - n), c


class LSTMDynamics(_IndependentCells):
    """Long short-term memory, gates in the order i, f, g, o (as `torch.nn.LSTM`)."""

    gates = 4

    def forward(self, attended: Tensor, h: Tensor, c: Tensor) -> State:
        """Candidate states and cells of one step: (B, K, I), 2 x (B, K, H) -> 2 x (B, K, H)."""
        i, f, g, o = (self.input_gates(attended) + self._state_gates(h)).chunk(4, dim=-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

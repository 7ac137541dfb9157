"""A causal Transformer called like a recurrent core, for tasks whose whole sequence is there.

Axes: T time, B batch, D input features, S hidden units.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Transformer(nn.Module):
    """Layers of causal self-attention (Vaswani et al. 2017), normalised before each block.

    Positions are sines and cosines, so that sequences may be longer than those of training.

    Args:
        input_size: features D.
        hidden_size: units S.
        layers: how many.
        heads: attention heads.
    """

    def __init__(self, input_size: int, hidden_size: int, layers: int, heads: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = self.output_size = hidden_size
        self.row = nn.Linear(input_size, hidden_size)
        layer = nn.TransformerEncoderLayer(
            hidden_size, heads, dim_feedforward=4 * hidden_size, dropout=0.0, norm_first=True
        )
        self.layers = nn.TransformerEncoder(
            layer, layers, norm=nn.LayerNorm(hidden_size), enable_nested_tensor=False
        )

    def forward(self, x: Tensor, state: None = None) -> tuple[Tensor, None]:
        """Runs over whole sequences, (T, B, D) -> (T, B, S); there is no state to go on from."""
        mask = nn.Transformer.generate_square_subsequent_mask(len(x), x.device, x.dtype)
        positions = sinusoids(len(x), self.hidden_size).to(x).unsqueeze(1)
        return self.layers(self.row(x) + positions, mask=mask, is_causal=True), None


def sinusoids(length: int, size: int) -> Tensor:
    """Position codes (T, S): sines in the even features, cosines in the odd ones."""
    rates = torch.exp(-math.log(10_000.0) * torch.arange(0, size, 2) / size)
    angles = torch.arange(length).unsqueeze(1) * rates
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :size]

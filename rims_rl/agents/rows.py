"""Heads of convolutional extractors: one vector of features, or a row for each position."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class PositionedRows(nn.Module):
    """Input rows for a core's attention: one for each position of a map, with where it is.

    The spatial input of the paper's section 2.2. What a position holds goes through a linear
    layer, and a learned encoding of the position is added.

    Args:
        channels: C of the map.
        map_shape: its height and width, whose product is R.
        features_dim: D of a row.
    """

    def __init__(self, channels: int, map_shape: tuple[int, int], features_dim: int) -> None:
        super().__init__()
        self.map_shape = map_shape
        positions = math.prod(map_shape)
        self.content = nn.Linear(channels, features_dim)
        # Rows of about unit length, so that places differ about as much as contents do.
        self.place = nn.Parameter(torch.randn(positions, features_dim) * features_dim**-0.5)
        self._channels = channels

    def forward(self, flat: Tensor) -> Tensor:
        """A flattened map (B, C * R) -> rows (B, R, D)."""
        rows: Tensor = self.content(flat.unflatten(1, (self._channels, -1)).transpose(1, 2))
        return rows + self.place


def make_head(
    channels: int, map_shape: tuple[int, int], features_dim: int, rows: bool
) -> nn.Module:
    """The layer behind a flattened map (B, channels * R).

    Args:
        channels: of the map.
        map_shape: its height and width, whose product is R.
        features_dim: D.
        rows: whether it gives a row for each position, (B, R, D), or one vector (B, D).
    """
    if rows:
        return PositionedRows(channels, map_shape, features_dim)
    return nn.Linear(channels * math.prod(map_shape), features_dim)


def append(features: Tensor, extra: Tensor) -> Tensor:
    """Appends to features (B, D) or to each of their rows (B, R, D) what is (B, E)."""
    if features.dim() == 3:
        extra = extra.unsqueeze(1).expand(-1, features.shape[1], -1)
    return torch.cat([features, extra.to(features.dtype)], dim=-1)

"""Heads of convolutional extractors: one vector of features, or a row for each position."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PositionedRows(nn.Module):
    """Input rows for a core's attention: one for each position of a map, with where it is.

    The spatial input of the paper's section 2.2. What a position holds goes through a linear
    layer, and a learned encoding of the position is added.

    Args:
        channels: C of the map.
        positions: R, height times width.
        features_dim: D of a row.
    """

    def __init__(self, channels: int, positions: int, features_dim: int) -> None:
        super().__init__()
        self.content = nn.Linear(channels, features_dim)
        # Rows of about unit length, so that places differ about as much as contents do.
        self.place = nn.Parameter(torch.randn(positions, features_dim) * features_dim**-0.5)
        self._channels = channels

    def forward(self, flat: Tensor) -> Tensor:
        """A flattened map (B, C * R) -> rows (B, R, D)."""
        rows: Tensor = self.content(flat.unflatten(1, (self._channels, -1)).transpose(1, 2))
        return rows + self.place


def make_head(channels: int, positions: int, features_dim: int, rows: bool) -> nn.Module:
    """The layer behind a flattened map (B, channels * positions).

    Args:
        channels: of the map.
        positions: height times width of the map.
        features_dim: D.
        rows: whether it gives a row for each position, (B, positions, D), or one vector (B, D).
    """
    if rows:
        return PositionedRows(channels, positions, features_dim)
    return nn.Linear(channels * positions, features_dim)


def append(features: Tensor, extra: Tensor) -> Tensor:
    """Appends to features (B, D) or to each of their rows (B, R, D) what is (B, E)."""
    if features.dim() == 3:
        extra = extra.unsqueeze(1).expand(-1, features.shape[1], -1)
    return torch.cat([features, extra.to(features.dtype)], dim=-1)

"""The order of RIMs by their attention, in which ties go to the lowest index."""

from __future__ import annotations

import torch
from torch import Tensor

from rims_rl.core.tracing import is_exporting


def from_largest(x: Tensor, dim: int) -> Tensor:
    """Indices of the entries along an axis from the largest to the smallest; no gradient.

    Args:
        x: of any shape.
        dim: the axis.

    Returns:
        integers of the same shape.
    """
    x = x.detach()
    if not is_exporting():
        return x.sort(dim=dim, descending=True, stable=True).indices
    # ONNX knows no stable sort: count who comes before each entry.
    x = x.movedim(dim, -1)
    other, own = x.unsqueeze(-2), x.unsqueeze(-1)
    earlier = torch.ones(x.shape[-1], x.shape[-1], dtype=torch.bool, device=x.device).tril(-1)
    places = ((other > own) | ((other == own) & earlier)).sum(-1)
    return places.sort(dim=-1).indices.movedim(-1, dim)

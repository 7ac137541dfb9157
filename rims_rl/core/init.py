"""Initialisation of weights that are stored as (K, in, out): one matrix for each RIM."""

from __future__ import annotations

import math

from torch import Tensor, nn


def scaled_normal(weight: Tensor) -> None:
    """Fills (..., in, out) with N(0, 1 / in), so that a projection keeps its input's scale.

    The released code starts at 0.01 * N(0, 1), which leaves all attention scores equal to within
    1e-3 and the choice of active RIMs to rounding.
    """
    nn.init.normal_(weight, std=1.0 / math.sqrt(weight.shape[-2]))


def orthogonal_per_rim(weight: Tensor) -> None:
    """Fills each RIM's matrix of (K, in, out) with its own orthogonal matrix."""
    for matrix in weight:
        nn.init.orthogonal_(matrix)

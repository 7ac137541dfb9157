"""A RIM core in which each RIM reads an input of its own, made of an ordinary one.

Axes: K RIMs, H units per RIM, D features of a row, N = K heads, E and V sizes of a key and a value.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from rims_rl.core import RIM
from rims_rl.runs.errors import UsageError


class Masked(nn.Module):
    """Holds the entries of a weight that the mask excludes at 0.

    Args:
        mask: 1 where the weight is free, 0 where not; broadcasts to the weight.
    """

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask, persistent=False)
        self.mask: Tensor

    def forward(self, weight: Tensor) -> Tensor:
        """The weight with its excluded entries at 0."""
        return weight * self.mask


def rim_with_input_each(row_size: int, options: Mapping[str, Any]) -> RIM:
    """Makes a RIM core whose RIM k reads columns k * D to (k + 1) * D of the input (T, B, K * D).

    It has one attention head for each RIM. Head k sees row k alone, and RIM k asks and reads
    through head k alone, all by weights held at 0. The score of RIM k in any other head is
    therefore 0, its attention there one half: the mean over heads, by which RIMs are chosen, is
    ``(a_k + (K - 1) / 2) / K`` for attention a_k on the own row, which keeps the order; the width
    of a soft edge is divided by K likewise.

    Args:
        row_size: features D of a row.
        options: of the core, as `RIMConfig`, but for input_heads.

    Raises:
        UsageError: the input attention is a competition for one input.
    """
    rims = options["num_rims"]
    core = RIM(rims * row_size, **{**options, "input_heads": rims})
    width = core.config.edge_width / rims
    core.config = config = dataclasses.replace(core.config, edge_width=width)
    if config.input_attention == "competition":
        raise UsageError("RIMs with an input each do not compete for it: use another --variant")
    if core.input_attention is None:
        _hold_inputs(core, row_size, row_size)
        return core
    with torch.no_grad():  # made for sums over all rows, of which one is left
        core.input_attention.key_value_weight.mul_(math.sqrt(rims))
    keys, values = config.input_key_size, config.input_value_size
    rows = _blocks(rims, row_size, keys), _blocks(rims, row_size, values or 0)
    key_value = torch.cat([part.flatten(0, 1) for part in rows], dim=1)
    own_head = _blocks(rims, 1, keys)
    _hold(core.input_attention, "key_value_weight", key_value)
    _hold(core.input_attention, "query_weight", own_head)
    if core.input_attention.query_bias is not None:
        _hold(core.input_attention, "query_bias", own_head.squeeze(1))
    if values:
        _hold_inputs(core, values, values)
    else:  # head k has all rows, of which row k is read
        _hold_inputs(core, row_size, (rims + 1) * row_size)
    return core


def masked_count(model: nn.Module) -> int:
    """The number of a model's parameters that are held at 0."""
    count = 0
    for module in model.modules():
        if isinstance(module, parametrize.ParametrizationList):
            for part in module:
                if isinstance(part, Masked):
                    free = part.mask.expand_as(module.original)
                    count += int((free == 0).sum())
    return count


def _blocks(rims: int, rows: int, columns: int) -> Tensor:
    """For each RIM a matrix that is 1 in its own block of columns, (K, rows, K * columns)."""
    own = torch.eye(rims).repeat_interleave(columns, dim=1)
    return own.unsqueeze(1).expand(rims, rows, rims * columns)


def _hold_inputs(core: RIM, size: int, step: int) -> None:
    """Lets the cell of RIM k read only inputs k * step to k * step + size."""
    weight = core.dynamics.weight_ih.detach()
    mask = torch.zeros(*weight.shape[:2], 1)
    for rim, matrix in enumerate(weight):
        own = slice(rim * step, rim * step + size)
        nn.init.orthogonal_(matrix[own])
        mask[rim, own] = 1.0
    _hold(core.dynamics, "weight_ih", mask)


def _hold(module: nn.Module, name: str, mask: Tensor) -> None:
    parametrize.register_parametrization(module, name, Masked(mask))

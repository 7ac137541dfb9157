"""How RIMs look at the input and at each other: input attention, selection, communication.

Axes: T time, B batch, K RIMs, H units a RIM, D input features, R input rows, N heads,
E size of a key, V size of a value.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rims_rl.core.config import RIMConfig
from rims_rl.core.init import orthogonal_per_rim, scaled_normal

#: The released code's guard against an empty competition (``blocks_core.py``).
_SPARSIFY_EPSILON = 1e-7


class InputRows(NamedTuple):
    """What RIMs can read of the input; does not depend on their states."""

    keys: Tensor  # (..., R, N, E)
    values: Tensor  # (..., R, N, V)


class InputAttention(nn.Module):
    """Queries of each RIM against keys of the input rows (paper section 2.2).

    Keys and values are maps shared by all RIMs, queries are each RIM's own. No map has a bias,
    so that the null row has score 0 and value 0.
    """

    def __init__(self, config: RIMConfig) -> None:
        super().__init__()
        assert config.input_value_size is not None
        self.competition = config.input_attention == "competition"
        self.num_active = config.num_active
        self.heads = config.input_heads
        self.dropout = nn.Dropout(config.dropout)
        keys = self.heads * config.input_key_size
        values = self.heads * config.input_value_size
        self.query_weight = nn.Parameter(torch.empty(config.num_rims, config.rim_size, keys))
        self.key_weight = nn.Parameter(torch.empty(config.input_size, keys))
        self.value_weight = nn.Parameter(torch.empty(config.input_size, values))
        scaled_normal(self.query_weight)
        scaled_normal(self.key_weight)
        scaled_normal(self.value_weight)

    def project(self, x: Tensor) -> InputRows:
        """Computes keys and values of all steps at once, (T, B, R, D) -> (T, B, R, N, E or V)."""
        keys, values = x @ self.key_weight, x @ self.value_weight
        return InputRows(
            keys.unflatten(-1, (self.heads, -1)), values.unflatten(-1, (self.heads, -1))
        )

    def forward(self, rows: InputRows, h: Tensor) -> tuple[Tensor, Tensor]:
        """Reads one step's rows with the states h.

        Args:
            rows: keys (B, R, N, E) and values (B, R, N, V) of this step.
            h: states (B, K, H).

        Returns:
            attended input (B, K, N * V); attention on the real input (B, K), the sum over rows
            and the mean over heads.
        """
        queries = torch.einsum("bkh,khq->bkq", h, self.query_weight)
        queries = queries.unflatten(-1, (self.heads, -1))
        scores = torch.einsum("bkne,brne->bknr", queries, rows.keys)
        scores = scores / math.sqrt(rows.keys.shape[-1])
        attention = self._compete(scores) if self.competition else _softmax_with_null(scores)
        attended = torch.einsum("bknr,brnv->bknv", self.dropout(attention), rows.values)
        return attended.flatten(-2), attention.sum(dim=-1).mean(dim=-1)

    def _compete(self, scores: Tensor) -> Tensor:
        """Softmax across RIMs, the losers' weight taken away: (B, K, N, R) -> the same."""
        attention = scores.softmax(dim=1)
        if attention.shape[1] > self.num_active + 1:
            ranked = attention.sort(dim=1, descending=True).values
            threshold = ranked[:, self.num_active : self.num_active + 1] + _SPARSIFY_EPSILON
            attention = (attention - threshold).clamp(min=0.0)
            attention = attention / (attention.sum(dim=1, keepdim=True) + _SPARSIFY_EPSILON)
        return attention


def _softmax_with_null(scores: Tensor) -> Tensor:
    """Softmax over the rows and a null row of score 0, of which only the rows are returned."""
    null = torch.zeros_like(scores[..., :1])
    return torch.cat([null, scores], dim=-1).softmax(dim=-1)[..., 1:]


def select_active(attention: Tensor, num_active: int) -> Tensor:
    """Chooses the RIMs that attend most to the real input (paper section 2.2).

    With a null row that is the same as least attention on it. Ties go to the lowest index. The
    choice carries no gradient.

    Args:
        attention: attention on the real input (B, K).
        num_active: how many to choose.

    Returns:
        bool mask (B, K) with exactly num_active RIMs set in each row.
    """
    ranked = attention.detach().sort(dim=1, descending=True, stable=True).indices
    mask = torch.zeros_like(attention, dtype=torch.bool)
    return mask.scatter(1, ranked[:, :num_active], True)


class Communication(nn.Module):
    """Attention of the RIMs to one another (paper section 2.4).

    Queries, keys and values are each RIM's own maps, without bias. How the message changes the
    reader is `RIMConfig.communication`. The paper leaves open how heads of any size add to a
    state of H units; our reading is an output map: each RIM's own for ``"residual"``, one shared
    map with bias and a gate beside it for ``"gated"`` (as released) and ``"bounded"``.
    """

    def __init__(self, config: RIMConfig) -> None:
        super().__init__()
        self.kind = config.communication
        self.heads = config.comm_heads
        self.top_k = config.comm_top_k
        self.dropout = nn.Dropout(config.dropout)
        rims, units = config.num_rims, config.rim_size
        keys = self.heads * config.comm_key_size
        values = self.heads * config.comm_value_size
        self.query_weight = nn.Parameter(torch.empty(rims, units, keys))
        self.key_weight = nn.Parameter(torch.empty(rims, units, keys))
        self.value_weight = nn.Parameter(torch.empty(rims, units, values))
        for weight in (self.query_weight, self.key_weight, self.value_weight):
            scaled_normal(weight)
        if self.kind == "residual":
            self.output_weight = nn.Parameter(torch.empty(rims, values, units))
            orthogonal_per_rim(self.output_weight)
        else:
            self.output = nn.Linear(values, units)
            self.gate = nn.Linear(values, units)
            if self.kind == "bounded":
                # A gate that starts nearly closed learned fastest (docs/default_cell.md).
                nn.init.constant_(self.gate.bias, -2.0)

    def forward(self, h: Tensor, readable: Tensor) -> tuple[Tensor, Tensor]:
        """Lets every RIM read from all RIMs.

        Args:
            h: what the message changes (B, K, H).
            readable: what readers and sources show of themselves (B, K, H).

        Returns:
            h after communication (B, K, H); attention (B, N, K, K), a row for each reader.
        """
        queries, keys, values = (
            torch.einsum("bkh,khe->bke", readable, weight).unflatten(-1, (self.heads, -1))
            for weight in (self.query_weight, self.key_weight, self.value_weight)
        )
        scores = torch.einsum("bkne,bjne->bnkj", queries, keys) / math.sqrt(keys.shape[-1])
        attention = self._sparsify(scores.softmax(dim=-1))
        read = torch.einsum("bnkj,bjnv->bknv", self.dropout(attention), values).flatten(-2)
        if self.kind == "residual":
            return h + torch.einsum("bkv,kvh->bkh", read, self.output_weight), attention
        gate, message = torch.sigmoid(self.gate(read)), torch.tanh(self.output(read))
        if self.kind == "gated":
            return h + gate * message, attention
        return h + gate * (message - h), attention

    def _sparsify(self, attention: Tensor) -> Tensor:
        if self.top_k is None:
            return attention
        ranked = attention.detach().sort(dim=-1, descending=True, stable=True).indices
        kept = torch.zeros_like(attention).scatter(-1, ranked[..., : self.top_k], 1.0)
        attention = attention * kept
        return attention / attention.sum(dim=-1, keepdim=True)

"""How RIMs look at the input and at each other: input attention, selection, communication.

Axes: T time, B batch, M = T * B, K RIMs, H units a RIM, G gates a unit, D input features, R input
rows, N heads, E size of a key, V size of a value.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rims_rl.core.config import RIMConfig
from rims_rl.core.init import orthogonal_per_rim, scaled_normal

#: The released code's guard against an empty competition (``blocks_core.py``).
SPARSIFY_EPSILON = 1e-7

#: Bias of a bounded gate at the start: nearly closed learned fastest (docs/default_cell.md).
_CLOSED_GATE = -2.0


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
        self.key_size = config.input_key_size
        self.competition = config.input_attention == "competition"
        self.num_active = config.num_active
        self.heads = config.input_heads
        self.dropout = nn.Dropout(config.dropout)
        keys = self.heads * config.input_key_size
        values = self.heads * config.input_value_size
        self.query_weight = nn.Parameter(torch.empty(config.num_rims, config.rim_size, keys))
        self.key_value_weight = nn.Parameter(torch.empty(config.input_size, keys + values))
        scaled_normal(self.query_weight)
        scaled_normal(self.key_value_weight)

    def project(self, x: Tensor) -> InputRows:
        """Computes keys and values of all steps at once, (..., R, D) -> (..., R, N, E or V)."""
        keys_and_values = x @ self.key_value_weight
        keys = self.heads * self.key_size
        return InputRows(
            keys_and_values[..., :keys].unflatten(-1, (self.heads, -1)),
            keys_and_values[..., keys:].unflatten(-1, (self.heads, -1)),
        )

    def is_merging_cheaper(self, count: int) -> bool:
        """Whether `project_merged` takes fewer multiplications than `project` for so many rows."""
        features, sizes = self.key_value_weight.shape
        value_size = sizes // self.heads - self.key_size
        return features * value_size < count * (value_size - features)

    def project_merged(self, x: Tensor, weight_ih: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The keys, and one map for values and cells: their product is small if the input is.

        Args:
            x: (M, 1, D).
            weight_ih: of the cells, (K, N * V, G * H).

        Returns:
            keys (M, N, E), the input for each head (M, N, D), and the maps (K, N * D, G * H) that
            take the place of `weight_ih`.
        """
        key_weight = self.key_value_weight[:, : self.heads * self.key_size]
        value_weight = self.key_value_weight[:, self.heads * self.key_size :]
        keys = (x @ key_weight).view(len(x), self.heads, -1)
        of_head = value_weight.unflatten(1, (self.heads, -1)).swapaxes(0, 1)  # (N, D, V)
        maps = of_head @ weight_ih.unflatten(1, (self.heads, -1))  # (K, N, D, G * H)
        return keys, x.expand(-1, self.heads, -1), maps.flatten(1, 2)

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
        if self.competition:
            attention = compete(scores.softmax(dim=1), self.num_active, dim=1)
        else:
            attention = _softmax_with_null(scores)
        attended = torch.einsum("bknr,brnv->bknv", self.dropout(attention), rows.values)
        return attended.flatten(-2), attention.sum(dim=-1).mean(dim=-1)


def compete(softmax: Tensor, num_active: int, dim: int) -> Tensor:
    """Takes from all RIMs' weight that of the first loser, as the released code does.

    It does so only where more than one RIM loses.

    Args:
        softmax: weights that add up to 1 over the RIMs.
        num_active: how many RIMs win.
        dim: the RIMs' axis.

    Returns:
        weights of the same shape, 0 for losers, that again add up to 1 (but for an epsilon).
    """
    if softmax.shape[dim] <= num_active + 1:
        return softmax
    ranked = softmax.sort(dim=dim, descending=True, stable=True).values
    left = (softmax - (ranked.narrow(dim, num_active, 1) + SPARSIFY_EPSILON)).clamp(min=0.0)
    return left / (left.sum(dim=dim, keepdim=True) + SPARSIFY_EPSILON)


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

    Queries, keys and values are each RIM's own maps, without bias, side by side in one weight.
    How the message changes the reader is `RIMConfig.communication`. The paper leaves open how
    heads of any size add to a state of H units; our reading is an output map: each RIM's own for
    ``"residual"``, one shared map with bias and a gate's beside it for ``"gated"`` (as released)
    and ``"bounded"``.
    """

    def __init__(self, config: RIMConfig) -> None:
        super().__init__()
        self.kind = config.communication
        self.heads = config.comm_heads
        self.top_k = config.comm_top_k
        self.dropout = nn.Dropout(config.dropout)
        rims, units = config.num_rims, config.rim_size
        self.keys = self.heads * config.comm_key_size
        values = self.heads * config.comm_value_size
        self.qkv_weight = nn.Parameter(torch.empty(rims, units, 2 * self.keys + values))
        scaled_normal(self.qkv_weight)
        self.output_bias: nn.Parameter | None = None
        if self.kind == "residual":
            self.output_weight = nn.Parameter(torch.empty(rims, values, units))
            orthogonal_per_rim(self.output_weight)
        else:  # the message's map beside the gate's
            self.output_weight = nn.Parameter(torch.empty(values, 2 * units))
            scaled_normal(self.output_weight)
            bias = torch.zeros(2 * units)
            if self.kind == "bounded":
                bias[units:] = _CLOSED_GATE
            self.output_bias = nn.Parameter(bias)

    def forward(self, h: Tensor, readable: Tensor) -> tuple[Tensor, Tensor]:
        """Lets every RIM read from all RIMs.

        Args:
            h: what the message changes (B, K, H).
            readable: what readers and sources show of themselves (B, K, H).

        Returns:
            h after communication (B, K, H); attention (B, N, K, K), a row for each reader.
        """
        qkv = torch.einsum("bkh,khe->bke", readable, self.qkv_weight)
        queries, keys, values = (
            part.unflatten(-1, (self.heads, -1))
            for part in qkv.tensor_split((self.keys, 2 * self.keys), dim=-1)
        )
        scores = torch.einsum("bkne,bjne->bnkj", queries, keys) / math.sqrt(keys.shape[-1])
        attention = self._sparsify(scores.softmax(dim=-1))
        read = torch.einsum("bnkj,bjnv->bknv", self.dropout(attention), values).flatten(-2)
        if self.kind == "residual":
            return h + torch.einsum("bkv,kvh->bkh", read, self.output_weight), attention
        assert self.output_bias is not None
        message, gate = (read @ self.output_weight + self.output_bias).chunk(2, dim=-1)
        message, gate = torch.tanh(message), torch.sigmoid(gate)
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

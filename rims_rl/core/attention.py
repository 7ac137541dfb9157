"""The attention of RIMs on the input, and which of them that makes active.

Axes: T time, B batch, M = T * B, K RIMs, H units per RIM, G gates per unit, D input features,
R input rows, N heads, E size of a key, V size of a value.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rims_rl.core.config import RIMConfig
from rims_rl.core.init import scaled_normal
from rims_rl.core.ranking import from_largest

#: The released code's guard against an empty competition (``blocks_core.py``).
SPARSIFY_EPSILON = 1e-7


class InputRows(NamedTuple):
    """The part of the input that RIMs can read; does not depend on their states."""

    keys: Tensor  # (..., R, N, E)
    values: Tensor  # (..., R, N, V)


class InputAttention(nn.Module):
    """Queries of each RIM against keys of the input rows (paper section 2.2).

    Without `RIMConfig.read_null` what is read are the real rows alone, weighed by a softmax over
    them; for a single row that is the row itself. The null row then counts as often as there are
    real rows: alone beside 49 places nobody would see it, all RIMs' attention would be close to 1,
    and no winner would move far.

    Keys and values are maps shared by all RIMs, queries are each RIM's own. The null row has score
    0 and value 0. In the paper no map has a bias: then a RIM with a state of zeros scores 0
    whatever the input, and a key's direction alone decides who wins. `RIMConfig.query_bias` and
    ``key_bias`` make score k an affine function of state and input.
    """

    def __init__(self, config: RIMConfig) -> None:
        super().__init__()
        self.key_size = config.input_key_size
        self.mapped = config.input_value_size is not None
        #: Of a value, for each head.
        self.value_size = config.input_value_size or config.input_size
        self.competition = config.input_attention == "competition"
        self.num_active = config.num_active
        self.read_null = config.read_null
        self.heads = config.input_heads
        self.dropout = nn.Dropout(config.dropout)
        keys = self.heads * config.input_key_size
        values = self.heads * self.value_size if self.mapped else 0
        self.query_weight = nn.Parameter(torch.empty(config.num_rims, config.rim_size, keys))
        self.key_value_weight = nn.Parameter(torch.empty(config.input_size, keys + values))
        scaled_normal(self.query_weight)
        scaled_normal(self.key_value_weight)
        #: RIMs that do not compete, bool (K,), see `RIM.hold_inactive`; None where all do.
        self.held: Tensor | None
        self.register_buffer("held", None, persistent=False)
        self.query_bias: nn.Parameter | None = None
        self.key_bias: nn.Parameter | None = None
        if config.query_bias:
            of_each = torch.randn(config.num_rims, keys)
            self.query_bias = nn.Parameter(config.score_bias_std * of_each)
        if config.key_bias:
            self.key_bias = nn.Parameter(config.score_bias_std * torch.randn(keys))

    def project(self, x: Tensor) -> InputRows:
        """Computes keys and values of all steps at once, (..., R, D) -> (..., R, N, E or V)."""
        keys_and_values = x @ self.key_value_weight
        size = self.heads * self.key_size
        keys = self._with_bias(keys_and_values[..., :size]).unflatten(-1, (self.heads, -1))
        if not self.mapped:
            return InputRows(keys, x.unsqueeze(-2).expand(*x.shape[:-1], self.heads, -1))
        return InputRows(keys, keys_and_values[..., size:].unflatten(-1, (self.heads, -1)))

    def _with_bias(self, keys: Tensor) -> Tensor:
        return keys if self.key_bias is None else keys + self.key_bias

    def is_merging_cheaper(self, count: int) -> bool:
        """Tells whether `project_merged` multiplies less than `project` for so many rows."""
        if not self.mapped:
            return False
        features = len(self.key_value_weight)
        return features * self.value_size < count * (self.value_size - features)

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
        keys = self._with_bias(x @ key_weight).view(len(x), self.heads, -1)
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
        weights, attention = self.weigh(rows, h)
        attended = torch.einsum("bknr,brnv->bknv", self.dropout(weights), rows.values)
        return attended.flatten(-2), attention.sum(dim=-1).mean(dim=-1)

    def weigh(self, rows: InputRows, h: Tensor) -> tuple[Tensor, Tensor]:
        """Weights of the rows, (B, K, N, R): the first to read by, the second to choose RIMs by.

        Args:
            rows: of this step, as for `forward`.
            h: states (B, K, H).
        """
        queries = torch.einsum("bkh,khq->bkq", h, self.query_weight)
        if self.query_bias is not None:
            queries = queries + self.query_bias
        queries = queries.unflatten(-1, (self.heads, -1))
        scores = torch.einsum("bkne,brne->bknr", queries, rows.keys)
        scores = scores / math.sqrt(rows.keys.shape[-1])
        competing = scores
        if self.held is not None:
            competing = scores.masked_fill(self.held[:, None, None], -torch.inf)
        if self.competition:
            attention = compete(competing.softmax(dim=1), self.num_active, dim=1)
        else:
            nulls = competing[..., :1] if self.read_null else competing
            attention = _softmax_with(torch.zeros_like(nulls), competing)
        return attention if self.read_null else scores.softmax(dim=-1), attention


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
    ranked = softmax.gather(dim, from_largest(softmax, dim))
    left = (softmax - (ranked.narrow(dim, num_active, 1) + SPARSIFY_EPSILON)).clamp(min=0.0)
    return left / (left.sum(dim=dim, keepdim=True) + SPARSIFY_EPSILON)


def _softmax_with(nulls: Tensor, scores: Tensor) -> Tensor:
    """Softmax over null rows and real ones, of which only the real ones are returned."""
    return torch.cat([nulls, scores], dim=-1).softmax(dim=-1)[..., nulls.shape[-1] :]


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
    ranked = from_largest(attention, dim=1)
    mask = torch.zeros_like(attention, dtype=torch.bool)
    return mask.scatter(1, ranked[:, :num_active], True)

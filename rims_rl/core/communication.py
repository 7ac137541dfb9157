"""Communication: RIMs read from one another.

Axes: B batch, K RIMs, H units per RIM, N heads, V numbers that a RIM reads, O numbers per unit
that a message has.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from rims_rl.core.config import RIMConfig
from rims_rl.core.forms import COMMUNICATIONS
from rims_rl.core.init import orthogonal_per_rim, scaled_normal
from rims_rl.core.ranking import from_largest


class Communication(nn.Module):
    """Attention of the RIMs to one another (paper section 2.4).

    Queries, keys and values are each RIM's own maps, without bias, side by side in one weight.
    How the message changes the reader is `RIMConfig.communication`. The paper leaves open how
    heads of any size add to a state of H units; for the published variants our reading is an output
    map: each RIM's own for ``"residual"``, one shared map with bias and a gate's beside it for
    ``"gated"`` (as released) and ``"bounded"``. By default there is none: heads read the message
    itself, with two heads one its content and the other its gate.
    """

    def __init__(self, config: RIMConfig) -> None:
        super().__init__()
        assert config.communication is not None
        self.form = COMMUNICATIONS.find(config.communication)
        self.heads = config.comm_heads
        self.top_k = config.comm_top_k
        self.dropout = nn.Dropout(config.dropout)
        rims, units = config.num_rims, config.rim_size
        self.keys = self.heads * config.comm_key_size
        values = self.heads * config.comm_value_size
        self.qkv_weight = nn.Parameter(torch.empty(rims, units, 2 * self.keys + values))
        scaled_normal(self.qkv_weight)
        outputs = self.form.outputs * units
        self.output_weight: nn.Parameter | None = None
        self.output_bias: nn.Parameter | None = None
        if config.comm_output_map:
            own = (rims,) if self.form.own_maps else ()
            self.output_weight = nn.Parameter(torch.empty(*own, values, outputs))
            (orthogonal_per_rim if own else scaled_normal)(self.output_weight)
        if not self.form.own_maps:
            bias = torch.zeros(outputs)
            if self.form.gated:
                bias[units : 2 * units] = config.comm_gate_bias
            self.output_bias = nn.Parameter(bias)

    def forward(self, readable: Tensor) -> tuple[Tensor, Tensor]:
        """Lets every RIM read from all RIMs.

        Args:
            readable: what readers and sources show of themselves (B, K, H).

        Returns:
            message to each reader (B, K, O * H); attention (B, N, K, K), a row for each reader.
        """
        qkv = torch.einsum("bkh,khe->bke", readable, self.qkv_weight)
        queries, keys, values = (
            part.unflatten(-1, (self.heads, -1))
            for part in qkv.tensor_split((self.keys, 2 * self.keys), dim=-1)
        )
        scores = torch.einsum("bkne,bjne->bnkj", queries, keys) / math.sqrt(keys.shape[-1])
        attention = self._sparsify(scores.softmax(dim=-1))
        read = torch.einsum("bnkj,bjnv->bknv", self.dropout(attention), values).flatten(-2)
        message = read
        if self.output_weight is not None:
            own = self.output_weight.dim() == 3
            message = torch.einsum(f"bkv,{'k' * own}vh->bkh", read, self.output_weight)
        return message if self.output_bias is None else message + self.output_bias, attention

    def _sparsify(self, attention: Tensor) -> Tensor:
        if self.top_k is None:
            return attention
        ranked = from_largest(attention, dim=-1)
        kept = torch.zeros_like(attention).scatter(-1, ranked[..., : self.top_k], 1.0)
        attention = attention * kept
        return attention / attention.sum(dim=-1, keepdim=True)

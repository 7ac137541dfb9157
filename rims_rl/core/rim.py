"""Recurrent Independent Mechanisms as a recurrent layer in the manner of `torch.nn.LSTM`.

Axes: T time, B batch, M = T * B, K RIMs, H units a RIM, D input features, R input rows, N heads.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from rims_rl.core.attention import Communication, InputAttention, InputRows, select_active
from rims_rl.core.backends import choose_kernel
from rims_rl.core.config import RIMConfig
from rims_rl.core.dynamics import GRUDynamics, LSTMDynamics, State
from rims_rl.core.scan import (
    Kernel,
    ScanInputs,
    ScanSpec,
    project_for_rims,
    scan,
    score_scale,
)
from rims_rl.core.sequence import check_sequence, initial_state, keep_factors


class RIMInfo(NamedTuple):
    """What happened inside the core, for analysis."""

    active_mask: Tensor  # (T, B, K) bool
    input_attention: Tensor | None  # (T, B, K), on the real input; None without the attention
    communication_attention: Tensor | None  # (T, B, N, K, K), a row for each reader; inactive: 0


class RIM(nn.Module):
    """A recurrent layer of K modules that compete for the input (Goyal et al. 2019, section 2).

    At each step every RIM attends to the input, the num_active of them that attend most are
    active: they run their own recurrent cell and then read from one another. The state of the
    others does not change.

    Example:
        >>> rim = RIM(input_size=64, hidden_size=60, num_rims=6, num_active=4)
        >>> output, (h, c) = rim(torch.randn(10, 3, 64))  # (T, B, D) -> (T, B, K * H)

    Args:
        input_size: features D of an input row.
        hidden_size: units K * H of all RIMs together.
        *args: the remaining fields of `RIMConfig`, in its order.
        **kwargs: the same by name.

    Raises:
        ValueError: as `RIMConfig`.
    """

    num_layers = 1

    def __init__(self, input_size: int, hidden_size: int, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.config = config = RIMConfig(input_size, hidden_size, *args, **kwargs)
        self.input_size = input_size
        self.hidden_size = self.output_size = hidden_size
        attended_size = input_size
        self.input_attention: InputAttention | None = None
        if config.input_attention is not None:
            self.input_attention = InputAttention(config)
            attended_size = config.input_heads * cast(int, config.input_value_size)
        cells = {"gru": GRUDynamics, "lstm": LSTMDynamics}[config.dynamics]
        self.dynamics = cells(config.num_rims, attended_size, config.rim_size)
        self.communication = Communication(config) if config.communication else None

    def forward(
        self,
        x: Tensor,
        state: State | None = None,
        episode_starts: Tensor | None = None,
        return_info: bool = False,
    ) -> tuple[Tensor, State] | tuple[Tensor, State, RIMInfo]:
        """Runs the core over a sequence; under autocast in the weights' own type.

        Args:
            x: input (T, B, D), or (T, B, R, D) with several rows, such as positions of an image.
            state: (h, c), each (1, B, K * H); zeros if None. GRU dynamics hand c on as it is.
            episode_starts: (T, B); where it is 1 the state is zeroed before that step.
            return_info: also return a `RIMInfo`.

        Returns:
            output (T, B, K * H), state after the last step as given, and the info if asked for.

        Raises:
            ValueError: a shape does not fit, or the backend asked for cannot run here.
        """
        device = x.device.type
        if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
            # Attention rounded to 16 bits would choose other RIMs.
            with torch.autocast(device, enabled=False):
                x = x.to(self.dynamics.weight_hh.dtype)
                return self.forward(x, state, episode_starts, return_info)
        check_sequence(x, self.input_size, state, self.hidden_size, episode_starts)
        if x.dim() == 4 and self.input_attention is None:
            raise ValueError("without input attention the input must be one row, (T, B, D)")
        if x.dim() == 4 and x.shape[2] == 1:
            x = x.squeeze(2)  # a single row may take the fast paths
        given = state or initial_state(x, self.hidden_size)
        h, c = (s.reshape(-1, self.config.num_rims, self.config.rim_size) for s in given)
        keep = keep_factors(episode_starts, x)
        kernel = choose_kernel(self.config, x, self.training)
        if kernel is None:
            outputs, h, c, info = self._run_reference(x, h, c, keep)
        else:
            outputs, h, c, info = self._run_scan(kernel, x, h, c, keep, return_info)
        new_h = h.flatten(-2).unsqueeze(0)
        new_c = c.flatten(-2).unsqueeze(0) if self.config.dynamics == "lstm" else given[1]
        output = outputs.flatten(-2)
        return (output, (new_h, new_c), info) if return_info else (output, (new_h, new_c))

    def _run_reference(
        self, x: Tensor, h: Tensor, c: Tensor, keep: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, RIMInfo]:
        """Runs step by step: the plain statement of what every backend computes."""
        outputs, infos = [], []
        for t, step_input in enumerate(self._inputs_of_each_step(x)):
            if keep is not None:
                h, c = h * keep[t, :, None, None], c * keep[t, :, None, None]
            h, c, info = self._step(step_input, h, c)
            outputs.append(h)
            infos.append(info)
        return torch.stack(outputs), h, c, _stack_infos(infos)

    def _inputs_of_each_step(self, x: Tensor) -> Sequence[InputRows | Tensor]:
        """Does at once what does not depend on the state, then splits by time."""
        if self.input_attention is None:
            return list(x.unbind(0))
        rows = self.input_attention.project(x.unsqueeze(2) if x.dim() == 3 else x)
        return list(map(InputRows, rows.keys.unbind(0), rows.values.unbind(0)))

    def _step(
        self, step_input: InputRows | Tensor, h: Tensor, c: Tensor
    ) -> tuple[Tensor, Tensor, RIMInfo]:
        """One step of all RIMs: states (B, K, H) -> states (B, K, H)."""
        attention = None
        if isinstance(step_input, Tensor):
            attended = step_input.unsqueeze(1).expand(-1, self.config.num_rims, -1)
            active = h.new_ones(h.shape[:2], dtype=torch.bool)
        else:
            assert self.input_attention is not None
            attended, attention = self.input_attention(step_input, h)
            active = select_active(attention, self.config.num_active)
        candidate, candidate_c = self.dynamics(attended, h, c)
        is_active = active.unsqueeze(-1)
        new_h, communication = candidate, None
        if self.communication is not None:
            # Nothing flows back into a candidate that is thrown away.
            unread = h if self.config.read_inactive == "state" else candidate.detach()
            readable = torch.where(is_active, candidate, unread)
            new_h, communication = self.communication(candidate, readable)
            communication = communication * is_active.unsqueeze(1)
        new_h = torch.where(is_active, new_h, h)
        new_c = torch.where(is_active, candidate_c, c)
        return new_h, new_c, RIMInfo(active, attention, communication)

    def _run_scan(
        self,
        kernel: Kernel,
        x: Tensor,
        h: Tensor,
        c: Tensor,
        keep: Tensor | None,
        return_info: bool,
    ) -> tuple[Tensor, Tensor, Tensor, RIMInfo]:
        """Runs all steps in one operation, to the same result as the reference.

        Without gradients and return_info the info covers the last step alone.
        """
        spec, inputs = ScanSpec.of(self.config), self._scan_inputs(x, h, c, keep)
        if torch.is_grad_enabled():
            outputs, last_c, active, attention, weights = scan(spec, kernel, inputs)
        else:
            record = kernel.forward(spec, inputs, save=return_info)
            outputs, last_c, active = record.h, record.c[-1], record.active
            attention, weights = record.attention, record.weights
        info = RIMInfo(active, None if attention is None else attention.mean(2), weights)
        return outputs, outputs[-1], last_c, info

    def _scan_inputs(self, x: Tensor, h: Tensor, c: Tensor, keep: Tensor | None) -> ScanInputs:
        """Computes the input's part of gates and scores, before attention weighs it."""
        rows, scores_in = x.flatten(0, 1).unsqueeze(1), None  # (M, N = 1, D)
        attention = self.input_attention
        weight_ih: Tensor = self.dynamics.weight_ih
        if attention is not None:
            if attention.is_merging_cheaper(len(rows)):
                keys, rows, weight_ih = attention.project_merged(rows, weight_ih)
            else:
                keys, rows = attention.project(rows)
                keys, rows = keys.squeeze(1), rows.squeeze(1)  # (M, N, E or V)
            queries = attention.query_weight.transpose(1, 2)  # (K, N * E, H)
            scores_in = project_for_rims(keys * score_scale(keys.shape[-1]), queries)
        talk = self.communication
        return ScanInputs(
            gates_in=project_for_rims(rows, weight_ih),
            scores_in=scores_in,
            h0=h,
            c0=c,
            keep=keep,
            weight_hh=self.dynamics.weight_hh,
            bias_ih=self.dynamics.bias_ih,
            bias_hh=self.dynamics.bias_hh,
            weight_qkv=talk.qkv_weight if talk else None,
            weight_out=talk.output_weight if talk else None,
            bias_out=talk.output_bias if talk else None,
        )

    def extra_repr(self) -> str:
        """The configuration, for `print(rim)`."""
        return str(self.config)


# `help(RIM)` and editors show the real arguments, which stand once: in RIMConfig.
RIM.__signature__ = inspect.signature(RIMConfig)  # type: ignore[attr-defined]


def _stack_infos(infos: list[RIMInfo]) -> RIMInfo:
    masks, inputs, messages = zip(*infos, strict=True)
    return RIMInfo(
        torch.stack(masks),
        None if inputs[0] is None else torch.stack(inputs),
        None if messages[0] is None else torch.stack(messages),
    )

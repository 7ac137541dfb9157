"""Recurrent Independent Mechanisms as a recurrent layer in the manner of `torch.nn.LSTM`.

Axes: T time, B batch, M = T * B, K RIMs, H units per RIM, D input features, R input rows, N heads.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rims_rl.core.attention import InputAttention, InputRows, select_active
from rims_rl.core.base import (
    Core,
    add_batch,
    check_sequence,
    check_tensors,
    handed_on,
    initial_state,
    keep_factors,
    without_batch,
)
from rims_rl.core.communication import Communication
from rims_rl.core.config import RIMConfig
from rims_rl.core.dynamics import GRUDynamics, LSTMDynamics, State
from rims_rl.core.forms import SELECTIONS
from rims_rl.core.precision import is_under_autocast, without_autocast
from rims_rl.core.scan.choice import choose_kernel, untraced
from rims_rl.core.scan.operation import (
    Kernel,
    ScanInputs,
    ScanSpec,
    project_for_rims,
    scan,
    score_scale,
)
from rims_rl.core.sizes import is_whole
from rims_rl.core.tracing import is_exporting


class RIMInfo(NamedTuple):
    """Choices that a core made at each step, for analysis.

    Attributes:
        active_mask: which RIMs were active, bool (T, B, K).
        input_attention: of each RIM on the real input (T, B, K); None without the attention.
        communication_attention: of each reader on all RIMs (T, B, N, K, K), a row for each reader,
            zeros for inactive ones; None without communication.
    """

    active_mask: Tensor
    input_attention: Tensor | None
    communication_attention: Tensor | None


class RIM(Core):
    """A recurrent layer of K modules that compete for the input (Goyal et al. 2019, section 2).

    At each step every RIM attends to the input, the num_active of them that attend most are
    active: they run their own recurrent cell and then read from one another. The state of the
    others does not change.

    It overrides `forward` instead of writing `Core.run`: it can return what it chose, too.

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

    def __init__(self, input_size: int, hidden_size: int, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.config = config = RIMConfig(input_size, hidden_size, *args, **kwargs)
        self.input_size = input_size
        self.hidden_size = self.output_size = hidden_size
        attended_size = input_size
        self.input_attention: InputAttention | None = None
        self.reads_rows = config.input_attention is not None
        if config.input_attention is not None:
            self.input_attention = InputAttention(config)
            attended_size = config.input_heads * self.input_attention.value_size
        cells = {"gru": GRUDynamics, "lstm": LSTMDynamics}[config.dynamics]
        self.dynamics = cells(config.num_rims, attended_size, config.rim_size)
        self.communication = Communication(config) if config.communication else None
        self.selection = SELECTIONS.find(config.selection)

    def hold_inactive(self, rims: Sequence[int]) -> None:
        """Keeps some RIMs from ever being active, until the next call.

        Their state stays what it is, and others take their place. For analysis: it is not saved
        with the model, and meanwhile the plain reference runs, whatever the backend.

        Args:
            rims: from 0; an empty sequence lets all compete again.

        Raises:
            ValueError: there is no such RIM, fewer than num_active would be left, or all are
                always active because there is no input attention.
        """
        if not all(map(is_whole, rims)):
            raise ValueError(f"RIMs are held by their numbers, got {list(rims)}")
        config, held = self.config, sorted(set(rims))
        if held and self.input_attention is None:
            raise ValueError("without input attention every RIM is active at every step")
        if held and not 0 <= held[0] <= held[-1] < config.num_rims:
            raise ValueError(f"there are RIMs 0 to {config.num_rims - 1}, got {list(rims)}")
        if config.num_rims - len(held) < config.num_active:
            raise ValueError(
                f"{config.num_active} of {config.num_rims} RIMs are active at each step: at most "
                f"{config.num_rims - config.num_active} can be held inactive, got {len(held)}"
            )
        if self.input_attention is not None:
            mask = self.dynamics.bias_ih.new_zeros(config.num_rims, dtype=torch.bool)
            mask[held] = True
            self.input_attention.held = mask if held else None

    def forward(  # type: ignore[override]
        self,
        x: Tensor,
        state: State | None = None,
        episode_starts: Tensor | None = None,
        return_info: bool = False,
    ) -> tuple[Tensor, State] | tuple[Tensor, State, RIMInfo]:
        """Runs the core over a sequence; under autocast in the weights' own type.

        Args:
            x: input (T, B, D), or (T, B, R, D) with several rows, such as positions of an image, or
                (T, D) without a batch, as `torch.nn.LSTM` takes it.
            state: (h, c), each (1, B, K * H); zeros if None. GRU dynamics hand c on, zeroed where
                an episode starts.
            episode_starts: (T, B); where it is 1 the state is zeroed before that step.
            return_info: also return a `RIMInfo`.

        Returns:
            output (T, B, K * H), state after the last step as given, and the info if asked for.

        Raises:
            TypeError: x is no tensor.
            ValueError: a shape does not fit, or the backend asked for cannot run here.
        """
        check_tensors(x, state, episode_starts)
        if is_under_autocast(x.device):
            # Attention rounded to 16 bits would choose other RIMs.
            dtype = self.dynamics.weight_hh.dtype
            typed = None if state is None else (state[0].to(dtype), state[1].to(dtype))
            with without_autocast(x.device):
                return RIM.forward(self, x.to(dtype), typed, episode_starts, return_info)
        if x.dim() == 2:
            return self._run_without_batch(x, state, episode_starts, return_info)
        check_sequence(self, x, state, episode_starts)
        if x.dim() == 4 and self.input_attention is None:
            raise ValueError("without input attention the input must be one row, (T, B, D)")
        if x.dim() == 4 and x.shape[2] == 1:
            x = x.squeeze(2)  # a single row may take the fast paths
        given = state or initial_state(x, self.hidden_size)
        h, c = (s.reshape(-1, self.config.num_rims, self.config.rim_size) for s in given)
        keep = keep_factors(episode_starts, x)
        kernel = None
        if not (is_exporting() or self._needs_reference(keep)):
            kernel = choose_kernel(self.config, x, self.training)
        if kernel is None:
            outputs, h, c, info = self._run_reference(x, h, c, keep)
        else:
            outputs, h, c, info = self._run_scan(kernel, x, h, c, keep, return_info)
        new_h = h.flatten(-2).unsqueeze(0)
        is_lstm = self.config.dynamics == "lstm"
        new_c = c.flatten(-2).unsqueeze(0) if is_lstm else handed_on(given[1], keep)
        output = outputs.flatten(-2)
        return (output, (new_h, new_c), info) if return_info else (output, (new_h, new_c))

    def _needs_reference(self, keep: Tensor | None) -> bool:
        """RIMs held inactive, starts that learn, hooks on the parts: kernels know none of them."""
        holds_some = self.input_attention is not None and self.input_attention.held is not None
        starts_learn = keep is not None and keep.requires_grad
        return holds_some or starts_learn or any(map(_has_hooks, islice(self.modules(), 1, None)))

    def _run_without_batch(
        self, x: Tensor, state: State | None, episode_starts: Tensor | None, return_info: bool
    ) -> tuple[Tensor, State] | tuple[Tensor, State, RIMInfo]:
        batched = add_batch(x, state, episode_starts)
        output, state, *info = RIM.forward(self, *batched, return_info=return_info)
        results = output.squeeze(1), without_batch(state)
        if not return_info:
            return results
        of_one = (None if part is None else part.squeeze(1) for part in info[0])
        return *results, RIMInfo._make(of_one)

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
        config, attention, move = self.config, None, None
        if isinstance(step_input, Tensor):
            attended = step_input.unsqueeze(1).expand(-1, config.num_rims, -1)
            active = h.new_ones(h.shape[:2], dtype=torch.bool)
        else:
            assert self.input_attention is not None
            attended, attention = self.input_attention(step_input, h)
            ranked, held = attention, self.input_attention.held
            if held is not None:  # a winner's attention may be 0, too
                ranked = attention.masked_fill(held, -1.0)
            active = select_active(ranked, config.num_active)
            if self.selection is not None:
                move = self.selection(attention, active, config.num_active, config.edge_width)
                move = move.unsqueeze(-1)
        candidate, candidate_c = self.dynamics(attended, h, c)
        is_active = active.unsqueeze(-1)
        new_h = torch.where(is_active, candidate if move is None else h + move * (candidate - h), h)
        if move is not None:
            candidate_c = c + move * (candidate_c - c)
        new_c = torch.where(is_active, candidate_c, c)
        communication_attention = None
        if self.communication is not None:
            readable = new_h
            if config.read_inactive == "candidate":
                # Nothing flows back into a candidate that is thrown away.
                readable = torch.where(is_active, new_h, candidate.detach())
            message, communication_attention = self.communication(readable)
            communication_attention = communication_attention * is_active.unsqueeze(1)
            change = self.communication.form.change(new_h, message)
            change = change if move is None else move * change
            new_h = torch.where(is_active, new_h + change, h)
        return new_h, new_c, RIMInfo(active, attention, communication_attention)

    @untraced
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
            outputs, last_c, active_mask, attention, communication = scan(spec, kernel, inputs)
        else:
            record = kernel.forward(spec, inputs, save=return_info)
            outputs, last_c = record.h, record.c[-1].clone()
            active_mask, attention, communication = record[2:-1]
        if attention is not None:  # a mean over one head would take as long as the attention
            attention = attention[:, :, 0] if attention.shape[2] == 1 else attention.mean(2)
        info = RIMInfo(active_mask, attention, communication)
        # The state is a tensor of its own, so that nobody changes it with the output.
        return outputs, outputs[-1].clone(), last_c, info

    def _scan_inputs(self, x: Tensor, h: Tensor, c: Tensor, keep: Tensor | None) -> ScanInputs:
        """Computes the input's part of gates and scores, before attention weighs it."""
        rows, scores_in, score_bias = x.flatten(0, 1).unsqueeze(1), None, None  # (M, N = 1, D)
        attention = self.input_attention
        weight_ih: Tensor = self.dynamics.weight_ih
        if attention is not None:
            if attention.is_merging_cheaper(len(rows)):
                keys, rows, weight_ih = attention.project_merged(rows, weight_ih)
            else:
                keys, rows = attention.project(rows)
                keys, rows = keys.squeeze(1), rows.squeeze(1)  # (M, N, E or V)
            queries = attention.query_weight.transpose(1, 2)  # (K, N * E, H)
            keys = keys * score_scale(keys.shape[-1])
            scores_in = project_for_rims(keys, queries)
            if attention.query_bias is not None:
                of_rim = attention.query_bias.unflatten(-1, (attention.heads, -1))  # (K, N, E)
                score_bias = torch.bmm(of_rim.transpose(0, 1), keys.permute(1, 2, 0))  # (N, K, M)
        communication = self.communication
        return ScanInputs(
            gates_in=project_for_rims(rows, weight_ih),
            scores_in=scores_in,
            score_bias=score_bias,
            h0=h,
            c0=c,
            keep=keep,
            weight_hh=self.dynamics.weight_hh,
            bias_ih=self.dynamics.bias_ih,
            bias_hh=self.dynamics.bias_hh,
            weight_qkv=communication.qkv_weight if communication else None,
            weight_out=communication.output_weight if communication else None,
            bias_out=communication.output_bias if communication else None,
        )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):  # its arguments are its own
            cls.__signature__ = None  # type: ignore[attr-defined]

    def extra_repr(self) -> str:
        """The configuration, for `print(rim)`."""
        return str(self.config)


# `help(RIM)` and editors show the real arguments, which stand once: in RIMConfig.
RIM.__signature__ = inspect.signature(RIMConfig)  # type: ignore[attr-defined]


def _has_hooks(module: torch.nn.Module) -> bool:
    """Tells whether a call of the module does more than its `forward`, as pruned ones do."""
    before, after = module._forward_pre_hooks, module._forward_hooks
    return bool(before or after or module._backward_pre_hooks or module._backward_hooks)


def _stack_infos(infos: list[RIMInfo]) -> RIMInfo:
    masks, inputs, messages = zip(*infos, strict=True)
    return RIMInfo(
        torch.stack(masks),
        None if inputs[0] is None else torch.stack(inputs),
        None if messages[0] is None else torch.stack(messages),
    )

"""The kernel in torch: no compiler needed, any device, backpropagation through time by hand.

Few operations per step and none of autograd's bookkeeping.

Axes: T time, B batch, K RIMs, H units per RIM, G gates per unit, N input heads, C communication
heads, E and V all their keys and values. RIMs come first, (K, T, B, ...) and (K, B, ...) within a
step, so that their maps are batched products.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rims_rl.core.attention import compete, select_active
from rims_rl.core.forms import soft_edge
from rims_rl.core.scan.operation import FORMS, ScanInputs, ScanRecord, ScanSpec, score_scale
from rims_rl.core.scan.torch_backward import (
    Saved,
    backward,
    by_head,
    by_step,
    out_of_each,
    over_heads,
    reading_weights,
    reset_scales,
)

__all__ = ["backward", "forward", "supports"]


class _Maps(NamedTuple):
    """The communication's weights in the shapes that the steps need."""

    queries: Tensor  # (K, H, E)
    keys: Tensor  # (K, H, E)
    values: Tensor  # (K, H, V)
    out: Tensor | None  # (K, V, O)
    bias: Tensor  # (O), residual: 0


class _Communicated(NamedTuple):
    """The results of communication."""

    change: Tensor  # (K, B, H) of the state
    queries: Tensor  # (K, B, E)
    keys: Tensor  # (K, B, E)
    values: Tensor  # (K, B, V)
    weights: Tensor  # (B * C, K, K), of inactive readers too
    read: Tensor  # (K, B, V)
    content: Tensor  # (K, B, H) of the message
    gate: Tensor | None  # (K, B, H); residual: None


class _Step(NamedTuple):
    """The results of a step; absent parts are None."""

    c: Tensor  # (K, B, H)
    active: Tensor  # (K, B) bool
    attention: Tensor | None  # (N, K, B)
    move: Tensor | None  # (K, B) of soft selection
    softmax: Tensor | None  # (N, K, B) of competition
    acts: tuple[Tensor, ...]  # as `Saved.acts`
    readable: Tensor  # (K, B, H)
    communicated: _Communicated | None


def supports(spec: ScanSpec) -> bool:
    """See `rims_rl.core.scan.operation.Kernel`."""
    return spec.is_among(FORMS)


def forward(spec: ScanSpec, inputs: ScanInputs, save: bool) -> ScanRecord:
    """See `rims_rl.core.scan.operation.Kernel`."""
    batch = inputs.h0.shape[0]
    gates_of_step = inputs.gates_in.unflatten(2, (-1, batch)).unbind(2)  # T x (N, K, B, G * H)
    scores_of_step = by_step(inputs.scores_in, batch, len(gates_of_step))
    biases_of_step = by_step(inputs.score_bias, batch, len(gates_of_step))
    scale_of_step = reset_scales(inputs.keep, len(gates_of_step))
    maps = _maps(spec, inputs)
    h, c = inputs.h0.transpose(0, 1), inputs.c0.transpose(0, 1)
    states: list[Tensor] = []
    steps: list[_Step] = []
    for gates_in, scores_in, score_bias, scale in zip(
        gates_of_step, scores_of_step, biases_of_step, scale_of_step, strict=True
    ):
        if scale is not None:
            h, c = h * scale, c * scale
        h, step = _step(spec, inputs, maps, gates_in, (scores_in, score_bias), h, c)
        c = step.c
        states.append(h)
        steps = steps if save else []
        steps.append(step)
    return _as_record(spec, states, steps)


def _maps(spec: ScanSpec, inputs: ScanInputs) -> _Maps | None:
    if inputs.weight_qkv is None:
        return None
    keys, rims = spec.comm_heads * spec.comm_key_size, inputs.weight_hh.shape[0]
    queries, keys_, values = inputs.weight_qkv.tensor_split((keys, 2 * keys), -1)
    return _Maps(
        queries.contiguous(),
        keys_.contiguous(),
        values.contiguous(),
        out_of_each(inputs.weight_out, rims),
        inputs.weight_qkv.new_zeros(1) if inputs.bias_out is None else inputs.bias_out,
    )


def _step(
    spec: ScanSpec,
    inputs: ScanInputs,
    maps: _Maps | None,
    gates_in: Tensor,
    scores: tuple[Tensor | None, Tensor | None],
    h: Tensor,
    c: Tensor,
) -> tuple[Tensor, _Step]:
    """One step from the states (K, B, H) that enter it: the new h and what else it leaves."""
    active, attention, move, softmax = _attend(spec, h, *scores)
    bias_ih, bias_hh = inputs.bias_ih.unsqueeze(1), inputs.bias_hh.unsqueeze(1)
    if attention is None:
        gates = gates_in[0] + bias_ih
    else:
        weights = reading_weights(spec, attention).unsqueeze(-1)
        if len(gates_in) == 1:
            gates = torch.addcmul(bias_ih, gates_in[0], weights[0])
        else:
            gates = (gates_in * weights).sum(0) + bias_ih
    state_gates = torch.baddbmm(bias_hh, h, inputs.weight_hh)
    cell = _gru_cell if spec.gates == 3 else _lstm_cell
    candidate, candidate_c, acts = cell(gates, state_gates, h, c)
    is_active = active.unsqueeze(-1)
    moved = candidate
    if move is not None:
        part = move.unsqueeze(-1)
        moved, candidate_c = torch.lerp(h, candidate, part), torch.lerp(c, candidate_c, part)
    new_h = torch.where(is_active, moved, h)
    new_c = torch.where(is_active, candidate_c, c) if spec.gates == 4 else c
    readable = torch.where(is_active, moved, candidate) if spec.read_candidate else new_h
    communicated = None
    if maps is not None:
        communicated = _communicate(spec, maps, readable)
        change = communicated.change
        if move is not None:
            change = change * move.unsqueeze(-1)
        new_h = torch.where(is_active, new_h + change, h)
    return new_h, _Step(new_c, active, attention, move, softmax, acts, readable, communicated)


def _attend(
    spec: ScanSpec, h: Tensor, scores_in: Tensor | None, score_bias: Tensor | None
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """Active (K, B), attention (N, K, B), and where there are such: move (K, B), softmax."""
    if scores_in is None:
        return h.new_ones(h.shape[:2], dtype=torch.bool), None, None, None
    scores = (h * scores_in).sum(-1)
    if score_bias is not None:
        scores = scores + score_bias
    softmax = move = None
    if spec.input_attention == "null":
        attention = torch.sigmoid(scores)
    else:
        softmax = scores.softmax(1)
        attention = compete(softmax, spec.num_active, dim=1)
    total = over_heads(attention).T
    active = select_active(total, spec.num_active)
    if spec.selection == "soft":
        move = soft_edge(total, active, spec.num_active, spec.edge_width).T
    return active.T, attention, move, softmax


def _gru_cell(
    gates: Tensor, state_gates: Tensor, h: Tensor, c: Tensor
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Candidates of h and c, and the activations."""
    units = h.shape[-1]
    r_and_z = (gates[..., : 2 * units] + state_gates[..., : 2 * units]).sigmoid_()
    r, z = r_and_z.chunk(2, -1)
    state_n = state_gates[..., 2 * units :]
    n = torch.addcmul(gates[..., 2 * units :], r, state_n).tanh_()
    return torch.lerp(n, h, z), c, (r_and_z, n, state_n)


def _lstm_cell(
    gates: Tensor, state_gates: Tensor, h: Tensor, c: Tensor
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Candidates of h and c, and the activations."""
    units = h.shape[-1]
    gates = gates + state_gates
    i_and_f = torch.sigmoid(gates[..., : 2 * units])
    g, o = torch.tanh(gates[..., 2 * units : 3 * units]), torch.sigmoid(gates[..., 3 * units :])
    i, f = i_and_f.chunk(2, -1)
    new_c = torch.addcmul(f * c, i, g)
    return o * torch.tanh(new_c), new_c, (i_and_f, g, o)


def _communicate(spec: ScanSpec, maps: _Maps, readable: Tensor) -> _Communicated:
    batch, units = readable.shape[1:]
    queries, keys, values = (torch.bmm(readable, each) for each in maps[:3])
    scores = torch.bmm(by_head(spec, queries), by_head(spec, keys).transpose(1, 2))
    weights = (scores * score_scale(spec.comm_key_size)).softmax(-1)
    read = torch.bmm(weights, by_head(spec, values))  # (B * C, K, value size)
    read = read.unflatten(0, (batch, -1)).permute(2, 0, 1, 3).flatten(2)
    message = read + maps.bias if maps.out is None else torch.baddbmm(maps.bias, read, maps.out)
    seen = queries, keys, values, weights, read
    if spec.communication == "residual":
        return _Communicated(message, *seen, message, None)
    content, gate = torch.tanh(message[..., :units]), torch.sigmoid(message[..., units:])
    contrast = content - readable if spec.communication == "bounded" else content
    return _Communicated(gate * contrast, *seen, content, gate)


def _as_record(spec: ScanSpec, states: list[Tensor], steps: list[_Step]) -> ScanRecord:
    masks = torch.stack([step.active for step in steps])  # (T, K, B)
    attention = _stack([step.attention for step in steps], 0)  # (T, N, K, B)
    exchanges = [step.communicated for step in steps if step.communicated is not None]
    weights = _stack([each.weights for each in exchanges], 0)  # (T, B * C, K, K)
    cells = [torch.stack(part, 1) for part in zip(*(step.acts for step in steps), strict=True)]
    saved = Saved(
        move=_stack([step.move for step in steps], 1),
        softmax=_stack([step.softmax for step in steps], 0),
        two_gates=cells[0],
        third=cells[1],
        fourth=cells[2],
        readable=torch.stack([step.readable for step in steps], 1),
        queries=_stack([each.queries for each in exchanges], 1),
        keys=_stack([each.keys for each in exchanges], 1),
        values=_stack([each.values for each in exchanges], 1),
        read=_stack([each.read for each in exchanges], 1),
        content=_stack([each.content for each in exchanges], 1),
        gate=_stack([each.gate for each in exchanges], 1),
        weights=weights,
    )
    if weights is not None:
        of_readers: Tensor = weights.unflatten(1, (-1, spec.comm_heads))
        weights = of_readers * masks.transpose(1, 2)[:, :, None, :, None]
    return ScanRecord(
        h=torch.stack(states).transpose(1, 2),
        c=torch.stack([step.c for step in steps]).transpose(1, 2),
        active_mask=masks.transpose(1, 2),
        input_attention=None if attention is None else attention.movedim(-1, 1),
        communication_attention=weights,
        saved=saved,
    )


def _stack(parts: Sequence[Tensor | None], dim: int) -> Tensor | None:
    """All parts as one, or None where they are absent."""
    present = [part for part in parts if part is not None]
    return torch.stack(present, dim) if present else None

"""The kernel in torch: no compiler needed, any device, backpropagation through time by hand.

Few operations a step and none of autograd's bookkeeping. The formulas of the backward pass are
those of the compiled kernel (``native/kernel.h``).

Axes: T time, B batch, K RIMs, H units a RIM, G gates a unit, N input heads, C communication
heads. Within a step RIMs come first, (K, B, ...), so that their maps are batched products.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from rims_rl.core.attention import SPARSIFY_EPSILON, compete, select_active
from rims_rl.core.scan import ScanGradients, ScanInputs, ScanRecord, ScanSpec, score_scale


class _Attended(NamedTuple):
    active: Tensor  # (K, B) bool
    attention: Tensor | None  # (N, K, B)
    softmax: Tensor | None  # (N, K, B) of competition


def forward(spec: ScanSpec, inputs: ScanInputs, save: bool) -> ScanRecord:
    """See `rims_rl.core.scan.Kernel`."""
    batch = inputs.h0.shape[0]
    gates_of_step = inputs.gates_in.unflatten(2, (-1, batch)).unbind(2)  # T x (N, K, B, G * H)
    scores_of_step = _by_step(inputs.scores_in, batch, len(gates_of_step))
    h, c = inputs.h0.transpose(0, 1), inputs.c0.transpose(0, 1)
    bias_ih, bias_hh = inputs.bias_ih.unsqueeze(1), inputs.bias_hh.unsqueeze(1)
    steps: list[tuple[Tensor | None, ...]] = []
    for t, (gates_in, scores_in) in enumerate(zip(gates_of_step, scores_of_step, strict=True)):
        if inputs.keep is not None:
            keep = inputs.keep[t].unsqueeze(-1)
            h, c = h * keep, c * keep
        attended = _attend(spec, h, scores_in)
        if attended.attention is not None:
            gates_in = gates_in * attended.attention.unsqueeze(-1)
        gates = gates_in.sum(0) + bias_ih if len(gates_in) > 1 else gates_in[0] + bias_ih
        state_gates = torch.baddbmm(bias_hh, h, inputs.weight_hh)
        candidate, candidate_c, acts = _cell(spec, gates, state_gates, h, c)
        is_active = attended.active.unsqueeze(-1)
        unread = candidate if spec.read_candidate else h
        readable = torch.where(is_active, candidate, unread)
        new_h = candidate
        talk: tuple[Tensor | None, ...] = (None,) * 4
        if spec.message != "none":
            new_h, *talk_parts = _communicate(spec, inputs, candidate, readable, attended.active)
            talk = tuple(talk_parts)
        h = torch.where(is_active, new_h, h)
        c = torch.where(is_active, candidate_c, c) if spec.gates == 4 else c
        steps.append(
            (h, c, attended.active, attended.attention, attended.softmax, acts, readable, *talk)
        )
        if not save:  # only h, and the rest of the last step, are wanted
            steps[-1] = (h, *steps[-1][1:])
            if t:
                steps[-2] = (steps[-2][0],)
    return _as_record(steps, save)


def _by_step(
    hoisted: Tensor | None, batch: int, steps: int
) -> tuple[Tensor | None, ...] | tuple[Tensor, ...]:
    return (None,) * steps if hoisted is None else hoisted.unflatten(2, (-1, batch)).unbind(2)


def _as_record(steps: list[tuple[Tensor | None, ...]], save: bool) -> ScanRecord:
    def stack(index: int) -> Tensor | None:
        kept = steps if save or index == 0 else steps[-1:]
        if kept[-1][index] is None:
            return None
        stacked = torch.stack([step[index] for step in kept])  # type: ignore[misc]
        if index in (3, 4):  # (T, N, K, B) -> (T, B, N, K)
            return stacked.movedim(-1, 1)
        return (
            stacked if index == 8 else stacked.transpose(1, 2)
        )  # (T, K, B, ...) -> (T, B, K, ...)

    return ScanRecord(*(stack(index) for index in range(len(ScanRecord._fields))))  # type: ignore[arg-type]


def _attend(spec: ScanSpec, h: Tensor, scores_in: Tensor | None) -> _Attended:
    if scores_in is None:
        return _Attended(h.new_ones(h.shape[:2], dtype=torch.bool), None, None)
    scores = (h * scores_in).sum(-1)
    softmax = None
    if spec.attention == "null":
        attention = torch.sigmoid(scores)
    else:
        softmax = scores.softmax(1)
        attention = compete(softmax, spec.num_active, dim=1)
    total = attention[0] if len(attention) == 1 else attention.mean(0)
    return _Attended(select_active(total.T, spec.num_active).T, attention, softmax)


def _cell(
    spec: ScanSpec, gates: Tensor, state_gates: Tensor, h: Tensor, c: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Candidates of h and c, and what the backward pass needs, (K, B, 4 * H)."""
    units = h.shape[-1]
    if spec.gates == 3:
        r_and_z = torch.sigmoid(gates[..., : 2 * units] + state_gates[..., : 2 * units])
        r, z = r_and_z.chunk(2, -1)
        state_n = state_gates[..., 2 * units :]
        n = torch.tanh(torch.addcmul(gates[..., 2 * units :], r, state_n))
        return torch.lerp(n, h, z), c, torch.cat([r_and_z, n, state_n], -1)
    gates = gates + state_gates
    i_and_f, g, o = (
        torch.sigmoid(gates[..., : 2 * units]),
        torch.tanh(gates[..., 2 * units : 3 * units]),
        torch.sigmoid(gates[..., 3 * units :]),
    )
    i, f = i_and_f.chunk(2, -1)
    new_c = f * c + i * g
    return o * torch.tanh(new_c), new_c, torch.cat([i_and_f, g, o], -1)


def _communicate(
    spec: ScanSpec, inputs: ScanInputs, candidate: Tensor, readable: Tensor, active: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """New h, then qkv, weights, read and out of the record, RIMs first."""
    assert inputs.weight_qkv is not None
    assert inputs.weight_out is not None
    qkv = torch.bmm(readable, inputs.weight_qkv)
    queries, keys, values = _split_heads(spec, qkv)  # (B, C, K, key or value size)
    scores = queries @ keys.transpose(-1, -2)
    weights = (scores * score_scale(spec.key_size)).softmax(-1)
    weights = weights * active.T[:, None, :, None]
    read = (weights @ values).permute(2, 0, 1, 3).flatten(2)  # (B, C, K, .) -> (K, B, V)
    if spec.message == "residual":
        out = torch.bmm(read, inputs.weight_out)
        return candidate + out, qkv, weights, read, out
    assert inputs.bias_out is not None
    out = read @ inputs.weight_out + inputs.bias_out
    units = candidate.shape[-1]
    message, gate = torch.tanh(out[..., :units]), torch.sigmoid(out[..., units:])
    if spec.message == "bounded":
        new_h = torch.lerp(candidate, message, gate)
    else:
        new_h = torch.addcmul(candidate, gate, message)
    return new_h, qkv, weights, read, torch.cat([message, gate], -1)


def _split_heads(spec: ScanSpec, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(K, B, Q) -> queries, keys, values, each (B, C, K, size)."""
    keys = spec.comm_heads * spec.key_size
    queries, keys_, values = (
        part.unflatten(-1, (spec.comm_heads, -1)).permute(1, 2, 0, 3)
        for part in qkv.tensor_split((keys, 2 * keys), -1)
    )
    return queries, keys_, values


def backward(
    spec: ScanSpec, inputs: ScanInputs, record: ScanRecord, grad_h: Tensor, grad_c: Tensor
) -> ScanGradients:
    """See `rims_rl.core.scan.Kernel`."""
    steps, batch = record.h.shape[:2]
    gates_of_step = inputs.gates_in.unflatten(2, (-1, batch)).unbind(2)
    scores_of_step = _by_step(inputs.scores_in, batch, steps)
    grad_of_step = grad_h.transpose(1, 2).unbind(0)
    weight_hh_t = inputs.weight_hh.transpose(1, 2)
    carried_h, carried_c = torch.zeros_like(inputs.h0).transpose(0, 1), grad_c.transpose(0, 1)
    results: list[tuple[Tensor | None, ...]] = []
    for t in range(steps - 1, -1, -1):
        h = (record.h[t - 1] if t else inputs.h0).transpose(0, 1)
        c = (record.c[t - 1] if t else inputs.c0).transpose(0, 1)
        if inputs.keep is not None:
            keep = inputs.keep[t].unsqueeze(-1)
            h, c = h * keep, c * keep
        is_active = record.active[t].T.unsqueeze(-1)
        delta = carried_h + grad_of_step[t]
        carried_h = delta.masked_fill(is_active, 0.0)
        grad_candidate = delta.masked_fill(~is_active, 0.0)
        grad_qkv = grad_out = None
        if spec.message != "none":
            grad_candidate, grad_readable, grad_qkv, grad_out = _communicate_backward(
                spec, inputs, record, t, grad_candidate
            )
            grad_candidate = grad_candidate + grad_readable.masked_fill(~is_active, 0.0)
            if not spec.read_candidate:
                carried_h = carried_h + grad_readable.masked_fill(is_active, 0.0)
        acts = record.acts[t].transpose(0, 1)
        if spec.gates == 3:
            grad_ih, grad_hh, through = _gru_backward(acts, h, grad_candidate)
            carried_h = carried_h + through
        else:
            new_c = record.c[t].transpose(0, 1)
            masked_c = carried_c.masked_fill(~is_active, 0.0)
            grad_ih, through_c = _lstm_backward(acts, c, new_c, grad_candidate, masked_c, is_active)
            grad_hh = grad_ih
            carried_c = torch.where(is_active, through_c, carried_c)
        carried_h = torch.baddbmm(carried_h, grad_hh, weight_hh_t)
        grad_gates_in, grad_scores_in = grad_ih.unsqueeze(0), None
        if record.attention is not None:
            attention = record.attention[t].movedim(0, -1)  # (N, K, B)
            scores_in = scores_of_step[t]
            assert scores_in is not None
            grad_attention = (grad_gates_in * gates_of_step[t]).sum(-1)
            grad_gates_in = grad_gates_in * attention.unsqueeze(-1)
            grad_scores = _attention_backward(spec, record, t, attention, grad_attention)
            grad_scores_in = grad_scores.unsqueeze(-1) * h
            carried_h = carried_h + (grad_scores.unsqueeze(-1) * scores_in).sum(0)
        if inputs.keep is not None:
            carried_h, carried_c = carried_h * keep, carried_c * keep
        results.append((grad_gates_in, grad_scores_in, grad_ih, grad_hh, grad_qkv, grad_out))
    results.reverse()
    hoisted = [_stack(results, i, 2) for i in range(2)]  # (N, K, T, B, ...)
    stepwise = [_stack(results, i, 0) for i in range(2, 6)]  # (T, K, B, ...)
    return ScanGradients(
        hoisted[0].flatten(2, 3),  # type: ignore[union-attr]
        None if hoisted[1] is None else hoisted[1].flatten(2, 3),
        carried_h.transpose(0, 1),
        carried_c.transpose(0, 1),
        *(None if part is None else part.transpose(1, 2) for part in stepwise),  # type: ignore[arg-type]
    )


def _stack(results: list[tuple[Tensor | None, ...]], index: int, dim: int) -> Tensor | None:
    if results[0][index] is None:
        return None
    return torch.stack([step[index] for step in results], dim)  # type: ignore[misc]


def _communicate_backward(
    spec: ScanSpec, inputs: ScanInputs, record: ScanRecord, t: int, delta: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of the candidate, of what is readable, of qkv and of out; delta 0 if inactive."""
    assert inputs.weight_qkv is not None
    assert inputs.weight_out is not None
    assert record.out is not None
    assert record.qkv is not None
    assert record.weights is not None
    if spec.message == "residual":
        grad_candidate = grad_out = delta
        grad_read = torch.bmm(grad_out, inputs.weight_out.transpose(1, 2))
    else:
        message, gate = record.out[t].transpose(0, 1).chunk(2, -1)
        to_message = delta * gate
        contrast = message
        grad_candidate = delta
        if spec.message == "bounded":
            contrast = message - record.readable[t].transpose(0, 1)
            grad_candidate = delta - to_message
        grad_out = torch.cat(
            [to_message * (1 - message * message), to_message * contrast * (1 - gate)], -1
        )
        grad_read = grad_out @ inputs.weight_out.T
    queries, keys, values = _split_heads(spec, record.qkv[t].transpose(0, 1))
    weights = record.weights[t]
    grad_read = grad_read.unflatten(-1, (spec.comm_heads, -1)).permute(1, 2, 0, 3)
    grad_weights = grad_read @ values.transpose(-1, -2)
    weighted = weights * grad_weights
    grad_scores = weighted - weights * weighted.sum(-1, keepdim=True)
    grad_scores = grad_scores * score_scale(spec.key_size)
    parts = (grad_scores @ keys, grad_scores.transpose(-1, -2) @ queries,
             weights.transpose(-1, -2) @ grad_read)  # fmt: skip
    # (B, C, K, size) -> (K, B, Q)
    grad_qkv = torch.cat([part.permute(2, 0, 1, 3).flatten(2) for part in parts], -1)
    grad_readable = torch.bmm(grad_qkv, inputs.weight_qkv.transpose(1, 2))
    return grad_candidate, grad_readable, grad_qkv, grad_out


def _gru_backward(acts: Tensor, h: Tensor, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of the input's and the state's gates, and of h directly."""
    r, z, n, state_n = acts.chunk(4, -1)
    through = grad * z
    grad_n = (grad - through) * (1 - n * n)
    grad_z = through * (h - n) * (1 - z)
    grad_state_n = grad_n * r
    grad_r = grad_state_n * state_n * (1 - r)
    r_and_z = torch.cat([grad_r, grad_z], -1)
    return torch.cat([r_and_z, grad_n], -1), torch.cat([r_and_z, grad_state_n], -1), through


def _lstm_backward(
    acts: Tensor, c: Tensor, new_c: Tensor, grad: Tensor, grad_c: Tensor, is_active: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of the gates and of c; new_c is the candidate where is_active."""
    i, f, g, o = acts.chunk(4, -1)
    squashed = torch.tanh(new_c)
    through = torch.addcmul(grad_c, grad * o, 1 - squashed * squashed)
    gates = torch.cat(
        [
            through * g * i * (1 - i),
            through * c * f * (1 - f),
            through * i * (1 - g * g),
            grad * squashed * o * (1 - o),
        ],
        -1,
    )
    return gates.masked_fill(~is_active, 0.0), through * f


def _attention_backward(
    spec: ScanSpec, record: ScanRecord, t: int, attention: Tensor, grad: Tensor
) -> Tensor:
    """From gradients of the attention (N, K, B) to those of the scores."""
    if spec.attention == "null":
        return grad * attention * (1 - attention)
    assert record.softmax is not None
    softmax = record.softmax[t].movedim(0, -1)
    if softmax.shape[1] > spec.num_active + 1:
        ranked = softmax.sort(dim=1, descending=True, stable=True)
        cut_index = ranked.indices[:, spec.num_active : spec.num_active + 1]
        left = softmax - (softmax.gather(1, cut_index) + SPARSIFY_EPSILON)
        norm = left.clamp(min=0.0).sum(1, keepdim=True) + SPARSIFY_EPSILON
        grad = (grad - (grad * attention).sum(1, keepdim=True)) / norm
        grad = grad.masked_fill(left <= 0, 0.0)
        grad = grad.scatter_add(1, cut_index, -grad.sum(1, keepdim=True))
    return softmax * (grad - (grad * softmax).sum(1, keepdim=True))

"""Backpropagation through time of the kernel in torch.

Whatever does not depend on the gradient that is carried from step to step is computed for all
steps at once, before the loop and after it. The formulas are those of the compiled kernel
(``native/backward.h``). Axes as in `rims_rl.core.scan.torch_forward`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rims_rl.core.attention import SPARSIFY_EPSILON
from rims_rl.core.scan.operation import ScanInputs, ScanRecord, ScanSpec, score_scale


class Saved(NamedTuple):
    """All that the backward pass reads beside the common part of the record."""

    move: Tensor | None  # (K, T, B) of soft selection
    softmax: Tensor | None  # (T, N, K, B) of competition
    two_gates: Tensor  # (K, T, B, 2 * H): GRU r and z, LSTM i and f
    third: Tensor  # (K, T, B, H): GRU n, LSTM g
    fourth: Tensor  # (K, T, B, H): GRU the state's part of n, LSTM o
    readable: Tensor  # (K, T, B, H)
    queries: Tensor | None  # (K, T, B, E)
    keys: Tensor | None  # (K, T, B, E)
    values: Tensor | None  # (K, T, B, V)
    read: Tensor | None  # (K, T, B, V)
    content: Tensor | None  # (K, T, B, H) of the message
    gate: Tensor | None  # (K, T, B, H)
    weights: Tensor | None  # (T, B * C, K, K)


class _Cell(NamedTuple):
    """A GRU's or LSTM's derivatives, for all steps: T x (K, B, ...)."""

    gates: Sequence[Tensor]  # GRU: of n's state part, r, z, n; LSTM: of i, f, g by c
    direct: Sequence[Tensor]  # GRU: of h, z; LSTM: of o
    through_c: Sequence[Tensor]  # LSTM: of c by h
    forget: Sequence[Tensor]  # LSTM: f
    way: Tensor  # (K, T, B, H) from h to the candidate
    way_c: Tensor | None  # (K, T, B, H) LSTM: from c to its candidate


class _Selection(NamedTuple):
    """Soft selection, for all steps: T x (K, B, ...)."""

    part: Sequence[Tensor]  # (K, B, 1) how far each RIM moves
    stay: Sequence[Tensor]  # (K, B, 1) the rest of an active one's way
    way: Sequence[Tensor]  # (K, B, H)
    way_c: Sequence[Tensor]  # (K, B, H)
    slope: Sequence[Tensor]  # (K, B) of the move by the attention of a head
    loser: Sequence[Tensor]  # (1, B) the first loser's index


def by_step(hoisted: Tensor | None, batch: int, steps: int) -> Sequence[Tensor | None]:
    """(N, K, T * B, ...) -> T x (N, K, B, ...), or T times None."""
    return (None,) * steps if hoisted is None else hoisted.unflatten(2, (-1, batch)).unbind(2)


def over_heads(attention: Tensor) -> Tensor:
    """The mean over heads (N, ...), the same for equal columns: `mean` is not with more than 4."""
    if len(attention) <= 4:
        return attention[0] if len(attention) == 1 else attention.mean(0)
    total: Tensor = functools.reduce(torch.add, attention)
    return total / len(attention)


def by_head(spec: ScanSpec, x: Tensor) -> Tensor:
    """(K, B, C * size) -> (B * C, K, size), without a copy."""
    heads: Tensor = x.unflatten(-1, (spec.comm_heads, -1))
    return heads.flatten(1, 2).transpose(0, 1)


def reading_weights(spec: ScanSpec, attention: Tensor) -> Tensor:
    """Weights that read the input: the attention on it, or 1 (NaN where that is not a number)."""
    return attention if spec.read_null else attention.clamp(1.0, 1.0)


def out_of_each(weight_out: Tensor | None, rims: int) -> Tensor | None:
    """The output map of each RIM: (V, O) or (K, V, O) -> (K, V, O), or None."""
    if weight_out is None or weight_out.dim() == 3:
        return weight_out
    return weight_out.expand(rims, -1, -1)


def reset_scales(keep: Tensor | None, steps: int) -> Sequence[Tensor | None]:
    """The factors of states (K, B, H) before each step; None where they are 1."""
    if keep is None:
        return (None,) * steps
    scales = keep.unsqueeze(-1).unbind(0)
    if keep.device.type != "cpu":  # looking at it would have to wait for all that is under way
        return scales
    resets = (keep != 1).any(1).tolist()
    return [scale if reset else None for scale, reset in zip(scales, resets, strict=True)]


def backward(
    spec: ScanSpec,
    inputs: ScanInputs,
    record: ScanRecord,
    grad_h: Tensor,
    grad_c: Tensor,
    needed: Sequence[bool],
) -> ScanInputs:
    """See `rims_rl.core.scan.operation.Kernel`."""
    return _Backward(spec, inputs, record).run(grad_h, grad_c, ScanInputs(*needed))  # type: ignore[arg-type]


class _Communication(NamedTuple):
    """The communication's derivatives for all steps and its weights: T x (K, B, ...)."""

    message: Sequence[Tensor]  # (K, B, 1 or 2, H) of h by the content, or by it and the gate
    before: Sequence[Tensor]  # (K, B, H) of h by the state before
    change: Sequence[Tensor]  # (K, B, H) of a RIM that moves fully
    queries: Sequence[Tensor]
    keys: Sequence[Tensor]
    values: Sequence[Tensor]
    weights: Sequence[Tensor]  # T x (B * C, K, K)
    weight_out_t: Tensor | None  # (K, O, V)
    weight_qkv_t: Tensor  # (K, Q, H)


class _Backward:
    """The backward pass of one scan."""

    def __init__(self, spec: ScanSpec, inputs: ScanInputs, record: ScanRecord) -> None:
        self.spec, self.inputs = spec, inputs
        self.saved = Saved(*record.saved)  # type: ignore[arg-type]
        self.steps, self.batch, self.rims, self.units = record.h.shape
        on = record.active_mask.permute(2, 0, 1).unsqueeze(-1)
        self.on = on.to(record.h.dtype)  # (K, T, B, 1)
        move = self.saved.move
        self.part = self.on if move is None else move.unsqueeze(-1)
        self.h_in = self._entering(inputs.h0, record.h)
        # (T, N, K, B)
        attention = record.input_attention
        self.attention = None if attention is None else attention.movedim(1, -1)
        self.gates_of_step = inputs.gates_in.unflatten(2, (-1, self.batch)).unbind(2)
        self.scores_of_step = by_step(inputs.scores_in, self.batch, self.steps)
        new = record.h.new_empty
        shape = self.rims, self.steps, self.batch
        self.grad_gates = new(*shape, 4, self.units)
        self.grad_scores: list[Tensor] = []  # T x (N, K, B), the last step first
        self.communication: _Communication | None = None
        if inputs.weight_qkv is not None:
            outputs = self.units if self.saved.gate is None else 2 * self.units
            self.grad_qkv = new(*shape, inputs.weight_qkv.shape[-1])
            self.grad_message = new(*shape, outputs)
            self.communication = self._communicate(inputs.weight_qkv, inputs.weight_out)
        weight = inputs.weight_hh
        if spec.gates == 3:  # in the order of `_Cell.gates`
            weight = weight.roll(self.units, -1)
        self.weight_hh_t = weight.transpose(1, 2)
        self.cell = self._gru() if spec.gates == 3 else self._lstm(record)
        self.selection = None if move is None else self._soft_selection(move)

    def _entering(self, first: Tensor, later: Tensor) -> Tensor:
        """The states that enter the steps, (K, T, B, H)."""
        states = torch.cat([first.unsqueeze(0), later[:-1]])
        if self.inputs.keep is not None:
            states = states * self.inputs.keep[..., None, None]
        return states.permute(2, 0, 1, 3).contiguous()

    def _gru(self) -> _Cell:
        r, z = self.saved.two_gates.chunk(2, -1)
        n, state_n = self.saved.third, self.saved.fourth
        of_n = (1 - z) * (1 - n * n)
        of_state_n = of_n * r
        of_r = of_state_n * state_n * (1 - r)
        of_z = (self.h_in - n) * z * (1 - z)
        gates = torch.stack([of_state_n, of_r, of_z, of_n], -2)
        return _Cell(gates.unbind(1), z.unbind(1), (), (), (1 - z) * (n - self.h_in), None)

    def _lstm(self, record: ScanRecord) -> _Cell:
        i, f = self.saved.two_gates.chunk(2, -1)
        g, o = self.saved.third, self.saved.fourth
        c_in = self._entering(self.inputs.c0, record.c)
        new_c = torch.addcmul(f * c_in, i, g)
        squashed = torch.tanh(new_c)
        gates = torch.stack([g * i * (1 - i), c_in * f * (1 - f), i * (1 - g * g)], -2)
        of_o = squashed * o * (1 - o)
        through_c = o * (1 - squashed * squashed)
        way, way_c = o * squashed - self.h_in, new_c - c_in
        return _Cell(gates.unbind(1), of_o.unbind(1), through_c.unbind(1), f.unbind(1), way, way_c)

    def _soft_selection(self, move: Tensor) -> _Selection | None:
        """Derivatives of `rims_rl.core.forms.soft_edge`; None where nobody loses."""
        spec, attention = self.spec, self.attention
        if attention is None or spec.num_active == self.rims:
            return None
        total = over_heads(attention.transpose(0, 1))  # (N, T, K, B) -> (T, K, B)
        ranked = total.sort(dim=1, descending=True, stable=True).indices
        partly = self.on.squeeze(-1) * (move < 1)
        slope = partly / (spec.edge_width * attention.shape[1])
        way_c = self.cell.way_c
        return _Selection(
            self.part.unbind(1),
            (self.on - self.part).unbind(1),
            self.cell.way.unbind(1),
            () if way_c is None else way_c.unbind(1),
            slope.unbind(1),
            ranked[:, spec.num_active : spec.num_active + 1].unbind(0),
        )

    def run(self, grad_h: Tensor, grad_c: Tensor, needed: ScanInputs) -> ScanInputs:
        """Goes back through all steps, then computes the gradients of all inputs."""
        grad_of_step = grad_h.transpose(1, 2).unbind(0)
        on_of_step, off_of_step = self.on.unbind(1), (1 - self.on).unbind(1)
        scale_of_step = reset_scales(self.inputs.keep, self.steps)
        carried_h, carried_c = torch.zeros_like(grad_c).transpose(0, 1), grad_c.transpose(0, 1)
        for t in range(self.steps - 1, -1, -1):
            delta = carried_h + grad_of_step[t]
            on, off = on_of_step[t], off_of_step[t]
            carried_h = delta * off
            if self.communication is None:
                grad = delta * on
            else:
                grad, grad_readable = self._communication_step(self.communication, t, delta)
                grad = torch.addcmul(grad, grad_readable, on)
                if not self.spec.read_candidate:
                    carried_h = torch.addcmul(carried_h, grad_readable, off)
            grad_move = None
            if self.selection is not None:
                grad_move = self._move_gradient(self.selection, t, delta, grad, carried_c)
                carried_h = torch.addcmul(carried_h, grad, self.selection.stay[t])
                grad = grad * self.selection.part[t]
            carried_h, carried_c = self._cell_step(t, grad, carried_h, carried_c, on)
            if self.attention is not None:
                carried_h = self._attention_step(self.attention, t, carried_h, grad_move)
            scale = scale_of_step[t]
            if scale is not None:
                carried_h, carried_c = carried_h * scale, carried_c * scale
        return self._gradients(carried_h, carried_c, needed)

    def _communicate(self, weight_qkv: Tensor, weight_out: Tensor | None) -> _Communication:
        saved, on = self.saved, self.on
        content, gate = saved.content, saved.gate
        assert content is not None
        weight_out = out_of_each(weight_out, self.rims)
        if gate is None:
            message, before, change = self.part.unsqueeze(-2), on, content
        else:
            bounded = self.spec.communication == "bounded"
            opened = self.part * gate
            contrast = content - saved.readable if bounded else content
            of_gate = opened * (1 - gate) * contrast
            message = torch.stack([opened * (1 - content * content), of_gate], -2)
            before = on - opened if bounded else on
            change = gate * contrast
        assert saved.queries is not None
        assert saved.keys is not None
        assert saved.values is not None
        assert saved.weights is not None
        return _Communication(
            message.unbind(1),
            before.unbind(1),
            change.unbind(1),
            saved.queries.unbind(1),
            saved.keys.unbind(1),
            saved.values.unbind(1),
            saved.weights.unbind(0),
            None if weight_out is None else weight_out.transpose(1, 2),
            weight_qkv.transpose(1, 2),
        )

    def _communication_step(
        self, communication: _Communication, t: int, delta: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Gradients of the state before it directly and of what is readable, (K, B, H)."""
        spec, grad_message, grad_qkv = self.spec, self.grad_message[:, t], self.grad_qkv[:, t]
        by_part = grad_message.unflatten(-1, (-1, self.units))
        torch.mul(delta.unsqueeze(-2), communication.message[t], out=by_part)
        grad_read = grad_message
        if communication.weight_out_t is not None:
            grad_read = torch.bmm(grad_message, communication.weight_out_t)
        grad_read = by_head(spec, grad_read)
        queries, keys, values = (
            by_head(spec, x[t])
            for x in (communication.queries, communication.keys, communication.values)
        )
        weights = communication.weights[t]
        weighted = weights * torch.bmm(grad_read, values.transpose(1, 2))
        grad_scores = torch.addcmul(weighted, weights, weighted.sum(-1, keepdim=True), value=-1)
        grad_scores = grad_scores * score_scale(spec.comm_key_size)
        grads = (
            torch.bmm(grad_scores, keys),
            torch.bmm(grad_scores.transpose(1, 2), queries),
            torch.bmm(weights.transpose(1, 2), grad_read),
        )
        size = spec.comm_heads * spec.comm_key_size
        for grad, to in zip(grads, grad_qkv.tensor_split((size, 2 * size), -1), strict=True):
            to.unflatten(-1, (spec.comm_heads, -1)).copy_(
                grad.unflatten(0, (self.batch, -1)).permute(2, 0, 1, 3)
            )
        return delta * communication.before[t], torch.bmm(grad_qkv, communication.weight_qkv_t)

    def _move_gradient(
        self, selection: _Selection, t: int, delta: Tensor, grad: Tensor, carried_c: Tensor
    ) -> Tensor:
        """Gradient of how far each RIM moves, (K, B); of inactive ones without meaning."""
        total = grad * selection.way[t]
        if self.communication is not None:
            total = torch.addcmul(total, delta, self.communication.change[t])
        if selection.way_c:
            total = torch.addcmul(total, carried_c, selection.way_c[t])
        return total.sum(-1)

    def _cell_step(
        self, t: int, grad: Tensor, carried_h: Tensor, carried_c: Tensor, on: Tensor
    ) -> tuple[Tensor, Tensor]:
        """From the candidate's gradient to those of the states that enter the step."""
        cell, gates = self.cell, self.grad_gates[:, t]
        flat = gates.flatten(-2)
        if self.spec.gates == 3:
            torch.mul(grad.unsqueeze(-2), cell.gates[t], out=gates)
            carried_h = torch.addcmul(carried_h, grad, cell.direct[t])
            return torch.baddbmm(
                carried_h, flat[..., : 3 * self.units], self.weight_hh_t
            ), carried_c
        of_active = carried_c * on
        kept_c = carried_c - of_active
        if self.selection is not None:
            kept_c = torch.addcmul(kept_c, of_active, self.selection.stay[t])
            of_active = of_active * self.selection.part[t]
        through = torch.addcmul(of_active, grad, cell.through_c[t])
        torch.mul(through.unsqueeze(-2), cell.gates[t], out=gates[..., :3, :])
        torch.mul(grad, cell.direct[t], out=gates[..., 3, :])
        carried_c = torch.addcmul(kept_c, through * on, cell.forget[t])
        return torch.baddbmm(carried_h, flat, self.weight_hh_t), carried_c

    def _attention_step(
        self, attention: Tensor, t: int, carried_h: Tensor, grad_move: Tensor | None
    ) -> Tensor:
        """Adds the gradient that comes through the scores."""
        if self.spec.read_null:
            grad = (self._of_input(self.grad_gates[:, t]) * self.gates_of_step[t]).sum(-1)
        else:
            grad = torch.zeros_like(attention[t])
        if self.selection is not None and grad_move is not None:
            of_winners = grad_move * self.selection.slope[t]
            of_loser = -of_winners.sum(0, keepdim=True)
            grad = grad + of_winners.scatter_add(0, self.selection.loser[t], of_loser)
        grad_scores = self._attention_backward(t, attention[t], grad)
        self.grad_scores.append(grad_scores)
        scores_in = self.scores_of_step[t]
        assert scores_in is not None
        if len(grad_scores) == 1:
            return torch.addcmul(carried_h, grad_scores[0].unsqueeze(-1), scores_in[0])
        return carried_h + (grad_scores.unsqueeze(-1) * scores_in).sum(0)

    def _of_input(self, grad_gates: Tensor) -> Tensor:
        """The gradients of the input's part of the gates, (..., 4, H) -> (..., G * H)."""
        return grad_gates[..., 4 - self.spec.gates :, :].flatten(-2)

    def _attention_backward(self, t: int, attention: Tensor, grad: Tensor) -> Tensor:
        """From gradients of the attention (N, K, B) to those of the scores."""
        if self.spec.input_attention == "null":
            return grad * (attention - attention * attention)
        assert self.saved.softmax is not None
        softmax, num_active = self.saved.softmax[t], self.spec.num_active
        if softmax.shape[1] > num_active + 1:
            ranked = softmax.sort(dim=1, descending=True, stable=True)
            cut_index = ranked.indices[:, num_active : num_active + 1]
            left = softmax - (softmax.gather(1, cut_index) + SPARSIFY_EPSILON)
            norm = left.clamp(min=0.0).sum(1, keepdim=True) + SPARSIFY_EPSILON
            grad = (grad - (grad * attention).sum(1, keepdim=True)) / norm
            grad = grad.masked_fill(left <= 0, 0.0)
            grad = grad.scatter_add(1, cut_index, -grad.sum(1, keepdim=True))
        return softmax * (grad - (grad * softmax).sum(1, keepdim=True))

    def _gradients(self, grad_h0: Tensor, grad_c0: Tensor, needed: ScanInputs) -> ScanInputs:
        """Gradients of all inputs, each as few operations over all steps."""
        grad_ih = self._of_input(self.grad_gates)  # (K, T, B, G * H)
        bias = self.grad_gates.sum((1, 2)).flatten(1)  # (K, 4 * H)
        weight_hh = bias_hh = gates_in = scores_in = score_bias = None
        if needed.weight_hh or needed.bias_hh:
            width = self.spec.gates * self.units
            turn = -self.units if self.spec.gates == 3 else 0  # back to the weights' order
            bias_hh = bias[:, :width].roll(turn, -1)
            grad_hh = self.grad_gates.flatten(-2)[..., :width]
            weight_hh = _per_rim(self.h_in, grad_hh).roll(turn, -1)
        if needed.gates_in:
            weights = self.attention
            if weights is not None:
                weights = reading_weights(self.spec, weights)
            gates_in = grad_ih.unsqueeze(0) * self._hoisted(weights)
            gates_in = gates_in.flatten(2, 3)
        if self.grad_scores and (needed.scores_in or needed.score_bias):
            grad_scores = torch.stack(self.grad_scores[::-1])
            if needed.scores_in:
                scores_in = (self.h_in.unsqueeze(0) * self._hoisted(grad_scores)).flatten(2, 3)
            if needed.score_bias:
                score_bias = grad_scores.permute(1, 2, 0, 3).flatten(2)
        weight_qkv = weight_out = bias_out = None
        if self.communication is not None:
            weight_qkv = _per_rim(self.saved.readable, self.grad_qkv)
            weight_out, bias_out = self._gradients_of_out()
        return ScanInputs(
            gates_in=gates_in,  # type: ignore[arg-type]
            scores_in=scores_in,
            score_bias=score_bias,
            h0=grad_h0.transpose(0, 1),
            c0=grad_c0.transpose(0, 1),
            keep=None,
            weight_hh=weight_hh,  # type: ignore[arg-type]
            bias_ih=bias[:, -grad_ih.shape[-1] :],
            bias_hh=bias_hh,  # type: ignore[arg-type]
            weight_qkv=weight_qkv,
            weight_out=weight_out,
            bias_out=bias_out,
        )

    def _hoisted(self, weight: Tensor | None) -> Tensor:
        """(T, N, K, B) -> (N, K, T, B, 1); ones if None."""
        if weight is None:
            return self.on.new_ones(1, 1, 1, 1, 1)
        return weight.permute(1, 2, 0, 3).unsqueeze(-1)

    def _gradients_of_out(self) -> tuple[Tensor | None, Tensor | None]:
        read, has_map = self.saved.read, self.inputs.weight_out is not None
        assert read is not None
        if self.spec.communication == "residual":
            return _per_rim(read, self.grad_message) if has_map else None, None
        grad = self.grad_message.flatten(0, 2)
        return read.flatten(0, 2).T @ grad if has_map else None, grad.sum(0)


def _per_rim(x: Tensor, grad: Tensor) -> Tensor:
    """Gradient of each RIM's map: (K, T, B, I), (K, T, B, J) -> (K, I, J)."""
    return torch.bmm(x.flatten(1, 2).transpose(1, 2), grad.flatten(1, 2))

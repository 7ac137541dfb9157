"""The whole scan as one differentiable operation, for the fast paths.

What does not depend on the state is computed before the loop over time, the gradients of its
weights after it, each as one matrix product over the whole sequence. What is left, a kernel does:
`rims_rl.core.scan.compiled` or `rims_rl.core.scan.torch_forward`. `RIM` itself holds the plain
reference.

Axes: T time, B batch, M = T * B, K RIMs, H units per RIM, G gates per unit, N input heads,
C communication heads, Q queries, keys and values of communication, V values read, O outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from rims_rl.core.config import RIMConfig
from rims_rl.core.precision import without_autocast
from rims_rl.core.scan.product import multiply, multiply_and_sum
from rims_rl.core.tracing import is_transformed

#: The forms that kernels know, in the order of the compiled one's.
FORMS: Mapping[str, Sequence[str]] = {
    "input_attention": ("null", "competition", "none"),
    "selection": ("hard", "soft"),
    "communication": ("none", "bounded", "gated", "residual"),
}


@dataclass(frozen=True)
class ScanSpec:
    """The choices and sizes that arrays do not tell, named as in `RIMConfig`."""

    input_attention: str  # "null", "competition" or "none"
    selection: str
    communication: str  # a form's name or "none"
    read_candidate: bool
    read_null: bool
    gates: int
    num_active: int
    edge_width: float
    comm_heads: int
    comm_key_size: int
    comm_value_size: int

    @classmethod
    def of(cls, config: RIMConfig) -> ScanSpec:
        """The spec of a configuration."""
        return cls(
            input_attention=config.input_attention or "none",
            # Without attention nobody loses.
            selection=config.selection if config.input_attention else "hard",
            communication=config.communication or "none",
            # Without communication nobody reads a candidate.
            read_candidate=config.read_inactive == "candidate" and config.communication is not None,
            # Without attention there is no null row.
            read_null=config.read_null and config.input_attention is not None,
            gates=3 if config.dynamics == "gru" else 4,
            num_active=config.num_active,
            edge_width=config.edge_width,
            comm_heads=config.comm_heads,
            comm_key_size=config.comm_key_size,
            comm_value_size=config.comm_value_size,
        )

    def is_among(self, known: Mapping[str, Sequence[str]]) -> bool:
        """Tells whether all its forms are among those that a kernel knows, by field."""
        return all(getattr(self, name) in forms for name, forms in known.items())

    def forms(self) -> str:
        """The forms, for messages."""
        names = ("input_attention", "selection", "communication")
        return ", ".join(f"{name} {getattr(self, name)!r}" for name in names)

    @property
    def communicates(self) -> bool:
        """True if RIMs read from one another."""
        return self.communication != "none"


class ScanInputs(NamedTuple):
    """The inputs of a kernel. Absent parts are None."""

    gates_in: Tensor  # (N, K, M, G * H) the input's part of the gates, before attention
    scores_in: Tensor | None  # (N, K, M, H) the score is the state times this
    score_bias: Tensor | None  # (N, K, M) is added to it
    h0: Tensor  # (B, K, H)
    c0: Tensor  # (B, K, H)
    keep: Tensor | None  # (T, B)
    weight_hh: Tensor  # (K, H, G * H)
    bias_ih: Tensor  # (K, G * H)
    bias_hh: Tensor  # (K, G * H)
    weight_qkv: Tensor | None  # (K, H, Q)
    weight_out: Tensor | None  # (V, O), residual: (K, V, O); None too where V = O are the message
    bias_out: Tensor | None  # (O)


class ScanRecord(NamedTuple):
    """All that a kernel's forward pass leaves for its backward pass and for analysis."""

    h: Tensor  # (T, B, K, H) after each step
    c: Tensor  # (T, B, K, H) after each step
    active_mask: Tensor  # (T, B, K) bool
    input_attention: Tensor | None  # (T, B, N, K)
    communication_attention: Tensor | None  # (T, B, C, K, K), 0 for inactive readers
    saved: tuple[Tensor | None, ...]  # what else this kernel's backward pass reads


class Kernel(Protocol):
    """A way to run the loop over time."""

    def supports(self, spec: ScanSpec) -> bool:
        """Tells whether it knows all forms that the spec names; else the reference runs."""

    def forward(self, spec: ScanSpec, inputs: ScanInputs, save: bool) -> ScanRecord:
        """Runs all steps; with save=False only h, c of the last step and analysis are whole."""

    def backward(
        self,
        spec: ScanSpec,
        inputs: ScanInputs,
        record: ScanRecord,
        grad_h: Tensor,
        grad_c: Tensor,
        needed: Sequence[bool],
    ) -> ScanInputs:
        """Gradients of the inputs from those of every h and of the last c.

        needed says for each input whether its gradient is wanted; the others may be None.
        """


_BY_REFERENCE = "make the core with backend='reference'"


class _NotTwice(torch.autograd.Function):
    """Hands gradients on, and says what to do when somebody differentiates them once more."""

    @staticmethod
    def forward(ctx: Any, count: int, *tensors: Tensor | None) -> tuple[Tensor | None, ...]:
        """The first tensors are what the others, the gradients, depend on."""
        return tensors[count:]

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        """Refuses."""
        raise RuntimeError(
            f"the fast paths of a RIM give no second derivatives (double backward): {_BY_REFERENCE}"
        )


def _once(ctx: Any, gradients: Callable[..., Sequence[Tensor | None]], *grads: Tensor) -> Any:
    """Runs a hand-written backward pass, whose results cannot be differentiated again.

    Under autocast in the type of its tensors.
    """
    if is_transformed(grads[0]):
        raise RuntimeError(f"the fast paths of a RIM give no batches of gradients: {_BY_REFERENCE}")
    saved = ctx.saved_tensors  # once: checkpoints compute them anew each time
    with torch.no_grad(), without_autocast(grads[0].device):
        results = gradients(ctx, saved, *grads)
    if not torch.is_grad_enabled():
        return results
    depends_on = [t for t in (*saved, *grads) if isinstance(t, Tensor) and t.requires_grad]
    return _NotTwice.apply(len(depends_on), *depends_on, *results)  # type: ignore[no-untyped-call]


class _Scan(torch.autograd.Function):
    """The loop over time with hand-written backpropagation."""

    @staticmethod
    def forward(
        ctx: Any, spec: ScanSpec, kernel: Kernel, *tensors: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        """Runs the kernel; gives h, the last c, and what of the record is for analysis."""
        inputs = ScanInputs(*tensors)  # type: ignore[arg-type]
        record = kernel.forward(spec, inputs, True)
        ctx.spec, ctx.kernel = spec, kernel
        ctx.save_for_backward(*inputs, *record[:-1], *record.saved)
        ctx.mark_non_differentiable(*(t for t in record[2:-1] if isinstance(t, Tensor)))
        return record.h, record.c[-1].clone(), *record[2:-1]

    @staticmethod
    def backward(ctx: Any, grad_h: Tensor, grad_c: Tensor, *_: Any) -> tuple[Any, ...]:
        """Runs the kernel backwards."""
        return None, None, *_once(ctx, _Scan._gradients, grad_h, grad_c)

    @staticmethod
    def _gradients(
        ctx: Any, saved: Sequence[Any], grad_h: Tensor, grad_c: Tensor
    ) -> Sequence[Tensor | None]:
        ends = len(ScanInputs._fields), len(ScanInputs._fields) + len(ScanRecord._fields) - 1
        inputs = ScanInputs(*saved[: ends[0]])
        parts = (*saved[ends[0] : ends[1]], saved[ends[1] :])
        record = ScanRecord._make(parts)
        needed = ctx.needs_input_grad[2:]
        gradients: ScanInputs = ctx.kernel.backward(
            ctx.spec, inputs, record, grad_h, grad_c, needed
        )
        return gradients


def _project(x: Tensor, weight: Tensor) -> Tensor:
    per_head = weight.unflatten(1, (x.shape[1], -1)).unbind(1)
    projected = [
        multiply(rows.expand(len(weight), -1, -1), maps)
        for rows, maps in zip(x.unbind(1), per_head, strict=True)
    ]
    return projected[0].unsqueeze(0) if len(projected) == 1 else torch.stack(projected)


class _ProjectForRims(torch.autograd.Function):
    """See `project_for_rims`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        """Maps the rows."""
        ctx.save_for_backward(x, weight)
        return _project(x, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the rows and of the maps."""
        gradients: tuple[Tensor | None, ...] = _once(ctx, _ProjectForRims._gradients, grad)
        return gradients

    @staticmethod
    def _gradients(
        ctx: Any, saved: Sequence[Tensor], grad: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        x, weight = saved
        rims = len(weight)
        per_head = weight.unflatten(1, (x.shape[1], -1)).transpose(-1, -2).unbind(1)
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            grad_x = torch.stack([*map(multiply_and_sum, grad, per_head)], dim=1)
        if ctx.needs_input_grad[1]:
            columns = x.permute(1, 2, 0).unsqueeze(1).expand(-1, rims, -1, -1)
            grad_weight = torch.stack([*map(multiply, columns, grad)], dim=1).flatten(1, 2)
        return grad_x, grad_weight


def scan(
    spec: ScanSpec, kernel: Kernel, inputs: ScanInputs
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
    """Runs the loop over time so that gradients can flow back through it.

    Returns:
        h of all steps (T, B, K, H), c of the last (B, K, H), active_mask, input_attention and
        communication_attention as in `ScanRecord`; the last three carry no gradient.
    """
    return _Scan.apply(spec, kernel, *inputs)  # type: ignore[no-untyped-call, no-any-return]


def project_for_rims(x: Tensor, weight: Tensor) -> Tensor:
    """Every RIM's own map of the same rows: (M, N, I), (K, N * I, J) -> (N, K, M, J).

    Plain broadcasting would sum the rows' gradient from K copies of it.
    """
    if not torch.is_grad_enabled():
        return _project(x, weight)
    return _ProjectForRims.apply(x, weight)  # type: ignore[no-untyped-call, no-any-return]


def score_scale(key_size: int) -> float:
    """The factor of scores, 1 / sqrt(key size) (paper, equation 1)."""
    return 1.0 / math.sqrt(key_size)

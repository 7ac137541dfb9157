"""The compiled kernel: arrays by pointer into a shared library, no torch headers needed."""

from __future__ import annotations

import ctypes
import functools
import importlib.util

import torch
from torch import Tensor

from rims_rl.core.scan import ScanGradients, ScanInputs, ScanRecord, ScanSpec

_SIZES = (
    "steps", "batch", "rims", "units", "gates", "heads", "num_active", "comm_heads", "key_size",
    "value_size", "attention", "message", "read_candidate", "save", "threads",
)  # fmt: skip
_FORWARD = (
    "gates_in", "scores_in", "h0", "c0", "keep", "weight_hh", "bias_ih", "bias_hh", "weight_qkv",
    "weight_out", "bias_out", "h", "c", "attention", "softmax", "active", "acts", "readable",
    "qkv", "weights", "read", "out",
)  # fmt: skip
_BACKWARD = (
    "grad_h", "grad_c", "weight_hh_t", "weight_qkv_t", "weight_out_t", "grad_gates_in",
    "grad_scores_in", "grad_h0", "grad_c0", "grad_gates_ih", "grad_gates_hh", "grad_qkv",
    "grad_out",
)  # fmt: skip
_ATTENTIONS = ("null", "competition", "none")
_MESSAGES = ("none", "bounded", "gated", "residual")
_DTYPES = {torch.float32: "f32", torch.float64: "f64"}

#: The kernel keeps a row of RIMs on the stack.
MAX_RIMS = 256

#: The reason of `why_not` that a user can do something about.
NOT_BUILT = "its compiled scan is missing or of another version"


class _Sizes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in _SIZES]


class _Forward(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in _FORWARD]


class _Backward(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in _BACKWARD]


@functools.cache
def library() -> ctypes.CDLL | None:
    """The compiled library, or None if there is none that fits this code."""
    spec = importlib.util.find_spec("rims_rl.core._scan")
    if spec is None or spec.origin is None:
        return None
    try:
        found = ctypes.CDLL(spec.origin)
        layout = found.rims_layout()
    except (OSError, AttributeError):
        return None
    return found if layout == sum(map(ctypes.sizeof, (_Sizes, _Forward, _Backward))) else None


def why_not(x: Tensor, num_rims: int) -> str | None:
    """What keeps the kernel from taking such an input; None if nothing does."""
    if x.device.type != "cpu":
        return f"the compiled scan runs on the CPU, not on {x.device.type}"
    if x.dtype not in _DTYPES:
        return f"the compiled scan takes float32 and float64, not {x.dtype}"
    if num_rims > MAX_RIMS:
        return f"the compiled scan takes at most {MAX_RIMS} RIMs"
    if library() is None:
        return NOT_BUILT
    return None


def forward(spec: ScanSpec, inputs: ScanInputs, save: bool) -> ScanRecord:
    """See `rims_rl.core.scan.Kernel`."""
    _check_types(inputs)
    inputs = ScanInputs(*(None if t is None else t.contiguous() for t in inputs))  # type: ignore[arg-type]
    record = _empty_record(spec, inputs, save)
    arrays = _Forward(*map(_pointer, (*inputs, *_in_order(record))))
    _call("rims_forward", inputs, _sizes(spec, inputs, save), arrays)
    return record


def backward(
    spec: ScanSpec, inputs: ScanInputs, record: ScanRecord, grad_h: Tensor, grad_c: Tensor
) -> ScanGradients:
    """See `rims_rl.core.scan.Kernel`."""
    inputs = ScanInputs(*(None if t is None else t.contiguous() for t in inputs))  # type: ignore[arg-type]
    grad_h, grad_c = grad_h.contiguous(), grad_c.contiguous()
    transposed = [
        None if weight is None else weight.transpose(-1, -2).contiguous()
        for weight in (inputs.weight_hh, inputs.weight_qkv, inputs.weight_out)
    ]
    steps, batch, rims, _ = record.h.shape
    new = inputs.h0.new_empty
    gates = (steps, batch, rims, inputs.weight_hh.shape[-1])
    grads = ScanGradients(
        gates_in=torch.empty_like(inputs.gates_in),
        scores_in=None if inputs.scores_in is None else torch.empty_like(inputs.scores_in),
        h0=torch.empty_like(inputs.h0),
        c0=torch.empty_like(inputs.h0),
        gates_ih=new(gates),
        gates_hh=new(gates),
        qkv=None if record.qkv is None else torch.empty_like(record.qkv),
        out=None if record.out is None else torch.empty_like(record.out),
    )
    forward_arrays = _Forward(*map(_pointer, (*inputs, *_in_order(record))))
    arrays = _Backward(*map(_pointer, (grad_h, grad_c, *transposed, *grads)))
    _call("rims_backward", inputs, _sizes(spec, inputs, True), forward_arrays, arrays)
    return grads


def _check_types(inputs: ScanInputs) -> None:
    """Raises a ValueError where types are mixed: a pointer does not say what it points to."""
    expected = inputs.gates_in.dtype
    for name, tensor in zip(inputs._fields, inputs, strict=True):
        if tensor is not None and (tensor.dtype != expected or tensor.device.type != "cpu"):
            raise ValueError(
                f"{name} must be {expected} on the CPU like the input, "
                f"got {tensor.dtype} on {tensor.device}"
            )


def _empty_record(spec: ScanSpec, inputs: ScanInputs, save: bool) -> ScanRecord:
    batch, rims, units = inputs.h0.shape
    heads, _, samples, _ = inputs.gates_in.shape
    steps = samples // batch
    kept = steps if save else 1
    new = inputs.h0.new_empty
    attends, talks = spec.attention != "none", spec.message != "none"
    queries = 0 if inputs.weight_qkv is None else inputs.weight_qkv.shape[-1]
    values = spec.comm_heads * spec.value_size
    outputs = 0 if inputs.weight_out is None else inputs.weight_out.shape[-1]
    competes = spec.attention == "competition"
    return ScanRecord(
        h=new(steps, batch, rims, units),
        # GRU dynamics hand c on unchanged.
        c=new(steps, batch, rims, units) if spec.gates == 4 else inputs.c0.unsqueeze(0),
        active=new(steps, batch, rims, dtype=torch.bool),
        attention=new(kept, batch, heads, rims) if attends else None,
        softmax=new(kept, batch, heads, rims) if competes else None,
        acts=new(kept, batch, rims, 4 * units),
        readable=new(kept, batch, rims, units),
        qkv=new(kept, batch, rims, queries) if talks else None,
        weights=new(kept, batch, spec.comm_heads, rims, rims) if talks else None,
        read=new(kept, batch, rims, values) if talks else None,
        out=new(kept, batch, rims, outputs) if talks else None,
    )


def _in_order(record: ScanRecord) -> tuple[Tensor | None, ...]:
    fields = _FORWARD[len(ScanInputs._fields) :]
    return tuple(getattr(record, name) for name in fields)


def _sizes(spec: ScanSpec, inputs: ScanInputs, save: bool) -> _Sizes:
    batch, rims, units = inputs.h0.shape
    heads, _, samples, _ = inputs.gates_in.shape
    # A thread takes longer to start than it saves on a few samples.
    threads = torch.get_num_threads() if samples >= 16 else 1
    return _Sizes(
        samples // batch, batch, rims, units, spec.gates, heads, spec.num_active,
        spec.comm_heads, spec.key_size, spec.value_size, _ATTENTIONS.index(spec.attention),
        _MESSAGES.index(spec.message), spec.read_candidate, save, threads,
    )  # fmt: skip


def _pointer(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _call(name: str, inputs: ScanInputs, *structures: ctypes.Structure) -> None:
    found = library()
    assert found is not None
    function = getattr(found, f"{name}_{_DTYPES[inputs.h0.dtype]}")
    function(*map(ctypes.byref, structures))

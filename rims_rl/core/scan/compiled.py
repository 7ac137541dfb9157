"""The compiled kernel: arrays by pointer into a shared library, no torch headers needed."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rims_rl.core.attention import SPARSIFY_EPSILON
from rims_rl.core.scan.operation import FORMS, ScanInputs, ScanRecord, ScanSpec
from rims_rl.core.tracing import is_plain

_SIZES = (
    "steps", "batch", "num_rims", "rim_size", "gates", "input_heads", "num_active", "comm_heads",
    "comm_key_size", "comm_value_size", "input_attention", "selection", "communication",
    "read_candidate", "read_null", "save", "threads",
)  # fmt: skip
_SAVED = ("move", "softmax", "acts", "readable", "queries", "sources", "read", "message")
_RECORD = (*ScanRecord._fields[:-1], *_SAVED)
_FORWARD = (*ScanInputs._fields, "edge_width", *_RECORD)
_WEIGHTS = ("weight_hh", "weight_qkv", "weight_out")
_GRADIENTS = tuple(name for name in ScanInputs._fields if name != "keep")
_BACKWARD = ("grad_h", "grad_c", *(f"{name}_t" for name in _WEIGHTS), *_GRADIENTS)
_DTYPES = {torch.float32: "f32", torch.float64: "f64"}

#: Of the sources; see ``native/scan.h``, as of the next.
_KERNEL = 1
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
    spec = importlib.util.find_spec("rims_rl.core.scan._compiled")
    if spec is None or spec.origin is None:
        return None
    try:
        found = ctypes.CDLL(spec.origin)
        found.rims_layout.restype = ctypes.c_char_p
        layout = found.rims_layout().decode()
    except (OSError, AttributeError, UnicodeDecodeError):
        return None
    return found if layout == expected_layout() else None


def expected_layout() -> str:
    """Names of fields and forms in the order in which this module hands them over, and numbers."""
    parts = (_SIZES, _FORWARD, _BACKWARD, *FORMS.values())
    names = "".join(f"; {' '.join(names)}" for names in parts)
    return f"{names}; {SPARSIFY_EPSILON:g}; {MAX_RIMS}; {_KERNEL}"


def supports(spec: ScanSpec) -> bool:
    """See `rims_rl.core.scan.operation.Kernel`."""
    return spec.is_among(FORMS)


def why_not(spec: ScanSpec, x: Tensor, num_rims: int) -> str | None:
    """The reason why the kernel cannot run such a scan; None if there is none."""
    if not supports(spec):
        return f"the compiled scan does not know all of {spec.forms()}"
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
    """See `rims_rl.core.scan.operation.Kernel`."""
    _check_types(inputs)
    inputs = _contiguous(inputs)
    record = _empty_record(spec, inputs, save)
    edge_width = _edge_width(spec, inputs)
    arrays = _Forward(*map(_pointer, (*inputs, edge_width, *_flat(record))))
    _call("rims_forward", inputs, _sizes(spec, inputs, save), arrays)
    return record


def backward(
    spec: ScanSpec,
    inputs: ScanInputs,
    record: ScanRecord,
    grad_h: Tensor,
    grad_c: Tensor,
    needed: Sequence[bool],
) -> ScanInputs:
    """See `rims_rl.core.scan.operation.Kernel`."""
    inputs = _contiguous(inputs)
    transposed = [
        None if weight is None else weight.transpose(-1, -2).contiguous()
        for weight in (getattr(inputs, name) for name in _WEIGHTS)
    ]
    grads = ScanInputs(*map(_room_for_gradient, inputs._fields, inputs, needed))
    grad_h, grad_c = grad_h.contiguous(), grad_c.contiguous()
    results = (getattr(grads, name) for name in _GRADIENTS)
    edge_width = _edge_width(spec, inputs)
    # Hooks on saved tensors may give them back in another order in memory.
    saved = [None if part is None else part.contiguous() for part in _flat(record)]
    forward_arrays = _Forward(*map(_pointer, (*inputs, edge_width, *saved)))
    arrays = _Backward(*map(_pointer, (grad_h, grad_c, *transposed, *results)))
    _call("rims_backward", inputs, _sizes(spec, inputs, True), forward_arrays, arrays)
    return grads


def _room_for_gradient(name: str, tensor: Tensor | None, wanted: bool) -> Any:
    # The states' gradients come at no cost.
    if tensor is None or name == "keep" or not (wanted or name in ("h0", "c0")):
        return None
    return torch.empty_like(tensor)


def _contiguous(inputs: ScanInputs) -> ScanInputs:
    """The numbers as they lie in memory, also of a view that only says it is negative."""
    plain = (None if t is None else t.resolve_neg().contiguous() for t in inputs)
    return ScanInputs(*plain)  # type: ignore[arg-type]


def _flat(record: ScanRecord) -> tuple[Tensor | None, ...]:
    return (*record[:-1], *record.saved)


def _check_types(inputs: ScanInputs) -> None:
    """Raises a ValueError where types are mixed: a pointer does not say what it points to."""
    expected = inputs.gates_in.dtype
    for name, tensor in zip(inputs._fields, inputs, strict=True):
        if tensor is None:
            continue
        if not is_plain(tensor):
            raise ValueError(
                f"{name} is a {type(tensor).__name__}, whose numbers only torch knows: use "
                "backend='reference'"
            )
        if tensor.dtype != expected or tensor.device.type != "cpu":
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
    communicates, competes = spec.communicates, spec.input_attention == "competition"
    keys, values = spec.comm_heads * spec.comm_key_size, spec.comm_heads * spec.comm_value_size
    outputs = units if spec.communication == "residual" else 2 * units
    cells = rims if spec.read_candidate else spec.num_active
    return ScanRecord(
        h=new(steps, batch, rims, units),
        # GRU dynamics hand c on unchanged.
        c=new(steps, batch, rims, units) if spec.gates == 4 else inputs.c0.unsqueeze(0),
        active_mask=new(steps, batch, rims, dtype=torch.bool),
        input_attention=new(kept, batch, heads, rims) if spec.input_attention != "none" else None,
        communication_attention=(
            new(kept, batch, spec.comm_heads, rims, rims) if communicates else None
        ),
        saved=(
            new(kept, batch, rims) if spec.selection == "soft" else None,
            new(kept, batch, heads, rims) if competes else None,
            new(kept, batch, cells, 4 * units),
            new(kept, batch, rims, units),
            new(kept, batch, spec.num_active, keys) if communicates else None,
            new(kept, batch, rims, keys + values) if communicates else None,
            new(kept, batch, spec.num_active, values) if communicates else None,
            new(kept, batch, spec.num_active, outputs) if communicates else None,
        ),
    )


def _sizes(spec: ScanSpec, inputs: ScanInputs, save: bool) -> _Sizes:
    batch, rims, units = inputs.h0.shape
    heads, _, samples, _ = inputs.gates_in.shape
    # A thread takes longer to start than it saves on a few samples.
    threads = torch.get_num_threads() if samples >= 16 else 1
    forms = [choices.index(getattr(spec, name)) for name, choices in FORMS.items()]
    return _Sizes(
        samples // batch, batch, rims, units, spec.gates, heads, spec.num_active, spec.comm_heads,
        spec.comm_key_size, spec.comm_value_size, *forms, spec.read_candidate, spec.read_null, save,
        threads,
    )  # fmt: skip


def _edge_width(spec: ScanSpec, inputs: ScanInputs) -> Tensor:
    return inputs.h0.new_full((1,), spec.edge_width)


def _pointer(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _call(name: str, inputs: ScanInputs, *structures: ctypes.Structure) -> None:
    found = library()
    assert found is not None
    function = getattr(found, f"{name}_{_DTYPES[inputs.h0.dtype]}")
    function(*map(ctypes.byref, structures))

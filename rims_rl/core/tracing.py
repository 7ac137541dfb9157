"""Tells who looks at a program while it runs: exporters, transforms, modes and the like."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter


def is_tracing() -> bool:
    """Tells whether `torch.jit.trace` records the program."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


def is_exporting() -> bool:
    """Tells whether `torch.export` traces the program; only the reference's operations bear it.

    torch before 2.7 does not tell exporting from compiling.
    """
    told = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)
    return bool(told())


def is_plain(x: Tensor) -> bool:
    """Tells whether `x` is of torch's own classes, whose numbers lie where it says."""
    return type(x) in (Tensor, Parameter)


def is_transformed(x: Tensor) -> bool:
    """Tells whether `x` stands for something else: in `torch.func`, or of a class of its own."""
    if not is_plain(x):
        return True
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return True
    try:
        x.data_ptr()
    except RuntimeError:  # it has no memory of its own
        return True
    return False


def is_watched(x: Tensor) -> bool:
    """Tells whether torch must see every operation on `x`, which a fast path would hide.

    So it is where `x` is transformed, in a dispatch mode such as that of fake tensors, and where
    derivatives are taken forwards.
    """
    in_mode = torch._C._len_torch_dispatch_stack() > 0
    return in_mode or forward_ad._current_level >= 0 or is_transformed(x)


def may_look_into(x: Tensor) -> bool:
    """Tells whether what a program does may depend on the numbers in a tensor."""
    exporting = getattr(torch.compiler, "is_exporting", bool)()
    return not (exporting or x.is_meta or is_watched(x))

"""Products of large matrices, by the faster of the two libraries that torch has on a CPU.

MKL treats AMD's processors as generic ones and uses half the width of their AVX-512; oneDNN, by
which torch computes its LSTM, uses all of it and takes half the time on an EPYC (Zen 5). What
`torch.backends.mkldnn.flags` says is heeded.
"""

from __future__ import annotations

import functools
import platform
from pathlib import Path

import torch
from torch import Tensor

#: Multiplications from which on oneDNN gains more than it takes to lay the matrices out for it.
_LARGE = 3 * 2**19


def _by_onednn(a: Tensor, b: Tensor) -> Tensor:
    """The product of two float32 matrices by the operation that `torch.compile` calls."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(a, b.T, None, "none", [], "")
    return product


@functools.cache
def _is_onednn_faster() -> bool:
    if not torch.backends.mkl.is_available() or not torch.backends.mkldnn.is_available():
        return False
    cpuinfo = Path("/proc/cpuinfo")  # Linux; elsewhere platform knows
    maker = cpuinfo.read_text() if cpuinfo.exists() else platform.processor()
    if "AuthenticAMD" not in maker or torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    try:  # torch does not promise this operation to others
        _by_onednn(torch.ones(1, 1), torch.ones(1, 1))
    except (AttributeError, RuntimeError):
        return False
    return True


def _is_for_onednn(a: Tensor, b: Tensor) -> bool:
    return (
        a.dtype == torch.float32
        and a.device.type == "cpu"
        and a.shape[-2] * b.shape[-2] * b.shape[-1] >= _LARGE
        and bool(torch.backends.mkldnn.enabled)
        and _is_onednn_faster()
    )


def multiply(a: Tensor, b: Tensor) -> Tensor:
    """Products of pairs of matrices: (K, M, I), (K, I, J) -> (K, M, J)."""
    if not _is_for_onednn(a, b):
        return torch.bmm(a, b)
    lefts = [a[0].contiguous()] * len(a) if a.stride(0) == 0 else a  # one for all?
    return torch.stack([*map(_by_onednn, lefts, b)])


def multiply_and_sum(a: Tensor, b: Tensor) -> Tensor:
    """The sum of the products of pairs of matrices: (K, M, I), (K, I, J) -> (M, J)."""
    if _is_for_onednn(a, b):  # as one product
        return _by_onednn(a.transpose(0, 1).flatten(1), b.flatten(0, 1))
    total = a[0] @ b[0]
    for left, right in zip(a[1:], b[1:], strict=True):
        total.addmm_(left, right)
    return total

"""Chooses how a core is computed: compiled, in torch, as CUDA graphs of it, or the reference."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import torch
from torch import Tensor

from rims_rl.core.config import RIMConfig
from rims_rl.core.scan import compiled, cuda_graph, torch_forward
from rims_rl.core.scan.operation import Kernel, ScanSpec
from rims_rl.core.tracing import is_tracing, is_watched

P = ParamSpec("P")
R = TypeVar("R")


def untraced(function: Callable[P, R]) -> Callable[P, R]:
    """Keeps a function out of what `torch.compile` traces.

    As `torch.compiler.disable`, which imports all of torch's compiler at once, a second; here
    that waits until something is traced.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if torch.compiler.is_compiling():  # the trace is meant to break here
            return cast(R, torch.compiler.disable(function)(*args, **kwargs))
        return function(*args, **kwargs)

    return call


@untraced  # what it chooses calls C++
def choose_kernel(config: RIMConfig, x: Tensor, training: bool) -> Kernel | None:
    """The kernel for such an input, or None for the reference.

    Raises:
        ValueError: the configuration names a backend that cannot run it; the message says why.
    """
    if is_tracing():  # it would see nothing of a kernel
        raise ValueError("torch.jit.trace cannot record RIMs: use torch.export")
    if config.backend == "reference":
        return None
    spec = ScanSpec.of(config)
    reason = _why_not_scan(config, x, training)
    if reason is None and config.backend != "torch":
        reason = compiled.why_not(spec, x, config.num_rims)
        if reason is None:
            return cast(Kernel, compiled)
        if config.backend == "auto":
            if reason == compiled.NOT_BUILT:
                _tell_once(reason)
            reason = None
    if reason is None and not torch_forward.supports(spec):
        reason = f"the scan in torch does not know all of {spec.forms()}"
    if reason is None:
        as_graph = x.is_cuda and config.backend == "auto"
        return cast(Kernel, cuda_graph if as_graph else torch_forward)
    if config.backend == "auto":
        return None
    raise ValueError(f"backend {config.backend!r} cannot run this core: {reason}; use 'auto'")


def _why_not_scan(config: RIMConfig, x: Tensor, training: bool) -> str | None:
    """The reason why the core cannot run as one scan; None if there is none."""
    if is_watched(x):
        return "torch must see each operation here (torch.func, fake tensors, forward derivatives)"
    if x.shape[1] == 0:
        return "the batch is empty"
    if x.dim() == 4:
        return "the input has several rows"
    if config.comm_top_k is not None and config.communication is not None:
        return "comm_top_k is set"
    if config.dropout and training:
        return "dropout is on"
    return None


@functools.cache
def _tell_once(reason: str) -> None:
    logging.getLogger("rims_rl").warning(
        "rims_rl runs slower than it could: %s; install it again with a C++ compiler, in a clone "
        "with pip install -e",
        reason,
    )

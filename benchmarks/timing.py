"""Interleaved timing: every contender runs once per round, so that noise meets all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

#: What is timed: returns the seconds of its parts, e.g. forward and backward.
Contender = Callable[[], tuple[float, ...]]


def now(tensor: Tensor) -> float:
    """The time in seconds, when all work on the tensor's device is done."""
    if tensor.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter()


def medians(
    contenders: Mapping[str, Contender], rounds: int, warm_up: int = 2
) -> dict[str, tuple[float, ...]]:
    """Median seconds of each contender's parts, and of their sum as the last entry."""
    # As in a process that has trained for a while: glibc now keeps blocks up to this size, which it
    # would hand back to the system at every call, to get them with their pages cleared anew.
    torch.empty(31 * 2**20, dtype=torch.uint8)
    times: dict[str, list[tuple[float, ...]]] = {name: [] for name in contenders}
    for round_ in range(warm_up + rounds):
        for name, contender in contenders.items():
            parts = contender()
            if round_ >= warm_up:
                times[name].append((*parts, sum(parts)))
    return {
        name: tuple(statistics.median(part) for part in zip(*runs, strict=True))
        for name, runs in times.items()
    }


def training_step(module: nn.Module, run: Callable[[Tensor], Tensor], x: Tensor) -> Contender:
    """Forward and backward with input gradient; the weights change after each, untimed.

    A scan whose weights stay the same would flatter whatever keeps packed copies of them.
    """
    probe: Tensor | None = None

    def step() -> tuple[float, float]:
        nonlocal probe
        leaf = x.clone().requires_grad_()
        start = now(leaf)
        output = run(leaf)
        forward_done = now(leaf)
        if probe is None:
            probe = torch.randn_like(output)
        forward_end = now(leaf)
        output.backward(probe)
        backward_done = now(leaf)
        with torch.no_grad():
            for parameter in module.parameters():
                assert parameter.grad is not None
                parameter.sub_(1e-7 * parameter.grad)
                parameter.grad = None
        return forward_done - start, backward_done - forward_end

    return step

"""The kernel in torch as CUDA graphs: one launch for the loop over time instead of thousands.

The operations of a step are so small that a GPU waits for their launches. A graph of them is
recorded once for each shape that comes back, and replayed from then on; what it computes is what
`rims_rl.core.scan.torch_forward` computes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from rims_rl.core.scan import torch_forward
from rims_rl.core.scan.operation import ScanInputs, ScanRecord, ScanSpec
from rims_rl.core.scan.torch_forward import supports

__all__ = ["backward", "forward", "supports"]

_Tensors = Sequence[Tensor | None]
_Value = TypeVar("_Value")

#: A shape is run this often as it is, before it is worth a graph: padded minibatches rarely recur.
_RUNS_BEFORE = 2
#: Graphs that are kept; the one longest unused goes first.
_GRAPHS = 32
#: Shapes without a graph that are remembered: those of one update's padded minibatches and more.
_SHAPES = 256
#: Numbers in the input's part of the gates above which there is no graph: it keeps some 20 times
#: as many in memory.
_LARGEST = 2**24


def forward(spec: ScanSpec, inputs: ScanInputs, save: bool) -> ScanRecord:
    """See `rims_rl.core.scan.operation.Kernel`."""

    def run(tensors: _Tensors) -> _Tensors:
        record = torch_forward.forward(spec, ScanInputs(*tensors), save)  # type: ignore[arg-type]
        return *record[:-1], *(record.saved if save else ())

    return _as_record(_replayed((spec, save), run, inputs))


def backward(
    spec: ScanSpec,
    inputs: ScanInputs,
    record: ScanRecord,
    grad_h: Tensor,
    grad_c: Tensor,
    needed: Sequence[bool],
) -> ScanInputs:
    """See `rims_rl.core.scan.operation.Kernel`."""

    def run(tensors: _Tensors) -> _Tensors:
        (grad_h, grad_c), tensors = tensors[:2], tensors[2:]
        inputs = ScanInputs(*tensors[: len(ScanInputs._fields)])  # type: ignore[arg-type]
        record = _as_record(tensors[len(ScanInputs._fields) :])
        assert grad_h is not None
        assert grad_c is not None
        return torch_forward.backward(spec, inputs, record, grad_h, grad_c, needed)

    tensors = grad_h, grad_c, *inputs, *record[:-1], *record.saved
    return ScanInputs(*_replayed((spec, tuple(needed)), run, tensors))  # type: ignore[arg-type]


def _as_record(tensors: _Tensors) -> ScanRecord:
    common = len(ScanRecord._fields) - 1
    return ScanRecord._make((*tensors[:common], tuple(tensors[common:])))


class _Graph:
    """A function of tensors as one launch.

    It has copies of its inputs and gives copies of its results, so that calls under way at once,
    such as the forward passes of two cores before their backward passes, do not share memory.
    """

    def __init__(self, function: Callable[[_Tensors], _Tensors], tensors: _Tensors) -> None:
        layout = torch.contiguous_format
        inputs = [t if t is None else torch.empty_like(t, memory_format=layout) for t in tensors]
        self._inputs = _present(inputs)
        torch._foreach_copy_(self._inputs, _present(tensors))
        self._graph = torch.cuda.CUDAGraph()
        # Other threads may go on using the GPU while this one records.
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._results = function(inputs)

    def __call__(self, tensors: _Tensors) -> _Tensors:
        torch._foreach_copy_(self._inputs, _present(tensors))
        self._graph.replay()
        results = [r if r is None else torch.empty_like(r) for r in self._results]
        torch._foreach_copy_(_present(results), _present(self._results))
        return results


_graphs: dict[Hashable, _Graph] = {}
_runs: dict[Hashable, int] = {}
_lock = threading.Lock()


def _replayed(
    what: Hashable, function: Callable[[_Tensors], _Tensors], tensors: _Tensors
) -> _Tensors:
    """The function's results for the tensors, from a graph if there is one.

    Args:
        what: tells functions apart that do different things with tensors of the same shapes.
        function: reads nothing but the tensors and what `what` names.
        tensors: of one device.
    """
    present = _present(tensors)
    if max(t.numel() for t in present) > _LARGEST or torch.cuda.is_current_stream_capturing():
        return function(tensors)
    device = present[0].device
    shapes = tuple(t if t is None else (t.shape, t.dtype) for t in tensors)
    # Work of another stream may still read a graph's memory; memory of inference stays there.
    mode = device, torch.cuda.current_stream(device), torch.is_inference_mode_enabled()
    key = what, mode, shapes
    with torch.cuda.device(device), _lock:
        graph, runs = _graphs.pop(key, None), _runs.pop(key, 0)
        if graph is None and runs >= _RUNS_BEFORE:
            graph = _Graph(function, tensors)
        if graph is not None:
            _remember(_graphs, key, graph, _GRAPHS)
            return graph(tensors)
        _remember(_runs, key, runs + 1, _SHAPES)
    return function(tensors)


def _remember(known: dict[Hashable, _Value], key: Hashable, value: _Value, most: int) -> None:
    """Puts a value in as the newest; the oldest goes where there are too many."""
    known[key] = value
    if len(known) > most:
        del known[next(iter(known))]


def _present(tensors: _Tensors) -> list[Tensor]:
    return [each for each in tensors if each is not None]

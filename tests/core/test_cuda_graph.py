"""Facts of graphs that can be known without a GPU; on one, `test_cuda` holds."""

import contextlib

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rims_rl import RIM
from rims_rl.core.scan import choice, cuda_graph, torch_forward
from rims_rl.core.scan.operation import ScanSpec
from tests.core.test_scan import SMALL, assert_same, cases, resets_of, run, twins


@settings(max_examples=60)
@given(case=cases(), save=st.booleans())
@torch.no_grad()
def test_the_loop_in_torch_depends_on_shapes_alone(case, save):
    """On the meta device no tensor has values: what looked at one would fail."""
    options, sizes, _, seed = case
    rim = twins(options, sizes, "torch", seed)[1].to("meta")
    steps, batch = sizes["steps"], sizes["batch"]
    x, keep = torch.empty(steps, batch, sizes["input"]), torch.empty(steps, batch)
    h = torch.empty(batch, rim.config.num_rims, rim.config.rim_size)
    x, keep, h, c = (each.double().to("meta") for each in (x, keep, h, h))
    spec, inputs = ScanSpec.of(rim.config), rim._scan_inputs(x, h, c, keep)
    record = torch_forward.forward(spec, inputs, save)
    if save:
        torch_forward.backward(spec, inputs, record, record.h, h, [True] * len(inputs))


class Call:
    """A graph that is none: the function, on copies."""

    made = 0

    def __init__(self, function, tensors):
        type(self).made += 1
        self.function = function
        self.shapes = [t if t is None else t.shape for t in tensors]

    def __call__(self, tensors):
        assert [t if t is None else t.shape for t in tensors] == self.shapes
        return self.function([t if t is None else t.clone() for t in tensors])


@pytest.fixture
def graphs(monkeypatch):
    """Graphs without a GPU, for what is else the path in torch."""
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: None)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    monkeypatch.setattr(torch.cuda, "device", lambda device: contextlib.nullcontext())
    monkeypatch.setattr(cuda_graph, "_Graph", Call)
    monkeypatch.setattr(cuda_graph, "_graphs", {})
    monkeypatch.setattr(cuda_graph, "_runs", {})
    monkeypatch.setattr(choice, "torch_forward", cuda_graph)
    monkeypatch.setattr(Call, "made", 0)
    return cuda_graph._graphs


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases())
def test_equal_to_the_reference(graphs, case):
    options, sizes, resets, seed = case
    reference, fast = twins(options, sizes, "torch", seed)
    steps, batch, hidden = sizes["steps"], sizes["batch"], reference.hidden_size
    graphs.clear()
    cuda_graph._runs.clear()
    before = Call.made
    for _ in range(3):
        x = torch.randn(steps, batch, sizes["input"], dtype=torch.float64)
        state = [torch.randn(1, batch, hidden, dtype=torch.float64) for _ in range(2)]
        starts = resets_of(resets, steps, batch)
        probe = torch.randn(steps, batch, hidden, dtype=torch.float64)
        assert_same(run(fast, x, state, starts, probe), run(reference, x, state, starts, probe))
        with torch.no_grad():
            expected, actual = (rim(x, tuple(state), starts) for rim in (reference, fast))
        torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)
    assert Call.made - before <= 3  # forward, backward, and forward without gradient


def test_a_graph_is_made_for_a_shape_that_comes_back_and_the_oldest_goes(graphs, monkeypatch):
    monkeypatch.setattr(cuda_graph, "_GRAPHS", 2)
    rim = RIM(4, 6, backend="torch", **SMALL).requires_grad_(False)
    with torch.no_grad():
        for _ in range(cuda_graph._RUNS_BEFORE):
            rim(torch.randn(1, 2, 4))
        assert Call.made == 0
        rim(torch.randn(1, 2, 4))
        rim(torch.randn(1, 2, 4))
        assert Call.made == 1
        for batch in (3, 4):
            for _ in range(cuda_graph._RUNS_BEFORE + 1):
                rim(torch.randn(1, batch, 4))
        assert Call.made == 3
        assert len(graphs) == 2
        rim(torch.randn(1, 2, 4))
    assert Call.made == 3  # its graph has gone, and it is counted anew
    assert len(cuda_graph._runs) == 1


def test_shapes_that_do_not_come_back_drive_no_graph_out(graphs, monkeypatch):
    """Such as those of stock RecurrentPPO's padded minibatches, between two rollouts."""
    monkeypatch.setattr(cuda_graph, "_GRAPHS", 2)
    monkeypatch.setattr(cuda_graph, "_SHAPES", 3)
    rim = RIM(4, 6, backend="torch", **SMALL).requires_grad_(False)
    with torch.no_grad():
        for _ in range(cuda_graph._RUNS_BEFORE + 1):
            rim(torch.randn(1, 2, 4))
        for steps in range(2, 12):
            rim(torch.randn(steps, 2, 4))
        assert len(cuda_graph._runs) == 3
        rim(torch.randn(1, 2, 4))
    assert (Call.made, len(graphs)) == (1, 1)


def test_large_scans_stay_as_they_are(graphs, monkeypatch):
    monkeypatch.setattr(cuda_graph, "_LARGEST", 1)
    RIM(4, 6, backend="torch", **SMALL)(torch.randn(2, 2, 4))[0].sum().backward()
    assert not graphs
    assert not cuda_graph._runs

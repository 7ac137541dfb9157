"""On a GPU a core computes what the reference computes on the processor."""

import pytest
import torch
from hypothesis import given, settings

from rims_rl import RIM
from rims_rl.core.config import VARIANTS
from rims_rl.core.scan import cuda_graph
from tests.core.test_scan import SMALL, assert_same, cases, resets_of, run, twins

pytestmark = pytest.mark.gpu


def on_cpu(value):
    """A nest of tensors, moved."""
    if isinstance(value, torch.Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {name: on_cpu(each) for name, each in value.items()}
    if isinstance(value, tuple):
        parts = [on_cpu(each) for each in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value


def assert_same_on_cuda(reference, fast, sizes, resets, tolerance):
    """Both in the same type and with the same weights; four times, the last two as a graph."""
    steps, batch, hidden = sizes["steps"], sizes["batch"], reference.hidden_size
    dtype = next(reference.parameters()).dtype
    fast.cuda()
    for _ in range(4):
        x, probe = torch.randn(steps, batch, sizes["input"]), torch.randn(steps, batch, hidden)
        h, c = torch.randn(2, 1, batch, hidden).unbind()
        inputs = [each.to(dtype) for each in (x, h, c, resets_of(resets, steps, batch), probe)]
        x, h, c, starts, probe = inputs
        expected = run(reference, x, (h, c), starts, probe)
        with torch.no_grad():
            quiet = reference(x, (h, c), starts)
        x, h, c, starts, probe = (each.cuda() for each in inputs)
        assert_same(on_cpu(run(fast, x, (h, c), starts, probe)), expected, tolerance)
        with torch.no_grad():
            actual = on_cpu(fast(x, (h, c), starts))
        torch.testing.assert_close(actual, quiet, rtol=tolerance, atol=tolerance)


@settings(max_examples=60)
@given(case=cases())
def test_equal_to_the_reference_in_float64(case):
    options, sizes, resets, seed = case
    reference, fast = twins(options, sizes, "auto", seed)
    assert_same_on_cuda(reference, fast, sizes, resets, 1e-10)


def test_calls_under_way_at_once_do_not_share_memory():
    torch.manual_seed(0)
    eager, graph = RIM(4, 6, backend="torch", **SMALL).cuda(), RIM(4, 6, **SMALL).cuda()
    graph.load_state_dict(eager.state_dict())
    for _ in range(4):
        inputs = torch.randn(2, 5, 3, 4, device="cuda").unbind()
        expected, actual = ([rim(x)[0] for x in inputs] for rim in (eager, graph))
        assert all(map(torch.equal, actual, expected))
        for rim, outputs in ((eager, expected), (graph, actual)):
            rim.zero_grad()
            (outputs[0].sum() + 2 * outputs[1].square().sum()).backward()
            torch.optim.SGD(rim.parameters(), 0.1).step()
        torch.testing.assert_close(dict(graph.named_parameters()), dict(eager.named_parameters()))
    assert cuda_graph._graphs


def test_inference_mode_before_and_after():
    rim, x = RIM(4, 6, **SMALL).cuda(), torch.randn(7, 3, 4, device="cuda")
    expected = rim(x)[0]
    for mode in (torch.inference_mode, torch.no_grad, torch.inference_mode):
        for _ in range(3):
            with mode():
                torch.testing.assert_close(rim(x)[0], expected)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dynamics", ["gru", "lstm"])
def test_float32_at_the_papers_sizes(variant, dynamics):
    torch.manual_seed(0)
    reference = RIM(64, 510, backend="reference", variant=variant, dynamics=dynamics)
    fast = RIM(64, 510, variant=variant, dynamics=dynamics)
    fast.load_state_dict(reference.state_dict())
    assert_same_on_cuda(reference, fast, {"steps": 6, "batch": 5, "input": 64}, "random", 2e-4)


def test_the_compiled_scan_says_that_it_runs_on_the_processor():
    rim = RIM(4, 6, backend="native", **SMALL).cuda()
    with pytest.raises(ValueError, match=r"backend 'native' cannot run .*CPU"):
        rim(torch.randn(3, 2, 4, device="cuda"))


def test_autocast_changes_nothing_but_the_type_of_the_input():
    rim, x = RIM(4, 6, **SMALL).cuda(), torch.randn(20, 3, 4, device="cuda").bfloat16()
    expected, _ = rim(x.float())
    with torch.autocast("cuda", dtype=torch.bfloat16):
        output, _ = rim(x)
    assert torch.equal(output, expected)
    output.sum().backward()

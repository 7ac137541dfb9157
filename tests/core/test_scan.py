"""Every backend computes what the reference computes, gradients included."""

import hashlib
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch._subclasses import FakeTensorMode
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils import prune
from torch.utils.checkpoint import checkpoint

from rims_rl import RIM
from rims_rl.core import LSTM
from rims_rl.core.config import VARIANTS
from rims_rl.core.scan import compiled

BACKENDS = ["torch", "native"]
# An instruction set is the same for all examples.
FIXTURE = HealthCheck.function_scoped_fixture


@st.composite
def cases(draw):
    """A random core, its inputs and resets."""
    rims = draw(st.integers(1, 5))
    options = {
        "num_rims": rims,
        "num_active": draw(st.integers(1, rims)),
        "dynamics": draw(st.sampled_from(["gru", "lstm"])),
        "input_attention": draw(st.sampled_from(["null", "null", "competition", None])),
        "communication": draw(st.sampled_from(["bounded", "gated", "residual", None])),
        "read_inactive": draw(st.sampled_from(["state", "candidate"])),
        "input_heads": draw(st.integers(1, 3)),
        "input_key_size": draw(st.integers(1, 5)),
        "input_value_size": draw(st.sampled_from([None, 1, 3, 5])),
        "selection": draw(st.sampled_from(["hard", "soft"])),
        "edge_width": draw(st.sampled_from([0.02, 0.3, 5.0])),
        "query_bias": draw(st.booleans()),
        "key_bias": draw(st.booleans()),
        "comm_heads": draw(st.integers(1, 3)),
        "comm_key_size": draw(st.integers(1, 18)),
        "comm_value_size": draw(st.integers(1, 18)),
        "comm_output_map": True,
    }
    if options["input_attention"] == "null" and options["selection"] == "soft":
        options["read_null"] = draw(st.booleans())
    sizes = {
        "steps": draw(st.integers(1, 6)),
        "batch": draw(st.integers(1, 9)),
        "input": draw(st.integers(1, 7)),
        "units": draw(st.sampled_from([1, 2, 3, 7, 17, 40])),
    }
    if options["communication"] and draw(st.booleans()):
        message = sizes["units"] * (1 if options["communication"] == "residual" else 2)
        heads = draw(st.sampled_from([n for n in (1, 2, 4) if message % n == 0]))
        options["comm_output_map"] = False
        options["comm_heads"], options["comm_value_size"] = heads, message // heads
    resets = draw(st.sampled_from(["none", "all", "first", "random"]))
    return options, sizes, resets, draw(st.integers(0, 1000))


def resets_of(kind, steps, batch):
    starts = torch.zeros(steps, batch, dtype=torch.float64)
    if kind == "all":
        starts[:] = 1
    elif kind == "first":
        starts[0] = 1
    elif kind == "random":
        starts = (torch.rand(steps, batch) < 0.4).double()
    return starts


def run(rim, x, state, starts, probe):
    """Output, states, info and all gradients of a random linear function of them."""
    x = x.clone().requires_grad_()
    h, c = (s.clone().requires_grad_() for s in state)
    rim.zero_grad()
    output, (new_h, new_c), info = rim(x, (h, c), starts, return_info=True)
    ((output * probe).sum() + (new_h * probe[0]).sum() + (new_c * probe[-1]).sum()).backward()
    grads = {name: p.grad for name, p in rim.named_parameters()}
    grads.update(x=x.grad, h=h.grad, c=c.grad)
    return (output, new_h, new_c), info, grads


def twins(options, sizes, backend, seed):
    """The same core twice: reference and backend, in float64."""
    torch.manual_seed(seed)
    hidden = options["num_rims"] * sizes["units"]
    reference = RIM(sizes["input"], hidden, backend="reference", **options).double()
    fast = RIM(sizes["input"], hidden, backend=backend, **options).double()
    with torch.no_grad():
        for parameter in reference.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    fast.load_state_dict(reference.state_dict())
    return reference, fast


def assert_same(actual, expected, tolerance=1e-10, of_gradients=None):
    (outputs, info, grads), (expected_outputs, expected_info, expected_grads) = actual, expected
    assert torch.equal(info.active_mask, expected_info.active_mask)
    for name in ("input_attention", "communication_attention"):
        a, e = getattr(info, name), getattr(expected_info, name)
        assert (a is None) == (e is None)
        if a is not None:
            torch.testing.assert_close(a, e, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(outputs, expected_outputs, rtol=tolerance, atol=tolerance)
    for name, gradient in expected_grads.items():
        if gradient is None:
            assert grads[name] is None or not grads[name].any(), name
            continue
        scale = max(1.0, gradient.abs().max().item())
        difference = (grads[name] - gradient).abs().max().item()
        allowed = (of_gradients or tolerance) * scale
        assert difference <= allowed, f"{name} differs by {difference}"


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=150)
@given(case=cases())
def test_equal_to_the_reference_in_float64(backend, case):
    assert_equal_to_the_reference(backend, case)


def assert_equal_to_the_reference(backend, case):
    options, sizes, resets, seed = case
    reference, fast = twins(options, sizes, backend, seed)
    steps, batch, hidden = sizes["steps"], sizes["batch"], reference.hidden_size
    x = torch.randn(steps, batch, sizes["input"], dtype=torch.float64)
    state = [torch.randn(1, batch, hidden, dtype=torch.float64) for _ in range(2)]
    starts = resets_of(resets, steps, batch)
    probe = torch.randn(steps, batch, hidden, dtype=torch.float64)
    # Where winners' attention is nearly 0, its share of them multiplies rounding.
    of_gradients = 1e-8 if options["input_attention"] == "competition" else None
    actual, expected = (run(rim, x, state, starts, probe) for rim in (fast, reference))
    assert_same(actual, expected, of_gradients=of_gradients)
    with torch.no_grad():
        expected = reference(x, tuple(state), starts, return_info=True)
        actual = fast(x, tuple(state), starts, return_info=True)
        quiet = fast(x, tuple(state), starts)
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(quiet, expected[:2], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("batch", "merged"), [(1, False), (20, True)])
def test_small_inputs_have_one_map_for_values_and_cells(backend, batch, merged):
    options = {"num_rims": 3, "num_active": 2, "input_heads": 2, "input_value_size": 11}
    reference, fast = twins(options, {"input": 4, "units": 5}, backend, 0)
    assert fast.input_attention.is_merging_cheaper(3 * batch) == merged
    x = torch.randn(3, batch, 4, dtype=torch.float64)
    state = [torch.randn(1, batch, 15, dtype=torch.float64) for _ in range(2)]
    probe = torch.randn(3, batch, 15, dtype=torch.float64)
    assert_same(run(fast, x, state, None, probe), run(reference, x, state, None, probe))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    "options",
    [{}, {"dynamics": "lstm"}, *({"variant": name} for name in ("released", "paper", "hard"))],
    ids=str,
)
def test_long_sequences_and_large_batches(backend, threads, options):
    """More samples than the weights' gradients are added up over at once."""
    options = {"num_rims": 4, "num_active": 2, "comm_key_size": 5, "comm_value_size": 7, **options}
    reference, fast = twins(options, {"input": 3, "units": 10}, backend, 0)
    x = torch.randn(41, 7, 3, dtype=torch.float64)
    state = [torch.randn(1, 7, 40, dtype=torch.float64) for _ in range(2)]
    starts, probe = (torch.rand(41, 7) < 0.2).double(), torch.randn(41, 7, 40, dtype=torch.float64)
    expected = run(reference, x, state, starts, probe)
    torch.set_num_threads(threads)
    try:
        assert_same(run(fast, x, state, starts, probe), expected)
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_single_row_of_input_takes_the_fast_paths(backend):
    rim, x = RIM(4, 6, backend=backend, **SMALL), torch.randn(3, 2, 4)
    assert torch.equal(rim(x.unsqueeze(2))[0], rim(x)[0])


@pytest.fixture(params=[0, 1, 2], ids=["portable", "avx2", "avx512"])
def isa(request):
    library = compiled.library()
    assert library is not None
    if library.rims_limit_isa(request.param) != request.param:
        library.rims_limit_isa(2)
        pytest.skip("this processor lacks the instruction set")
    yield
    library.rims_limit_isa(2)


@pytest.mark.usefixtures("isa")
@settings(max_examples=30, suppress_health_check=[FIXTURE])
@given(case=cases())
def test_every_instruction_set_is_equal_to_the_reference(case):
    assert_equal_to_the_reference("native", case)


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("variant", ["default", "hard", "released"])
def test_every_instruction_set_at_the_papers_sizes(dtype, variant):
    torch.manual_seed(0)
    reference = RIM(64, 510, backend="reference", variant=variant).to(dtype)
    fast = RIM(64, 510, backend="native", variant=variant).to(dtype)
    fast.load_state_dict(reference.state_dict())
    x, probe = torch.randn(6, 5, 64, dtype=dtype), torch.randn(6, 5, 510, dtype=dtype)
    state = [torch.randn(1, 5, 510, dtype=dtype) for _ in range(2)]
    starts = resets_of("random", 6, 5).to(dtype)
    tolerance = 1e-10 if dtype == torch.float64 else 2e-4
    assert_same(
        run(fast, x, state, starts, probe), run(reference, x, state, starts, probe), tolerance
    )


@pytest.mark.parametrize("structure", ["_SIZES", "_FORWARD", "_BACKWARD"])
def test_a_library_with_its_fields_in_another_order_is_not_used(structure, monkeypatch):
    first, second, *others = getattr(compiled, structure)
    monkeypatch.setattr(compiled, structure, (second, first, *others))
    assert compiled.library.__wrapped__() is None
    monkeypatch.undo()
    assert compiled.library.__wrapped__() is not None


SMALL = {"num_rims": 3, "num_active": 2, "input_key_size": 4, "comm_key_size": 4,
         "comm_value_size": 4, "comm_heads": 2}  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dynamics", ["gru", "lstm"])
@pytest.mark.parametrize("communication", ["bounded", "gated", "residual", None])
@pytest.mark.parametrize("selection", ["soft", "hard"])
def test_gradcheck(backend, dynamics, communication, selection):
    torch.manual_seed(0)
    options = {"dynamics": dynamics, "communication": communication, "selection": selection}
    rim = RIM(3, 6, backend=backend, edge_width=0.7, **options, **SMALL).double()
    x = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)
    h, c = (torch.randn(1, 2, 6, dtype=torch.float64, requires_grad=True) for _ in range(2))
    starts = torch.tensor([[0, 1], [0, 0], [1, 0], [0, 0]], dtype=torch.float64)
    names = [name for name, _ in rim.named_parameters()]

    def outputs(x, h, c, *weights):
        return torch.func.functional_call(
            rim, dict(zip(names, weights, strict=True)), (x, (h, c), starts)
        )[0]

    # Every entry on its own is compared with the reference, in float64, by the tests above.
    assert torch.autograd.gradcheck(outputs, (x, h, c, *rim.parameters()), fast_mode=True)


@pytest.mark.parametrize("backend", BACKENDS)
def test_inputs_may_have_any_strides(backend):
    rim = RIM(4, 6, backend=backend, **SMALL)
    wide = torch.randn(3, 10, 8)
    x, state = wide.transpose(0, 1)[:, :, ::2], torch.randn(1, 6, 3).transpose(1, 2)
    starts = torch.rand(3, 10).lt(0.3).float().T
    expected = rim(x.contiguous(), (state.contiguous(),) * 2, starts.contiguous())
    torch.testing.assert_close(rim(x, (state, state), starts), expected)
    rim(x, (state, state), starts)[0].transpose(0, 1)[:, ::2].sum().backward()


@pytest.mark.parametrize("backend", ["reference", *BACKENDS])
def test_autocast_changes_nothing_but_the_type_of_the_input(backend):
    torch.manual_seed(0)
    rim, x = RIM(4, 6, backend=backend, **SMALL), torch.randn(20, 3, 4).bfloat16()
    expected, _ = rim(x.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output, _ = rim(x)
    assert torch.equal(output, expected)
    output.sum().backward()
    weight, state = rim.dynamics.weight_ih, torch.zeros(1, 3, 6, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):  # some call backward within it
        (gradient,) = torch.autograd.grad(rim(x, (state, state))[0].sum(), weight)
    if backend != "reference":  # whose backward pass is torch's own
        assert torch.equal(gradient, cast(torch.Tensor, weight.grad))


@pytest.mark.parametrize("backend", ["reference", *BACKENDS])
def test_mixed_types_are_refused(backend):
    rim, x = RIM(4, 6, backend=backend, **SMALL), torch.randn(3, 2, 4)
    with pytest.raises((RuntimeError, ValueError), match=r"[Ff]loat"):
        rim(x, (torch.zeros(1, 2, 6, dtype=torch.float64),) * 2)
    assert rim.communication is not None
    rim.communication.double()
    with pytest.raises((RuntimeError, ValueError), match=r"[Ff]loat"):
        rim(x)


def test_an_empty_batch_gives_an_empty_output():
    output, (h, c) = RIM(4, 6, **SMALL)(torch.zeros(3, 0, 4))
    assert output.shape == (3, 0, 6)
    assert h.shape == c.shape == (1, 0, 6)


def places(variant):
    """Places where a number can stand that is none: the input, the state and every weight."""
    rim = RIM(3, 8, variant=variant, **{**SMALL, "num_rims": 4})
    return ["x", "h", *(name.split(".")[-1] for name, _ in rim.named_parameters())]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("variant", "where"), [(name, place) for name in VARIANTS for place in places(name)]
)
def test_not_a_number_spreads_as_in_the_reference(backend, variant, where):
    """It is never hidden, so that a check of the output finds it.

    Infinite weights are another matter: whether they saturate a gate or become NaN depends on the
    order of the operations, which is not the same in all backends.
    """
    options = {**SMALL, "num_rims": 4, "variant": variant}
    reference, fast = twins(options, {"input": 3, "units": 2}, backend, 0)
    x, h = torch.randn(4, 3, 3, dtype=torch.float64), torch.randn(1, 3, 8, dtype=torch.float64)
    weights = {name.split(".")[-1]: weight for name, weight in reference.named_parameters()}
    with torch.no_grad():
        {"x": x[1, 1], "h": h[0, 1], **weights}[where].view(-1)[0] = torch.nan
    fast.load_state_dict(reference.state_dict())
    expected, _, expected_info = reference(x, (h, h), return_info=True)
    output, _, info = fast(x, (h, h), return_info=True)
    assert expected.isnan().any()
    assert torch.equal(output.isnan(), expected.isnan())
    assert torch.equal(info.active_mask, expected_info.active_mask)


@pytest.mark.parametrize("backend", BACKENDS)
def test_large_scores_saturate(backend):
    # All are active: where attention is 1 to the last bit, rounding decides who is chosen.
    options = {**SMALL, "num_rims": 4, "num_active": 4}
    reference, fast = twins(options, {"input": 3, "units": 2}, backend, 0)
    x = 1e4 * torch.randn(4, 3, 3, dtype=torch.float64)
    state = [torch.randn(1, 3, 8, dtype=torch.float64) for _ in range(2)]
    probe, starts = torch.randn(4, 3, 8, dtype=torch.float64), torch.zeros(4, 3)
    assert_same(run(fast, x, state, starts, probe), run(reference, x, state, starts, probe))


@pytest.mark.parametrize("backend", BACKENDS)
def test_frozen_weights_get_no_gradient_and_the_others_theirs(backend):
    rim, x = RIM(4, 6, backend=backend, **SMALL), torch.randn(3, 2, 4, requires_grad=True)
    rim(x)[0].sum().backward()
    wanted = {n: p.grad.clone() for n, p in rim.named_parameters() if p.grad is not None}
    assert len(wanted) == len(list(rim.parameters()))
    rim.zero_grad()
    rim.dynamics.requires_grad_(False)
    rim(x.detach())[0].sum().backward()
    for name, parameter in rim.named_parameters():
        if name.startswith("dynamics"):
            assert parameter.grad is None
        else:
            torch.testing.assert_close(parameter.grad, wanted[name])
    assert not rim.requires_grad_(False)(x.detach())[0].requires_grad


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "differentiate",
    [
        lambda total, rim, x: total.backward(),
        lambda total, rim, x: total.backward(inputs=[x]),
        lambda total, rim, x: torch.autograd.grad(total, x),
        lambda total, rim, x: torch.autograd.grad(total, rim.dynamics.weight_hh),
        lambda total, rim, x: torch.autograd.grad(total, rim.dynamics.weight_ih),
    ],
)
def test_double_backward_is_refused(backend, differentiate):
    rim = RIM(4, 6, backend=backend, **SMALL)
    x = torch.randn(3, 2, 4, requires_grad=True)
    (grad,) = torch.autograd.grad(rim(x)[0].square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match=r"no second derivatives.*backend='reference'"):
        differentiate(grad.square().sum(), rim, x)


@pytest.mark.parametrize("backend", BACKENDS)
def test_calls_and_threads_do_not_disturb_each_other(backend):
    rim = RIM(4, 6, backend=backend, **SMALL)
    inputs = [torch.randn(20, 3, 4) for _ in range(8)]
    expected = [rim(x)[0] for x in inputs]
    results = [torch.empty(0)] * len(inputs)

    def work(i):
        for _ in range(20):
            results[i] = rim(inputs[i])[0]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(inputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for actual, wanted in zip(results, expected, strict=True):
        assert torch.equal(actual, wanted)


@pytest.mark.parametrize("share", [True, False], ids=["torch's threads", "own threads"])
def test_the_number_of_threads_does_not_change_the_result(share):
    library = compiled.library()
    assert library is not None
    if library.rims_share_threads(share) != share:
        pytest.skip("torch comes without GNU's OpenMP")
    rim, x = RIM(8, 60), torch.randn(16, 5, 8)
    one, gradients = rim(x)[0], []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        try:
            output, _ = rim(x)
            gradients.append(torch.autograd.grad(output.square().sum(), list(rim.parameters())))
        finally:
            torch.set_num_threads(1)
        # The scan is the same to the bit; torch's products before it may add up in another order.
        torch.testing.assert_close(output, one, rtol=0, atol=1e-6)
    library.rims_share_threads(True)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-5, atol=1e-5)


#: Of the sources that `_KERNEL` counts.
SOURCES = "291eb1c791fa4cd2"


def test_sources_that_changed_are_counted_as_another_kernel():
    """Else a library built before would be taken: count `_KERNEL` up where it would not fit."""
    sources = sorted(Path(compiled.__file__).with_name("native").iterdir())
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    assert (compiled._KERNEL, digest) == (1, SOURCES)


def test_a_library_of_other_sources_is_not_taken(monkeypatch):
    monkeypatch.setattr(compiled, "_KERNEL", 0)
    assert compiled.library.__wrapped__() is None


WITHOUT_MORE_THREADS = """
import pathlib, resource, torch
from rims_rl.core import RIM
from rims_rl.core.scan import compiled
from rims_rl.core.scan.operation import ScanSpec
rim, x, h = RIM(4, 12), torch.randn(2, 8, 4), torch.zeros(8, 6, 2)
spec, inputs = ScanSpec.of(rim.config), rim._scan_inputs(x, h, h, None)
torch.set_num_threads(1)
expected = compiled.forward(spec, inputs, True)
torch.set_num_threads(4)
compiled.library().rims_share_threads(False)  # torch's OpenMP itself gives up without threads
pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
room = pages * resource.getpagesize() + 2**20  # not enough for another stack
resource.setrlimit(resource.RLIMIT_AS, (room, room))
assert torch.equal(compiled.forward(spec, inputs, True).h, expected.h)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_where_no_thread_can_be_started_the_caller_does_the_work():
    subprocess.run([sys.executable, "-c", WITHOUT_MORE_THREADS], check=True)


@pytest.mark.parametrize("backend", BACKENDS)
def test_communication_that_is_not_there_keeps_nothing_from_the_fast_paths(backend):
    rim = RIM(4, 6, backend=backend, **SMALL, comm_top_k=2, communication=None)
    rim(torch.randn(2, 3, 4))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("options", "words"),
    [({"comm_top_k": 2}, "comm_top_k is set"), ({"dropout": 0.5}, "dropout is on")],
)
def test_a_backend_that_cannot_run_says_why_and_auto_falls_back(backend, options, words):
    with pytest.raises(ValueError, match=rf"{backend}.*{words}; use 'auto'"):
        RIM(4, 6, backend=backend, **SMALL, **options)(torch.randn(2, 3, 4))
    RIM(4, 6, **SMALL, **options)(torch.randn(2, 3, 4))


@pytest.mark.parametrize("backend", ["reference", *BACKENDS])
@pytest.mark.parametrize("rims", [1, 2])
def test_output_and_state_share_no_memory(backend, rims):
    rim = RIM(4, 6, rims, 1, backend=backend)
    with torch.no_grad():
        output, (h, c) = rim(torch.randn(3, 2, 4))
        kept = output.clone()
        h.zero_(), c.zero_()
        assert torch.equal(output, kept)
        output, (h, _) = rim(torch.randn(1, 2, 4))
        kept = h.clone()
        output.zero_()
        assert torch.equal(h, kept)
    assert h.untyped_storage().nbytes() == h.nbytes


@pytest.mark.parametrize("backend", BACKENDS)
def test_checkpoints_compute_the_same_gradients(backend):
    rim, x = RIM(4, 6, backend=backend, **SMALL), torch.randn(3, 2, 4, requires_grad=True)
    (expected,) = torch.autograd.grad(rim(x)[0].square().sum(), x)
    output = checkpoint(lambda x: rim(x)[0], x, use_reentrant=False)
    torch.testing.assert_close(torch.autograd.grad(output.square().sum(), x)[0], expected)


def faked(rim, x):
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        return rim(mode.from_tensor(x), None, mode.from_tensor(STARTS))[0]


STARTS = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
WATCHED = {
    "vmap": lambda rim, x: torch.func.vmap(lambda one: rim(one, None, STARTS)[0])(x[None])[0],
    "functionalize": lambda rim, x: torch.func.functionalize(lambda x: rim(x, None, STARTS)[0])(x),
    "make_fx": lambda rim, x: make_fx(lambda x: rim(x, None, STARTS)[0])(x)(x),
    "fake": faked,
}


@pytest.mark.parametrize("how", WATCHED)
def test_where_torch_watches_each_operation_the_reference_runs(how):
    rim, x = RIM(4, 6, **SMALL), torch.randn(3, 2, 4)
    with torch.no_grad():
        output = WATCHED[how](rim, x)
        assert output.shape == (3, 2, 6)
        if how != "fake":
            torch.testing.assert_close(output, rim(x, None, STARTS)[0])
        if how != "vmap":  # which torch's own LSTM has not
            assert WATCHED[how](LSTM(4, 6), x).shape == (3, 2, 6)
    for backend in BACKENDS:
        named = RIM(4, 6, backend=backend, **SMALL)
        with torch.no_grad(), pytest.raises(ValueError, match="torch must see each operation"):
            WATCHED[how](named, x)


def test_derivatives_taken_forwards_and_in_batches():
    rim, reference = RIM(4, 6, **SMALL), RIM(4, 6, backend="reference", **SMALL)
    reference.load_state_dict(rim.state_dict())
    x, direction = torch.randn(2, 3, 2, 4)
    tangents = []
    for core in (rim, reference):
        with torch.no_grad(), forward_ad.dual_level():
            output = core(forward_ad.make_dual(x, direction))[0]
            tangents.append(forward_ad.unpack_dual(output).tangent)
    assert tangents[0].any()
    torch.testing.assert_close(*tangents)
    output = rim(x.requires_grad_())[0]
    with pytest.raises(RuntimeError, match=r"no batches of gradients.*backend='reference'"):
        torch.autograd.grad(output, x, torch.stack([output.detach()] * 2), is_grads_batched=True)
    with forward_ad.dual_level():  # a level alone changes nothing for a gradient
        torch.autograd.grad(output.sum(), x)


@pytest.mark.parametrize("part", ["dynamics", "input_attention", "communication"])
def test_hooks_of_the_parts_run(part):
    rim, reference = RIM(4, 6, **SMALL), RIM(4, 6, backend="reference", **SMALL)
    reference.load_state_dict(rim.state_dict())
    for core in (rim, reference):
        module = getattr(core, part)
        name = next(name for name, _ in module.named_parameters())
        prune.l1_unstructured(module, name, 0.5)
        module.get_parameter(f"{name}_orig").data.mul_(3.0)
    x = torch.randn(3, 2, 4)
    torch.testing.assert_close(rim(x)[0], reference(x)[0])


def test_backward_hooks_of_the_parts_run():
    rim, heard = RIM(4, 6, **SMALL), []
    rim.dynamics.register_full_backward_hook(lambda *_: heard.append(1))
    rim(torch.randn(3, 2, 4))[0].sum().backward()
    assert len(heard) == 3


def test_starts_that_learn_get_their_gradient():
    gradients = []
    for backend in ("auto", "reference"):
        torch.manual_seed(0)
        rim, x = RIM(4, 6, backend=backend, **SMALL), torch.randn(3, 2, 4)
        starts = torch.full((3, 2), 0.3, requires_grad=True)
        rim(x, None, starts)[0].sum().backward()
        gradients.append(starts.grad)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("heads", [2, 3, 4, 5, 7, 16])
def test_ties_are_broken_alike_with_many_heads(backend, heads):
    """RIMs that were not active since an episode began have equal scores without query bias."""
    for seed in range(10):
        torch.manual_seed(seed)
        options = {"variant": "released", "input_heads": heads, "num_rims": 6, "num_active": 5}
        rim = RIM(5, 42, backend=backend, **options).double()
        reference = RIM(5, 42, backend="reference", **options).double()
        reference.load_state_dict(rim.state_dict())
        h = torch.randn(1, 13, 6, 7, dtype=torch.float64)
        h[:, :, 4:] = 0
        x, state = torch.randn(1, 13, 5, dtype=torch.float64), (h.flatten(2),) * 2
        masks = [core(x, state, return_info=True)[2].active_mask for core in (rim, reference)]
        assert torch.equal(*masks)


WITHOUT_COMPILER = """
import importlib.util, torch
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name.endswith("._compiled") else real(name, *a)
from rims_rl.core import RIM
rim, x = RIM(4, 12), torch.randn(5, 2, 4)
slow = RIM(4, 12, backend="reference")
slow.load_state_dict(rim.state_dict())
torch.testing.assert_close(rim(x)[0], slow(x)[0])
rim(x)[0].sum().backward()
RIM(4, 12)(x)
try:
    RIM(4, 12, backend="native")(x)
except ValueError as error:
    print(error)
"""


def test_without_the_compiled_library_torch_is_used():
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_COMPILER], capture_output=True, text=True, check=True
    )
    assert "compiled scan is missing" in result.stdout
    assert result.stderr.count("\n") == 1  # told once, for all calls and cores
    assert "compiled scan is missing" in result.stderr


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_bias_of_queries_learns_alone(backend):
    gradients = []
    for kind in ("reference", backend):
        torch.manual_seed(0)
        rim = RIM(4, 6, **SMALL, backend=kind).requires_grad_(False)
        bias = dict(rim.named_parameters())["input_attention.query_bias"].requires_grad_()
        rim(torch.randn(5, 3, 4))[0].square().sum().backward()
        gradients.append(bias.grad)
    torch.testing.assert_close(*gradients)


@settings(max_examples=80)
@given(case=cases(), data=st.data())
def test_rims_held_inactive_never_move(case, data):
    options, sizes, resets, seed = case
    options = {**options, "num_active": min(options["num_active"], options["num_rims"] - 1)}
    if options["num_active"] < 1 or options["input_attention"] is None:
        return
    reference, fast = twins(options, sizes, "auto", seed)
    most = options["num_rims"] - options["num_active"]
    held = data.draw(st.sets(st.integers(0, options["num_rims"] - 1), min_size=1, max_size=most))
    fast.hold_inactive(sorted(held))
    steps, batch, hidden = sizes["steps"], sizes["batch"], reference.hidden_size
    x = torch.randn(steps, batch, sizes["input"], dtype=torch.float64)
    state = [torch.randn(1, batch, hidden, dtype=torch.float64) for _ in range(2)]
    starts, probe = resets_of(resets, steps, batch), torch.randn(steps, batch, hidden).double()
    (output, _, _), info, _ = run(fast, x, state, starts, probe)
    assert torch.isfinite(output).all()
    assert not info.active_mask[..., sorted(held)].any()
    assert (info.active_mask.sum(-1) == options["num_active"]).all()
    if resets == "none":
        before = state[0].unflatten(-1, (options["num_rims"], -1))[0]
        after = output.unflatten(-1, (options["num_rims"], -1))
        for k in held:
            assert (after[:, :, k] == before[:, k]).all()
    fast.hold_inactive([])
    assert_same(run(fast, x, state, starts, probe), run(reference, x, state, starts, probe))


def test_views_that_only_say_they_are_negative_are_read_as_torch_does():
    rim, x = RIM(4, 6, **SMALL), torch.randn(5, 3, 4)
    state = torch._neg_view(torch.randn(1, 3, 6))
    given = (state, state), (state.resolve_neg(), state.resolve_neg())
    lazy, plain = (rim(x, of)[0] for of in given)
    torch.testing.assert_close(lazy, plain)


def test_saved_tensors_may_come_back_in_another_order_in_memory():
    rim, x = RIM(4, 6, backend="native", **SMALL), torch.randn(5, 3, 4)

    def turned(tensor):
        return tensor if tensor.dim() < 2 else tensor.mT.contiguous().mT

    def gradients():
        found = torch.autograd.grad(rim(x)[0].square().sum(), list(rim.parameters()))
        return torch.cat([gradient.flatten() for gradient in found])

    plain = gradients()
    with torch.autograd.graph.saved_tensors_hooks(turned, lambda tensor: tensor):
        torch.testing.assert_close(gradients(), plain)


def test_a_class_of_its_own_as_state_is_refused_by_the_kernel():
    class Own(torch.Tensor):
        pass

    state = torch.zeros(1, 3, 6).as_subclass(Own)
    with pytest.raises(ValueError, match="h0 is a Own, whose numbers only torch knows"):
        RIM(4, 6, **SMALL)(torch.randn(5, 3, 4), (state, state))


def test_rims_that_cannot_be_held_inactive():
    rim = RIM(4, 6, **SMALL)
    slips: list[Any] = [[1.5], [True], ["0"]]
    for slip in slips:
        with pytest.raises(ValueError, match="held by their numbers"):
            rim.hold_inactive(slip)
    for rims, words in (([0, 1], "at most 1 can be held"), ([3], "RIMs 0 to 2"), ([-1], "0 to 2")):
        with pytest.raises(ValueError, match=words):
            rim.hold_inactive(rims)
    rim.hold_inactive([2])
    assert not any("held" in name for name in rim.state_dict())
    with pytest.raises(ValueError, match="without input attention"):
        RIM(4, 6, num_rims=3, num_active=3, input_attention=None).hold_inactive([0])

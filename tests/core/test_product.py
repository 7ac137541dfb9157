"""Large products are the same by either library, gradients of a RIM included."""

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rims_rl import RIM
from rims_rl.core.scan import product

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN"
)


@pytest.fixture
def onednn(monkeypatch):
    """As on a processor where oneDNN is faster, for products of any size; gives its calls."""
    calls, by_onednn = [], product._by_onednn

    def counted(a, b):
        calls.append(a.shape)
        return by_onednn(a, b)

    monkeypatch.setattr(product, "_LARGE", 0)
    monkeypatch.setattr(product, "_is_onednn_faster", lambda: True)
    monkeypatch.setattr(product, "_by_onednn", counted)
    return calls


def assert_close(actual, expected):
    scale = expected.abs().max().clamp(min=1e-3)
    assert actual.dtype == torch.float32
    assert ((actual - expected).abs().max() / scale).item() < 1e-5


sizes = st.integers(1, 70)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=st.integers(1, 4), m=sizes, i=sizes, j=sizes, kind=st.integers(0, 3), seed=sizes)
def test_products_are_those_of_float64(onednn, pairs, m, i, j, kind, seed):
    torch.manual_seed(seed)
    a, b = torch.randn(pairs, m, i), torch.randn(pairs, i, j)
    if kind == 1:  # one for all, and transposed
        a = torch.randn(i, m).T.expand(pairs, -1, -1)
    if kind == 2:  # every second one
        a, b = torch.randn(pairs, m, 2 * i)[..., ::2], torch.randn(pairs, j, i).transpose(1, 2)
    if kind == 3:
        b = torch.randn(i, j).expand(pairs, -1, -1)
    before = len(onednn)
    assert_close(product.multiply(a, b), a.double() @ b.double())
    assert_close(product.multiply_and_sum(a, b), (a.double() @ b.double()).sum(0))
    assert len(onednn) == before + pairs + 1


@pytest.mark.parametrize("backend", ["torch", "native"])
@pytest.mark.parametrize("heads", [1, 3])
def test_a_rim_computes_and_learns_the_same(onednn, backend, heads):
    torch.manual_seed(0)
    options = {"num_rims": 3, "num_active": 2, "input_heads": heads}
    fast = RIM(20, 24, backend=backend, **options)
    exact = RIM(20, 24, backend="reference", **options).double()
    exact.load_state_dict(fast.state_dict())
    x, probe = torch.randn(5, 4, 20), torch.randn(5, 4, 24)
    gradients = []
    for rim in (fast, exact):
        dtype = next(rim.parameters()).dtype
        leaf = x.to(dtype).requires_grad_()
        output = rim(leaf)[0]
        objective = (output * probe.to(dtype)).sum()
        leaves = (leaf, *rim.parameters())
        gradients.append([output, *torch.autograd.grad(objective, leaves, materialize_grads=True)])
    assert onednn
    for actual, expected in zip(*gradients, strict=True):
        assert (actual - expected).abs().max() < 1e-4 * expected.abs().max().clamp(min=1e-2)


def test_it_is_asked_for_large_float32_on_a_cpu_alone(onednn, monkeypatch):
    a = torch.ones(2, 8, 8)
    product.multiply(a.double(), a.double())
    with torch.backends.mkldnn.flags(enabled=False):
        product.multiply(a, a)
    monkeypatch.setattr(product, "_LARGE", 8**3 + 1)
    product.multiply(a, a)
    assert not onednn
    monkeypatch.setattr(product, "_LARGE", 8**3)
    product.multiply(a, a)
    assert onednn


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_it_runs_in_every_mode(onednn, mode):
    rim = RIM(20, 24, num_rims=3, num_active=2)
    with mode(), torch.autocast("cpu", torch.bfloat16):
        rim(torch.randn(5, 4, 20))
    assert onednn


def test_an_operation_that_torch_took_away_is_not_used(monkeypatch):
    def gone(a, b):
        raise AttributeError("no such operation")

    monkeypatch.setattr(product, "_by_onednn", gone)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(Path, "read_text", lambda _: "vendor_id : AuthenticAMD")
    assert not product._is_onednn_faster.__wrapped__()


@pytest.mark.parametrize(
    ("maker", "capability", "faster"),
    [("AuthenticAMD", "AVX512", True), ("AuthenticAMD", "AVX2", False), ("Intel", "AVX512", False)],
)
@pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="this torch has no MKL")
def test_amd_with_avx512_is_where_it_is_faster(maker, capability, faster, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(Path, "exists", lambda _: True)
    monkeypatch.setattr(Path, "read_text", lambda _: f"vendor_id : {maker}")
    assert product._is_onednn_faster.__wrapped__() == faster

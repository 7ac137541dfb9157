"""The published implementations' recorded results are reproduced."""

import sys
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from parity_check import Case, check  # noqa: E402
from rim_adapter import run_case  # noqa: E402

AUTHORS = sorted((HERE / "public").glob("authors_*.npz"))


def test_all_six_cases_are_here():
    assert len(AUTHORS) == 6


@pytest.mark.parametrize("path", AUTHORS, ids=lambda path: path.stem)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
@pytest.mark.parametrize("backend", ["reference", "torch", "native"])
def test_states_active_sets_attention_and_gradients(path, dtype, tolerance, backend):
    case = Case(str(path))
    results = run_case(case, dtype, backend)
    rows = check(case, results, tolerance, False, f32=dtype == torch.float32)
    assert len(rows) >= 19
    assert [row for row in rows if not row[2]] == []


@pytest.mark.gpu
@pytest.mark.parametrize("path", AUTHORS, ids=lambda path: path.stem)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
@pytest.mark.parametrize("backend", ["reference", "auto"])
def test_on_cuda(path, dtype, tolerance, backend):
    case = Case(str(path))
    results = run_case(case, dtype, backend, "cuda")
    rows = check(case, results, tolerance, False, f32=dtype == torch.float32)
    assert [row for row in rows if not row[2]] == []

"""Ties go to the lowest index, in programs that are exported, too."""

from unittest import mock

import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rims_rl.core import ranking

FEW = arrays.arrays("float64", st.tuples(*[st.integers(1, 5)] * 3), elements=st.integers(-1, 1))


@given(FEW, st.integers(0, 2))
def test_exported_programs_rank_as_others(numbers, dim):
    x = torch.from_numpy(numbers)
    plain = ranking.from_largest(x, dim)
    with mock.patch.object(ranking, "is_exporting", return_value=True):
        assert torch.equal(ranking.from_largest(x, dim), plain)
    assert torch.equal(plain, x.sort(dim=dim, descending=True, stable=True).indices)


def test_an_exported_program_has_no_stable_sort_which_onnx_lacks():
    class Ranked(torch.nn.Module):
        def forward(self, x):
            return ranking.from_largest(x, -1)

    exported = torch.export.export(Ranked(), (torch.randn(2, 4),))
    called = {str(node.target) for node in exported.graph.nodes if node.op == "call_function"}
    assert "aten.sort.default" in called
    assert not any("stable" in name for name in called)
    ties = torch.tensor([[1.0, 2.0, 2.0, 1.0]] * 2)
    assert exported.module()(ties).tolist() == [[1, 2, 0, 3]] * 2

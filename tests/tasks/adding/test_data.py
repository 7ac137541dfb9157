"""Adding asks for what it should."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rims_rl.runs.errors import UsageError
from rims_rl.tasks.adding import data as adding


@settings(max_examples=20)
@given(st.integers(5, 200), st.integers(1, 20), st.integers(1, 5), st.integers(0, 2**32))
def test_adding_sums_the_marked(length, n, count, seed):
    inputs, targets = adding.sample(n, length, np.random.default_rng(seed), count)
    numbers, marks = inputs[..., 0], inputs[..., 1]
    assert inputs.shape == (length, n, 2)
    assert targets.shape == (n,)
    assert inputs.dtype == targets.dtype == np.float32
    assert set(np.unique(marks)) <= {0.0, 1.0}
    assert np.all(marks.sum(axis=0) == count)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    sums = [x[m == 1].sum() for x, m in zip(numbers.T, marks.T, strict=True)]
    np.testing.assert_allclose(targets, sums, rtol=1e-5)


def test_each_half_has_a_mark_and_every_step_may():
    marks = adding.sample(3000, 20, np.random.default_rng(0)).inputs[..., 1]
    assert np.all(marks[:10].sum(axis=0) == 1)
    assert np.all(marks.sum(axis=1) > 200)


def test_the_baseline_of_adding_is_as_said():
    targets = adding.sample(20_000, 10, np.random.default_rng(0), count=2).targets
    assert np.mean((targets - 1) ** 2) == pytest.approx(2 / 12, rel=0.03)


def test_streams_follow_their_seed():
    first, same, other = (adding.sample(4, 9, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    assert not np.array_equal(first.inputs, other.inputs)


def test_bad_sizes_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(UsageError, match="7 numbers cannot be marked in 6 steps"):
        adding.sample(1, 6, rng, 7)

"""Copying asks for what it should."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rims_rl.runs.errors import UsageError
from rims_rl.tasks.copying import data as copying


def test_a_copying_sequence_by_hand():
    inputs, targets = copying.sample(1, 3, np.random.default_rng(0))
    digits = inputs[:10, 0]
    assert inputs[:, 0].tolist() == [*digits, 0, 0, 9, *[0] * 10]
    assert targets[:, 0].tolist() == [0] * 13 + digits.tolist()


@settings(max_examples=20)
@given(st.integers(1, 300), st.integers(1, 20), st.integers(0, 2**32))
def test_copying_has_its_shape_and_alphabet(span, n, seed):
    inputs, targets = copying.sample(n, span, np.random.default_rng(seed))
    assert inputs.shape == targets.shape == (10 + span + 10, n)
    assert inputs.dtype == targets.dtype == np.int64
    assert inputs[:10].min() >= 1
    assert inputs[:10].max() <= 8
    assert np.array_equal(inputs[:10], targets[-10:])
    assert (inputs == 9).sum() == n
    assert not targets[:-10].any()


def test_all_copying_digits_occur_equally():
    digits = copying.sample(2000, 1, np.random.default_rng(0)).inputs[:10]
    counts = np.bincount(digits.ravel(), minlength=10)
    assert not counts[[0, 9]].any()
    assert np.all(np.abs(counts[1:9] / digits.size - 1 / 8) < 0.01)


def test_streams_follow_their_seed():
    first, same, other = (copying.sample(4, 9, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    assert not np.array_equal(first.inputs, other.inputs)


def test_bad_sizes_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(UsageError, match="span is 0"):
        copying.sample(1, 0, rng)

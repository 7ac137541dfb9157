"""Every test of the figures runs in an empty folder, without an account, on one thread."""

import pytest

from rims_rl.figures import copying
from rims_rl.figures.runs import Wanted

#: Settings of a training of a tenth of a second.
TINY = {
    "hidden_size": 12, "embedding_size": 4, "num_rims": 3, "num_active": 2, "span": 2,
    "test_spans": [3], "epochs": 2, "batch_size": 4, "train_size": 10, "valid_size": 6,
    "test_size": 6, "device": "cpu",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _in_empty_folder(in_empty_folder):
    """See `in_empty_folder`."""


@pytest.fixture
def tiny():
    """Makes a model of the copying task that trains in no time."""
    return lambda **options: Wanted("copying", {}, {**TINY, **options})


@pytest.fixture
def tiny_copying(monkeypatch):
    """Gives the figures of copying the least budget there is."""
    budget = {"epochs": 1, "batch_size": 8, "train_size": 8, "valid_size": 4, "test_size": 4}
    monkeypatch.setattr(copying, "_QUICK", budget)

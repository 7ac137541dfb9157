"""The models of the figures of bouncing balls, and what they are tested on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rims_rl.experiments.store import Wanted
from rims_rl.tasks.wanted import wanted

#: Each training set with the sets that its models meet.
_TEST_SETS: Mapping[str, list[str]] = {
    "4": ["4", "6-8", "4-curtain"],
    "6-8": ["6-8", "4"],
    "3-curtain": ["3-curtain"],
}

#: The paper's sizes of an LSTM with those of quick ones, which do not learn enough otherwise.
SMALL_LSTM, LARGE_LSTM = 250, 512
_QUICK_LSTM = {SMALL_LSTM: 64, LARGE_LSTM: 128}


@dataclass(frozen=True)
class Experiment:
    """A comparison of models that were trained and tested on such sets.

    Attributes:
        title: for people.
        train_set: that the models learn.
        test_set: that they are tested on.
    """

    title: str
    train_set: str
    test_set: str


SAME = Experiment("train 4, test 4", "4", "4")
MORE = Experiment("train 4, test 6-8", "4", "6-8")
FEWER = Experiment("train 6-8, test 4", "6-8", "4")
CURTAIN = Experiment("train 4, test curtain", "4", "4-curtain")

#: The paper's four, in its order.
EXPERIMENTS = (SAME, MORE, FEWER, CURTAIN)


def rim(train_set: str, **options: Any) -> Wanted:
    """A RIM model.

    Args:
        train_set: e.g. ``4``.
        **options: that differ from the paper's.
    """
    return wanted("balls", {**_sets(train_set), **options})


def lstm(train_set: str, size: int) -> Wanted:
    """An LSTM baseline.

    Args:
        train_set: e.g. ``4``.
        size: `SMALL_LSTM` or `LARGE_LSTM`.
    """
    options = {**_sets(train_set), "core": "lstm", "hidden_size": size}
    return wanted("balls", options, {"hidden_size": _QUICK_LSTM[size]})


def _sets(train_set: str) -> dict[str, Any]:
    return {"train_set": train_set, "test_sets": _TEST_SETS[train_set]}

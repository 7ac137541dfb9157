"""Figure 2's numbers on masks whose answer is known."""

import numpy as np
import pytest

from rims_rl.experiments.store import Runs
from rims_rl.tasks.copying.activation import active_rims, distinctness, phases

SPAN = 5


def mask(input_rims, dormant_rims, recall_rims):
    """Two sequences of 4 RIMs with such active ones in each phase."""
    active = np.zeros((10 + SPAN + 10, 2, 4), dtype=bool)
    for phase, rims in zip(phases(SPAN), (input_rims, dormant_rims, recall_rims), strict=True):
        active[phase.steps, :, rims] = True
    return active


def test_phases_cover_the_sequence_once():
    steps = [step for phase in phases(SPAN) for step in range(25)[phase.steps]]
    assert steps == list(range(25))
    assert [phase.steps.start for phase in phases(SPAN)] == [0, 10, 15]


def test_distance_is_the_share_of_active_rims_that_change():
    found = distinctness(mask([0, 1], [2, 3], [0, 2]), SPAN)
    assert found["share"]["dormant"] == [0, 0, 1, 1]
    assert found["distance"] == {
        "input - dormant": 1.0, "input - recall": 0.5, "dormant - recall": 0.5,
    }  # fmt: skip


def test_distance_is_of_each_sequence_and_not_of_their_mean():
    active = mask([0, 1], [0, 1], [0, 1])
    active[phases(SPAN)[1].steps, 0] = [False, False, True, True]
    active[phases(SPAN)[2].steps, 1] = [False, False, True, True]
    assert distinctness(active, SPAN)["distance"] == {
        "input - dormant": 0.5, "input - recall": 0.5, "dormant - recall": 1.0,
    }  # fmt: skip


def test_turnover_counts_changes_within_a_phase():
    active = mask([0, 1], [2, 3], [0, 2])
    active[1:10:2] = [False, True, True, False]
    found = distinctness(active, SPAN)["turnover"]
    assert found == {"input": 0.5, "dormant": 0.0, "recall": 0.0}


def test_equal_phases_have_no_distance():
    assert set(distinctness(mask([1, 2], [1, 2], [1, 2]), SPAN)["distance"].values()) == {0.0}


def test_active_rims_of_a_run(tmp_path, tiny):
    active = active_rims(Runs(tmp_path, [0], quick=True).every_seed(tiny())[0], SPAN)
    assert active.shape[0] == 25
    assert active.shape[2] == 3
    assert active.sum(2) == pytest.approx(2)

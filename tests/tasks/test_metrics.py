"""Metrics against values worked out by hand."""

import math

import pytest
import torch

from rims_rl.tasks.metrics import Confusion, accuracy, frame_bce, last_steps_cross_entropy
from rims_rl.tasks.task import weighted_mean


def test_cross_entropy_heeds_the_last_steps_alone():
    logits = torch.zeros(4, 2, 8)
    logits[0] = 1e9  # outside the last steps: whatever it says counts nothing
    logits[0, :, 3] = -1e9
    targets = torch.full((4, 2), 3)
    assert last_steps_cross_entropy(logits, targets, 2).item() == pytest.approx(math.log(8))
    logits[-1, 0, 3] = math.log(7)  # one of four answers has probability 1/2 instead of 1/8
    expected = (3 * math.log(8) + math.log(2)) / 4
    assert last_steps_cross_entropy(logits, targets, 2).item() == pytest.approx(expected)


def test_accuracy_is_the_share_of_right_answers():
    logits = torch.tensor([[0.0, 1.0], [2.0, 1.0], [0.0, 3.0], [0.0, 1.0]])
    assert accuracy(logits, torch.tensor([1, 0, 0, 1])).item() == 0.75
    logits[3] = math.nan
    assert accuracy(logits, torch.tensor([1, 0, 0, 0])).isnan()


def test_frame_bce_has_one_number_a_frame():
    frames = torch.tensor([[[1.0, 0.0]], [[0.5, 0.5]], [[1.0, 1.0]]])  # (T, B, pixels)
    logits = torch.tensor([[[0.0, 0.0]], [[0.0, 0.0]], [[math.log(3), -math.log(3)]]])
    expected = [math.log(2), math.log(2), (math.log(4 / 3) + math.log(4)) / 2]
    assert frame_bce(logits, frames).tolist() == pytest.approx(expected)


def test_f1_and_balanced_accuracy_by_hand():
    truth = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    logits = torch.tensor([1.0, 1.0, -1.0, 1.0, -1.0, -1.0, -1.0, -1.0])
    counts = Confusion.of(logits[:5], truth[:5]) + Confusion.of(logits[5:], truth[5:])
    assert counts == Confusion(2, 1, 1, 4)
    assert counts.f1 == pytest.approx(2 / 3)
    assert counts.balanced_accuracy == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_nothing_to_find_and_nothing_found_is_perfect():
    counts = Confusion.of(torch.full((3,), -1.0), torch.zeros(3))
    assert counts.f1 == counts.balanced_accuracy == 1.0


def test_means_of_batches_weigh_their_sequences():
    parts = [(3, torch.tensor([1.0, 0.0])), (1, torch.tensor([5.0, 4.0]))]
    assert weighted_mean(parts).tolist() == [2.0, 1.0]

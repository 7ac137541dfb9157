"""Every core learns: tiny problems, a few dozen updates."""

import statistics

import pytest
import torch

from rims_rl.tasks.parser import plan
from rims_rl.tasks.registry import make_task

SMALL = {
    "quick": True, "hidden_size": 48, "num_rims": 4, "num_active": 3, "slots": 3,
}  # fmt: skip


def learn(task_name, updates, rate, *, same_batch, **options):
    """Loss before and after some updates, of one batch or of fresh ones.

    After: the median of the last seven, as a loss may leap up for an update or two.
    """
    torch.manual_seed(0)
    task = make_task(plan({"task": task_name, **SMALL, **options}))
    task.prepare()
    model = task.make_model()
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    losses = []
    for update in range(updates):
        loss = task.loss(model, task.batch(0 if same_batch else update))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses[0], statistics.median(losses[-7:])


@pytest.mark.parametrize("core", ["rim", "lstm", "gru", "rmc", "transformer"])
def test_every_core_learns_sequences_by_heart(core):
    options = {"span": 2, "batch_size": 8, "train_size": 8, "core": core}
    first, last = learn("copying", 160, 0.003, same_batch=True, **options)
    assert first == pytest.approx(2.3, abs=0.4)
    assert last < 1.5  # without a memory it stays at ln 8 = 2.08


@pytest.mark.parametrize("core", ["rim", "lstm"])
def test_adding_is_learned_and_not_by_heart(core):
    options = {"length": 5, "batch_size": 64, "core": core}
    _, last = learn("adding", 200, 0.01, same_batch=False, **options)
    assert last < 0.03  # always answering 1 has 1 / 6


@pytest.mark.parametrize("core", ["rim", "lstm"])
def test_a_video_is_learned_by_heart(core):
    options = {"train_size": 2, "valid_size": 2, "test_size": 2, "batch_size": 2, "core": core}
    frames = {"frames": 8, "given": 4, "test_sets": ["4"]}
    first, last = learn("balls", 25, 0.003, same_batch=True, **options, **frames)
    assert first > 0.5
    assert last < 0.2


def test_windows_are_learned_by_heart():
    options = {"train_size": 2, "valid_size": 2, "test_size": 2, "batch_size": 2, "core": "rim"}
    frames = {"frames": 4, "test_balls": [1]}
    first, last = learn("partial-view", 60, 0.001, same_batch=True, **options, **frames)
    assert first > 0.6
    assert last < 0.15  # the same grey everywhere has 0.245

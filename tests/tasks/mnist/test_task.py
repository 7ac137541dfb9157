"""The task is known without its digits, and nothing keeps it."""

import gc
import weakref

import pytest

from rims_rl.tasks import digits
from rims_rl.tasks.parser import plan
from rims_rl.tasks.registry import make_task
from rims_rl.tasks.trainee import TASK_RUNS

MNIST = {"task": "mnist", "quick": True, "resolution": 4}


def test_a_run_is_known_without_its_digits(monkeypatch):
    monkeypatch.setattr(digits, "load", lambda *_: pytest.fail("loaded"))
    every_digit = {"epochs": 2, "batch_size": 100, "train_size": 10**6}
    assert TASK_RUNS.total(plan({**MNIST, **every_digit})) == 2 * 35
    assert TASK_RUNS.total(plan({**MNIST, **every_digit, "source": "openml"})) == 2 * 550
    assert TASK_RUNS.total(plan({**MNIST, **every_digit, "train_size": 150})) == 2 * 2


def test_a_task_and_its_digits_are_forgotten():
    task = make_task(plan(MNIST))
    task.prepare()
    kept = weakref.ref(task)
    del task
    gc.collect()
    assert kept() is None

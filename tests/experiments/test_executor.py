"""Runs are trained once and to their end, whatever is killed on the way."""

import argparse
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from rims_rl.experiments import command
from rims_rl.experiments.executor import (
    DryRun,
    NothingTrained,
    OneByOne,
    Processes,
    TrainingStoppedError,
)
from rims_rl.experiments.job import Job
from rims_rl.experiments.store import Runs, Wanted
from rims_rl.runs import session
from rims_rl.runs.errors import UsageError
from rims_rl.runs.wandb_run import tagged
from rims_rl.tasks.trainee import TASK_RUNS
from rims_rl.tasks.wanted import planned, wanted
from rims_rl.training.trainee import AGENTS
from tests.test_train import history_steps
from tests.tiny_runs import TINY

ROOT = Path("store")
#: A driver as a process: two models of copying that train for some seconds.
DRIVER = """
from pathlib import Path
from rims_rl.experiments.executor import Processes
from rims_rl.experiments.store import Runs
from tests.experiments.test_executor import some_seconds
models = [some_seconds(), some_seconds()]
Runs(Path("store"), [0, 1], quick=True, executor=Processes(2)).prepare(models)
"""


@pytest.mark.parametrize("given", [True, False])
def test_options_of_ray_reach_it(given, monkeypatch):
    monkeypatch.setattr(command, "Ray", lambda *arguments: arguments)
    parser = argparse.ArgumentParser()
    command.add_executor_options(parser)
    options = ["--ray-address", "auto", "--cpus-per-run", "2"]
    options += ["--gpus-per-run", "0.5", "--jobs", "3"]
    asked = parser.parse_args(["--executor", "ray", *(options if given else [])])
    chosen: Any = command.chosen_executor(parser, asked)
    assert chosen == (("auto", 2, 0.5, 3) if given else (None, 1, 0, None))


def some_seconds(epochs=150):
    return wanted("copying", {}, {**TINY, "epochs": epochs, "checkpoint_every": 50})


def an_agent():
    return Wanted(
        AGENTS,
        {"env": "CartPole-v1", "n_envs": 2, "n_minibatches": 1, "n_steps": 8, "total_timesteps": 32,
         "core_kwargs": {"comm_heads": 1}, "hidden_size": 12, "eval_every": 0, "device": "cpu"},
    )  # fmt: skip


def store(executor, seeds=(0, 1)):
    return Runs(ROOT, seeds, quick=True, executor=executor)


def begun():
    """The number of times that each run was begun or continued."""
    return [len(path.read_text().splitlines()) for path in ROOT.rglob("command.txt")]


def trainings(folder=ROOT):
    """Process ids of trainings in this test's folder: all, or of one run."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            argv = (process / "cmdline").read_bytes().split(b"\0")
            inside = (process / "cwd").resolve() == Path.cwd()
        except OSError:
            continue
        if inside and b"rims_rl.tasks" in argv and any(bytes(folder) in word for word in argv):
            found.append(int(process.name))
    return found


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def have_begun():
    """Folders of the runs that saved a checkpoint."""
    return {path.parents[1] for path in ROOT.rglob("checkpoints/step-*.json")}


def kill_one():
    """Kills the first training that has begun."""
    wait_for(have_begun)
    (process,) = trainings(have_begun().pop())
    os.kill(process, signal.SIGKILL)


def test_a_killed_training_is_taken_up_again():
    model = some_seconds(epochs=50)
    killer = threading.Thread(target=kill_one)
    killer.start()
    runs = store(Processes(2))
    runs.prepare([model])
    killer.join()
    assert len(runs.stored(model)) == 2
    assert sorted(begun()) == [1, 2]
    alone = Runs(Path("alone"), (0, 1), quick=True).every_seed(model)
    found = [run.metrics for run in runs.stored(model)]
    assert found == [run.metrics for run in alone]


def test_a_killed_driver_leaves_trainings_that_the_next_one_waits_for(capfd):
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    for is_early in (True, False):
        driver = subprocess.Popen([sys.executable, "-c", DRIVER], env=env)
        wait_for(lambda: len(trainings()) == 2)
        if not is_early:  # trainings that still load, or that have begun
            wait_for(lambda: len(have_begun()) == 2)
        driver.kill()
        driver.wait()
        assert len(trainings()) == 2
    capfd.readouterr()
    runs = store(Processes(2))
    runs.prepare([some_seconds(), some_seconds()])
    found = runs.every_seed(some_seconds())
    assert [run.seed for run in found] == [0, 1]
    assert found[0].metrics != found[1].metrics
    assert begun() == [1, 1]
    out = capfd.readouterr().out
    assert "2 of 2: copying, rim-k3-2-h12, embedding_size=4, span=2, seed" in out
    assert "run folder" in Path(f"{found[0].folder}.log").read_text()


def test_one_that_cannot_be_done_is_told_and_the_others_are_trained(tiny):
    options = {"env": "CartPole-v1", "total_timesteps": 8, "policy_kwargs": {"bogus": 1}}
    impossible = Wanted(AGENTS, options)
    with pytest.raises(TrainingStoppedError, match="it cannot be done as asked"):
        store(Processes(2), seeds=(0,)).prepare([impossible, tiny()])
    assert len(list(ROOT.rglob("results.json"))) == 1


def test_in_this_process_one_that_breaks_is_told_and_the_others_are_trained(
    tiny, monkeypatch, capsys
):
    runs = store(OneByOne(), seeds=(0,))
    jobs, whole = runs.jobs([tiny(), tiny(span=3)]), session.main

    def main(kind, arguments):
        if str(jobs[0].folder) not in arguments:
            return whole(kind, arguments)
        torch.set_num_threads(3)
        raise RuntimeError("no memory left")

    monkeypatch.setattr(session, "main", main)
    threads = torch.get_num_threads()
    with pytest.raises(TrainingStoppedError, match=r"not trained: .*exit status 1"):
        runs.prepare([tiny(), tiny(span=3)])
    assert torch.get_num_threads() == threads
    assert [job.is_done for job in jobs] == [False, True]
    errors = capsys.readouterr().err
    assert "no memory left" in errors
    assert errors.splitlines()[-1].endswith("all runs")


@pytest.mark.parametrize("kind", ["agents", "tasks"])
def test_a_dry_run_prints_commands_that_give_the_run(kind, tiny):
    model = an_agent() if kind == "agents" else tiny()
    with pytest.raises(NothingTrained) as told:
        store(DryRun(), seeds=(0,)).prepare([model])
    assert not ROOT.exists()
    (command,) = str(told.value).splitlines()
    module, *argv = shlex.split(command.removeprefix("python -m "))
    assert module == f"rims_rl.{model.kind.command}"
    assert session.main(model.kind, argv) == 0
    runs = store(OneByOne(), seeds=(0,))
    assert len(runs.every_seed(model)) == 1
    assert begun() == [1]


@pytest.mark.slow
def test_ray_trains_agents_and_tasks_once(tiny):
    ray = pytest.importorskip("ray")
    from rims_rl.experiments.cluster import Ray

    killer = threading.Thread(target=kill_one)
    killer.start()
    runs = store(Ray(cpus=1, workers=2))
    runs.prepare([some_seconds()])
    killer.join()
    assert len(runs.stored(some_seconds())) == 2
    assert sorted(begun()) == [1, 2]
    runs.prepare([some_seconds(), an_agent()])
    assert len(runs.stored(an_agent())) == 2
    assert sorted(begun()) == [1, 1, 1, 2]
    assert not ray.is_initialized()


@pytest.mark.slow
def test_ray_tells_what_cannot_be_trained_and_gives_its_runs_tags(tiny, capsys):
    pytest.importorskip("ray")
    from rims_rl.experiments.cluster import Ray

    Path("file").touch()
    nowhere = Job(TASK_RUNS, {}, planned(store(OneByOne()), tiny()), Path("file/seed0"))
    model = tiny()
    tracked = Runs(ROOT, [0], quick=True, track="offline").job(model, 0)
    with tagged("of-a-suite"):
        found = dict(Ray(cpus=1).endings([nowhere, tracked]))
    assert found == {nowhere: 1, tracked: 0}
    assert "seed 0: [Errno 17] File exists" in capsys.readouterr().err
    _, runs = history_steps(tracked.folder / "wandb")
    assert "of-a-suite" in runs[0]["tags"]


def test_a_system_without_such_locks_is_told_so(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="experiments are trained on Linux and macOS"):
        store(OneByOne()).prepare([some_seconds()])

"""Trains runs that a figure lacks, several at once, as ``python -m rims_rl.tasks`` would."""

from __future__ import annotations

import contextlib
import itertools
import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from rims_rl.run.config import flag
from rims_rl.run.folder import CHECKPOINTS, CONFIG, PROGRESS
from rims_rl.run.progress import Bar
from rims_rl.tasks.parser import command_line
from rims_rl.tasks.results import RESULTS
from rims_rl.tasks.session import Session, new_session, resumed_session, run_session
from rims_rl.tasks.state import newest_checkpoint

#: Runs that ended, each with the exit status of its training.
Endings = Generator[tuple["Job", int], None, None]

#: Seconds between two looks at how far the trainings are.
_LOOK_EVERY = 1.0


class TrainingStoppedError(Exception):
    """A training did not get to its end.

    Attributes:
        status: the exit status of the training: 130 or 143 after a signal, 1 where the loss is
            not finite.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Job:
    """A run to train.

    Attributes:
        task: its name.
        values: the options that differ from the task's preset, without place and threads.
        folder: of the run.
        epochs: of the whole run.
        title: for people, e.g. ``copying, lstm-h600, seed 1``.
    """

    task: str
    values: Mapping[str, Any]
    folder: Path
    epochs: int
    title: str

    @property
    def log(self) -> Path:
        """What the training prints when it is one of several."""
        return self.folder.with_suffix(".log")

    @property
    def is_done(self) -> bool:
        """Whether the run was trained and tested."""
        return (self.folder / RESULTS).exists()

    def command(self) -> str:
        """The command that trains the run alone, ready to paste into a shell."""
        argv = [self.task]
        for name, value in self.values.items():
            if name == "quick":
                argv += [flag(name)] if value else []
            else:
                argv += [flag(name), value if isinstance(value, str) else json.dumps(value)]
        return command_line([*argv, "--run-dir", str(self.folder), "--track", "off"])


def train_all(jobs: Sequence[Job], workers: int) -> None:
    """Trains runs to their end; those that were interrupted go on where they were.

    Args:
        jobs: the runs.
        workers: how many at once, each on one thread; with 1 they train in this process.

    Raises:
        TrainingStoppedError: a signal came, or a loss is not finite; the other runs are trained
            before the latter is raised.
        UsageError: a run cannot be done.
    """
    one_by_one = workers == 1 or len(jobs) == 1
    endings = _in_turn(jobs) if one_by_one else _side_by_side(jobs, workers)
    with contextlib.closing(endings):
        _report(endings, len(jobs))


def train(job: Job, threads: int = 0) -> int:
    """Trains one run in this process; waits where another process trains it.

    Args:
        job: the run.
        threads: of torch; 0 for its choice.

    Returns:
        The exit status of `run_session`.

    Raises:
        UsageError: it cannot be done.
    """
    job.folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(job.folder.with_suffix(".lock")):
        if job.is_done:
            return 0
        return run_session(_session(job, threads), job.command())


def _session(job: Job, threads: int) -> Session:
    """A new run, or the old one from its newest checkpoint if it got as far as to save one."""
    here = {"threads": threads, "track": "off"} if threads else {"track": "off"}
    if (job.folder / CONFIG).exists() and newest_checkpoint(job.folder / CHECKPOINTS) is not None:
        return resumed_session(job.folder, job.task, here)
    shutil.rmtree(job.folder, ignore_errors=True)
    return new_session(job.task, {**job.values, **here, "run_dir": str(job.folder)})


def _report(endings: Iterable[tuple[Job, int]], total: int) -> None:
    """Prints a line for each run that ended, and raises what `train_all` does."""
    failed = []
    for number, (job, status) in enumerate(endings, 1):
        if status > 1:
            raise TrainingStoppedError("stopped: the same command goes on from here", status)
        if status == 1:
            failed.append(job.title)
        print(f"{number} of {total}: {job.title}{' FAILED' if status else ''}", flush=True)
    if failed:
        titles = "; ".join(failed)
        raise TrainingStoppedError(
            f"the loss is not finite: {titles}; --train none draws the other runs", 1
        )


def _in_turn(jobs: Sequence[Job]) -> Endings:
    for job in jobs:
        yield job, train(job)


def _side_by_side(jobs: Sequence[Job], workers: int) -> Endings:
    # A fork of a process in which torch has started threads can hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(jobs)), context, _start_worker)
    done_before = sum(map(_epochs_done, jobs))
    bar = Bar(sum(job.epochs for job in jobs), done_before, "epoch", lambda: "all runs together")
    waiting, running = iter(jobs), dict[Future[int], Job]()
    try:
        while True:
            # Nothing queued: a worker would begin it even after it was asked to end.
            for job in itertools.islice(waiting, workers - len(running)):
                running[pool.submit(_train_logged, job)] = job
            if not running:
                return
            ended, _ = wait(running, _LOOK_EVERY, FIRST_COMPLETED)
            done = sum(map(_epochs_done, jobs))
            bar.advance(done - done_before)
            done_before = done
            yield from ((running.pop(future), future.result()) for future in ended)
    finally:
        _end_workers(pool, running)
        bar.close()


def _end_workers(pool: ProcessPoolExecutor, running: Mapping[Future[int], Job]) -> None:
    """Waits for the workers, after asking those that still train to save and end."""
    try:
        if running:
            for process in multiprocessing.active_children():
                process.terminate()
        pool.shutdown(cancel_futures=True)
    except BaseException:  # a second Ctrl-C: the user does not want to wait
        for process in multiprocessing.active_children():
            process.kill()
        raise


def _start_worker() -> None:
    """Keeps a terminal's Ctrl-C from the worker: the parent passes on one signal, not two."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "setpgrp"):
        os.setpgrp()


def _train_logged(job: Job) -> int:
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with (
        job.log.open("a", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
    ):
        return train(job, threads=1)


def _epochs_done(job: Job) -> int:
    """Lines of ``progress.csv`` under its head."""
    try:
        return max(0, (job.folder / PROGRESS).read_bytes().count(b"\n") - 1)
    except OSError:
        return 0

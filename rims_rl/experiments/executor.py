"""Trains runs that are missing, several at once, each by its ordinary command."""

from __future__ import annotations

import contextlib
import subprocess
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from typing import Protocol

import torch

from rims_rl.experiments.job import Job, require_locks
from rims_rl.runs.progress import Bar

#: Runs that ended, each with the exit status of its training.
Endings = Generator[tuple[Job, int], None, None]

#: Seconds between two looks at how far the trainings are.
LOOK_EVERY = 0.5
#: How often a training that was killed is taken up again.
RETRIES = 2


class TrainingStoppedError(Exception):
    """A training did not get to its end.

    Attributes:
        status: the exit status: 130 or 143 after a signal, else that of the training.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Executor(Protocol):
    """Trains runs, on this machine or elsewhere."""

    def endings(self, jobs: Sequence[Job]) -> Endings:
        """Trains the jobs and yields each as it ends; closing it saves and ends the others."""
        ...


def train_all(jobs: Sequence[Job], executor: Executor, done: Callable[[Job], None]) -> None:
    """Trains runs to their end; those that were interrupted go on where they were.

    Args:
        jobs: the runs.
        executor: trains them.
        done: is called with each run that got to its end.

    Raises:
        TrainingStoppedError: a signal came, or a training failed; the other runs are trained
            before the latter is raised.
        NothingTrained: the executor is a dry run.
        UsageError: see `require_locks`.
    """
    require_locks()
    failed = {}
    with contextlib.closing(executor.endings(jobs)) as endings:
        titles = "".join(f"\n  {job.title}" for job in jobs)
        print(f"runs to train: {len(jobs)}{titles}", flush=True)
        for number, (job, status) in enumerate(endings, 1):
            if status:
                failed[job] = status
            else:
                done(job)
            print(f"{number} of {len(jobs)}: {job.title}{' FAILED' if status else ''}", flush=True)
    if failed:
        titles = "; ".join(f"{job.title} ({_why(job, status)})" for job, status in failed.items())
        raise TrainingStoppedError(f"not trained: {titles}", max(1, *failed.values()))


def _why(job: Job, status: int) -> str:
    """All that is known of a training that failed; what it said itself stands in its log."""
    why = "it cannot be done as asked" if status == 2 else f"exit status {status}"
    return f"{why}, see {job.log}" if job.log.exists() else why


class DryRun:
    """Trains nothing, but tells the commands, for a job array."""

    def endings(self, jobs: Sequence[Job]) -> Endings:
        """There are none: raises `NothingTrained` at once."""
        raise NothingTrained("\n".join(job.command() for job in jobs))


class NothingTrained(Exception):
    """The commands that would train what is missing, a line each; empty if nothing is."""


class OneByOne:
    """Trains in this process, one run after the other, with a progress bar for each and for all."""

    def endings(self, jobs: Sequence[Job]) -> Endings:
        """See `Executor.endings`."""
        threads = torch.get_num_threads()
        with contextlib.closing(AllRuns(jobs)) as bar:
            for job in jobs:
                status = _train_here(job)
                torch.set_num_threads(threads)  # a run may have had its own
                if status > 2:
                    raise TrainingStoppedError(
                        "stopped: the same command goes on from here", status
                    )
                bar.show(in_line=True)
                yield job, status


def _train_here(job: Job) -> int:
    """The exit status, that of a process of its own where something unforeseen happens."""
    try:
        return job.train_here()
    except Exception:  # others are to be trained
        traceback.print_exc()
        return 1


class Processes:
    """Trains in processes of this machine.

    A training that was killed is taken up again from its newest checkpoint. Trainings outlive this
    process if it is killed itself; the same command then trains the others beside them, and waits
    for them in the end.

    Args:
        workers: how many runs at once, each on one thread.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def endings(self, jobs: Sequence[Job]) -> Endings:
        """See `Executor.endings`."""
        bar = AllRuns(jobs)
        waiting, tries = deque(jobs), Counter[Job]()
        running: dict[Job, subprocess.Popen[bytes]] = {}
        try:
            while waiting or running:
                for _ in range(len(waiting)):
                    if len(running) == self._workers:
                        break
                    job = waiting.popleft()
                    if job.is_busy:  # elsewhere: it waits, others may begin
                        waiting.append(job)
                    elif job.is_done:  # by the process that was busy with it
                        yield job, 0
                    elif process := job.start(threads=1):
                        running[job] = process
                    else:
                        waiting.append(job)
                time.sleep(LOOK_EVERY)
                bar.show()
                for job, status in _ended(running):
                    del running[job]
                    tries[job] += 1
                    if was_killed(status) and tries[job] <= RETRIES:
                        waiting.appendleft(job)
                    else:
                        yield job, status
        finally:
            _stop(running.values())
            bar.close()


class AllRuns:
    """A progress bar over all runs of an experiment.

    Args:
        jobs: the runs.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        self._done = self._steps_done()
        unit = jobs[0].kind.unit
        self._bar = Bar(sum(job.total for job in jobs), self._done, unit, lambda: "all runs")

    def show(self, in_line: bool = False) -> None:
        """Brings the bar up to date.

        Args:
            in_line: where it is no bar, print a line now.
        """
        done = self._steps_done()
        self._bar.advance(done - self._done)
        self._done = done
        if in_line:
            self._bar.print_line()

    def close(self) -> None:
        """Leaves the bar as it stands."""
        self._bar.close()

    def _steps_done(self) -> int:
        return sum(job.steps_done for job in self._jobs)


def was_killed(status: int) -> bool:
    """Tells whether a signal ended a training: none of ours did, as long as we run."""
    return status < 0 or status > 128


def _ended(running: Mapping[Job, subprocess.Popen[bytes]]) -> list[tuple[Job, int]]:
    statuses = ((job, process.poll()) for job, process in running.items())
    return [(job, status) for job, status in statuses if status is not None]


def _stop(processes: Collection[subprocess.Popen[bytes]]) -> None:
    """Asks trainings to save and end, and waits for them."""
    try:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
    except BaseException:  # a second Ctrl-C: the user does not want to wait
        for process in processes:
            process.kill()
        raise

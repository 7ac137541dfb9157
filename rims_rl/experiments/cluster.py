"""Trains runs on a Ray cluster: plain remote tasks over a file system that all machines share."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from rims_rl.experiments.executor import LOOK_EVERY, RETRIES, AllRuns, Endings, was_killed
from rims_rl.experiments.job import Job
from rims_rl.runs.errors import UsageError, warn
from rims_rl.runs.wandb_run import run_tags


class Ray:
    """Trains each run as a task of Ray, by its ordinary command.

    A training that was killed, or whose machine was lost, is taken up again from its newest
    checkpoint.

    Args:
        address: of the cluster, as `ray.init`; None: a cluster of this machine alone.
        cpus: of a run.
        gpus: of a run.
        workers: how many runs at once, at most; None: as many as the cluster has room for.

    Raises:
        UsageError: Ray is not installed or cannot be reached.
    """

    def __init__(
        self,
        address: str | None = None,
        cpus: float = 1,
        gpus: float = 0,
        workers: int | None = None,
    ) -> None:
        try:
            import ray
        except ImportError:
            raise UsageError(
                '--executor ray needs Ray: pip install -c constraints.txt -e ".[cluster]"'
            ) from None
        self._ray: Any = ray
        self._workers = workers
        try:
            ray.init(address=address, log_to_driver=False, include_dashboard=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise UsageError(f"--ray-address {address}: {error}") from None
        self._threads = max(1, int(cpus))
        remote = self._ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=RETRIES)
        self._train = remote(train)

    def endings(self, jobs: Sequence[Job]) -> Endings:
        """See `rims_rl.experiments.executor.Executor.endings`."""
        waiting, running = list(jobs), dict[Any, Job]()
        # Ray's processes do not have this one's environment.
        train_remotely = self._train.options(runtime_env={"env_vars": run_tags()})
        bar = AllRuns(jobs)
        try:
            while waiting or running:
                while waiting and (self._workers is None or len(running) < self._workers):
                    job = waiting.pop(0)
                    # The machines share the file system, not the working folder.
                    there = dataclasses.replace(job, folder=job.folder.absolute())
                    running[train_remotely.remote(there, self._threads)] = job
                ended, _ = self._ray.wait(list(running), num_returns=1, timeout=LOOK_EVERY)
                bar.show()
                for task in ended:
                    job = running.pop(task)
                    yield job, self._status(job, task)
        finally:
            for task in running:
                self._ray.cancel(task)  # an interrupt: the training saves
            if running:
                self._ray.wait(list(running), num_returns=len(running))
            bar.close()
            self._ray.shutdown()

    def _status(self, job: Job, task: Any) -> int:
        """The exit status of a training; 1 where Ray could not bring it to its end."""
        try:
            return int(self._ray.get(task))
        except self._ray.exceptions.RayError as error:
            warn(f"{job.title}: {getattr(error, 'cause', None) or error}")
            return 1


def train(job: Job, threads: int) -> int:
    """Trains a run on one of the cluster's machines, and returns the exit status.

    Args:
        job: the run.
        threads: of torch.
    """
    status = 1  # if it never comes to train here
    for _ in range(1 + RETRIES):
        job.wait_while_busy()
        if job.is_done:
            return 0
        process = job.start(threads)
        if process is None:
            continue
        try:
            status = process.wait()
        except BaseException:  # Ray's interrupt
            process.terminate()
            process.wait()
            raise
        if not was_killed(status):
            break
    return status

"""The store of trained runs that figures are made from: what is missing is trained."""

from __future__ import annotations

import fnmatch
import functools
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from rims_rl.core.config import VARIANTS
from rims_rl.figures.budget import Budget
from rims_rl.figures.training import Job, train_all
from rims_rl.run.errors import UsageError
from rims_rl.run.folder import safe_name
from rims_rl.tasks.config import TaskConfig
from rims_rl.tasks.data.cache import Recipe, require_room
from rims_rl.tasks.parser import resolve, run_title
from rims_rl.tasks.results import RESULTS, TrainedTask, load_trained
from rims_rl.tasks.suite import make_task
from rims_rl.tasks.task import Task

#: Options that change where and how a run is computed, not what comes out.
_ELSEWHERE = ("device", "threads", "run_dir", "track", "checkpoint_every", "cache_dir", "seed")


@dataclass(frozen=True)
class Wanted:
    """A model that a figure needs, trained once for each seed.

    Attributes:
        task: its name.
        options: that differ from the task's preset, which has the paper's settings.
        quick: what ``--quick`` changes further, over the task's quick preset.
    """

    task: str
    options: Mapping[str, Any] = field(default_factory=dict)
    quick: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredRun:
    """A trained and tested run.

    Attributes:
        folder: of the run.
        seed: of weights and training data.
        results: the content of its ``results.json``; the test's numbers are under ``metrics``.
    """

    folder: Path
    seed: int
    results: dict[str, Any]

    @functools.cached_property
    def trained(self) -> TrainedTask:
        """The best model and its task, on the CPU."""
        return load_trained(self.folder)

    @property
    def task(self) -> Task[Any]:
        """The task with its configuration; call its `prepare` before using its data."""
        return self.trained.task

    @property
    def model(self) -> nn.Module:
        """The best model, in evaluation mode."""
        return self.trained.model

    @property
    def metrics(self) -> dict[str, Any]:
        """The numbers of the test."""
        metrics: dict[str, Any] = self.results["metrics"]
        return metrics


class Runs:
    """Finds stored runs by their exact settings and trains those that are not there.

    Attributes:
        quick: whether budgets are small.
        root: folder of the store.
        seeds: of every model.
        budget: what is smaller than in the paper.
        used: the runs that were handed out, by folder.

    Args:
        quick: as above.
        root: as above.
        seeds: as above.
        workers: how many trainings at once.
        budget: as above.
        only: pattern of the titles of runs that may be trained, e.g. ``copying, lstm-*``.
    """

    def __init__(
        self,
        quick: bool,
        root: Path,
        seeds: Sequence[int],
        workers: int = 1,
        budget: Budget | None = None,
        only: str = "*",
    ) -> None:
        self.quick, self.root, self.seeds = quick, root, tuple(seeds)
        self.budget = budget or Budget()
        self.used: dict[Path, StoredRun] = {}
        self._workers, self._only = workers, only

    def prepare(self, models: Sequence[Wanted]) -> None:
        """Trains what is missing of some models and may be trained, several at once.

        A figure calls this once, with all its models, and then draws those that are `stored`.

        Raises:
            UsageError: a run cannot be done as asked, its folder holds another one, or there is
                nothing stored in the end.
            TrainingStoppedError: a training did not get to its end.
        """
        jobs = [self._job(model, seed) for model in models for seed in self.seeds]
        self._train(jobs)
        if not any(job.is_done for job in jobs):
            titles = dict.fromkeys(self._job(model, self.seeds[0]).title for model in models)
            raise UsageError(
                f"nothing is stored, and --train {self._only!r} matches none of: "
                + "; ".join(titles)
            )

    def _train(self, jobs: Sequence[Job]) -> None:
        missing = {job.folder: job for job in jobs if not job.is_done and self._may_train(job)}
        if missing:
            titles = "".join(f"\n  {job.title}" for job in missing.values())
            _require_room(missing.values())
            print(f"runs to train: {len(missing)}, into {self.root}{titles}", flush=True)
            train_all(list(missing.values()), self._workers)

    def every_seed(self, model: Wanted) -> list[StoredRun]:
        """The runs of a model, one for each seed that is stored or may be trained; at least one.

        Raises:
            UsageError: as `prepare`.
            TrainingStoppedError: as `prepare`.
        """
        self.prepare([model])
        return self.stored(model)

    def stored(self, model: Wanted) -> list[StoredRun]:
        """The runs of a model, one for each seed that is stored; may be empty.

        Raises:
            UsageError: a folder holds another run, or one that cannot be read.
        """
        jobs = {seed: self._job(model, seed) for seed in self.seeds}
        return [self._read(model, seed, job) for seed, job in jobs.items() if job.is_done]

    def _read(self, model: Wanted, seed: int, job: Job) -> StoredRun:
        if job.folder in self.used:
            return self.used[job.folder]
        results = _read_results(job.folder / RESULTS)
        if _settings(results["config"]) != _settings(self.config(model, seed).flat()):
            raise UsageError(
                f"{job.folder} holds a run of other settings (was it continued?): move it away, or "
                "choose another --runs"
            )
        self.used[job.folder] = StoredRun(job.folder, seed, results)
        return self.used[job.folder]

    def config(self, model: Wanted, seed: int) -> TaskConfig[Any]:
        """The complete settings of a run."""
        return resolve(model.task, self._values(model, seed))

    def _values(self, model: Wanted, seed: int) -> dict[str, Any]:
        quick = {"quick": True, **model.quick} if self.quick else {}
        return {**self.budget.of(model.task), **model.options, **quick, "seed": seed}

    def _job(self, model: Wanted, seed: int) -> Job:
        config = self.config(model, seed)
        label, settings = config.label(), _settings(config.flat())
        digest = hashlib.sha256(settings.encode()).hexdigest()[:8]
        return Job(
            task=model.task,
            values=self._values(model, seed),
            folder=self.root / model.task / f"{safe_name(label)}-{digest}" / f"seed{seed}",
            epochs=config.learning.epochs,
            title=run_title(config),
        )

    def _may_train(self, job: Job) -> bool:
        return fnmatch.fnmatchcase(job.title, self._only)


def _read_results(file: Path) -> dict[str, Any]:
    try:
        results: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{file} cannot be read ({error}): remove it, and its run is tested again"
        ) from None
    return results


def _require_room(jobs: Iterable[Job]) -> None:
    """Refuses to begin where the disk has no room for the data of all runs."""
    tasks = [make_task(resolve(job.task, job.values)) for job in jobs]
    recipes: dict[Path, list[Recipe]] = {}
    for task in tasks:
        if found := task.recipes():
            recipes.setdefault(task.options.cache, []).extend(found)
    for folder, of_folder in recipes.items():
        require_room(folder, of_folder)


def _settings(flat: Mapping[str, Any]) -> str:
    """What tells runs apart beside their seed, as text."""
    chosen = {name: value for name, value in flat.items() if name not in _ELSEWHERE}
    if flat["core"] == "rim":
        # What a variant's name stands for has changed, and may again.
        meaning = VARIANTS[flat["variant"]].items()
        chosen["cell"] = {name: getattr(value, "__name__", str(value)) for name, value in meaning}
    return json.dumps(chosen, sort_keys=True)

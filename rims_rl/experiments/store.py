"""The store of runs: each lies in a folder that its settings name; others are never taken."""

from __future__ import annotations

import fnmatch
import functools
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rims_rl.experiments.budget import Budget
from rims_rl.experiments.executor import DryRun, Executor, OneByOne, train_all
from rims_rl.experiments.job import Job
from rims_rl.runs.errors import UsageError
from rims_rl.runs.files import write_text
from rims_rl.runs.folder import CONFIG, safe_name
from rims_rl.runs.options import Plan, Track, overlaid
from rims_rl.runs.trainee import Kind

#: Where commands look for runs.
STORE = Path("runs") / "figures"
#: In place of a pattern of titles: train nothing.
NOTHING = "none"


@dataclass(frozen=True)
class Wanted:
    """A model that an experiment needs, trained once for each seed.

    Attributes:
        kind: of its runs.
        options: that differ from the preset, with the environment or the task.
        quick: what ``--quick`` changes further.
    """

    kind: Kind[Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    quick: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredRun:
    """A run that got to its end.

    Attributes:
        kind: of the run.
        plan: all options.
        folder: of the run; it need not be here if its results are published.
        published: file of its results as they were published.
    """

    kind: Kind[Any]
    plan: Plan
    folder: Path
    published: Path

    @property
    def seed(self) -> int:
        """Of weights and training data."""
        return self.plan.run.seed

    @functools.cached_property
    def results(self) -> dict[str, Any]:
        """All that the run says of itself, its ``param_count`` and ``environment`` among it.

        Raises:
            UsageError: it cannot be read.
        """
        if self.kind.is_done(self.plan, self.folder):
            return self.kind.results(self.folder)
        try:
            found: dict[str, Any] = json.loads(self.published.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{self.published} cannot be read ({error})") from None
        return found

    def publish(self) -> None:
        """Copies the results of a run that is here to where published ones stand."""
        if self.kind.is_done(self.plan, self.folder):
            self.published.parent.mkdir(parents=True, exist_ok=True)
            published = {**self.results, "config": without_places(self.results.get("config", {}))}
            write_text(self.published, json.dumps(published) + "\n")

    @property
    def metrics(self) -> dict[str, Any]:
        """The numbers of the test, single ones or lists."""
        return {name: _number(value) for name, value in self.results["metrics"].items()}


def _number(value: Any) -> Any:
    """A number as `rims_rl.runs.files.finite` wrote it."""
    if isinstance(value, list):
        return [_number(item) for item in value]
    return {None: math.nan, "inf": math.inf, "-inf": -math.inf}.get(value, value)


def _some_titles(jobs: Sequence[Job]) -> str:
    most = 5
    more = f"; and {len(jobs) - most} more" if len(jobs) > most else ""
    return "; ".join(job.title for job in jobs[:most]) + more


def without_places(config: Mapping[str, Any]) -> dict[str, Any]:
    """A run's options without the folders of the machine that trained it."""
    return {name: value for name, value in config.items() if name not in ("run_dir", "cache_dir")}


@dataclass
class Runs:
    """Finds stored runs by their exact settings and trains those that are not there.

    Attributes:
        root: folder of the store.
        seeds: of every model.
        quick: whether budgets are small.
        budget: what is smaller than in the paper.
        executor: trains what is missing.
        only: pattern of the titles of runs that may be trained, e.g. ``copying, lstm-*``, or
            `NOTHING`.
        published: folder of the results of runs that may lie on other machines, to which those of
            trained runs go as each ends; None: of none.
        track: whether trainings report to Weights & Biases, as ``--track`` of a run.
        used: the runs that were handed out, by folder.
    """

    root: Path
    seeds: Sequence[int]
    quick: bool = False
    budget: Budget = field(default_factory=Budget)
    executor: Executor = field(default_factory=OneByOne)
    only: str = "*"
    published: Path | None = None
    track: Track = "off"
    used: dict[Path, StoredRun] = field(default_factory=dict, init=False)

    def prepare(self, models: Sequence[Wanted], *, numbers_only: bool = False) -> None:
        """Trains what is missing of some models and may be trained, several at once.

        A figure calls this once, with all its models, and then draws those that are `stored`.

        Args:
            models: that are wanted.
            numbers_only: published results will do where the run itself is not here.

        Raises:
            UsageError: a run cannot be done as asked, none may be trained though some were to be,
            or there is nothing stored in the end.
            TrainingStoppedError: a training did not get to its end.
            NothingTrained: the executor is a dry run.
        """
        jobs = self.jobs(models)
        subjects = sorted({job.plan.subject for job in jobs})
        if self.budget.options and not any(map(self.budget.of, subjects)):
            raise UsageError(f"--budget {self.budget.name} says nothing of {', '.join(subjects)}")
        trainable = [job for job in jobs if self._may_train(job)]
        if not trainable and self.only != NOTHING:
            raise UsageError(
                f"{self.only!r} matches none of: {_some_titles(jobs)}{self._hint(jobs)}"
            )
        missing = [job for job in trainable if not self._has(job, numbers_only)]
        if missing:
            missing[0].kind.require_room([job.plan for job in missing])
        if missing or isinstance(self.executor, DryRun):
            for job in jobs:  # a run of other settings is told before others are trained
                _stored_plan(job)
            train_all(missing, self.executor, self._publish)
        if not any(self._has(job, numbers_only) for job in jobs):
            raise UsageError(
                f"nothing is stored, and {self.only!r} matches none of: {_some_titles(jobs)}"
            )

    def every_seed(self, model: Wanted) -> list[StoredRun]:
        """The runs of a model, one for each seed that is stored or may be trained; at least one.

        Raises:
            UsageError: as `prepare`.
            TrainingStoppedError: as `prepare`.
        """
        self.prepare([model])
        return self.stored(model)

    def stored(self, model: Wanted, *, numbers_only: bool = False) -> list[StoredRun]:
        """The runs of a model, one for each seed that is stored; may be empty.

        Args:
            model: that is wanted.
            numbers_only: also runs of which the results alone are here.

        Raises:
            UsageError: a folder holds another run, or one that cannot be read.
        """
        jobs = (self.job(model, seed) for seed in self.seeds)
        return [self._read(job) for job in jobs if self._has(job, numbers_only)]

    def numbers_of(self, models: Mapping[str, Wanted]) -> dict[str, list[StoredRun]]:
        """The runs of which results are here, for each of some models that has any.

        Args:
            models: by name.

        Raises:
            UsageError: as `stored`.
        """
        found = {name: self.stored(model, numbers_only=True) for name, model in models.items()}
        return {name: runs for name, runs in found.items() if runs}

    def jobs(self, models: Sequence[Wanted]) -> list[Job]:
        """The runs of some models, seed by seed, each once."""
        jobs = (self.job(model, seed) for seed in self.seeds for model in models)
        return list({job.folder: job for job in jobs}.values())

    def job(self, model: Wanted, seed: int) -> Job:
        """A run of a model; its folder is ``<subject>/<label>-<digest of settings>/seed<S>``."""
        quick = model.quick if self.quick else {}
        values = overlaid({**model.options, "seed": seed}, quick)
        subject = values[model.kind.subject]
        of_budget = self.budget.of(subject, values.get("core", "rim"))
        values = overlaid(of_budget, values)
        try:
            plan = model.kind.plan(values)
        except UsageError as error:
            if not of_budget:
                raise
            raise UsageError(f"--budget {self.budget.name}: {subject}: {error}") from None
        digest = hashlib.sha256(plan.identity().encode()).hexdigest()[:8]
        model_folder = f"{safe_name(plan.label())}-{digest}"
        folder = self.root / safe_name(plan.subject) / model_folder / f"seed{seed}"
        return Job(model.kind, values, plan, folder, self.track)

    def publish(self) -> None:
        """Publishes the results of all runs that were handed out, if any are to be."""
        if self.published is not None:
            for run in self.used.values():
                run.publish()

    def _publish(self, job: Job) -> None:
        """Publishes the results of a run as soon as it is done, if any are to be."""
        if self.published is not None:
            self._read(job).publish()

    def _hint(self, jobs: Sequence[Job]) -> str:
        within = f"*{self.only.strip('*')}*"
        has_part = any(fnmatch.fnmatchcase(job.title, within) for job in jobs)
        return f"; a pattern is of the whole title: did you mean {within!r}?" if has_part else ""

    def _may_train(self, job: Job) -> bool:
        return fnmatch.fnmatchcase(job.title, self.only)

    def _has(self, job: Job, numbers_only: bool) -> bool:
        return job.is_done or (numbers_only and self._publication(job).exists())

    def _publication(self, job: Job) -> Path:
        """The place where the results of a run are published; nowhere if nothing is."""
        place = job.folder.relative_to(self.root).with_suffix(".json")
        return (self.published or self.root / "unpublished") / place

    def _read(self, job: Job) -> StoredRun:
        if job.folder not in self.used:
            publication = self._publication(job)
            plan = _stored_plan(job)
            self.used[job.folder] = StoredRun(job.kind, plan, job.folder, publication)
        return self.used[job.folder]


def _stored_plan(job: Job) -> Plan:
    """The plan of a run as it is stored, or as it is wanted where it is not done.

    Raises:
        UsageError: another run is stored there.
    """
    plan: Plan = job.kind.stored_plan(job.folder / CONFIG, {}) if job.is_done else job.plan
    if plan.identity() != job.plan.identity():
        raise UsageError(
            f"{job.folder} holds a run of other settings (was it continued?): move it away, or "
            "choose another --runs"
        )
    return plan

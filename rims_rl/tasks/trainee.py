"""Models of supervised tasks as what the harness of `rims_rl.runs` trains."""

from __future__ import annotations

import dataclasses
import functools
import math
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from stable_baselines3.common.utils import get_device
from torch import nn
from torch.optim import Adam

from rims_rl.runs.checkpoints import Checkpoint, save_checkpoint
from rims_rl.runs.errors import UsageError
from rims_rl.runs.files import free_bytes
from rims_rl.runs.folder import BEST_MODEL, CHECKPOINTS, RESULTS, read_results
from rims_rl.runs.progress import Bar
from rims_rl.runs.trainee import Kind, Run, Trainee
from rims_rl.tasks import parser
from rims_rl.tasks.checkpoints import TaskFacts, load_weights, save_state, save_weights
from rims_rl.tasks.models import param_count
from rims_rl.tasks.options import OF_MODELS, TaskPlan
from rims_rl.tasks.registry import make_task
from rims_rl.tasks.results import write_results
from rims_rl.tasks.task import Task, on_device_of
from rims_rl.tasks.video_cache import Recipe, require_room

#: A long epoch is saved in between after so many seconds.
SAVE_SECONDS = 600.0


class TaskModel(Trainee):
    """A sequence model with its task and its optimizer.

    Args:
        task: data, loss and metrics, with the plan.
        folder: of the run.
        checkpoint: to go on from, None for a fresh model.

    Raises:
        UsageError: it cannot be made as asked, or the disk has no room.
    """

    def __init__(self, task: Task[Any], folder: Path, checkpoint: Checkpoint | None = None) -> None:
        self._task, self._folder = task, folder
        self._learning = task.plan.learning
        torch.manual_seed(task.plan.run.seed)
        self._model = task.make_model().to(get_device(task.plan.run.device))
        _require_room(folder, self._model, task.plan)
        task.prepare()
        self._optimizer = Adam(self._model.parameters(), lr=self._learning.learning_rate)
        self.progress = TaskFacts()
        if checkpoint is not None:
            self.progress = TaskFacts.of(checkpoint.facts)
            load_weights(checkpoint.file, self._model, self._optimizer)
            for group in self._optimizer.param_groups:
                group["lr"] = self._learning.learning_rate
        self.wandb_id = self.progress.wandb_id
        self._total = self._learning.epochs * task.updates_per_epoch
        best = self.progress.best
        self._latest = "no epoch ended yet" if best is None else f"best so far {best:.4g}"
        self._saved: int | None = None
        self._saved_at = time.monotonic()

    @property
    def done(self) -> int:
        """Updates so far."""
        return self.progress.updates

    @property
    def device(self) -> object:
        """That of the weights."""
        return next(self._model.parameters()).device

    @property
    def param_count(self) -> int:
        """See `param_count`."""
        return param_count(self._model)

    def train(self, run: Run) -> None:
        """See `Trainee.train`; after an error nothing is saved since the last checkpoint."""
        self._advance(wandb_id=self.wandb_id)
        bar = Bar(self._total, self.done, "update", lambda: self._latest)
        if self.done == 0:
            self._save()
        try:
            while self.done < self._total and not run.stop:
                began = time.monotonic()
                self._update()
                ended = self.done % self._task.updates_per_epoch == 0
                metrics = self._validate() if ended else {}
                self._advance(seconds=self.progress.seconds + time.monotonic() - began)
                if ended:
                    self._end_epoch(run, metrics)
                    bar.show_note()
                elif time.monotonic() - self._saved_at > SAVE_SECONDS:
                    self._save()
                bar.advance(1)
            bar.print_line()
        finally:
            bar.close()
        self._save()

    def recover(self, error: FloatingPointError) -> str:
        """Leaves the checkpoints as they are."""
        folder, rate = shlex.quote(str(self._folder)), self._learning.learning_rate / 2
        return (
            f"{error}; the checkpoints before it are intact: continue with another setting, e.g. "
            f"--resume {folder} --learning-rate {rate:g}"
        )

    def conclude(self, run: Run) -> str:
        """Tests the best model and writes ``results.json``."""
        if run.stop:
            return (
                f"stopped at epoch {self._epoch} of {self._learning.epochs}: {run.folder}\n"
                f"continue python -m rims_rl.tasks --resume {shlex.quote(str(run.folder))}"
            )
        load_weights(run.folder / BEST_MODEL, self._model)
        metrics = write_results(run.folder, self._task, self._model, self.progress)
        numbers = (f"{key} {value:.4g}" for key, value in metrics.items()
                   if isinstance(value, float))  # fmt: skip
        return f"test     {', '.join(numbers)}\nwritten  {run.folder / RESULTS}"

    def close(self) -> None:
        """Nothing is held."""

    @property
    def _epoch(self) -> int:
        """Epochs that are over."""
        return self.done // self._task.updates_per_epoch

    def _save(self) -> None:
        """Saves a checkpoint, unless there is one of this update."""
        if self._saved == self.done:
            return
        for name, weights in self._model.named_parameters():
            if not weights.isfinite().all():  # the last update was one too far
                raise FloatingPointError(f"{name} is not finite after update {self.done}")
        plan = self._task.plan
        save_checkpoint(
            self._folder / CHECKPOINTS,
            self.done,
            functools.partial(save_state, self._model, self._optimizer),
            {**dataclasses.asdict(self.progress), "model": _model_of(plan)},
            plan.run.keep_checkpoints,
            plan.run.checkpoint_every * self._task.updates_per_epoch,
        )
        self._saved, self._saved_at = self.done, time.monotonic()

    def _update(self) -> None:
        batch = on_device_of(self._model, self._task.batch(self.done))
        self._model.train()
        loss = self._task.loss(self._model, batch)
        self._optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self._model.parameters(), self._learning.max_grad_norm)
        for name, value in (("loss", loss), ("gradient", norm)):
            if not math.isfinite(value.item()):
                raise FloatingPointError(f"the {name} is not finite at update {self.done + 1}")
        self._optimizer.step()
        self._advance(
            updates=self.done + 1,
            loss_sum=self.progress.loss_sum + loss.item(),
            loss_count=self.progress.loss_count + 1,
        )

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        self._model.eval()
        return self._task.validate(self._model)

    def _end_epoch(self, run: Run, metrics: dict[str, float]) -> None:
        for name, number in metrics.items():  # the last update may have been one too far
            if not math.isfinite(number):
                raise FloatingPointError(f"{name} is not finite at epoch {self._epoch}")
        progress = self.progress
        value = metrics[self._task.goal]
        loss = progress.loss_sum / progress.loss_count
        self._latest = f"loss {loss:.4g}  {self._task.goal.removeprefix('valid/')} {value:.4g}"
        for name, number in {
            "time/epoch": self._epoch,
            TASK_RUNS.step_name: progress.updates,
            "time/seconds": progress.seconds,
            "train/loss": loss,
            **metrics,
        }.items():
            run.logger.record(name, number)
        run.logger.dump(progress.updates)
        best = self._is_best(value)
        if best:
            save_weights(self._model, self._folder / BEST_MODEL)
            self._advance(best=value, best_epoch=self._epoch)
        self._advance(loss_sum=0.0, loss_count=0)
        last = progress.updates == self._total
        # A run that goes on from here must know of the best model that lies in its folder.
        if best or last or self._epoch % self._task.plan.run.checkpoint_every == 0:
            self._save()

    def _is_best(self, value: float) -> bool:
        best = self.progress.best
        if best is None:
            return True
        return value > best if self._task.larger_is_better else value < best

    def _advance(self, **changes: Any) -> None:
        self.progress = dataclasses.replace(self.progress, **changes)


class TaskKind(Kind[TaskPlan[Any]]):
    """Runs of ``python -m rims_rl.tasks``."""

    command = "tasks"
    step_name = "time/updates"
    unit = "update"
    subject = "task"
    facts = TaskFacts.names()
    parse = staticmethod(parser.parse)
    plan = staticmethod(parser.plan)
    title = staticmethod(parser.run_title)
    check_options = staticmethod(parser.check_task_options)
    results = staticmethod(read_results)

    def stored_plan(self, file: Path, changes: Mapping[str, Any]) -> TaskPlan[Any]:
        """See `rims_rl.tasks.parser.resumed_plan`."""
        options = {name: value for name, value in changes.items() if name != "task"}
        return parser.resumed_plan(parser.read_stored(file, changes.get("task")), options)

    def make(self, plan: TaskPlan[Any], folder: Path) -> TaskModel:
        """A fresh model."""
        return TaskModel(make_task(plan), folder)

    def restore(self, plan: TaskPlan[Any], folder: Path, checkpoint: Checkpoint) -> TaskModel:
        """The model and the optimizer of a checkpoint."""
        ours, theirs = _model_of(plan), checkpoint.facts.get("model", {})
        for name in theirs:
            if theirs[name] != ours.get(name):
                raise UsageError(
                    f"{checkpoint.file} is a checkpoint of another model: {name} is "
                    f"{theirs[name]}, and the run's {ours.get(name)}"
                )
        done, total = checkpoint.facts["updates"], self.total(plan)
        if done > total or (done == total and self.is_done(plan, folder)):
            again = f", or remove {RESULTS} to test it again" if done == total else ""
            raise UsageError(
                f"--resume {folder}: {done} of its {total} updates are done; give more with "
                f"--epochs{again}"
            )
        return TaskModel(make_task(plan), folder, checkpoint)

    def total(self, plan: TaskPlan[Any]) -> int:
        """Updates."""
        return plan.learning.epochs * make_task(plan).updates_per_epoch

    def is_done(self, plan: TaskPlan[Any], folder: Path) -> bool:
        """Tells whether the best model of all updates was tested."""
        if not (folder / RESULTS).exists():
            return False
        return bool(read_results(folder).get("updates", 0) >= self.total(plan))

    def require_room(self, plans: Sequence[TaskPlan[Any]]) -> None:
        """Counts the data sets of all runs that the disk does not have yet."""
        recipes: dict[Path, list[Recipe]] = {}
        for task in map(make_task, plans):
            if found := task.recipes():
                recipes.setdefault(task.options.cache, []).extend(found)
        for folder, of_folder in recipes.items():
            require_room(folder, of_folder)

    def arguments(self, values: Mapping[str, Any]) -> list[str]:
        """The task's name, then flags; ``--quick`` takes no value."""
        flags = {name: value for name, value in values.items() if name not in ("task", "quick")}
        quick = ["--quick"] if values.get("quick") else []
        return [values["task"], *quick, *super().arguments(flags)]


def _model_of(plan: TaskPlan[Any]) -> dict[str, Any]:
    """A run's model as its checkpoints tell it, without names that depend on today's defaults."""
    model = plan.model
    sizes = {name: getattr(model, name) for name in OF_MODELS if name in model.known()}
    what = {**sizes, **(model.cell() or model.options())}
    return {"task": plan.task, "core": model.core, **what, "seed": plan.run.seed}


TASK_RUNS = TaskKind()


def _require_room(folder: Path, model: nn.Module, plan: TaskPlan[Any]) -> None:
    """Refuses to begin where the disk has no room for the checkpoints that will be kept."""
    weights = sum(parameter.nbytes for parameter in model.parameters())
    saved = 3 * weights  # and Adam's two moments
    kept = min(plan.run.keep_checkpoints, 1 + plan.learning.epochs // plan.run.checkpoint_every)
    # Beside those kept there are one in between, the next one before it goes, and the best model.
    held = sum(file.stat().st_size for file in (folder / CHECKPOINTS).glob("*.zip"))
    needed, free = (kept + 2) * saved + weights - held, free_bytes(folder)
    if free < needed:
        raise UsageError(
            f"checkpoints need {needed / 1e9:.2f} GB in {folder}, which has {free / 1e9:.2f} GB "
            "left: make room, choose another --run-dir or fewer --keep-checkpoints"
        )

"""The training loop that all supervised tasks share."""

from __future__ import annotations

import dataclasses
import math
import time
from pathlib import Path
from typing import Any

import torch
from stable_baselines3.common.logger import Logger
from torch import nn
from torch.optim import Optimizer

from rims_rl.run.folder import BEST_MODEL, CHECKPOINTS
from rims_rl.run.progress import Bar
from rims_rl.run.stop import StopRequest
from rims_rl.tasks.parser import run_title
from rims_rl.tasks.state import Progress, save_checkpoint, save_weights
from rims_rl.tasks.task import Task, on_device_of

#: A long epoch is saved in between after so many seconds.
SAVE_SECONDS = 600.0


class NonFiniteLossError(ArithmeticError):
    """The loss or its gradient is not finite; the weights are those before that update."""


class Trainer:
    """Trains a model to the last epoch or until a signal.

    Attributes:
        progress: so far.

    Args:
        task: data, loss and metrics.
        model: to train, on its device.
        optimizer: of its parameters.
        progress: to go on from.
        folder: of the run.
        logger: for the metrics of each epoch.
        stop: the signal, if one came.
    """

    def __init__(
        self,
        task: Task[Any],
        model: nn.Module,
        optimizer: Optimizer,
        progress: Progress,
        folder: Path,
        logger: Logger,
        stop: StopRequest,
    ) -> None:
        self.progress = progress
        self._task, self._model, self._optimizer = task, model, optimizer
        self._folder, self._logger, self._stop = folder, logger, stop
        self._total = task.config.learning.epochs * task.updates_per_epoch
        self._latest = "no epoch ended yet"
        self._saved: int | None = None
        self._saved_at = time.monotonic()

    def run(self) -> None:
        """Trains.

        Raises:
            NonFiniteLossError: nothing is saved since the last checkpoint.
        """
        bar = Bar(self._total, self.progress.updates, "update", lambda: self._latest)
        if self.progress.updates == 0:
            self.save()
        try:
            while self.progress.updates < self._total and not self._stop:
                began = time.monotonic()
                self._update()
                ended = self.progress.updates % self._task.updates_per_epoch == 0
                metrics = self._validate() if ended else {}
                self._advance(seconds=self.progress.seconds + time.monotonic() - began)
                if ended:
                    self._end_epoch(metrics)
                    bar.show_note()
                elif time.monotonic() - self._saved_at > SAVE_SECONDS:
                    self.save()
                bar.advance(1)
            bar.print_line()
        finally:
            bar.close()

    @property
    def epoch(self) -> int:
        """Epochs that are over."""
        return self.progress.updates // self._task.updates_per_epoch

    def save(self) -> None:
        """Saves a checkpoint, unless there is one of this update."""
        if self._saved == self.progress.updates:
            return
        config, folder = self._task.config, self._folder / CHECKPOINTS
        save_checkpoint(
            folder,
            self._model,
            self._optimizer,
            self.progress,
            title=run_title(config),
            keep=config.place.keep_checkpoints,
            every=config.place.checkpoint_every * self._task.updates_per_epoch,
        )
        self._saved, self._saved_at = self.progress.updates, time.monotonic()

    def _update(self) -> None:
        batch = on_device_of(self._model, self._task.batch(self.progress.updates))
        self._model.train()
        loss = self._task.loss(self._model, batch)
        self._optimizer.zero_grad()
        loss.backward()
        largest = self._task.config.learning.max_grad_norm
        norm = nn.utils.clip_grad_norm_(self._model.parameters(), largest)
        for name, value in (("loss", loss), ("gradient", norm)):
            if not math.isfinite(value.item()):
                update = self.progress.updates + 1
                raise NonFiniteLossError(f"the {name} is not finite at update {update}")
        self._optimizer.step()
        self._advance(
            updates=self.progress.updates + 1,
            loss_sum=self.progress.loss_sum + loss.item(),
            loss_count=self.progress.loss_count + 1,
        )

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        self._model.eval()
        return self._task.validate(self._model)

    def _end_epoch(self, metrics: dict[str, float]) -> None:
        progress = self.progress
        value = metrics[self._task.goal]
        loss = progress.loss_sum / progress.loss_count
        self._latest = f"loss {loss:.4g}  {self._task.goal.removeprefix('valid/')} {value:.4g}"
        for name, number in {
            "time/epoch": self.epoch,
            "time/seconds": progress.seconds,
            "train/loss": loss,
            **metrics,
        }.items():
            self._logger.record(name, number)
        self._logger.dump(progress.updates)
        best = self._is_best(value)
        if best:
            save_weights(self._model, self._folder / BEST_MODEL)
            self._advance(best=value, best_epoch=self.epoch)
        self._advance(loss_sum=0.0, loss_count=0)
        last = progress.updates == self._total
        # A run that goes on from here must know of the best model that lies in its folder.
        if best or last or self.epoch % self._task.config.place.checkpoint_every == 0:
            self.save()

    def _is_best(self, value: float) -> bool:
        best = self.progress.best
        if best is None:
            return True
        return value > best if self._task.larger_is_better else value < best

    def _advance(self, **changes: Any) -> None:
        self.progress = dataclasses.replace(self.progress, **changes)

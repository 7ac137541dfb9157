"""A run of a task from start to end: prepared completely before it leaves a trace on disk."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import wandb
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.utils import get_device
from torch import nn
from torch.optim import Adam, Optimizer

from rims_rl.run import folder as files
from rims_rl.run.building import check_device
from rims_rl.run.checkpoints import restore_rng
from rims_rl.run.errors import UsageError, report
from rims_rl.run.files import free_bytes
from rims_rl.run.loggers import open_logger
from rims_rl.run.stop import StopRequest
from rims_rl.run.tracking import open_run, size_tags
from rims_rl.tasks.config import TaskConfig
from rims_rl.tasks.models import parameter_count
from rims_rl.tasks.parser import read_stored, resolve, resolve_resumed, run_title, to_yaml
from rims_rl.tasks.results import RESULTS, write_results
from rims_rl.tasks.state import Progress, load_weights, newest_checkpoint
from rims_rl.tasks.suite import make_task
from rims_rl.tasks.task import Task
from rims_rl.tasks.training import NonFiniteLossError, Trainer

#: The step axis of ``progress.csv``.
STEP = "time/updates"


@dataclass
class Session:
    """A run that is ready to train.

    Attributes:
        folder: of the run.
        task: data, loss and metrics, with the resolved configuration.
        model: fresh or from a checkpoint.
        optimizer: likewise.
        progress: so far.
        rng: random states of the checkpoint, None for a new run.
    """

    folder: Path
    task: Task[Any]
    model: nn.Module
    optimizer: Optimizer
    progress: Progress
    rng: dict[str, Any] | None = None

    @property
    def resumed(self) -> bool:
        """Whether the run goes on from a checkpoint."""
        return self.rng is not None


def new_session(task: str, values: Mapping[str, Any]) -> Session:
    """Prepares a new run; nothing is written to its folder yet.

    Args:
        task: its name.
        values: the options that the user gave.

    Raises:
        UsageError: the run cannot be done as asked.
    """
    config = resolve(task, values)
    place = config.place
    folder = files.new_folder(place.run_dir, task, config.label(), place.seed)
    return _session(folder, make_task(config), Progress())


def resumed_session(folder: Path, task: str, values: Mapping[str, Any]) -> Session:
    """Prepares the continuation of a run from its newest intact checkpoint.

    Args:
        folder: of the run.
        task: that it must be of.
        values: the options that the user changes.

    Raises:
        UsageError: there is nothing to continue, or not as asked.
    """
    config, checkpoint = files.resumed_folder(
        folder, lambda file: resolve_resumed(*read_stored(file, task), values), newest_checkpoint
    )
    title = run_title(config)
    # Version 0.1 had one variant less, and titles did not name the default.
    if checkpoint.title not in (None, title, title.replace("rim-hard-", "rim-")):
        raise UsageError(
            f"{checkpoint.file} is a checkpoint of another model: it is of {checkpoint.title}, and "
            f"the run of {title}"
        )
    session = _session(folder, make_task(config), checkpoint.progress)
    total = config.learning.epochs * session.task.updates_per_epoch
    if checkpoint.progress.updates >= total and (folder / RESULTS).exists():
        raise UsageError(
            f"--resume {folder}: its {config.learning.epochs} epochs are done; give more with "
            "--epochs"
        )
    load_weights(checkpoint.file, session.model, session.optimizer)
    for group in session.optimizer.param_groups:
        group["lr"] = config.learning.learning_rate
    session.rng = checkpoint.rng
    return session


def run_session(session: Session, command: str) -> int:
    """Trains to the end and tests the best model, unless a signal or the loss stops it.

    Args:
        session: prepared; from here on the run writes to its folder.
        command: as typed, for ``command.txt``.

    Returns:
        The exit status: 0; 130 or 143 after Ctrl-C or SIGTERM; 1 where the loss is not finite.
    """
    _write_description(session, command)
    tracked = _track(session)
    done, resumed = session.progress.updates, session.resumed
    with open_logger(session.folder, STEP, done, tracked, resumed) as logger, StopRequest() as stop:
        return _train(session, logger, stop)


def _session(folder: Path, task: Task[Any], progress: Progress) -> Session:
    config = task.config
    device = get_device(check_device(config.place.device))
    if config.place.threads:
        torch.set_num_threads(config.place.threads)
    torch.manual_seed(config.place.seed)
    model = task.make_model().to(device)
    _require_room(folder, model, config)
    task.prepare()
    optimizer = Adam(model.parameters(), lr=config.learning.learning_rate)
    return Session(folder, task, model, optimizer, progress)


def _require_room(folder: Path, model: nn.Module, config: TaskConfig[Any]) -> None:
    """Refuses to begin where the disk has no room for the checkpoints that will be kept."""
    weights = sum(parameter.nbytes for parameter in model.parameters())
    saved = 3 * weights  # and Adam's two moments
    place = config.place
    kept = min(place.keep_checkpoints, 1 + config.learning.epochs // place.checkpoint_every)
    # Beside those kept there are one in between, the next one before it goes, and the best model.
    held = sum(file.stat().st_size for file in (folder / files.CHECKPOINTS).glob("*.zip"))
    needed, free = (kept + 2) * saved + weights - held, free_bytes(folder)
    if free < needed:
        raise UsageError(
            f"checkpoints need {needed / 1e9:.2f} GB in {folder}, which has {free / 1e9:.2f} GB "
            "left: make room, choose another --run-dir or fewer --keep-checkpoints"
        )


def _train(session: Session, logger: Logger, stop: StopRequest) -> int:
    config, folder = session.task.config, session.folder
    trainer = Trainer(
        session.task, session.model, session.optimizer, session.progress, folder, logger, stop
    )
    if session.rng is not None:
        restore_rng(session.rng)
    try:
        trainer.run()
    except NonFiniteLossError as error:
        report(
            "tasks",
            f"{error}; the checkpoints before it are intact: continue with another setting, e.g. "
            f"--resume {folder} --learning-rate {config.learning.learning_rate / 2:g}",
        )
        return 1
    trainer.save()
    if stop:
        print(
            f"stopped at epoch {trainer.epoch} of {config.learning.epochs}: {folder}\n"
            f"continue python -m rims_rl.tasks --resume {folder}",
            flush=True,
        )
        return stop.exit_status
    load_weights(folder / files.BEST_MODEL, session.model)
    metrics = write_results(folder, session.task, session.model, trainer.progress)
    numbers = (f"{key} {value:.4g}" for key, value in metrics.items() if isinstance(value, float))
    print(f"test     {', '.join(numbers)}\nwritten  {folder / RESULTS}", flush=True)
    return 0


def _write_description(session: Session, command: str) -> None:
    config = session.task.config
    files.enter_folder(session.folder, session.resumed, to_yaml(config), command)
    device = next(session.model.parameters()).device
    start = f" from update {session.progress.updates:,}" if session.resumed else ""
    print(
        f"{config.task}, {config.label()}, {parameter_count(session.model):,} parameters, "
        f"{device}{start}\nrun folder {session.folder}",
        flush=True,
    )


def _track(session: Session) -> wandb.Run | None:
    config = session.task.config
    facts = {"exp_name": config.label(), "param_count": parameter_count(session.model)}
    run = open_run(
        config.place.track,
        session.folder,
        session.progress.wandb_id,
        name=f"{config.task}__{config.label()}__seed{config.place.seed}",
        group=f"{config.task}__{config.model.core}",
        tags=size_tags(config.model),
        config={**config.flat(), **facts},
    )
    if run is not None:
        session.progress = dataclasses.replace(session.progress, wandb_id=run.id)
    return run

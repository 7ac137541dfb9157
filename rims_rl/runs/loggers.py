"""The logger of a run: a CSV file, TensorBoard events and, if tracked, a W&B run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from stable_baselines3.common.logger import KVWriter, Logger

from rims_rl.runs.folder import PROGRESS, TENSORBOARD
from rims_rl.runs.wandb_log import NOTHING_SENT, sent_to_wandb
from rims_rl.runs.wandb_run import WandbWriter, sync_hint
from rims_rl.runs.writers import CsvWriter, TensorBoardWriter

if TYPE_CHECKING:
    import wandb


@contextlib.contextmanager
def open_logger(
    folder: Path, step_name: str, done: int, tracked: wandb.Run | None, resumed: bool
) -> Iterator[Logger]:
    """Opens the logger of a run; closing it ends the W&B run and says how to upload it.

    Args:
        folder: of the run.
        step_name: name of the step axis in ``progress.csv``.
        done: the step from which the run goes on; what a killed part logged beyond it is dropped.
        tracked: the open W&B run, None if untracked.
        resumed: whether the run goes on from a checkpoint.
    """
    formats: list[KVWriter] = [
        CsvWriter(folder / PROGRESS, done, step_name),
        TensorBoardWriter(folder / TENSORBOARD, done),
    ]
    if tracked is not None:
        writer = WandbWriter(
            tracked, sent_to_wandb(folder, tracked.id) if resumed else NOTHING_SENT
        )
        writer.catch_up(folder / PROGRESS)
        formats.append(writer)
    logger = Logger(str(folder), formats)
    try:
        yield logger
    finally:
        logger.close()
        if tracked is not None and (hint := sync_hint(tracked)):
            print(f"upload   {hint}")

"""The local logs of W&B runs: what they hold and how far; a killed run has lost its latest rows."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rims_rl.runs.errors import warn

#: The name of the step axis of all W&B runs.
STEP_AXIS = "global_step"


class UnreadableLogError(Exception):
    """W&B's reader cannot make out a log."""


@dataclass(frozen=True)
class SentToWandb:
    """The end of what a W&B run holds.

    Attributes:
        step: of its last row, -1 without rows.
        rows: how many rows that step has; an evaluation adds one to the rollout's.
    """

    step: int
    rows: int


NOTHING_SENT = SentToWandb(-1, 0)


def sent_to_wandb(folder: Path, run_id: str) -> SentToWandb:
    """Reads how far the local logs of a W&B run go.

    W&B writes its log in blocks and a row's summary before the row itself. The summary of a killed
    run may so be one row ahead: only rows count.

    Args:
        folder: of the training run.
        run_id: of the W&B run.
    """
    logs = folder.glob(f"wandb/*run-*-{run_id}/*.wandb")
    steps = list(itertools.chain.from_iterable(map(_steps, logs)))
    return SentToWandb(max(steps), steps.count(max(steps))) if steps else NOTHING_SENT


def log_records(log: Path) -> Iterator[dict[str, Any]]:
    """The records of a local log that a kill may have cut anywhere, by W&B's own reader.

    Raises:
        UnreadableLogError: not a log, or of a version of W&B that writes another format.
    """
    with subprocess.Popen(
        _inspection(log), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as reader:
        try:
            yield from map(json.loads, reader.stdout or ())
        except ValueError:
            raise UnreadableLogError(log) from None
        if reader.wait() != 0:
            raise UnreadableLogError(log)


def _inspection(log: Path) -> list[str]:
    """The command that prints the records of a log.

    ``wandb leet`` imports all of W&B for a second only to start this binary.
    """
    import wandb

    try:
        from wandb.util import get_core_path

        binary = get_core_path()
    except (ImportError, wandb.Error):  # not public: another version may have it elsewhere
        return [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(log)]
    log = log.resolve()
    options = ["--no-observability", "--json", "--run-file", str(log)]
    return [binary, "leet", "inspect", *options, str(log.parent.parent)]


def _steps(log: Path) -> list[int]:
    """The step of every row of a log, as far as it can be read."""
    steps: list[int] = []
    try:
        for record in log_records(log):
            if record["type"] == "history" and STEP_AXIS in record["history"]["item"]:
                steps.append(record["history"]["item"][STEP_AXIS])
    except (UnreadableLogError, KeyError):  # another version of W&B may write another format
        warn(f"Weights & Biases cannot read {log}: rows in it may be sent twice")
    return steps

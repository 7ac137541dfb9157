"""How far the local logs of a W&B run go; a killed run has lost its latest rows."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from rims_rl.runs.errors import warn

#: The name of the step axis of all W&B runs.
STEP_AXIS = "global_step"


@dataclass(frozen=True)
class Sent:
    """The end of what a W&B run holds.

    Attributes:
        step: of its last row, -1 without rows.
        rows: how many rows that step has; an evaluation adds one to the rollout's.
    """

    step: int
    rows: int


NOTHING_SENT = Sent(-1, 0)


def sent_so_far(folder: Path, run_id: str) -> Sent:
    """Reads how far the local logs of a W&B run go.

    W&B writes its log in blocks and a row's summary before the row itself. The summary of a killed
    run may so be one row ahead: only rows count.

    Args:
        folder: of the training run.
        run_id: of the W&B run.
    """
    logs = folder.glob(f"wandb/*run-*-{run_id}/*.wandb")
    steps = list(itertools.chain.from_iterable(map(_steps, logs)))
    return Sent(max(steps), steps.count(max(steps))) if steps else NOTHING_SENT


def _steps(log: Path) -> list[int]:
    """The step of every row of a log that a kill may have cut anywhere."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(log)]
    steps: list[int] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as reader:
        try:
            for record in map(json.loads, reader.stdout or ()):
                if record["type"] == "history" and STEP_AXIS in record["history"]["item"]:
                    steps.append(record["history"]["item"][STEP_AXIS])
            readable = reader.wait() == 0
        except (ValueError, KeyError):  # another version of W&B may write another format
            readable = False
    if not readable:
        warn(f"Weights & Biases cannot read {log}: rows in it may be sent twice")
    return steps

"""Runs from wherever they are: folders, published results, Weights & Biases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rims_rl.comparison.folders import is_agents_run, is_run, read_folder
from rims_rl.comparison.record import Record
from rims_rl.comparison.wandb_offline import read_offline
from rims_rl.comparison.wandb_runs import read_wandb
from rims_rl.comparison.wandb_source import PREFIX
from rims_rl.runs.errors import UsageError
from rims_rl.runs.folder import CONFIG


def read_sources(specs: Sequence[str]) -> list[Record]:
    """All runs of some sources, each once.

    Args:
        specs: ``wandb:ENTITY/PROJECT?filter``, see `read_wandb`, or folders with run folders,
            published results or local logs of W&B.

    Raises:
        UsageError: a source has no run of an agent, or cannot be read.
    """
    found: dict[str, Record] = {}
    for spec in specs:
        for record in _read(spec):
            found.setdefault(_identity(record), record)
    return list(found.values())


def _read(spec: str) -> list[Record]:
    if spec.startswith(PREFIX):
        return read_wandb(spec)
    folder = Path(spec)
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise UsageError(f"{spec} {what}: give a folder with runs, or {PREFIX}ENTITY/PROJECT")
    # A part of a run folder stands for the run.
    run = next((f for f in folder.resolve().parents if is_agents_run(f)), folder)
    records = read_folder(run)
    records += read_offline(run, needed=not records)
    if not records:
        raise UsageError(_why_none(folder))
    return records


def _identity(record: Record) -> str:
    path = Path(record.source)
    return str(path.resolve()) if path.exists() else record.source


def _why_none(folder: Path) -> str:
    if any(is_run(config.parent) for config in folder.rglob(CONFIG)):
        return f"{folder} has runs of supervised tasks alone, and none of an agent"
    return f"{folder} holds no run of an agent"

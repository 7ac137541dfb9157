"""Trains cores side by side with `rims_rl.train`: what the comparisons in this folder share."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tqdm import tqdm

import rims_rl
from rims_rl.run.folder import describe_environment

ROOT = Path(__file__).resolve().parent.parent


def run_folder(runs: Path, name: str, seed: int) -> Path:
    """Where a run of a comparison lies."""
    return runs / name / f"seed{seed}"


def train_missing(
    runs: Path, arguments: Mapping[str, Sequence[str]], seeds: Sequence[int], jobs: int
) -> list[str]:
    """Trains every core with every seed, as far as that is not done yet.

    Args:
        runs: folder of the comparison.
        arguments: of ``rims_rl.train``, by the core's name.
        seeds: of the runs.
        jobs: how many trainings at once.

    Returns:
        The runs that did not get to their end, as ``name/seedS``.
    """
    wanted = [(name, seed) for seed in seeds for name in arguments]
    todo = [(n, s) for n, s in wanted if not (run_folder(runs, n, s) / "model.zip").exists()]

    def train(job: tuple[str, int]) -> None:
        name, seed = job
        folder = run_folder(runs, name, seed)
        folder.parent.mkdir(parents=True, exist_ok=True)
        start = ["--resume", str(folder)] if folder.exists() else [
            *arguments[name], "--seed", str(seed), "--run-dir", str(folder), "--track", "off",
        ]  # fmt: skip
        with open(folder.parent / f"seed{seed}.log", "a") as log:
            subprocess.run(
                [sys.executable, "-m", "rims_rl.train", *start], stdout=log, stderr=log, check=False
            )

    with ThreadPoolExecutor(jobs) as pool:
        list(tqdm(pool.map(train, todo), total=len(todo), desc=runs.name))
    return [
        f"{n}/seed{s}" for n, s in wanted if not (run_folder(runs, n, s) / "model.zip").exists()
    ]


def param_count(run: Path) -> int:
    """Parameters of a run's policy."""
    model = rims_rl.RecurrentPPO.load(run / "model.zip", device="cpu")
    return sum(parameter.numel() for parameter in model.policy.parameters())


def provenance() -> dict[str, Any]:
    """The command, the machine, the versions and the commit behind a result."""
    return {"command": shlex.join(["python", *sys.argv]), **describe_environment()}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes numbers for people and programs."""
    path.write_text(json.dumps(content, indent=1) + "\n")

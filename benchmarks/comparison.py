"""Trains cores side by side with `rims_rl.train`: what the comparisons in this folder share."""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

import rims_rl
from rims_rl.run.folder import describe_environment

ROOT = Path(__file__).resolve().parent.parent


def run_folder(runs: Path, name: str, seed: int) -> Path:
    """Where a run of a comparison lies."""
    return runs / name / f"seed{seed}"


@dataclass(frozen=True)
class Comparison:
    """The runs of a comparison.

    Attributes:
        seeds: how many runs a core has.
        runs: their folders by the core's name.
        unfinished: those that did not get to their end, as ``name/seedS``.
    """

    seeds: int
    runs: Mapping[str, Sequence[Path]]
    unfinished: Sequence[str]

    def about(self) -> dict[str, Any]:
        """What stands beside the numbers of the comparison."""
        return {**provenance(), "seeds": self.seeds, "unfinished": self.unfinished}


def compare(
    description: str | None,
    name: str,
    seeds: int,
    common: Sequence[str],
    cores: Mapping[str, Sequence[str]],
) -> Comparison:
    """Reads the command line of a comparison and trains what is missing.

    Args:
        description: for the help.
        name: of the comparison, and of its folder below ``runs``.
        seeds: how many by default.
        common: arguments of ``rims_rl.train`` for all cores.
        cores: further arguments by the core's name.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--runs", type=Path, default=Path("runs") / name)
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    arguments = {core: [*common, *extra] for core, extra in cores.items()}
    chosen = range(options.seeds)
    unfinished = train_missing(options.runs, arguments, chosen, options.jobs)
    runs = {core: [run_folder(options.runs, core, seed) for seed in chosen] for core in cores}
    return Comparison(options.seeds, runs, unfinished)


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

"""Trains cores side by side with `rims_rl.train`: what the comparisons in this folder share."""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.random import Generator
from tqdm import tqdm

import rims_rl
from rims_rl.experiments.statistics import bootstrap_interval, interquartile_mean
from rims_rl.runs.checkpoints import newest_checkpoint
from rims_rl.runs.folder import CHECKPOINTS, CONFIG, MODEL, describe_environment
from rims_rl.training.checkpoints import FACTS
from rims_rl.training.parser import read_yaml

ROOT = Path(__file__).resolve().parent.parent


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
    chosen = range(options.seeds)
    train = ["-m", "rims_rl.train", *common, "--track", "off"]
    jobs = [
        Job((options.runs / core / f"seed{seed}").absolute(), [*train, *extra], seed)
        for seed in chosen
        for core, extra in cores.items()
    ]
    unfinished = [
        f"{j.folder.parent.name}/{j.folder.name}" for j in train_missing(jobs, options.jobs)
    ]
    runs = {core: [j.folder for j in jobs if j.folder.parent.name == core] for core in cores}
    return Comparison(options.seeds, runs, unfinished)


@dataclass(frozen=True)
class Job:
    """A run to train.

    Attributes:
        folder: of the run; it is done when its model is there.
        command: arguments of Python, without seed and folder.
        seed: of the run.
    """

    folder: Path
    command: Sequence[str]
    seed: int

    @property
    def is_done(self) -> bool:
        """Whether the run got to its end; an interrupted one has a model, too."""
        return (self.folder / MODEL).exists() and self._steps_left() <= 0

    def _steps_left(self) -> int:
        if not (self.folder / CONFIG).exists():
            return 0
        newest = newest_checkpoint(self.folder / CHECKPOINTS, FACTS)
        done = int(newest.facts["timesteps"]) if newest else 0
        return int(read_yaml(self.folder / CONFIG)["total_timesteps"]) - done

    def run(self) -> None:
        """Trains it, from where an earlier training of it was interrupted."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        argv = [*self.command, "--seed", str(self.seed), "--run-dir", str(self.folder)]
        if any((self.folder / CHECKPOINTS).glob("*.zip")):
            argv = ["-m", "rims_rl.train", "--resume", str(self.folder)]
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
        with self.folder.with_suffix(".log").open("a") as log:
            subprocess.run([sys.executable, *argv], cwd=ROOT, stdout=log, stderr=log, check=False)


def train_missing(jobs: Sequence[Job], workers: int) -> list[Job]:
    """Trains runs as far as that is not done yet, and returns those that did not get to their end.

    Args:
        jobs: the runs.
        workers: how many at once.
    """
    todo = [job for job in jobs if not job.is_done]
    with ThreadPoolExecutor(workers) as pool:
        list(tqdm(pool.map(Job.run, todo), total=len(todo), desc="runs"))
    return [job for job in jobs if not job.is_done]


def param_count(run: Path) -> int:
    """Parameters of a run's policy."""
    model = rims_rl.RecurrentPPO.load(run / "model.zip", device="cpu")
    return sum(parameter.numel() for parameter in model.policy.parameters())


def over_seeds(values: list[float], rng: Generator) -> dict[str, Any]:
    """Interquartile mean over seeds with its interval, and the seeds' values."""
    return {
        "interquartile mean": float(interquartile_mean(values)),
        "interval": bootstrap_interval(values, interquartile_mean, rng),
        "each seed": values,
    }


def provenance() -> dict[str, Any]:
    """The command, the machine, the versions and the commit behind a result."""
    return {"command": shlex.join(["python", *sys.argv]), **describe_environment()}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes numbers for people and programs."""
    path.write_text(json.dumps(content, indent=1) + "\n")

"""How well cores learn: no core, LSTM, GRU and RIMs on control, memory and small Atari-like tasks.

    python benchmarks/learning.py --jobs 2

Trains what is missing, the first seed of all tasks first, and goes on where it was interrupted. A
run's numbers go to docs/learning.json as soon as it is done; a run that is there with today's
settings is not trained again, so that several machines and days can add to it. docs/learning.md and
.png are written from it. ``--report`` trains nothing. All cores have as many units and the same
settings, those of the task.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import stock_ppo
from comparison import ROOT, Job, over_seeds, param_count, train_missing
from numpy.random import Generator

from rims_rl.core.config import RIMConfig
from rims_rl.experiments.curves import Array, Curve, episode_curve, plot_curves, progress_values
from rims_rl.experiments.statistics import interquartile_mean
from rims_rl.runs.files import write_text
from rims_rl.runs.folder import ENVIRONMENT

SEEDS = 5
WINDOWS = 10
RESAMPLES = 9999


@dataclass(frozen=True)
class Cell:
    """What is compared: a core's name and options beside its size."""

    core: str = "rim"
    options: Mapping[str, Any] = field(default_factory=dict)


#: The comparison.
CORES = {
    "no core": Cell("none"),
    "LSTM": Cell("lstm"),
    "GRU": Cell("gru"),
    "RIM": Cell(),
    "RIM of version 0.1": Cell(options={"variant": "hard"}),
}
#: The default RIM with one part of it taken away or as it was.
PARTS = {
    "RIM, hard selection": Cell(options={"selection": "hard"}),
    "RIM, no key bias": Cell(options={"key_bias": False}),
    "RIM, no query bias": Cell(options={"query_bias": False}),
    "RIM, values of 64 numbers": Cell(options={"input_value_size": 64}),
    "RIM, heads as in the paper": Cell(
        options={
            "input_key_size": 64,
            "comm_heads": 4,
            "comm_key_size": 32,
            "comm_value_size": 32,
        }
    ),
    "RIM, output map": Cell(options={"comm_output_map": True}),
    "RIM, gate bias -2": Cell(options={"comm_gate_bias": -2.0}),
    "RIM, no communication": Cell(options={"communication": None}),
    "RIM, all active": Cell(options={"num_active": 6}),
}
#: What others wrote, to the letter.
PUBLISHED = {
    "RIM of the paper": Cell(options={"variant": "paper"}),
    "RIM as released": Cell(options={"variant": "released"}),
}


@dataclass(frozen=True)
class Task:
    """What is learned.

    Attributes:
        env: the environment.
        steps: of a run.
        units: of a core; None for those of the preset.
        cells: what is compared in it.
        stock: whether `stock_ppo` trains it, instead of ``rims_rl.train``.
        seeds: how many runs each.
        threshold: return of the last 100 episodes of which it is reported when it was passed.
    """

    env: str
    steps: int
    cells: Mapping[str, Cell]
    units: int | None = None
    stock: bool = False
    seeds: int = SEEDS
    threshold: float | None = None

    def command(self, cell: Cell) -> list[str]:
        """How a run is trained, without seed and folder."""
        if self.stock:
            sized = {} if cell.core == "none" else {"hidden_size": self.units}
            options = json.dumps({**sized, **cell.options})
            return ["benchmarks/stock_ppo.py", "--core", cell.core, "--core-kwargs", options]
        flags = {k: v for k, v in cell.options.items() if k in ("variant", "num_active")}
        kwargs = {k: v for k, v in cell.options.items() if k not in flags}
        command = ["-m", "rims_rl.train", "--env", self.env, "--total-timesteps", str(self.steps),
                   "--eval-every", "0", "--core", cell.core, "--track", "off"]  # fmt: skip
        for name, value in flags.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        return [*command, *(["--core-kwargs", json.dumps(kwargs)] if kwargs else [])]


def _popgym(name: str, parts: Mapping[str, Cell] | None = None) -> Task:
    return Task(f"popgym-{name}Easy-v0", 400_000, {**CORES, **(parts or {})})


TASKS = {
    "CartPole without velocities": Task(
        stock_ppo.ENV, stock_ppo.STEPS, {**CORES, **PARTS, **PUBLISHED}, units=66, stock=True
    ),
    "RepeatPrevious": _popgym("RepeatPrevious", PARTS),
    "RepeatFirst": _popgym("RepeatFirst"),
    "Autoencode": _popgym("Autoencode"),
    "PositionOnlyCartPole": _popgym("PositionOnlyCartPole"),
    "NoisyPositionOnlyPendulum": _popgym("NoisyPositionOnlyPendulum"),
    "CountRecall": _popgym("CountRecall"),
    "MinAtar Breakout": Task("MinAtar/Breakout-v1", 500_000, CORES),
    "MinAtar SpaceInvaders": Task("MinAtar/SpaceInvaders-v1", 500_000, CORES),
    "MinAtar Asterix": Task("MinAtar/Asterix-v1", 500_000, CORES),
    "MinAtar Freeway": Task("MinAtar/Freeway-v1", 500_000, CORES),
    "MinAtar Seaquest": Task("MinAtar/Seaquest-v1", 500_000, CORES),
    "Object picking": Task("rims_rl/PickupDistractorsSmall-v0", 303_104, CORES),
    "Pong": Task("PongNoFrameskip-v4", 1_000_000, CORES, seeds=1, threshold=-15),
}
CELLS = {**CORES, **PARTS, **PUBLISHED}


@dataclass(frozen=True)
class Family:
    """Tasks that are counted together.

    Attributes:
        prefix: what the environments' ids begin with.
        score: of a return, in words.
        scores: makes a task's returns comparable to those of others, from them and the LSTM's.
    """

    prefix: str
    score: str
    scores: Callable[[Array, Array], Array]


FAMILIES = {
    "POPGym": Family("popgym", "(return + 1) / 2", lambda returns, of_lstm: (returns + 1) / 2),
    "MinAtar": Family(
        "MinAtar",
        "return / mean return of the LSTM",
        lambda returns, of_lstm: returns / of_lstm.mean(),
    ),
}


Record = dict[str, Any]
Key = tuple[str, str, int]
RESULTS = ROOT / "docs/learning.json"


def job(runs: Path, key: Key) -> Job:
    """A run, which lies in e.g. ``runs/learning/repeatfirst/rim/seed0``."""
    task, cell, seed = key
    folder = runs / _slug(task) / _slug(cell) / f"seed{seed}"
    return Job(folder, TASKS[task].command(TASKS[task].cells[cell]), seed)


def _slug(name: str) -> str:
    return name.lower().replace(",", "").replace(" ", "-")


def keys(tasks: Sequence[str], cells: Sequence[str], seeds: int) -> Iterator[Key]:
    """Task, cell and seed of each run, in the order in which they are trained."""
    for seed in range(seeds):
        for task_name in tasks:
            task = TASKS[task_name]
            for name in task.cells:
                if seed < task.seeds and name in cells:
                    yield task_name, name, seed


def settings(task: str, cell: str) -> dict[str, Any]:
    """What a result depends on: the command, and what the defaults of the core mean today."""
    chosen = TASKS[task].cells[cell]
    core = {}
    if chosen.core == "rim":
        core = asdict(RIMConfig(input_size=1, hidden_size=60, **chosen.options))
        for of_size_or_speed in ("input_size", "hidden_size", "rim_size", "backend"):
            del core[of_size_or_speed]
    return {"command": shlex.join(TASKS[task].command(chosen)), "core": core}


def read_records() -> dict[Key, Record]:
    """The results that are stored and of today's settings."""
    stored = json.loads(RESULTS.read_text())["runs"] if RESULTS.exists() else []
    records = {(r["task"], r["cell"], r["seed"]): r for r in stored}
    today = set(keys(list(TASKS), list(CELLS), SEEDS))
    return {key: record for key, record in records.items()
            if key in today and record["settings"] == settings(*key[:2])}  # fmt: skip


def write_records(records: Mapping[Key, Record]) -> None:
    """Stores results, a line each."""
    lines = ",\n".join(json.dumps(records[key]) for key in sorted(records))
    write_text(RESULTS, f'{{"windows": {WINDOWS}, "runs": [\n{lines}\n]}}\n')


def main() -> None:
    """Trains, measures, draws and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "learning")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="the first ones alone")
    parser.add_argument("--report", action="store_true", help="train nothing")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), metavar="TASK")
    parser.add_argument("--cells", nargs="+", choices=CELLS, metavar="CELL",
                        default=list(CELLS))  # fmt: skip
    options = parser.parse_args()
    records = read_records()
    wanted = [key for key in keys(options.tasks, options.cells, options.seeds)
              if key not in records]  # fmt: skip
    if not options.report:
        train_missing([job(options.runs, key) for key in wanted], options.jobs)
    for key in wanted:
        run = job(options.runs, key)
        if run.is_done:
            records[key] = measured(run.folder, key)
    write_records(records)
    rng = np.random.default_rng(0)
    results = {name: over_runs(records, name, rng) for name in TASKS}
    results = {name: cells for name, cells in results.items() if cells}
    together = {name: aggregated(family, results, rng) for name, family in FAMILIES.items()}
    (ROOT / "docs/learning.md").write_text(report(results, together))
    draw(results, rng)


def measured(run: Path, key: Key) -> Record:
    """What is kept of a run that is done."""
    task_name, cell, seed = key
    task = TASKS[task_name]
    returns = episode_curve([run], task.steps, WINDOWS).values[0].tolist()
    end = returns[-1]
    if task.stock:
        end = json.loads((run / stock_ppo.EVALUATION).read_text())["mean"]
    statistics = {}
    for label, statistic in STATISTICS.items():
        values = progress_values(run, statistic.column)
        statistics[label] = float(statistic.of_run(values)) if len(values) else None
    environment = json.loads((run / ENVIRONMENT).read_text())
    return {
        "task": task_name,
        "cell": cell,
        "seed": seed,
        "parameters": param_count(run),
        "return at the end": end,
        "returns": returns,
        "steps to threshold": steps_to(run, task.threshold),
        **statistics,
        "settings": settings(task_name, cell),
        **{name: environment[name] for name in ("rims_rl", "commit", "cpu", "started")},
        "torch": environment["packages"]["torch"],
    }


def over_runs(records: Mapping[Key, Record], task_name: str, rng: Generator) -> dict[str, Any]:
    """The results of a task's cells over their seeds."""
    results = {}
    for name in TASKS[task_name].cells:
        runs = [records[key] for key in keys([task_name], [name], SEEDS) if key in records]
        if not runs:
            continue
        results[name] = {
            "parameters": runs[0]["parameters"],
            "seeds": [run["seed"] for run in runs],
            "return at the end": over_seeds([run["return at the end"] for run in runs], rng),
            "mean return over training": over_seeds(
                [float(np.nanmean(run["returns"])) for run in runs], rng
            ),
            "steps to threshold": [run["steps to threshold"] for run in runs],
            "returns": [run["returns"] for run in runs],
            **{label: _together([run[label] for run in runs], statistic)
               for label, statistic in STATISTICS.items()},
        }  # fmt: skip
    return results


def _together(values: Sequence[float | None], statistic: Statistic) -> float | None:
    known = [value for value in values if value is not None]
    return float(statistic.of_seeds(known)) if known else None


def steps_to(run: Path, threshold: float | None) -> int | None:
    """When the mean return of the last 100 episodes passed a threshold; None: it did not."""
    if threshold is None:
        return None
    table = pd.read_csv(run / "episodes.csv")
    passed = table["timesteps"][table["return"].rolling(100).mean() > threshold]
    return int(passed.iloc[0]) if len(passed) else None


def aggregated(family: Family, results: Mapping[str, Any], rng: Generator) -> dict[str, Any]:
    """Interquartile means over tasks and seeds, of the tasks in which every core has runs.

    The interval is of a bootstrap stratified by task; as many seeds as all have are taken.
    """
    tasks = [name for name, cells in results.items()
             if TASKS[name].env.startswith(family.prefix) and set(CORES) <= set(cells)]  # fmt: skip
    if not tasks:
        return {}
    seeds = min(len(results[task][core]["seeds"]) for task in tasks for core in CORES)
    cores: dict[str, Any] = {}
    for when in ("return at the end", "mean return over training"):
        for core in CORES:
            rows = []
            for task in tasks:
                ours, lstm = (np.array(results[task][name][when]["each seed"][:seeds])
                              for name in (core, "LSTM"))  # fmt: skip
                rows.append(family.scores(ours, lstm))
            scores = np.array(rows)  # (tasks, seeds)
            drawn = rng.integers(seeds, size=(RESAMPLES, *scores.shape))
            resamples = np.take_along_axis(scores[None], drawn, axis=2).reshape(RESAMPLES, -1)
            low, high = np.percentile(interquartile_mean(resamples), (2.5, 97.5))
            cores.setdefault(core, {})[when] = {
                "interquartile mean": float(interquartile_mean(scores.ravel())),
                "interval": [float(low), float(high)] if seeds > 1 else None,
            }
    return {"tasks": tasks, "seeds": seeds, "score": family.score, "cores": cores}


@dataclass(frozen=True)
class Statistic:
    """What is reported of the updates and of the active sets.

    Attributes:
        column: of ``progress.csv``.
        of_run: from a run's values to one.
        of_seeds: from the runs' numbers to one.
    """

    column: str
    of_run: Callable[[Any], Any] = np.median
    of_seeds: Callable[[Any], Any] = np.median


STATISTICS = {
    "set changes in an episode": Statistic("rim/active_set_changes", np.mean, np.mean),
    "by an update": Statistic("rim/active_set_changes_by_update", np.mean, np.mean),
    "approx. KL": Statistic("train/approx_kl", np.mean, np.mean),
    "gradient norm": Statistic("train/grad_norm"),
    "largest": Statistic("train/grad_norm", np.max, np.max),
}


_HEAD = """\
# How well cores learn

Written by `python benchmarks/learning.py` from its runs; do not edit. All cores of a task have the
same number of units and the same settings: {steps}. Each return is the interquartile mean
over seeds with its 95% bootstrap interval (one seed: no interval).

- At the end: the last tenth of the training episodes, for CartPole 20 deterministic episodes after
  training (stock `sb3_contrib.RecurrentPPO`, [stock_ppo.py](../benchmarks/stock_ppo.py)).
- Over training: the mean of {windows} equal windows.
- Set changes: the share of steps within episodes at which other RIMs are active than at the step
  before, and the share of a rollout's steps at which an update changes which RIMs are active.
- Gradient norm: before clipping, the median and the largest of all updates.

Numbers of each run, its curve, settings, versions and processor: [learning.json](learning.json).

![Learning curves of every task and core](learning.png)
"""
_COLUMNS = (
    "core", "parameters", "seeds", "return at the end", "worst seed", "over training",
    *STATISTICS,
)  # fmt: skip


def report(results: Mapping[str, Any], together: Mapping[str, Any]) -> str:
    """A page with a table for each family and each task."""
    by_steps: dict[int, list[str]] = {}
    for name in results:
        by_steps.setdefault(TASKS[name].steps, []).append(name)
    steps = "; ".join(f"{count:,} steps for {', '.join(n)}" for count, n in by_steps.items())
    parts = [_HEAD.format(steps=steps, windows=WINDOWS)]
    for name, family in together.items():
        if family:
            parts += [f"## {name} together\n", f"Score: {family['score']}; interquartile mean over "
                      f"{', '.join(family['tasks'])}, {family['seeds']} seeds each.\n",
                      _row(("core", *family["cores"]["RIM"])), _row(["---"] * 3)]  # fmt: skip
            parts += [_row((core, *map(_with_interval, scores.values())))
                      for core, scores in family["cores"].items()]  # fmt: skip
            parts += [""]
    for name, cells in results.items():
        threshold = TASKS[name].threshold
        columns = [*_COLUMNS, *([f"steps to {threshold:g}"] if threshold else [])]
        parts += [f"## {name}\n", _row(columns), _row(["---"] * len(columns))]
        for cell, result in cells.items():
            steps = ", ".join("never" if n is None else f"{n:,}"
                              for n in result["steps to threshold"])  # fmt: skip
            parts += [_row([*_cell_columns(cell, result), *([steps] if threshold else [])])]
        parts += [""]
    return "\n".join(parts)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell_columns(name: str, result: Mapping[str, Any]) -> list[str]:
    statistics = [result[label] for label in STATISTICS]
    return [
        name,
        f"{result['parameters']:,}",
        str(len(result["seeds"])),
        _with_interval(result["return at the end"]),
        f"{min(result['return at the end']['each seed']):.3g}",
        _with_interval(result["mean return over training"]),
        *("" if value is None else f"{value:.2g}" for value in statistics),
    ]


def _with_interval(numbers: Mapping[str, Any]) -> str:
    center, interval = numbers["interquartile mean"], numbers["interval"]
    bounds = f" [{interval[0]:.3g}, {interval[1]:.3g}]" if interval else ""
    return f"{center:.3g}{bounds}"


def draw(results: Mapping[str, Any], rng: Generator) -> None:
    """Learning curves of the cores, a panel for each task."""
    columns = 4
    rows = math.ceil(len(results) / columns)
    figure, panels = plt.subplots(
        rows, columns, figsize=(4.2 * columns, 3.1 * rows), layout="constrained", squeeze=False
    )
    colours = {core: f"C{number}" for number, core in enumerate(CORES)}
    ends = np.arange(1, WINDOWS + 1) / WINDOWS
    for axes in panels.flat[len(results) :]:
        axes.set_visible(False)
    for axes, (name, cells) in zip(panels.flat, results.items(), strict=False):
        curves = {
            core: Curve(ends * TASKS[name].steps, np.array(of["returns"], dtype=float))
            for core, of in cells.items()
            if core in CORES
        }
        plot_curves(axes, curves, "return", rng, colours)
        axes.set_title(name)
        axes.get_legend().remove()
    named = {text: line for axes in panels.flat
             for line, text in zip(*axes.get_legend_handles_labels(), strict=True)}  # fmt: skip
    names = [core for core in CORES if core in named]
    figure.legend([named[core] for core in names], names, loc="outside upper center",
                  ncols=len(names), frameon=False)  # fmt: skip
    figure.savefig(ROOT / "docs/learning.png", dpi=110)


if __name__ == "__main__":
    main()

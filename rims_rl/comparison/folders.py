"""Runs in folders of this machine: run folders, stores of them, and published results."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from stable_baselines3.common.monitor import Monitor

from rims_rl.comparison.monitor_logs import monitored_runs
from rims_rl.comparison.naming import in_todays_terms
from rims_rl.comparison.record import Record, whole_rows
from rims_rl.experiments.statistics import Array
from rims_rl.runs.errors import UsageError
from rims_rl.runs.folder import (
    COMMAND,
    CONFIG,
    EPISODES,
    PROGRESS,
    RESULTS,
    first_command,
    read_results,
)
from rims_rl.training.parser import read_stored
from rims_rl.training.results import STEPS, all_options, hours_at
from rims_rl.training.trainee import AGENTS


def read_folder(folder: Path) -> list[Record]:
    """All agents' runs in a folder, at any depth.

    Args:
        folder: a run, or with runs, logs of SB3's `Monitor` or published results
            (``seed0.json`` and so on) somewhere in it.

    Raises:
        UsageError: a run cannot be read.
    """
    runs = sorted(filter(is_agents_run, _folders_of(folder, CONFIG)))
    logs = sorted(filter(_is_others_run, _folders_of(folder, f"*{Monitor.EXT}")))
    others = (run for of_folder in map(monitored_runs, logs) for run in of_folder)
    return [*map(_of_run, runs), *others, *_published(folder)]


def is_agents_run(folder: Path) -> bool:
    """Tells whether a folder is the run folder of an agent."""
    return (folder / CONFIG).exists() and (folder / EPISODES).exists()


def is_run(folder: Path) -> bool:
    """Tells whether a folder is a run folder of ours, of an agent or of a supervised task."""
    said = (folder / EPISODES).exists() or (folder / COMMAND).exists()
    return said and (folder / CONFIG).exists()


def _folders_of(folder: Path, pattern: str) -> set[Path]:
    return {file.parent for file in folder.rglob(pattern)}


def _is_others_run(logs: Path) -> bool:
    """Tells whether logs of `Monitor` stand for themselves: our run folders have them too."""
    if is_run(logs) and not is_agents_run(logs):
        raise UsageError(f"{logs} is a run without its {EPISODES}: move it away, or train it again")
    return not any(map(is_agents_run, (logs, *logs.parents)))


def _of_run(folder: Path) -> Record:
    try:
        env, label, settings = _identity(folder)
        episodes = whole_rows(folder / EPISODES, ("timesteps", "return"))
        progress = pd.read_csv(folder / PROGRESS)
        steps = _numbers(episodes["timesteps"])
        return Record(
            source=str(folder),
            env=env,
            label=label,
            seed=settings["seed"],
            steps=steps,
            returns=_numbers(episodes["return"]),
            total=float(settings["total_timesteps"]),
            hours=hours_at(progress, steps),
            settings=settings,
            param_count=_results(folder).get("param_count"),
            command=first_command(folder),
            trained=float(progress[STEPS].max()) if len(progress) else 0.0,
            exact=True,
        )
    except (OSError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise UsageError(f"{folder} cannot be read as a run: {error}") from None


def _identity(folder: Path) -> tuple[str, str, Mapping[str, Any]]:
    """The environment, the core's label and all options of a run."""
    try:
        plan = AGENTS.stored_plan(folder / CONFIG, {})
    except UsageError:
        # A core of one's own need not be here: a run that is done says all that is compared.
        results = _results(folder)
        if not results:
            raise
        options = read_stored(folder / CONFIG)
        return options["env"], results["model"], all_options(folder, options)
    return plan.subject, plan.label(), all_options(folder, plan.flat())


def _results(folder: Path) -> Mapping[str, Any]:
    """All that a run says of itself at its end; nothing before."""
    return read_results(folder) if (folder / RESULTS).exists() else {}


def _published(folder: Path) -> Iterator[Record]:
    """Results of runs that lie elsewhere, which have the means of windows."""
    for file in sorted(folder.rglob("seed*.json")):
        try:
            results = json.loads(file.read_text(encoding="utf-8"))
            if isinstance(results, dict) and {"env", "model", "windows"} <= set(results):
                yield of_results(str(file), results, _number_in(file.stem))
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise UsageError(f"{file} cannot be read as results of a run: {error!r}") from None


def of_results(source: str, results: Mapping[str, Any], seed: int | None = None) -> Record:
    """A run of which the content of ``results.json`` is known: the means of windows.

    Args:
        source: where they were read.
        results: as a run writes them.
        seed: of the run, if they do not say.
    """
    windows, stored = results["windows"], results.get("config", {})
    label, config = in_todays_terms(results["model"], stored, results.get("environment", {}))
    ends, returns = (np.array(windows[name], dtype=float) for name in ("timesteps", "return"))
    known = ~np.isnan(returns)
    return Record(
        source=source,
        env=results["env"],
        label=label,
        seed=config.get("seed", seed),
        steps=ends[known],
        returns=returns[known],
        total=float(ends[-1]),
        hours=np.array(windows["hours"], dtype=float)[known] if "hours" in windows else None,
        settings=config,
        param_count=results.get("param_count"),
        command=results.get("command"),
        trained=float(results["timesteps"]),
        exact=True,
    )


def _number_in(stem: str) -> int | None:
    digits = stem.removeprefix("seed")
    return int(digits) if digits.isdecimal() else None


def _numbers(column: Any) -> Array:
    return np.asarray(column, dtype=np.float64)

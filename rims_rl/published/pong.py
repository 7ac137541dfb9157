"""Pong with each core: return, explained variance, entropy and the use of every RIM."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from rims_rl.experiments.curves import at_the_end, first_at
from rims_rl.experiments.drawing import label_steps
from rims_rl.experiments.figure import Drawing, Figure
from rims_rl.experiments.statistics import three_digits
from rims_rl.experiments.store import Runs, StoredRun
from rims_rl.experiments.tables import Table, as_markdown
from rims_rl.published.cores import CORES, QUICK, colours_of, wanted
from rims_rl.published.updates import EXPLAINED, MEASURES, cells, of_updates
from rims_rl.training.results import ACTIVITY

#: When a run passes it is reported.
THRESHOLD = -15.0
_OPTIONS = {"env": "PongNoFrameskip-v4", "total_timesteps": 1_000_000, "eval_every": 0}
_QUICK = {**QUICK, "total_timesteps": 128}
_PANELS = {
    "return": "raw return of games",
    "train/explained_variance": "explained variance",
    "train/entropy_loss": "negative entropy of the policy",
}


def _pong(runs: Runs, schedule: Mapping[str, Any]) -> Drawing:
    """One line for each run.

    Args:
        runs: the store.
        schedule: options of the learning rate that differ from the preset's.
    """
    models = {name: wanted({**_OPTIONS, **schedule}, of, _QUICK) for name, of in CORES.items()}
    runs.prepare(list(models.values()), numbers_only=True)
    found = runs.numbers_of(models)
    numbers = {name: [_of_run(run) for run in each] for name, each in found.items()}
    head = ("core", "parameters", "seed", "return at the end", f"steps to {THRESHOLD:g}",
            "explained variance", "entropy", "largest state", *MEASURES)  # fmt: skip
    body = [_row(name, each) for name, of in numbers.items() for each in of]
    title = f"Pong, {_OPTIONS['total_timesteps']:,} agent steps"
    text = f"{EXPLAINED}\n\n{as_markdown(Table(title, head, body))}"
    return Drawing(_draw(found), numbers, markdown=text)


def _of_run(run: StoredRun) -> dict[str, Any]:
    windows = run.results["windows"]
    state = run.results["statistics"]["core/largest_state"]
    return {
        "seed": run.seed,
        "parameters": run.results["param_count"],
        "return": at_the_end(windows["return"]),
        "steps to threshold": first_at(THRESHOLD, windows["timesteps"], windows["return"]),
        "explained variance": at_the_end(windows["train/explained_variance"]),
        "entropy": -at_the_end(windows["train/entropy_loss"]),
        "largest state": state["largest"],
        "share of steps each RIM is active": [at_the_end(values) for values in _activity(run)],
        **of_updates([run]),
    }


def _row(name: str, end: Mapping[str, Any]) -> list[str]:
    passed = end["steps to threshold"]
    numbers = (end[key] for key in ("explained variance", "entropy", "largest state"))
    return [
        name,
        f"{end['parameters']:,}",
        str(end["seed"]),
        three_digits(end["return"]),
        "never" if passed is None else f"{passed:,.0f}",
        *map(three_digits, numbers),
        *cells(end),
    ]


def _activity(run: StoredRun) -> list[list[float | None]]:
    """The activity of each RIM in each window; nothing without RIMs."""
    windows = run.results["windows"]
    columns = [c for c in windows if c.removeprefix(ACTIVITY).isdecimal()]
    return [windows[column] for column in sorted(columns)]


def _draw(stored: Mapping[str, list[StoredRun]]) -> Picture:
    """One panel for each measure with all runs, and the activity of the first one with RIMs."""
    picture = Picture(figsize=(10, 6), layout="constrained")
    panels = picture.subplots(2, 2)
    colours = colours_of(stored)
    for axes, (column, title) in zip(panels.flat, _PANELS.items(), strict=False):
        for name, runs in stored.items():
            for run in runs:
                windows = run.results["windows"]
                values = np.array(windows[column], dtype=float)
                label = name if run is runs[0] else None
                axes.plot(windows["timesteps"], values, label=label, color=colours[name])
        axes.set_ylabel(title)
        label_steps(axes)
        axes.grid(alpha=0.3)
    panels[0, 0].legend(frameon=False)
    with_rims = [(name, runs[0]) for name, runs in stored.items() if _activity(runs[0])]
    if with_rims:
        _draw_activity(panels[1, 1], *with_rims[0])
    return picture


def _draw_activity(axes: Axes, name: str, run: StoredRun) -> None:
    """Draws how often each RIM of a run is active, one strip per RIM, over training."""
    shares = np.array(_activity(run), dtype=float)
    extent = (0, run.results["windows"]["timesteps"][-1], len(shares) + 0.5, 0.5)
    image = axes.imshow(
        shares, "Greys", aspect="auto", interpolation="nearest", extent=extent, vmin=0, vmax=1
    )
    axes.set_yticks(range(1, len(shares) + 1))
    axes.set_title(f"{name}, seed {run.seed}", fontsize=9)
    axes.set_ylabel("number of the RIM")
    label_steps(axes)
    axes.figure.colorbar(image, ax=axes, label="share of steps active")


FIGURES = (
    Figure("pong", "Pong: returns, and which RIMs are used", partial(_pong, schedule={})),
    # With the preset's learning rate, which falls to 0, no core passes the threshold.
    Figure(
        "pong-constant",
        "Pong with a constant learning rate: returns, and which RIMs are used",
        partial(_pong, schedule={"learning_rate_schedule": "constant"}),
    ),
)

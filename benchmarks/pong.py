"""Pong with each core: return, explained variance, entropy and the use of every RIM, by run.

    python -m rims_rl.train --env PongNoFrameskip-v4 --core rim --run-dir runs/pong/rim
    python benchmarks/pong.py runs/pong/rim [runs/pong/lstm ...]

Draws stored runs (also unfinished ones) and keeps their numbers: docs/pong.png, docs/pong/.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from comparison import ROOT, provenance, write_json
from matplotlib.axes import Axes

from rims_rl.runs.folder import CONFIG, ENVIRONMENT, PROGRESS
from rims_rl.training.parser import read_yaml

RETURN = "rollout/ep_rew_mean"
PANELS = {
    RETURN: "raw return, last 100 games",
    "train/explained_variance": "explained variance",
    "train/entropy_loss": "negative entropy of the policy",
}
NAMES = {"rim": "RIM", "lstm": "LSTM", "gru": "GRU", "none": "no core"}
STEPS = "time/total_timesteps"
SMOOTHING = 10  # rollouts
LAST = 50  # rollouts that the numbers at the end are means over


def main() -> None:
    """Draws and copies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    runs = {name_of(run): run for run in parser.parse_args().runs}
    tables = {name: pd.read_csv(run / PROGRESS) for name, run in runs.items()}
    draw(tables)
    folder = ROOT / "docs/pong"
    folder.mkdir(exist_ok=True)
    for name, run in runs.items():
        shutil.copy(run / PROGRESS, folder / f"{name.replace(' ', '_')}.csv")
    results = {name: at_the_end(table) for name, table in tables.items()}
    about = {name: json.loads((run / ENVIRONMENT).read_text()) for name, run in runs.items()}
    write_json(folder / "runs.json", {**provenance(), "environments": about, "runs": results})
    for name, result in results.items():
        print(name, ", ".join(f"{key} {value}" for key, value in result.items()))


def name_of(run: Path) -> str:
    """The core of a run, with the precision of its CNN unless that is the default."""
    config = read_yaml(run / CONFIG)
    precision = config.get("precision", "float32")
    return NAMES[config["core"]] + ("" if precision == "float32" else f" {precision}")


def at_the_end(table: pd.DataFrame) -> dict[str, Any]:
    """What a run came to."""
    last = table.iloc[-LAST:].mean()
    return {
        "steps": int(table[STEPS].iloc[-1]),
        "return of the last 100 games": round(float(table[RETURN].dropna().iloc[-1]), 2),
        "explained variance": round(float(last["train/explained_variance"]), 2),
        "entropy": round(-float(last["train/entropy_loss"]), 2),
        "entropy at the start": round(-float(table["train/entropy_loss"].dropna().iloc[0]), 2),
        "largest state": round(float(last["core/largest_state"]), 2),
        "share of steps each RIM is active": [round(float(last[c]), 2) for c in activity(table)],
    }


def activity(table: pd.DataFrame) -> list[str]:
    """The columns that say how often each RIM is active; none without RIMs."""
    return sorted(str(column) for column in table if str(column).startswith("rim/active_"))


def draw(tables: dict[str, pd.DataFrame]) -> None:
    """One panel for each measure with all runs, and the activity of the first run's RIMs."""
    figure, panels = plt.subplots(2, 2, figsize=(10, 6), layout="constrained")
    for axes, (column, title) in zip(panels.flat, PANELS.items(), strict=False):
        for name, table in tables.items():
            smooth = table[column].rolling(SMOOTHING, min_periods=1).mean()
            axes.plot(table[STEPS], smooth, label=name)
        axes.set_ylabel(title)
        axes.grid(alpha=0.3)
    panels[0, 0].legend(frameon=False)
    draw_activity(panels[1, 1], *next(iter(tables.items())))
    for axes in panels.flat:
        axes.set_xlabel("agent steps")
    figure.savefig(ROOT / "docs/pong.png", dpi=150)


def draw_activity(axes: Axes, name: str, table: pd.DataFrame) -> None:
    """How often each RIM of a run is active, one strip a RIM, over training."""
    shares = table[activity(table)].dropna().to_numpy().T
    extent = (0, float(table[STEPS].iloc[-1]), len(shares) + 0.5, 0.5)
    image = axes.imshow(
        shares, "Greys", aspect="auto", interpolation="nearest", extent=extent, vmin=0, vmax=1
    )
    axes.set_yticks(range(1, len(shares) + 1))
    axes.set_ylabel(f"{name} number")
    axes.figure.colorbar(image, ax=axes, label="share of steps active")


if __name__ == "__main__":
    main()

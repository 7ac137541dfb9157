"""Pong learned soundly: return, explained variance, entropy and the use of every RIM, by run.

    python -m rims_rl.train --env PongNoFrameskip-v4 --run-dir runs/pong/RIM --total-timesteps N
    python benchmarks/pong.py runs/pong/RIM [runs/pong/LSTM ...]

Draws stored runs (also unfinished ones) and copies their progress.csv: docs/pong.png, docs/pong/.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from comparison import ROOT

PANELS = {
    "rollout/ep_rew_mean": "raw return, last 100 games",
    "train/explained_variance": "explained variance",
    "train/entropy_loss": "negative entropy",
}
SMOOTHING = 10  # rollouts


def main() -> None:
    """Draws and copies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    runs = {run.name: run for run in parser.parse_args().runs}
    tables = {name: pd.read_csv(run / "progress.csv") for name, run in runs.items()}

    figure, panels = plt.subplots(2, 2, figsize=(10, 6), layout="constrained", sharex=True)
    for axes, (column, title) in zip(panels.flat, PANELS.items(), strict=False):
        for name, table in tables.items():
            smooth = table[column].rolling(SMOOTHING, min_periods=1).mean()
            axes.plot(table["time/total_timesteps"], smooth, label=name)
        axes.set_ylabel(title)
        axes.grid(alpha=0.3)
    panels[0, 0].legend(frameon=False)
    draw_activity(panels[1, 1], next(iter(tables.items())))
    for axes in panels[1]:
        axes.set_xlabel("agent steps")
    figure.savefig(ROOT / "docs/pong.png", dpi=150)

    folder = ROOT / "docs/pong"
    folder.mkdir(exist_ok=True)
    for name, run in runs.items():
        shutil.copy(run / "progress.csv", folder / f"{name}.csv")
        shutil.copy(run / "command.txt", folder / f"{name}_command.txt")
        last = tables[name].iloc[-100:]
        used = [f"{last[c].mean():.2f}" for c in sorted(last) if c.startswith("rim/active_")]
        print(f"{name}: {tables[name]['time/total_timesteps'].iloc[-1]:,} steps, "
              f"return {last['rollout/ep_rew_mean'].iloc[-1]:.2f}, "
              f"explained variance {last['train/explained_variance'].mean():.2f}, "
              f"entropy {-last['train/entropy_loss'].mean():.2f}, "
              f"active shares {' '.join(used)}")  # fmt: skip


def draw_activity(axes: plt.Axes, run: tuple[str, pd.DataFrame]) -> None:
    """How often each RIM of a run is active, over training."""
    name, table = run
    for column in sorted(c for c in table if c.startswith("rim/active_")):
        smooth = table[column].rolling(SMOOTHING, min_periods=1).mean()
        label = f"RIM {column.rpartition('_')[2]}"
        axes.plot(table["time/total_timesteps"], smooth, label=label, lw=1)
    axes.set_ylabel(f"{name}: share of steps active")
    axes.set_ylim(-0.02, 1.02)
    axes.legend(frameon=False, ncols=3, fontsize="small")


if __name__ == "__main__":
    main()

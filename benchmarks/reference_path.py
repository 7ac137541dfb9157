"""Learning is unchanged: object picking with the fast scan and with the reference, step by step.

    python benchmarks/reference_path.py --runs runs/object_picking --jobs 2

Same settings and seeds; "RIM" are the runs of object_picking.py. Writes docs/reference_path.png
and .json.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from comparison import ROOT, compare, write_json
from object_picking import STEPS, TRAINING, WINDOWS

from rims_rl.experiments.curves import episode_curve, plot_curves

PATHS = {"RIM": [], "RIM, reference path": ["--core-kwargs", '{"backend": "reference"}']}


def main() -> None:
    """Trains, draws and writes."""
    comparison = compare(__doc__, "object_picking", 3, TRAINING, PATHS)
    curves = {
        name: episode_curve(runs, STEPS, WINDOWS, "success")
        for name, runs in comparison.runs.items()
    }
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    plot_curves(axes, curves, "success of training episodes", np.random.default_rng(0))
    axes.set_title(f"object picking, {comparison.seeds} seeds, IQM and 95% interval")
    figure.savefig(ROOT / "docs/reference_path.png", dpi=150)
    paths = {
        name: {"timesteps": curve.timesteps.tolist(), "success of each seed": curve.values.tolist()}
        for name, curve in curves.items()
    }
    write_json(ROOT / "docs/reference_path.json", {**comparison.about(), "paths": paths})
    for name, curve in curves.items():
        print(f"{name}: success in the last window {np.round(curve.values[:, -1], 3).tolist()}, "
              f"mean over training {np.round(curve.values.mean(axis=1), 3).tolist()}")  # fmt: skip


if __name__ == "__main__":
    main()

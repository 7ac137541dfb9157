"""Which cell should be the default: RIM variants, LSTM and GRU on CartPole without velocities.

    python benchmarks/default_cell.py --runs runs/default_cell --jobs 2

Trains what is missing and writes docs/default_cell.png and .json.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from comparison import ROOT, compare, param_count, write_json

from rims_rl.analysis.curves import episode_curve, plot_curves, progress_values

STEPS = 100_352  # 98 rollouts of 8 x 128 steps
WINDOWS = 14
CORES = {
    "RIM default": [],
    "RIM no communication": ["--core-kwargs", '{"communication": null}'],
    "RIM released": ["--variant", "released"],
    "RIM paper": ["--variant", "paper"],
    "LSTM": ["--core", "lstm"],
    "GRU": ["--core", "gru"],
}


def main() -> None:
    """Trains, draws and writes."""
    common = ["--env", "rims_rl/CartPoleNoVelocity-v1", "--total-timesteps", str(STEPS),
              "--eval-every", "0", "--checkpoint-every", str(STEPS)]  # fmt: skip
    comparison = compare(__doc__, "default_cell", 5, common, CORES)

    rng = np.random.default_rng(0)
    curves, results = {}, {}
    for name, runs in comparison.runs.items():
        curve = curves[name] = episode_curve(runs, STEPS, WINDOWS)
        low, high = curve.interval(rng)
        largest = [float(progress_values(run, "core/largest_state").max()) for run in runs]
        whole = [run for run in runs if (run / "model.zip").exists()]
        results[name] = {
            "timesteps": curve.timesteps.tolist(),
            "return of each seed": curve.values.tolist(),
            "interquartile mean": curve.center().tolist(),
            "interval": [low.tolist(), high.tolist()],
            "largest state of each seed": largest,
            "parameters": param_count(whole[0]) if whole else None,
        }
    write_json(ROOT / "docs/default_cell.json", {**comparison.about(), "cores": results})
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    plot_curves(axes, curves, "return of training episodes", rng)
    axes.set_title(f"CartPole without velocities, {comparison.seeds} seeds, IQM and 95% interval")
    figure.savefig(ROOT / "docs/default_cell.png", dpi=150)

    print("| core | parameters | last window, IQM [95%] | largest state |\n|---|---|---|---|")
    for name, result in results.items():
        low, high = (bound[-1] for bound in result["interval"])
        print(
            f"| {name} | {result['parameters']:,} | {result['interquartile mean'][-1]:.0f} "
            f"[{low:.0f}, {high:.0f}] | {max(result['largest state of each seed']):.3g} |"
        )
    print("did not get to the end:", ", ".join(comparison.unfinished) or "none")


if __name__ == "__main__":
    main()

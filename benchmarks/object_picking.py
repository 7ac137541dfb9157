"""Object picking with distractors: RIM, LSTM and no core, with known, novel and more distractors.

    python benchmarks/object_picking.py --runs runs/object_picking --jobs 2

Trains what is missing on known distractors, evaluates on all three kinds, and writes
docs/object_picking.png and .json.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from comparison import ROOT, compare, over_seeds, param_count, write_json

from rims_rl.experiments.curves import episode_curve, plot_curves

STEPS = 303_104  # 148 rollouts of 16 x 128 steps
WINDOWS = 20
EPISODES = 512
#: Arguments of `rims_rl.train` for every core.
TRAINING = ["--env", "rims_rl/PickupDistractorsSmall-v0", "--total-timesteps", str(STEPS),
            "--eval-every", "0", "--checkpoint-every", "50000"]  # fmt: skip
CORES = {"RIM": [], "LSTM": ["--core", "lstm"], "no core": ["--core", "none"]}
DISTRACTORS = {"known": "", "novel": "Novel", "more": "More"}


def evaluation(run: Path, env_id: str) -> dict[str, Any]:
    """The summary of a run in an environment, played now if it was not before."""
    while True:
        for file in sorted((run / "evaluations").glob("*.json")):
            result = json.loads(file.read_text())
            if result["env"] == env_id and result["summary"]["episodes"] == EPISODES:
                return dict(result["summary"])
        subprocess.run(
            [sys.executable, "-m", "rims_rl.evaluate", str(run), "--env", env_id,
             "--episodes", str(EPISODES)], check=True, capture_output=True,
        )  # fmt: skip


def main() -> None:
    """Trains, evaluates, draws and writes."""
    comparison = compare(__doc__, "object_picking", 3, TRAINING, CORES)

    rng = np.random.default_rng(0)
    curves, results = {}, {}
    for name, runs in comparison.runs.items():
        curves[name] = episode_curve(runs, STEPS, WINDOWS, "success")
        low, high = curves[name].interval(rng)
        result = results[name] = {
            "parameters": param_count(runs[0]),
            "timesteps": curves[name].timesteps.tolist(),
            "training success of each seed": curves[name].values.tolist(),
            "interval": [low.tolist(), high.tolist()],
        }
        for kind, suffix in DISTRACTORS.items():
            summaries = [evaluation(r, f"rims_rl/PickupDistractorsSmall{suffix}-v0") for r in runs]
            result[kind] = {
                "success": over_seeds([s["success_rate"] for s in summaries], rng),
                "return": over_seeds([s["mean"] for s in summaries], rng),
            }
    content = {**comparison.about(), "episodes": EPISODES, "cores": results}
    write_json(ROOT / "docs/object_picking.json", content)
    draw(curves, results, comparison.seeds, rng)
    print_table(results)


def draw(curves: dict[str, Any], results: dict[str, Any], seeds: int, rng: Any) -> None:
    """Training success on the left, evaluation on the three kinds on the right."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    plot_curves(left, curves, "success of training episodes", rng)
    left.set_title(f"known distractors, {seeds} seeds, IQM and 95% interval")
    for i, (name, result) in enumerate(results.items()):
        for j, kind in enumerate(DISTRACTORS):
            success, x = result[kind]["success"], j + 0.2 * (i - 1)
            right.vlines(x, *success["interval"], color=f"C{i}", lw=2)
            right.plot(x, success["interquartile mean"], "s", color=f"C{i}",
                       label=None if j else name)  # fmt: skip
            right.plot([x + 0.06] * seeds, success["each seed"], ".", color=f"C{i}", alpha=0.6)
    right.set_xticks(range(3), [f"{kind} distractors" for kind in DISTRACTORS])
    right.set_ylabel("success in evaluation")
    right.set_title(f"{EPISODES} episodes a seed (dots: seeds)")
    right.grid(alpha=0.3)
    right.legend(frameon=False, loc="lower left")
    figure.savefig(ROOT / "docs/object_picking.png", dpi=150)


def print_table(results: dict[str, Any]) -> None:
    """The table of docs/results.md."""
    print(
        "| core | parameters | " + " | ".join(f"{k}: success, return" for k in DISTRACTORS) + " |"
    )
    print("|---|---|" + "---|" * len(DISTRACTORS))
    for name, result in results.items():
        cells = []
        for kind in DISTRACTORS:
            success, mean = result[kind]["success"], result[kind]["return"]
            low, high = success["interval"]
            cells.append(
                f"{success['interquartile mean']:.1%} [{low:.1%}, {high:.1%}], "
                f"{mean['interquartile mean']:.3f}"
            )
        print(f"| {name} | {result['parameters']:,} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()

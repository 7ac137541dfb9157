"""How time and memory grow: steps, batch, RIMs, hidden size, environments, against torch's LSTM.

    python benchmarks/scaling.py

Times are of forward and backward of the core; memory is the growth of the process's peak while an
update on Pong runs, each in a process of its own. Writes benchmarks/results/scaling.json and .png.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from comparison import ROOT, provenance, write_json
from matplotlib.ticker import LogLocator
from scan import lstm_step, rim_step
from timing import medians
from train_fps import CONTENDERS, ENVS, STEPS

from rims_rl import RIM

BASE = {"steps": 128, "batch": 8, "num_rims": 6, "hidden_size": 510}
SWEEPS: dict[str, Sequence[int]] = {
    "steps": (16, 32, 64, 128, 256, 512),
    "batch": (1, 2, 4, 8, 16, 32, 64),
    "num_rims": (2, 3, 6, 10, 15),
    "hidden_size": (60, 120, 240, 510, 1020),
}
MEMORY = ("rims_rl, RIM 510", "sb3-contrib RecurrentPPO, CnnLstmPolicy 512")


def sweep(name: str, values: Sequence[int], rounds: int) -> list[dict[str, Any]]:
    """Median seconds of RIM and LSTM for each value of one size, the others at their base."""
    rows = []
    for value in values:
        size = {**BASE, name: value}
        hidden = size["hidden_size"] // size["num_rims"] * size["num_rims"]
        x = torch.randn(size["steps"], size["batch"], 512)
        rim = RIM(512, hidden, size["num_rims"], max(1, 2 * size["num_rims"] // 3))
        starts = (torch.rand(x.shape[:2]) < 0.02).float()
        contenders = {"LSTM": lstm_step(x, hidden), "RIM": rim_step(rim, x, starts)}
        times = medians(contenders, rounds)
        rows.append({name: value, "hidden units": hidden, **{n: t[-1] for n, t in times.items()}})
        print(f"{name:12} {value:5}  RIM {rows[-1]['RIM']:.4f} s  LSTM {rows[-1]['LSTM']:.4f} s  "
              f"ratio {rows[-1]['RIM'] / rows[-1]['LSTM']:.2f}", flush=True)  # fmt: skip
    return rows


def memory_of_update(contender: str) -> dict[str, float]:
    """MiB that the process's peak grows by in one update, and the peak itself; run alone."""
    command = [sys.executable, __file__, "--memory-of", contender]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(json.loads(output.splitlines()[-1]))


def print_memory(contender: str) -> None:
    """What `memory_of_update` reads, in its own process."""
    torch.set_num_threads(2)
    model = CONTENDERS[contender]()
    _, callback = model._setup_learn(STEPS * ENVS, None)
    assert model.env is not None
    model.collect_rollouts(model.env, callback, model.rollout_buffer, STEPS)
    before = _resident()
    model.train()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"growth": peak - before, "peak": peak}))


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def draw(results: dict[str, list[dict[str, Any]]]) -> None:
    """One panel for each size."""
    figure, panels = plt.subplots(1, len(results), figsize=(14, 3.2), layout="constrained")
    for axes, (name, rows) in zip(panels, results.items(), strict=True):
        for core in ("RIM", "LSTM"):
            axes.plot([r[name] for r in rows], [1e3 * r[core] for r in rows], "o-", label=core)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks([r[name] for r in rows], [str(r[name]) for r in rows])
        axes.xaxis.minorticks_off()
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(LogLocator(subs=(2, 3, 5, 7)))
        axes.yaxis.set_minor_formatter("{x:g}")
        axes.set_xlabel(name)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("forward + backward, ms")
    panels[0].legend(frameon=False)
    figure.savefig(ROOT / "benchmarks/results/scaling.png", dpi=150)


def main() -> None:
    """Measures, prints, draws and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory-of", choices=MEMORY, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of:
        print_memory(options.memory_of)
        return
    torch.set_num_threads(options.threads)
    memory = {name: memory_of_update(name) for name in MEMORY}
    for name, value in memory.items():
        print(f"memory of an update: {name}: +{value['growth']:.0f} MiB, peak {value['peak']:.0f}")
    results = {name: sweep(name, values, options.rounds) for name, values in SWEEPS.items()}
    draw(results)
    content = {**provenance(), "torch threads": options.threads, "memory, MiB": memory,
               "seconds": results}  # fmt: skip
    write_json(ROOT / "benchmarks/results/scaling.json", content)


if __name__ == "__main__":
    main()

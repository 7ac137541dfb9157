"""Growth of time and memory with steps, batch, inputs, RIMs, units and environments.

    python benchmarks/scaling.py

Against torch's LSTM for the core, forward and backward, and against sb3-contrib's CnnLstmPolicy for
a rollout and update on Pong. Memory is the growth of a process's peak, each in a process of its
own. Writes results/speed/scaling.json and .png.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator
from report import RESULTS, provenance, write_json
from scan import lstm_step, rim_step
from timing import Contender, medians
from train_fps import STEPS, ours, stock_lstm

from rims_rl import RIM

BASE = {"steps": 128, "batch": 8, "input_size": 512, "num_rims": 6, "hidden_size": 510}
SWEEPS: dict[str, Sequence[int]] = {
    "steps": (16, 32, 64, 128, 256, 512),
    "batch": (1, 2, 4, 8, 16, 32, 64),
    "input_size": (16, 64, 128, 256, 512, 1024),
    "num_rims": (2, 3, 6, 10, 15),
    "hidden_size": (60, 120, 240, 510, 1020),
}
N_ENVS = (4, 8, 16, 32)
CORES = ("RIM", "LSTM")
Row = dict[str, Any]


def core_step(core: str, size: Mapping[str, int]) -> Contender:
    """Forward and backward of a core of these sizes."""
    hidden = size["hidden_size"] // size["num_rims"] * size["num_rims"]
    x = torch.randn(size["steps"], size["batch"], size["input_size"])
    if core == "LSTM":
        return lstm_step(x, hidden)
    active = max(1, 2 * size["num_rims"] // 3)
    rim = RIM(size["input_size"], hidden, size["num_rims"], active)
    return rim_step(rim, x, (torch.rand(x.shape[:2]) < 0.02).float())


def sweep(name: str, values: Sequence[int], rounds: int) -> list[Row]:
    """Median seconds and MiB of RIM and LSTM for values of one size, the others at their base."""
    rows = []
    for value in values:
        size = {**BASE, name: value}
        times = medians({core: core_step(core, size) for core in CORES}, rounds)
        seconds = {core: times[core][-1] for core in CORES}
        memory = {core: alone(core, size)["MiB"] for core in CORES}
        rows.append({name: value, "seconds": seconds, "MiB": memory})
        report(name, rows[-1])
    return rows


def environments(rounds: int) -> list[Row]:
    """The same of a rollout and update of whole agents on Pong."""
    rows = []
    for n_envs in N_ENVS:
        found = {core: alone(core, {"n_envs": n_envs, "rounds": rounds}) for core in CORES}
        parts = {part: {core: found[core][part] for core in CORES} for part in ("seconds", "MiB")}
        rows.append({"n_envs": n_envs, **parts})
        report("n_envs", rows[-1])
    return rows


def report(name: str, row: Row) -> None:
    """Prints a line of a sweep."""
    parts = [
        f"{part} RIM {row[part]['RIM']:.4g} LSTM {row[part]['LSTM']:.4g} "
        f"ratio {row[part]['RIM'] / max(row[part]['LSTM'], 1e-9):.2f}"
        for part in ("seconds", "MiB")
    ]
    print(f"{name:12} {row[name]:5}  " + "  ".join(parts), flush=True)


def alone(core: str, size: Mapping[str, int]) -> dict[str, float]:
    """Measures in a process of its own, see `print_alone`."""
    threads = str(torch.get_num_threads())
    command = [sys.executable, __file__, "--alone", core, json.dumps(size), "--threads", threads]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(json.loads(output.splitlines()[-1]))


def print_alone(core: str, size: Mapping[str, int]) -> None:
    """Prints how much a process's peak grows, and for agents the median seconds."""
    if "n_envs" in size:
        n_envs = size["n_envs"]
        model = ours("rim", n_envs=n_envs) if core == "RIM" else stock_lstm(n_envs)
        seconds: list[float] = []

        def work() -> None:
            start = time.perf_counter()
            model.learn(STEPS * n_envs, reset_num_timesteps=False)
            seconds.append(time.perf_counter() - start)

        growth = peak_growth(work)
        for _ in range(size["rounds"]):
            work()
        print(json.dumps({"MiB": growth, "seconds": statistics.median(seconds[1:])}))
        return
    step = core_step(core, size)
    print(json.dumps({"MiB": peak_growth(lambda: step())}))


def peak_growth(work: Callable[[], object]) -> float:
    """MiB that the process's memory rises to above what it has now, during some work."""
    # Linux forgets the peak so far; getrusage's would be the parent's, which is inherited.
    Path("/proc/self/clear_refs").write_text("5")
    before = _memory("VmRSS")
    work()
    return _memory("VmHWM") - before


def _memory(field: str) -> float:
    """A line of this process's status in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def draw(results: Mapping[str, list[Row]]) -> None:
    """One column for each size, time above and memory below."""
    figure, panels = plt.subplots(2, len(results), figsize=(17, 6), layout="constrained")
    for column, (name, rows) in zip(panels.T, results.items(), strict=True):
        draw_growth(column[0], name, rows, "seconds", 1e3)
        draw_growth(column[1], name, rows, "MiB", 1.0)
        column[1].set_xlabel(name)
    panels[0, 0].set_ylabel("ms")
    panels[1, 0].set_ylabel("MiB added to the process's peak")
    panels[0, 0].legend(frameon=False)
    panels[0, -1].set_title("rollout and update on Pong", fontsize=10)
    figure.savefig(RESULTS / "scaling.png", dpi=150)


def draw_growth(axes: Axes, name: str, rows: list[Row], part: str, scale: float) -> None:
    """A line for each core."""
    for core in CORES:
        axes.plot([r[name] for r in rows], [scale * r[part][core] for r in rows], "o-", label=core)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks([r[name] for r in rows], [str(r[name]) for r in rows])
    axes.xaxis.minorticks_off()
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(LogLocator(subs=(2, 3, 5, 7)))
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.grid(alpha=0.3)


def main() -> None:
    """Measures, prints, draws and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--alone", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.alone:
        print_alone(options.alone[0], json.loads(options.alone[1]))
        return
    results = {name: sweep(name, values, options.rounds) for name, values in SWEEPS.items()}
    results["n_envs"] = environments(max(1, options.rounds // 3))
    draw(results)
    content = {**provenance(), "torch threads": options.threads, "sweeps": results}
    write_json(RESULTS / "scaling.json", content)


if __name__ == "__main__":
    main()

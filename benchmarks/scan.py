"""The core alone against torch's LSTM: forward, backward and one step of acting.

    python benchmarks/scan.py
    python benchmarks/scan.py --device cuda

Float32, 512 inputs, 510 hidden units, 6 RIMs with 4 active, GRU dynamics, input gradient, a reset
mask for the RIMs (the LSTM has none). Prints tables, writes results/speed/scan.json, on a GPU
scan-cuda.json.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from report import RESULTS, provenance, write_json
from timing import Contender, medians, now, training_step
from torch import nn

from rims_rl import RIM

INPUT, HIDDEN = 512, 510
SHAPES = ((128, 8), (128, 2), (16, 64), (32, 32))
#: Of acting, one after the other.
STEPS = 32
CORES: dict[str, dict[str, Any]] = {
    "RIM": {},
    "RIM of version 0.1": {"variant": "hard"},
    "RIM, torch path": {"backend": "torch"},
    "RIM, LSTM dynamics": {"dynamics": "lstm"},
    "RIM, no communication": {"communication": None},
    "RIM, released": {"variant": "released"},
    "RIM, reference": {"backend": "reference"},
}
#: Forward and backward in units of the LSTM's, measured once on 2 cores for implementations that
#: others published; without input gradient and reset mask.
PUBLISHED = {
    "the authors' released cell": (18.3, 44.7, 5.1, None),
    "dido1998's RIMCell": (5.5, 14.0, 2.8, None),
}


def lstm_step(x: torch.Tensor, hidden: int = HIDDEN) -> Contender:
    """torch.nn.LSTM in training."""
    lstm = nn.LSTM(x.shape[-1], hidden, device=x.device)
    return training_step(lstm, lambda leaf: lstm(leaf)[0], x)


def rim_step(rim: RIM, x: torch.Tensor, starts: torch.Tensor) -> Contender:
    """A RIM in training."""
    return training_step(rim.to(x.device), lambda leaf: rim(leaf, None, starts)[0], x)


def acting(module: nn.Module, batch: int) -> Contender:
    """A step of many without gradient, on the module's device.

    Steps follow each other as in a rollout: one alone finds the weights of others in the cache.
    """
    device = next(module.parameters()).device
    x = torch.randn(1, batch, INPUT, device=device)
    state = (torch.zeros(1, batch, HIDDEN, device=device),) * 2

    def step() -> tuple[float]:
        with torch.no_grad():
            start = now(x)
            for _ in range(STEPS):
                module(x, state)
            return ((now(x) - start) / STEPS,)

    return step


def ratios(ours: tuple[float, ...], theirs: tuple[float, ...]) -> str:
    """Each part in units of the other's; where there is one part, its sum is the same."""
    parts = [f"{a / b:.2f}" for a, b in zip(ours, theirs, strict=True)]
    return " / ".join(parts if len(parts) > 2 else parts[-1:])


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    results: dict[str, Any] = {}
    for steps, batch in SHAPES:
        x = torch.randn(steps, batch, INPUT, device=options.device)
        starts = (torch.rand(steps, batch, device=options.device) < 0.02).float()
        contenders = {"LSTM": lstm_step(x)}
        contenders |= {
            name: rim_step(RIM(INPUT, HIDDEN, **extra), x, starts) for name, extra in CORES.items()
        }
        times = medians(contenders, options.rounds)
        results[f"T{steps} B{batch}"] = times
    results["acting B8"] = medians(
        {"LSTM": acting(nn.LSTM(INPUT, HIDDEN).to(options.device), 8)}
        | {
            name: acting(RIM(INPUT, HIDDEN, **extra).to(options.device), 8)
            for name, extra in CORES.items()
        },
        options.rounds,
    )
    print("ratio to torch.nn.LSTM: forward / backward / both\n")
    print("| core | " + " | ".join(results) + " |")
    print("|---|" + "---|" * len(results))
    for name in CORES:
        cells = [ratios(times[name], times["LSTM"]) for times in results.values()]
        print(f"| {name} | " + " | ".join(cells) + " |")
    for name, published in PUBLISHED.items() if options.device == "cpu" else ():
        print(f"| {name} | " + " | ".join(str(ratio or "") for ratio in published) + " | |")
    print("\nLSTM, ms: " + ", ".join(f"{s} {1e3 * t['LSTM'][-1]:.2f}" for s, t in results.items()))
    name = "scan.json" if options.device == "cpu" else f"scan-{options.device}.json"
    write_json(
        RESULTS / name,
        {**provenance(), "torch threads": options.threads, "median seconds": results},
    )


if __name__ == "__main__":
    main()

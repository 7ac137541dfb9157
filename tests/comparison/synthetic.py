"""Runs that nobody trained, to compare."""

import functools

import numpy as np

from rims_rl.comparison.comparison import compare
from rims_rl.comparison.record import Record
from rims_rl.comparison.summary import summarise

GAMES = ("PongNoFrameskip-v4", "MinAtar/Breakout-v1", "popgym-RepeatFirstEasy-v0")
CORES = {"lstm": 1.0, "rim-k6-4": 1.6, "gru": 1.2}
STEPS = 4000.0
HOSTILE = "</script><img src=x onerror=\"document.title='broken'\">{{title}}%{x}<b>&amp;"


def record(env, core, seed, height, hours=None):
    """A run whose returns rise to about that height."""
    rng = np.random.default_rng([len(env), len(core), seed])
    steps = np.linspace(20, STEPS, 200)
    returns = height * (1 - np.exp(-steps / 1500)) + rng.normal(0, 0.1, 200) + 0.1 * rng.normal()
    return Record(
        source=f"runs/{seed}", env=env, label=core, seed=seed, steps=steps, returns=returns,
        total=STEPS, hours=hours and steps / STEPS * hours, param_count=1000 * (seed + 1),
        settings={"core": core, "gamma": 0.99, "seed": seed}, command=f"train --seed {seed}",
    )  # fmt: skip


@functools.cache
def summary():
    """Three cores in three games; one core has no runs in the last."""
    runs = [
        record(env, core, seed, height, hours=2.0 if core == "gru" else None)
        for env in GAMES
        for core, height in CORES.items()
        for seed in range(3)
        if (env, core) != (GAMES[-1], "gru")
    ]
    return summarise(compare(runs))


@functools.cache
def hostile_summary():
    """Games and cores whose names try to become part of the page."""
    names = ("lstm", f"rim{HOSTILE}", "__proto__")
    runs = [record(env, core, 0, 1.0) for env in (HOSTILE, "constructor") for core in names]
    return summarise(compare(runs))

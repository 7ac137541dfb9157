"""Writes ``scores.json`` and what rliable says of them, ``numbers.json``; not run by tests.

In an environment of its own:

    python -m venv rliable-env
    rliable-env/bin/pip install rliable==1.2.0 arch==7.2.0 numpy==2.4.6 scipy==1.17.1 'pandas<3'
    rliable-env/bin/python tests/comparison/rliable/make_numbers.py

(arch 7.2 does not import with pandas 3.) It takes some minutes.
"""

import json
from importlib.metadata import version
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from rliable import library, metrics

FOLDER = Path(__file__).parent
PACKAGES = ("rliable", "arch", "numpy", "scipy", "pandas")
LEVELS = [-0.5, 0.0, 0.25, 0.5, 1.0, 1.5, 2.0]
#: Our intervals come of so many resamples: `rims_rl.experiments.statistics.RESAMPLES`.
OURS = 9999
#: The share of resamples below an end of an interval may differ by so many standard errors.
ERRORS = 4.5
REPEATS, REPEATS_IMPROVEMENT = 50_000, 10_000


def groups(seed, games, seeds, others, draw):
    """Scores of two cores, a row for each game."""
    rng = np.random.default_rng(seed)
    return {"seed": seed, "x": draw(rng, (games, seeds)), "y": draw(rng, (games, others)) + 0.25}


def quarters(rng, size):
    return np.round(rng.normal(0.75, 0.5, size) * 4) / 4


def one_game_is_equal(case):
    case["x"][0] = case["y"][0]
    return case


CASES = {
    "normal": groups(0, 5, 4, 4, lambda rng, size: rng.normal(0.8, 0.4, size)),
    "ties": one_game_is_equal(groups(1, 5, 4, 4, quarters)),
    "negative": groups(2, 4, 5, 5, lambda rng, size: rng.normal(-0.5, 1.5, size)),
    "long tail": groups(3, 3, 10, 6, lambda rng, size: rng.lognormal(-0.5, 1.0, size)),
    "no whole quarter": groups(4, 3, 3, 3, lambda rng, size: rng.uniform(-0.2, 2.2, size)),
}


def aggregates(scores):
    """By rliable's names, of (num_runs x num_tasks)."""
    values = (metrics.aggregate_iqm(scores), metrics.aggregate_median(scores),
              metrics.aggregate_mean(scores), metrics.aggregate_optimality_gap(scores))  # fmt: skip
    return np.array([*values, *library.score_distributions(scores, LEVELS)])


def improvement(scores, others):
    return np.array([metrics.probability_of_improvement(scores, others)])


def statistics(func, names, repeats, *scores):
    """Values, intervals, and between which values both ends of others' intervals may lie."""
    kind = (
        library.StratifiedBootstrap if len(scores) == 1 else library.StratifiedIndependentBootstrap
    )
    np.random.seed(0)  # noqa: NPY002 (rliable draws from the global generator)
    bootstrap = kind(*scores)
    tail = 0.025
    noise = ERRORS * np.sqrt(tail * (1 - tail) * (1 / repeats + 1 / OURS))
    # As `library.get_interval_estimates` does it; the same resamples give all three.
    middle, wide, narrow = (
        bootstrap.conf_int(
            func, repeats, method="percentile", size=1 - 2 * share, reuse=share != tail
        )
        for share in (tail, tail - noise, tail + noise)
    )
    return {
        name: {
            "value": value,
            "interval": middle[:, i].tolist(),
            "low between": [wide[0, i], narrow[0, i]],
            "high between": [narrow[1, i], wide[1, i]],
        }
        for i, (name, value) in enumerate(zip(names, func(*scores), strict=True))
    }


def numbers(case):
    x, y = case["x"].T, case["y"].T
    names = ["IQM", "median", "mean", "optimality gap", *(f"above {level}" for level in LEVELS)]
    return {
        **statistics(aggregates, names, REPEATS, x),
        **statistics(improvement, ["improvement"], REPEATS_IMPROVEMENT, x, y),
    }


def write(name, content):
    text = json.dumps(content, indent=1, default=lambda array: array.tolist())
    (FOLDER / name).write_text(text + "\n")


if __name__ == "__main__":
    write("scores.json", {"levels": LEVELS, "cases": CASES})
    made = {
        "versions": {name: version(name) for name in PACKAGES},
        "resamples": {"aggregates": REPEATS, "improvement": REPEATS_IMPROVEMENT, "ours": OURS},
        "standard errors": ERRORS,
    }
    with Pool(2) as pool:
        found = dict(zip(CASES, pool.map(numbers, CASES.values(), chunksize=1), strict=True))
    write("numbers.json", {**made, "cases": found})

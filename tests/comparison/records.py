"""Runs that never were: returns that grow to a level."""

import numpy as np

from rims_rl.comparison.record import Record

TOTAL = 1000.0


def record(core="lstm-h8", seed=0, env="CartPole-v1", level=100.0, total=TOTAL, **changes):
    """A run whose episodes' returns go from 0 to a level within half of its length."""
    steps = np.arange(10.0, total + 1, 10.0)
    returns = level * np.minimum(1.0, 2 * steps / total)
    settings = {"core": core.split("-")[0], "learning_rate": 1e-3, "seed": seed}
    values = {
        "source": f"{env}/{core}/{seed}", "env": env, "label": core, "seed": seed, "steps": steps,
        "returns": returns, "total": total, "hours": steps / 3600, "settings": settings,
        "param_count": 10, "command": f"python -m rims_rl.train --seed {seed}",
    }  # fmt: skip
    return Record(**{**values, **changes})

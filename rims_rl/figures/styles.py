"""How models are called and coloured, the same in all figures of videos."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from rims_rl.core import RIMConfig
from rims_rl.figures.runs import Runs, StoredRun, Wanted
from rims_rl.figures.seed_curves import SeedCurve

_COLOURS: Mapping[str, tuple[str, ...]] = {
    "rim": ("tab:blue",),
    "lstm": ("tab:purple", "tab:orange"),
    "rmc": ("tab:green",),
    "tto": ("black",),
}


def model_name(run: StoredRun) -> str:
    """A model as people call it, e.g. ``RIM 6/4, 600 units``."""
    model = run.task.config.model
    if _is_oracle(run):
        return "oracle (TTO)"
    units = f"{model.hidden_size} units"
    if model.core != "rim":
        return f"{model.core.upper()}, {units}"
    # Without input attention all RIMs are active, whatever was asked for.
    active = RIMConfig(input_size=1, **model.options()).num_active
    return f"RIM {model.num_rims}/{active}, {units}"


def _is_oracle(run: StoredRun) -> bool:
    return bool(run.task.config.model.core == "tto")


def model_curves(
    runs: Runs,
    models: Sequence[Wanted],
    values: Callable[[StoredRun], Sequence[float]],
    x: Sequence[float] | None = None,
) -> list[SeedCurve]:
    """A curve for each model that has runs, with its name, weights and, where not all, seeds.

    Args:
        runs: trains and finds the models.
        models: in the order of the legend.
        values: (X) of a run.
        x: (X); 1 to X if None.
    """
    stored = [found for model in models if (found := runs.stored(model))]
    curves = []
    for found, colour in zip(stored, colours([part[0] for part in stored]), strict=True):
        by_seed = np.array([values(run) for run in found])
        weights = found[0].results["param_count"]
        size = "" if _is_oracle(found[0]) else f", {weights / 1e6:.2g}M weights"
        few = "" if len(found) == len(runs.seeds) else f" ({len(found)} of {len(runs.seeds)} seeds)"
        curves.append(
            SeedCurve(
                label=f"{model_name(found[0])}{size}{few}",
                colour=colour,
                x=x or range(1, 1 + by_seed.shape[1]),
                values=by_seed,
                dashes="--" if _is_oracle(found[0]) else "-",
            )
        )
    return curves


def colours(runs: Sequence[StoredRun]) -> list[str]:
    """A colour for each model: its core's first one, the next for another model of that core."""
    cores = [run.task.config.model.core for run in runs]
    return [_COLOURS[core][cores[:at].count(core)] for at, core in enumerate(cores)]

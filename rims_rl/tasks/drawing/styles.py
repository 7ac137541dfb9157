"""Names and colours of models, the same in all figures of videos."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from rims_rl.core import RIMConfig
from rims_rl.experiments.curves import Curve
from rims_rl.experiments.store import Runs, StoredRun, Wanted
from rims_rl.tasks.wanted import plan_of, planned

_COLOURS: Mapping[str, tuple[str, ...]] = {
    "rim": ("tab:blue",),
    "lstm": ("tab:purple", "tab:orange"),
    "rmc": ("tab:green",),
    "tto": ("black",),
}


def model_name(run: StoredRun) -> str:
    """A model as people call it, e.g. ``RIM 6/4, 600 units``."""
    model = plan_of(run).model
    if _is_oracle(run):
        return "oracle (TTO)"
    units = f"{model.hidden_size} units"
    if model.core != "rim":
        return f"{model.core.upper()}, {units}"
    # Without input attention all RIMs are active, whatever was asked for.
    active = RIMConfig(input_size=1, **model.options()).num_active
    return f"RIM {model.num_rims}/{active}, {units}"


def _is_oracle(run: StoredRun) -> bool:
    return bool(plan_of(run).model.core == "tto")


def model_curves(
    runs: Runs,
    models: Sequence[Wanted],
    values: Callable[[StoredRun], Sequence[float]],
    x: Sequence[float] | None = None,
) -> list[Curve]:
    """A curve for each model that has runs, with its name, weights and, where not all, seeds.

    Args:
        runs: trains and finds the models.
        models: in the order of the legend.
        values: (X) of a run.
        x: (X); 1 to X if None.
    """
    cores = [planned(runs, model).model.core for model in models]
    curves = []
    for model, colour in zip(models, colours(cores), strict=True):
        if not (found := runs.stored(model)):
            continue
        by_seed = np.array([values(run) for run in found])
        weights = found[0].results["param_count"]
        size = "" if _is_oracle(found[0]) else f", {weights / 1e6:.2g}M weights"
        curves.append(
            Curve(
                label=f"{model_name(found[0])}{size}{seeds_note(runs, found)}",
                colour=colour,
                x=x or range(1, 1 + by_seed.shape[1]),
                values=by_seed,
                dashes="--" if _is_oracle(found[0]) else "-",
            )
        )
    return curves


def seeds_note(runs: Runs, found: Sequence[StoredRun]) -> str:
    """`` (2 of 3 seeds)`` behind a model's name where some of its runs are missing."""
    return "" if len(found) == len(runs.seeds) else f" ({len(found)} of {len(runs.seeds)} seeds)"


def colours(cores: Sequence[str]) -> list[str]:
    """A colour for each model: its core's first one, the next for another model of that core."""
    return [_COLOURS[core][cores[:at].count(core)] for at, core in enumerate(cores)]

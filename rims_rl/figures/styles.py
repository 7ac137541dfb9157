"""How models are called and coloured, the same in all figures of videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rims_rl.core import RIMConfig
from rims_rl.figures.runs import StoredRun

_COLOURS: Mapping[str, tuple[str, ...]] = {
    "rim": ("tab:blue",),
    "lstm": ("tab:purple", "tab:orange"),
    "rmc": ("tab:green",),
    "tto": ("black",),
}


def model_name(run: StoredRun) -> str:
    """A model as people call it, e.g. ``RIM 6/4, 600 units``."""
    model = run.task.config.model
    if model.core == "tto":
        return "oracle (TTO)"
    units = f"{model.hidden_size} units"
    if model.core != "rim":
        return f"{model.core.upper()}, {units}"
    # Without input attention all RIMs are active, whatever was asked for.
    active = RIMConfig(input_size=1, **model.options()).num_active
    return f"RIM {model.num_rims}/{active}, {units}"


def colours(runs: Sequence[StoredRun]) -> list[str]:
    """A colour for each model: its core's first one, the next for another model of that core."""
    cores = [run.task.config.model.core for run in runs]
    return [_COLOURS[core][cores[:at].count(core)] for at, core in enumerate(cores)]

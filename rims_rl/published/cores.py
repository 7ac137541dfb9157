"""The cores that the project compares, by the names under which their results stand."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterable, Mapping
from typing import Any

from rims_rl.core import core_options
from rims_rl.core.options import SIZED
from rims_rl.experiments.store import Wanted
from rims_rl.runs.options import overlaid
from rims_rl.training.options import PolicyOptions
from rims_rl.training.trainee import AGENTS

#: Options of `rims_rl.train` beside those of the environment and of the size.
Options = Mapping[str, Any]

NO_CORE, LSTM, GRU, RIM, OLD_RIM = "no core", "LSTM", "GRU", "RIM", "RIM of version 0.1"
NARROW_RIM = "RIM, biases of deviation 1"

#: The default on the way to today's, of which parts were taken away.
NARROW: Options = {"core_kwargs": {"score_bias_std": 1.0}}

CORES: Mapping[str, Options] = {
    NO_CORE: {"core": "none"},
    LSTM: {"core": "lstm"},
    GRU: {"core": "gru"},
    RIM: {},
    OLD_RIM: {"variant": "hard"},
    NARROW_RIM: NARROW,
}

#: The same in every picture, whichever cores are in it.
_COLOURS: Mapping[str, str] = {name: f"C{number}" for number, name in enumerate(CORES)}


def colours_of(names: Iterable[str]) -> dict[str, str]:
    """A colour for each core of a picture: those of `CORES` have their own, others the next."""
    others = itertools.count(len(_COLOURS))
    return {name: _COLOURS.get(name) or f"C{next(others)}" for name in names}


def _rim(**changes: Any) -> Options:
    return overlaid(NARROW, {"core_kwargs": changes})


#: `NARROW_RIM` with one part of it taken away or as it was, and what this part asks for: hard
#: selection reads the null row, heads that read no message have an output map.
PARTS: Mapping[str, Options] = {
    "RIM, null row read": _rim(read_null=True),
    "RIM, hard selection": _rim(selection="hard"),
    "RIM, edge 0.3": _rim(edge_width=0.3),
    "RIM, no key bias": _rim(key_bias=False),
    "RIM, no query bias": _rim(query_bias=False),
    "RIM, values of 64 numbers": _rim(input_value_size=64),
    "RIM, keys of 64 numbers": _rim(input_key_size=64),
    "RIM, communication's heads as in the paper": _rim(
        comm_heads=4, comm_key_size=32, comm_value_size=32
    ),
    "RIM, output map": _rim(comm_output_map=True),
    "RIM, gate bias -2": _rim(comm_gate_bias=-2.0),
    "RIM, no communication": _rim(communication=None),
    "RIM, all active": {"num_active": 6, **NARROW},
}
#: What others wrote, to the letter.
OTHERS: Mapping[str, Options] = {
    "RIM of the paper": {"variant": "paper"},
    "RIM as released": {"variant": "released"},
}

#: What ``--quick`` has instead of a preset's sizes: nothing is learned.
QUICK: Options = {
    "n_envs": 4, "n_steps": 16, "total_timesteps": 640, "hidden_size": 12, "threads": 1,
}  # fmt: skip


#: As `QUICK`, long enough for some games to end.
QUICK_ATARI: Options = {**QUICK, "n_steps": 64, "total_timesteps": 2_048}


def wanted(common: Options, core: Options, quick: Options = QUICK) -> Wanted:
    """The runs of a core, whose settings are those that all cores have.

    Args:
        common: options of all cores, with the environment.
        core: what distinguishes it.
        quick: what ``--quick`` changes.

    Raises:
        ValueError: an unknown core, or one of which an option is set that it does not have.
    """
    options = overlaid(common, core)
    name = options.get("core", PolicyOptions.core)
    ignored = {option for option in SIZED if option not in core_options(name)}
    if wrong := sorted(ignored & set(core)):
        raise ValueError(f"{wrong[0]}: core {name} has no such option; leave it out")
    return Wanted(AGENTS, _without(ignored, options), _without(ignored, quick))


def _without(names: Container[str], options: Options) -> Options:
    return {name: value for name, value in options.items() if name not in names}

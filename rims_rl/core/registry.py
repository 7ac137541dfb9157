"""Cores by name, so that a comparison changes one word, and users add their own."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from rims_rl.core.base import Core
from rims_rl.core.baselines import GRU, LSTM, RNN, FeedForward
from rims_rl.core.forms import register
from rims_rl.core.rim import RIM
from rims_rl.core.rmc import RMC

#: Takes input_size and options by name.
CoreFactory = Callable[..., Core]

_CORES: dict[str, CoreFactory] = {
    "rim": RIM,
    "lstm": LSTM,
    "gru": GRU,
    "rnn": RNN,
    "rmc": RMC,
    "none": FeedForward,
}


def register_core(name: str, factory: CoreFactory) -> None:
    """Makes a core known as ``core=name`` of the policies.

    Args:
        name: a new one.
        factory: a subclass of `Core` or a function that makes one. Its first argument is
            input_size; the others, by name, are the core's options, which ``core_kwargs`` gives.

    Raises:
        ValueError: the name is taken.
    """
    register(_CORES, "core", name, factory)


def core_names() -> tuple[str, ...]:
    """All names that `make_core` knows."""
    return tuple(_CORES)


def core_options(name: str) -> tuple[str, ...]:
    """The options that a core takes.

    Args:
        name: of the core; ``module:name`` imports the module that registers it first.

    Raises:
        ValueError: an unknown name.
    """
    return tuple(inspect.signature(_factory(name)).parameters)[1:]


def make_core(name: str, input_size: int, options: Mapping[str, Any]) -> Core:
    """Makes the core called `name` for rows of input_size features.

    Args:
        name: of the core; ``module:name`` imports the module that registers it first.
        input_size: features of a row.
        options: those that the core takes, see `core_options`.

    Raises:
        ValueError: an unknown name or option, or a value out of range.
    """
    known = core_options(name)
    unknown = [option for option in options if option not in known]
    if unknown:
        choices = f"choose from {', '.join(known)}" if known else "it has none"
        raise ValueError(f"core {name!r} has no option {', '.join(unknown)}: {choices}")
    if "hidden_size" in known and "hidden_size" not in options:
        raise ValueError("the core's options must say hidden_size")
    core = _factory(name)(input_size, **options)
    if not isinstance(core, Core):
        raise TypeError(f"core {name!r} must be a rims_rl.core.Core, got {type(core).__name__}")
    return core


def _factory(name: str) -> CoreFactory:
    module, _, own_name = name.rpartition(":")
    if module and own_name not in _CORES:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise ValueError(f"cannot import {module!r} of core {name!r}: {error}") from error
    if own_name not in _CORES:
        raise ValueError(f"unknown core {name!r}: choose from {', '.join(_CORES)}")
    return _CORES[own_name]

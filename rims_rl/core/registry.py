"""Cores by name, so that a comparison changes one word, and users add their own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any

from torch import nn

from rims_rl.core.base import Core
from rims_rl.core.baselines import GRU, LSTM, RNN, FeedForward
from rims_rl.core.named import Named
from rims_rl.core.rim import RIM
from rims_rl.core.rmc import RMC

#: Takes input_size and options by name.
CoreFactory = Callable[..., Core]

_CORES: Named[CoreFactory] = Named(
    "core",
    {"rim": RIM, "lstm": LSTM, "gru": GRU, "rnn": RNN, "rmc": RMC, "none": FeedForward},
)


def register_core(name: str, factory: CoreFactory) -> None:
    """Makes a core known as ``core=name`` of the policies.

    Args:
        name: a new one.
        factory: a subclass of `Core` or a function that makes one. Its first argument is
            input_size; the others, by name, are the core's options, which ``core_kwargs`` gives.

    Raises:
        ValueError: the name is taken or cannot be one, or the options have no names.
        TypeError: the factory cannot be called, or is a core already.
    """
    if not callable(factory) or isinstance(factory, nn.Module):
        raise TypeError(f"core {name!r} must be a class or function that makes one, got {factory}")
    _parameters(factory)
    _CORES.add(name, factory)


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
    return _parameters(_CORES.find(name))[1:]


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
    core = _CORES.find(name)(input_size, **options)
    if not isinstance(core, Core):
        raise TypeError(f"core {name!r} must be a rims_rl.core.Core, got {type(core).__name__}")
    for size in ("input_size", "hidden_size", "output_size"):
        if not isinstance(getattr(core, size, None), Integral):
            raise TypeError(f"core {name!r} must set self.{size}, a whole number")
    return core


def _parameters(factory: CoreFactory) -> tuple[str, ...]:
    """Names of what a factory takes; those of a class whose ``**kwargs`` go on to its parent, too.

    Raises:
        ValueError: there are other ``**kwargs``.
    """
    if not inspect.isclass(factory):
        named, is_open = _named(inspect.signature(factory))
    else:
        named, is_open = [], True
        for parent in factory.__mro__:
            written = vars(parent)
            if is_open and written.get("__signature__"):
                own, is_open = _named(written["__signature__"])
                named += own
            elif is_open and "__init__" in written and parent is not object:
                own, is_open = _named(inspect.signature(written["__init__"]))
                named += own[1:]  # without self
    if is_open:
        name = getattr(factory, "__name__", repr(factory))
        raise ValueError(f"{name} must name the core's options instead of **kwargs")
    return tuple(dict.fromkeys(named))


def _named(signature: inspect.Signature) -> tuple[list[str], bool]:
    """Names of parameters, and whether there may be more."""
    parameters = signature.parameters.values()
    open_kinds = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    return (
        [p.name for p in parameters if p.kind not in open_kinds],
        any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters),
    )

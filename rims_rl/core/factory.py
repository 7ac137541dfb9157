"""Makes a core by name, so that a comparison changes one word."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, get_args

from rims_rl.core.baselines import GRU, LSTM, FeedForward
from rims_rl.core.config import RIMConfig
from rims_rl.core.rim import RIM

CoreName = Literal["rim", "lstm", "gru", "none"]
Core = RIM | LSTM | GRU | FeedForward

_RIM_OPTIONS = tuple(f.name for f in dataclasses.fields(RIMConfig) if f.init)[1:]


def make_core(name: CoreName, input_size: int, options: Mapping[str, Any]) -> Core:
    """Makes the core called `name` for rows of input_size features.

    All cores take the options of `RIMConfig`; those without RIMs heed hidden_size alone (and
    ``"none"`` not even that), so that the same options serve a whole comparison.

    Raises:
        ValueError: an unknown name or option, or a value out of range.
    """
    if "hidden_size" not in options:
        raise ValueError("the core's options must say hidden_size")
    unknown = set(options) - set(_RIM_OPTIONS)
    if unknown:
        raise ValueError(
            f"unknown core option {', '.join(sorted(unknown))}: choose from "
            f"{', '.join(_RIM_OPTIONS)}"
        )
    if name == "rim":
        return RIM(input_size, **options)
    if name == "none":
        return FeedForward(input_size)
    if name not in get_args(CoreName):
        raise ValueError(f"unknown core {name!r}: choose from {', '.join(get_args(CoreName))}")
    return (LSTM if name == "lstm" else GRU)(input_size, options["hidden_size"])

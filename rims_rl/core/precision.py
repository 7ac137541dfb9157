"""Precision of the convolutions around a core: float32 or bfloat16."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal, get_args

import torch

#: bfloat16 is faster where the processor has units for it.
Precision = Literal["float32", "bfloat16"]


def computing_in(precision: Precision, device: torch.device) -> torch.autocast:
    """A context in which layers compute in this precision; their weights stay as they are.

    Args:
        precision: of the arithmetic.
        device: that it happens on.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """A context in which operations compute in the type of their tensors, whatever is around it."""
    if not is_under_autocast(device):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def is_under_autocast(device: torch.device) -> bool:
    """Tells whether operations on this device choose a type by themselves."""
    available = torch.amp.is_autocast_available(device.type)
    return available and torch.is_autocast_enabled(device.type)


def check_precision(precision: str) -> None:
    """Raises a `ValueError` that names the choices for any other precision."""
    if precision not in get_args(Precision):
        raise ValueError(f"precision {precision!r}: use one of {get_args(Precision)}")

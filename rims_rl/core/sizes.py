"""Sizes that must be whole numbers and divide, with messages that name what works."""

from __future__ import annotations

from numbers import Integral


def is_whole(value: object) -> bool:
    """Tells whether something is a whole number, which True and False are not here."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_positive(name: str, value: int) -> None:
    """Raises a ValueError where a size is no whole number of at least 1."""
    if not is_whole(value) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")


def check_divisible(hidden_size: int, divisor: int, what: str) -> None:
    """Refuses a hidden size that cannot be shared equally.

    Args:
        hidden_size: of the whole.
        divisor: how many parts share it.
        what: the parts, for the message.

    Raises:
        ValueError: the message names sizes that work.
    """
    if hidden_size < 1 or hidden_size % divisor:
        lower = hidden_size // divisor * divisor
        nearest = " or ".join(str(size) for size in (lower, lower + divisor) if size > 0)
        raise ValueError(f"hidden_size {hidden_size} is not divisible by {what}: use {nearest}")

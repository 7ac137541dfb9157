"""Sizes that must divide, with a message that names some that do."""

from __future__ import annotations


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

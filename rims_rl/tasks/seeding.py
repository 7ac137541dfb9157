"""Random streams of generated data: every block of every split has one of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

import numpy as np

from rims_rl.runs.errors import UsageError

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


def check_sizes(**sizes: int) -> None:
    """Refuses numbers of things that are not at least 1.

    Raises:
        UsageError: naming the first such number.
    """
    for name, size in sizes.items():
        if size < 1:
            raise UsageError(f"{name} is {size}: it must be at least 1")


def blocks(
    sequences: int, seed: int, split: Split, size: int
) -> Iterator[tuple[int, np.random.Generator]]:
    """Cuts a split into blocks that are generated one after the other in little memory.

    Args:
        sequences: of the whole split.
        seed: of the data set, not negative.
        split: whose streams are asked for; no two splits share one.
        size: sequences per block; the last one may be smaller.

    Yields:
        The number of sequences of a block, and its own generator.
    """
    for block, start in enumerate(range(0, sequences, size)):
        rng = np.random.default_rng([seed, SPLITS.index(split), block])
        yield min(size, sequences - start), rng

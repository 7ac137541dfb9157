"""Bouncing balls: videos of 64x64 pixels in which discs of different masses collide."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from rims_rl.runs.errors import UsageError
from rims_rl.runs.options import check_seed
from rims_rl.tasks import video_cache as cache
from rims_rl.tasks.balls.physics import Discs, trajectories
from rims_rl.tasks.balls.placement import place, random_velocities
from rims_rl.tasks.balls.render import render
from rims_rl.tasks.seeding import Split, blocks, check_sizes

SIDE = 64
"""Pixels along a side of a frame, and the side of the box that the balls bounce in."""

COLOURS = np.array(
    [
        (255, 64, 64), (64, 255, 64), (80, 112, 255), (255, 255, 64),
        (255, 64, 255), (64, 255, 255), (255, 160, 64), (255, 255, 255),
    ],
    dtype=np.uint8,
)  # fmt: skip
"""RGB of the balls of a coloured set; those of one video differ."""

_VERSION = 1
_BLOCK = 250

_RADIUS = (4.0, 7.0)
_SPEED = (1.0, 3.0)
_CURTAIN = (20, 32)


@dataclass(frozen=True)
class BallsSpec:
    """The description of a set of videos (paper, sections 4.2 and D.4).

    The paper gives counts, frames and numbers of videos; the rest is our reading. Radii are
    uniform in 4 to 7 pixels and masses go with the area, so that a ball's size tells its mass;
    speeds at the start are uniform in 1 to 3 pixels per frame, directions uniform. The curtain is
    an invisible rectangle that hides what is behind it: each side uniform in 20 to 32 pixels,
    anywhere in the frame, still during a video.

    Attributes:
        count: balls in a video: a number ("4") or a range ("6-8"), uniform in it.
        curtain: whether a part of the frame is hidden.
        coloured: whether frames are RGB and each ball has a colour of its own.
        sequences: videos in the split that is asked for.
        seed: of everything random. The motion does not depend on `curtain` and `coloured`.
        frames: of a video.
    """

    count: str = "4"
    curtain: bool = False
    coloured: bool = False
    sequences: int = 50_000
    seed: int = 0
    frames: int = 51

    def __post_init__(self) -> None:
        low, high = self.counts()
        if low > high:
            raise UsageError(f"{self.count!r} balls: the smaller number comes first")
        if low < 1 or high > len(COLOURS):
            raise UsageError(
                f"{self.count!r} balls: at least 1 and at most {len(COLOURS)} are possible"
            )
        check_sizes(sequences=self.sequences, frames=self.frames)
        check_seed(self.seed)

    def counts(self) -> tuple[int, int]:
        """The smallest and the largest number of balls.

        Raises:
            UsageError: `count` is no number or range.
        """
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", self.count)
        if match is None:
            raise UsageError(
                f"{self.count!r} is no number of balls: give one like 4, or a range like 6-8"
            )
        return int(match[1]), int(match[2] or match[1])


def recipe(spec: BallsSpec, split: Split) -> cache.Recipe:
    """The videos of a split, for `rims_rl.tasks.video_cache.load`.

    Args:
        spec: which videos.
        split: "train", "validation" or "test".

    Returns:
        How to make (N, T, 64, 64), or (N, T, 64, 64, 3) if coloured.
    """
    shape = (spec.sequences, spec.frames, SIDE, SIDE)
    kind = "-curtain" * spec.curtain + "-coloured" * spec.coloured
    return cache.Recipe(
        name=f"balls-{spec.count}{kind}-{split}",
        version=_VERSION,
        options=asdict(spec) | {"split": split},
        shape=(*shape, 3) if spec.coloured else shape,
        blocks=lambda: _videos(spec, split),
    )


def _videos(spec: BallsSpec, split: Split) -> Iterator[NDArray[np.uint8]]:
    for count, rng in blocks(spec.sequences, spec.seed, split, _BLOCK):
        motion = _motion(spec, count, rng)
        colours = _colours(motion, rng) if spec.coloured else None
        frames = render(motion.positions, motion.radii, SIDE, colours)
        if spec.curtain:
            _hide(frames, rng)
        yield frames


def _motion(spec: BallsSpec, sequences: int, rng: np.random.Generator) -> Discs:
    low, high = spec.counts()
    counts = rng.integers(low, high, size=(sequences, 1), endpoint=True)
    radii = np.where(
        np.arange(high) < counts, rng.uniform(*_RADIUS, size=(sequences, high)), np.nan
    )
    start = Discs(
        positions=place(radii, SIDE, rng),
        velocities=random_velocities(radii.shape, _SPEED, rng),
        radii=radii,
        masses=radii**2,
    )
    return trajectories(start, SIDE, spec.frames)


def _colours(motion: Discs, rng: np.random.Generator) -> NDArray[np.uint8]:
    """(N, n, 3): a random order of the colours in each video."""
    order = rng.permuted(np.tile(np.arange(len(COLOURS)), (len(motion.radii), 1)), axis=1)
    colours: NDArray[np.uint8] = COLOURS[order[:, : motion.radii.shape[1]]]
    return colours


def _hide(frames: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Blackens a random rectangle of each video."""
    sizes = rng.integers(*_CURTAIN, size=(len(frames), 2), endpoint=True)
    starts = rng.integers(0, SIDE - sizes, endpoint=True)
    for video, (top, left), (height, width) in zip(frames, starts, sizes, strict=True):
        video[:, top : top + height, left : left + width] = 0

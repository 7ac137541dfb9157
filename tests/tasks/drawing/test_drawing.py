"""Strips, curves and correlations on frames and numbers whose answer is known."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure as Picture

from rims_rl.experiments.curves import Curve
from rims_rl.experiments.drawing import draw_curves
from rims_rl.tasks.balls.curves import draw_panel, panel_numbers
from rims_rl.tasks.balls.figure_models import MORE
from rims_rl.tasks.balls.masked_encoders import correlation
from rims_rl.tasks.drawing.rollouts import Rollout
from rims_rl.tasks.drawing.strips import (
    Strip,
    draw_strips,
    paint,
    predicted_strip,
    rollout_marks,
    truth_strip,
)

RNG = np.random.default_rng(0)


@pytest.fixture
def axes():
    return Picture().subplots()


def test_paint_mixes_by_share_and_opacity():
    share = np.array([[[0.0, 0.5, 1.0]]], np.float32)
    below = paint(np.ones_like(share), "white")
    assert np.all(below == 1)
    red = paint(share, "red", 0.5, below)
    np.testing.assert_allclose(red[0, 0, :, 0], 1)
    np.testing.assert_allclose(red[0, 0, :, 1], [1, 0.75, 0.5])


def test_strips_show_the_frames_that_they_name():
    true = np.zeros((9, 2, 2), np.float32)
    predicted = np.zeros((8, 2, 2), np.float32)
    true[4, 0, 0] = predicted[3, 1, 1] = 1  # frame 4 and what was predicted of it
    rollout = Rollout(3, true, predicted, [0.0] * 8)
    frames = rollout.frames(3)
    assert frames == [1, 4, 7]
    truth, shown = (make("", rollout, frames).images for make in (truth_strip, predicted_strip))
    assert truth[1, 0, 0].tolist() == [1, 1, 1]
    assert truth.sum() == 3
    assert shown[1, 1, 1].tolist() == [1, 1, 1]
    blue = np.array(to_rgb("dodgerblue"))
    np.testing.assert_allclose(shown[1, 0, 0] / shown[1, 0, 0].max(), blue, rtol=1e-6)
    assert shown[[0, 2]].sum() == 0


def test_marks_stand_behind_the_frames_that_they_name(axes):
    strips = [Strip(name, np.zeros((4, 10, 10, 3), np.float32)) for name in ("one", "two")]
    draw_strips(axes, strips, [10, 14, 18, 30], rollout_marks(15))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one", "two"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["10", "14", "18", "30"]
    orange, red = axes.lines
    centres = axes.get_xticks()
    assert centres[1] < orange.get_xdata()[0] < centres[2] < red.get_xdata()[0] < centres[3]
    assert (orange.get_color(), red.get_color()) == ("orange", "red")


def test_a_mark_outside_the_strip_is_not_drawn(axes):
    draw_strips(axes, [Strip("", np.zeros((2, 4, 4, 3), np.float32))], [3, 5], {1: "red", 5: "red"})
    assert not axes.lines


def test_inputs_are_true_frames_and_then_predictions():
    true, predicted = (RNG.random((count, 2, 2)).astype(np.float32) for count in (6, 5))
    inputs = Rollout(2, true, predicted, [0.0] * 5).inputs
    assert np.array_equal(inputs, [true[0], true[1], *predicted[1:4]])
    assert np.array_equal(Rollout(5, true, predicted, [0.0] * 5).inputs, true[:5])


def test_curves_have_an_interval_with_several_seeds_only(axes):
    values = RNG.random((3, 4))
    one, many = (Curve(range(4), part, "m", "red") for part in (values[:1], values))
    assert one.numbers()["interval"] is None
    low, high = many.numbers()["interval"]
    assert np.all(low < values.mean(0))
    assert np.all(values.mean(0) < high)
    np.testing.assert_allclose(many.numbers()["center"], values.mean(0))
    draw_curves(axes, [one, many])
    assert len(axes.lines) == 2
    assert len(axes.collections) == 1


def test_panel_tells_the_given_frames_from_the_rest(axes):
    better = Curve(range(1, 6), np.array([[0.9, 0.9, 0.1, 0.1, 0.1]]), "RIM", "blue")
    worse = Curve(range(1, 6), np.array([[0.1, 0.1, 0.2, 0.3, 0.4]]), "LSTM", "red")
    numbers = panel_numbers([worse, better], MORE, given=2)
    assert numbers["mean_rolled_out_bce"]["LSTM"] == pytest.approx([0.3])
    assert numbers["lowest"] == "RIM"
    assert (numbers["train_set"], numbers["test_set"]) == ("4", "6-8")
    draw_panel(axes, [worse, better], "title", given=2)
    assert [list(line.get_xdata()) for line in axes.lines[:3]] == [[1, 2], [1, 2], [2, 3, 4, 5]]
    assert len(axes.get_legend_handles_labels()[1]) == 2


def test_a_panel_without_curves_says_so(axes):
    draw_panel(axes, [], "title", given=2)
    assert [text.get_text() for text in axes.texts] == ["not trained"]


def test_correlation_of_each_rim():
    ink = RNG.random((20, 3, 3)).astype(np.float32)
    active = np.stack([ink[..., 0] > 0.5, ink[..., 1] < 0.5, np.ones((20, 3), bool)], axis=-1)
    follows, avoids, always = correlation(active, ink)
    assert follows > 0.7
    assert avoids < -0.7
    assert always == 0.0

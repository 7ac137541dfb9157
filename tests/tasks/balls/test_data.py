"""Videos show the balls that are simulated, hidden and coloured as asked."""

from dataclasses import replace

import numpy as np
import pytest

from rims_rl.runs.errors import UsageError
from rims_rl.tasks.balls import data
from rims_rl.tasks.balls.data import COLOURS, SIDE, BallsSpec, recipe
from rims_rl.tasks.balls.render import render
from rims_rl.tasks.video_cache import load
from tests.tasks.motion import simulate

FEW = BallsSpec(sequences=6, frames=12)


def test_paper_shapes(tmp_path):
    videos = load(tmp_path, recipe(BallsSpec(sequences=2), "train"))
    assert videos.shape == (2, 51, 64, 64)
    assert videos.dtype == np.uint8
    coloured = load(tmp_path, recipe(BallsSpec(sequences=2, coloured=True), "train"))
    assert coloured.shape == (2, 51, 64, 64, 3)


def test_equal_seeds_equal_videos_and_all_else_different(tmp_path):
    videos = np.array(load(tmp_path / "a", recipe(FEW, "train")))
    assert np.array_equal(videos, load(tmp_path / "b", recipe(FEW, "train")))
    others = [
        load(tmp_path, recipe(replace(FEW, seed=1), "train")),
        load(tmp_path, recipe(FEW, "validation")),
        load(tmp_path, recipe(FEW, "test")),
    ]
    for other in others:
        assert not any((video == videos).all(axis=(1, 2, 3)).any() for video in other)


def test_blocks_have_streams_of_their_own():
    start = simulate(data, BallsSpec(sequences=600, frames=1), "train").positions
    assert len(np.unique(start.reshape(600, -1), axis=0)) == 600


@pytest.mark.parametrize(("count", "found"), [("4", {4}), ("6-8", {6, 7, 8}), ("1", {1})])
def test_the_number_of_balls_is_as_asked(count, found):
    motion = simulate(data, BallsSpec(count=count, sequences=100, frames=2), "train")
    assert set(np.isfinite(motion.radii).sum(axis=1)) == found
    assert np.array_equal(np.isnan(motion.positions[:, 0, :, 0]), np.isnan(motion.radii))


@pytest.mark.parametrize("count", ["4", "6-8"])
def test_balls_are_drawn_where_they_are_and_as_big(tmp_path, count):
    spec = replace(FEW, count=count)
    videos, motion = load(tmp_path, recipe(spec, "test")) / 255.0, simulate(data, spec, "test")
    area = np.nansum(np.pi * motion.radii**2, axis=-1)
    np.testing.assert_allclose(
        videos.sum(axis=(2, 3)), np.repeat(area[:, None], spec.frames, axis=1), rtol=0.01
    )
    for video, frame, ball in np.ndindex(motion.positions.shape[:3]):
        if not np.isnan(motion.radii[video, ball]):
            x, y = motion.positions[video, frame, ball].astype(int)
            assert videos[video, frame, y, x] == 1


def test_masses_differ_and_go_with_the_area():
    motion = simulate(data, FEW, "train")
    assert len(np.unique(motion.masses)) == motion.masses.size
    assert np.ptp(motion.masses / motion.radii**2) < 1e-12


def test_edges_are_smooth_and_moves_below_a_pixel_show():
    centre = np.full((1, 1, 1, 2), 20.0)
    radius = np.full((1, 1), 5.0)
    frame = render(centre, radius, 40)[0, 0]
    assert {0, 255} < set(frame.ravel())
    assert np.array_equal(frame, frame.T)
    assert np.array_equal(frame, frame[::-1, ::-1])
    assert not np.array_equal(frame, render(centre + np.array([0.1, 0]), radius, 40)[0, 0])


@pytest.mark.parametrize("shift", [0.0, 0.25, 0.5, 0.8])
def test_a_drawn_disc_is_close_to_the_exact_coverage(shift):
    frame = render(np.full((1, 1, 1, 2), 10 + shift), np.full((1, 1), 5.3), 20)[0, 0] / 255
    fine = (np.arange(20 * 32) + 0.5) / 32 - (10 + shift)
    inside = fine[:, None] ** 2 + fine**2 <= 5.3**2
    exact = inside.reshape(20, 32, 20, 32).mean(axis=(1, 3))
    assert np.abs(frame - exact).max() < 0.08
    assert abs(frame.sum() - exact.sum()) < 0.01 * exact.sum()


def test_discs_at_the_border_are_drawn_whole():
    places = np.array([[5.0, 5.0], [35.0, 5.0], [5.0, 35.0], [35.0, 35.0]])[None, None]
    frame = render(places, np.full((1, 4), 5.0), 40)[0, 0]
    assert np.array_equal(frame, frame[::-1])
    assert np.array_equal(frame, frame[:, ::-1])
    np.testing.assert_allclose(frame.sum() / 255, 4 * np.pi * 25, rtol=0.01)


def test_the_curtain_hides_a_still_rectangle_and_nothing_else(tmp_path):
    spec = replace(FEW, frames=51, count="6-8")
    plain = load(tmp_path, recipe(spec, "train"))
    hidden = load(tmp_path, recipe(replace(spec, curtain=True), "train"))
    for before, after in zip(plain, hidden, strict=True):
        differs = (before != after).any(axis=0)
        rows, columns = (np.flatnonzero(differs.any(axis=axis)) for axis in (1, 0))
        assert 0 < np.ptp(rows) < 32
        assert 0 < np.ptp(columns) < 32
        assert not after[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].any()


def test_colours_differ_within_a_video_and_follow_their_balls(tmp_path):
    spec = replace(FEW, coloured=True, count="8")
    videos, motion = load(tmp_path, recipe(spec, "train")), simulate(data, spec, "train")
    grey = simulate(data, replace(spec, coloured=False), "train")
    assert np.array_equal(motion.positions, grey.positions)
    for video, places in zip(videos, motion.positions.astype(int), strict=True):
        seen = [frame[xy[:, 1], xy[:, 0]] for frame, xy in zip(video, places, strict=True)]
        assert all(np.array_equal(colours, seen[0]) for colours in seen)
        assert {tuple(colour) for colour in seen[0]} == {tuple(colour) for colour in COLOURS}


@pytest.mark.parametrize("count", ["0", "9", "8-6", "many", "-3", ""])
def test_impossible_counts_are_refused(count):
    with pytest.raises(UsageError, match="balls"):
        BallsSpec(count=count)


def test_impossible_options_are_refused():
    with pytest.raises(UsageError, match="sequences is 0"):
        BallsSpec(sequences=0)
    with pytest.raises(UsageError, match="--seed must be from 0"):
        BallsSpec(seed=-1)


def test_a_background_pixel_is_black(tmp_path):
    videos = load(tmp_path, recipe(FEW, "train"))
    assert videos.min() == 0
    assert videos.max() == 255
    assert 0.02 < videos.mean() / 255 < 4 * np.pi * 49 / SIDE**2

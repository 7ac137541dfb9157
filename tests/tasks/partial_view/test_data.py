"""Balls around a fixed one, and the windows that a model sees of them."""

from dataclasses import replace

import numpy as np
import pytest

from rims_rl.runs.errors import UsageError
from rims_rl.tasks.balls.physics import Discs, advance
from rims_rl.tasks.balls.render import render
from rims_rl.tasks.partial_view import data
from rims_rl.tasks.partial_view.data import SIDE, PartialViewSpec, recipe, views
from rims_rl.tasks.video_cache import load
from tests.tasks.motion import simulate

FEW = PartialViewSpec(sequences=5, frames=20)


@pytest.mark.parametrize("balls", range(1, 7))
def test_balls_of_the_paper_move_around_a_fixed_one(tmp_path, balls):
    spec = PartialViewSpec(balls=balls, sequences=3)
    videos, motion = load(tmp_path, recipe(spec, "test")), simulate(data, spec, "test")
    assert videos.shape == (3, 100, 48, 48)
    assert videos.dtype == np.uint8
    assert motion.positions.shape == (3, 100, 1 + balls, 2)
    assert np.all(motion.positions[:, :, 0] == 24)
    assert np.all(videos[:, :, 22:26, 22:26] == 255)
    assert np.all(np.ptp(motion.positions[:, :, 1:], axis=1).max(axis=-1) > 5)
    area = (1 + balls) * np.pi * motion.radii[0, 0] ** 2
    np.testing.assert_allclose(videos.sum(axis=(2, 3)) / 255, area, rtol=0.01)


def test_balls_bounce_off_the_fixed_one():
    motion = simulate(data, PartialViewSpec(balls=6, sequences=10), "train")
    apart = np.linalg.norm(motion.positions[:, :, 1:] - 24, axis=-1)
    assert apart.min() > 8 - 1e-9
    assert apart.min() < 8.5
    energies = (motion.velocities**2).sum(axis=(2, 3))
    np.testing.assert_allclose(energies, np.repeat(energies[:, :1], 100, axis=1), rtol=1e-11)


def test_the_state_and_the_dynamics_give_the_next_frame(tmp_path):
    spec = PartialViewSpec(balls=6, sequences=3, frames=20)
    videos, motion = load(tmp_path, recipe(spec, "test")), simulate(data, spec, "test")
    for time in range(19):
        now = motion.positions[:, time], motion.velocities[:, time]
        ahead = advance(Discs(*now, motion.radii, motion.masses), SIDE)
        (drawn,) = render(ahead.positions[:, None], motion.radii, SIDE).swapaxes(0, 1)
        assert np.array_equal(drawn, videos[:, time + 1])


def test_seeds_and_splits(tmp_path):
    videos = np.array(load(tmp_path / "a", recipe(FEW, "train")))
    assert np.array_equal(videos, load(tmp_path / "b", recipe(FEW, "train")))
    assert not np.array_equal(videos, load(tmp_path, recipe(FEW, "test")))
    assert not np.array_equal(videos, load(tmp_path, recipe(replace(FEW, seed=1), "train")))


def test_windows_show_what_is_there_now_and_next():
    frames = np.random.default_rng(0).integers(0, 256, size=(2, 6, 48, 48), dtype=np.uint8)
    found = views(frames, np.random.default_rng(1), count=7, side=11)
    assert found.corners.shape == (2, 5, 7, 2)
    assert found.seen.shape == found.targets.shape == (2, 5, 7, 11, 11)
    for video, time, view in np.ndindex(2, 5, 7):
        top, left = found.corners[video, time, view]
        window = np.s_[top : top + 11, left : left + 11]
        assert np.array_equal(found.seen[video, time, view], frames[video, time][window])
        assert np.array_equal(found.targets[video, time, view], frames[video, time + 1][window])


def test_windows_reach_every_corner_and_stay_inside():
    corners = views(np.zeros((40, 60, 48, 48), np.uint8), np.random.default_rng(0)).corners
    assert corners.min(axis=(0, 1, 2)).tolist() == [0, 0]
    assert corners.max(axis=(0, 1, 2)).tolist() == [37, 37]


def test_too_many_balls_are_refused(tmp_path):
    with pytest.raises(UsageError, match="do not fit"):
        load(tmp_path, recipe(replace(FEW, balls=60), "train"))

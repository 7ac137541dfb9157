"""Digits move straight, and leave a wall with a new random velocity."""

from dataclasses import replace

import numpy as np

from rims_rl.tasks import digits
from rims_rl.tasks.moving_mnist.data import FASTEST, MovingMnistSpec, draw, recipe, walk
from rims_rl.tasks.video_cache import load

FEW = MovingMnistSpec(sequences=6)


def test_two_digits_of_the_split_are_seen(tmp_path):
    videos = load(tmp_path, recipe(FEW, "test"))
    assert videos.shape == (6, 30, 64, 64)
    assert videos.dtype == np.uint8
    ink = digits.load("test").images.sum(axis=(1, 2), dtype=int)
    assert np.all(videos.sum(axis=(2, 3), dtype=int) < 2 * ink.max())
    one = load(tmp_path, recipe(replace(FEW, digits=1), "test"))
    assert np.isin(one.sum(axis=(2, 3), dtype=int), ink).all()


def test_overlapping_ink_adds_up_to_white_at_most():
    images = np.array([[90, 100], [200, 90]], np.uint8)[..., None, None] + np.zeros((28, 28), "u1")
    corners = np.array([[[0, 0], [0, 0]], [[0, 0], [20, 30]]])[None].repeat(2, axis=0)
    frames = draw(images, corners)
    assert frames[:, 0, 27, 27].tolist() == [190, 255]
    assert frames[:, 1, 27, 27].tolist() == [90, 200]
    assert frames[:, 1, 20, 30].tolist() == [100, 90]
    assert not frames[:, 0, 28:].any()


def test_seeds_and_splits(tmp_path):
    videos = np.array(load(tmp_path / "a", recipe(FEW, "train")))
    assert np.array_equal(videos, load(tmp_path / "b", recipe(FEW, "train")))
    assert not np.array_equal(videos, load(tmp_path, recipe(FEW, "test")))
    assert not np.array_equal(videos, load(tmp_path, recipe(replace(FEW, seed=1), "train")))


def test_walks_stay_inside_and_change_course_at_walls_only():
    corners = walk((300, 2), 40, np.random.default_rng(0))
    assert corners.min() == 0
    assert corners.max() == 36
    moves = np.diff(corners, axis=1)
    assert np.abs(moves).max() == FASTEST
    turned = (moves[:, 1:] != moves[:, :-1]).any(axis=-1)
    at_wall = ((corners == 0) | (corners == 36)).any(axis=-1)
    assert not (turned & ~at_wall[:, 1:-1] & ~at_wall[:, 2:]).any()


def test_the_velocity_after_a_wall_is_random():
    corners = walk((4000, 1), 40, np.random.default_rng(0))[:, :, 0]
    moves = np.diff(corners, axis=1)
    leaving = (corners[:, 1:-1, 0] == 0) & (moves[:, :-1, 0] < 0) & (moves[:, 1:, 0] > 0)
    away, along = (moves[:, 1:, axis][leaving] for axis in (0, 1))
    assert set(away) == {1, 2, 3, 4}
    assert set(along) == set(range(-4, 5))

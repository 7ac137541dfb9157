"""The strips under the picture show which RIMs are active, at which step."""

import imageio.v2 as imageio
import numpy as np
import pytest

from rims_rl.training.video import (
    MIN_WIDTH,
    WINDOW,
    enlarge,
    frames,
    rim_colour,
    strips,
    write_video,
)


def has_colour(picture, colour):
    return (np.abs(picture.astype(int) - colour).max(axis=-1) == 0).any()


def test_small_pictures_are_enlarged_to_even_sizes():
    large = enlarge(np.zeros((7, 161, 3), np.uint8))
    assert large.shape[1] >= MIN_WIDTH
    assert large.shape[0] % 2 == large.shape[1] % 2 == 0


def test_only_active_rims_are_coloured():
    active = np.array([[True, False, True]])
    strip = strips(active, 0, 480)
    assert [has_colour(strip, rim_colour(k, 3)) for k in range(3)] == [True, False, True]


def test_the_future_is_not_shown():
    active = np.zeros((10, 2), bool)
    active[9, 1] = True
    assert not has_colour(strips(active, 8, 480), rim_colour(1, 2))
    assert has_colour(strips(active, 9, 480), rim_colour(1, 2))


def test_old_steps_scroll_out():
    active = np.zeros((WINDOW + 2, 1), bool)
    active[0, 0] = True
    assert has_colour(strips(active, WINDOW - 1, 480), rim_colour(0, 1))
    assert not has_colour(strips(active, WINDOW, 480), rim_colour(0, 1))


def test_every_rim_has_its_own_colour():
    assert len({rim_colour(k, 10) for k in range(10)}) == 10


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
@pytest.mark.parametrize("rims", [0, 6])
def test_video_reads_back(tmp_path, suffix, rims):
    pictures = [np.full((50, 80, 3), 20 * step, np.uint8) for step in range(5)]
    active = np.ones((5, rims), bool) if rims else None
    path = tmp_path / f"v{suffix}"
    write_video(path, pictures, active, 10)
    assert len(imageio.mimread(path)) == 5
    assert len(list(frames(pictures, active))) == 5

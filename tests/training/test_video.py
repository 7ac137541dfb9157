"""The strips under the picture show which RIMs are active, at which step."""

import imageio.v2 as imageio
import numpy as np
import pytest

from rims_rl.training.video import (
    MIN_WIDTH,
    WINDOW,
    enlarge,
    film,
    rim_colour,
    strips,
)


def has_colour(picture, colour):
    return (np.abs(picture.astype(int) - colour).max(axis=-1) == 0).any()


def test_small_pictures_are_enlarged_to_even_sizes():
    large = enlarge(np.zeros((7, 161, 3), np.uint8))
    assert large.shape[1] >= MIN_WIDTH
    assert large.shape[0] % 2 == large.shape[1] % 2 == 0


def test_only_active_rims_are_coloured():
    active = np.array([[True, False, True]])
    strip = strips(active, 480)
    assert [has_colour(strip, rim_colour(k, 3)) for k in range(3)] == [True, False, True]


def test_the_last_step_is_the_current_one():
    active = np.zeros((10, 2), bool)
    active[9, 1] = True
    shown, before = strips(active, 480), strips(active[:9], 480)
    assert has_colour(shown, rim_colour(1, 2))
    assert not has_colour(before, rim_colour(1, 2))


def test_every_rim_has_its_own_colour():
    assert len({rim_colour(k, 10) for k in range(10)}) == 10


def shoot_all(path, active):
    """A film of pictures that become brighter, one for each row of active RIMs."""
    with film(path, 10) as shoot:
        for step, row in enumerate(active):
            shoot(np.full((50, 80, 3), step, np.uint8), row)


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
@pytest.mark.parametrize("rims", [0, 6])
def test_video_reads_back(tmp_path, suffix, rims):
    path = tmp_path / f"v{suffix}"
    shoot_all(path, np.ones((5, rims), bool) if rims else [None] * 5)
    assert len(imageio.mimread(path)) == 5


def test_old_steps_scroll_out(tmp_path):
    active = np.zeros((WINDOW + 1, 1), bool)
    active[0, 0] = True
    shoot_all(tmp_path / "v.gif", active)
    *_, before, after = imageio.mimread(tmp_path / "v.gif")
    # The palette of a GIF need not have the very colour; the strip's only colourful cell goes.
    colourful = [np.ptp(picture[..., :3].astype(int), axis=-1).max() for picture in (before, after)]
    assert colourful[0] > 100 > colourful[1]


def test_a_film_that_is_cut_off_leaves_the_video_that_was_there(tmp_path):
    path = tmp_path / "v.gif"
    shoot_all(path, [None] * 3)
    kept = path.read_bytes()

    def cut_off():
        yield None
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shoot_all(path, cut_off())
    assert path.read_bytes() == kept
    assert list(tmp_path.iterdir()) == [path]

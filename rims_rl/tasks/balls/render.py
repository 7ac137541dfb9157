"""Draws discs into video frames, with smooth edges."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_FRAMES_AT_ONCE = 1024
"""Keeps the working arrays in the processor's cache."""


def render(
    positions: Floats, radii: Floats, side: int, colours: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Draws discs as (almost exactly) the share of each pixel that they cover.

    Args:
        positions: (N, T, n, 2): centres in pixels, x to the right and y downwards, no disc
            overlapping another; NaN: no such disc.
        radii: (N, n), in pixels.
        side: S, of the square frames.
        colours: (N, n, 3): of each disc; white on one channel if None.

    Returns:
        (N, T, S, S), or (N, T, S, S, 3) with colours; the background is 0.
    """
    n_videos, length, discs, _ = positions.shape
    shades = np.full((n_videos, discs, 1), 255, np.uint8) if colours is None else colours
    frames = np.empty((n_videos * length, side, side, shades.shape[-1]), np.uint8)
    centres = positions.reshape(-1, discs, 2)
    radii, shades = np.repeat(radii, length, axis=0), np.repeat(shades, length, axis=0)
    for start in range(0, len(frames), _FRAMES_AT_ONCE):
        part = slice(start, start + _FRAMES_AT_ONCE)
        frames[part] = _draw(centres[part], radii[part], shades[part], side)
    shape = (n_videos, length, side, side)
    return frames.reshape(shape if colours is None else (*shape, 3))


def _draw(
    centres: Floats, radii: Floats, shades: NDArray[np.uint8], side: int
) -> NDArray[np.uint8]:
    """Frames (F, S, S, C) of discs (F, n, 2), each drawn in a small window around its centre."""
    reach = int(np.ceil(np.nanmax(radii))) + 1
    width = 2 * reach
    canvas = np.zeros((len(centres), side + width, side + width, shades.shape[-1]), np.uint8)
    windows = sliding_window_view(canvas, (width, width), axis=(1, 2), writeable=True)
    for disc in range(radii.shape[1]):
        frame = np.flatnonzero(~np.isnan(radii[:, disc]))
        centre = centres[frame, disc]
        corner = np.rint(centre).astype(int)
        share = _coverage(centre - corner, radii[frame, disc], reach)
        ink = (share[:, None] * shades[frame, disc][:, :, None, None]).astype(np.uint8)
        place = (frame, corner[:, 1], corner[:, 0])
        windows[place] = np.maximum(windows[place], ink)
    return canvas[:, reach:-reach, reach:-reach]


def _coverage(offsets: Floats, radii: Floats, reach: int) -> NDArray[np.float32]:
    """(F, 2·reach, 2·reach): the share of each pixel covered by a disc near the window's centre.

    The edge is taken as straight inside a pixel, and at right angles to the line from the disc's
    centre.
    """
    pixels = np.arange(-reach, reach, dtype=np.float32) + 0.5
    x, y = (pixels - offsets[:, axis, None].astype(np.float32) for axis in (0, 1))
    distance: NDArray[np.float32] = np.sqrt((x * x)[:, None, :] + (y * y)[:, :, None])
    share = radii.astype(np.float32)[:, None, None] + 0.5 - distance
    return share.clip(0.0, 1.0)

"""Random places for discs in a box, without overlap, and random velocities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rims_rl.runs.errors import UsageError

Floats = NDArray[np.float64]

_DRAWS = 20
"""Draws of a disc's place before its box starts anew."""

_ATTEMPTS = 100
"""Starts of a box before it is said to be too full."""

_DENSEST = 0.5
"""Share of a box that discs can cover; at 0.547 random placement jams (Feder 1980)."""


def place(
    radii: Floats, side: float, rng: np.random.Generator, fixed: Floats | None = None
) -> Floats:
    """Places discs one after the other, each uniformly where it fits; crowded boxes start anew.

    Args:
        radii: (N, n); NaN: no such disc.
        side: of the square box.
        rng: draws the places.
        fixed: (2,): where disc 0 is in every box, if not at random.

    Returns:
        (N, n, 2): the centres; NaN where there is no disc.

    Raises:
        UsageError: the discs do not fit.
    """
    positions = np.empty((*radii.shape, 2))
    open_boxes = np.arange(len(radii))
    covered = np.pi * np.nansum(radii**2, axis=1).max() / side**2
    for _ in range(_ATTEMPTS if covered < _DENSEST else 0):
        positions[open_boxes], fits = _try_to_place(radii[open_boxes], side, rng, fixed)
        open_boxes = open_boxes[~fits]
        if not open_boxes.size:
            return positions
    raise UsageError(
        f"{radii.shape[1]} discs of radius up to {np.nanmax(radii):.1f} do not fit into a box of "
        f"side {side:g}: use fewer"
    )


def random_velocities(
    shape: tuple[int, ...], speed: tuple[float, float], rng: np.random.Generator
) -> Floats:
    """(..., 2): uniform directions, and speeds uniform between two bounds."""
    angle = rng.uniform(0, 2 * np.pi, size=shape)
    directions: Floats = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return directions * rng.uniform(*speed, size=(*shape, 1))


def _try_to_place(
    radii: Floats, side: float, rng: np.random.Generator, fixed: Floats | None
) -> tuple[Floats, NDArray[np.bool_]]:
    """One attempt at each box: the centres, and which boxes (N,) came out without overlap."""
    positions = np.empty((*radii.shape, 2))
    fits = np.ones(len(radii), dtype=bool)
    for disc in range(radii.shape[1]):
        boxes = np.arange(len(radii))
        for _ in range(_DRAWS):
            radius = radii[boxes, disc, None]
            centre = radius + rng.random((len(boxes), 2)) * (side - 2 * radius)
            positions[boxes, disc] = centre if fixed is None or disc else fixed
            apart = np.linalg.norm(positions[boxes, :disc] - centre[:, None], axis=-1)
            boxes = boxes[(apart < radii[boxes, :disc] + radius).any(axis=1)]
            if not boxes.size:
                break
        fits[boxes] = False
    return positions, fits

"""Elastic discs in a box: exact motion from collision to collision, many boxes at once.

There are no time steps to choose: each box jumps to its own next collision, whose moment is known
in closed form. So discs cannot tunnel, sink into each other or stick, and energy and momentum are
conserved up to rounding.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


class Discs(NamedTuple):
    """The state of N boxes with up to n discs each, or their motion: T states.

    Attributes:
        positions: (N, n, 2), of a motion (N, T, n, 2): x to the right and y downwards, in
            [0, side]; NaN: no such disc.
        velocities: as positions: distance in a unit of time.
        radii: (N, n).
        masses: (N, n): infinite for a disc that never moves; its velocity is zero.
    """

    positions: Floats
    velocities: Floats
    radii: Floats
    masses: Floats


def trajectories(discs: Discs, side: float, frames: int) -> Discs:
    """Follows discs for some frames, a unit of time apart; the first is the state given.

    Args:
        discs: where they start, without overlap and inside the walls.
        side: of the square box.
        frames: T, at least 1.
    """
    states = [discs]
    for _ in range(frames - 1):
        states.append(advance(states[-1], side))
    positions = np.stack([state.positions for state in states], axis=1)
    velocities = np.stack([state.velocities for state in states], axis=1)
    return discs._replace(positions=positions, velocities=velocities)


def advance(discs: Discs, side: float, duration: float = 1.0) -> Discs:
    """Moves discs for some time, through all their collisions.

    Args:
        discs: where they are, without overlap and inside the walls.
        side: of the square box.
        duration: how long.
    """
    positions, velocities = discs.positions.copy(), discs.velocities.copy()
    left = np.full(len(positions), duration)
    boxes = np.arange(len(positions))
    while boxes.size:
        now = Discs(positions[boxes], velocities[boxes], discs.radii[boxes], discs.masses[boxes])
        event, wait = _next_event(now, side)
        meets = wait < left[boxes]
        step = np.minimum(wait, left[boxes])
        positions[boxes] += now.velocities * step[:, None, None]
        left[boxes] -= step
        boxes, event = boxes[meets], event[meets]
        _collide(positions, velocities, discs, boxes, event)
    return discs._replace(positions=positions, velocities=velocities)


def _next_event(discs: Discs, side: float) -> tuple[Indices, Floats]:
    """Each box's first collision, numbered with the pairs before the walls, and the time to it."""
    pairs, walls = _pair_times(discs), _wall_times(discs, side)
    times = np.concatenate([pairs, walls.reshape(len(walls), -1)], axis=1)
    event = times.argmin(axis=1)
    return event, times[np.arange(len(times)), event]


def _pair_times(discs: Discs) -> Floats:
    """(N, pairs): when |d + v t| = R for the distance d and the relative velocity v of a pair.

    Only approaching pairs collide, so that a pair that has just collided does not do so again.
    """
    first, second = _pairs(discs.radii.shape[1])
    d = discs.positions[:, second] - discs.positions[:, first]
    v = discs.velocities[:, second] - discs.velocities[:, first]
    a, b, c = (np.einsum("bpx,bpx->bp", p, q) for p, q in ((v, v), (d, v), (d, d)))
    c -= (discs.radii[:, first] + discs.radii[:, second]) ** 2
    root = b * b - a * c
    meets = (b < 0) & (root >= 0)
    # c / (-b + sqrt) loses no digits where the textbook's (-b - sqrt) / a does; in contact, c is
    # zero but for rounding.
    near = np.maximum(c, 0.0) / (np.sqrt(np.where(meets, root, 1.0)) - np.where(meets, b, 0.0))
    return np.where(meets, near, np.inf)


def _wall_times(discs: Discs, side: float) -> Floats:
    """(N, n, 2): when each disc reaches the wall that it moves towards, in x and in y."""
    radii, v = discs.radii[..., None], discs.velocities
    gap = np.where(v > 0, side - radii - discs.positions, discs.positions - radii)
    moves = (v != 0) & ~np.isnan(gap)
    return np.where(moves, np.maximum(gap, 0.0) / np.abs(np.where(moves, v, 1.0)), np.inf)


def _collide(
    positions: Floats, velocities: Floats, discs: Discs, boxes: Indices, event: Indices
) -> None:
    """Changes the velocities of the discs that meet each other or a wall."""
    first, second = _pairs(discs.radii.shape[1])
    wall = event >= len(first)
    disc, axis = np.divmod(event[wall] - len(first), 2)
    velocities[boxes[wall], disc, axis] *= -1
    boxes, event = boxes[~wall], event[~wall]
    i, j = (boxes, first[event]), (boxes, second[event])
    normal = positions[j] - positions[i]
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    speed = np.einsum("bx,bx->b", velocities[j] - velocities[i], normal)
    impulse = (2 * speed / (1 / discs.masses[i] + 1 / discs.masses[j]))[:, None] * normal
    velocities[i] += impulse / discs.masses[i][:, None]
    velocities[j] -= impulse / discs.masses[j][:, None]


def _pairs(n: int) -> tuple[Indices, Indices]:
    first, second = np.triu_indices(n, k=1)
    return first, second

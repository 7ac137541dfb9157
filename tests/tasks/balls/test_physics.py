"""Discs conserve what elastic discs conserve, and never leave the box or overlap."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rims_rl.runs.errors import UsageError
from rims_rl.tasks.balls.physics import Discs, advance, trajectories
from rims_rl.tasks.balls.placement import place, random_velocities
from tests.tasks.motion import join

SIDE = 64.0


def random_discs(seed, count, fastest=3.0, boxes=3, fixed=False):
    rng = np.random.default_rng(seed)
    radii = rng.uniform(3, 7, size=(boxes, count))
    positions = place(radii, SIDE, rng)
    velocities = random_velocities(radii.shape, (0, fastest), rng)
    masses = rng.uniform(0.1, 10, size=radii.shape)
    if fixed:
        masses[:, 0], velocities[:, 0] = np.inf, 0
    return Discs(positions, velocities, radii, masses)


def discs_of(*discs):
    """One box of discs, each given as x, y, vx, vy, radius, mass."""
    table = np.array(discs, dtype=float)[None]
    return Discs(table[..., :2], table[..., 2:4], table[..., 4], table[..., 5])


def energy(velocities, masses):
    return 0.5 * np.nansum(masses * (velocities**2).sum(axis=-1), axis=-1)


def smallest_gap(positions, radii):
    first, second = np.triu_indices(radii.shape[-1], k=1)
    apart = np.linalg.norm(positions[..., first, :] - positions[..., second, :], axis=-1)
    return np.nanmin(apart - (radii[:, first] + radii[:, second])[:, None], initial=np.inf)


seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=40)
@given(seeds, st.integers(1, 8), st.sampled_from([0.5, 3.0, 200.0]), st.booleans())
def test_discs_stay_apart_and_inside_and_keep_their_energy(seed, count, fastest, fixed):
    discs = random_discs(seed, count, fastest, fixed=fixed)
    path = trajectories(discs, SIDE, 15)
    radii = discs.radii[:, None, :, None]
    assert smallest_gap(path.positions, discs.radii) > -1e-9
    assert np.all(path.positions > radii - 1e-9)
    assert np.all(path.positions < SIDE - radii + 1e-9)
    masses = np.where(np.isinf(discs.masses), 0, discs.masses)[:, None]
    energies = energy(path.velocities, masses)
    np.testing.assert_allclose(energies, np.repeat(energies[:, :1], 15, axis=1), rtol=1e-12)
    if fixed:
        assert np.all(path.positions[:, :, 0] == path.positions[:, :1, 0])


@settings(max_examples=25)
@given(seeds, st.integers(2, 8))
def test_momentum_is_conserved_where_no_wall_is_met(seed, count):
    discs = random_discs(seed, count)
    far = discs._replace(positions=discs.positions + 1000)
    after = advance(far, 3000.0, 40.0)
    before = np.einsum("bn,bnx->bx", discs.masses, discs.velocities)
    now = np.einsum("bn,bnx->bx", discs.masses, after.velocities)
    np.testing.assert_allclose(now, before, atol=1e-12)


@settings(max_examples=25)
@given(seeds, st.integers(1, 6))
def test_running_backwards_leads_back(seed, count):
    discs = random_discs(seed, count)
    there = advance(discs, SIDE, 8.0)
    back = advance(there._replace(velocities=-there.velocities), SIDE, 8.0)
    np.testing.assert_allclose(back.positions, discs.positions, atol=1e-6)


def test_cutting_the_time_changes_nothing():
    discs = random_discs(1, 5, boxes=20)
    halves = advance(advance(discs, SIDE, 2.0), SIDE, 2.0)
    np.testing.assert_allclose(halves.positions, advance(discs, SIDE, 4.0).positions, atol=1e-9)


def test_boxes_do_not_influence_each_other():
    discs = random_discs(2, 5, boxes=6)
    alone = [trajectories(Discs(*(part[i : i + 1] for part in discs)), SIDE, 9) for i in range(6)]
    assert np.array_equal(join(alone).positions, trajectories(discs, SIDE, 9).positions)


def test_a_head_on_collision_follows_the_formula():
    # Contact after 2 units; v1' = (m1 - m2) / (m1 + m2) v1, v2' = 2 m1 / (m1 + m2) v1.
    after = advance(discs_of((10, 30, 3, 0, 2, 1), (20, 30, 0, 0, 2, 2)), SIDE, 4.0)
    np.testing.assert_allclose(after.velocities[0], [[-1, 0], [2, 0]], atol=1e-14)
    np.testing.assert_allclose(after.positions[0], [[14, 30], [24, 30]], atol=1e-13)


def test_a_grazing_disc_is_turned_along_the_line_of_centres_only():
    # Centres at contact lie at 45 degrees: equal masses swap that component.
    offset = 4 * np.sqrt(0.5)
    after = advance(discs_of((10, 30, 1, 0, 2, 1), (20, 30 + offset, 0, 0, 2, 1)), SIDE, 9.0)
    np.testing.assert_allclose(after.velocities[0], [[0.5, -0.5], [0.5, 0.5]], atol=1e-14)


def test_a_fixed_disc_reflects_and_stays():
    after = advance(discs_of((10, 30, 2, 0, 2, 1), (20, 30, 0, 0, 2, np.inf)), SIDE, 4.0)
    np.testing.assert_allclose(after.velocities[0], [[-2, 0], [0, 0]])
    np.testing.assert_allclose(after.positions[0], [[14, 30], [20, 30]], atol=1e-13)


def test_a_corner_reflects_both_ways():
    after = advance(discs_of((10, 10, -2, -2, 4, 1)), SIDE, 5.0)
    np.testing.assert_allclose(after.positions[0], [[8, 8]])
    np.testing.assert_allclose(after.velocities[0], [[2, 2]])


def test_a_row_of_touching_discs_hands_the_push_on():
    row = [(20 + 4 * i, 30, 0, 0, 2, 1) for i in range(4)]
    after = advance(discs_of((10, 30, 1, 0, 2, 1), *row), SIDE, 10.0)
    np.testing.assert_allclose(after.velocities[0, :, 0], [0, 0, 0, 0, 1], atol=1e-12)


@pytest.mark.parametrize("count", [3, 4, 6])
def test_discs_that_meet_in_one_point_at_once_part_again(count):
    angles = 2 * np.pi * np.arange(count) / count
    ring = [
        (32 + 20 * np.cos(a), 32 + 20 * np.sin(a), -2 * np.cos(a), -2 * np.sin(a), 3, 1)
        for a in angles
    ]
    start = discs_of(*ring)
    path = trajectories(start, SIDE, 40)
    assert smallest_gap(path.positions, start.radii) > -1e-9
    np.testing.assert_allclose(energy(path.velocities[:, -1], start.masses), 2 * count)


def test_a_missing_disc_stays_missing_and_touches_nothing():
    some = discs_of((10, 30, 2, 1, 3, 1), (40, 30, -1, 2, 4, 2))
    missing = np.full((1, 1, 2), np.nan)
    more = Discs(
        np.concatenate([some.positions, missing], axis=1),
        np.concatenate([some.velocities, np.ones((1, 1, 2))], axis=1),
        np.concatenate([some.radii, missing[..., 0]], axis=1),
        np.concatenate([some.masses, missing[..., 0]], axis=1),
    )
    few, many = (trajectories(discs, SIDE, 60).positions for discs in (some, more))
    assert np.array_equal(many[:, :, :2], few)
    assert np.isnan(many[:, :, 2]).all()


@settings(max_examples=25)
@given(seeds, st.integers(1, 8))
def test_discs_start_apart_and_inside(seed, count):
    discs = random_discs(seed, count)
    assert smallest_gap(discs.positions[:, None], discs.radii) >= 0
    assert np.all(discs.positions >= discs.radii[..., None])
    assert np.all(discs.positions <= SIDE - discs.radii[..., None])


def test_too_many_discs_are_refused():
    with pytest.raises(UsageError, match=r"60 discs .* do not fit"):
        place(np.full((2, 60), 6.0), SIDE, np.random.default_rng(0))

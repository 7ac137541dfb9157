"""The positions of balls in videos, to be held against what the videos show."""

import numpy as np

from rims_rl.tasks.balls.physics import Discs
from rims_rl.tasks.seeding import blocks


def join(parts):
    """The motion of several groups of boxes, with equal T and n, as one."""
    return Discs(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def simulate(data, spec, split):
    """The motion in the videos of ``data.recipe(spec, split)``, for either module of balls."""
    parts = blocks(spec.sequences, spec.seed, split, data._BLOCK)
    return join([data._motion(spec, count, rng) for count, rng in parts])

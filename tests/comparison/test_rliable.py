"""Our statistics over games and seeds are rliable's (Agarwal et al. 2021), by its own numbers.

``rliable/make_numbers.py`` made them. Values agree to rounding. Both intervals are ends of random
resamples, so they agree up to that noise: the share of resamples below a true end is binomial
around 2.5% or 97.5%, and an end of ours must lie between the values that rliable's resamples have
4.5 standard errors of that share to both sides (of both samples together). This holds whatever the
distribution, also where few values are possible.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from rims_rl.comparison.aggregate import (
    AGGREGATES,
    performance_profile,
    probability_of_improvement,
)
from rims_rl.experiments.statistics import RESAMPLES, stratified_bootstrap

FOLDER = Path(__file__).parent / "rliable"
SCORES = json.loads((FOLDER / "scores.json").read_text())
NUMBERS = json.loads((FOLDER / "numbers.json").read_text())
LEVELS = np.array(SCORES["levels"])
#: What adding up in another order changes.
ROUNDING = 1e-12


def statistics():
    """Ours by rliable's names, and of how many groups they are."""
    profile = {
        f"above {level}": lambda x, i=i: performance_profile(x, LEVELS)[..., i]
        for i, level in enumerate(SCORES["levels"])
    }
    one = {name: (statistic, 1) for name, statistic in {**AGGREGATES, **profile}.items()}
    return {**one, "improvement": (probability_of_improvement, 2)}


STATISTICS = statistics()


def groups(case, count):
    return [[np.array(game) for game in SCORES["cases"][case][key]] for key in ("x", "y")[:count]]


def test_all_of_rliables_numbers_are_compared():
    assert NUMBERS["resamples"]["ours"] == RESAMPLES
    for numbers in NUMBERS["cases"].values():
        assert set(numbers) == set(STATISTICS)


@pytest.mark.parametrize("case", SCORES["cases"])
@pytest.mark.parametrize("name", STATISTICS)
def test_values_agree(case, name):
    statistic, count = STATISTICS[name]
    ours = statistic(*groups(case, count))
    np.testing.assert_allclose(ours, NUMBERS["cases"][case][name]["value"], rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("case", SCORES["cases"])
@pytest.mark.parametrize("name", STATISTICS)
def test_intervals_agree_up_to_the_noise_of_resampling(case, name):
    statistic, count = STATISTICS[name]
    theirs = NUMBERS["cases"][case][name]
    found = stratified_bootstrap(statistic, *groups(case, count))
    assert found is not None
    for ours, end, between in zip(found, theirs["interval"], ("low", "high"), strict=True):
        least, most = theirs[f"{between} between"]
        assert least - ROUNDING <= ours <= most + ROUNDING
        assert least <= end <= most

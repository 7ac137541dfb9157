"""Properties that statistics over games and seeds must have, whatever the scores."""

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from rims_rl.comparison.aggregate import (
    AGGREGATES,
    OPTIMAL,
    mean_of_games,
    median_of_games,
    optimality_gap,
    performance_profile,
    pooled_iqm,
    probability_of_improvement,
)
from rims_rl.experiments.statistics import stratified_bootstrap

#: Of few digits, so that ties occur and sums are exact enough.
SCORE = st.integers(-300, 300).map(lambda hundredths: hundredths / 100)
GAME = st.lists(SCORE, min_size=1, max_size=6).map(np.array)
GAMES = st.lists(GAME, min_size=1, max_size=5)
#: Two cores in the same games, each with its own number of seeds.
PAIRS = st.lists(st.tuples(GAME, GAME), min_size=1, max_size=5).map(
    lambda pairs: tuple(zip(*pairs, strict=True))
)
#: Those that a shift moves and a positive factor scales.
LOCATIONS = [pooled_iqm, mean_of_games, median_of_games]
STATISTICS = pytest.mark.parametrize("statistic", AGGREGATES.values(), ids=list(AGGREGATES))
RESAMPLES = 200
FEW = settings(max_examples=50)


def interval(statistic, *groups, seed=0):
    return stratified_bootstrap(statistic, *groups, resamples=RESAMPLES, seed=seed)


def assert_close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-9)


@STATISTICS
@FEW
@given(scores=GAMES)
def test_an_interval_is_ordered_and_lies_among_what_the_scores_allow(statistic, scores):
    assume(min(map(len, scores)) > 1)
    low, high = interval(statistic, scores)
    runs = np.concatenate(scores)
    least, most = runs.min(), runs.max()
    if statistic is optimality_gap:
        least, most = OPTIMAL - min(most, OPTIMAL), OPTIMAL - min(least, OPTIMAL)
    assert least - 1e-9 <= low <= high <= most + 1e-9


# Percentiles of a resampled median or trimmed mean need not do so.
@pytest.mark.parametrize("statistic", [mean_of_games, optimality_gap])
@FEW
@given(scores=GAMES, seed=st.integers(0, 2**32 - 1))
def test_an_interval_of_a_mean_brackets_it(statistic, scores, seed):
    scores = [np.concatenate([game, game + 0.01]) for game in scores]
    low, high = interval(statistic, scores, seed=seed)
    assert low - 1e-9 <= statistic(scores) <= high + 1e-9


@STATISTICS
@FEW
@given(scores=GAMES, seed=st.integers(0, 2**32 - 1))
def test_the_same_generator_draws_the_same_interval(statistic, scores, seed):
    assert interval(statistic, scores, seed=seed) == interval(statistic, scores, seed=seed)


@STATISTICS
@FEW
@given(scores=st.lists(SCORE.map(lambda score: np.array([score])), min_size=1, max_size=5))
def test_one_seed_in_each_game_has_no_interval(statistic, scores):
    assert interval(statistic, scores) is None


@FEW
@given(scores=st.lists(SCORE.map(lambda score: np.array([score])), min_size=1, max_size=5))
def test_one_seed_against_several_has_no_interval(scores):
    """A single seed counts as known to the digit: an interval would say more than is known."""
    others = [np.append(game, 0.0) for game in scores]
    assert interval(probability_of_improvement, scores, scores) is None
    assert interval(probability_of_improvement, scores, others) is None
    assert interval(probability_of_improvement, others, others) is not None
    assert interval(pooled_iqm, [*others, scores[0]]) is None


@STATISTICS
@FEW
@given(score=SCORE, sizes=st.lists(st.integers(2, 5), min_size=1, max_size=4))
def test_scores_without_spread_have_an_interval_without_width(statistic, score, sizes):
    scores = [np.full(size, score) for size in sizes]
    assert_close(interval(statistic, scores), [statistic(scores)] * 2)


@STATISTICS
@FEW
@given(scores=GAMES, data=st.data())
def test_order_of_seeds_and_of_games_does_not_matter(statistic, scores, data):
    shuffled = [np.array(data.draw(st.permutations(game.tolist()))) for game in scores]
    assert_close(statistic(shuffled), statistic(scores))
    assert_close(statistic(data.draw(st.permutations(scores))), statistic(scores))


@pytest.mark.parametrize("statistic", LOCATIONS)
@FEW
@given(scores=GAMES, shift=SCORE, scale=st.floats(0.1, 10))
def test_shift_and_scale(statistic, scores, shift, scale):
    moved = [scale * game + shift for game in scores]
    assert_close(statistic(moved), scale * statistic(scores) + shift)


@pytest.mark.parametrize("statistic", [mean_of_games, median_of_games])
@FEW
@given(scores=GAMES)
def test_means_and_medians_change_sides_with_the_scores(statistic, scores):
    assert_close(statistic([-game for game in scores]), -statistic(scores))


@pytest.mark.parametrize("statistic", LOCATIONS)
@FEW
@given(scores=GAMES, data=st.data())
def test_a_better_run_never_lowers_a_location(statistic, scores, data):
    index = data.draw(st.integers(0, len(scores) - 1))
    better = [game.copy() for game in scores]
    better[index][0] += data.draw(st.floats(0, 5))
    assert statistic(better) >= statistic(scores) - 1e-9
    assert optimality_gap(better) <= optimality_gap(scores) + 1e-9


@FEW
@given(scores=GAMES)
def test_the_gap_of_scores_below_the_optimum_is_their_distance_from_it(scores):
    low = [np.minimum(game, OPTIMAL) for game in scores]
    assert_close(optimality_gap(low), OPTIMAL - np.concatenate(low).mean())
    assert_close(optimality_gap(scores), optimality_gap(low))
    assert_close(optimality_gap([game + 4 for game in scores]), 0)


@FEW
@given(scores=GAMES, levels=st.lists(SCORE, min_size=1, max_size=8).map(sorted).map(np.array))
def test_a_profile_falls_with_the_level_from_all_to_none(scores, levels):
    shares = performance_profile(scores, levels)
    assert shares.shape == levels.shape
    assert (np.diff(shares) <= 0).all()
    runs = np.concatenate(scores)
    assert_close(performance_profile(scores, np.array([runs.min() - 1, runs.max()])), [1, 0])


@FEW
@given(scores=GAMES)
def test_the_area_under_a_profile_is_the_mean_of_all_runs(scores):
    runs = np.concatenate(scores)
    middles = np.arange(-299.5, 300) / 100  # between the possible scores: the sum is exact
    area = performance_profile(scores, middles).sum() / 100
    assert_close(-3 + area, runs.mean())


@FEW
@given(pair=PAIRS)
def test_swapping_cores_gives_the_other_probability(pair):
    scores, others = pair
    one, other = (
        probability_of_improvement(scores, others),
        probability_of_improvement(others, scores),
    )
    assert_close(one + other, 1)
    assert 0 <= one <= 1


@FEW
@given(scores=GAMES)
@example(scores=[np.array([0.1, 0.2, 0.3])] * 3)
def test_equal_groups_have_a_probability_of_exactly_a_half(scores):
    assert probability_of_improvement(scores, scores) == 0.5


@FEW
@given(pair=PAIRS)
def test_improvement_is_of_the_order_alone(pair):
    scores, others = pair
    expected = probability_of_improvement(scores, others)
    cubed = [[(game * 100).round() ** 3 for game in group] for group in pair]
    assert_close(probability_of_improvement(*cubed), expected)
    above = [game.max() + 1 + np.abs(theirs) for theirs, game in zip(scores, others, strict=True)]
    assert probability_of_improvement(above, others) == 1


@STATISTICS
@FEW
@given(scores=GAMES, drawn=st.integers(1, 4))
def test_a_statistic_of_resamples_is_that_of_each(statistic, scores, drawn):
    rng = np.random.default_rng(0)
    resamples = [rng.choice(game, (drawn, len(game))) for game in scores]
    each = [statistic([game[i] for game in resamples]) for i in range(drawn)]
    assert_close(statistic(resamples), each)


@FEW
@given(pair=PAIRS, levels=st.lists(SCORE, min_size=1, max_size=4).map(np.array))
def test_profiles_and_improvements_of_resamples_are_those_of_each(pair, levels):
    rng = np.random.default_rng(0)
    ours, theirs = ([rng.choice(game, (3, len(game))) for game in group] for group in pair)
    for i in range(3):
        one, other = [game[i] for game in ours], [game[i] for game in theirs]
        assert_close(performance_profile(ours, levels)[i], performance_profile(one, levels))
        expected = probability_of_improvement(one, other)
        assert_close(probability_of_improvement(ours, theirs)[i], expected)

"""Statistics of episodes, against values worked out by hand, and fair counting of games."""

from typing import Any

import numpy as np
import pytest
from stable_baselines3.common.env_util import make_vec_env

from rims_rl.training.episodes import Episodes, play


def test_summary():
    episodes = Episodes(
        [0.0, 1.0, 2.0, 3.0, 100.0], [1, 2, 3, 4, 5], [True, False, True, True, True]
    )
    summary = episodes.summary()
    assert summary["mean"] == pytest.approx(21.2)
    assert summary["median"] == 2
    assert summary["iqm"] == pytest.approx(2.0)
    assert summary["success_rate"] == pytest.approx(0.8)
    for name, value in (("mean_interval", 21.2), ("iqm_interval", 2.0)):
        low, high = summary[name]
        assert low <= value <= high
    low, high = summary["success_interval"]
    assert 0 < low < 0.8 < high < 1


def test_an_interval_depends_on_the_games_alone():
    episodes = Episodes(np.random.default_rng(0).normal(size=30).tolist(), [1] * 30)
    assert episodes.summary() == episodes.summary()
    assert "success_rate" not in episodes.summary()


def test_single_and_equal_returns():
    assert Episodes([5.0], [1]).summary()["mean_interval"] is None
    assert Episodes([5.0, 5.0], [1, 1]).summary()["mean_interval"] == [5.0, 5.0]


class Pushes:
    """Pushes left in the first environment (short games) and balances in the second."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return np.array([0, int(observation[1][2] > 0)]), None


def test_short_games_are_not_favoured():
    env = make_vec_env("CartPole-v1", 2, seed=0)
    player: Any = Pushes()  # games need nothing else of a model
    seen = []
    episodes = play(player, env, 6, deterministic=True, on_step=lambda e: seen.append(e))
    assert len(episodes.returns) == len(episodes.lengths) == 6
    assert sum(length < 12 for length in episodes.lengths) == 3
    assert seen

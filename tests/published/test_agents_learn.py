"""Agents learn a task that cannot be solved without a memory, by the published settings."""

import pytest

from rims_rl.experiments.store import Runs
from rims_rl.published.learning import LEARNING_TASKS


@pytest.mark.slow
@pytest.mark.parametrize("core", ["RIM", "LSTM"])
def test_cartpole_without_velocities(core, tmp_path):
    wanted = LEARNING_TASKS["CartPole without velocities"].wanted(core)
    (run,) = Runs(tmp_path, [0]).every_seed(wanted)
    assert run.results["last_evaluation"]["eval/mean_reward"] > 400

"""What a run's tables and command add up to."""

import numpy as np
import pandas as pd
import pytest

from rims_rl.training.results import ELAPSED, ROLLOUTS, STEPS, _command, hours_at


@pytest.mark.parametrize(
    ("elapsed", "rollouts", "hours"),
    [
        ((1800, 3600, 1800, 3600), (1, 2, 1, 2), (0.5, 1, 1.5, 2)),
        ((900, 3600, 5400), (1, 1, 2), (0.25, 1.25, 1.75)),  # the first rollout again, and slower
    ],
)
def test_hours_go_on_when_the_clock_restarts(elapsed, rollouts, hours):
    steps = np.arange(1.0, len(elapsed) + 1)
    progress = pd.DataFrame({STEPS: steps, ELAPSED: elapsed, ROLLOUTS: rollouts})
    found = hours_at(progress, steps)
    assert found is not None
    np.testing.assert_allclose(found, hours)


@pytest.mark.parametrize("place", ["--run-dir 'my runs/r'", "--run-dir=r", ""])
def test_the_command_names_no_folder_of_this_machine(tmp_path, place):
    command = f"python -m rims_rl.train --env CartPole-v1 {place} --seed 1\n"
    (tmp_path / "command.txt").write_text(command)
    assert _command(tmp_path) == "python -m rims_rl.train --env CartPole-v1 --seed 1"

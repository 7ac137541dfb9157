"""What is refused when a run is to go on."""

import pytest

from rims_rl.runs.errors import UsageError
from rims_rl.runs.folder import check_new_folder
from rims_rl.runs.session import resumed_session
from rims_rl.training.trainee import AGENTS


def test_a_run_without_a_checkpoint_names_the_way_out(tmp_path):
    """Such a folder cannot be had by a new run either."""
    (tmp_path / "config.yaml").write_text("env: CartPole-v1\ntotal_timesteps: 64\n")
    with pytest.raises(UsageError, match="continue it with --resume"):
        check_new_folder(tmp_path)
    with pytest.raises(UsageError, match=r"no intact checkpoint.*removed or another --run-dir"):
        resumed_session(AGENTS, tmp_path, {})

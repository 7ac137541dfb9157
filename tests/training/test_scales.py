"""The scales of observations go from a training into code of one's own."""

import numpy as np
import pytest
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecNormalize

import rims_rl
from rims_rl.train import main
from tests.test_train import ROLLOUT, TINY

pytestmark = pytest.mark.usefixtures("in_empty_folder")


def test_what_a_model_saw_is_seen_in_code_of_ones_own(capsys):
    budget = ("--total-timesteps", str(ROLLOUT), "--run-dir", "r", "--track", "off")
    assert main([*TINY, *budget, "--normalize-observations"]) == 0
    assert "rims_rl.load_scales('r/model.json', env)" in capsys.readouterr().out
    env = rims_rl.load_scales("r/model.json", make_vec_env("CartPole-v1", 2, seed=0))
    assert isinstance(env, VecNormalize)
    statistics = env.obs_rms
    assert isinstance(statistics, RunningMeanStd)
    assert statistics.count > ROLLOUT / 2
    seen, raw = np.asarray(env.reset()), np.asarray(env.get_original_obs())
    assert np.abs(seen - raw).max() > 0.01
    expected = (raw - statistics.mean) / np.sqrt(statistics.var + env.epsilon)
    np.testing.assert_allclose(seen, expected, rtol=1e-5)
    mean = statistics.mean.copy()
    env.step(np.zeros(2, dtype=int))
    np.testing.assert_array_equal(statistics.mean, mean)
    with pytest.raises(ValueError, match=r"r/model.json cannot be read as what observations are"):
        rims_rl.load_scales("r/model.json", make_vec_env("Pendulum-v1", 1))

"""One run of stock sb3-contrib on CartPole without velocities, with one of our policies.

    python benchmarks/stock_ppo.py --run-dir runs/stock --core rim --seed 1

The settings are those of sb3-contrib's own performance test of RecurrentPPO (which asks for a
return of 450): a core each for actor and critic, 50,000 steps, then 20 deterministic episodes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import VecNormalize

import rims_rl
from rims_rl.agents.callbacks import CoreStatistics, UpdateStatistics
from rims_rl.runs.files import write_text
from rims_rl.runs.folder import ENVIRONMENT, describe_environment
from rims_rl.training.recording import EpisodeLog

ENV = "rims_rl/CartPoleNoVelocity-v1"
STEPS = 50_000
N_ENVS = 8
EPISODES = 20
EVALUATION = "evaluation.json"


def main() -> None:
    """Trains, evaluates, and saves the model when all is done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--core", default="rim")
    parser.add_argument("--core-kwargs", type=json.loads, default={})
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.run_dir.mkdir(parents=True, exist_ok=True)
    write_text(options.run_dir / ENVIRONMENT, json.dumps(describe_environment(), indent=2) + "\n")

    env = VecNormalize(rims_rl.make_vec_env(ENV, N_ENVS, options.seed))
    model = RecurrentPPO(
        "MlpRimPolicy",
        env,
        n_steps=128,
        batch_size=256,
        n_epochs=10,
        learning_rate=7e-4,
        gae_lambda=0.98,
        max_grad_norm=1,
        seed=options.seed,
        device="cpu",
        policy_kwargs={
            "net_arch": {"vf": [64], "pi": []},
            "ortho_init": False,
            "shared_core": False,
            "core": options.core,
            "core_kwargs": options.core_kwargs,
        },
    )
    model.set_logger(configure(str(options.run_dir), ["csv"]))
    episodes = EpisodeLog(options.run_dir, ENV, keep_until=0)
    model.learn(STEPS, [CoreStatistics(), UpdateStatistics(), episodes])
    episodes.close()

    test_env = VecNormalize(
        rims_rl.make_vec_env(ENV, N_ENVS, 1000 + options.seed), training=False, norm_reward=False
    )
    test_env.obs_rms = env.obs_rms
    returns, _ = evaluate_policy(model, test_env, EPISODES, return_episode_rewards=True, warn=False)
    result = {"mean": float(np.mean(returns)), "returns": returns}
    write_text(options.run_dir / EVALUATION, json.dumps(result) + "\n")
    env.save(str(options.run_dir / "vecnormalize.pkl"))
    model.save(options.run_dir / "model.zip")


if __name__ == "__main__":
    main()

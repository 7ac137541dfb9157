"""Whole training on Pong: steps per second of rims_rl, RecurrentPPO and PPO, and where time goes.

    python benchmarks/train_fps.py

8 environments, 128 steps, 4 minibatches, 4 epochs for all, whole rollouts and updates in turns in
one process. Prints tables and writes results/speed/train_fps.json.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import sb3_contrib
import stable_baselines3
import torch
from report import RESULTS, provenance, write_json
from stable_baselines3.common.env_util import make_atari_env
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack
from timing import Contender, medians

from rims_rl.envs import make_vec_env
from rims_rl.training.building import make_model, make_training_env
from rims_rl.training.parser import plan

GAME = "PongNoFrameskip-v4"
STEPS, ENVS, MINIBATCH, EPOCHS = 128, 8, 256, 4
SETTINGS: dict[str, Any] = {
    "n_steps": STEPS, "n_epochs": EPOCHS, "learning_rate": 2.5e-4,
    "clip_range": 0.1, "ent_coef": 0.01, "device": "cpu", "seed": 0,
}  # fmt: skip


def ours(core: str, **options: Any) -> OnPolicyAlgorithm:
    """The model that `rims_rl.train` trains."""
    config = plan({"env": GAME, "core": core, "device": "cpu", **options})
    return make_model(config, make_training_env(config, 0))


def stock_env(n_envs: int = ENVS) -> VecEnv:
    """SB3's usual Atari environments."""
    return VecFrameStack(make_atari_env(GAME, n_envs, seed=0), 4)


def stock_lstm(n_envs: int = ENVS) -> OnPolicyAlgorithm:
    """sb3-contrib's recurrent PPO with four minibatches, as ours."""
    return sb3_contrib.RecurrentPPO(
        "CnnLstmPolicy",
        stock_env(n_envs),
        policy_kwargs={"lstm_hidden_size": 512},
        batch_size=STEPS * n_envs // 4,
        **SETTINGS,
    )


CONTENDERS: dict[str, Callable[[], OnPolicyAlgorithm]] = {
    "rims_rl, RIM 510": lambda: ours("rim"),
    "rims_rl, RIM 510, bfloat16 CNN": lambda: ours("rim", precision="bfloat16"),
    "rims_rl, LSTM 510": lambda: ours("lstm"),
    "rims_rl, no core": lambda: ours("none"),
    "sb3-contrib RecurrentPPO, CnnLstmPolicy 512": stock_lstm,
    "SB3 PPO, CnnPolicy": lambda: stable_baselines3.PPO(
        "CnnPolicy", stock_env(), batch_size=MINIBATCH, **SETTINGS
    ),
}


class Stopwatch:
    """Adds up the time that is spent in some methods of a model."""

    def __init__(self, model: OnPolicyAlgorithm) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._watch(model.env, "step", "environments")
        self._watch(model, "train", "update")
        self._watch(model.policy, "forward", "acting")

    def _watch(self, owner: Any, name: str, part: str) -> None:
        method = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.measured(part):
                return method(*args, **kwargs)

        object.__setattr__(owner, name, timed)

    @contextmanager
    def measured(self, part: str) -> Iterator[None]:
        """Adds the time within to a part."""
        start = time.perf_counter()
        yield
        self.seconds[part] += time.perf_counter() - start


def update_of_parts(policy: Any) -> dict[str, float]:
    """Seconds of features and core in one update, forward and backward, each alone."""
    times: dict[str, list[float]] = defaultdict(list)
    envs = MINIBATCH // STEPS
    for _ in range(5):
        images = torch.rand(MINIBATCH, 4, 84, 84)
        start = time.perf_counter()
        features = policy.features_extractor(images)
        features.sum().backward()
        times["features"].append(time.perf_counter() - start)
        if policy.core == "none":
            continue
        sequence = torch.rand(STEPS, envs, policy.features_dim, requires_grad=True)
        start = time.perf_counter()
        output, _ = policy.lstm_actor(sequence)
        output.sum().backward()
        times["core"].append(time.perf_counter() - start)
    policy.zero_grad()
    minibatches = EPOCHS * STEPS * ENVS // MINIBATCH
    return {name: minibatches * statistics.median(values) for name, values in times.items()}


def environments_alone(rounds: int) -> dict[str, float]:
    """Agent steps per second of 8 environments without a policy, ours and SB3's usual ones."""
    envs = {"rims_rl": make_vec_env(GAME, ENVS, seed=0), "SB3": stock_env()}
    actions = np.random.default_rng(0).integers(0, 6, (STEPS, ENVS))

    def stepping(env: VecEnv) -> Contender:
        env.reset()

        def step() -> tuple[float]:
            start = time.perf_counter()
            for chosen in actions:
                env.step(chosen)
            return (time.perf_counter() - start,)

        return step

    times = medians({name: stepping(env) for name, env in envs.items()}, rounds)
    return {name: STEPS * ENVS / seconds[-1] for name, seconds in times.items()}


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rollouts and updates of each")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    models = {name: make() for name, make in CONTENDERS.items()}
    watches = {name: Stopwatch(model) for name, model in models.items()}
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in models}
    for round_ in range(options.rounds + 1):
        for name, model in models.items():
            watches[name].seconds.clear()
            start = time.perf_counter()
            model.learn(STEPS * ENVS, reset_num_timesteps=not round_)
            watches[name].seconds["all"] = time.perf_counter() - start
            if round_:
                rounds[name].append(dict(watches[name].seconds))
    results = {
        name: {part: statistics.median(r[part] for r in parts) for part in parts[0]}
        for name, parts in rounds.items()
    }
    for name, model in models.items():
        if name.startswith("rims_rl"):
            parts = update_of_parts(model.policy)
            results[name] |= {f"update: {part}": seconds for part, seconds in parts.items()}
    steps_per_second = {name: STEPS * ENVS / result["all"] for name, result in results.items()}
    first = next(iter(steps_per_second))
    print(f"{GAME}, {ENVS} environments, {options.threads} threads, medians of {options.rounds}\n")
    columns = ["what", "agent steps/s", "RIM is faster by", "environments", "acting", "update",
               "features", "core"]  # fmt: skip
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for name, result in results.items():
        cells = [
            f"{result[key]:.2f} s" if key in result else ""
            for key in ("environments", "acting", "update", "update: features", "update: core")
        ]
        ratio = steps_per_second[first] / steps_per_second[name]
        print(
            f"| {name} | {steps_per_second[name]:.0f} | {ratio:.2f} | " + " | ".join(cells) + " |"
        )
    environments = environments_alone(2 * options.rounds)
    listing = ", ".join(f"{name} {steps:.0f}" for name, steps in environments.items())
    ratio = environments["rims_rl"] / environments["SB3"]
    print(f"\nenvironments alone, agent steps/s: {listing}; ratio {ratio:.2f}")
    write_json(
        RESULTS / "train_fps.json",
        {
            **provenance(),
            "torch threads": options.threads,
            "agent steps per second": steps_per_second,
            "seconds of a rollout and update": results,
            "environments alone, agent steps per second": environments,
        },
    )


if __name__ == "__main__":
    main()

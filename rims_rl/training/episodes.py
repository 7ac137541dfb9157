"""Plays episodes with a model, and what their returns say: means, intervals, success rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy  # its submodules are loaded when they are first used
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecEnv

from rims_rl.experiments.statistics import CONFIDENCE, bootstrap_interval, interquartile_mean


@dataclass
class Episodes:
    """Finished episodes, in the order in which they ended.

    Attributes:
        returns: raw, unclipped returns of whole games.
        lengths: agent steps.
        successes: whether each succeeded; empty where the environment has no notion of success.
    """

    returns: list[float] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    successes: list[bool] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """Mean, median, interquartile mean and success rate, all but the median with 95% intervals.

        Those of the means are None for a single game.
        """
        result: dict[str, Any] = {
            "episodes": len(self.returns),
            "mean": float(np.mean(self.returns)),
            "mean_interval": bootstrap_interval(self.returns, np.mean),
            "median": float(np.median(self.returns)),
            "iqm": float(interquartile_mean(self.returns)),
            "iqm_interval": bootstrap_interval(self.returns, interquartile_mean),
            "mean_length": float(np.mean(self.lengths)),
        }
        if self.successes:
            test = scipy.stats.binomtest(sum(self.successes), len(self.successes))
            interval = test.proportion_ci(CONFIDENCE, method="wilson")
            result["success_rate"] = float(np.mean(self.successes))
            result["success_interval"] = [float(interval.low), float(interval.high)]
        return result


def play(
    model: BaseAlgorithm,
    env: VecEnv,
    episodes: int,
    *,
    deterministic: bool,
    on_step: Callable[[Episodes], None] = lambda finished: None,
) -> Episodes:
    """Plays `episodes` whole games, the same number in each environment.

    A fixed number per environment keeps short games from being counted more often than long ones.

    Args:
        model: acts.
        env: reports raw returns in ``info["episode"]``.
        episodes: how many games; shared out as evenly as possible.
        deterministic: take the most probable action instead of sampling one.
        on_step: called with what has finished, after every step of an environment.

    Returns:
        The finished games.
    """
    finished = Episodes()

    def note(variables: dict[str, Any], _: dict[str, Any]) -> None:
        info = variables["info"]
        if variables["done"] and "episode" in info:
            finished.returns.append(float(info["episode"]["r"]))
            finished.lengths.append(int(info["episode"]["l"]))
            if "is_success" in info:
                finished.successes.append(bool(info["is_success"]))
        on_step(finished)

    evaluate_policy(model, env, episodes, deterministic=deterministic, callback=note, warn=False)
    return finished


def play_one(
    model: BaseAlgorithm,
    env: VecEnv,
    max_steps: int,
    *,
    deterministic: bool,
    on_action: Callable[[], None],
) -> Iterator[tuple[float, float | None]]:
    """Plays one whole game, step by step.

    Args:
        model: acts.
        env: a single environment.
        max_steps: where to stop at the latest.
        deterministic: take the most probable action instead of sampling one.
        on_action: called in each step when the model has chosen and nothing has happened yet.

    Yields:
        The reward of each step, as the agent gets it, and the raw return of the game that it ended;
        None if it did not.
    """
    observation: Any = env.reset()
    states, starts = None, np.ones(1, dtype=bool)
    for _ in range(max_steps):
        action, states = model.predict(observation, states, starts, deterministic)
        on_action()
        observation, rewards, starts, infos = env.step(action)
        over = bool(starts[0]) and "episode" in infos[0]
        yield float(rewards[0]), float(infos[0]["episode"]["r"]) if over else None
        if over:
            return

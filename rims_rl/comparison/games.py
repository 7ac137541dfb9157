"""Published facts of games: scores of a random agent and of a human, and the paper's table 7.

Human-normalised scores are computed from them in `Comparison.normalised`.
"""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from rims_rl.envs.atari_games import AtariSettings

#: A human who is this much better than a random agent, in units of the larger score, leaves too
#: little to normalise by.
LEAST_GAP = 0.1


@dataclass(frozen=True)
class Reference:
    """Scores of an Atari game in dqn_zoo's table (Wang et al. 2016).

    Attributes:
        random: score of an agent that plays at random.
        human: score of a human.
    """

    random: float
    human: float

    @property
    def is_close(self) -> bool:
        """True if both are so close that a normalised score says little."""
        scale = max(abs(self.human), abs(self.random))
        return abs(self.human - self.random) < LEAST_GAP * scale


@functools.cache
def references() -> Mapping[str, Reference]:
    """The 57 games by name, e.g. ``Pong``."""
    rows = _rows("atari_human_random.csv")
    return {row["game"]: Reference(float(row["random"]), float(row["human"])) for row in rows}


@functools.cache
def table7() -> Mapping[str, Mapping[str, float]]:
    """The paper's final scores by game: ``lstm_ppo``, ``rims_ppo`` and the spread of both."""
    rows = _rows("atari_table7.csv")
    return {row["game"]: {k: float(v) for k, v in row.items() if k != "game"} for row in rows}


def atari_game(env: str) -> str | None:
    """The name under which tables have an environment's game; None for others.

    ``PongNoFrameskip-v4`` and ``ALE/Pong-v5`` are the same game.
    """
    found = re.fullmatch(r"(?:ALE/)?([A-Za-z]+?)(?:NoFrameskip|Deterministic)?-v\d+", env)
    return found[1] if found and found[1] in references() else None


def frames_per_step(env: str, settings: Mapping[str, Any]) -> int:
    """Emulator frames of an agent step of a run; Atari's usual 4 where its settings do not say."""
    if atari_game(env) is None:
        return 1
    env_kwargs = settings.get("env_kwargs")
    own = env_kwargs.get("frame_skip") if isinstance(env_kwargs, Mapping) else None
    said = own or settings.get("frame_skip")
    return said if isinstance(said, int) else AtariSettings.frame_skip


def _rows(name: str) -> list[dict[str, str]]:
    file = resources.files("rims_rl") / "comparison" / "data" / name
    return list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))

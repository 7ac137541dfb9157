"""A look inside an agent with RIMs: which is active when, and what a score is without each.

Axes: T steps of a game, K RIMs, N heads.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from tqdm import tqdm

from rims_rl.agents import CorePolicy
from rims_rl.agents.rows import PositionedRows
from rims_rl.core import RIM, RIMInfo
from rims_rl.core.attention import InputAttention, InputRows
from rims_rl.envs import family_of
from rims_rl.runs.errors import UsageError
from rims_rl.training.episodes import Episodes, play, play_one
from rims_rl.training.evaluation import make_games
from rims_rl.training.loading import Trained
from rims_rl.training.video import Mask, Shoot

Array = NDArray[np.float64]

#: Steps before and after an event that count as around it.
AROUND = 8
#: Games that are played at once for scores.
_AT_ONCE = 8


@dataclass
class Trace:
    """One game, step by step.

    Attributes:
        rewards: as the agent gets them (T,).
        score: raw return of the game; None if it was cut off.
        events: by kind, whether one happened in a step (T,): ``reward``, ``punishment``,
            ``life lost``, ``room`` (another one).
        active: which RIMs were active (T, K).
        attention: of each RIM on the input (T, K); None for cores without input attention.
        communication: attention of each RIM on the others, mean over heads, (T, K, K), a row for
            each reader; None without communication.
        places: weights by which each RIM reads the places of the input, mean over heads,
            (T, K, height, width); None but for ``--spatial-input``.
    """

    rewards: Array
    score: float | None
    events: Mapping[str, Mask]
    active: Mask
    attention: Array | None
    communication: Array | None
    places: Array | None


@dataclass(frozen=True)
class Stage:
    """A trained agent and what it plays.

    Attributes:
        trained: the agent.
        env_id: environment.
        env_kwargs: its settings, both as `rims_rl.training.evaluation.game_of` gives them.
        seed: of environments and actions.
        deterministic: take the likeliest action.

    Raises:
        UsageError: the agent's core has no RIMs.
    """

    trained: Trained
    env_id: str
    env_kwargs: Mapping[str, Any]
    seed: int
    deterministic: bool

    def __post_init__(self) -> None:
        if not isinstance(self.policy.lstm_actor, RIM):
            core = getattr(self.policy, "core", "lstm")  # sb3-contrib's own policies have no other
            raise UsageError(f"{self.trained.file}: core {core!r} has no RIMs")

    @property
    def policy(self) -> CorePolicy:
        """The agent's policy."""
        return cast(CorePolicy, self.trained.model.policy)

    @property
    def map_shape(self) -> tuple[int, int] | None:
        """Height and width of what RIMs attend to, place by place; None for one vector or place."""
        modules = self.policy.features_extractor.modules()
        shapes = (m.map_shape for m in modules if isinstance(m, PositionedRows))
        return next((shape for shape in shapes if shape != (1, 1)), None)

    @property
    def rim(self) -> RIM:
        """The actor's core."""
        return cast(RIM, self.policy.lstm_actor)

    def make_env(self, count: int, drawn: bool = False) -> VecEnv:
        """So many games side by side."""
        return make_games(self.trained, self.env_id, self.env_kwargs, count, self.seed, drawn)


def trace_game(stage: Stage, max_steps: int, shoot: Shoot | None = None) -> Trace:
    """Plays one game and keeps what happened in it.

    Args:
        stage: agent and game.
        max_steps: where to stop at the latest.
        shoot: takes a picture of each step, see `rims_rl.training.video.film`; None: none is drawn.
    """
    env = stage.make_env(1, drawn=shoot is not None)
    stage.trained.model.set_random_seed(stage.seed)
    infos: list[RIMInfo] = []
    places: list[Array] = []
    rooms: list[Any] = []

    def keep() -> None:
        assert stage.policy.latest_info is not None
        infos.append(stage.policy.latest_info)
        if not rooms:
            rooms.append(_room(env))
        if shoot is not None:
            picture = np.asarray(env.render("rgb_array"), dtype=np.uint8)
            shoot(picture, infos[-1].active_mask[0].cpu().numpy())

    def keep_places(attention: InputAttention, read: tuple[InputRows, torch.Tensor]) -> None:
        weights, _ = attention.weigh(*read)
        places.append(weights[0].mean(1).cpu().numpy())

    rewards: list[float] = []
    happened: list[dict[str, bool]] = []
    has_lives = family_of(stage.env_id) == "atari"
    map_shape, score = stage.map_shape, None
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(env.close)
        if map_shape is not None and stage.rim.input_attention is not None:
            hook = stage.rim.input_attention.register_forward_pre_hook(keep_places)
            cleanup.callback(hook.remove)
        steps = play_one(
            stage.trained.model, env, max_steps, deterministic=stage.deterministic, on_action=keep
        )
        bar = tqdm(steps, total=max_steps, unit="step", desc="one game", disable=None)
        for reward, score in bar:
            rewards.append(reward)
            rooms.append(_room(env))
            happened.append({
                "reward": reward > 0,
                "punishment": reward < 0,
                "life lost": has_lives and bool(env.get_attr("life_lost")[0][0]),
                "room": score is None and rooms[-1] != rooms[-2],
            })  # fmt: skip
    maps = np.stack(places).reshape(len(places), -1, *map_shape) if map_shape and places else None
    return _as_trace(infos, rewards, score, happened, maps)


def scores_without(stage: Stage, episodes: int) -> dict[str, Episodes]:
    """Games of the whole agent, and with each RIM held inactive.

    That is `CorePolicy.lesion`, which calls `RIM.hold_inactive`.

    Args:
        stage: agent and game.
        episodes: how many games of each.

    Returns:
        Games by what was held inactive: ``none``, ``RIM 1``, ...

    Raises:
        UsageError: as many RIMs are active as there are.
    """
    require_inactive(stage)
    found = {}
    held: list[tuple[str, Sequence[int]]] = [("none", ())]
    held += [(f"RIM {k + 1}", (k,)) for k in range(stage.rim.config.num_rims)]
    for name, rims in tqdm(held, unit="RIM", desc="held inactive", disable=None):
        stage.policy.lesion(rims)
        stage.trained.model.set_random_seed(stage.seed)
        env = stage.make_env(min(episodes, _AT_ONCE))
        found[name] = play(stage.trained.model, env, episodes, deterministic=stage.deterministic)
        env.close()
    stage.policy.lesion(())
    return found


def require_inactive(stage: Stage) -> None:
    """Refuses an agent of which no RIM can be held inactive.

    Raises:
        UsageError: as many RIMs are active as there are.
    """
    config = stage.rim.config
    if config.num_active == config.num_rims:
        raise UsageError(
            f"all {config.num_rims} RIMs are active at every step: none can be held inactive for "
            "a score; --episodes 0 leaves scores out"
        )


def activity(trace: Trace) -> dict[str, list[float]]:
    """Shares of steps with each RIM active: in the whole game, and around events of each kind."""
    shares = {"whole game": trace.active.mean(0).tolist()}
    for kind, happened in trace.events.items():
        if happened.any():
            shares[f"around {kind}"] = trace.active[_around(happened)].mean(0).tolist()
    return shares


def _as_trace(
    infos: Sequence[RIMInfo],
    rewards: Sequence[float],
    score: float | None,
    happened: Sequence[Mapping[str, bool]],
    places: Array | None,
) -> Trace:
    masks, inputs, messages = zip(*infos, strict=True)

    def stacked(parts: Sequence[torch.Tensor | None]) -> Any:
        present = [part[0] for part in parts if part is not None]
        return torch.stack(present).cpu().numpy() if present else None

    communication = stacked(messages)
    return Trace(
        rewards=np.array(rewards),
        score=score,
        events={kind: np.array([step[kind] for step in happened]) for kind in happened[0]},
        active=stacked(masks),
        attention=stacked(inputs),
        communication=None if communication is None else communication.mean(1),
        places=places,
    )


def _room(env: VecEnv) -> Any:
    """The agent's room in a MiniGrid level that knows its rooms; None elsewhere."""
    (level,) = env.get_attr("unwrapped")
    if hasattr(level, "room_from_pos"):
        return level.room_from_pos(*level.agent_pos).top
    for room in getattr(level, "rooms", ()):  # of MultiRoom
        if all(
            0 <= at - begin < size
            for at, begin, size in zip(level.agent_pos, room.top, room.size, strict=True)
        ):
            return room.top
    return None


def _around(happened: Mask) -> Mask:
    """Steps at most `AROUND` before or after one of some (T,)."""
    distances = np.arange(len(happened))[:, None] - np.flatnonzero(happened)
    near: Mask = (np.abs(distances) <= AROUND).any(1)
    return near

"""The family that an environment id belongs to, and the nearest names of an unknown one."""

from __future__ import annotations

import heapq
import importlib
from collections.abc import Callable, Mapping
from difflib import SequenceMatcher
from typing import Literal

import ale_py
import gymnasium as gym
import minigrid
from gymnasium.envs.registration import EnvSpec

from rims_rl.envs.cartpole import register_cartpole
from rims_rl.envs.minatar import register_minatar
from rims_rl.envs.pickup import register_envs as register_pickup
from rims_rl.envs.popgym import MAZES, register_mazes, register_popgym

Family = Literal["atari", "minigrid", "minatar", "popgym", "gymnasium"]

#: By the start of their ids, the families of an extra, which not everybody has and which take
#: time to import: they are registered when one of their ids is asked for.
_EXTRAS: Mapping[str, Callable[[], None]] = {
    "MinAtar/": register_minatar,
    "popgym-": register_popgym,
    MAZES: register_mazes,
}
#: What pip installs a missing package with.
_INSTALLED_WITH = {
    "minatar": '-c constraints.txt -e ".[benchmarks]"',
    "popgym": '-c constraints.txt -e ".[benchmarks]"',
    "mazelib": '"popgym[navigation]"',
}

gym.register_envs(ale_py)
gym.register_envs(minigrid)
register_pickup()
register_cartpole()


class UnknownEnvError(ValueError):
    """An id that no environment can be built from; the message names what would work."""


def family_of(env_id: str) -> Family:
    """Say which family an id belongs to, and so how it is built and which preset it gets.

    Args:
        env_id: A registered id; `module:id` imports the module that registers it first.

    Returns:
        `"atari"`, `"minigrid"` (MiniGrid, BabyAI and object picking), `"minatar"`, `"popgym"` or
        `"gymnasium"`.

    Raises:
        UnknownEnvError: If the id is not registered, its package is not installed or its frame
            skip is random.
    """
    spec = spec_of(env_id)
    module = spec.entry_point if isinstance(spec.entry_point, str) else ""
    if module.startswith("ale_py."):
        if not _has_fixed_frame_skip(spec):
            raise UnknownEnvError(
                f"{env_id} skips a random number of frames, which no preset covers; "
                f"use one of {_listed(nearest_ids(env_id))}"
            )
        return "atari"
    if module.startswith(("minigrid.", register_pickup.__module__)):
        return "minigrid"
    if module.startswith("minatar."):
        return "minatar"
    if module.startswith("popgym."):
        return "popgym"
    return "gymnasium"


def spec_of(env_id: str) -> EnvSpec:
    """Look an id up in Gymnasium's registry.

    Args:
        env_id: A registered id; `module:id` imports the module that registers it first.

    Returns:
        What the registry says of it.

    Raises:
        UnknownEnvError: If it is not registered; the message holds the nearest ids, or the
            package to install.
    """
    module, _, name = env_id.rpartition(":")
    if module:
        try:
            importlib.import_module(module)
        except Exception as error:  # whatever a user's own file does
            raise UnknownEnvError(f"cannot import {module!r} of {env_id!r}: {error}") from error
    _register_extras(name)
    spec = gym.registry.get(name)
    if spec is None:
        near = nearest_ids(name)
        own = "no registered id is like it; module:id imports the module that registers yours"
        hint = f"did you mean {_listed(near)}?" if near else own
        raise UnknownEnvError(f"unknown environment {env_id!r}: {hint}")
    return spec


def nearest_ids(env_id: str) -> list[str]:
    """List the registered ids that somebody who wrote `env_id` may have meant, three at most.

    Case, a missing namespace and a missing version do not matter.

    Args:
        env_id: What was written.

    Returns:
        Ids that can be built, the most alike first; empty if nothing is alike.
    """
    wanted = env_id.lower()
    word = _bare_name(wanted)

    def likeness(known: str) -> float:
        contains = bool(word) and word in known.lower()
        return SequenceMatcher(None, wanted, known.lower()).ratio() + contains

    buildable = (name for name, spec in gym.registry.items() if _has_fixed_frame_skip(spec))
    scored = heapq.nlargest(3, ((likeness(name), name) for name in buildable))
    least = 1.0 if scored and scored[0][0] > 1.0 else 0.6
    return [name for score, name in scored if score > least]


def _register_extras(env_id: str) -> None:
    """Register the ids of the family of an extra that this one belongs to, if it does."""
    for start, register in _EXTRAS.items():
        if env_id.lower().startswith(start.lower()):
            try:
                register()
            except ModuleNotFoundError as error:
                if error.name not in _INSTALLED_WITH:
                    raise
                raise UnknownEnvError(
                    f"{env_id} needs {error.name}: pip install {_INSTALLED_WITH[error.name]}"
                ) from error


def _bare_name(env_id: str) -> str:
    """Strip namespace and version: `ale/pong-v5` -> `pong`."""
    name = env_id.rpartition("/")[2]
    stem, dash, version = name.rpartition("-v")
    return stem if dash and version.isdigit() else name


def _has_fixed_frame_skip(spec: EnvSpec) -> bool:
    return isinstance(spec.kwargs.get("frameskip", 1), int)


def _listed(names: list[str]) -> str:
    return ", ".join(names)

"""Runs that SB3's `Monitor` logged, alone or in log folders of RL Baselines3 Zoo.

A folder with ``*monitor.csv`` is a run. The Zoo calls it ``ALGO/ENV_NUMBER`` and puts its settings
into ``ENV/args.yml`` and ``ENV/config.yml``.
"""

from __future__ import annotations

import contextlib
import glob
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from stable_baselines3.common.monitor import Monitor, load_results

from rims_rl.comparison.record import Array, Record
from rims_rl.runs.errors import UsageError

#: The number of a run in its folder's name: ``CartPole-v1_2``, ``lstm-seed2``, ``2``.
_NUMBER = re.compile(r"(?:(?:^|[_-])seed[_-]?|(?:^|_))(\d+)$")


def monitored_run(folder: Path) -> Record:
    """A run of which `Monitor` logged the episodes.

    Args:
        folder: with the logs of its environments. Where the Zoo's settings are missing its name
            says what ran: the run ``lstm/CartPole-v1_2`` is of ``lstm``, and so is ``lstm_seed2``.

    Raises:
        UsageError: a log cannot be read, or nothing says the environment.
    """
    name, parent = folder.resolve().name, folder.resolve().parent.name
    number = _NUMBER.search(name)
    stem = name[: number.start()] if number else name
    logs = sorted(folder.glob(f"*{Monitor.EXT}"))
    env = _env(logs) or (stem if number and "seed" not in number[0] else None)
    if not env:
        raise UsageError(f"{folder} does not say its environment: call the folder ENV_1 or so")
    zoo = folder / env.replace("/", "-")
    args, settings = _zoo_settings(zoo / "args.yml"), _zoo_settings(zoo / "config.yml")
    lengths, returns, seconds = _episodes(folder)
    total, command = _planned(args, settings), zoo / "command.txt"
    return Record(
        source=str(folder),
        env=env,
        core=args.get("algo") or (parent if stem in ("", zoo.name) else stem),
        seed=args.get("seed", int(number[1]) if number else None),
        steps=np.cumsum(lengths),
        returns=returns,
        total=total,
        hours=seconds / 3600,
        settings={name: value for name, value in settings.items() if name != "n_timesteps"},
        command=_text(command) if command.exists() else None,
        trained=None if total is None else min(total, _at_most(lengths, len(logs))),
    )


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace").strip()


def _env(logs: Sequence[Path]) -> str | None:
    """The environment that logs name; `Monitor` knows none that is not registered."""
    envs = set()
    for log in logs:
        try:
            with log.open(encoding="utf-8") as lines:
                mark, head = lines.read(1), lines.readline()
            if mark != "#":
                raise ValueError(mark)
            envs.add(json.loads(head)["env_id"])
        except (OSError, ValueError, KeyError, TypeError):
            raise UsageError(f"{log} does not begin as a log of SB3's Monitor does") from None
    if len(envs) > 1:
        raise UsageError(
            f"{logs[0].parent} has logs of several environments: {sorted(map(str, envs))}"
        )
    (env,) = envs
    return None if env in (None, "None") else str(env)


def _episodes(folder: Path) -> tuple[Array, Array, Array]:
    """Lengths, returns and seconds since the start of all environments' episodes, as they ended."""
    try:
        table = load_results(glob.escape(str(folder)))[["l", "r", "t"]].dropna()
        lengths, returns, seconds = table.to_numpy(dtype=np.float64).T
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{error}".partition("\n")[0]
        raise UsageError(f"{folder}/*{Monitor.EXT} cannot be read: {reason}") from None
    return lengths, returns, seconds


def _at_most(lengths: Array, num_envs: int) -> float:
    """Agent steps with those of unfinished episodes, which no log tells."""
    return float(lengths.sum() + num_envs * lengths.max(initial=0))


def _planned(args: dict[str, Any], settings: dict[str, Any]) -> float | None:
    """Agent steps that the Zoo was to make: its command line wins over its settings."""
    for said in filter(None, (args.get("n_timesteps"), settings.get("n_timesteps"))):
        with contextlib.suppress(TypeError, ValueError):  # no number: it does not say
            if float(said) > 0:
                return float(said)
    return None


class _ZooLoader(yaml.SafeLoader):
    """Reads the Zoo's files, which name Python's classes, without making objects of them."""


def _ordered_dict(loader: yaml.SafeLoader, node: yaml.SequenceNode) -> dict[str, Any]:
    (pairs,) = loader.construct_sequence(node, deep=True)
    return dict(pairs)


_ZooLoader.add_constructor(
    "tag:yaml.org,2002:python/object/apply:collections.OrderedDict", _ordered_dict
)


def _as_words(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> str:
    """What stands for an object of Python: its name and what it is made of."""
    if isinstance(node, yaml.MappingNode):
        return f"{suffix} {loader.construct_mapping(node, deep=True)}"
    if isinstance(node, yaml.SequenceNode):
        return f"{suffix} {loader.construct_sequence(node, deep=True)}"
    return f"{suffix} {node.value}".strip()


_ZooLoader.add_multi_constructor("tag:yaml.org,2002:python/", _as_words)


def _zoo_settings(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    try:
        settings = yaml.load(file.read_text(encoding="utf-8"), _ZooLoader)
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        reason = f"{error}".partition("\n")[0]
        raise UsageError(f"{file} cannot be read: {reason}") from None
    return settings if isinstance(settings, dict) else {}

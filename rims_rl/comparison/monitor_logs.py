"""Runs that SB3's `Monitor` logged, alone or in log folders of RL Baselines3 Zoo.

A folder with ``monitor.csv``, or one for each environment, is a run. The Zoo calls it
``ALGO/ENV_NUMBER`` and puts its settings into ``ENV/args.yml`` and ``ENV/config.yml``.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from stable_baselines3.common.monitor import Monitor

from rims_rl.comparison.dictionaries import evaluated
from rims_rl.comparison.games import atari_game
from rims_rl.comparison.naming import split_off_core
from rims_rl.comparison.record import Record, whole_rows
from rims_rl.experiments.statistics import Array
from rims_rl.runs.errors import UsageError
from rims_rl.training.results import running_hours

#: The number of a run in its folder's name: ``CartPole-v1_2``, ``lstm-seed2``, ``2``.
_NUMBER = re.compile(r"(?:(?:^|[_-])seed[_-]?|(?:^|_))(\d+)$")
#: A log of the folder's run: of its only environment, or of one of several.
_OF_THE_FOLDER = re.compile(r"(?:\d+\.)?monitor\.csv")
#: Frames in an agent step of SB3's `AtariWrapper`.
_FRAME_SKIP = 4


def monitored_runs(folder: Path) -> list[Record]:
    """The runs of which `Monitor` logged the episodes in a folder.

    ``monitor.csv``, or ``0.monitor.csv``, ``1.monitor.csv`` and so on for each environment, are one
    run; any other name before ``.monitor.csv`` is that of a run of its own.

    Args:
        folder: with the logs. Where the Zoo's settings are missing names say what ran: the run
            ``lstm/CartPole-v1_2`` is of ``lstm``, and so are ``lstm_seed2`` and
            ``lstm_seed2.monitor.csv``.

    Raises:
        UsageError: a log cannot be read, or nothing says the environment.
    """
    logs = sorted(folder.glob(f"*{Monitor.EXT}"))
    together = [log for log in logs if _OF_THE_FOLDER.fullmatch(log.name)]
    runs = [_run(folder, folder.resolve(), together)] if together else []
    for log in logs:
        if log not in together:
            runs.append(_run(log, log.resolve().with_name(_stem(log)), [log]))
    return runs


def _stem(log: Path) -> str:
    return log.name.removesuffix(Monitor.EXT).rstrip(".")


def _run(source: Path, called: Path, logs: Sequence[Path]) -> Record:
    """One run, of a name in a folder's name."""
    name, parent = called.name, called.parent.name
    number = _NUMBER.search(name)
    stem = name[: number.start()] if number else name
    heads = [_head(log) for log in logs]
    env = _env(logs[0].parent, heads) or (stem if number and "seed" not in number[0] else None)
    if not env:
        raise UsageError(f"{source} does not say its environment: call it ENV_1 or so")
    zoo = logs[0].parent / env.replace("/", "-")
    args, settings = _zoo_settings(zoo / "args.yml"), _zoo_settings(zoo / "config.yml")
    # Given on the Zoo's command line, where another environment or a trained start is made.
    settings |= {name: args[name] for name in ("env_kwargs", "trained_agent") if args.get(name)}
    total, command = _planned(args, settings), zoo / "command.txt"
    lengths, returns, seconds = _episodes(logs, heads)
    lengths, notes = _in_agent_steps(lengths, env, settings, total)
    label, settings = split_off_core(settings)
    return Record(
        source=str(source),
        env=env,
        label=label or args.get("algo") or (parent if stem in ("", zoo.name) else stem),
        seed=args.get("seed", int(number[1]) if number else None),
        steps=np.cumsum(lengths),
        returns=returns,
        total=total,
        hours=seconds / 3600,
        settings={name: value for name, value in settings.items() if name != "n_timesteps"},
        command=_text(command) if command.exists() else None,
        trained=None if total is None else min(total, _at_most(lengths, len(logs))),
        notes=notes,
    )


def _in_agent_steps(
    lengths: Array, env: str, settings: Mapping[str, Any], total: float | None
) -> tuple[Array, Sequence[str]]:
    """Lengths of episodes in agent steps, and what is not known of that.

    SB3 puts `Monitor` below its `AtariWrapper`, where an episode's length counts frames.
    """
    if atari_game(env) is None:
        return lengths, ()
    is_wrapped = "AtariWrapper" in str(settings.get("env_wrapper"))
    if is_wrapped or (total is not None and lengths.sum() > 2 * total):
        return lengths / _FRAME_SKIP, ()
    return lengths, [
        "lengths are taken as agent steps; below SB3's AtariWrapper, Monitor counts "
        f"frames, {_FRAME_SKIP} times as many"
    ]


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace").strip()


def _env(folder: Path, heads: Sequence[Mapping[str, Any]]) -> str | None:
    """The environment that logs name; `Monitor` knows none that is not registered."""
    envs = {str(head["env_id"]) for head in heads}
    if len(envs) > 1:
        raise UsageError(f"{folder} has logs of several environments: {sorted(envs)}")
    (env,) = envs
    return None if env == "None" else env


def _head(log: Path) -> dict[str, Any]:
    """The first line of a log."""
    try:
        with log.open(encoding="utf-8") as lines:
            mark, head = lines.read(1), json.loads(lines.readline())
        if mark == "#" and {"env_id", "t_start"} <= set(head):
            return dict(head)
    except (OSError, ValueError, TypeError):
        pass
    raise UsageError(f"{log} does not begin as a log of SB3's Monitor does")


def _episodes(
    logs: Sequence[Path], heads: Sequence[Mapping[str, Any]]
) -> tuple[Array, Array, Array]:
    """Lengths, returns and seconds since the start of all environments' episodes, as they ended.

    As SB3's `load_results`, for some logs of a folder.
    """
    begun = [float(head["t_start"]) for head in heads]
    tables = [whole_rows(log, ("l", "r", "t"), skip=1) for log in logs]
    # The clock begins anew where a log was continued.
    clocks = [running_hours(table["t"].to_numpy(dtype=np.float64)) * 3600 for table in tables]
    timed = [
        table.assign(t=clock + start)
        for table, clock, start in zip(tables, clocks, begun, strict=True)
    ]
    table = pd.concat(timed).sort_values("t", kind="stable")
    lengths, returns, seconds = table[["l", "r", "t"]].to_numpy(dtype=np.float64).T
    return lengths, returns, seconds - min(begun)


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
    """The text that stands for an object of Python: its name and what it is made of."""
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
    if not isinstance(settings, dict):
        return {}
    return {name: evaluated(value) for name, value in settings.items()}

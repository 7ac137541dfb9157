"""Names of what is compared: as short as what tells the cores of a game apart, no shorter."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rims_rl.comparison.dictionaries import evaluated
from rims_rl.comparison.record import Record
from rims_rl.core import RIMConfig, core_names
from rims_rl.core.earlier import upgraded_run
from rims_rl.core.options import SIZED
from rims_rl.runs.errors import few
from rims_rl.training.options import PolicyOptions, TrainPlan
from rims_rl.training.results import NOT_LEARNED

#: Options that may differ between the cores of a comparison: they say what is compared.
OF_CORE = frozenset(("core", "shared_core", "core_kwargs", "spatial_input", *SIZED))
_SAID_BY_LABEL = ("core", "core_kwargs", "shared_core")
#: Options that may differ between seeds: they change nothing that is compared, or stand apart.
NOT_COMPARED = NOT_LEARNED | {"total_timesteps"}


def settings_of(record: Record) -> str:
    """The settings that must be the same for runs to be seeds of each other."""
    return json.dumps(_compared(record), sort_keys=True)


def _compared(record: Record) -> dict[str, Any]:
    """The settings that `settings_of` has, 1 and 1.0 as the same number."""
    chosen = {
        key: value
        for key, value in record.settings.items()
        if key not in NOT_COMPARED and TrainPlan.is_in_identity(key, value)
    }
    settings: dict[str, Any] = json.loads(json.dumps(chosen, default=str), parse_int=float)
    return settings


def in_todays_terms(
    label: str, settings: Mapping[str, Any], about: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """The label and the options of a run of ours, what has another default today spelled out.

    Args:
        label: of the core, as the run gave it.
        settings: all options of the run.
        about: what it tells of itself, see `rims_rl.core.earlier.upgraded_run`.
    """
    today = upgraded_run(settings, about)
    return (label if today == settings else TrainPlan.from_flat(today).label()), today


def split_off_core(settings: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """The label of a policy of ours that others trained, from its ``policy_kwargs``.

    Args:
        settings: of the run.

    Returns:
        the label that `rims_rl.train` gives it, e.g. ``lstm-h120``, and the settings without what
        it says; None and all settings where the policy is not ours.
    """
    kwargs = evaluated(settings.get("policy_kwargs"))
    if not isinstance(kwargs, Mapping) or kwargs.get("core") not in core_names():
        return None, dict(settings)
    others = {name: value for name, value in kwargs.items() if name not in _SAID_BY_LABEL}
    core, given = kwargs["core"], dict(kwargs.get("core_kwargs") or {})
    sized = {name: given.pop(name) for name in SIZED if name in given}
    shared = kwargs.get("shared_core", PolicyOptions.shared_core)
    try:
        if core == "rim":  # models spell out their defaults
            usual = RIMConfig(1, **{"hidden_size": PolicyOptions.hidden_size, **sized}).options()
            given = {name: value for name, value in given.items() if value != usual[name]}
        label = PolicyOptions(core=core, core_kwargs=given, shared_core=shared, **sized).label()
    except (KeyError, TypeError, ValueError):
        return None, dict(settings)
    return label, {**settings, "policy_kwargs": others}


def short_games(envs: Sequence[str]) -> dict[str, str]:
    """Names that tell games apart in a picture: ids without what their suites add to all."""
    brief = {
        env: re.sub(r"^(.*/|popgym-)|(NoFrameskip|Deterministic)?-v\d+$", "", env) or env
        for env in envs
    }
    often = Counter(brief.values())
    return {env: name if often[name] == 1 else env for env, name in brief.items()}


def runs_by_name(records: Sequence[Record]) -> dict[tuple[str, str], list[Record]]:
    """Runs by environment and name; what is the same in all of a game is left out of names.

    Runs of a core whose settings differ in a game have these in their names, in all games.
    """
    stems = _stems(records)
    groups: dict[tuple[str, str, str, float | None], list[Record]] = defaultdict(list)
    for record in records:
        name = stems[record.label]
        groups[record.env, name, settings_of(record), record.total].append(record)
    by_name: dict[str, dict[str, list[list[Record]]]] = defaultdict(lambda: defaultdict(list))
    for (env, name, _, _), runs in groups.items():
        by_name[name][env].append(runs)
    arms: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for name, of_envs in by_name.items():
        differing = {env: set(_differing(several)) for env, several in of_envs.items()}
        everywhere = set().union(*differing.values()) - {_LENGTH}
        for env, several in of_envs.items():
            # Games have lengths of their own: they are named where they differ in a game.
            keys = sorted(everywhere | differing[env])
            for runs in several:  # those that read the same, such as 1 and "1", are the same
                arms[env, name + _suffix(runs[0], keys)] += runs
    return dict(arms)


def other_meanings(arms: Mapping[tuple[str, str], Sequence[Record]]) -> Iterator[str]:
    """Names that mean other labels in other games: what they leave out is not the same there.

    Args:
        arms: as `runs_by_name` returns them.
    """
    envs_of: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for (env, name), runs in sorted(arms.items()):
        for label in sorted({run.label for run in runs}):
            envs_of[name][label].append(env)
    for name, labels in envs_of.items():
        if len(labels) > 1:
            said = "; ".join(f"{label} in {few(envs)}" for label, envs in labels.items())
            yield f"{name} is not the same in all games: {said}"


#: Between the parts of a label, of which ``k6-4`` and ``comm_gate_bias=-2.0`` are such.
_PARTS = re.compile(r"(?<!=)-(?!\d+(?:-|$))")


def _stems(records: Sequence[Record]) -> dict[str, str]:
    """Names of labels such as ``lstm-h120-separate``, without what all cores of a game share.

    Neither have they the number of units, where that leaves them different. A label has one name
    in all games, with what it needs in any of them.
    """
    labels: dict[str, set[str]] = defaultdict(set)
    for record in records:
        labels[record.env].add(record.label)
    needed: dict[str, set[str]] = defaultdict(set)
    for names in labels.values():
        parts = {name: _PARTS.split(name) for name in names}
        shared = (
            set.intersection(*(set(p[1:]) for p in parts.values())) if len(parts) > 1 else set()
        )
        brief = {n: [x for x in p if x == p[0] or x not in shared] for n, p in parts.items()}
        short = {n: [x for x in p if not _says_units(x)] for n, p in brief.items()}
        unique = len(set(map(tuple, short.values()))) == len(names)
        for name, kept in (short if unique else brief).items():
            needed[name].update(kept)
    return {n: "-".join(x for x in _PARTS.split(n) if x in kept) for n, kept in needed.items()}


def _says_units(part: str) -> bool:
    return part[:1] == "h" and part[1:].isdecimal()


_LENGTH = "total_timesteps"
#: How it is said that a run does not have a setting, where "no ..." would say little.
_ABSENT_TEXT = {"resumed_with": "never changed"}
#: What stands for a setting that a run does not have, not even as None.
_ABSENT = object()


def _differing(groups: Sequence[Sequence[Record]]) -> Iterator[str]:
    """The settings in which groups of runs of the same name differ."""
    first, *others = (_named(runs[0]) for runs in groups)
    for key in set(first).union(*others):
        if any(first.get(key, _ABSENT) != other.get(key, _ABSENT) for other in others):
            yield key


def _suffix(record: Record, keys: Sequence[str]) -> str:
    """The settings that tell a run from others of the same name."""
    mine = _named(record)
    said = (f"{key} {_short(mine[key])}" if key in mine else _ABSENT_TEXT.get(key, f"no {key}")
            for key in keys)  # fmt: skip
    return f" ({', '.join(said)})" if keys else ""


def _named(record: Record) -> dict[str, Any]:
    """The settings that may stand in a name."""
    return _compared(record) | {_LENGTH: record.total}


def _short(value: Any) -> str:
    return f"{value:,.0f}" if isinstance(value, float) and value.is_integer() else str(value)

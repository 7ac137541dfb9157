"""Names of what is compared: as short as what tells the cores of a game apart, no shorter."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rims_rl.comparison.record import Record
from rims_rl.core.options import SIZED
from rims_rl.training.options import TrainPlan

#: Options that may differ between the cores of a comparison: they say what is compared.
OF_CORE = frozenset(("core", "shared_core", "core_kwargs", "spatial_input", *SIZED))
#: Options that may differ between seeds: they change nothing that is compared, or stand apart.
OF_RUN = TrainPlan.NOT_IN_IDENTITY | {
    "eval_every", "eval_episodes", "eval_deterministic", "total_timesteps"
}  # fmt: skip


def settings_of(record: Record) -> str:
    """The settings that must be the same for runs to be seeds of each other."""
    return json.dumps(_compared(record), sort_keys=True)


def _compared(record: Record) -> dict[str, Any]:
    """The settings that `settings_of` has, 1 and 1.0 as the same number."""
    chosen = {
        key: value
        for key, value in record.settings.items()
        if key not in OF_RUN and TrainPlan.is_in_identity(key, value)
    }
    settings: dict[str, Any] = json.loads(json.dumps(chosen, default=str), parse_int=float)
    return settings


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

    Runs of a core whose settings differ have the difference in their names.
    """
    stems = _stems(records)
    groups: dict[tuple[str, str, str, float | None], list[Record]] = defaultdict(list)
    for record in records:
        name = stems[record.env, record.core]
        groups[record.env, name, settings_of(record), record.total].append(record)
    by_name: dict[tuple[str, str], list[list[Record]]] = defaultdict(list)
    for (env, name, _, _), runs in groups.items():
        by_name[env, name].append(runs)
    arms: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for (env, name), several in by_name.items():
        for runs in several:  # those that read the same, such as 1 and "1", are the same
            arms[env, name + _difference(runs[0], several)] += runs
    return dict(arms)


def other_meanings(arms: Mapping[tuple[str, str], Sequence[Record]]) -> Iterator[str]:
    """Names that mean other labels in other games: what they leave out is not the same there.

    Args:
        arms: as `runs_by_name` returns them.
    """
    envs_of: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for (env, name), runs in sorted(arms.items()):
        for label in sorted({run.core for run in runs}):
            envs_of[name][label].append(env)
    for name, labels in envs_of.items():
        if len(labels) > 1:
            said = "; ".join(f"{label} in {', '.join(envs)}" for label, envs in labels.items())
            yield f"{name} is not the same in all games: {said}"


#: Between the parts of a label, of which ``k6-4`` and ``comm_gate_bias=-2.0`` are such.
_PARTS = re.compile(r"(?<!=)-(?!\d+(?:-|$))")


def _stems(records: Sequence[Record]) -> dict[tuple[str, str], str]:
    """Names of labels such as ``lstm-h120-separate``, without what all cores of a game share.

    Neither have they the number of units, where that leaves them different.
    """
    labels: dict[str, set[str]] = defaultdict(set)
    for record in records:
        labels[record.env].add(record.core)
    names_of: dict[tuple[str, str], str] = {}
    for env, names in labels.items():
        parts = {name: _PARTS.split(name) for name in names}
        shared = (
            set.intersection(*(set(p[1:]) for p in parts.values())) if len(parts) > 1 else set()
        )
        brief = {
            n: [x for i, x in enumerate(p) if not i or x not in shared] for n, p in parts.items()
        }
        short = {name: "-".join(x for x in p if not _says_units(x)) for name, p in brief.items()}
        unique = len(set(short.values())) == len(names)
        names_of |= {(env, n): short[n] if unique else "-".join(p) for n, p in brief.items()}
    return names_of


def _says_units(part: str) -> bool:
    return part[:1] == "h" and part[1:].isdecimal()


#: What stands for a setting that a run does not have, not even as None.
_ABSENT = object()


def _difference(record: Record, groups: Sequence[Sequence[Record]]) -> str:
    """The suffix that tells a group of runs from others of the same name."""
    others = [runs[0] for runs in groups if runs[0] is not record]
    mine, *theirs = (_compared(r) | {"total_timesteps": r.total} for r in (record, *others))
    keys = sorted(
        key
        for key in set(mine).union(*theirs)
        if any(mine.get(key, _ABSENT) != other.get(key, _ABSENT) for other in theirs)
    )
    said = (f"{key} {_short(mine[key])}" if key in mine else f"no {key}" for key in keys)
    return f" ({', '.join(said)})" if keys else ""


def _short(value: Any) -> str:
    return f"{value:,.0f}" if isinstance(value, float) and value.is_integer() else str(value)

"""The request of a source ``wandb:ENTITY/PROJECT?filter``."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from rims_rl.comparison.wandb_names import Names
from rims_rl.runs.errors import UsageError

#: How a source at Weights & Biases begins.
PREFIX = "wandb:"
#: openrlbenchmark's keys: entity, project, the config's keys of environment and core, metric.
_ENTITY, _PROJECT, _ENV, _CORE, _METRIC = "we", "wpn", "ceik", "cen", "metric"
_ONCE = (_ENTITY, _PROJECT, _ENV, _CORE, _METRIC)
#: What a run has beside its config.
_RUN_FILTERS = ("tag", "group", "state")
_STATES = ("finished", "running", "crashed", "failed", "killed", "preempting", "preempted")
#: All keys that are not the config's.
KEYS = (*_ONCE, *_RUN_FILTERS)

_FORM = f"{PREFIX}ENTITY/PROJECT or {PREFIX}ENTITY/PROJECT?KEY=VALUE&KEY=VALUE"


@dataclass(frozen=True)
class Source:
    """Runs of a project.

    Attributes:
        path: ``ENTITY/PROJECT``.
        names: what its runs call things.
        config: values that a run's config may have, by key.
        of_run: tags, groups and states that are asked for.
    """

    path: str
    names: Names
    config: Mapping[str, Sequence[str]]
    of_run: Mapping[str, Sequence[str]]

    def query(self) -> dict[str, Any]:
        """The filter as W&B wants it; a run must have all tags, and one value of the others."""
        parts: list[dict[str, Any]] = [{"tags": {"$in": [t]}} for t in self.of_run.get("tag", ())]
        parts += [
            {name: {"$in": list(values)}} for name, values in self.of_run.items() if name != "tag"
        ]
        parts += [
            {f"config.{key}.value": {"$in": [v for text in values for v in _meanings(text)]}}
            for key, values in self.config.items()
        ]
        return {"$and": parts} if parts else {}

    def filters(self) -> str:
        """The filter for people."""
        pairs = {**self.config, **self.of_run}
        return " and ".join(f"{k}={v}" for k, values in pairs.items() for v in values)


def parse_source(spec: str) -> Source:
    """Reads ``wandb:ENTITY/PROJECT?filter``.

    Raises:
        UsageError: it is not of that form.
    """
    path, _, text = spec.removeprefix(PREFIX).partition("?")
    pairs = _pairs(spec, text)
    once = {key: pairs.pop(key)[0] for key in _ONCE if key in pairs}
    path = path.strip("/") or "/".join(once.get(key, "") for key in (_ENTITY, _PROJECT))
    given = path.split("/")
    if len(given) != 2 or not all(given):
        raise UsageError(f"{spec} names no project: write {_FORM}")
    for key, part in zip((_ENTITY, _PROJECT), given, strict=True):
        if once.get(key, part) != part:
            raise UsageError(f"{spec} names two projects: {path} and {key}={once[key]}")
    of_run = {key: pairs.pop(key) for key in _RUN_FILTERS if key in pairs}
    for state in of_run.get("state", ()):
        if state not in _STATES:
            raise UsageError(f"{spec}: a run's state is one of {', '.join(_STATES)}, not {state}")
    names = Names(once.get(_ENV), once.get(_CORE), once.get(_METRIC))
    return Source(path, names, pairs, of_run)


def _pairs(spec: str, text: str) -> dict[str, list[str]]:
    try:
        found = parse_qsl(text, keep_blank_values=True, strict_parsing=True) if text else []
    except ValueError:
        raise UsageError(f"{spec} has a filter that is no KEY=VALUE: write {_FORM}") from None
    pairs: dict[str, list[str]] = defaultdict(list)
    for key, value in found:
        if not key or not value:
            raise UsageError(f"{spec} has a filter without {'value' if key else 'key'}: {_FORM}")
        pairs[key].append(value)
    for key in _ONCE:
        if len(pairs.get(key, ())) > 1:
            raise UsageError(f"{spec} says {key}= more than once")
    return dict(pairs)


def _meanings(text: str) -> list[Any]:
    """A value as text and as what it may be in a config: ``1`` is a number there."""
    try:
        meant = json.loads(text if text not in ("True", "False") else text.lower())
    except ValueError:
        return [text]
    return [text, meant]

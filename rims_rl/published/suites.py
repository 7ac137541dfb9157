"""Suites: games x cores x seeds with the same settings, from YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rims_rl.comparison.naming import short_games
from rims_rl.envs.registry import spec_of
from rims_rl.experiments.budget import SET_BY_STORE, refuse_set_by_store
from rims_rl.experiments.store import Wanted
from rims_rl.published.cores import QUICK, Options, wanted
from rims_rl.runs.errors import UsageError, did_you_mean
from rims_rl.runs.shipped import read_shipped, shipped_names
from rims_rl.training.trainee import AGENTS

_SHIPPED = "suites"
_KEYS = {"title", "games", "cores", "options", "budgets"}
#: What to use instead of options that a store sets itself.
_INSTEAD = {
    **SET_BY_STORE,
    "seed": "seeds: N of a budget says how many there are",
    "seeds": "seeds: N of a budget says how many there are",
    "track": "--track says whether they are tracked",
}
#: What must be in a suite.
_NEEDED = {
    "games": (list, "a list of ids"),
    "cores": (dict, "options by name, such as {LSTM: {core: lstm}}"),
}


@dataclass(frozen=True)
class Suite:
    """Games that are learned with several cores.

    Attributes:
        name: of the file.
        title: for people.
        games: options of each game, ``env`` among them.
        cores: what distinguishes each core, by the name under which it is shown.
        options: of all runs, those of the budget among them.
        seeds: of each core in each game.
        note: what is smaller than in its first budget; empty if it is that one.
    """

    name: str
    title: str
    games: Sequence[Options]
    cores: Mapping[str, Options]
    options: Options
    seeds: int
    note: str = ""

    def models(self, quick: Options = QUICK) -> dict[tuple[str, str], Wanted]:
        """The models to be trained, by the game's environment and the core's name.

        Args:
            quick: what ``--quick`` of a figure changes.
        """
        return {
            (str(game["env"]), name): wanted({**self.options, **game}, core, quick)
            for game in self.games
            for name, core in self.cores.items()
        }


def suite_titles() -> dict[str, str]:
    """The suites that come with the package, by name."""
    return {name: _content(name)["title"] for name in shipped_names(_SHIPPED)}


def read_suite(name: str, budget: str | None = None) -> Suite:
    """Reads a suite and checks all of it.

    Args:
        name: one that comes with the package, or a YAML file.
        budget: one of its budgets; the first if None.

    Raises:
        UsageError: it cannot be read, or names a key, a game, a core or an option that is not
            there.
    """
    content = _content(name)
    budgets = _budgets(name, content)
    if budget is None:
        budget = next(iter(budgets))
    if budget not in budgets:
        raise UsageError(f"--budget {budget}: suite {name} has {', '.join(budgets)}")
    limits = dict(budgets[budget])
    seeds, chosen = limits.pop("seeds", 3), limits.pop("games", None)
    if type(seeds) is not int or seeds < 1:
        raise UsageError(f"suite {name}: seeds must be a whole number of at least 1, got {seeds}")
    suite = Suite(
        name=Path(name).stem,
        title=str(content["title"]),
        games=_games(name, content["games"], chosen),
        cores={str(core): _options(name, core, of) for core, of in content["cores"].items()},
        options={
            **_options(name, "options", content.get("options")),
            **_options(name, f"budget {budget}", limits),
        },
        seeds=seeds,
        note=_note(budget, budgets),
    )
    try:
        models = suite.models()
    except ValueError as error:  # an unknown core
        raise UsageError(f"suite {name}: {error}") from None
    known: dict[tuple[str, str], str] = {}
    for (env, core), model in models.items():
        identity = _checked_identity(f"suite {name}, {env}, {core}", env, model)
        same = known.setdefault((env, identity), core)
        if same != core:
            raise UsageError(f"suite {name}, {env}: {core} has the settings of {same}")
    return suite


def _note(budget: str, budgets: Mapping[str, Mapping[str, Any]]) -> str:
    """The note on what is smaller in a budget than in the first."""
    own, first = budgets[budget], next(iter(budgets.values()))
    less = [
        f"{key} {value:,} of {first[key]:,}"
        for key, value in own.items()
        if key != "seeds"  # a figure may have others
        and isinstance(value, int) and isinstance(first.get(key), int) and value < first[key]
    ]  # fmt: skip
    if own.get("games") and own["games"] != first.get("games"):
        less.append(f"games {', '.join(short_games(own['games']).values())}")
    return f"budget {budget}: {'; '.join(less)}" if less else ""


def _options(suite: str, of: object, options: Any) -> Options:
    """Options of a part of a suite, their names and types checked."""
    if not isinstance(options or {}, dict):
        raise UsageError(
            f"suite {suite}: {of}: give options by name, such as {{core: lstm}}, not {options}"
        )
    refuse_set_by_store(options or {}, f"suite {suite}: {of}", _INSTEAD)
    return AGENTS.check_options("", options or {}, f"suite {suite}, {of}")


def _checked_identity(where: str, env: str, model: Wanted) -> str:
    """The settings of a core in a game, which are there and go together."""
    try:
        spec_of(env)
        return AGENTS.plan(model.options).identity()
    except (ValueError, UsageError) as error:
        raise UsageError(f"{where}: {error}") from None


def _games(name: str, entries: Sequence[Any], chosen: Sequence[str] | None) -> list[Options]:
    games: list[Options] = [e if isinstance(e, dict) else {"env": e} for e in entries]
    by_env: dict[str, Options] = {}
    for game in games:
        if not isinstance(env := game.get("env"), str):
            raise UsageError(f"suite {name}: a game is an id, or options with env, not {game}")
        if env in by_env:
            raise UsageError(f"suite {name}: {env} is among its games twice")
        by_env[env] = _options(name, env, game)
    if chosen is None:
        return list(by_env.values())
    if not isinstance(chosen, list) or not chosen:
        raise UsageError(f"suite {name}: games of a budget must be a list of some, not {chosen}")
    for env in map(str, chosen):
        if env not in by_env:
            raise UsageError(f"suite {name}: a budget has {env}, which is not among its games")
    return [by_env[str(env)] for env in chosen]


def _budgets(name: str, content: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    budgets = content.get("budgets") or {"all": {}}
    if not isinstance(budgets, dict) or not all(isinstance(b, dict) for b in budgets.values()):
        raise UsageError(f"suite {name}: budgets must be options by name")
    return {str(budget): options for budget, options in budgets.items()}


def _content(name: str) -> Mapping[str, Any]:
    content = read_shipped(_SHIPPED, name, "suite")
    if not isinstance(content, dict):
        raise UsageError(f"suite {name}: not a mapping; it needs games and cores")
    for key in content:
        if key not in _KEYS:
            there_are = f"; there are {', '.join(sorted(_KEYS))}"
            hint = did_you_mean(str(key), _KEYS, otherwise=there_are)
            raise UsageError(f"suite {name}: unknown key {key!r}{hint}")
    for key, (kind, form) in _NEEDED.items():
        if not isinstance(content.get(key), kind) or not content[key]:
            raise UsageError(f"suite {name}: it needs {key}, {form}")
    return {"title": name, **content}

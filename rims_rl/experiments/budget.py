"""Budgets: what is trained for a figure with less time than the paper's settings take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rims_rl.runs.errors import UsageError
from rims_rl.runs.shipped import read_shipped
from rims_rl.runs.trainee import Kind

#: Options that a store of runs sets itself for each of them, and what to use instead.
SET_BY_STORE: Mapping[str, str] = {
    "seed": "--seeds says how many there are",
    "seeds": "--seeds says how many there are",
    "run_dir": "--runs says where they are",
    "track": "they are not tracked",
}


def refuse_set_by_store(
    options: Iterable[str], source: str, instead: Mapping[str, str] = SET_BY_STORE
) -> None:
    """Refuses options that would go unheard, as a store sets them itself.

    Args:
        options: their names, as a file has them.
        source: the file, for messages.
        instead: what to use in their place.

    Raises:
        UsageError: there is one.
    """
    for name in options:
        if name in instead:
            raise UsageError(
                f"{source}: {name} is chosen for each run; {instead[name]}: leave it out"
            )


@dataclass(frozen=True)
class Budget:
    """Options that stand in for the tasks' presets, which have the paper's settings.

    Attributes:
        name: of the file, for people; empty for the paper's settings.
        options: by task.
    """

    name: str = ""
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def of(self, task: str, core: str = "rim") -> Mapping[str, Any]:
        """The options of a task for a core; ``core_kwargs`` are a RIM's."""
        options = self.options.get(task, {})
        return {k: v for k, v in options.items() if core == "rim" or k != "core_kwargs"}

    def note(self, settings: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
        """The note of a picture on its runs; empty where they have the paper's settings.

        An option for which a figure has its own value in all runs is left out.

        Args:
            settings: the subject of each run and all its options.
        """
        changed: dict[str, dict[str, Any]] = {}
        for subject, options in settings:
            of_run = _flat(options)
            for name, value in _flat(self.of(subject)).items():
                if name in of_run and of_run[name] == value:
                    changed.setdefault(subject, {})[name] = value
        parts = [
            f"{task}: {', '.join(f'{name} {value}' for name, value in options.items())}"
            for task, options in sorted(changed.items())
        ]
        return f"budget {self.name}: {'; '.join(parts)}" if parts else ""


def _flat(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with those of ``core_kwargs`` among them."""
    others = {name: value for name, value in options.items() if name != "core_kwargs"}
    return {**others, **options.get("core_kwargs", {})}


def read_budget(name: str, kind: Kind[Any]) -> Budget:
    """Reads a budget: YAML with subjects, such as tasks, as keys and their options under each.

    Args:
        name: of a shipped one, e.g. ``cpu``, or a path.
        kind: of the runs that it is for.

    Raises:
        UsageError: there is no such file, or it names an unknown task or option, or one of
            `SET_BY_STORE`.
    """
    content = read_shipped("budgets", name, "--budget")
    if not isinstance(content, dict) or not all(isinstance(v, dict) for v in content.values()):
        raise UsageError(f"--budget {name}: not a mapping of tasks to options")
    for subject, values in content.items():
        if "core" in values:
            raise UsageError(
                f"--budget {name}: {subject}: the figure says which core it trains; leave core out"
            )
        refuse_set_by_store(values, f"--budget {name}: {subject}")
    options = {
        subject: kind.check_options(subject, values, f"--budget {name}")
        for subject, values in content.items()
    }
    return Budget(Path(name).stem, options)

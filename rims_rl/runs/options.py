"""The parts of a run: options in groups, each with its type, default, help and check."""

from __future__ import annotations

import abc
import copy
import dataclasses
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, TypeVar, cast

from rims_rl.runs.errors import UsageError
from rims_rl.version import __version__

Track = Literal["auto", "online", "offline", "off"]
Value = TypeVar("Value")


def option(default: Value, text: str) -> Value:
    """A field of a dataclass of options, with its default and its line in the help."""
    made: object = (
        field(default_factory=lambda: copy.copy(default), metadata={"help": text})
        if isinstance(default, list | dict)
        else field(default=default, metadata={"help": text})
    )
    return cast(Value, made)


@dataclass(frozen=True)
class PlaceOptions:
    """The place where a run is computed and what is kept of it."""

    seed: int = option(0, "seed of weights and training")
    device: str = option("auto", "auto, cpu, cuda or cuda:N")
    threads: int = option(0, "CPU threads of torch; 0: torch's choice")
    run_dir: str | None = option(
        None, "this run's folder; default runs/WHAT IS LEARNED/MODEL/seedS-TIME"
    )
    track: Track = option("auto", "Weights & Biases; auto: online when logged in, else offline")
    keep_checkpoints: int = option(3, "how many checkpoints are kept")

    def __post_init__(self) -> None:
        at_least(self, 1, "keep_checkpoints")
        at_least(self, 0, "threads")
        check_seed(self.seed)


class Model(Protocol):
    """The options of the model that learns."""

    @property
    def core(self) -> str:
        """Its kind."""

    def label(self) -> str:
        """A short name that tells the models of a subject apart."""

    def cell(self) -> Mapping[str, Any]:
        """Its options with today's defaults: with others it is another run."""

    def tags(self) -> list[str]:
        """Tags of its runs."""


@dataclass(frozen=True)
class Plan(abc.ABC):
    """All options of a run, resolved; its fields are groups of options.

    Attributes:
        run: where it is computed and what is kept.
        model: what learns.

    Raises:
        UsageError: values that do not go together; the message says what would work.
    """

    run: PlaceOptions
    model: Model

    #: Options that `identity` leaves out: the seed, which stands beside it, and where and how a run
    #: is computed.
    NOT_IN_IDENTITY: ClassVar[frozenset[str]] = frozenset(
        ("seed", "device", "threads", "run_dir", "track", "checkpoint_every")
    )
    #: Options that came after runs had been stored, with what those runs did: at that value
    #: `identity` leaves them out.
    CAME_LATER: ClassVar[Mapping[str, Any]] = {}

    @property
    @abc.abstractmethod
    def subject(self) -> str:
        """The subject of learning: an environment or a task."""

    def label(self) -> str:
        """A short name that tells the runs of a subject apart."""
        return self.model.label()

    def group(self) -> str:
        """The common name of runs that differ in sizes and seed alone."""
        return f"{self.subject}__{self.model.core}"

    def tags(self) -> list[str]:
        """The version, and the model's tags."""
        return [f"v{__version__}", *self.model.tags()]

    @classmethod
    def is_in_identity(cls, name: str, value: Any) -> bool:
        """Tells whether an option at some value tells runs apart."""
        came_later = name in cls.CAME_LATER and value == cls.CAME_LATER[name]
        return name not in cls.NOT_IN_IDENTITY and not came_later

    def flat(self) -> dict[str, Any]:
        """All options by name: the content of a run's ``config.yaml``."""
        values: dict[str, Any] = {}
        for entry in dataclasses.fields(self):
            part = getattr(self, entry.name)
            grouped = dataclasses.is_dataclass(part) and not isinstance(part, type)
            values |= dataclasses.asdict(part) if grouped else {entry.name: part}
        return values

    def identity(self) -> str:
        """The settings that tell runs apart beside their seed, as text."""
        chosen = {
            name: value for name, value in self.flat().items() if self.is_in_identity(name, value)
        }
        cell = self.model.cell()
        return json.dumps({**chosen, **({"cell": cell} if cell else {})}, sort_keys=True)


def grouped(kinds: Mapping[str, type], values: Mapping[str, Any]) -> dict[str, Any]:
    """Groups of options from one flat mapping of option name to value.

    Args:
        kinds: the dataclass of each group.
        values: the options that differ from their defaults.

    Raises:
        UsageError: a value is out of range; the message calls options as the command line does.
    """
    groups = {}
    for name, kind in kinds.items():
        own = {key: values[key] for key in option_names(kind) if key in values}
        for key, value in own.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise UsageError(f"{flag(key)} must be a finite number, got {value}")
        try:
            groups[name] = kind(**own)
        except ValueError as error:
            raise UsageError(_with_flag(str(error), option_names(kind))) from None
    return groups


def _with_flag(message: str, names: tuple[str, ...]) -> str:
    """Writes the option that a message begins with as it is typed."""
    word = re.match(r"\w+", message)
    if word is None or word[0] not in names or word[0] == "core_kwargs":
        return message
    return flag(word[0]) + message[word.end() :]


def option_names(group: type) -> tuple[str, ...]:
    """The names of a group's options."""
    return tuple(f.name for f in dataclasses.fields(group))


def flag(name: str) -> str:
    """An option as it is typed on the command line."""
    return "--" + name.replace("_", "-")


def at_least(group: object, lowest: float, *names: str) -> None:
    """Refuses options of a group that are below `lowest`."""
    for name in names:
        if not getattr(group, name) >= lowest:
            raise UsageError(f"{flag(name)} must be at least {lowest}, got {getattr(group, name)}")


def overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Options over others; of ``core_kwargs`` each key on its own."""
    name = "core_kwargs"
    keys = {**below.get(name, {}), **above.get(name, {})}
    return {**below, **above, **({name: keys} if keys else {})}


def check_seed(seed: int, name: str = "seed") -> None:
    """Refuses seeds that a random generator does not take."""
    if not 0 <= seed < 2**31:
        raise UsageError(f"{flag(name)} must be from 0 to {2**31 - 1}, got {seed}")


def above_zero(group: object, *names: str) -> None:
    """Refuses options of a group that are 0 or below; None stands for none."""
    for name in names:
        value = getattr(group, name)
        if value is not None and not value > 0:
            raise UsageError(f"{flag(name)} must be above 0, got {value}")


def in_unit_interval(group: object, *names: str) -> None:
    """Refuses options of a group that are not from 0 to 1."""
    for name in names:
        if not 0 <= getattr(group, name) <= 1:
            raise UsageError(f"{flag(name)} must be between 0 and 1, got {getattr(group, name)}")

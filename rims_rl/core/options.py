"""The options of a core as a run holds them: by name, each with its help."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from rims_rl.core.config import RIMConfig, Variant
from rims_rl.core.registry import core_options

#: Options of a core that stand beside ``core_kwargs``, each on its own.
SIZED = ("hidden_size", "num_rims", "num_active", "variant")


@dataclass(frozen=True)
class CoreOptions:
    """A core by name and its sizes; see `rims_rl.RIMConfig`. Subclasses say which names exist.

    Raises:
        ValueError: an unknown core or option, or a value out of range.
    """

    core: str
    #: 6 RIMs of 42 units by default, close to the 256 of SB3's LSTM.
    hidden_size: int = field(default=252, metadata={"help": "units of the core, all RIMs together"})
    num_rims: int = field(default=RIMConfig.num_rims, metadata={"help": "number of RIMs"})
    num_active: int = field(
        default=RIMConfig.num_active, metadata={"help": "RIMs active at each step"}
    )
    variant: Variant = field(
        default=RIMConfig.variant, metadata={"help": "what a RIM cell computes"}
    )
    core_kwargs: dict[str, Any] = field(
        default_factory=dict, metadata={"help": "any other option of the core, as {key: value}"}
    )

    def __post_init__(self) -> None:
        try:
            known = set(self.known())
        except ValueError as error:
            raise ValueError(f"core: {error}") from None
        own = known & {f.name for f in fields(self)}
        for key in self.core_kwargs:
            if key in own:
                raise ValueError(f"core_kwargs: give {key} as an option of its own instead")
            if key not in known:
                choices = ", ".join(sorted(known - own))
                hint = f"choose from {choices}" if choices else f"core {self.core} has none"
                raise ValueError(f"core_kwargs: unknown key {key!r}; {hint}")
        if self.hidden_size < 1:
            raise ValueError(f"hidden_size must be at least 1, got {self.hidden_size}")
        try:
            self.cell()
        except TypeError:
            raise ValueError(
                f"core_kwargs: a value has the wrong type: {self.core_kwargs}"
            ) from None

    def known(self) -> tuple[str, ...]:
        """The options that the core takes."""
        return core_options(self.core)

    def options(self) -> dict[str, Any]:
        """The arguments that the core takes, as `core_kwargs` of the policies."""
        known = self.known()
        own = {name: getattr(self, name) for name in SIZED if name in known}
        return {**own, **self.core_kwargs}

    def cell(self) -> dict[str, Any]:
        """Options that decide what a RIM computes, defaults of today included; empty for others."""
        if self.core != "rim":
            return {}
        resolved = asdict(RIMConfig(input_size=1, **self.options()))
        return {
            name: value
            for name, value in resolved.items()
            if name not in _NO_CELL and (name, value) not in AS_BEFORE
        }

    def spelled_out(self) -> dict[str, Any]:
        """As `options`, with today's defaults, so that later ones change nothing."""
        given = self.options()
        return RIMConfig(input_size=1, **given).options() if self.core == "rim" else given

    def label(self) -> str:
        """A short name that tells runs of one environment apart, e.g. ``rim-k6-4-h510``."""
        parts = [self.core.rpartition(":")[2]]
        if self.core == "rim":
            parts += [self.variant] if self.variant != type(self).variant else []
            parts += [f"k{self.num_rims}-{self.num_active}"]
        parts += [f"h{self.hidden_size}"] if "hidden_size" in self.known() else []
        parts += [f"{key}={value}" for key, value in sorted(self.core_kwargs.items())]
        return "-".join(parts)

    def tags(self) -> list[str]:
        """Tags of runs, e.g. ``k6-4`` for six RIMs with four active."""
        return [f"k{self.num_rims}-{self.num_active}"] if self.core == "rim" else []


#: Fields of `RIMConfig` that say how large an input is or how something is computed.
_NO_CELL = ("input_size", "backend")
#: What fields stood for before they could be chosen: runs of then keep their names.
AS_BEFORE = {("score_bias_std", 1.0)}

"""What a run of a supervised task is made of: every option with its type, default and check."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from rims_rl.core.rmc import check_rmc_sizes
from rims_rl.core.sizes import check_divisible
from rims_rl.run.config import CoreOptions, Track, above_zero, at_least, check_seed, option_names
from rims_rl.run.errors import UsageError

TaskCoreName = Literal["rim", "lstm", "gru", "rmc", "transformer", "tto"]


@dataclass(frozen=True)
class ModelConfig(CoreOptions):
    """The sequence model between a task's encoder and its decoder."""

    core: TaskCoreName = field(
        default="rim", metadata={"help": "sequence model (tto: oracle of partial-view)"}
    )
    slots: int = field(default=6, metadata={"help": "memory slots of the rmc"})
    heads: int = field(default=4, metadata={"help": "attention heads of rmc and transformer"})
    keep_bias: float = field(
        default=1.0,
        metadata={"help": "bias of forget and update gates of rim, lstm and gru at the start"},
    )
    layers: int = field(default=2, metadata={"help": "layers of the transformer"})

    def _known(self) -> tuple[str, ...]:
        own = {"rmc": ("hidden_size", "slots", "heads"), "transformer": ("hidden_size",), "tto": ()}
        return own[self.core] if self.core in own else super()._known()

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "slots", "heads", "layers")
        try:
            if self.core == "rmc":
                check_rmc_sizes(self.hidden_size, self.slots, self.heads)
            elif self.core == "transformer":
                check_divisible(self.hidden_size, self.heads, f"heads {self.heads}")
        except ValueError as error:
            raise UsageError(str(error)) from None


@dataclass(frozen=True)
class LearningConfig:
    """How the model learns."""

    epochs: int = field(default=100, metadata={"help": "passes over the training sequences"})
    batch_size: int = field(default=64, metadata={"help": "sequences of an update"})
    learning_rate: float = field(default=7e-4, metadata={"help": "Adam's step size"})
    max_grad_norm: float = field(default=1.0, metadata={"help": "largest gradient norm"})
    train_size: int = field(default=6_400, metadata={"help": "training sequences of an epoch"})
    valid_size: int = field(default=640, metadata={"help": "sequences that choose the best model"})
    test_size: int = field(default=1_280, metadata={"help": "sequences of each test"})

    def __post_init__(self) -> None:
        at_least(self, 1, "epochs", "batch_size", "train_size", "valid_size", "test_size")
        above_zero(self, "learning_rate", "max_grad_norm")


@dataclass(frozen=True)
class PlaceConfig:
    """Where a run is computed and what is kept of it."""

    seed: int = field(
        default=0, metadata={"help": "seed of weights and of what is drawn in training"}
    )
    device: str = field(default="auto", metadata={"help": "auto, cpu, cuda or cuda:N"})
    threads: int = field(default=0, metadata={"help": "CPU threads of torch; 0: torch's choice"})
    run_dir: str | None = field(
        default=None, metadata={"help": "this run's folder; default runs/TASK/MODEL/seedS-TIME"}
    )
    track: Track = field(
        default="auto",
        metadata={"help": "Weights & Biases; auto: online when logged in, else offline"},
    )
    checkpoint_every: int = field(default=1, metadata={"help": "epochs between checkpoints"})
    keep_checkpoints: int = field(default=3, metadata={"help": "how many checkpoints are kept"})

    def __post_init__(self) -> None:
        at_least(self, 1, "checkpoint_every", "keep_checkpoints")
        at_least(self, 0, "threads")
        check_seed(self.seed)


Options = TypeVar("Options")

GROUPS: Mapping[str, type] = {
    "model": ModelConfig,
    "learning": LearningConfig,
    "place": PlaceConfig,
}


@dataclass(frozen=True)
class TaskConfig(Generic[Options]):
    """A whole run of a supervised task.

    Attributes:
        task: its name.
        options: the task's own options, a dataclass.
        model: the sequence model.
        learning: data sizes and optimizer.
        place: seed, device, folder, tracking and checkpoints.
        quick: whether ``--quick`` gave the defaults.
    """

    task: str
    options: Options
    model: ModelConfig
    learning: LearningConfig
    place: PlaceConfig
    quick: bool = False

    @classmethod
    def from_flat(
        cls, task: str, options: type[Options], values: Mapping[str, Any]
    ) -> TaskConfig[Options]:
        """Builds the configuration from one flat mapping of option name to value.

        Args:
            task: its name.
            options: the dataclass of its own options.
            values: the options that differ from their defaults.
        """

        def group(kind: type) -> Any:
            return kind(**{name: values[name] for name in option_names(kind) if name in values})

        groups = {name: group(kind) for name, kind in GROUPS.items()}
        quick = bool(values.get("quick"))
        return cls(task=task, options=group(options), quick=quick, **groups)

    def flat(self) -> dict[str, Any]:
        """The task and all options by name: the content of a run's ``config.yaml``."""
        groups = (getattr(self, name) for name in ("options", *GROUPS))
        parts = (dataclasses.asdict(group) for group in groups)
        options = {key: value for part in parts for key, value in part.items()}
        return {"task": self.task, "quick": self.quick, **options}

    def label(self) -> str:
        """A short name that tells the models of a task apart."""
        model = self.model
        extras = {
            "rmc": f"-s{model.slots}-a{model.heads}",
            "transformer": f"-l{model.layers}-a{model.heads}",
        }
        return model.label() + extras.get(model.core, "")

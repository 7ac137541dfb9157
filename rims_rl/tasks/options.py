"""The options of a run of a supervised task: each with its type, default, help and check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from rims_rl.core.config import Variant
from rims_rl.core.options import SIZED, CoreOptions
from rims_rl.core.registry import core_options
from rims_rl.core.rmc import check_rmc_sizes
from rims_rl.core.sizes import check_divisible
from rims_rl.runs.options import PlaceOptions, Plan, above_zero, at_least, grouped, option

TaskCoreName = Literal["rim", "lstm", "gru", "rmc", "transformer", "tto"]


@dataclass(frozen=True)
class ModelOptions(CoreOptions):
    """The sequence model between a task's encoder and its decoder."""

    core: TaskCoreName = option("rim", "sequence model (tto: oracle of partial-view)")
    # Here the better one, see docs/default_cell.md.
    variant: Variant = option("hard", "what a RIM cell computes; that of agents is default")
    slots: int = option(6, "memory slots of the rmc")
    heads: int = option(4, "attention heads of rmc and transformer")
    keep_bias: float = option(
        1.0, "bias of forget and update gates of rim, lstm and gru at the start"
    )
    layers: int = option(2, "layers of the transformer")

    def known(self) -> tuple[str, ...]:
        """The options that the model takes."""
        return model_options(self.core)

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "slots", "heads", "layers")
        if self.core == "rmc":
            check_rmc_sizes(self.hidden_size, self.slots, self.heads)
        elif self.core == "transformer":
            check_divisible(self.hidden_size, self.heads, f"heads {self.heads}")

    def label(self) -> str:
        """A short name that tells the models of a task apart."""
        extras = {
            "rmc": f"-s{self.slots}-a{self.heads}",
            "transformer": f"-l{self.layers}-a{self.heads}",
        }
        return super().label() + extras.get(self.core, "")


#: Options of a model beside ``core_kwargs``: each is for some of them.
OF_MODELS = (*SIZED, "slots", "heads", "keep_bias", "layers")


def model_options(core: str) -> tuple[str, ...]:
    """The options that a sequence model takes."""
    own = {
        "rmc": ("hidden_size", "slots", "heads"),
        "transformer": ("hidden_size", "layers", "heads"),
        "tto": (),
    }
    return own[core] if core in own else (*core_options(core), "keep_bias")


@dataclass(frozen=True)
class LearningOptions:
    """The settings of the model's learning."""

    epochs: int = option(100, "passes over the training sequences")
    batch_size: int = option(64, "sequences of an update")
    learning_rate: float = option(7e-4, "Adam's step size")
    max_grad_norm: float = option(1.0, "largest gradient norm")
    train_size: int = option(6_400, "training sequences of an epoch")
    valid_size: int = option(640, "sequences that choose the best model")
    test_size: int = option(1_280, "sequences of each test")

    def __post_init__(self) -> None:
        at_least(self, 1, "epochs", "batch_size", "train_size", "valid_size", "test_size")
        above_zero(self, "learning_rate", "max_grad_norm")


@dataclass(frozen=True)
class RunOptions(PlaceOptions):
    """The place where a run is computed and what is kept of it."""

    checkpoint_every: int = option(1, "epochs between checkpoints")

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "checkpoint_every")


Options = TypeVar("Options")

GROUPS: Mapping[str, type] = {
    "model": ModelOptions,
    "learning": LearningOptions,
    "run": RunOptions,
}


@dataclass(frozen=True)
class TaskPlan(Plan, Generic[Options]):
    """A whole run of a supervised task.

    Attributes:
        run: seed, device, folder, tracking and checkpoints.
        model: the sequence model.
        task: its name.
        options: the task's own options, a dataclass.
        learning: data sizes and optimizer.
        quick: whether ``--quick`` gave the defaults.
    """

    run: RunOptions
    model: ModelOptions
    task: str
    options: Options
    learning: LearningOptions
    quick: bool = False

    NOT_IN_IDENTITY = Plan.NOT_IN_IDENTITY | {"cache_dir"}

    @classmethod
    def from_flat(
        cls, task: str, options: type[Options], values: Mapping[str, Any]
    ) -> TaskPlan[Options]:
        """Builds the plan from one flat mapping of option name to value.

        Args:
            task: its name.
            options: the dataclass of its own options.
            values: the options that differ from their defaults.
        """
        groups = grouped({"options": options, **GROUPS}, values)
        return cls(task=task, quick=bool(values.get("quick")), **groups)

    @property
    def subject(self) -> str:
        """The task."""
        return self.task

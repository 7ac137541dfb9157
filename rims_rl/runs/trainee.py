"""The harness's demands on whatever it trains: agents and the models of supervised tasks."""

from __future__ import annotations

import abc
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from stable_baselines3.common.logger import Logger

from rims_rl.runs.checkpoints import Checkpoint
from rims_rl.runs.options import Plan, flag
from rims_rl.runs.parser import Request
from rims_rl.runs.stop import StopRequest

PlanType = TypeVar("PlanType", bound=Plan)


@dataclass(frozen=True)
class Run:
    """A run while it trains.

    Attributes:
        folder: where it writes.
        logger: of its metrics.
        stop: the signal, if one came: the trainee ends at its next step.
    """

    folder: Path
    logger: Logger
    stop: StopRequest


class Trainee(abc.ABC):
    """A model, fresh or from a checkpoint, with all that its training needs.

    Attributes:
        wandb_id: of the W&B run; it is saved with every checkpoint.
    """

    wandb_id: str | None

    @property
    @abc.abstractmethod
    def done(self) -> int:
        """The progress so far, on the step axis."""

    @property
    @abc.abstractmethod
    def device(self) -> object:
        """The device that it is computed on."""

    @property
    @abc.abstractmethod
    def param_count(self) -> int:
        """The number of learned parameters."""

    def facts(self) -> dict[str, Any]:
        """Values for the W&B configuration beside the options."""
        return {}

    @abc.abstractmethod
    def train(self, run: Run) -> None:
        """Trains to the end or until a signal, and saves what it arrived at.

        Raises:
            FloatingPointError: a tensor is not finite.
        """

    @abc.abstractmethod
    def recover(self, error: FloatingPointError) -> str:
        """After `train` raised: saves the last good state if it must; what to tell the user."""

    @abc.abstractmethod
    def conclude(self, run: Run) -> str:
        """After `train`: writes the results, if it got to its end; what to tell the user."""

    @abc.abstractmethod
    def close(self) -> None:
        """Frees what the training held."""


class Kind(abc.ABC, Generic[PlanType]):
    """A kind of run: its options, how it is made, and its command.

    Attributes:
        command: that trains such runs, e.g. ``train`` for ``python -m rims_rl.train``.
        step_name: the step axis of ``progress.csv``.
        unit: of that axis, ``step`` or ``update``.
        subject: the option that says what is learned.
        facts: what a checkpoint must say.
        refusals: errors beside `UsageError` that say what the user should change.
    """

    command: ClassVar[str]
    step_name: ClassVar[str]
    unit: ClassVar[str]
    subject: ClassVar[str]
    facts: ClassVar[Sequence[str]]
    refusals: ClassVar[tuple[type[Exception], ...]] = ()

    @abc.abstractmethod
    def parse(self, argv: Sequence[str]) -> Request:
        """Reads the command line and the file that it names.

        Raises:
            UsageError: an unknown option or key, or a value of another type.
        """

    @abc.abstractmethod
    def plan(self, values: Mapping[str, Any]) -> PlanType:
        """Completes the user's values with presets and defaults.

        Raises:
            UsageError: values out of range or that do not go together.
        """

    @abc.abstractmethod
    def stored_plan(self, file: Path, changes: Mapping[str, Any]) -> PlanType:
        """The plan of a stored run, with what the user changes when resuming it.

        Args:
            file: its configuration.
            changes: options.

        Raises:
            UsageError: it cannot be read, or a change would make it another run.
        """

    def title(self, plan: PlanType) -> str:
        """The name of what is trained, for people, e.g. ``CartPole-v1, lstm-h60, seed 1``."""
        return f"{plan.subject}, {plan.label()}, seed {plan.run.seed}"

    @abc.abstractmethod
    def make(self, plan: PlanType, folder: Path) -> Trainee:
        """A fresh trainee; nothing is written to the folder yet.

        Raises:
            UsageError: it cannot be made as asked.
        """

    @abc.abstractmethod
    def restore(self, plan: PlanType, folder: Path, checkpoint: Checkpoint) -> Trainee:
        """The trainee that a checkpoint of its folder holds.

        Raises:
            UsageError: there is nothing to continue, or not as asked.
        """

    @abc.abstractmethod
    def total(self, plan: PlanType) -> int:
        """The end of the step axis."""

    @abc.abstractmethod
    def is_done(self, plan: PlanType, folder: Path) -> bool:
        """Tells whether a folder's run got to its end."""

    @abc.abstractmethod
    def results(self, folder: Path) -> dict[str, Any]:
        """All that a run that is done says of itself: ``param_count``, ``environment`` and more.

        Raises:
            UsageError: it cannot be read.
        """

    @abc.abstractmethod
    def check_options(self, subject: str, values: Mapping[str, Any], source: str) -> dict[str, Any]:
        """Checks names and types of options for a subject, and converts them.

        Raises:
            UsageError: an unknown subject or option, or a wrong type; `source` says where.
        """

    @abc.abstractmethod
    def require_room(self, plans: Sequence[PlanType]) -> None:
        """Refuses to begin some runs where the disk has no room for their data.

        Raises:
            UsageError: with what is needed.
        """

    def arguments(self, values: Mapping[str, Any]) -> list[str]:
        """The values as arguments of the command."""
        argv = []
        for name, value in values.items():
            argv += [flag(name), value if isinstance(value, str) else json.dumps(value)]
        return argv

    def argv(self, *arguments: str) -> list[str]:
        """A command of this kind, for this Python."""
        return [sys.executable, "-m", f"rims_rl.{self.command}", *arguments]

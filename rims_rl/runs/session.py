"""A run from start to end: prepared completely before it leaves a trace on disk."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic

import torch

from rims_rl.runs import folder as files
from rims_rl.runs.checkpoints import newest_checkpoint, restore_rng, what_is_damaged
from rims_rl.runs.device import check_device
from rims_rl.runs.errors import UsageError, exit_status, report
from rims_rl.runs.loggers import open_logger
from rims_rl.runs.options import Plan
from rims_rl.runs.parser import to_yaml
from rims_rl.runs.stop import StopRequest
from rims_rl.runs.trainee import Kind, PlanType, Run, Trainee
from rims_rl.runs.wandb_run import open_run


@dataclass
class Session(Generic[PlanType]):
    """A run that is ready to train.

    Attributes:
        kind: of the run.
        plan: resolved.
        folder: of the run.
        trainee: fresh or from a checkpoint.
        rng: random states of the checkpoint, None for a new run.
        changed: options that a resumed run has otherwise than before: their values then and now.
    """

    kind: Kind[PlanType]
    plan: PlanType
    folder: Path
    trainee: Trainee
    rng: dict[str, Any] | None = None
    changed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def resumed(self) -> bool:
        """True if the run goes on from a checkpoint."""
        return self.rng is not None


def main(kind: Kind[Any], argv: Sequence[str] | None) -> int:
    """Trains as a command line says.

    Args:
        kind: of the run.
        argv: the arguments; those of the process by default.

    Returns:
        The exit status: 0; 2 for a request that cannot be done; 130 or 143 after Ctrl-C or
        SIGTERM, with a checkpoint saved; 1 where a tensor is not finite.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    return exit_status(
        kind.command,
        lambda: _train(kind, arguments),
        "interrupted at once; what was saved before is intact",
        *kind.refusals,
    )


def _train(kind: Kind[Any], arguments: Sequence[str]) -> int:
    request = kind.parse(arguments)
    command = command_line(kind, arguments)
    if request.resume is None:
        session = new_session(kind, request.values)
        with contextlib.closing(session.trainee), files.created(session.folder):
            return run_session(session, command)
    files.check_resumable(kind.command, request.resume)
    with files.held(request.resume):
        session = resumed_session(kind, request.resume, request.values)
        with contextlib.closing(session.trainee):
            return run_session(session, command)


def command_line(kind: Kind[PlanType], arguments: Sequence[str]) -> str:
    """The command of a run, ready to paste into a shell."""
    return shlex.join(["python", *kind.argv(*arguments)[1:]])


def new_session(kind: Kind[PlanType], values: Mapping[str, Any]) -> Session[PlanType]:
    """Prepares a new run; nothing is written to its folder yet.

    Args:
        kind: of the run.
        values: the options that the user gave.

    Raises:
        UsageError: the run cannot be done as asked.
    """
    plan = kind.plan(values)
    folder = files.new_folder(plan.run.run_dir, plan.subject, plan.label(), plan.run.seed)
    _prepare(plan)
    return Session(kind, plan, folder, kind.make(plan, folder))


def resumed_session(
    kind: Kind[PlanType], folder: Path, changes: Mapping[str, Any]
) -> Session[PlanType]:
    """Prepares the continuation of a run from its newest intact checkpoint.

    Args:
        kind: of the run.
        folder: of the run, which is held: another process might save a newer checkpoint.
        changes: the options that the user changes.

    Raises:
        UsageError: there is nothing to continue, or not as asked.
    """
    before = kind.stored_plan(folder / files.CONFIG, {}).flat()
    plan = kind.stored_plan(folder / files.CONFIG, changes)
    changed = {key: [before[key], now] for key, now in plan.flat().items() if now != before[key]}
    checkpoint = newest_checkpoint(folder / files.CHECKPOINTS, kind.facts)
    if checkpoint is None:
        damage = what_is_damaged(folder / files.CHECKPOINTS, kind.facts)
        raise UsageError(
            f"--resume {folder}: it holds no intact checkpoint{damage and f' ({damage})'}; start a "
            "new run, with this folder removed or another --run-dir"
        )
    _prepare(plan)
    trainee = kind.restore(plan, folder, checkpoint)
    return Session(kind, plan, folder, trainee, checkpoint.facts["rng"], changed)


def _prepare(plan: Plan) -> None:
    check_device(plan.run.device)
    if plan.run.threads:
        torch.set_num_threads(plan.run.threads)


def run_session(session: Session[PlanType], command: str) -> int:
    """Trains to the end, or until a signal or a tensor that is not finite stops it.

    Args:
        session: prepared, its folder held; from here on the run writes there.
        command: as typed, for ``command.txt``.

    Returns:
        The exit status: 0; 130 or 143 after Ctrl-C or SIGTERM; 1 where a tensor is not finite.
    """
    kind, trainee, folder = session.kind, session.trainee, session.folder
    plan = session.plan
    files.describe_run(folder, to_yaml(plan), command, session.changed, plan.model.cell())
    _print_head(session)
    tracked = open_run(session.plan, folder, trainee.wandb_id, _facts(session))
    if tracked is not None:
        trainee.wandb_id = tracked.id
    if session.rng is not None:
        restore_rng(session.rng)
    done, resumed = trainee.done, session.resumed
    with (
        open_logger(folder, kind.step_name, done, tracked, resumed) as logger,
        StopRequest() as stop,
    ):
        run = Run(folder, logger, stop)
        try:
            trainee.train(run)
        except FloatingPointError as error:
            report(kind.command, trainee.recover(error))
            return 1
        if not stop:
            stop.close()  # what concludes a run can take long, and can be repeated
        print(trainee.conclude(run), flush=True)
        return stop.exit_status


def _facts(session: Session[PlanType]) -> dict[str, Any]:
    trainee = session.trainee
    plan = session.plan
    # As CleanRL and openrlbenchmark call them.
    names = {"env_id": plan.subject, "exp_name": plan.label()}
    facts = {**names, "param_count": trainee.param_count, "cell": plan.model.cell()}
    return {**facts, **trainee.facts()}


def _print_head(session: Session[PlanType]) -> None:
    plan, trainee, folder = session.plan, session.trainee, session.folder
    start = f" from {trainee.done:,} {session.kind.unit}s" if session.resumed else ""
    print(
        f"{plan.subject}, {plan.label()}, {trainee.param_count:,} parameters, "
        f"{trainee.device}{start}\nrun folder {folder}",
        flush=True,
    )

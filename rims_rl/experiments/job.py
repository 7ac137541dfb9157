"""A run of an experiment: its settings, its folder, and the ordinary command that trains it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rims_rl.runs import session
from rims_rl.runs.checkpoints import newest_checkpoint, step_of
from rims_rl.runs.errors import UsageError
from rims_rl.runs.folder import (
    BEST_MODEL,
    CHECKPOINTS,
    CONFIG,
    MODEL,
    PROGRESS,
    RESULTS,
    is_locked,
)
from rims_rl.runs.options import Plan, Track
from rims_rl.runs.trainee import Kind

#: Bytes that hold the last two rows of any ``progress.csv``.
_LONGEST_ROW = 1 << 16


@dataclass(frozen=True, eq=False)
class Job:
    """A run to train.

    Attributes:
        kind: of the run.
        values: the options that differ from presets and defaults, without the run's folder.
        plan: all options.
        folder: of the run.
        track: whether the training reports to Weights & Biases, as ``--track``.
    """

    kind: Kind[Any]
    values: Mapping[str, Any]
    plan: Plan
    folder: Path
    track: Track = "off"

    @property
    def title(self) -> str:
        """For people, e.g. ``copying, lstm-h600, seed 1``."""
        return self.kind.title(self.plan)

    @property
    def log(self) -> Path:
        """The file of what the training prints when it is one of several."""
        return Path(f"{self.folder}.log")

    @property
    def is_done(self) -> bool:
        """True if the run got to its end."""
        return self.kind.is_done(self.plan, self.folder)

    @property
    def total(self) -> int:
        """Steps of the whole run."""
        return self.kind.total(self.plan)

    @property
    def steps_done(self) -> int:
        """The step of the last row of ``progress.csv``."""
        with contextlib.suppress(OSError, ValueError), (self.folder / PROGRESS).open("rb") as rows:
            size = rows.seek(0, os.SEEK_END)
            rows.seek(max(0, size - _LONGEST_ROW))  # it is read often, and grows long
            complete, _, _ = rows.read().rpartition(b"\n")
            return int(complete.rpartition(b"\n")[2].partition(b",")[0])
        return 0

    def arguments(self, threads: int = 0) -> list[str]:
        """Those of the command: for a new run, or to resume it if it saved a checkpoint.

        Args:
            threads: of torch; 0 for what the settings say.
        """
        here = ["--track", self.track, *(["--threads", str(threads)] if threads else [])]
        if (self.folder / CONFIG).exists():
            checkpoints = self.folder / CHECKPOINTS
            if newest_checkpoint(checkpoints, self.kind.facts) is not None:
                return ["--resume", str(self.folder), *here]
        return [*self.kind.arguments(self.values), "--run-dir", str(self.folder), *here]

    def command(self) -> str:
        """The command that trains it, or goes on with it, ready to paste into a shell."""
        return session.command_line(self.kind, self.arguments())

    @property
    def is_busy(self) -> bool:
        """True if a process trains the run, or is about to."""
        with self._held() as hold:
            return hold is None

    def wait_while_busy(self) -> None:
        """Waits for a process that trains the run, such as one that an earlier command left."""
        while self.is_busy:
            time.sleep(1)

    def train_here(self) -> int:
        """Trains the run in this process, and returns the command's exit status.

        Where another process is busy with it, waits for that one.
        """
        while True:
            with self._held() as hold:
                if hold is not None:
                    if self.is_done:
                        return 0
                    self._clear()
                    return session.main(self.kind, self.arguments())
            time.sleep(1)

    def start(self, threads: int) -> subprocess.Popen[bytes] | None:
        """Starts the training in a process of its own, which ends cleanly at SIGTERM.

        The process holds the run from before its first line to its last, whatever becomes of this
        one.

        Args:
            threads: of torch.

        Returns:
            The process; None if another one is busy with the run.
        """
        with self._held() as hold:
            if hold is None:
                return None
            self._clear()
            argv = self.kind.argv(*self.arguments(threads))
            with self.log.open("a", encoding="utf-8") as log:
                # Its own session: a terminal's Ctrl-C reaches it as one signal, through us.
                return subprocess.Popen(
                    argv, stdout=log, stderr=log, start_new_session=True, pass_fds=(hold,)
                )

    @contextlib.contextmanager
    def _held(self) -> Iterator[int | None]:
        """An open file whose lock lives as long as a process has it open; None if one has."""
        path = Path(f"{self.folder}.lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        hold = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            yield None if _is_held(hold) or is_locked(self.folder) else hold
        finally:
            os.close(hold)

    def _clear(self) -> None:
        """Removes what a training left that was killed before its first checkpoint.

        Where something was learned it stays, even if no checkpoint is intact: whoever trains there
        is told so.
        """
        learned = [self.folder / name for name in (MODEL, BEST_MODEL, RESULTS)]
        checkpoints = self.folder / CHECKPOINTS
        learned += [path for path in checkpoints.glob("step-*.zip") if step_of(path) > 0]
        if any(path.exists() for path in learned):
            return
        if newest_checkpoint(checkpoints, self.kind.facts) is None:
            shutil.rmtree(self.folder, ignore_errors=True)


def require_locks() -> None:
    """Raises a UsageError on a system that has no locks of the kind that runs are held by."""
    if importlib.util.find_spec("fcntl") is None:
        raise UsageError("experiments are trained on Linux and macOS")


def _is_held(file: int) -> bool:
    """Tells whether another process has locked an open file; if not, it is ours now."""
    import fcntl  # not on Windows, where reading stored runs works

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False

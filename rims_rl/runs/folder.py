"""The folder of a run: where it is, and the files that say what was run, on what."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import json
import os
import platform
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from rims_rl.runs.errors import UsageError
from rims_rl.runs.files import nearest_existing, remove_temporaries, write_text
from rims_rl.version import __version__

CONFIG = "config.yaml"
COMMAND = "command.txt"
CHANGES = "changes.json"
ENVIRONMENT = "environment.json"
PROGRESS = "progress.csv"
EPISODES = "episodes.csv"
MONITOR = "monitor.csv"
MODEL = "model.zip"
BEST_MODEL = "best_model.zip"
CHECKPOINTS = "checkpoints"
EVALUATIONS = "evaluations"
RESULTS = "results.json"
TENSORBOARD = "tensorboard"
#: Held by the process that trains.
_LOCK = ".lock"

_PACKAGES = (
    "torch", "numpy", "gymnasium", "stable-baselines3", "sb3-contrib", "ale-py", "minigrid",
    "minatar", "popgym", "opencv-python-headless", "wandb",
)  # fmt: skip


def new_folder(given: str | None, subject: str, label: str, seed: int) -> Path:
    """The folder of a new run, which is not created yet.

    Args:
        given: as ``--run-dir``, None for the default.
        subject: what is learned, an environment or a task.
        label: what distinguishes the model.
        seed: of the run.

    Raises:
        UsageError: a new run cannot have the folder.
    """
    folder = Path(given) if given else default_folder(subject, label, seed, datetime.now())
    check_new_folder(folder)
    return folder


def default_folder(subject: str, label: str, seed: int, now: datetime) -> Path:
    """``runs/<env or task>/<model>-<what distinguishes it>/seed<S>-<time>``."""
    return Path("runs") / safe_name(subject) / safe_name(label) / f"seed{seed}-{now:%Y%m%d-%H%M%S}"


def safe_name(text: str) -> str:
    """A text as one path component that works on every file system."""
    return re.sub(r"[^\w.=-]+", "_", text)


def check_new_folder(folder: Path) -> None:
    """Refuses a folder that a new run cannot have, before anything is created.

    Raises:
        UsageError: it holds something already, or cannot be written.
    """
    if folder.is_dir() and any(folder.iterdir()):
        if (folder / CONFIG).exists():
            raise UsageError(
                f"{folder} already holds a run: continue it with --resume {folder}, or choose "
                "another --run-dir"
            )
        raise UsageError(f"{folder} is not empty: choose another --run-dir")
    check_writable(folder)


def first_command(folder: Path) -> str | None:
    """The command line that began a run; None if the folder does not say."""
    try:
        return (folder / COMMAND).read_text(encoding="utf-8").partition("\n")[0]
    except OSError:
        return None


def read_changes(folder: Path) -> list[dict[str, Any]]:
    """The options that changed each time a run was resumed: their values before and after."""
    try:
        changes: list[dict[str, Any]] = json.loads((folder / CHANGES).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return changes


def begun_with(folder: Path) -> str | None:
    """The command that began a run, such as ``train``; None if the folder does not say."""
    found = re.search(r"rims_rl\.(\w+)", first_command(folder) or "")
    return found[1] if found else None


def check_resumable(command: str, folder: Path) -> None:
    """Refuses to resume a run that is not there, or one of another command.

    Raises:
        UsageError: with the command that resumes it, if there is one; or the folder cannot be
            written.
    """
    if not (folder / CONFIG).is_file():
        raise UsageError(f"--resume {folder}: no run there (it has no {CONFIG})")
    if (other := begun_with(folder)) not in (None, command):
        raise UsageError(
            f"{folder} is a run of rims_rl.{other}: "
            f"continue it with python -m rims_rl.{other} --resume {shlex.quote(str(folder))}"
        )
    check_writable(folder)


def check_writable(folder: Path) -> None:
    """Refuses a folder that cannot be created or written.

    Raises:
        UsageError: a file is in the way, or permission is missing.
    """
    existing = nearest_existing(folder)
    if not existing.is_dir():
        raise UsageError(f"cannot create {folder}: {existing} is a file")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UsageError(f"no permission to write in {existing}: choose another folder")


@contextlib.contextmanager
def created(folder: Path) -> Iterator[None]:
    """Creates the folder of a new run, and holds it.

    Raises:
        UsageError: the system refuses, or another process trains this run.
    """
    _create(folder)
    with held(folder):
        yield


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keeps other processes from training the run in a folder, and clears up after a killed one.

    Raises:
        UsageError: another one does.
    """
    try:
        # Somebody may look whether it is held just now, see `is_locked`.
        lock = FileLock(folder / _LOCK).acquire(timeout=1)
    except Timeout:
        raise UsageError(
            f"another process is training in {folder}: wait for it, or choose another --run-dir"
        ) from None
    with lock:
        for place in (folder, folder / CHECKPOINTS):
            remove_temporaries(place)
        yield


def is_locked(folder: Path) -> bool:
    """Tells whether a process trains the run in a folder."""
    if not (folder / _LOCK).exists():
        return False
    try:
        with FileLock(folder / _LOCK).acquire(timeout=0):
            return False
    except Timeout:
        return True


def _create(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CHECKPOINTS).mkdir()
    except OSError as error:
        raise UsageError(
            f"cannot create {folder}: {error.strerror}; choose another --run-dir"
        ) from None


def describe_run(
    folder: Path,
    config_yaml: str,
    command: str,
    changed: Mapping[str, Any],
    cell: Mapping[str, Any],
) -> None:
    """Writes what is run and where; commands and environments of earlier parts stay.

    Args:
        folder: of the run.
        config_yaml: its options.
        command: as typed.
        changed: options that differ from those before, see `read_changes`.
        cell: what options of the model stand for, whose defaults may change.
    """
    if changed:
        write_text(folder / CHANGES, json.dumps([*read_changes(folder), changed]) + "\n")
    history = folder / COMMAND
    earlier = history.read_text(encoding="utf-8") if history.exists() else ""
    write_text(history, f"{earlier}{command}\n")
    write_text(folder / CONFIG, config_yaml)
    environment = {**describe_environment(), "cell": cell}
    if earlier_parts := _earlier_parts(folder, environment):
        environment["earlier"] = earlier_parts
    write_text(folder / ENVIRONMENT, json.dumps(environment, indent=2) + "\n")


def _earlier_parts(folder: Path, environment: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Environments of a run's earlier parts: of neighbouring parts in equal ones the last."""
    before = read_environment(folder)
    parts: list[dict[str, Any]] = before.pop("earlier", [])
    anew = {"started", "cell"}
    differs = any(before[name] != environment.get(name) for name in before.keys() - anew)
    return [*parts, {k: v for k, v in before.items() if k != "cell"}] if differs else parts


def describe_environment() -> dict[str, Any]:
    """Versions, the commit if run from a git checkout, and the machine.

    Those of the first call in a process, as its code is: what changes on the disk later is not what
    runs.
    """
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "rims_rl": __version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": gpus,
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def folder_version(folder: Path) -> str | None:
    """The version of this package that wrote a run's folder; None if it does not say."""
    version = read_environment(folder).get("rims_rl")
    return version if isinstance(version, str) else None


def read_environment(folder: Path) -> dict[str, Any]:
    """Reads what `describe_run` wrote of a run's environment; empty if that cannot be read."""
    try:
        described = json.loads((folder / ENVIRONMENT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return described if isinstance(described, dict) else {}


def read_results(folder: Path) -> dict[str, Any]:
    """The content of a run's ``results.json``.

    Raises:
        UsageError: it cannot be read.
    """
    file = folder / RESULTS
    try:
        results: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{file} cannot be read ({error}): remove it, and its run is tested again"
        ) from None
    return results


@functools.cache
def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@functools.cache
def _commit() -> str | None:
    """The checked-out commit, with ``-dirty`` where tracked files of the package differ from it."""
    source = Path(__file__).parents[2]
    if not (source / ".git").exists():
        return None
    git = ["git", "-C", str(source)]
    try:
        head = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=False
        )
        changed = subprocess.run(
            [*git, "diff", "--quiet", "HEAD", "--", "rims_rl"],
            capture_output=True,
            timeout=10,
            check=False,
        ).returncode
    except (OSError, subprocess.TimeoutExpired):
        return None
    return head.stdout.strip() + "-dirty" * (changed == 1) or None


@functools.cache
def _cpu_name() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    match = re.search(r"model name\s*: (.*)", text)
    return match[1] if match else platform.processor()

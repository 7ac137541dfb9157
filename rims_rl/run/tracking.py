"""Weights & Biases: never a login prompt, never the reason that a run fails."""

from __future__ import annotations

import contextlib
import json
import netrc
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import wandb
from stable_baselines3.common.logger import KVWriter, filter_excluded_keys

from rims_rl.run.config import CoreOptions, Track, TrainConfig
from rims_rl.run.errors import warn
from rims_rl.run.folder import CONFIG
from rims_rl.run.parser import read_yaml
from rims_rl.run.writers import read_numbers
from rims_rl.version import __version__

#: Seconds to wait for the server before going on offline.
CONNECT_TIMEOUT = 30

Mode = Literal["online", "offline", "disabled"]


class WandbWriter(KVWriter):
    """Sends each dump of SB3's logger to a W&B run, on the ``global_step`` axis.

    Args:
        run: the open W&B run.
        sent_until: a resumed run repeats steps that its killed part has sent; up to this step
            nothing is sent again, so that the axis stays monotone.
    """

    def __init__(self, run: wandb.Run, sent_until: int = -1) -> None:
        self._run: wandb.Run | None = run
        self._sent_until = sent_until
        run.define_metric("global_step")
        run.define_metric("*", step_metric="global_step")

    def write(
        self,
        key_values: dict[str, Any],
        key_excluded: dict[str, tuple[str, ...]],
        step: int = 0,
    ) -> None:
        """Sends the numbers of one dump."""
        if step <= self._sent_until or self._run is None:
            return
        values = filter_excluded_keys(key_values, key_excluded, "wandb")
        with self._untracked_on_error():
            self._run.log({**values, "global_step": step})

    def catch_up(self, progress: Path) -> None:
        """Sends the rows of ``progress.csv`` that a killed part of the run did not get to send."""
        for step, row in read_numbers(progress):
            self.write(row, {}, step)

    def close(self) -> None:
        """Ends the W&B run and waits until all is written or sent."""
        if self._run is not None:
            with self._untracked_on_error():
                self._run.finish()

    @contextlib.contextmanager
    def _untracked_on_error(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever goes wrong with tracking, training goes on
            self._run = None
            warn(f"Weights & Biases stopped: {error}")


def start_tracking(
    config: TrainConfig, folder: Path, facts: dict[str, Any], run_id: str | None
) -> wandb.Run | None:
    """Opens the W&B run that ``--track`` asks for, offline where online is not possible.

    Args:
        config: of the training run.
        folder: the training run's folder.
        facts: further values for the W&B configuration.
        run_id: of the W&B run to continue, None for a new one.

    Returns:
        The open run, or None if untracked.
    """
    core = config.core
    return open_run(
        config.run.track,
        folder,
        run_id,
        name=f"{config.env.env}__{core.label()}__seed{config.run.seed}",
        group=f"{config.env.env}__{core.core}",
        tags=size_tags(core),
        config={**config.flat(), **facts},
    )


def track_evaluation(track: Track, folder: Path, env_id: str, result: Mapping[str, Any]) -> None:
    """Sends the summary of an evaluation to a W&B run of its own, beside the training run's.

    Args:
        track: as ``--track``.
        folder: of the training run, with its configuration.
        env_id: of the environment played.
        result: of the evaluation, with its ``summary`` and ``timesteps``.
    """
    if track == "off":
        return
    config = TrainConfig.from_flat(read_yaml(folder / CONFIG))
    run = open_run(
        track,
        folder,
        None,
        job_type="eval",
        name=f"{env_id}__{config.core.label()}__seed{config.run.seed}",
        group=f"{config.env.env}__{config.core.core}",
        tags=size_tags(config.core),
        config={**config.flat(), "env_id": env_id},
    )
    if run is None:
        return
    writer = WandbWriter(run)
    numbers = {f"eval/{k}": v for k, v in result["summary"].items() if not isinstance(v, list)}
    writer.write(numbers, {}, result["timesteps"])
    writer.close()
    if hint := sync_hint(run):
        print(f"upload   {hint}")


def open_run(track: str, folder: Path, run_id: str | None, **about: Any) -> wandb.Run | None:
    """Opens a W&B run, offline where online is not possible.

    Args:
        track: as ``--track``.
        folder: the training run's folder.
        run_id: of the W&B run to continue, None for a new one.
        **about: name, group, tags, config and job_type, as `wandb.init`.

    Returns:
        The open run, or None if untracked.
    """
    mode = tracking_mode(track)
    if mode == "disabled":
        return None
    run = _try_init(folder, run_id, mode, about)
    if run is None and mode == "online":
        warn("Weights & Biases cannot be reached: going on offline")
        run = _try_init(folder, run_id, "offline", about)
    return run


def sent_until(folder: Path, run_id: str) -> int:
    """The last step that the local log of a W&B run holds, -1 if none can be read.

    W&B writes its log in blocks, so a killed run may have lost its latest rows.
    """
    steps = [-1]
    for log in folder.glob(f"wandb/*run-*-{run_id}/*.wandb"):
        command = [sys.executable, "-m", "wandb", "leet", "inspect", "--summary", "--json"]
        result = subprocess.run([*command, str(log)], capture_output=True, text=True, check=False)
        with contextlib.suppress(ValueError, KeyError):
            steps.append(json.loads(result.stdout)["summary"]["global_step"])
    return max(steps)


def tracking_mode(track: str) -> Mode:
    """What ``--track`` means here: ``online``, ``offline`` or ``disabled``.

    ``WANDB_MODE``, where set, decides for ``auto``.
    """
    if track == "off":
        return "disabled"
    if track == "offline":
        return "offline"
    chosen = os.environ.get("WANDB_MODE", "").lower()
    if track == "auto" and chosen in ("offline", "dryrun"):
        return "offline"
    if track == "auto" and chosen == "disabled":
        return "disabled"
    if logged_in():
        return "online"
    if track == "online":
        warn("not logged in to Weights & Biases (run `wandb login`): going on offline")
    return "offline"


def logged_in() -> bool:
    """Whether W&B has a key to use, without asking the user or the network."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL") or wandb.Settings().base_url).netloc
    path = os.environ.get("NETRC") or next(
        (p for name in (".netrc", "_netrc") if (p := Path.home() / name).exists()), None
    )
    try:
        entries = netrc.netrc(path).hosts if path else {}
    except (OSError, netrc.NetrcParseError):
        return False
    return host in entries or "api.wandb.ai" in entries


def sync_hint(run: wandb.Run) -> str | None:
    """The command that uploads an offline run, None for one that is online."""
    return f"wandb sync {Path(run.dir).parent}" if run.offline else None


def size_tags(core: CoreOptions) -> list[str]:
    """What runs are tagged with: the version, and ``k6-4`` for six RIMs with four active."""
    sizes = [f"k{core.num_rims}-{core.num_active}"] if core.core == "rim" else []
    return [f"v{__version__}", *sizes]


def _try_init(
    folder: Path, run_id: str | None, mode: Mode, about: dict[str, Any]
) -> wandb.Run | None:
    try:
        return wandb.init(
            project=os.environ.get("WANDB_PROJECT", "rims-rl"),
            dir=folder,
            id=run_id,
            resume="allow" if run_id else None,
            mode=mode,
            **{"job_type": "train", **about},
            allow_val_change=True,
            settings=wandb.Settings(
                silent=True, console="off", init_timeout=CONNECT_TIMEOUT, disable_git=True
            ),
        )
    except Exception as error:  # whatever goes wrong with tracking, training goes on
        warn(f"Weights & Biases ({mode}): {error}")
        return None

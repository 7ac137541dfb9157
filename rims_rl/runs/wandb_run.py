"""A run at Weights & Biases: opened, resumed and fed, without a login prompt or a failure.

What it holds already, after a kill, is read in `wandb_log`.
"""

from __future__ import annotations

import contextlib
import netrc
import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from stable_baselines3.common.logger import KVWriter, filter_excluded_keys

from rims_rl.runs.errors import warn
from rims_rl.runs.options import Plan
from rims_rl.runs.wandb_log import NOTHING_SENT, STEP_AXIS, SentToWandb
from rims_rl.runs.writers import read_numbers

if TYPE_CHECKING:  # loaded where a run is tracked
    import wandb

#: Seconds to wait for the server before going on offline.
CONNECT_TIMEOUT = 30

Mode = Literal["online", "offline", "disabled"]

#: W&B's own variable: tags for all runs of a process, by commas.
_TAGS = "WANDB_TAGS"


class WandbWriter(KVWriter):
    """Sends each dump of SB3's logger to a W&B run, on the ``global_step`` axis.

    Args:
        run: the open W&B run.
        sent: a resumed run repeats rows that its killed part has sent; up to here nothing is sent
            again, so that the axis stays monotone.
    """

    def __init__(self, run: wandb.Run, sent: SentToWandb = NOTHING_SENT) -> None:
        self._run: wandb.Run | None = run
        self._sent = sent
        self._repeated_rows = 0
        run.define_metric(STEP_AXIS)
        run.define_metric("*", step_metric=STEP_AXIS)

    def write(
        self,
        key_values: dict[str, Any],
        key_excluded: dict[str, tuple[str, ...]],
        step: int = 0,
    ) -> None:
        """Sends the numbers of one dump."""
        if self._was_sent(step) or self._run is None:
            return
        values = filter_excluded_keys(key_values, key_excluded, "wandb")
        with self._untracked_on_error():
            self._run.log({**values, STEP_AXIS: step})

    def catch_up(self, progress: Path) -> None:
        """Sends the rows of ``progress.csv`` that a killed part of the run did not get to send."""
        for step, row in read_numbers(progress):
            self.write(row, {}, step)

    def close(self) -> None:
        """Ends the W&B run and waits until all is written or sent."""
        if self._run is not None:
            with self._untracked_on_error():
                self._run.finish()

    def _was_sent(self, step: int) -> bool:
        if step == self._sent.step and self._repeated_rows < self._sent.rows:
            self._repeated_rows += 1
            return True
        return step < self._sent.step

    @contextlib.contextmanager
    def _untracked_on_error(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever goes wrong with tracking, training goes on
            self._run = None
            warn(f"Weights & Biases stopped: {error}")


def open_run(
    plan: Plan, folder: Path, run_id: str | None, facts: Mapping[str, Any], **about: Any
) -> wandb.Run | None:
    """Opens the W&B run that ``--track`` asks for, offline where online is not possible.

    Args:
        plan: of the training run.
        folder: the training run's folder.
        run_id: of the W&B run to continue, None for a new one.
        facts: further values for the W&B configuration.
        **about: what differs from a training run's, such as name and job_type, as `wandb.init`.

    Returns:
        The open run, or None if untracked.
    """
    mode = tracking_mode(plan.run.track)
    if mode == "disabled":
        return None
    about = {
        "job_type": "train",
        "name": f"{plan.subject}__{plan.label()}__seed{plan.run.seed}",
        "group": plan.group(),
        "tags": [*plan.tags(), *filter(None, os.environ.get(_TAGS, "").split(","))],
        "config": {**plan.flat(), **facts},
        **about,
    }
    run = _try_init(folder, run_id, mode, about)
    if run is None and mode == "online":
        warn("Weights & Biases cannot be reached: going on offline")
        run = _try_init(folder, run_id, "offline", about)
    return run


@contextlib.contextmanager
def tagged(tag: str) -> Iterator[None]:
    """Gives a tag to all runs that begin within, in this process and in those that it starts."""
    before = os.environ.get(_TAGS)
    os.environ[_TAGS] = ",".join(filter(None, (before, tag)))
    try:
        yield
    finally:
        if before is None:
            del os.environ[_TAGS]
        else:
            os.environ[_TAGS] = before


def run_tags() -> dict[str, str]:
    """Environment variables that give runs which begin with them the tags of `tagged`."""
    return {_TAGS: os.environ[_TAGS]} if _TAGS in os.environ else {}


def tracking_mode(track: str) -> Mode:
    """The meaning of ``--track`` here: ``online``, ``offline`` or ``disabled``.

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
    """Tells whether W&B has a key to use, without asking the user or the network."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    import wandb

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
    """The command that uploads an offline run with its earlier parts, None for one online."""
    if not run.offline:
        return None
    wandb_folder = Path(run.dir).parents[1]
    parts = sorted(wandb_folder.glob(f"offline-run-*-{run.id}"))
    return shlex.join(["wandb", "sync", *map(str, parts)])


def _try_init(
    folder: Path, run_id: str | None, mode: Mode, about: dict[str, Any]
) -> wandb.Run | None:
    import wandb

    try:
        return wandb.init(
            project=os.environ.get("WANDB_PROJECT", "rims-rl"),
            dir=folder,
            id=run_id,
            resume="allow" if run_id else None,
            mode=mode,
            **about,
            allow_val_change=True,
            settings=wandb.Settings(
                silent=True, console="off", init_timeout=CONNECT_TIMEOUT, disable_git=True
            ),
        )
    except Exception as error:  # whatever goes wrong with tracking, training goes on
        warn(f"Weights & Biases ({mode}): {error}")
        return None

"""The progress of a training run: a bar with an ETA on a terminal, plain lines in a log file."""

from __future__ import annotations

import sys
import time

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from tqdm import tqdm

#: Seconds between two lines where the output is not a terminal.
LINE_EVERY = 15.0


class ProgressReport(BaseCallback):
    """Shows steps done, time left, steps per second and the mean return of the last episodes.

    Args:
        total: agent steps of the whole run.
    """

    def __init__(self, total: int) -> None:
        super().__init__()
        self._total = total
        self._live = sys.stderr.isatty()

    def _on_training_start(self) -> None:
        self._began_at = self.model.num_timesteps
        self._began = self._last_line = time.monotonic()
        self._bar = tqdm(
            total=self._total, initial=self._began_at, unit="step", disable=not self._live,
            dynamic_ncols=True, unit_scale=True, smoothing=0.05,
        )  # fmt: skip

    def _on_step(self) -> bool:
        self._bar.update(self.training_env.num_envs)
        if not self._live and time.monotonic() - self._last_line >= LINE_EVERY:
            self._print_line()
        return True

    def _on_rollout_end(self) -> None:
        self._bar.set_postfix_str(self._score(), refresh=False)

    def _on_training_end(self) -> None:
        if not self._live:
            self._print_line()
        self.close()

    def close(self) -> None:
        """Leaves the bar as it stands, so that other lines can follow it."""
        if hasattr(self, "_bar"):
            self._bar.close()

    def _print_line(self) -> None:
        self._last_line = time.monotonic()
        steps, seconds = self.model.num_timesteps, self._last_line - self._began
        speed = (steps - self._began_at) / max(seconds, 1e-9)
        left = tqdm.format_interval(int(max(0, self._total - steps) / max(speed, 1e-9)))
        print(
            f"{steps:,}/{self._total:,} steps ({steps / self._total:.0%})  {speed:.0f} steps/s  "
            f"ETA {left}  {self._score()}",
            file=sys.stderr,
            flush=True,
        )

    def _score(self) -> str:
        episodes = self.model.ep_info_buffer
        if not episodes:
            return "no episode ended yet"
        score = f"return {np.mean([episode['r'] for episode in episodes]):.2f}"
        if self.model.ep_success_buffer:
            score += f"  success {np.mean(self.model.ep_success_buffer):.0%}"
        return score

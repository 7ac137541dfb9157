"""Shows how training goes, on the progress bar of `rims_rl.runs.progress`."""

from __future__ import annotations

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from rims_rl.runs.progress import Bar


class ProgressReport(BaseCallback):
    """Shows steps done, time left, steps per second and the mean return of the last episodes.

    Args:
        total: agent steps of the whole run.
    """

    def __init__(self, total: int) -> None:
        super().__init__()
        self._total = total

    def _on_training_start(self) -> None:
        self._bar = Bar(self._total, self.model.num_timesteps, "step", self._score)

    def _on_step(self) -> bool:
        self._bar.advance(self.training_env.num_envs)
        return True

    def _on_rollout_end(self) -> None:
        self._bar.show_note()

    def _on_training_end(self) -> None:
        self._bar.print_line()
        self.close()

    def close(self) -> None:
        """Leaves the bar as it stands, so that other lines can follow it."""
        if hasattr(self, "_bar"):
            self._bar.close()

    def _score(self) -> str:
        episodes = self.model.ep_info_buffer
        if not episodes:
            return "no episode ended yet"
        score = f"return {np.mean([episode['r'] for episode in episodes]):.2f}"
        if self.model.ep_success_buffer:
            score += f"  success {np.mean(self.model.ep_success_buffer):.0%}"
        return score

"""Records of a run on disk while it trains: episodes, evaluations, the best model, checkpoints."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from rims_rl.runs.checkpoints import undisturbed_rng
from rims_rl.runs.folder import BEST_MODEL, CHECKPOINTS, EPISODES
from rims_rl.runs.stop import StopRequest
from rims_rl.runs.writers import CsvTable
from rims_rl.training.checkpoints import AgentFacts, save_agent, save_model
from rims_rl.training.episodes import Episodes, play
from rims_rl.training.monitor import MonitorLog
from rims_rl.training.options import RunOptions

EPISODE_COLUMNS = ("timesteps", "env", "return", "length", "success")


class EpisodeLog(BaseCallback):
    """Appends every finished game to ``episodes.csv`` and ``monitor.csv``, and logs means.

    ``charts/episodic_return`` and ``charts/episodic_length`` are means over the games that ended
    in the rollout, raw and unclipped; SB3's ``rollout/ep_rew_mean`` is over the last 100.

    Args:
        folder: of the run.
        env_id: of the environment.
        keep_until: rows of an earlier part of the run beyond this step are dropped.
    """

    def __init__(self, folder: Path, env_id: str, keep_until: int) -> None:
        super().__init__()
        self._table = CsvTable(folder / EPISODES, EPISODE_COLUMNS, keep_until)
        self._monitor = MonitorLog(folder, env_id, self._table.earlier)
        self._recent: list[dict[str, Any]] = []

    def _on_step(self) -> bool:
        rows = [
            {
                "timesteps": self.num_timesteps,
                "env": index,
                "return": float(info["episode"]["r"]),
                "length": int(info["episode"]["l"]),
                "success": int(info["is_success"]) if "is_success" in info else None,
            }
            for index, info in enumerate(self.locals["infos"])
            if "episode" in info
        ]
        if rows:
            self._table.append(rows)
            self._monitor.append(rows)
            self._recent += rows
        return True

    def _on_rollout_end(self) -> None:
        if self._recent:
            for name in ("return", "length"):
                mean = np.mean([row[name] for row in self._recent])
                self.logger.record(f"charts/episodic_{name}", float(mean))
            self._recent.clear()

    def close(self) -> None:
        """Closes the files."""
        self._table.close()
        self._monitor.close()


class Recorder(BaseCallback):
    """Evaluates and saves between updates, when the policy and its step count agree.

    Args:
        folder: of the run.
        eval_env: environments for evaluation only.
        settings: every how many steps to evaluate and to save, and how many to keep.
        progress: of the run so far.
        saved: what the checkpoint says that the run goes on from; None for a new run.
        stop: the signal, if one came: it ends training at the next step, or an evaluation.
    """

    def __init__(
        self,
        folder: Path,
        eval_env: VecEnv | None,
        settings: RunOptions,
        progress: AgentFacts,
        saved: AgentFacts | None,
        stop: StopRequest,
    ) -> None:
        super().__init__()
        self.progress = progress
        self._folder = folder
        self._eval_env = eval_env
        self._settings = settings
        self._saved = saved
        self._stop = stop
        self._collecting = False

    def _on_rollout_start(self) -> None:
        self._advance()
        every = self._settings.eval_every
        if every and self.progress.timesteps - (self.progress.last_eval or 0) >= every:
            self.evaluate()
        if self._must_save():
            self.save()
        self._collecting = True

    def _must_save(self) -> bool:
        saved, progress = self._saved, self.progress
        # A killed run must find its W&B run again.
        if saved is None or saved.wandb_id != progress.wandb_id:
            return True
        return progress.timesteps - saved.timesteps >= self._settings.checkpoint_every

    def _on_step(self) -> bool:
        return not self._stop

    def _on_rollout_end(self) -> None:
        self._collecting = False

    def rewind(self) -> None:
        """Forgets the rollout that a signal cut off, if one: the policy has not learned from it."""
        if self._collecting:
            self.model.num_timesteps = self.progress.timesteps

    def finish(self) -> None:
        """Evaluates and saves what training has arrived at."""
        self._advance()
        if self._settings.eval_every and self.progress.last_eval != self.progress.timesteps:
            self.evaluate()
        self.save()

    def save(self) -> None:
        """Saves a checkpoint, unless there is one that says the same."""
        self._advance()
        if self.progress == self._saved:
            return
        folder = self._folder / CHECKPOINTS
        save_agent(folder, self.model, self.progress, self._settings.keep_checkpoints)
        self._saved = self.progress

    def evaluate(self) -> None:
        """Plays whole games; the best policy so far becomes the best model."""
        assert self._eval_env is not None
        try:
            with undisturbed_rng():  # training goes on as if it had not been interrupted
                episodes = play(
                    self.model,
                    self._eval_env,
                    self._settings.eval_episodes,
                    deterministic=self._settings.eval_deterministic,
                    on_step=self._interrupt,
                )
        except _Interrupted:
            return
        mean = float(np.mean(episodes.returns))
        self._log(episodes, mean)
        best = self.progress.best_return
        better = best is None or mean > best
        if better:
            save_model(self.model, self._folder / BEST_MODEL)
        self.progress = dataclasses.replace(
            self.progress,
            best_return=mean if better else best,
            last_eval=self.progress.timesteps,
        )
        if better:
            # A killed run must not forget how good its best model is.
            self.save()

    def _advance(self) -> None:
        self.progress = dataclasses.replace(self.progress, timesteps=self.model.num_timesteps)

    def _log(self, episodes: Episodes, mean: float) -> None:
        self.logger.record("eval/mean_reward", mean)
        self.logger.record("eval/mean_ep_length", float(np.mean(episodes.lengths)))
        if episodes.successes:
            self.logger.record("eval/success_rate", float(np.mean(episodes.successes)))
        self.logger.dump(self.progress.timesteps)

    def _interrupt(self, _: Episodes) -> None:
        if self._stop:
            raise _Interrupted


class _Interrupted(Exception):
    """A signal came during an evaluation."""

"""Agents as what the harness of `rims_rl.runs` trains."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.vec_env import VecEnv

from rims_rl.agents import callbacks
from rims_rl.envs import AtariSettings, UnknownEnvError, family_of
from rims_rl.runs.checkpoints import Checkpoint, newest_checkpoint
from rims_rl.runs.errors import UsageError
from rims_rl.runs.folder import (
    CHECKPOINTS,
    CONFIG,
    MODEL,
    RESULTS,
    folder_version,
    read_environment,
    read_results,
)
from rims_rl.runs.trainee import Kind, Run, Trainee
from rims_rl.training import parser
from rims_rl.training.building import (
    EVALUATING,
    RESUMING,
    algorithm,
    derived_seed,
    make_eval_env,
    make_model,
    make_training_env,
    ppo_settings,
)
from rims_rl.training.checkpoints import FACTS, AgentFacts, save_model
from rims_rl.training.loading import load_model
from rims_rl.training.options import TrainPlan
from rims_rl.training.progress import ProgressReport
from rims_rl.training.recording import EpisodeLog, Recorder
from rims_rl.training.results import STEPS, summary, write_results
from rims_rl.training.scales import NORMALIZED, observation_scale, restore_scales


class Agent(Trainee):
    """A recurrent PPO agent in its environments.

    Args:
        plan: of the run.
        folder: of the run.
        env: to train in.
        model: fresh or from a checkpoint.
        progress: so far; None for a fresh model.
    """

    def __init__(
        self,
        plan: TrainPlan,
        folder: Path,
        env: VecEnv,
        model: RecurrentPPO,
        progress: AgentFacts | None = None,
    ) -> None:
        self._plan, self._folder = plan, folder
        self._env, self._model = env, model
        # Saved with the model, which is of no use without its scales.
        setattr(model, NORMALIZED, plan.env.normalize_observations)
        self._resumed = progress is not None
        progress = progress or AgentFacts()
        self.wandb_id = progress.wandb_id
        self._progress = progress
        self._eval_env: VecEnv | None = None
        if plan.run.eval_every:
            seed = derived_seed(plan.run.seed, EVALUATING, progress.timesteps)
            self._eval_env = make_eval_env(plan, env, seed)

    @property
    def done(self) -> int:
        """Agent steps whose data the model has learned from."""
        return self._progress.timesteps

    @property
    def device(self) -> object:
        """That of the policy."""
        return self._model.device

    @property
    def param_count(self) -> int:
        """Parameters of the policy."""
        return param_count(self._model)

    def facts(self) -> dict[str, Any]:
        """Facts under the names that CleanRL and the like give them."""
        env = self._plan.env
        atari = family_of(env.env) == "atari"
        return {
            "algo": "RecurrentPPO",
            "frame_skip": AtariSettings.of(env.env_kwargs).frame_skip if atari else 1,
        }

    def train(self, run: Run) -> None:
        """See `Trainee.train`."""
        options, model = self._plan.run, self._model
        model.set_logger(run.logger)
        saved = self._progress if self._resumed else None
        self._progress = dataclasses.replace(self._progress, wandb_id=self.wandb_id)
        episodes = EpisodeLog(run.folder, self._plan.env.env, self.done)
        self._guard = callbacks.FiniteGuard()
        self._report = ProgressReport(options.total_timesteps)
        self._recorder = Recorder(
            run.folder, self._eval_env, options, self._progress, saved, run.stop
        )
        statistics = (callbacks.CoreStatistics(), callbacks.UpdateStatistics())
        try:
            model.learn(
                options.total_timesteps - self.done,
                # Statistics of an update first, so that an evaluation is logged beside them.
                [self._guard, *statistics, self._recorder, episodes, self._report],
                reset_num_timesteps=not self._resumed,
            )
            if run.stop:
                self._recorder.rewind()
                self._recorder.save()
            else:
                self._recorder.finish()
        finally:
            episodes.close()

    def recover(self, error: FloatingPointError) -> str:
        """Saves policy and optimizer as they were before the last update, if a rollout began."""
        self._guard.close()
        self._report.close()
        if not self._guard.snapshot:  # there is nothing to put back
            return str(error)
        self._guard.restore()
        self._recorder.save()
        folder = shlex.quote(str(self._folder))
        if isinstance(error, callbacks.DivergedError):
            rate = self._plan.ppo.learning_rate / 2
            advice = f"with another setting, e.g. --resume {folder} --learning-rate {rate:g}"
        else:
            advice = f"when the environment is mended, with --resume {folder}"
        return (
            f"{error}; the state before it is saved ({self._model.num_timesteps} steps): continue "
            f"{advice}"
        )

    def conclude(self, run: Run) -> str:
        """Saves ``model.zip``; says how good the agent is."""
        model, progress = self._model, self._recorder.progress
        save_model(model, run.folder / MODEL)
        if model.logger.name_to_value:
            # SB3 logs an update with the next rollout; the last update has none.
            model.logger.dump(model.num_timesteps)
        if not run.stop:
            write_results(run.folder, self._plan, self.param_count, progress.best_return)
        episodes = model.ep_info_buffer
        score = f"{np.mean([e['r'] for e in episodes]):.2f}" if episodes else "unknown"
        best = progress.best_return
        best_text = "" if best is None else f", best evaluation {best:.2f}"
        total = self._plan.run.total_timesteps
        more = "" if run.stop else f" --total-timesteps {2 * total}"
        scales = (run.folder / MODEL).with_suffix(".json")
        seen = (
            f"\nscales   rims_rl.load_scales('{scales}', env) normalises what the model sees, in "
            "code of your own"
            if observation_scale(model.get_vec_normalize_env())
            else ""
        )
        folder = shlex.quote(str(run.folder))
        return (
            f"{'stopped' if run.stop else 'done'} at {progress.timesteps:,} of {total:,} steps, "
            f"mean return {score}{best_text}: {run.folder}\n"
            f"evaluate python -m rims_rl.evaluate {folder}\n"
            f"continue python -m rims_rl.train --resume {folder}{more}{seen}"
        )

    def close(self) -> None:
        """Closes the environments."""
        self._env.close()
        if self._eval_env is not None:
            self._eval_env.close()


class AgentKind(Kind[TrainPlan]):
    """Runs of ``python -m rims_rl.train``."""

    command = "train"
    #: SB3's name of the step axis in its own ``progress.csv``.
    step_name = STEPS
    unit = "step"
    subject = "env"
    facts = FACTS
    refusals = (UnknownEnvError,)
    parse = staticmethod(parser.parse)
    plan = staticmethod(parser.plan)

    def stored_plan(self, file: Path, changes: Mapping[str, Any]) -> TrainPlan:
        """See `rims_rl.training.parser.resumed_plan`."""
        return parser.resumed_plan(parser.read_stored(file), changes)

    def make(self, plan: TrainPlan, folder: Path) -> Agent:
        """A fresh agent."""
        env = make_training_env(plan, plan.run.seed)
        return Agent(plan, folder, env, make_model(plan, env))

    def restore(self, plan: TrainPlan, folder: Path, checkpoint: Checkpoint) -> Agent:
        """The agent of a checkpoint, in environments that it has not seen."""
        progress = AgentFacts.of(checkpoint.facts)
        done, total = progress.timesteps, plan.run.total_timesteps
        # One that was cut off in its last evaluation has all steps and is not done.
        if done >= total and self.is_done(plan, folder):
            raise UsageError(
                f"--resume {folder}: it has {done} of {total} steps already; "
                "give more with --total-timesteps"
            )
        seed = derived_seed(plan.run.seed, RESUMING, done)
        env = make_training_env(plan, seed)
        restore_scales(env, checkpoint.facts)
        settings = ppo_settings(plan.ppo)
        model = load_model(checkpoint.file, plan.run.device, algorithm(plan), env=env, **settings)
        # Loading seeds the environments as at the very start; the run must not repeat its games.
        env.seed(seed)
        return Agent(plan, folder, env, model, progress)

    def total(self, plan: TrainPlan) -> int:
        """Agent steps."""
        return plan.run.total_timesteps

    def is_done(self, plan: TrainPlan, folder: Path) -> bool:
        """Tells whether the model is saved, is that of all steps, and the results are written."""
        if not (folder / MODEL).exists():
            return False
        total = plan.run.total_timesteps
        if (folder / RESULTS).exists():
            return bool(read_results(folder)["timesteps"] >= total)
        if folder_version(folder) != "0.1.0":  # which wrote none
            return False
        newest = newest_checkpoint(folder / CHECKPOINTS, self.facts)
        return newest is not None and newest.facts["timesteps"] >= total

    def results(self, folder: Path) -> dict[str, Any]:
        """The content of ``results.json``, or what it would be."""
        if not (folder / RESULTS).exists():  # a run of version 0.1
            plan = self.stored_plan(folder / CONFIG, {})
            best = newest_checkpoint(folder / CHECKPOINTS, self.facts)
            model = load_model(folder / MODEL, "cpu")
            return {
                "param_count": param_count(model),
                **summary(folder, plan.run.total_timesteps),
                "best_evaluation": best.facts["best_return"] if best else None,
                "environment": read_environment(folder),
            }
        return read_results(folder)

    def check_options(self, subject: str, values: Mapping[str, Any], source: str) -> dict[str, Any]:
        """The environment is checked when a run of it is planned."""
        return parser.checked(values, source)

    def require_room(self, plans: Sequence[TrainPlan]) -> None:
        """Environments need no data on the disk."""


AGENTS = AgentKind()


def param_count(model: RecurrentPPO) -> int:
    """Parameters of a model's policy."""
    return sum(parameter.numel() for parameter in model.policy.parameters())

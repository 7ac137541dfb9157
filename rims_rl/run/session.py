"""A training run from start to end: prepared completely before it leaves a trace on disk."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import wandb
from stable_baselines3.common.vec_env import VecEnv

from rims_rl.agents import RecurrentPPO
from rims_rl.agents.callbacks import CoreStatistics, FiniteGuard, NonFiniteError, UpdateStatistics
from rims_rl.envs import AtariSettings, suite_of
from rims_rl.run import folder as files
from rims_rl.run.building import (
    check_device,
    derived_seed,
    make_env,
    make_model,
    make_training_env,
    ppo_settings,
    whole_games,
)
from rims_rl.run.checkpoints import (
    Progress,
    newest_checkpoint,
    restore_reward_scale,
    restore_rng,
    save_model,
)
from rims_rl.run.config import TrainConfig
from rims_rl.run.errors import UsageError, report
from rims_rl.run.loggers import open_logger
from rims_rl.run.parser import read_stored, resolve, resolve_resumed, to_yaml
from rims_rl.run.progress import ProgressReport
from rims_rl.run.recording import EpisodeLog, Recorder, StopTraining
from rims_rl.run.stop import StopRequest
from rims_rl.run.tracking import start_tracking
from rims_rl.run.trained import load_model
from rims_rl.run.writers import STEP

_EVAL = 1
_RESUMED = 2


@dataclass
class Session:
    """A run that is ready to train.

    Attributes:
        config: resolved.
        folder: of the run.
        env: to train in.
        eval_env: to evaluate in, None if never.
        model: fresh or from a checkpoint.
        progress: so far.
        rng: random states of the checkpoint, None for a new run.
    """

    config: TrainConfig
    folder: Path
    env: VecEnv
    eval_env: VecEnv | None
    model: RecurrentPPO
    progress: Progress
    rng: dict[str, Any] | None = None

    @property
    def resumed(self) -> bool:
        """Whether the run goes on from a checkpoint."""
        return self.rng is not None


def new_session(values: Mapping[str, Any]) -> Session:
    """Prepares a new run; nothing is written yet.

    Args:
        values: the options that the user gave.

    Raises:
        UsageError: the run cannot be done as asked.
        UnknownEnvError: no such environment.
    """
    config = resolve(values)
    run = config.run
    folder = files.new_folder(run.run_dir, config.env.env, config.core.label(), run.seed)
    check_device(config.run.device)
    env = make_training_env(config, config.run.seed)
    return Session(config, folder, env, _eval_env(config, 0), make_model(config, env), Progress())


def resumed_session(folder: Path, values: Mapping[str, Any]) -> Session:
    """Prepares the continuation of a run from its newest intact checkpoint.

    Args:
        folder: of the run.
        values: the options that the user changes.

    Raises:
        UsageError: there is nothing to continue, or not as asked.
    """
    config, checkpoint = files.resumed_folder(
        folder, lambda file: resolve_resumed(read_stored(file), values), newest_checkpoint
    )
    done = checkpoint.progress.timesteps
    if done >= config.run.total_timesteps:
        raise UsageError(
            f"--resume {folder}: it has {done} of {config.run.total_timesteps} steps already; "
            "give more with --total-timesteps"
        )
    seed = derived_seed(config.run.seed, _RESUMED, done)
    env = make_training_env(config, seed)
    restore_reward_scale(env, checkpoint.reward_scale)
    settings = ppo_settings(config.ppo)
    model = load_model(checkpoint.model, config.run.device, env=env, **settings)
    # Loading seeds the environments as at the very start; the run must not repeat its games.
    env.seed(seed)
    return Session(
        config, folder, env, _eval_env(config, done), model, checkpoint.progress, checkpoint.rng
    )


def run_session(session: Session, command: str) -> int:
    """Trains to the end, or until a signal or a tensor that is not finite stops it.

    Args:
        session: prepared; from here on the run writes to its folder.
        command: as typed, for ``command.txt``.

    Returns:
        The exit status: 0; 130 or 143 after Ctrl-C or SIGTERM; 1 where a tensor is not finite.
    """
    _write_description(session, command)
    tracked = _track(session)
    done, resumed = session.progress.timesteps, session.resumed
    try:
        with open_logger(session.folder, STEP, done, tracked, resumed) as logger:
            session.model.set_logger(logger)
            with StopRequest() as stop:
                return _train(session, stop)
    finally:
        session.env.close()
        if session.eval_env is not None:
            session.eval_env.close()


def _train(session: Session, stop: StopRequest) -> int:
    config, model = session.config, session.model
    if config.run.threads:
        torch.set_num_threads(config.run.threads)
    done = session.progress.timesteps
    guard = FiniteGuard()
    progress_report = ProgressReport(config.run.total_timesteps)
    episodes = EpisodeLog(session.folder, done)
    recorder = Recorder(session.folder, session.eval_env, config.run, session.progress, stop)
    statistics = (CoreStatistics(), UpdateStatistics())
    recorder.init_callback(model)
    if session.rng is not None:
        restore_rng(session.rng)
    try:
        model.learn(
            config.run.total_timesteps - done,
            [guard, recorder, *statistics, episodes, progress_report, StopTraining(stop)],
            reset_num_timesteps=not session.resumed,
        )
        if stop:
            recorder.rewind()
            recorder.save()
        else:
            recorder.finish()
    except NonFiniteError as error:
        guard.close()
        guard.restore()
        recorder.save()
        progress_report.close()
        report(
            "train",
            f"{error}; the state before it is saved ({model.num_timesteps} steps): continue with "
            f"another setting, e.g. --resume {session.folder} "
            f"--learning-rate {config.ppo.learning_rate / 2:g}",
        )
        return 1
    finally:
        episodes.close()
    save_model(model, session.folder / files.MODEL)
    if model.logger.name_to_value:
        # SB3 logs an update with the next rollout; the last update has none.
        model.logger.dump(model.num_timesteps)
    _print_summary(session, recorder.progress, stop)
    return stop.exit_status


def _write_description(session: Session, command: str) -> None:
    files.enter_folder(session.folder, session.resumed, to_yaml(session.config), command)
    config, model = session.config, session.model
    start = f" from {session.progress.timesteps:,} steps" if session.resumed else ""
    print(
        f"{config.env.env}, {config.core.label()}, {_parameters(model):,} parameters, "
        f"{model.device}{start}\nrun folder {session.folder}",
        flush=True,
    )


def _track(session: Session) -> wandb.Run | None:
    config = session.config
    atari = suite_of(config.env.env) == "atari"
    facts = {
        "env_id": config.env.env,
        "exp_name": config.core.label(),
        "algo": "RecurrentPPO",
        "param_count": _parameters(session.model),
        "frame_skip": AtariSettings.of(config.env.env_kwargs).frame_skip if atari else 1,
    }
    run = start_tracking(config, session.folder, facts, session.progress.wandb_id)
    if run is not None:
        session.progress = dataclasses.replace(session.progress, wandb_id=run.id)
    return run


def _eval_env(config: TrainConfig, done: int) -> VecEnv | None:
    if not config.run.eval_every:
        return None
    n_envs = min(config.run.eval_episodes, config.env.n_envs)
    seed = derived_seed(config.run.seed, _EVAL, done)
    kwargs = whole_games(config.env.env, config.env.env_kwargs)
    return make_env(config.env.env, n_envs, seed, kwargs)


def _parameters(model: RecurrentPPO) -> int:
    return sum(parameter.numel() for parameter in model.policy.parameters())


def _print_summary(session: Session, progress: Progress, stop: StopRequest) -> None:
    episodes = session.model.ep_info_buffer
    score = f"{np.mean([e['r'] for e in episodes]):.2f}" if episodes else "unknown"
    best = "" if progress.best_return is None else f", best evaluation {progress.best_return:.2f}"
    total = session.config.run.total_timesteps
    state = "stopped" if stop else "done"
    more = "" if stop else f" --total-timesteps {2 * total}"
    print(
        f"{state} at {progress.timesteps:,} of {total:,} steps, mean return {score}{best}: "
        f"{session.folder}\n"
        f"evaluate python -m rims_rl.evaluate {session.folder}\n"
        f"continue python -m rims_rl.train --resume {session.folder}{more}",
        flush=True,
    )

"""The work of `rims_rl.evaluate`: plays, summarises, writes a JSON file and films."""

from __future__ import annotations

import dataclasses
import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonargparse
import numpy as np
from rich.console import Console
from rich.table import Table
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.vec_env import VecEnv
from tqdm import tqdm

from rims_rl.envs import VecLastAction, family_of, shows_last_action
from rims_rl.experiments.statistics import CONFIDENCE, INTERVAL_METHOD
from rims_rl.runs.errors import UsageError
from rims_rl.runs.files import sha256, write_text
from rims_rl.runs.folder import CONFIG, EVALUATIONS, check_writable, describe_environment
from rims_rl.runs.options import Track, at_least, option
from rims_rl.runs.parser import parsed
from rims_rl.runs.wandb_run import WandbWriter, open_run, sync_hint
from rims_rl.training.building import PLAYING, derived_seed, make_env
from rims_rl.training.episodes import Episodes, play, play_one
from rims_rl.training.loading import Trained, load_trained, name_of_results
from rims_rl.training.options import TrainPlan
from rims_rl.training.parser import read_stored
from rims_rl.training.playing import PlayOptions, make_play_parser
from rims_rl.training.scales import load_scales
from rims_rl.training.video import check_video, film

#: Environments played side by side.
MAX_ENVS = 16
#: Pictures per second of a video, close to a family's real time.
FPS = {"atari": 15, "minigrid": 8, "minatar": 15, "popgym": 30, "gymnasium": 30}


@dataclass(frozen=True)
class EvaluateOptions(PlayOptions):
    """The options of the command: what to evaluate, and how."""

    episodes: int = option(100, "whole games to play")
    video_steps: int = option(1500, "longest video, in agent steps")
    out: str | None = option(None, "folder of the results; default: RUN/evaluations")
    track: Track = option("off", "Weights & Biases, as in training")

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "episodes", "video_steps")


def parse(argv: Sequence[str]) -> EvaluateOptions:
    """Reads the command line.

    Raises:
        UsageError: an unknown option or a value that does not work.
    """
    parser = _parser()
    values = parsed(parser, lambda: parser.parse_args(list(argv), defaults=False))
    if values.pop("stochastic", False) and values.get("deterministic"):
        raise UsageError("--stochastic and --deterministic exclude each other")
    return EvaluateOptions(**values)


def evaluate(request: EvaluateOptions) -> Path:
    """Plays, prints a table and writes the results.

    Args:
        request: what to evaluate.

    Returns:
        The JSON file with the results.

    Raises:
        UsageError: it cannot be done as asked; nothing has been written.
        UnknownEnvError: no such environment.
    """
    if request.video is not None:
        check_video(Path(request.video))
    trained = load_trained(Path(request.run), request.checkpoint, request.device, request.normalize)
    env_id, kwargs = game_of(trained, request.env, request.env_kwargs)
    folder = trained.folder / EVALUATIONS if request.out is None else Path(request.out)
    check_writable(folder)
    env = make_games(trained, env_id, kwargs, min(request.episodes, MAX_ENVS), request.seed)
    if request.track != "off" and trained.env is None:
        raise UsageError(f"--track {request.track}: {trained.folder} is not a run folder")
    filming = None
    if request.video is not None:
        filming = make_games(trained, env_id, kwargs, 1, request.seed, drawn=True)
    trained.model.set_random_seed(request.seed)
    episodes = _play(trained, env, request)
    env.close()
    summary = episodes.summary()
    _print_table(summary, env_id, trained)
    result = _result(trained, env_id, kwargs, request, episodes, summary)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name_of_results(trained, env_id)}.json"
    write_text(file, json.dumps(result, indent=2) + "\n")
    print(f"written {file}", flush=True)
    if filming is not None:
        _film(trained, filming, env_id, request)
    _track(request.track, trained.folder, env_id, result)
    return file


def _parser() -> jsonargparse.ArgumentParser:
    description = "Play whole games with a trained agent and report raw returns."
    parser = make_play_parser("rims_rl.evaluate", description, EvaluateOptions)
    parser.add_argument("--stochastic", action="store_true", help="sample actions (the default)")
    return parser


def game_of(
    trained: Trained, env_id: str | None, env_kwargs: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """The environment that an agent is to play, and its settings.

    Args:
        trained: the agent.
        env_id: another environment than that of its training, or None.
        env_kwargs: settings that differ from those of the training.

    Raises:
        UsageError: nothing says which environment it is.
        UnknownEnvError: no such environment.
    """
    env_id = env_id or trained.env
    if env_id is None:
        raise UsageError(f"{trained.file} does not say its environment: add --env")
    own = trained.env_kwargs if env_id == trained.env else {}
    return env_id, {**own, **env_kwargs}


def make_games(
    trained: Trained,
    env_id: str,
    env_kwargs: Mapping[str, Any],
    count: int,
    seed: int,
    drawn: bool = False,
) -> VecEnv:
    """Environments for an agent to play in, observations scaled as in its training.

    Args:
        trained: the agent.
        env_id: as `game_of` gives it, likewise env_kwargs.
        env_kwargs: settings.
        count: how many side by side.
        seed: of the environments.
        drawn: whether they are to give pictures.

    Raises:
        UsageError: the agent cannot play it, or it draws no pictures.
    """
    # Pygame draws in memory; without this it looks for a screen and complains where there is none.
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    seed = derived_seed(seed, PLAYING)  # training began with the layouts of the seed itself
    render_mode = "rgb_array" if drawn else None
    try:
        env = make_env(env_id, count, seed, env_kwargs, render_mode=render_mode)
    except (UsageError, AssertionError) as error:
        if not drawn:
            raise
        make_env(env_id, count, seed, env_kwargs).close()  # or this says what is wrong
        raise UsageError(f"--video: {env_id} draws no pictures ({error}); leave it out") from None
    if drawn:
        _require_pictures(env, env_id)
        env.seed(seed)  # the games are those played without pictures, but for Atari's first no-ops
    seen = shows_last_action(trained.model.observation_space)
    if seen and not shows_last_action(env.observation_space):
        env = VecLastAction(env)
    env = RecurrentPPO._wrap_env(env, verbose=0, monitor_wrapper=False)  # as SB3 does to train
    _check_spaces(trained, env, env_id)
    return env if trained.scale is None else load_scales(trained.scale, env)


def _require_pictures(env: VecEnv, env_id: str) -> None:
    env.reset()
    try:
        with warnings.catch_warnings():  # SB3's, of an environment that has no render mode
            warnings.simplefilter("ignore")
            pictures = env.get_images()
    except (NotImplementedError, AssertionError):
        pictures = [None]
    if any(picture is None for picture in pictures):
        env.close()
        raise UsageError(f"--video: {env_id} draws no pictures; leave it out")


def _check_spaces(trained: Trained, env: VecEnv, env_id: str) -> None:
    model = trained.model
    for what in ("observation", "action"):
        ours, theirs = getattr(model, f"{what}_space"), getattr(env, f"{what}_space")
        if ours != theirs:
            raise UsageError(
                f"{trained.file} cannot play {env_id}: its {what} space is {ours}, "
                f"that of {env_id} is {theirs}"
            )


def _play(trained: Trained, env: VecEnv, request: EvaluateOptions) -> Episodes:
    with tqdm(total=request.episodes, unit="game", disable=None, dynamic_ncols=True) as bar:

        def show(finished: Episodes) -> None:
            bar.update(len(finished.returns) - bar.n)

        return play(
            trained.model, env, request.episodes,
            deterministic=request.deterministic, on_step=show,
        )  # fmt: skip


def _film(trained: Trained, env: VecEnv, env_id: str, request: EvaluateOptions) -> None:
    """Plays one game for a video."""
    assert request.video is not None
    path, most = Path(request.video), request.video_steps
    with film(path, FPS[family_of(env_id)]) as shoot:

        def keep() -> None:
            mask = getattr(trained.model.policy, "active_mask", None)  # sb3-contrib's have none
            active = None if mask is None else mask[0].cpu().numpy()
            shoot(np.asarray(env.render("rgb_array"), dtype=np.uint8), active)

        steps = play_one(
            trained.model, env, most, deterministic=request.deterministic, on_action=keep
        )
        count = sum(1 for _ in tqdm(steps, total=most, unit="step", desc="video", disable=None))
    env.close()
    print(f"video   {path} ({count} steps)")


def _print_table(summary: dict[str, Any], env_id: str, trained: Trained) -> None:
    by = f"\nobservations normalised by {trained.scale.name}" if trained.scale else ""
    table = Table(title=f"{env_id}\n{trained.file.name}, games: {summary['episodes']}{by}")
    for title in ("", "value", f"{CONFIDENCE:.0%} interval"):
        table.add_column(title, justify="left" if not title else "right")
    rows = {"mean return": "mean", "median": "median", "interquartile mean": "iqm"}
    for title, key in rows.items():
        table.add_row(
            title, f"{summary[key]:.2f}", _range(summary.get(f"{key}_interval"), "{:.2f}")
        )
    if "success_rate" in summary:
        rate, interval = summary["success_rate"], summary["success_interval"]
        table.add_row("success rate", f"{rate:.1%}", _range(interval, "{:.1%}"))
    table.add_row("mean length (steps)", f"{summary['mean_length']:.1f}", "")
    Console().print(table)


def _range(interval: Sequence[float] | None, form: str) -> str:
    return "" if interval is None else " .. ".join(form.format(end) for end in interval)


def _result(
    trained: Trained,
    env_id: str,
    kwargs: dict[str, Any],
    request: EvaluateOptions,
    episodes: Episodes,
    summary: dict[str, Any],
) -> dict[str, Any]:
    return {
        "env": env_id,
        "env_kwargs": kwargs,
        "trained_in": trained.env,
        "model": str(trained.file),
        "model_sha256": sha256(trained.file),
        "normalized_by": trained.scale and str(trained.scale),
        "normalized_by_sha256": trained.scale and sha256(trained.scale),
        "timesteps": trained.model.num_timesteps,
        "deterministic": request.deterministic,
        "seed": request.seed,
        "interval_method": f"{INTERVAL_METHOD}; success rate: Wilson",
        "summary": summary,
        **dataclasses.asdict(episodes),
        "environment": describe_environment(),
    }


def _track(track: Track, folder: Path, env_id: str, result: Mapping[str, Any]) -> None:
    """Sends the summary to a W&B run of its own, beside the training run's."""
    if track == "off":
        return
    plan = TrainPlan.from_flat({**read_stored(folder / CONFIG), "track": track})
    name = f"{env_id}__{plan.label()}__seed{plan.run.seed}"
    run = open_run(plan, folder, None, {"env_id": env_id}, job_type="eval", name=name)
    if run is None:
        return
    writer = WandbWriter(run)
    numbers = {f"eval/{k}": v for k, v in result["summary"].items() if not isinstance(v, list)}
    writer.write(numbers, {}, result["timesteps"])
    writer.close()
    if hint := sync_hint(run):
        print(f"upload   {hint}")

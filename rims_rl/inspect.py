"""The command ``python -m rims_rl.inspect``: which RIM of an agent is active when, and what for."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonargparse

from rims_rl.envs import family_of
from rims_rl.experiments.command import create_folder
from rims_rl.experiments.output import write_picture
from rims_rl.runs.files import write_text
from rims_rl.runs.options import at_least, option
from rims_rl.runs.parser import parsed
from rims_rl.training.episodes import Episodes
from rims_rl.training.evaluation import FPS, game_of
from rims_rl.training.inspection import (
    Stage,
    activity,
    require_inactive,
    scores_without,
    trace_game,
)
from rims_rl.training.inspection_picture import draw
from rims_rl.training.loading import load_trained, name_of_results
from rims_rl.training.playing import PlayOptions, make_play_parser, play_command
from rims_rl.training.video import check_video, film

PICTURE, NUMBERS = "inspection.png", "inspection.json"


@dataclass(frozen=True)
class InspectOptions(PlayOptions):
    """The options of the command: what to look into, and where to put what is found."""

    episodes: int = option(16, "games of each score with a RIM held inactive; 0: none")
    steps: int = option(2000, "longest game shown, in agent steps")
    out: str | None = option(None, "folder of the picture and numbers; default: RUN/inspection/ID")

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 0, "episodes")
        at_least(self, 1, "steps")


def main(argv: Sequence[str] | None = None) -> int:
    """Looks inside the agent that the command line names.

    Args:
        argv: the arguments; those of the process by default.

    Returns:
        The exit status: 0; 2 for a request that cannot be done; 130 after Ctrl-C.
    """
    return play_command("inspect", argv, _inspect)


def _inspect(arguments: Sequence[str]) -> int:
    parser = _parser()
    values = parsed(parser, lambda: parser.parse_args(list(arguments), defaults=False))
    options = InspectOptions(**values)
    video = None if options.video is None else Path(options.video)
    if video is not None:
        check_video(video)
    trained = load_trained(Path(options.run), options.checkpoint, options.device, options.normalize)
    env_id, kwargs = game_of(trained, options.env, options.env_kwargs)
    stage = Stage(trained, env_id, kwargs, options.seed, options.deterministic)
    if options.episodes:
        require_inactive(stage)
    default = trained.folder / "inspection" / name_of_results(trained, env_id)
    out = default if options.out is None else Path(options.out)
    create_folder(out, "--out")
    filming = nullcontext() if video is None else film(video, FPS[family_of(env_id)])
    with filming as shoot:
        trace = trace_game(stage, options.steps, shoot)
    scores = scores_without(stage, options.episodes) if options.episodes else None
    summaries = None if scores is None else _summaries(scores)
    title = f"{env_id}, {trained.folder.name}/{trained.file.name}"
    write_picture(draw(trace, summaries, title), out / PICTURE)
    shares = activity(trace)
    numbers = {
        "env": env_id,
        "model": str(trained.file),
        "normalized_by": trained.scale and str(trained.scale),
        "command": shlex.join([*parser.prog.split(), *arguments]),
        "steps": len(trace.rewards),
        "return": trace.score,
        "share of steps each RIM is active": shares,
        "held inactive": summaries,
    }
    write_text(out / NUMBERS, json.dumps(numbers, indent=1) + "\n")
    if video is not None:
        print(f"video    {video}")
    _tell(shares, summaries)
    print(f"written  {out / PICTURE}\nnumbers  {out / NUMBERS}", flush=True)
    return 0


def _summaries(scores: dict[str, Episodes]) -> dict[str, Any]:
    return {name: games.summary() for name, games in scores.items()}


def _tell(shares: dict[str, list[float]], scores: dict[str, Any] | None) -> None:
    """Prints how often each RIM is active and what a score is without it."""
    rims = len(shares["whole game"])
    print("share of steps active" + "".join(f"{f'RIM {k + 1}':>8}" for k in range(rims)))
    for name, values in shares.items():
        print(f"{name:<21}" + "".join(f"{value:>8.2f}" for value in values))
    for name, summary in (scores or {}).items():
        low, high = summary.get("mean_interval") or (summary["mean"],) * 2
        print(f"held inactive: {name:<6} mean return {summary['mean']:.4g} [{low:.4g}, {high:.4g}]")


def _parser() -> jsonargparse.ArgumentParser:
    return make_play_parser(
        "rims_rl.inspect",
        "Look inside a trained agent with RIMs: which is active when in a game, around which "
        "events,\nwho reads from whom, and what the score is with each RIM held inactive.",
        InspectOptions,
    )


if __name__ == "__main__":
    sys.exit(main())

"""The command ``python -m rims_rl.inspect``: which RIM of an agent is active when, and what for."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rims_rl.envs import UnknownEnvError, family_of
from rims_rl.experiments.command import Parser, count, create_folder, positive, run_command
from rims_rl.experiments.output import write_picture
from rims_rl.runs.files import write_text
from rims_rl.runs.folder import safe_name
from rims_rl.runs.options import check_seed
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
from rims_rl.training.loading import load_trained
from rims_rl.training.video import check_video, write_video

PICTURE, NUMBERS = "inspection.png", "inspection.json"


def main(argv: Sequence[str] | None = None) -> int:
    """Looks inside the agent that the command line names.

    Args:
        argv: the arguments; those of the process by default.

    Returns:
        The exit status: 0; 2 for a request that cannot be done; 130 or 143 after Ctrl-C or
        SIGTERM.
    """
    return run_command("inspect", _parser(), argv, _inspect, UnknownEnvError)


def _inspect(options: argparse.Namespace, command: str) -> int:
    check_seed(options.seed)
    if options.video is not None:
        check_video(options.video)
    trained = load_trained(Path(options.run), options.checkpoint, options.device, options.normalize)
    env_id, kwargs = game_of(trained, options.env, {})
    stage = Stage(trained, env_id, kwargs, options.seed, options.deterministic)
    if options.episodes:
        require_inactive(stage)
    out = options.out or trained.folder / "inspection" / safe_name(env_id)
    create_folder(out, "--out")
    trace = trace_game(stage, options.steps, with_pictures=options.video is not None)
    scores = scores_without(stage, options.episodes) if options.episodes else None
    summaries = None if scores is None else _summaries(scores, options.seed)
    title = f"{env_id}, {trained.file}"
    write_picture(draw(trace, summaries, title), out / PICTURE)
    shares = activity(trace)
    numbers = {
        "env": env_id,
        "model": str(trained.file),
        "normalized_by": trained.scale and str(trained.scale),
        "command": command,
        "steps": len(trace.rewards),
        "return": trace.score,
        "share of steps each RIM is active": shares,
        "held inactive": summaries,
    }
    write_text(out / NUMBERS, json.dumps(numbers, indent=1) + "\n")
    if options.video is not None:
        write_video(options.video, trace.pictures, trace.active, FPS[family_of(env_id)])
        print(f"video    {options.video}")
    _tell(shares, summaries)
    print(f"written  {out / PICTURE}\nnumbers  {out / NUMBERS}", flush=True)
    return 0


def _summaries(scores: dict[str, Episodes], seed: int) -> dict[str, Any]:
    return {name: games.summary(seed) for name, games in scores.items()}


def _tell(shares: dict[str, list[float]], scores: dict[str, Any] | None) -> None:
    """Prints how often each RIM is active and what a score is without it."""
    rims = len(shares["whole game"])
    print("share of steps active" + "".join(f"{f'RIM {k + 1}':>8}" for k in range(rims)))
    for name, values in shares.items():
        print(f"{name:<21}" + "".join(f"{value:>8.2f}" for value in values))
    for name, summary in (scores or {}).items():
        low, high = summary.get("mean_interval") or (summary["mean"],) * 2
        print(f"held inactive: {name:<6} mean return {summary['mean']:.4g} [{low:.4g}, {high:.4g}]")


def _parser() -> Parser:
    parser = Parser(
        "inspect",
        "Look inside a trained agent with RIMs: which is active when in a game, around which "
        "events,\nwho reads from whom, and what the score is with each RIM held inactive.",
        "",
    )
    parser.add_argument("run", metavar="RUN", help="a run's folder, or a model's zip file")
    parser.add_argument("--env", metavar="ID", help="another environment [that of the training]")
    parser.add_argument(
        "--checkpoint",
        metavar="NAME",
        default="final",
        help="final, best or a zip file [%(default)s]",
    )
    parser.add_argument(
        "--episodes", type=count, metavar="N", default=16,
        help="games of each score with a RIM held inactive; 0: none [%(default)s]",
    )  # fmt: skip
    parser.add_argument(
        "--steps", type=positive, metavar="N", default=2000, help="longest game shown [%(default)s]"
    )
    parser.add_argument("--deterministic", action="store_true", help="take the likeliest action")
    parser.add_argument(
        "--normalize",
        metavar="FILE",
        help="what observations are normalised by [what lies beside the model]",
    )
    parser.add_argument(
        "--seed", type=count, metavar="N", default=0, help="of the games [%(default)s]"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N [%(default)s]")
    parser.add_argument(
        "--video", type=Path, metavar="FILE", help="also film the game, .mp4 or .gif"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="picture and numbers [RUN/inspection/ID]"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""The command line of `rims_rl.train`: flags over a file over the preset of the environments."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonargparse

from rims_rl.core import core_options
from rims_rl.core.earlier import upgraded_run
from rims_rl.core.options import SIZED
from rims_rl.envs import family_of
from rims_rl.runs.errors import UsageError
from rims_rl.runs.folder import read_environment
from rims_rl.runs.options import overlaid
from rims_rl.runs.parser import (
    Request,
    add_options,
    add_start,
    check_options,
    given_and_all,
    make_parser,
    read_mapping,
    refuse_changes,
    refuse_ignored,
    warn_if_shorter,
)
from rims_rl.runs.shipped import preset
from rims_rl.training.options import GROUPS, PolicyOptions, TrainPlan

#: The preset in ``rims_rl/configs`` of each family of environments.
PRESETS: Mapping[str, str] = {
    "atari": "atari",
    "minigrid": "minigrid",
    "minatar": "minatar",
    "popgym": "popgym",
    "gymnasium": "control",
}

#: What may change when a run is resumed: nothing that the saved weights or their meaning need.
RESUMABLE = frozenset(
    (
        *("total_timesteps", "device", "threads", "track"),
        *("eval_every", "eval_episodes", "checkpoint_every", "keep_checkpoints"),
        *("learning_rate", "learning_rate_schedule", "n_epochs", "target_kl"),
        *("clip_range", "clip_range_vf", "ent_coef", "vf_coef", "max_grad_norm"),
        *("gamma", "gae_lambda"),
    )
)

_EXAMPLES = """\
examples:
  python -m rims_rl.train --env PongNoFrameskip-v4
  python -m rims_rl.train --env rims_rl/PickupDistractorsSmall-v0 --core lstm --seed 1
  python -m rims_rl.train --resume runs/CartPole-v1/rim-k6-4-h60/seed0-20260101-120000
Flags win over --config FILE (YAML, the flags' names as keys), which wins over the preset of the
environment's family (rims_rl/configs). Every run writes its resolved config.yaml.
Ctrl-C and SIGTERM save a checkpoint; a run continues with --resume, even after a kill -9.
exit status: 0 done, 2 a request that cannot be done, 130 or 143 after Ctrl-C or SIGTERM, 1 a
tensor that is not finite.
"""


def parse(argv: Sequence[str]) -> Request:
    """Reads the command line and the file that it names.

    Raises:
        UsageError: an unknown option or key, or a value of another type.
    """
    given, request = given_and_all(_parser(), argv, read_yaml)
    if not request.resume:
        core = request.values.get("core", PolicyOptions.core)
        try:
            known = core_options(core)
        except ValueError as error:
            raise UsageError(f"--core: {error}") from None
        refuse_ignored(given, SIZED, known, f"core {core}")
    return request


def plan(values: Mapping[str, Any]) -> TrainPlan:
    """Completes the user's values with the preset of the environment's family and the defaults.

    Raises:
        UsageError: values out of range or that do not go together.
        UnknownEnvError: no such environment; the message names the nearest.
    """
    env_id = values.get("env")
    below = read_preset(PRESETS[family_of(env_id)]) if env_id else {}
    return TrainPlan.from_flat(overlaid(below, values))


def resumed_plan(saved: Mapping[str, Any], values: Mapping[str, Any]) -> TrainPlan:
    """The saved configuration of a run with what the user changes when resuming it.

    Raises:
        UsageError: a change that would make it another run.
    """
    refuse_changes(saved, values, RESUMABLE)
    warn_if_shorter(saved, values, "total_timesteps")
    return TrainPlan.from_flat({**saved, **values})


def read_yaml(path: Path) -> dict[str, Any]:
    """Reads a flat YAML file of options.

    Raises:
        UsageError: no such file, not YAML, an unknown key or a value of another type.
    """
    return checked(read_mapping(path), str(path))


def checked(values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Checks names and types of options, and converts them.

    Raises:
        UsageError: an unknown key or a wrong type; `source` says where.
    """
    return check_options(_parser(), values, source)


def read_stored(path: Path) -> dict[str, Any]:
    """The options of a stored run, of an earlier version as this one names them.

    Args:
        path: its configuration file.
    """
    return upgraded_run(read_yaml(path), read_environment(path.parent))


@functools.cache
def read_preset(name: str) -> Mapping[str, Any]:
    """The options that a preset shipped with the package sets."""
    return checked(preset(name), f"{name}.yaml")


@functools.cache
def _parser() -> jsonargparse.ArgumentParser:
    parser = make_parser(
        "rims_rl.train",
        "Train a recurrent PPO agent with a RIM core, or a baseline, on one environment.",
        _EXAMPLES,
    )
    parser.usage = "%(prog)s --env ID [options]"
    add_start(parser)
    presets = {name: preset(name) for name in PRESETS.values()}
    titles = {"env": "Environment", "model": "Core", "ppo": "PPO", "run": "Run"}
    for name, title in titles.items():
        add_options(parser.add_argument_group(title), GROUPS[name], presets=presets)
    return parser

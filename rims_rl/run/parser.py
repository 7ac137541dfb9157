"""The command line of `rims_rl.train`: flags over a file over the family's preset."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import functools
import re
import shlex
import typing
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jsonargparse
import yaml

from rims_rl.core import core_options
from rims_rl.envs import suite_of
from rims_rl.run.config import (
    GROUPS,
    SIZED,
    CoreConfig,
    TrainConfig,
    flag,
    of_version_0_1,
    option_names,
)
from rims_rl.run.errors import UsageError
from rims_rl.run.folder import folder_version

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
        *("learning_rate", "learning_rate_schedule", "n_epochs", "clip_range", "target_kl"),
        *("gamma", "gae_lambda", "ent_coef", "vf_coef", "max_grad_norm"),
    )
)

_OWN = ("config", "resume")
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


@dataclasses.dataclass(frozen=True)
class Request:
    """What the user asked for.

    Attributes:
        values: options given by the user, from the file and the flags.
        resume: the run folder to continue, or None for a new run.
    """

    values: Mapping[str, Any]
    resume: Path | None


def parse(argv: Sequence[str]) -> Request:
    """Reads the command line and the file that it names.

    Raises:
        UsageError: an unknown option or key, or a value of another type.
    """
    given = parsed(_parser(), lambda: _parser().parse_args(list(argv), defaults=False))
    config, resume = given.pop("config", None), given.pop("resume", None)
    values = {**(read_yaml(Path(config)) if config else {}), **given}
    if not resume:
        _refuse_ignored(given, values.get("core", CoreConfig.core))
    return Request(values, Path(resume) if resume else None)


def _refuse_ignored(given: Mapping[str, Any], core: str) -> None:
    """Refuses flags of other cores' options; presets and files may hold them."""
    try:
        known = core_options(core)
    except ValueError as error:
        raise UsageError(f"--core: {error}") from None
    for name in SIZED:
        if name in given and name not in known:
            raise UsageError(f"{flag(name)}: core {core} has no such option; leave it out")


def resolve(values: Mapping[str, Any]) -> TrainConfig:
    """Completes the user's values with the preset of the environment's family and the defaults.

    Raises:
        UsageError: values out of range or that do not go together.
        UnknownEnvError: no such environment; the message names the nearest.
    """
    env_id = values.get("env")
    preset = read_preset(PRESETS[suite_of(env_id)]) if env_id else {}
    return TrainConfig.from_flat({**preset, **values})


def resolve_resumed(saved: Mapping[str, Any], values: Mapping[str, Any]) -> TrainConfig:
    """The saved configuration of a run with what the user changes when resuming it.

    Raises:
        UsageError: a change that would make it another run.
    """
    refuse_changes(saved, values, RESUMABLE)
    return TrainConfig.from_flat({**saved, **values})


def refuse_changes(
    saved: Mapping[str, Any], values: Mapping[str, Any], resumable: frozenset[str]
) -> None:
    """Refuses new values of options that a run cannot change when it is resumed.

    Raises:
        UsageError: with those that it can.
    """
    for name, value in values.items():
        if name not in resumable and value != saved.get(name):
            allowed = ", ".join(flag(other) for other in sorted(resumable))
            raise UsageError(
                f"{flag(name)} cannot change when a run is resumed (it has "
                f"{saved.get(name)}); these can: {allowed}"
            )


def read_yaml(path: Path) -> dict[str, Any]:
    """Reads a flat YAML file of options.

    Raises:
        UsageError: no such file, not YAML, an unknown key or a value of another type.
    """
    if not path.is_file():
        raise UsageError(f"no such file: {path}")
    read = functools.partial(_parser().parse_path, str(path), defaults=False)
    values = parsed(_parser(), read, f"{path}: ")
    for key in _OWN:
        if key in values:
            raise UsageError(f"{path}: {key} belongs on the command line")
    return values


def read_stored(path: Path) -> dict[str, Any]:
    """The options of a stored run, of an earlier version as this one names them.

    Args:
        path: its configuration file.
    """
    return upgraded(read_yaml(path), path.parent)


def upgraded(values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The options of a run folder as this version names them."""
    return of_version_0_1(values) if folder_version(folder) == "0.1.0" else dict(values)


@functools.cache
def read_preset(name: str) -> Mapping[str, Any]:
    """The options that a preset shipped with the package sets."""
    with resources.as_file(resources.files("rims_rl") / "configs" / f"{name}.yaml") as path:
        return read_yaml(path)


def to_yaml(config: TrainConfig) -> str:
    """The resolved configuration as a file that ``--config`` reads."""
    return yaml.safe_dump(config.flat(), sort_keys=False, allow_unicode=True)


def command_line(argv: Sequence[str]) -> str:
    """The command of this run, ready to paste into a shell."""
    return shlex.join(["python", "-m", "rims_rl.train", *argv])


@functools.cache
def _parser() -> jsonargparse.ArgumentParser:
    parser = jsonargparse.ArgumentParser(
        prog="python -m rims_rl.train",
        usage="%(prog)s --env ID [options]",
        description="Train a recurrent PPO agent with a RIM core, or a baseline, on one "
        "environment.",
        epilog=_EXAMPLES,
        exit_on_error=False,
        allow_abbrev=False,
        formatter_class=_TrainHelpFormatter,
    )
    start = parser.add_argument_group("Start")
    start.add_argument("--config", type=str, metavar="FILE", help="read options from YAML")
    start.add_argument("--resume", type=str, metavar="DIR", help="continue the run in this folder")
    titles = {"env": "Environment", "core": "Core", "ppo": "PPO", "run": "Run"}
    for name, group in GROUPS.items():
        add_options(parser.add_argument_group(titles[name]), group)
    return parser


def add_options(arguments: Any, group: type, note: Callable[[str], str] = lambda name: "") -> None:
    """Adds a flag for every field of a dataclass to an argument group.

    Args:
        arguments: of jsonargparse.
        group: the dataclass, whose fields bring their help.
        note: what follows the help of an option of this name.
    """
    types = typing.get_type_hints(group)
    for field in dataclasses.fields(group):
        kind = types[field.name]
        choices = typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()
        text = field.metadata["help"] + (f": {', '.join(choices)}" if choices else "")
        text += note(field.name)
        arguments.add_argument(flag(field.name), type=kind, metavar=metavar(kind), help=text)


def metavar(kind: Any) -> str:
    """What stands for a value of this type in the help."""
    names = {int: "N", float: "X", str: "TEXT", bool: "{true,false}"}
    if typing.get_origin(kind) is dict:
        return "{..}"
    return names.get(next(iter(typing.get_args(kind)), kind), names.get(kind, "NAME"))


class HelpFormatter(jsonargparse.DefaultHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """One line an option: what it does, without jsonargparse's types."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        layout = {"max_help_position": 36, "width": 120, **kwargs}
        super().__init__(*args, **layout)  # type: ignore[no-untyped-call]

    def _get_help_string(self, action: argparse.Action) -> str:
        return action.help or ""


class _TrainHelpFormatter(HelpFormatter):
    """Adds the default of each option and what the presets change."""

    def _get_help_string(self, action: argparse.Action) -> str:
        return f"{action.help}{_defaults_text(action.dest)}"


def _defaults_text(name: str) -> str:
    """`` [60; atari 510]``: the default of an option and the presets that differ from it."""
    default = next((_default(group, name) for group in GROUPS.values() if _has(group, name)), None)
    presets = {preset: read_preset(preset).get(name, default) for preset in PRESETS.values()}
    changes = [f"{preset} {value}" for preset, value in presets.items() if value != default]
    shown = [] if default in (None, "", {}) else [str(default)]
    return f" [{'; '.join(shown + changes)}]" if shown or changes else ""


def _has(group: type, name: str) -> bool:
    return name in option_names(group)


def _default(group: type, name: str) -> Any:
    field = next(f for f in dataclasses.fields(group) if f.name == name)
    return {} if field.default is dataclasses.MISSING else field.default


def parsed(
    parser: jsonargparse.ArgumentParser,
    read: Callable[[], jsonargparse.Namespace],
    source: str = "",
) -> dict[str, Any]:
    """What `read` reads with `parser`, its errors as one line in the words of the user.

    Args:
        parser: knows the options.
        read: reads a command line or a file.
        source: the file's name with ``": "``, empty for a command line.

    Raises:
        UsageError: an unknown option or a value of another type.
    """
    try:
        return dict(read().as_dict())
    except (argparse.ArgumentError, jsonargparse.ArgumentError) as error:
        names = [action.dest for action in parser._actions]
        show = str if source else flag
        raise UsageError(source + _readable(str(error), names, show)) from None


def _readable(message: str, names: Sequence[str], show: Callable[[str], str]) -> str:
    """Turns jsonargparse's message into one line in the words of the command line."""
    message = " ".join(message.split())
    value = re.search(r"(?:Got value|Given value): (.*)$", message)
    if (match := re.match(r'Parser key "([\w.]+)": (.*)', message)) and value:
        kinds = re.findall(r"Expected an? (.*?)(?:\.(?= Got)| - | Given|$)", match[2])
        expected = " or ".join(dict.fromkeys(map(_plain_type, kinds)))
        return f"{show(match[1])}: expected {expected}, got {value[1]}"
    if match := re.match(r"Option '([\w.-]+)' is not accepted", message):
        return f"unknown key {match[1]!r}{_did_you_mean(match[1], names, show)}"
    if match := re.match(r"unrecognized arguments: (\S+)", message, re.IGNORECASE):
        return f"unknown option {match[1]}{_did_you_mean(match[1], names, show)}"
    if message.startswith("Unexpected config"):
        return "not a mapping of options to values, such as `seed: 1`"
    return message


def _plain_type(kind: str) -> str:
    kind = re.sub(r"<class '(\w+)'>", r"\1", kind).replace("typing.", "")
    kind = re.sub(r"Literal\[(.*?)\]", lambda choices: choices[1].replace("'", ""), kind)
    return {"NoneType": "null"}.get(kind, kind)


def _did_you_mean(name: str, names: Sequence[str], show: Callable[[str], str]) -> str:
    wanted = name.split("=")[0].lstrip("-").replace("-", "_")
    nearest = difflib.get_close_matches(wanted, names, n=2)
    return f"; did you mean {' or '.join(map(show, nearest))}?" if nearest else "; see --help"

"""Command lines and files of options: flags over a file over a preset, errors in plain words."""

from __future__ import annotations

import argparse
import dataclasses
import re
import typing
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import MISSING
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jsonargparse
import yaml

from rims_rl.runs.errors import UsageError, did_you_mean, warn
from rims_rl.runs.folder import CONFIG, begun_with
from rims_rl.runs.options import Plan, flag, overlaid

#: Options that belong on the command line alone.
OWN = ("config", "resume")


@dataclasses.dataclass(frozen=True)
class Request:
    """The user's request.

    Attributes:
        values: options given by the user, from the file and the flags.
        resume: the run folder to continue, or None for a new run.
    """

    values: Mapping[str, Any]
    resume: Path | None


def make_parser(program: str, description: str, epilog: str = "") -> jsonargparse.ArgumentParser:
    """A parser without options, whose errors `parsed` turns into one line."""
    return jsonargparse.ArgumentParser(
        prog=f"python -m {program}",
        usage="%(prog)s [options]",
        description=description,
        epilog=epilog,
        exit_on_error=False,
        allow_abbrev=False,
        formatter_class=_HelpFormatter,
    )


def add_start(parser: jsonargparse.ArgumentParser) -> Any:
    """Adds the options that say where the others come from, and returns their group."""
    start = parser.add_argument_group("Start")
    start.add_argument("--config", type=str, metavar="FILE", help="read options from YAML")
    start.add_argument("--resume", type=str, metavar="DIR", help="continue the run in this folder")
    return start


def add_options(
    arguments: Any,
    group: type,
    below: Mapping[str, Any] = MappingProxyType({}),
    presets: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    leave_out: Container[str] = (),
) -> None:
    """Adds a flag for every field of a dataclass to an argument group.

    One by one, because what jsonargparse makes of a dataclass has flags with underscores and help
    that names types instead of what an option is for.

    Args:
        arguments: of jsonargparse.
        group: the dataclass, whose fields bring their help.
        below: defaults here, where they are not the dataclass's.
        presets: by name; the help shows where they differ from the default.
        leave_out: fields that are no such flag.
    """
    types = typing.get_type_hints(group)
    for field in dataclasses.fields(group):
        if field.name in leave_out:
            continue
        kind = types[field.name]
        choices = typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()
        text = field.metadata["help"] + (f": {', '.join(choices)}" if choices else "")
        factory = field.default_factory
        default = below.get(field.name, field.default if factory is MISSING else factory())
        others = {name: preset.get(field.name, default) for name, preset in presets.items()}
        text += _defaults(default, others)
        # A switch may stand alone: `--spatial-input` is `--spatial-input true`.
        alone = {"nargs": "?", "const": True} if kind is bool else {}
        arguments.add_argument(
            flag(field.name), type=kind, metavar=metavar(kind), help=text, **alone
        )


def _defaults(default: Any, others: Mapping[str, Any]) -> str:
    """`` [60; atari 510]``: the default of an option and the presets that differ from it."""
    changes = [f"{preset} {value}" for preset, value in others.items() if value != default]
    shown = [] if default in (None, "", {}, []) else [str(default)]
    return f" [{'; '.join(shown + changes)}]" if shown or changes else ""


def metavar(kind: Any) -> str:
    """The word that stands for a value of this type in the help."""
    names = {int: "N", float: "X", str: "TEXT", bool: "true|false"}
    nested = {dict: "{..}", list: "[..]"}
    if (origin := typing.get_origin(kind)) in nested:
        return nested[origin]
    return names.get(next(iter(typing.get_args(kind)), kind), names.get(kind, "NAME"))


class _HelpFormatter(jsonargparse.DefaultHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """One line per option: what it does, without jsonargparse's types."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        layout = {"max_help_position": 36, "width": 120, **kwargs}
        super().__init__(*args, **layout)  # type: ignore[no-untyped-call]

    def _get_help_string(self, action: argparse.Action) -> str:
        return action.help or ""


def parsed(
    parser: jsonargparse.ArgumentParser,
    read: Callable[[], jsonargparse.Namespace],
    source: str = "",
) -> dict[str, Any]:
    """The options that `read` reads with `parser`, its errors as one line in the words of the user.

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
        raise UsageError(source + readable(str(error), names, show)) from None


class _YamlLoader(yaml.SafeLoader):
    """Reads ``1e-3`` as a number, as YAML 1.2, the command line and Python do."""


class _YamlDumper(yaml.SafeDumper):
    """Quotes text that `_YamlLoader` would read as a number."""


for _of_yaml in (_YamlLoader, _YamlDumper):
    _of_yaml.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
        list("-+.0123456789"),
    )


def load_yaml(text: str) -> Any:
    """The content of a YAML text."""
    return yaml.load(text, _YamlLoader)


def read_mapping(path: Path) -> dict[str, Any]:
    """Reads a YAML file of options, whose names and types are not checked.

    Raises:
        UsageError: no such file, not YAML or not a mapping.
    """
    try:
        values = load_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"no such file: {path}") from None
    except IsADirectoryError:
        hint = f": give its {CONFIG}" if (path / CONFIG).is_file() else ""
        raise UsageError(f"{path} is a folder{hint}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise UsageError(f"{path}: not a mapping of options to values, such as `seed: 1`")
    return values


def check_options(
    parser: jsonargparse.ArgumentParser, values: Mapping[str, Any], source: str
) -> dict[str, Any]:
    """Checks names and types of options that a file holds, and converts them.

    Args:
        parser: knows the options.
        values: the options.
        source: the file, for messages.

    Raises:
        UsageError: an unknown key or a wrong type.
    """
    for key in OWN:
        if key in values:
            raise UsageError(f"{source}: {key} belongs on the command line")
    said = f"{source}: "
    if values.get("track") is False:  # what YAML makes of a bare `off`
        values = {**values, "track": "off"}
    checked = parsed(parser, lambda: parser.parse_object(dict(values), defaults=False), said)
    # An object may hold None for anything; the command line takes it where it means something.
    empty = [name for name in values if values[name] is None]
    switches = {action.dest for action in parser._actions if action.nargs == 0}
    nulls = [word for name in empty if name not in switches for word in (flag(name), "null")]
    typed = parsed(parser, lambda: parser.parse_args(nulls, defaults=False), said)
    for name in empty:
        if name in switches or typed[name] is not None:  # a text
            raise UsageError(f"{said}{name}: a value is missing")
    return checked


def refuse_changes(
    saved: Mapping[str, Any], values: Mapping[str, Any], resumable: frozenset[str]
) -> None:
    """Refuses new values of options that a run cannot change when it is resumed.

    Raises:
        UsageError: such an option is given.
    """
    for name, value in values.items():
        if name not in resumable and value != saved.get(name):
            raise UsageError(
                f"{flag(name)} cannot change when a run is resumed (it has {saved.get(name)}): "
                "leave it out, or start a new run"
            )


def warn_if_shorter(saved: Mapping[str, Any], values: Mapping[str, Any], name: str) -> None:
    """Tells that a run is to end sooner than it was planned, which may be a slip."""
    before, after = saved[name], values.get(name)
    if after is not None and after < before:
        warn(f"{flag(name)} {after} shortens the plan of this run, which had {before}")


def refuse_ignored(
    given: Mapping[str, Any], options: Sequence[str], known: Sequence[str], model: str
) -> None:
    """Refuses flags that the chosen model would ignore; presets and files may hold them.

    Args:
        given: by the user as flags.
        options: of any model.
        known: those of the chosen one.
        model: what to call it.

    Raises:
        UsageError: one of them is given.
    """
    for name in options:
        if name in given and name not in known:
            raise UsageError(f"{flag(name)}: {model} has no such option; leave it out")


def given_and_all(
    parser: jsonargparse.ArgumentParser,
    argv: Sequence[str],
    read: Callable[[Path], Mapping[str, Any]],
) -> tuple[dict[str, Any], Request]:
    """The flags of a command, and the request that they make with the file of ``--config``.

    Args:
        parser: of the command.
        argv: its arguments.
        read: reads such a file.

    Raises:
        UsageError: an unknown option or key, or a value of another type.
    """
    given = parsed(parser, lambda: parser.parse_args(list(argv), defaults=False))
    config, resume = given.pop("config", None), given.pop("resume", None)
    below = _without_its_folder(read(Path(config)), Path(config)) if config else {}
    if "core" in below and given.get("core", below["core"]) != below["core"]:
        below.pop("core_kwargs", None)  # they are another core's
    return given, Request(overlaid(below, given), Path(resume) if resume else None)


def _without_its_folder(values: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """The options of a ``--config`` file; that of a run names the run's folder, which is taken."""
    # What the run's command named it from need not be where this one is given.
    of_a_run = begun_with(file.resolve().parent) is not None
    return {k: v for k, v in values.items() if not (of_a_run and k == "run_dir")}


def to_yaml(plan: Plan) -> str:
    """All options of a run as a file that ``--config`` reads."""
    return yaml.dump(plan.flat(), Dumper=_YamlDumper, sort_keys=False, allow_unicode=True)


def readable(message: str, names: Sequence[str], show: Callable[[str], str] = flag) -> str:
    """Turns a message of argparse or jsonargparse into one line in the words of the user.

    Args:
        message: theirs.
        names: of all options.
        show: how an option is written.
    """
    message = " ".join(message.split())
    value = re.search(r"(?:Got value|Given value): (.*)$", message)
    if (match := re.match(r'Parser key "([\w.]+)": (.*)', message)) and value:
        kinds = re.findall(r"Expected an? (.*?)(?:\.(?= Got)| - | Given|$)", match[2])
        expected = " or ".join(dict.fromkeys(map(_plain_type, kinds)))
        got = {"None": "null"}.get(value[1], value[1])
        quotes = " (text: put it in quotes)" if expected == "str" else ""
        return f"{show(match[1])}: expected {expected}, got {got}{quotes}"
    if match := re.match(r"Option '([\w.-]+)' is not accepted", message):
        return f"unknown key {match[1]!r}{_nearest(match[1], names, show)}"
    if match := re.match(r"unrecognized arguments: ([^-]\S*)", message, re.IGNORECASE):
        return f"{match[1]} belongs to no option: options are written --name VALUE; see --help"
    if match := re.match(r"unrecognized arguments: (\S+)", message, re.IGNORECASE):
        return f"unknown option {match[1]}{_nearest(match[1], names, show)}"
    if message.startswith("Unexpected config"):
        return "not a mapping of options to values, such as `seed: 1`"
    return message


def _plain_type(kind: str) -> str:
    kind = re.sub(r"<class '(\w+)'>", r"\1", kind).replace("typing.", "")
    kind = re.sub(r"Literal\[(.*?)\]", lambda choices: choices[1].replace("'", ""), kind)
    return {"NoneType": "null", "bool": "true or false"}.get(kind, kind)


def _nearest(flag: str, names: Sequence[str], show: Callable[[str], str]) -> str:
    name = flag.split("=")[0].lstrip("-").replace("-", "_")
    return did_you_mean(name, names, show, "; see --help")

"""YAML that comes with the package: presets, suites, budgets; or that a user has as a file."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from rims_rl.runs.errors import UsageError, did_you_mean
from rims_rl.runs.parser import load_yaml


@functools.cache
def preset(name: str) -> Mapping[str, Any]:
    """The options of a preset as they stand in its file, neither names nor types checked.

    Args:
        name: of the file under ``configs``, e.g. ``atari`` or ``tasks/copying-quick``.
    """
    options: dict[str, Any] = load_yaml(_files(f"{name}.yaml").read_text(encoding="utf-8"))
    return options


def shipped_names(folder: str) -> list[str]:
    """The names of what comes with the package.

    Args:
        folder: of the YAML files, under ``configs``.
    """
    return sorted(file.name.removesuffix(".yaml") for file in _files(folder).iterdir())


def read_shipped(folder: str, name: str, what: str) -> Any:
    """The content of a YAML file.

    Args:
        folder: of those that come with the package, under ``configs``.
        name: of one of them, or a path.
        what: it is, for messages.

    Raises:
        UsageError: it cannot be read.
    """
    shipped = _files(folder) / f"{name}.yaml"
    try:
        file = shipped if shipped.is_file() else Path(name)
        return load_yaml(file.read_text(encoding="utf-8"))
    except OSError as error:
        names = shipped_names(folder)
        raise UsageError(
            f"{what} {name} cannot be read ({error.strerror}): choose from {', '.join(names)}, or "
            f"give a YAML file{did_you_mean(name, names)}"
        ) from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{what} {name} is not YAML: {' '.join(str(error).split())}") from None


def _files(path: str) -> Any:
    return resources.files("rims_rl") / "configs" / path

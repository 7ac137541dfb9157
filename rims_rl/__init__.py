"""Recurrent Independent Mechanisms (RIMs) as recurrent policies for Stable-Baselines3.

Importing the package makes its policies known to `sb3_contrib.RecurrentPPO` by name and registers
its environments with Gymnasium, as soon as these libraries are imported. What is below loads when
it is first used: `rims_rl.core` alone needs torch only.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import wrapt

from rims_rl.version import __version__

if TYPE_CHECKING:
    from rims_rl.agents import RecurrentPPO
    from rims_rl.core import (
        RIM,
        Core,
        RIMConfig,
        register_communication,
        register_core,
        register_selection,
    )
    from rims_rl.envs import make_vec_env
    from rims_rl.training.scales import load_scales

#: Where the public names are.
_HOMES = {
    "RIM": "core",
    "Core": "core",
    "RIMConfig": "core",
    "RecurrentPPO": "agents",
    "load_scales": "training.scales",
    "make_vec_env": "envs",
    "register_communication": "core",
    "register_core": "core",
    "register_selection": "core",
}

__all__ = [
    "RIM",
    "Core",
    "RIMConfig",
    "RecurrentPPO",
    "__version__",
    "load_scales",
    "make_vec_env",
    "register_communication",
    "register_core",
    "register_selection",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _register(package: str) -> Callable[[object], None]:
    """Imports one of our packages, which registers what it has; not while it is being imported."""

    def hook(_: object) -> None:
        if package not in sys.modules:
            importlib.import_module(package)

    return hook


wrapt.register_post_import_hook(_register("rims_rl.agents"), "sb3_contrib")
wrapt.register_post_import_hook(_register("rims_rl.envs"), "gymnasium")

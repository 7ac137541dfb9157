"""Recurrent Independent Mechanisms (RIMs) as recurrent policies for Stable-Baselines3.

Importing the package makes its policies known to `sb3_contrib.RecurrentPPO` by name and registers
its environments with Gymnasium.
"""

from rims_rl.agents import RecurrentPPO, register_policies
from rims_rl.core import (
    RIM,
    Core,
    RIMConfig,
    register_communication,
    register_core,
    register_selection,
)
from rims_rl.envs import make_vec_env
from rims_rl.version import __version__

__all__ = [
    "RIM",
    "Core",
    "RIMConfig",
    "RecurrentPPO",
    "__version__",
    "make_vec_env",
    "register_communication",
    "register_core",
    "register_selection",
]

register_policies()

"""Recurrent cores: RIMs and what they are compared with. Needs torch only."""

from rims_rl.core.base import Core
from rims_rl.core.baselines import GRU, LSTM, RNN, FeedForward
from rims_rl.core.config import RIMConfig
from rims_rl.core.forms import CommunicationForm, register_communication, register_selection
from rims_rl.core.registry import core_names, core_options, make_core, register_core
from rims_rl.core.rim import RIM, RIMInfo
from rims_rl.core.rmc import RMC

__all__ = [
    "GRU",
    "LSTM",
    "RIM",
    "RMC",
    "RNN",
    "CommunicationForm",
    "Core",
    "FeedForward",
    "RIMConfig",
    "RIMInfo",
    "core_names",
    "core_options",
    "make_core",
    "register_communication",
    "register_core",
    "register_selection",
]

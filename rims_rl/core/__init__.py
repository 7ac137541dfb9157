"""Recurrent cores: RIMs and what they are compared with. Needs torch only."""

from rims_rl.core.baselines import GRU, LSTM, FeedForward
from rims_rl.core.config import RIMConfig
from rims_rl.core.factory import Core, CoreName, make_core
from rims_rl.core.rim import RIM, RIMInfo
from rims_rl.core.rmc import RMC

__all__ = [
    "GRU",
    "LSTM",
    "RIM",
    "RMC",
    "Core",
    "CoreName",
    "FeedForward",
    "RIMConfig",
    "RIMInfo",
    "make_core",
]

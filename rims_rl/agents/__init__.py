"""Policies and training algorithm for Stable-Baselines3."""

import sb3_contrib

from rims_rl.agents.cnn import AtariCnn
from rims_rl.agents.core_policy import (
    CnnRimPolicy,
    CorePolicy,
    MlpRimPolicy,
    MultiInputRimPolicy,
)
from rims_rl.agents.extractors import GridExtractor
from rims_rl.agents.features import AppendingExtractor, LinearFeatures, SmallGridCnn
from rims_rl.agents.ppo import RecurrentPPO

__all__ = [
    "AppendingExtractor",
    "AtariCnn",
    "CnnRimPolicy",
    "CorePolicy",
    "GridExtractor",
    "LinearFeatures",
    "MlpRimPolicy",
    "MultiInputRimPolicy",
    "RecurrentPPO",
    "SmallGridCnn",
    "register_policies",
]


def register_policies() -> None:
    """Makes the policies known to stock `sb3_contrib.RecurrentPPO` by their names."""
    for policy in (MlpRimPolicy, CnnRimPolicy, MultiInputRimPolicy):
        sb3_contrib.RecurrentPPO.policy_aliases[policy.__name__] = policy


register_policies()

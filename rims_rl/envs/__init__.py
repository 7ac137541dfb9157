"""Environments for recurrent agents: Atari, MiniGrid, MinAtar, POPGym, any Gymnasium id."""

from rims_rl.envs.atari import AtariVecEnv
from rims_rl.envs.atari_games import AtariSettings
from rims_rl.envs.last_action import VecLastAction, shows_last_action
from rims_rl.envs.make import make_vec_env
from rims_rl.envs.registry import Family, UnknownEnvError, family_of

__all__ = [
    "AtariSettings",
    "AtariVecEnv",
    "Family",
    "UnknownEnvError",
    "VecLastAction",
    "family_of",
    "make_vec_env",
    "shows_last_action",
]

#: The name of version 0.1; a suite is games x cores x seeds now.
suite_of = family_of

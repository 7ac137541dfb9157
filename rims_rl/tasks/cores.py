"""Makes the sequence model of a task by name, so that a comparison changes one word."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from rims_rl.core import GRU, LSTM, RIM, RMC, make_core
from rims_rl.runs.errors import UsageError
from rims_rl.tasks.options import ModelOptions
from rims_rl.tasks.transformer import Transformer


def make_task_core(config: ModelOptions, input_size: int) -> nn.Module:
    """Makes the sequence model: a module that maps (T, B, D) to (T, B, output_size) and a state.

    Args:
        config: its name and sizes.
        input_size: features D.
    """
    if config.core == "rmc":
        return RMC(input_size, config.hidden_size, config.slots, config.heads)
    if config.core == "transformer":
        return Transformer(input_size, config.hidden_size, config.layers, config.heads)
    assert config.core != "tto", "the oracle is a model without a core"
    core = make_core(config.core, input_size, config.options())
    start_by_keeping(core, config.keep_bias)
    return core


def start_by_keeping(core: nn.Module, bias: float) -> None:
    """Sets the bias of the gates that keep the state: LSTMs' forget, GRUs' update gates.

    At 0 half of a state is gone after each step, and an LSTM does not begin to learn to copy
    within thousands of updates (Jozefowicz et al. 2015 recommend 1). Our reading: the paper does
    not say, and all cores of a comparison start alike.

    Args:
        core: RIM, LSTM or GRU.
        bias: the same for all units.
    """
    with torch.no_grad():
        if isinstance(core, RIM):
            units = core.config.rim_size
            core.dynamics.bias_hh[:, units : 2 * units] = bias
        elif isinstance(core, LSTM | GRU):
            units = core.hidden_size
            cast(Tensor, core.layer.bias_hh_l0)[units : 2 * units] = bias


def check_core(config: ModelOptions, task: str, allowed: tuple[str, ...]) -> None:
    """Refuses a core that a task cannot work with.

    Raises:
        UsageError: with those that it can.
    """
    if config.core not in allowed:
        raise UsageError(f"--core {config.core} cannot do {task}: use {', '.join(allowed)}")

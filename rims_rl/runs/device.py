"""Devices that ``--device`` may name."""

from __future__ import annotations

import torch

from rims_rl.runs.errors import UsageError


def check_device(device: str) -> str:
    """The device, if this machine has it.

    Raises:
        UsageError: it does not; SB3 would go on with the CPU without a word.
    """
    try:
        kind = "cpu" if device == "auto" else torch.device(device).type
    except RuntimeError:
        raise UsageError(f"--device {device}: use auto, cpu, cuda or cuda:N") from None
    if kind == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"--device {device}: no CUDA device here; use --device cpu or auto")
    return device

"""Devices that ``--device`` may name."""

from __future__ import annotations

import torch

from rims_rl.runs.errors import UsageError


def check_device(device: str) -> str:
    """The device, if this machine has it.

    Raises:
        UsageError: it does not; SB3 would go on with the CPU without a word.
    """
    kind, _, number = device.partition(":")
    if device not in ("auto", "cpu", "cuda") and not (kind == "cuda" and number.isdecimal()):
        raise UsageError(f"--device {device}: use auto, cpu, cuda or cuda:N")
    count = torch.cuda.device_count()
    if kind == "cuda" and not count:
        raise UsageError(f"--device {device}: no CUDA device here; use --device cpu or auto")
    if number and int(number) >= count:
        raise UsageError(f"--device {device}: this machine has cuda:0 to cuda:{count - 1}")
    return device

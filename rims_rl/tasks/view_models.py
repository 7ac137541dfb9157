"""Models of the partial view: windows in, the same windows a frame later out.

Axes: T time, B batch, V windows, C pixels along a side of a window, S pixels along a side of the
frame, D features, U units of the core.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from rims_rl.tasks.config import ModelConfig
from rims_rl.tasks.cores import make_task_core
from rims_rl.tasks.video_models import FEATURES, FrameEncoder

#: Features of a window.
WIDTH = 256
#: Frequencies of the places; the shortest wave is a 16th of the frame.
_RATES = 5
_PLACE = 2 * 2 * _RATES


class ViewModel(nn.Module):
    """Predicts what windows show one frame later.

    Our reading: each window is encoded with its place, the mean over windows feeds the core, and
    the decoder is asked with a window's place. The oracle (``tto``) has no core; its encoder sees
    the whole true next frame, which is what the true dynamics give: what is left is the error of
    the decoder, the bound of all others.

    Args:
        config: the core.
        side: S.
        view_side: C.
    """

    def __init__(self, config: ModelConfig, side: int, view_side: int) -> None:
        super().__init__()
        self.side, self.view_side = side, view_side
        self.is_oracle = config.core == "tto"
        pixels = view_side**2
        self.encoder: nn.Module
        if self.is_oracle:
            self.encoder = FrameEncoder((1, side, side))
            self.core = make_task_core(config, FEATURES)
        else:
            self.encoder = nn.Sequential(nn.Linear(pixels + _PLACE, WIDTH), *_block(WIDTH))
            self.core = make_task_core(config, WIDTH)
        self.ask_state = nn.Linear(cast(int, self.core.output_size), WIDTH)
        self.ask_place = nn.Linear(_PLACE, WIDTH)
        self.decoder = nn.Sequential(*_block(WIDTH), nn.Linear(WIDTH, pixels))

    def forward(self, windows: Tensor, corners: Tensor, following: Tensor | None) -> Tensor:
        """Predicts all windows of sequences.

        Args:
            windows: grey values in [0, 1], (T, B, V, C, C).
            corners: row and column of each window (T, B, V, 2).
            following: the whole next frames (T, B, 1, S, S), for the oracle alone.

        Returns:
            logits (T, B, V, C, C).
        """
        places = place_code(corners / (self.side - self.view_side))
        if self.is_oracle:
            features = self.encoder(following)
        else:
            features = self.encoder(torch.cat([windows.flatten(3), places], dim=-1)).mean(2)
        states, _ = self.core(features)
        asked = self.ask_state(states).unsqueeze(2) + self.ask_place(places)
        pixels = self.decoder(asked)
        logits: Tensor = pixels.unflatten(-1, (self.view_side, self.view_side))
        return logits


def place_code(places: Tensor) -> Tensor:
    """Sines and cosines of places in [0, 1]: (..., 2) -> (..., P)."""
    rates = math.pi * 2.0 ** torch.arange(_RATES, device=places.device)
    angles = (places.unsqueeze(-1) * rates).flatten(-2)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def _block(size: int) -> list[nn.Module]:
    """Two activations with a linear map between them, (..., F) -> (..., F)."""
    layers = (nn.ELU(), nn.LayerNorm(size), nn.Linear(size, size), nn.ELU(), nn.LayerNorm(size))
    return list(layers)

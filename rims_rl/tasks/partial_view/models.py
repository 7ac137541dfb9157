"""Models of the partial view: windows in, the same windows a frame later out.

Axes: T time, B batch, V windows, C pixels along a side of a window, S pixels along a side of the
frame.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from rims_rl.tasks.cores import make_task_core
from rims_rl.tasks.options import ModelOptions

#: Features of a window.
WIDTH = 256
#: Frequencies of the places; the shortest wave is an eighth of the way that a corner can go.
_RATES = 5
_PLACE = 2 * 2 * _RATES
#: How near to certain the oracle's predictions come; float32 tells 1 from 1 minus it.
_DOUBT = 1e-6


class ViewModel(nn.Module):
    """Predicts what windows show one frame later.

    Our reading: each window is encoded with its place, the mean over windows feeds the core, and
    the decoder is asked with a window's place.

    Args:
        config: the core.
        side: S.
        view_side: C.
    """

    def __init__(self, config: ModelOptions, side: int, view_side: int) -> None:
        super().__init__()
        self.side, self.view_side = side, view_side
        pixels = view_side**2
        self.encoder = nn.Sequential(nn.Linear(pixels + _PLACE, WIDTH), *_block(WIDTH))
        self.core = make_task_core(config, WIDTH)
        self.ask_state = nn.Linear(cast(int, self.core.output_size), WIDTH)
        self.ask_place = nn.Linear(_PLACE, WIDTH)
        self.decoder = nn.Sequential(*_block(WIDTH), nn.Linear(WIDTH, pixels))

    def forward(self, windows: Tensor, corners: Tensor) -> Tensor:
        """Predicts all windows of sequences.

        Args:
            windows: grey values in [0, 1], (T, B, V, C, C).
            corners: row and column of each window (T, B, V, 2).

        Returns:
            logits (T, B, V, C, C).
        """
        places = place_code(corners / (self.side - self.view_side))
        features = self.encoder(torch.cat([windows.flatten(3), places], dim=-1)).mean(2)
        states, _ = self.core(features)
        asked = self.ask_state(states).unsqueeze(2) + self.ask_place(places)
        pixels = self.decoder(asked)
        logits: Tensor = pixels.unflatten(-1, (self.view_side, self.view_side))
        return logits


class Oracle(nn.Module):
    """Predicts windows from the whole true state and the true dynamics (the paper's TTO).

    The motion is deterministic, so that these give the next frame exactly; the oracle cuts the
    windows out of it. Its cross-entropy is the smallest that there is (that of the grey pixels at
    the edges), and its F1 and balanced accuracy are 1 with any number of balls. Models that see
    windows alone fall short of it by what they do not see and by what they have not learned.

    Our reading: the paper's oracle seems to have learned its encoder and decoder. Such a one is a
    bound only once it has learned perfectly, and not with numbers of balls that it was not trained
    on.

    Args:
        view_side: C.
    """

    def __init__(self, view_side: int) -> None:
        super().__init__()
        self.view_side = view_side
        # Without any weight there is no optimizer, hence no run to store and compare.
        self.idle = nn.Parameter(torch.zeros(()))

    def forward(self, following: Tensor, corners: Tensor) -> Tensor:
        """Predicts all windows of sequences.

        Args:
            following: the whole next frames, grey values in [0, 1], (T, B, 1, S, S).
            corners: row and column of each window (T, B, V, 2).

        Returns:
            logits (T, B, V, C, C).
        """
        offsets = torch.arange(self.view_side, device=corners.device)
        rows = corners[..., 0, None, None] + offsets.unsqueeze(1)
        columns = corners[..., 1, None, None] + offsets
        time, video = (torch.arange(n, device=corners.device) for n in corners.shape[:2])
        windows = following[time.view(-1, 1, 1, 1, 1), video.view(-1, 1, 1, 1), 0, rows, columns]
        return windows.logit(_DOUBT) + 0.0 * self.idle


def place_code(places: Tensor) -> Tensor:
    """Sines and cosines of places in [0, 1]: (..., 2) -> (..., P)."""
    rates = math.pi * 2.0 ** torch.arange(_RATES, device=places.device)
    angles = (places.unsqueeze(-1) * rates).flatten(-2)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def _block(size: int) -> list[nn.Module]:
    """Two activations with a linear map between them, (..., F) -> (..., F)."""
    layers = (nn.ELU(), nn.LayerNorm(size), nn.Linear(size, size), nn.ELU(), nn.LayerNorm(size))
    return list(layers)

"""Models of the video tasks: convolutions, a core, and convolutions back to a frame.

Sizes as in the paper's section D.4; "LayerNorm" of a feature map is over channels and positions
with a scale for each channel.

Axes: T time, B batch, K encoders, C channels, Y rows and X columns of a frame, D features, S units.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from rims_rl.core import RIM
from rims_rl.core.dynamics import State
from rims_rl.core.precision import Precision, computing_in
from rims_rl.runs.errors import UsageError
from rims_rl.tasks.cores import make_task_core, start_by_keeping
from rims_rl.tasks.input_per_rim import rim_with_input_each
from rims_rl.tasks.options import ModelOptions

#: Channels after each convolution, 4 x 4 with stride 2.
CHANNELS = (16, 32, 64)
SHRINK = 2 ** len(CHANNELS)
#: Features D of a frame.
FEATURES = 512

#: Frames that a CPU works on at once: their feature maps stay in its cache, which makes training
#: a third faster than all frames of a batch together.
_PIECE = 256

Shape = tuple[int, int, int]


class FrameEncoder(nn.Module):
    """Maps frames (T, B, C, Y, X) to features (T, B, D).

    Args:
        shape: (C, Y, X), sides divisible by 8.
        precision: of the arithmetic; parameters and features are float32 either way.
    """

    def __init__(self, shape: Shape, precision: Precision = "float32") -> None:
        super().__init__()
        self.precision = precision
        channels, rows, columns = shape
        self.layers = _channels_last(
            *_convolutions(channels),
            nn.Flatten(),
            *_dense(CHANNELS[-1] * (rows // SHRINK) * (columns // SHRINK), FEATURES),
        )

    def forward(self, frames: Tensor) -> Tensor:
        """Encodes frames."""
        return _for_each(frames, self.layers, self.precision)


class StripEncoders(nn.Module):
    """K encoders of the same kind, each of which sees one horizontal strip of the frame alone.

    Maps frames (T, B, C, Y, X) to features (T, B, K * D), the encoders' side by side (paper,
    section D.4.1).

    Args:
        shape: (C, Y, X).
        count: number K of strips.
        precision: see `FrameEncoder`.
    """

    def __init__(self, shape: Shape, count: int, precision: Precision = "float32") -> None:
        super().__init__()
        self.precision = precision
        channels, rows, columns = shape
        self.edges = [rows * k // count for k in range(count + 1)]
        tallest = max(stop - start for start, stop in itertools.pairwise(self.edges))
        self.height = -(-tallest // SHRINK) * SHRINK
        self.convolutions = _channels_last(*_convolutions(channels, count))
        inputs = CHANNELS[-1] * (self.height // SHRINK) * (columns // SHRINK)
        self.dense = nn.ModuleList(nn.Sequential(*_dense(inputs, FEATURES)) for _ in range(count))

    def forward(self, frames: Tensor) -> Tensor:
        """Encodes frames."""
        return _for_each(frames, self._encode, self.precision)

    def strips(self, frames: Tensor) -> Tensor:
        """Cuts frames (M, C, Y, X) into strips, black below, (M, K, C, height, X)."""
        return torch.stack(
            [
                functional.pad(frames[:, :, start:stop], (0, 0, 0, self.height - (stop - start)))
                for start, stop in itertools.pairwise(self.edges)
            ],
            dim=1,
        )

    def _encode(self, frames: Tensor) -> Tensor:
        """(M, C, Y, X) -> (M, K * D)."""
        maps = self.convolutions(self.strips(frames).flatten(1, 2))
        parts = maps.unflatten(1, (len(self.dense), -1)).flatten(2).unbind(1)
        features = [dense(part) for dense, part in zip(self.dense, parts, strict=True)]
        return torch.cat(features, dim=1)


class FrameDecoder(nn.Module):
    """Maps states (T, B, S) to logits of frames (T, B, C, Y, X): the encoder mirrored.

    Args:
        size: units S.
        shape: (C, Y, X), sides divisible by 8.
        precision: see `FrameEncoder`.
    """

    def __init__(self, size: int, shape: Shape, precision: Precision = "float32") -> None:
        super().__init__()
        self.precision = precision
        channels, rows, columns = shape
        smallest = (CHANNELS[-1], rows // SHRINK, columns // SHRINK)
        inputs = smallest[0] * smallest[1] * smallest[2]
        layers: list[nn.Module] = [
            *_dense(size, FEATURES),
            *_dense(FEATURES, inputs),
            nn.Unflatten(1, smallest),
        ]
        for before, after in itertools.pairwise((*CHANNELS[::-1], channels)):
            layers += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1)]
            layers += [nn.ELU(), nn.GroupNorm(1, after)]
        self.layers = _channels_last(*layers[:-2])

    def forward(self, states: Tensor) -> Tensor:
        """Decodes states."""
        return _for_each(states, self.layers, self.precision)


class VideoModel(nn.Module):
    """Predicts the next frame of each.

    Args:
        shape: (C, Y, X) of a frame.
        config: the core.
        own_strips: each RIM has an encoder of its own, which sees its own strip alone.
        precision: see `FrameEncoder`.

    Raises:
        UsageError: such encoders with another core.
    """

    def __init__(
        self,
        shape: Shape,
        config: ModelOptions,
        *,
        own_strips: bool = False,
        precision: Precision = "float32",
    ) -> None:
        super().__init__()
        self.encoder: nn.Module
        if own_strips:
            if config.core != "rim":
                raise UsageError(f"--own-strips true needs --core rim, not {config.core}")
            self.encoder = StripEncoders(shape, config.num_rims, precision)
            self.core: nn.Module = rim_with_input_each(FEATURES, config.options())
            start_by_keeping(self.core, config.keep_bias)
        else:
            self.encoder = FrameEncoder(shape, precision)
            self.core = make_task_core(config, FEATURES)
        size = cast(int, self.core.output_size)
        self.decoder = FrameDecoder(size, shape, precision)

    def forward(
        self, frames: Tensor, state: State | None = None, masked_rim: int | None = None
    ) -> tuple[Tensor, State]:
        """Predicts the next frame of each.

        Args:
            frames: grey values in [0, 1], (T, B, C, Y, X).
            state: of the core, to go on from.
            masked_rim: hides this RIM's state from the decoder (paper, section E.3).

        Returns:
            logits (T, B, C, Y, X) and the state after the last frame.
        """
        states, state = self.core(self.encoder(frames), state)
        if masked_rim is not None:
            assert isinstance(self.core, RIM)
            states = states.unflatten(-1, (self.core.config.num_rims, -1)).clone()
            states[:, :, masked_rim] = 0.0
            states = states.flatten(2)
        return self.decoder(states), state


def rollout(model: VideoModel, frames: Tensor, given: int, masked_rim: int | None = None) -> Tensor:
    """Predicts all frames but the first, from true frames at first and from predictions then.

    Args:
        model: in evaluation mode.
        frames: true ones (T, B, C, Y, X); those after `given` only count.
        given: how many true frames the model sees.
        masked_rim: see `VideoModel.forward`.

    Returns:
        logits of frames 1 to T - 1, (T - 1, B, C, Y, X); the first `given` were predicted from
        true frames alone.
    """
    logits, state = model(frames[:given], None, masked_rim)
    parts = [logits]
    for _ in range(len(frames) - 1 - given):
        logits, state = model(parts[-1][-1:].sigmoid(), state, masked_rim)
        parts.append(logits)
    return torch.cat(parts)


def _for_each(rows: Tensor, layers: Callable[[Tensor], Tensor], precision: Precision) -> Tensor:
    """Applies layers to each row: (T, B, ...) -> (T, B, ...)."""
    flat = rows.flatten(0, 1)
    piece = len(flat) if flat.is_cuda else _PIECE
    with computing_in(precision, flat.device):
        result = torch.cat([layers(part) for part in flat.split(piece)])
    split: Tensor = result.to(rows.dtype).unflatten(0, rows.shape[:2])
    return split


def _channels_last(*layers: nn.Module) -> nn.Sequential:
    """Layers one after the other, in the layout that is fastest on a CPU."""
    sequence = nn.Sequential(*layers)
    return sequence.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _convolutions(channels: int, groups: int = 1) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise((channels, *CHANNELS)):
        sizes = groups * before, groups * after
        layers += [nn.Conv2d(*sizes, 4, stride=2, padding=1, groups=groups)]
        layers += [nn.ELU(), nn.GroupNorm(groups, groups * after)]
    return layers


def _dense(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs), nn.ELU(), nn.LayerNorm(outputs)]

"""Small features: a layer for vectors, a convolution for grids, entries appended as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.preprocessing import get_flattened_obs_dim
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from rims_rl.agents.rows import append, make_head

_KERNEL = 3


class LinearFeatures(BaseFeaturesExtractor):
    """Features of a vector: a linear layer and ReLU.

    Args:
        observation_space: Any space that SB3 turns into numbers: Discrete and MultiDiscrete
            observations arrive one-hot, boxes as they are.
        features_dim: Length of the features.
    """

    def __init__(self, observation_space: spaces.Space[Any], features_dim: int = 128) -> None:
        super().__init__(observation_space, features_dim)
        inputs = int(get_flattened_obs_dim(observation_space))
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(inputs, features_dim), nn.ReLU())

    def forward(self, observations: Tensor) -> Tensor:
        """Observations (B, ...) -> features (B, features_dim)."""
        features: Tensor = self.layers(observations)
        return features


class SmallGridCnn(BaseFeaturesExtractor):
    """Features of a small grid: 16 filters of 3 x 3 and a linear layer, with ReLU after each.

    The network of the MinAtar paper (Young and Tian, 2019, https://arxiv.org/abs/1903.03176).
    Values are taken as they are, not as bytes of a picture.

    Args:
        observation_space: A box (C, height, width), C planes first, at least 3 x 3.
        features_dim: Length of the features.
        channels: Filters of the convolution.
        rows: Whether the result is a row for each position of the convolution's map, see
            `rims_rl.agents.rows.PositionedRows`, instead of one vector.

    Raises:
        ValueError: The space is not a box of that kind.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        features_dim: int = 128,
        channels: int = 16,
        rows: bool = False,
    ) -> None:
        if not self.fits(observation_space):
            raise ValueError(
                f"SmallGridCnn needs a box (planes, height, width) of at least {_KERNEL} cells "
                f"each way, got {observation_space}"
            )
        super().__init__(observation_space, features_dim)
        self.rows = rows
        assert observation_space.shape is not None
        planes, height, width = observation_space.shape
        map_shape = height - _KERNEL + 1, width - _KERNEL + 1
        self.layers = nn.Sequential(
            nn.Conv2d(planes, channels, _KERNEL),
            nn.ReLU(),
            nn.Flatten(),
            make_head(channels, map_shape, features_dim, rows),
            nn.ReLU(),
        )

    @staticmethod
    def fits(space: spaces.Space[Any]) -> bool:
        """Tells whether the observations are of the kind that this extractor reads."""
        if not isinstance(space, spaces.Box):
            return False
        return len(space.shape) == 3 and min(space.shape[1:]) >= _KERNEL

    def forward(self, observations: Tensor) -> Tensor:
        """Grids (B, C, height, width) of floats -> features (B, features_dim), or rows of them."""
        features: Tensor = self.layers(observations)
        return features


class AppendingExtractor(BaseFeaturesExtractor):
    """Features of one part of an observation, and its other entries appended as they are.

    For a core that sees the last action and reward beside features of an image, for example.

    Args:
        observation_space: A dictionary; the appended entries are boxes.
        extractor: What makes features of the other entries, or of what is in the only other one.
        appended: Keys of the entries that are appended, in this order.
        **kwargs: The extractor's own arguments.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        extractor: type[BaseFeaturesExtractor],
        appended: Sequence[str],
        **kwargs: Any,
    ) -> None:
        inner = without(observation_space, appended)
        features = extractor(inner, **kwargs)
        extra = sum(spaces.flatdim(observation_space[key]) for key in appended)
        super().__init__(observation_space, int(features.features_dim) + extra)
        self.extractor = features
        self.rows = gives_rows(features)
        self._appended = tuple(appended)
        only = [key for key in observation_space.spaces if key not in appended]
        self._only = None if isinstance(inner, spaces.Dict) else only[0]

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """Entries (B, ...) -> features (B, features_dim), or rows of them."""
        read = observations if self._only is None else observations[self._only]
        extra = torch.cat([observations[key].flatten(1) for key in self._appended], dim=1)
        return append(self.extractor(read), extra)


def without(space: spaces.Dict, keys: Sequence[str]) -> spaces.Space[Any]:
    """A dictionary without some entries, or the only entry that is left."""
    left = {key: entry for key, entry in space.spaces.items() if key not in keys}
    return next(iter(left.values())) if len(left) == 1 else spaces.Dict(left)


def gives_rows(extractor: BaseFeaturesExtractor) -> bool:
    """Tells whether an extractor gives a row of features for each position."""
    return getattr(extractor, "rows", False) is True  # others may count rows

"""Small features: one layer for vectors, one convolution for grids of planes."""

from __future__ import annotations

from typing import Any

from gymnasium import spaces
from stable_baselines3.common.preprocessing import get_flattened_obs_dim
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

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

    Raises:
        ValueError: The space is not a box of that kind.
    """

    def __init__(
        self, observation_space: spaces.Space[Any], features_dim: int = 128, channels: int = 16
    ) -> None:
        if not self.fits(observation_space):
            raise ValueError(
                f"SmallGridCnn needs a box (planes, height, width) of at least {_KERNEL} cells "
                f"each way, got {observation_space}"
            )
        super().__init__(observation_space, features_dim)
        assert observation_space.shape is not None
        planes, height, width = observation_space.shape
        convolved = channels * (height - _KERNEL + 1) * (width - _KERNEL + 1)
        self.layers = nn.Sequential(
            nn.Conv2d(planes, channels, _KERNEL),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(convolved, features_dim),
            nn.ReLU(),
        )

    @staticmethod
    def fits(space: spaces.Space[Any]) -> bool:
        """Whether the observations are of the kind that this extractor reads."""
        if not isinstance(space, spaces.Box):
            return False
        return len(space.shape) == 3 and min(space.shape[1:]) >= _KERNEL

    def forward(self, observations: Tensor) -> Tensor:
        """Grids (B, C, height, width) of floats -> features (B, features_dim)."""
        features: Tensor = self.layers(observations)
        return features

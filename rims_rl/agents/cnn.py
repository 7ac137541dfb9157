"""The convolutional network of the paper's Atari agents."""

from __future__ import annotations

import torch
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn


class AtariCnn(BaseFeaturesExtractor):
    """Features of an image: three convolutions and a linear layer (paper, appendix D.8).

    It differs from SB3's `NatureCNN` in the last convolution, 32 channels instead of 64, as in
    Kostrikov's PPO that the paper builds on. SB3 initialises it orthogonally with gain sqrt(2).

    Args:
        observation_space: an image, channels first, at least 36 x 36.
        features_dim: size of the result.
        normalized_image: whether the image is already scaled to [0, 1].

    Raises:
        ValueError: the space is not an image of that kind.
    """

    def __init__(
        self,
        observation_space: spaces.Space,  # type: ignore[type-arg]
        features_dim: int = 512,
        normalized_image: bool = False,
    ) -> None:
        super().__init__(observation_space, features_dim)
        if not is_image_space(
            observation_space, check_channels=False, normalized_image=normalized_image
        ):
            raise ValueError(
                f"CnnRimPolicy needs an image (uint8, 0 to 255), got {observation_space}: "
                "use MlpRimPolicy for vectors and MultiInputRimPolicy for dictionaries"
            )
        assert observation_space.shape is not None
        channels, height, width = observation_space.shape
        if min(height, width) < 36:
            raise ValueError(
                f"CnnRimPolicy needs images of at least 36 x 36, got {height} x {width}: "
                "pass features_extractor_class with smaller convolutions"
            )
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, 32, kernel_size=8, stride=4),
            nn.ReLU(),
            nn.Conv2d(32, 64, kernel_size=4, stride=2),
            nn.ReLU(),
            nn.Conv2d(64, 32, kernel_size=3, stride=1),
            nn.ReLU(),
            nn.Flatten(),
        )
        with torch.no_grad():
            flat = self.convolutions(torch.zeros(1, channels, height, width)).shape[1]
        self.linear = nn.Sequential(nn.Linear(flat, features_dim), nn.ReLU())

    def forward(self, observations: Tensor) -> Tensor:
        """Images (B, channels, height, width) in [0, 1] -> features (B, features_dim)."""
        features: Tensor = self.linear(self.convolutions(observations))
        return features

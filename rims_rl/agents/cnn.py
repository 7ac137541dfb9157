"""The convolutional network of the paper's Atari agents."""

from __future__ import annotations

import torch
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn
from torch.nn import functional as F

from rims_rl.agents.rows import make_head
from rims_rl.core.precision import Precision, check_precision, computing_in

_LAST_CHANNELS = 32
#: Sides that the paper's three convolutions, which are SB3's, ask for.
SMALLEST_IMAGE = 36


class AtariCnn(BaseFeaturesExtractor):
    """Features of an image: three convolutions and a linear layer (paper, appendix D.8).

    It differs from SB3's `NatureCNN` in the last convolution, 32 channels instead of 64, as in
    Kostrikov's PPO that the paper builds on. SB3 initialises it orthogonally with gain sqrt(2).

    Args:
        observation_space: an image, channels first, at least 36 x 36.
        features_dim: size of the result.
        rows: whether the result is a row for each position of the last convolution's map, see
            `rims_rl.agents.rows.PositionedRows`, instead of one vector.
        normalized_image: whether the image is already scaled to [0, 1].
        precision: of the arithmetic; parameters and features are float32 either way.

    Raises:
        ValueError: the space is not an image of that kind, or the precision is unknown.
    """

    def __init__(
        self,
        observation_space: spaces.Space,  # type: ignore[type-arg]
        features_dim: int = 512,
        normalized_image: bool = False,
        precision: Precision = "float32",
        rows: bool = False,
    ) -> None:
        super().__init__(observation_space, features_dim)
        self.rows = rows
        check_precision(precision)
        self.precision = precision
        if not is_image_space(
            observation_space, check_channels=False, normalized_image=normalized_image
        ):
            raise ValueError(
                f"CnnRimPolicy needs an image (uint8, 0 to 255; any numbers with "
                f"normalize_images=False), got {observation_space}: "
                "use MlpRimPolicy for vectors and MultiInputRimPolicy for dictionaries; for planes "
                "of 0 and 1 features_extractor_class=rims_rl.agents.SmallGridCnn"
            )
        assert observation_space.shape is not None
        channels, height, width = observation_space.shape
        if min(height, width) < SMALLEST_IMAGE:
            raise ValueError(
                f"CnnRimPolicy needs images of at least {SMALLEST_IMAGE} x {SMALLEST_IMAGE}, got "
                f"{height} x {width}: "
                "pass features_extractor_class with smaller convolutions"
            )
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, 32, kernel_size=8, stride=4),
            nn.ReLU(),
            nn.Conv2d(32, 64, kernel_size=4, stride=2),
            nn.ReLU(),
            nn.Conv2d(64, _LAST_CHANNELS, kernel_size=3, stride=1),
            nn.ReLU(),
            nn.Flatten(),
        )
        with torch.no_grad():
            last = self.convolutions[:-1](torch.zeros(1, channels, height, width))
        head = make_head(_LAST_CHANNELS, (last.shape[2], last.shape[3]), features_dim, rows)
        self.linear = nn.Sequential(head, nn.ReLU())

    def forward(self, observations: Tensor) -> Tensor:
        """Images (B, channels, height, width) -> features (B, features_dim), or rows of them.

        Bytes are scaled to [0, 1] here, by the first convolution's weights: a pass over the
        weights instead of the images. Floats are taken as already scaled.
        """
        first, *rest = self.convolutions
        assert isinstance(first, nn.Conv2d)
        is_bytes = observations.dtype == torch.uint8
        # oneDNN's backward pass is twice as fast with channels last.
        images = observations.contiguous(memory_format=torch.channels_last)
        with computing_in(self.precision, images.device):
            weight = first.weight / 255 if is_bytes else first.weight
            x = F.conv2d(images.to(weight.dtype), weight, first.bias, first.stride)
            for layer in rest:
                x = layer(x)
            features: Tensor = self.linear(x)
        return features.to(first.weight.dtype)

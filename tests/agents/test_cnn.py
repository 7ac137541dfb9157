"""The Atari CNN: its fast arithmetic against the plain one, and its refusals."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor, nn

from rims_rl.agents.cnn import AtariCnn

FRAMES = spaces.Box(0, 255, (4, 84, 84), np.uint8)


def plain(cnn: AtariCnn, images: Tensor) -> Tensor:
    """The features that the CNN computes, layer by layer on images scaled to [0, 1]."""
    features: Tensor = cnn.linear(cnn.convolutions(images))
    return features


def features_and_gradients(run: Callable[[], Tensor], cnn: nn.Module) -> list[Tensor]:
    """The features and the gradient of every parameter for one loss."""
    cnn.zero_grad()
    features = run()
    (features * torch.linspace(-1, 1, features.numel()).view_as(features)).sum().backward()
    gradients = [p.grad.clone() for p in cnn.parameters() if p.grad is not None]
    assert len(gradients) == len(list(cnn.parameters()))
    return [features.detach(), *gradients]


@pytest.mark.parametrize("size", [(84, 84), (41, 53)])
def test_bytes_and_layout_change_nothing(size: tuple[int, int]) -> None:
    cnn = AtariCnn(spaces.Box(0, 255, (4, *size), np.uint8)).double()
    images = torch.randint(0, 256, (3, 4, *size), dtype=torch.uint8)
    scaled = images.double() / 255
    expected = features_and_gradients(lambda: plain(cnn, scaled), cnn)
    for given in (images, scaled):
        found = features_and_gradients(partial(cnn, given), cnn)
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_bfloat16_is_close_and_gives_float32() -> None:
    cnn = AtariCnn(FRAMES, precision="bfloat16")
    images = torch.randint(0, 256, (16, 4, 84, 84), dtype=torch.uint8)
    expected = features_and_gradients(lambda: plain(cnn, images / 255), cnn)
    found = features_and_gradients(lambda: cnn(images), cnn)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == torch.float32
        # bfloat16 has 8 bits of mantissa, and some ReLUs of this noise switch.
        assert (ours - theirs).norm() < 0.2 * theirs.norm()


def test_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match=r"precision 'half'.*float32.*bfloat16"):
        AtariCnn(FRAMES, precision="half")  # type: ignore[arg-type]  # to be refused

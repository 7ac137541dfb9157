"""Features of vectors and small grids: shapes, what reaches them, life inside the policies."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.preprocessing import preprocess_obs
from torch import nn

from rims_rl.agents import LinearFeatures, SmallGridCnn

PLANES = spaces.Box(0, 1, (4, 10, 10), np.uint8)
VECTORS = [
    spaces.Discrete(5),
    spaces.MultiDiscrete([2, 3, 4]),
    spaces.MultiBinary(6),
    spaces.Box(-1, 1, (7,)),
    spaces.Box(-1, 1, (2, 3)),
]


def batch_of(space: Any, size: int = 8) -> torch.Tensor:
    """Samples of a space as SB3 hands them to an extractor."""
    space.seed(0)
    samples = np.stack([np.asarray(space.sample()) for _ in range(size)])
    batch = preprocess_obs(torch.as_tensor(samples), space)
    assert isinstance(batch, torch.Tensor)
    return batch


@pytest.mark.parametrize("space", VECTORS, ids=str)
def test_a_vector_is_read_by_one_layer(space):
    extractor = LinearFeatures(space, features_dim=16)
    batch = batch_of(space)
    layer = extractor.layers[1]
    assert isinstance(layer, nn.Linear)
    expected = (batch.flatten(1) @ layer.weight.T + layer.bias).clamp(min=0)
    torch.testing.assert_close(extractor(batch), expected)
    assert extractor.features_dim == 16
    assert extractor(batch).shape == (8, 16)


def test_a_grid_is_read_by_the_network_of_the_minatar_paper():
    extractor = SmallGridCnn(PLANES)
    sizes = [tuple(p.shape) for p in extractor.parameters()]
    assert sizes == [(16, 4, 3, 3), (16,), (128, 16 * 8 * 8), (128,)]
    features = extractor(batch_of(PLANES))
    assert features.shape == (8, extractor.features_dim) == (8, 128)
    assert features.min() == 0


@pytest.mark.parametrize(
    ("space", "fits"),
    [
        (PLANES, True),
        (spaces.Box(-1, 1, (1, 3, 5)), True),
        (spaces.Box(0, 1, (4, 10, 2), np.uint8), False),
        (spaces.Box(0, 1, (10, 10)), False),
        (spaces.MultiBinary([4, 10, 10]), False),
    ],
)
def test_other_spaces_are_refused(space, fits):
    assert SmallGridCnn.fits(space) == fits
    if not fits:
        with pytest.raises(ValueError, match=r"SmallGridCnn needs a box \(planes, height, width\)"):
            SmallGridCnn(space)


class Samples(gym.Env[Any, Any]):
    """Nothing but the observations of a space."""

    action_space = spaces.Discrete(2)

    def __init__(self, observation_space: Any) -> None:
        self.observation_space = observation_space

    def reset(self, **_: Any) -> tuple[Any, dict[str, Any]]:
        return self.observation_space.sample(), {}

    def step(self, _: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self.observation_space.sample(), 0.0, False, False, {}


@pytest.mark.parametrize(
    ("space", "extractor"),
    [*((space, LinearFeatures) for space in VECTORS[:4]), (PLANES, SmallGridCnn)],
    ids=str,
)
def test_a_policy_trains_with_it_and_loads_again(tmp_path, space, extractor):
    model = RecurrentPPO(
        "MlpRimPolicy", Samples(space), n_steps=8, batch_size=8, n_epochs=1, device="cpu", seed=0,
        policy_kwargs={
            "core_kwargs": {"hidden_size": 12}, "features_extractor_class": extractor,
            "features_extractor_kwargs": {"features_dim": 24},
        },
    )  # fmt: skip
    before = [p.detach().clone() for p in model.policy.features_extractor.parameters()]
    gain = torch.linalg.svdvals(before[-2])  # orthogonal, as SB3 makes what ReLU follows
    torch.testing.assert_close(gain, torch.full_like(gain, 2**0.5))
    model.learn(8)
    after = list(model.policy.features_extractor.parameters())
    assert all(not torch.equal(*pair) for pair in zip(before, after, strict=True))
    model.save(tmp_path / "model.zip")
    loaded = RecurrentPPO.load(tmp_path / "model.zip").policy.features_extractor
    assert isinstance(loaded, extractor)
    assert all(torch.equal(*pair) for pair in zip(loaded.parameters(), after, strict=True))

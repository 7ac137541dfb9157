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

from rims_rl.agents import (
    AppendingExtractor,
    AtariCnn,
    LinearFeatures,
    MlpRimPolicy,
    SmallGridCnn,
)
from rims_rl.agents.rows import PositionedRows

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


def test_entries_are_appended_as_they_are():
    space = spaces.Dict({"seen": VECTORS[3], "gain": spaces.Box(-9, 9, (2,))})
    extractor = AppendingExtractor(space, LinearFeatures, ["gain"], features_dim=5)
    seen, gain = torch.randn(3, 7), torch.randn(3, 2)
    features = extractor({"seen": seen, "gain": gain})
    assert extractor.features_dim == 7
    torch.testing.assert_close(features[:, :5], extractor.extractor(seen))
    torch.testing.assert_close(features[:, 5:], gain)


def test_every_row_gets_what_is_appended():
    space = spaces.Dict({"seen": PLANES, "gain": spaces.Box(-9, 9, (2,))})
    extractor = AppendingExtractor(space, SmallGridCnn, ["gain"], features_dim=5, rows=True)
    gain = torch.randn(3, 2)
    features = extractor({"seen": batch_of(PLANES, 3).float(), "gain": gain})
    assert features.shape == (3, 64, 7)
    torch.testing.assert_close(features[..., 5:], gain[:, None].expand(-1, 64, -1))


def test_a_row_holds_its_position_of_the_map_and_where_that_is():
    rows = PositionedRows(channels=4, map_shape=(2, 3), features_dim=8).double()
    grid = torch.randn(2, 4, 6, dtype=torch.float64)  # (B, C, R)
    moved = grid.clone()
    moved[0, :, 5] += 1
    before, after = rows(grid.flatten(1)), rows(moved.flatten(1))
    changed = (before != after).any(-1)
    assert changed.nonzero().tolist() == [[0, 5]]
    torch.testing.assert_close(before[1, 3], rows.content(grid[1, :, 3]) + rows.place[3])
    same = torch.ones(1, 4 * 6, dtype=torch.float64)
    assert len(rows(same)[0].unique(dim=0)) == 6


@pytest.mark.parametrize(
    ("extractor", "space", "positions"),
    [(SmallGridCnn, PLANES, 64), (AtariCnn, spaces.Box(0, 255, (4, 84, 84), np.uint8), 49)],
)
def test_convolutions_give_rows(extractor, space, positions):
    features = extractor(space, features_dim=12, rows=True)
    seen = torch.as_tensor(np.stack([space.sample() for _ in range(2)]))
    assert features(seen if extractor is AtariCnn else seen.float()).shape == (2, positions, 12)
    assert features.features_dim == 12


@pytest.mark.parametrize(
    ("core", "options"), [("lstm", {}), ("rim", {"input_attention": None}), ("none", {})]
)
def test_a_core_that_reads_no_rows_says_so(core, options):
    with pytest.raises(ValueError, match="reads one row of features a step"):
        MlpRimPolicy(
            PLANES,
            spaces.Discrete(2),
            lambda _: 1e-3,
            core=core,
            core_kwargs=options,
            features_extractor_class=SmallGridCnn,
            features_extractor_kwargs={"rows": True},
        )

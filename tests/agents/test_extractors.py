"""Features of symbolic grids: shapes, conditioning on the mission, life inside RecurrentPPO."""

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.vec_env import DummyVecEnv

from rims_rl.agents.extractors import GridExtractor, SymbolEmbedding, WordsEncoder
from rims_rl.envs.minigrid import make_minigrid
from rims_rl.envs.pickup import register_envs

register_envs()
IDS = ["rims_rl/PickupDistractors-v0", "BabyAI-GoToLocal-v0"]


def space_of(env_id: str) -> spaces.Dict:
    space: Any = make_minigrid(env_id).observation_space
    assert isinstance(space, spaces.Dict)
    return space


def batch_of(space, size=8, seed=0):
    space.seed(seed)
    samples = [space.sample() for _ in range(size)]
    return {
        key: torch.as_tensor(np.stack([sample[key] for sample in samples])).float()
        for key in space.spaces
    }


@pytest.fixture(params=IDS)
def space(request):
    return space_of(request.param)


def test_features_have_the_promised_shape(space):
    extractor = GridExtractor(space, features_dim=96)
    features = extractor(batch_of(space))
    assert features.shape == (8, 96)
    assert extractor.features_dim == 96


def test_gradients_reach_every_parameter(space):
    extractor = GridExtractor(space)
    extractor(batch_of(space, size=64)).square().sum().backward()
    for name, parameter in extractor.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_rows_of_a_batch_do_not_touch_each_other(space):
    extractor = GridExtractor(space)
    batch = batch_of(space)
    alone = [extractor({key: row[i : i + 1] for key, row in batch.items()}) for i in range(8)]
    torch.testing.assert_close(extractor(batch), torch.cat(alone))


def test_mission_changes_the_features_of_the_same_view(space):
    extractor = GridExtractor(space)
    batch = batch_of(space)
    key = "target" if "target" in batch else "mission"
    other = {**batch, key: batch_of(space, seed=1)[key]}
    assert (extractor(batch) - extractor(other)).abs().sum(1).min() > 1e-3


def test_mission_conditions_cells_multiplicatively():
    """Features are no sum of a part for the view and one for the mission."""
    space = space_of(IDS[0])
    extractor = GridExtractor(space)
    one, two = batch_of(space, seed=0), batch_of(space, seed=1)

    def features(view, mission):
        return extractor({"grid": view["grid"], "target": mission["target"]})

    mixed = features(one, one) - features(one, two) - features(two, one) + features(two, two)
    assert mixed.abs().mean() > 1e-2


def test_target_stands_out_of_the_other_kinds_before_any_training():
    symbols = SymbolEmbedding((11, 6, 3), dim=32)
    kinds = torch.tensor([(type_, colour, 0) for type_ in (5, 6, 7) for colour in range(6)])
    cells = symbols(kinds.view(1, 3, 6, 3))[0]  # (1, 3, 6, 3) -> (18, D)
    match = symbols.kind(kinds[:, :2]) @ cells.T  # (18, 18): query x cell
    assert (match.argmax(1) == torch.arange(18)).float().mean() > 0.8


def test_symbol_embedding_is_the_sum_of_three_vectors():
    symbols = SymbolEmbedding((11, 6, 3), dim=4)
    cells = symbols(torch.tensor([[[[7, 2, 1]]]]))
    expected = symbols.types.weight[7] + symbols.colours.weight[2] + symbols.states.weight[1]
    torch.testing.assert_close(cells[0, 0], expected)


def test_words_encoder_equals_reading_each_mission_alone_without_padding():
    encoder = WordsEncoder(num_words=20, dim=8)
    mission = torch.tensor([[3, 4, 5, 0], [6, 0, 0, 0], [3, 4, 5, 0], [3, 4, 0, 0]])
    expected = [encoder.gru(encoder.words(row[row != 0])[None])[1][0] for row in mission]
    torch.testing.assert_close(encoder(mission), torch.cat(expected))


def test_empty_mission_is_read():
    assert WordsEncoder(20, 8)(torch.zeros(2, 5)).isfinite().all()


def test_direction_is_appended_as_one_hot():
    space = space_of(IDS[1])
    batch = batch_of(space, size=4)
    batch["direction"] = torch.arange(4.0).unsqueeze(1)
    torch.testing.assert_close(GridExtractor(space)(batch)[:, -4:], torch.eye(4))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"target": spaces.Box(0, 5, (2,))}, "needs a Dict observation with a box 'grid'"),
        ({"grid": spaces.Box(0, 5, (7, 7, 3))}, "either 'target' or 'mission'"),
    ],
)
def test_other_spaces_are_refused(entries, message):
    with pytest.raises(ValueError, match=message):
        GridExtractor(spaces.Dict(entries))


@pytest.mark.parametrize("env_id", IDS)
def test_stock_recurrent_ppo_trains_with_it(env_id):
    env = DummyVecEnv([lambda: make_minigrid(env_id)] * 2)
    model = RecurrentPPO(
        "MultiInputLstmPolicy",
        env,
        n_steps=16,
        batch_size=16,
        n_epochs=1,
        policy_kwargs={"features_extractor_class": GridExtractor, "lstm_hidden_size": 8},
        device="cpu",
        seed=0,
    )
    extractor = model.policy.features_extractor
    assert isinstance(extractor, GridExtractor)
    assert isinstance(extractor.readout, torch.nn.Linear)
    before = extractor.readout.weight.clone()
    model.learn(32)
    assert not torch.equal(before, extractor.readout.weight)


def test_rows_are_a_row_for_each_position():
    space = space_of("MiniGrid-Empty-5x5-v0")
    extractor = GridExtractor(space, features_dim=32, rows=True)
    rows = extractor(batch_of(space))
    assert rows.shape == (8, 25, 32)  # the convolution of 7 x 7 cells
    # The direction ends each of them.
    torch.testing.assert_close(rows[..., -4:], rows[:, :1, -4:].expand(-1, rows.shape[1], -1))


def test_symbols_that_are_no_boxes_are_left_to_others(space):
    assert GridExtractor.fits(space)
    assert not GridExtractor.fits(spaces.Dict({**space.spaces, "direction": spaces.Discrete(4)}))
    for amounts in (spaces.Box(0, 1, (7, 7, 3)), spaces.Box(-1, 9, (7, 7, 3), np.int64)):
        assert not GridExtractor.fits(spaces.Dict({**space.spaces, "grid": amounts}))
    words = {"grid": space["grid"], "mission": spaces.Box(0, 9_999, (4,), np.int64)}
    assert GridExtractor.fits(spaces.Dict(words))
    goal = {"grid": space["grid"], "target": spaces.Box(0, 9, (3,), np.uint8)}
    assert not GridExtractor.fits(spaces.Dict(goal))
    oblong = spaces.Box(0, 9, (3, 5, 3), np.uint8)
    assert not GridExtractor.fits(spaces.Dict({**space.spaces, "grid": oblong}))

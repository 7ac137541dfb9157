"""Models of the tasks: shapes, causality, masks, and the bound that the oracle is."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from rims_rl.core import RIM
from rims_rl.runs.errors import UsageError
from rims_rl.tasks import video_models
from rims_rl.tasks.cores import make_task_core
from rims_rl.tasks.input_per_rim import rim_with_input_each
from rims_rl.tasks.metrics import Confusion
from rims_rl.tasks.models import SequenceModel, param_count
from rims_rl.tasks.options import ModelOptions
from rims_rl.tasks.partial_view.data import PartialViewSpec, recipe, views
from rims_rl.tasks.partial_view.models import Oracle, ViewModel
from rims_rl.tasks.stored_videos import as_frames, unit
from rims_rl.tasks.video_cache import load
from rims_rl.tasks.video_models import FEATURES, StripEncoders, VideoModel, rollout

SIZES = {"hidden_size": 24, "num_rims": 3, "num_active": 2, "slots": 3, "heads": 4}
SEQUENCE = ["rim", "lstm", "gru", "rmc", "transformer"]
RECURRENT = SEQUENCE[:-1]


def config(core="rim", **options):
    return ModelOptions(core=core, **{**SIZES, **options})


@pytest.mark.parametrize("core", SEQUENCE)
@pytest.mark.parametrize("last_only", [False, True])
def test_sequence_models_answer_at_each_step_or_at_the_last(core, last_only):
    torch.manual_seed(0)
    model = SequenceModel(nn.Embedding(10, 8), 8, config(core), 7, last_only=last_only)
    tokens = torch.randint(10, (6, 2))
    output = model(tokens)
    assert output.shape == ((2, 7) if last_only else (6, 2, 7))
    changed = tokens.clone()
    changed[-1] = (changed[-1] + 1) % 10
    if not last_only:  # what comes later changes nothing before
        torch.testing.assert_close(model(changed)[:-1], output[:-1])
        assert not torch.allclose(model(changed)[-1], output[-1])


@pytest.mark.parametrize("core", ["rim", "lstm", "gru"])
@pytest.mark.parametrize("dynamics", ["lstm", "gru"])
def test_gates_start_by_keeping_the_state(core, dynamics):
    options = {"dynamics": dynamics, "communication": None} if core == "rim" else {}
    has_cells = core == "lstm" or (core == "rim" and dynamics == "lstm")
    for bias, share in ((50.0, 1.0), (-50.0, 0.0)):
        made = make_task_core(config(core, keep_bias=bias, num_active=3, core_kwargs=options), 8)
        given = [torch.rand(1, 2, 24, requires_grad=True) for _ in range(2)]
        _, after = made(torch.zeros(1, 2, 8), tuple(given))
        kept = torch.autograd.grad(after[has_cells].sum(), given[has_cells])[0]
        if share or has_cells:  # a GRU that forgets makes its new state of the old one
            torch.testing.assert_close(kept, torch.full_like(kept, share))


def test_parameters_held_at_zero_do_not_count():
    sizes: dict[str, Any] = {"hidden_size": 24, "num_rims": 3, "num_active": 2}
    keys = 16 * (5 + 1)  # each row has keys of its own, weights and biases
    assert param_count(rim_with_input_each(5, sizes)) == param_count(RIM(5, **sizes)) + 2 * keys
    mapped = {**sizes, "variant": "paper"}
    one_row = RIM(5, **mapped, input_value_size=10)
    expected = param_count(one_row) + 2 * 5 * (64 + 10)
    assert param_count(rim_with_input_each(5, mapped)) == expected


@pytest.mark.parametrize("attention", ["null", None])
def test_each_rim_reads_its_own_row(attention):
    torch.manual_seed(0)
    options = {"hidden_size": 12, "num_rims": 3, "num_active": 3, "communication": None}
    core = rim_with_input_each(5, {**options, "input_attention": attention})
    x = torch.randn(4, 2, 15)
    output, _ = core(x)
    changed = x.clone()
    changed[..., 5:10] += 1.0
    other, _ = core(changed)
    same = (output - other).abs().amax((0, 1)).view(3, 4).amax(1) == 0
    assert same.tolist() == [True, False, True]


@pytest.mark.parametrize("attention", ["null", None])
@pytest.mark.parametrize("variant", ["default", "paper"])
def test_own_rows_start_as_strong_as_one_row_for_all(attention, variant):
    torch.manual_seed(0)
    options = {"hidden_size": 240, "num_rims": 6, "num_active": 6, "input_attention": attention}
    options |= {"variant": variant, "query_bias": False, "key_bias": False}
    own = rim_with_input_each(40, options)
    size = own.config.input_value_size if attention else None
    one = RIM(40, **options, input_value_size=size)
    x, h = torch.randn(1, 64, 40), torch.rand(1, 64, 240)
    _, _, of_own = own(x.repeat(1, 1, 6), (h, h), return_info=True)
    _, _, of_one = one(x, (h, h), return_info=True)
    if attention:
        spread = 6 * of_own.input_attention.std() / of_one.input_attention.std()
        assert 0.85 < spread < 1.15
    weight = own.dynamics.weight_ih
    strength = weight.square().sum() / one.dynamics.weight_ih.square().sum()
    assert 0.99 < strength < 1.01


def test_masks_outlast_training_and_the_plain_step_agrees():
    torch.manual_seed(0)
    options = {"hidden_size": 12, "num_rims": 3, "num_active": 2}
    core = rim_with_input_each(5, options)
    x = torch.randn(4, 2, 15)
    optimizer = torch.optim.Adam(core.parameters(), lr=0.1)
    core(x)[0].square().sum().backward()
    optimizer.step()
    weight = core.dynamics.weight_ih.unflatten(1, (3, -1))
    assert weight[0, 1:].abs().max() == 0
    assert weight[0, 0].abs().max() > 0
    plain = rim_with_input_each(5, {**options, "backend": "reference"})
    plain.load_state_dict(core.state_dict())
    torch.testing.assert_close(plain(x)[0], core(x)[0])


def test_the_rim_with_most_attention_on_its_own_row_is_active():
    torch.manual_seed(0)
    core = rim_with_input_each(5, {"hidden_size": 12, "num_rims": 3, "num_active": 1})
    x, h = torch.randn(1, 8, 15), torch.randn(1, 8, 12)
    _, _, info = core(x, (h, h), return_info=True)
    own = []
    for k in range(3):
        rows = torch.zeros_like(x)
        rows[..., 5 * k : 5 * k + 5] = x[..., 5 * k : 5 * k + 5]
        own.append(core(rows, (h, h), return_info=True)[2].input_attention[0, :, k])
    assert torch.equal(torch.stack(own).argmax(0), info.active_mask[0].float().argmax(1))


def test_rims_with_an_input_each_do_not_compete():
    with pytest.raises(UsageError, match="--variant"):
        rim_with_input_each(
            5, {"hidden_size": 12, "num_rims": 3, "num_active": 2, "variant": "released"}
        )


@pytest.mark.parametrize("core", RECURRENT)
@pytest.mark.parametrize("channels", [1, 3])
def test_video_models_predict_frames_of_the_same_shape(core, channels):
    model = VideoModel((channels, 64, 64), config(core))
    frames = torch.rand(3, 2, channels, 64, 64)
    logits, state = model(frames)
    assert logits.shape == frames.shape
    first, between = model(frames[:1])
    second, after = model(frames[1:], between)
    torch.testing.assert_close(torch.cat([first, second]), logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(after, state, atol=1e-4, rtol=1e-4)


def test_each_strip_is_encoded_alone():
    torch.manual_seed(0)
    encoder = StripEncoders((1, 64, 64), 6)
    frames = torch.rand(1, 1, 1, 64, 64)
    cut = encoder.strips(frames[0])
    heights = [stop - start for start, stop in zip(encoder.edges, encoder.edges[1:], strict=False)]
    rows = [cut[0, k, 0, :height] for k, height in enumerate(heights)]
    assert torch.equal(torch.cat(rows), frames[0, 0, 0])
    changed = frames.clone()
    changed[..., 25:30, :] = 0.0  # inside strip 2, rows 21 to 31
    difference = (encoder(frames) - encoder(changed)).abs().view(6, FEATURES).amax(1)
    assert [k for k in range(6) if difference[k] > 1e-5] == [2]


@pytest.mark.parametrize("strips", [False, True])
def test_frames_in_pieces_are_the_same_as_all_at_once(strips, monkeypatch):
    torch.manual_seed(0)
    model = VideoModel((1, 64, 64), config(), own_strips=strips)
    frames = torch.rand(3, 3, 1, 64, 64)

    def logits_and_gradient():
        model.zero_grad()
        logits, _ = model(frames)
        logits.square().mean().backward()
        return logits, [parameter.grad for parameter in model.parameters()]

    whole = logits_and_gradient()
    monkeypatch.setattr(video_models, "_PIECE", 4)
    torch.testing.assert_close(logits_and_gradient(), whole, atol=1e-4, rtol=1e-3)


def test_bfloat16_is_close_and_gives_float32():
    torch.manual_seed(0)
    model = VideoModel((1, 64, 64), config())
    half = VideoModel((1, 64, 64), config(), precision="bfloat16")
    half.load_state_dict(model.state_dict())
    frames = torch.rand(2, 2, 1, 64, 64)
    expected, found = model(frames)[0], half(frames)[0]
    assert found.dtype == torch.float32
    assert 0 < (found - expected).abs().max() < 0.1 * expected.std()


def test_own_strips_need_rims():
    model = VideoModel((1, 64, 64), config(), own_strips=True)
    assert model(torch.rand(2, 1, 1, 64, 64))[0].shape == (2, 1, 1, 64, 64)
    with pytest.raises(UsageError, match="--core rim"):
        VideoModel((1, 64, 64), config("lstm"), own_strips=True)


def test_rollout_is_true_frames_then_its_own():
    torch.manual_seed(0)
    model = VideoModel((1, 64, 64), config()).eval()
    frames = torch.rand(6, 2, 1, 64, 64)
    with torch.no_grad():
        logits = rollout(model, frames, given=3)
        changed = frames.clone()
        changed[3:] = 0.0
        torch.testing.assert_close(rollout(model, changed, given=3), logits)
        by_hand = frames[:3]
        for _ in range(2):
            by_hand = torch.cat([by_hand, model(by_hand)[0][-1:].sigmoid()])
        expected = model(by_hand)[0]
    assert logits.shape == (5, 2, 1, 64, 64)
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)


def test_a_masked_rim_does_not_reach_the_decoder():
    model = VideoModel((1, 64, 64), config(num_active=3)).eval()
    frames = torch.rand(2, 1, 1, 64, 64)
    with torch.no_grad():
        whole, state = model(frames)
        masked, same = model(frames, None, 1)
        states, _ = model.core(model.encoder(frames))
        states[..., 8:16] = 0.0
        torch.testing.assert_close(model.decoder(states), masked)
    torch.testing.assert_close(state, same)
    assert not torch.allclose(whole, masked)


@pytest.mark.parametrize("core", RECURRENT)
def test_view_models_predict_windows(core):
    model = ViewModel(config(core), side=48, view_side=11)
    windows, corners = torch.rand(3, 2, 4, 11, 11), torch.randint(38, (3, 2, 4, 2))
    logits = model(windows, corners)
    assert logits.shape == windows.shape
    assert not torch.allclose(model(torch.zeros_like(windows), corners), logits)
    assert not torch.allclose(model(windows, corners.flip(-1) // 2), logits)


@pytest.mark.parametrize("balls", [1, 6])
def test_no_model_can_beat_the_oracle(balls, tmp_path):
    videos = load(tmp_path, recipe(PartialViewSpec(balls=balls, sequences=3, frames=6), "test"))
    places, _, seen = views(videos, np.random.default_rng(0))
    corners, targets = (torch.from_numpy(part).transpose(0, 1) for part in (places, seen))
    logits = Oracle(view_side=11)(unit(as_frames(videos[:, 1:])), corners)
    assert Confusion.of(logits, unit(targets)).f1 == 1.0
    torch.testing.assert_close(logits.sigmoid(), unit(targets), atol=2e-6, rtol=0)

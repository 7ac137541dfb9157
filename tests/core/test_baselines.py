"""The baselines are torch's layers with resets, and are called like RIM."""

import pytest
import torch

from rims_rl.core import GRU, LSTM, RIM, FeedForward, make_core


@pytest.mark.parametrize("core_class", [LSTM, GRU])
@pytest.mark.parametrize("every", [1, 3, 100])
def test_resets_inside_a_call_equal_steps_with_states_zeroed(core_class, every):
    torch.manual_seed(0)
    core = core_class(5, 8).double()
    x = torch.randn(7, 3, 5, dtype=torch.float64)
    starts = torch.zeros(7, 3, dtype=torch.float64)
    starts[::every, 1] = 1
    starts[2, 0] = 1
    state = tuple(torch.randn(1, 3, 8, dtype=torch.float64) for _ in range(2))
    output, (h, c) = core(x, state, starts)
    for t in range(7):
        keep = (1 - starts[t]).view(1, 3, 1)
        step, state = core(x[t : t + 1], tuple(s * keep for s in state))
        torch.testing.assert_close(step[0], output[t])
    torch.testing.assert_close((h, c), state)


def test_an_lstm_without_resets_is_torchs():
    core = LSTM(5, 8)
    x = torch.randn(7, 3, 5)
    expected, _ = core.layer(x)
    assert torch.equal(core(x)[0], expected)
    assert torch.equal(core(x, None, torch.zeros(7, 3))[0], expected)


def test_feed_forward_hands_on_its_input():
    core, x = FeedForward(5), torch.randn(2, 3, 5)
    output, (h, _) = core(x)
    assert torch.equal(output, x)
    assert h.shape == (1, 3, core.hidden_size)


@pytest.mark.parametrize("name", ["rim", "lstm", "gru", "none"])
def test_one_word_changes_the_core(name):
    core = make_core(name, 5, {"hidden_size": 12, "num_rims": 3, "num_active": 2})
    output, (h, c) = core(torch.randn(4, 2, 5), None, torch.zeros(4, 2))
    assert output.shape == (4, 2, core.output_size)
    assert h.shape == c.shape == (1, 2, core.hidden_size)
    assert core.num_layers == 1
    assert (name == "rim") == isinstance(core, RIM)


def test_unknown_cores_and_options_are_named():
    with pytest.raises(ValueError, match="choose from rim, lstm, gru, none"):
        make_core("rnn", 5, {"hidden_size": 12})  # type: ignore[arg-type]  # to be refused
    with pytest.raises(ValueError, match="hidden_size"):
        make_core("lstm", 5, {})
    with pytest.raises(ValueError, match="unknown core option num_rim: choose from hidden_size"):
        make_core("lstm", 5, {"hidden_size": 12, "num_rim": 3})

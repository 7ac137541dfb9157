"""The baselines are torch's layers with resets, and are called like RIM."""

import pytest
import torch

from rims_rl.core import GRU, LSTM, RIM, RNN, FeedForward, make_core


@pytest.mark.parametrize("core_class", [LSTM, GRU, RNN])
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


@pytest.mark.parametrize("name", ["rim", "lstm", "gru", "rnn", "rmc", "none"])
def test_one_word_changes_the_core(name):
    core = make_core(name, 5, {} if name == "none" else {"hidden_size": 24})
    output, (h, c) = core(torch.randn(4, 2, 5), None, torch.zeros(4, 2))
    assert output.shape == (4, 2, core.output_size)
    assert h.shape == c.shape == (1, 2, core.hidden_size)
    assert core.num_layers == 1
    assert (name == "rim") == isinstance(core, RIM)


@pytest.mark.parametrize("name", ["rim", "lstm", "gru", "rnn", "rmc", "none"])
def test_a_sequence_without_a_batch_is_a_batch_of_one(name):
    torch.manual_seed(0)
    core = make_core(name, 5, {} if name == "none" else {"hidden_size": 24})
    x, starts = torch.randn(4, 5), torch.tensor([0.0, 0.0, 1.0, 0.0])
    state = torch.randn(1, core.hidden_size), torch.randn(1, core.hidden_size)
    output, after = core(x, state, starts)
    with_batch = tuple(s.unsqueeze(1) for s in state)
    expected, expected_after = core(x.unsqueeze(1), with_batch, starts.unsqueeze(1))
    assert torch.equal(output, expected.squeeze(1))
    for actual, wanted in zip(after, expected_after, strict=True):
        assert torch.equal(actual, wanted.squeeze(1))
    assert core(x)[0].shape == output.shape
    assert torch.equal(core(x, state, starts.bool())[0], output)
    core.register_forward_hook(lambda module, inputs, results: (2 * results[0], results[1]))
    assert torch.equal(core(x, state, starts)[0], 2 * output)  # once
    with pytest.raises(ValueError, match="pair"):
        core(x, state[0])


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn", "rmc"])
def test_baselines_read_one_row_a_step(name):
    with pytest.raises(ValueError, match="one row a step"):
        make_core(name, 5, {"hidden_size": 24})(torch.randn(4, 2, 3, 5))
    with pytest.raises(ValueError, match=r"x must be \(T, 5\) or \(T, B, 5\) with T >= 1, got"):
        make_core(name, 5, {"hidden_size": 24})(torch.randn(4, 2, 6))


def test_unknown_cores_and_options_are_named():
    with pytest.raises(ValueError, match="choose from rim, lstm, gru, rnn, rmc, none"):
        make_core("rn", 5, {"hidden_size": 12})
    with pytest.raises(ValueError, match="hidden_size"):
        make_core("lstm", 5, {})
    with pytest.raises(ValueError, match="'rim' has no option num_rim: choose from hidden_size"):
        make_core("rim", 5, {"hidden_size": 12, "num_rim": 3})


def test_a_baseline_refuses_what_it_would_ignore():
    with pytest.raises(ValueError, match="'lstm' has no option num_rims: choose from hidden_size"):
        make_core("lstm", 5, {"hidden_size": 12, "num_rims": 3})
    with pytest.raises(ValueError, match="'none' has no option hidden_size: it has none"):
        make_core("none", 5, {"hidden_size": 12})
    with pytest.raises(ValueError, match=r"'rmc' has no option num_rims: choose .* slots, heads"):
        make_core("rmc", 5, {"hidden_size": 24, "num_rims": 3})

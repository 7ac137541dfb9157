"""The relational memory core against its paper's formulas, written out slot by slot."""

import math

import numpy as np
import pytest
import torch

from rims_rl.core import RMC

SLOTS, HEADS, UNITS, INPUTS = 3, 2, 4, 5


def make():
    torch.manual_seed(0)
    core = RMC(INPUTS, SLOTS * UNITS, slots=SLOTS, heads=HEADS).double()
    for parameter in core.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return core


def sigmoid(a):
    return 1 / (1 + math.e ** (-a))


def layer_norm(a, layer):
    normal = (a - a.mean()) / np.sqrt(a.var() + 1e-5)
    return normal * array(layer.weight) + array(layer.bias)


def array(tensor):
    return tensor.detach().numpy()


def linear(layer, a):
    result = array(layer.weight) @ a
    return result if layer.bias is None else result + array(layer.bias)


def attended(core, memory, row, i):
    """The numbers that slot i reads from all slots and the input, head by head."""
    maps = [linear(core.query_key_value, r).reshape(3, HEADS, -1) for r in [*memory, row]]
    heads = []
    for a in range(HEADS):
        scores = np.array([maps[i][0, a] @ other[1, a] for other in maps])
        weights = np.exp(scores / math.sqrt(UNITS / HEADS))
        weights /= weights.sum()
        heads.append(sum(w * other[2, a] for w, other in zip(weights, maps, strict=True)))
    return np.concatenate(heads)


def plain_step(core, x, h, memory):
    """One step of one sample: x (D,), h and memory lists of N arrays (F,)."""
    row = linear(core.row, x)
    new_h, new_memory = [], []
    for i in range(SLOTS):
        u = layer_norm(memory[i] + attended(core, memory, row, i), core.after_attention)
        hidden = np.maximum(linear(core.mlp[0], u), 0)
        g = layer_norm(u + linear(core.mlp[2], hidden), core.after_mlp)
        gates = linear(core.input_gates, x) + linear(core.state_gates, h[i])
        f, w, o = gates.reshape(3, UNITS)
        new_memory.append(sigmoid(f + 1) * memory[i] + sigmoid(w) * g)
        new_h.append(sigmoid(o) * np.tanh(new_memory[i]))
    return new_h, new_memory


def test_against_the_papers_formulas():
    core, x = make(), torch.randn(6, 2, INPUTS, dtype=torch.float64)
    output, (h, c) = core(x)
    for b in range(2):
        plain_h, memory = [np.zeros(UNITS)] * SLOTS, list(np.eye(SLOTS, UNITS))
        for t in range(6):
            plain_h, memory = plain_step(core, array(x[t, b]), plain_h, memory)
            np.testing.assert_allclose(array(output[t, b]), np.concatenate(plain_h), atol=1e-12)
        np.testing.assert_allclose(array(h[0, b]), np.concatenate(plain_h), atol=1e-12)
        start = np.eye(SLOTS, UNITS)
        np.testing.assert_allclose(array(c[0, b]), (memory - start).ravel(), atol=1e-12)


def test_slots_differ_from_the_first_step_on():
    output, _ = make()(torch.randn(1, 2, INPUTS, dtype=torch.float64))
    first, second, third = output[0, 0].split(UNITS)
    assert not torch.allclose(first, second)
    assert not torch.allclose(second, third)


def test_resets_inside_a_sequence_are_a_fresh_start():
    core, x = make(), torch.randn(6, 2, INPUTS, dtype=torch.float64)
    starts = torch.zeros(6, 2)
    starts[3, 1] = 1
    output, _ = core(x, None, starts)
    whole, _ = core(x)
    fresh, _ = core(x[3:])
    torch.testing.assert_close(output[:, 0], whole[:, 0])
    torch.testing.assert_close(output[3:, 1], fresh[:, 1])


def test_a_sequence_in_two_calls_is_one():
    core, x = make(), torch.randn(6, 2, INPUTS, dtype=torch.float64)
    whole, last = core(x)
    first, state = core(x[:2])
    second, state = core(x[2:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(state, last)


def test_a_model_made_without_memory_is_filled_by_its_weights():
    core, x = make(), torch.randn(4, 2, INPUTS, dtype=torch.float64)
    with torch.device("meta"):
        empty = make()
    empty.to_empty(device="cpu").load_state_dict(core.state_dict())
    torch.testing.assert_close(empty(x), core(x))


def test_sizes_that_do_not_divide_are_refused_with_ones_that_work():
    for option in ({"heads": 0}, {"slots": -1}, {"heads": 1.5}):
        with pytest.raises(ValueError, match="must be a whole number of at least 1, got"):
            RMC(5, 24, **option)
    with pytest.raises(ValueError, match="use 96 or 108"):
        RMC(INPUTS, 100, slots=3, heads=4)

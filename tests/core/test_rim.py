"""RIM computes what its paper and its docstrings say."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rims_rl import RIM
from rims_rl.core import LSTM, RMC, make_core
from rims_rl.core.attention import select_active
from rims_rl.core.config import VARIANTS


def make(seed=0, input_size=5, hidden_size=12, **options):
    torch.manual_seed(seed)
    options = {"num_rims": 4, "num_active": 2, **options}
    return RIM(input_size, hidden_size, **options).double()


def sequence(steps=7, batch=3, size=5, seed=1):
    return torch.randn(steps, batch, size, dtype=torch.float64, generator=seeded(seed))


def a_state(seed=2):
    h, c = torch.randn(2, 1, 3, 12, dtype=torch.float64, generator=seeded(seed))
    return h, c


def seeded(seed):
    return torch.Generator().manual_seed(seed)


rim_options = st.fixed_dictionaries(
    {
        "dynamics": st.sampled_from(["gru", "lstm"]),
        "input_attention": st.sampled_from(["null", "competition", None]),
        "communication": st.sampled_from(["bounded", "gated", "residual", None]),
        "read_inactive": st.sampled_from(["state", "candidate"]),
        "num_active": st.integers(1, 4),
        "input_heads": st.integers(1, 2),
        "selection": st.sampled_from(["soft", "hard"]),
        "input_value_size": st.sampled_from([None, 3]),
        "comm_heads": st.integers(1, 2),
        "comm_top_k": st.sampled_from([None, 1, 3]),
    }
)


@settings(max_examples=40)
@given(options=rim_options, steps=st.integers(1, 5), batch=st.integers(1, 3), data=st.data())
def test_a_sequence_is_the_same_as_its_steps_with_states_zeroed_by_hand(
    options, steps, batch, data
):
    rim = make(**options)
    x = sequence(steps, batch)
    flags = st.lists(st.booleans(), min_size=steps * batch, max_size=steps * batch)
    starts = torch.tensor(data.draw(flags), dtype=torch.float64).view(steps, batch)
    state = tuple(torch.randn(1, batch, 12, dtype=torch.float64) for _ in range(2))
    output, (h, c) = rim(x, state, starts)

    by_hand = state
    for t in range(steps):
        keep = (1 - starts[t]).view(1, batch, 1)
        step_output, by_hand = rim(x[t : t + 1], tuple(s * keep for s in by_hand))
        torch.testing.assert_close(step_output[0], output[t], rtol=0, atol=1e-14)
    torch.testing.assert_close(by_hand[0], h, rtol=0, atol=1e-14)
    if options["dynamics"] == "lstm":
        torch.testing.assert_close(by_hand[1], c, rtol=0, atol=1e-14)
    else:
        ended = starts.view(steps, batch).any(0).view(1, batch, 1)
        assert torch.equal(c, torch.where(ended, 0.0, state[1]))  # not into a new episode
    assert output.shape == (steps, batch, 12)


@settings(max_examples=40)
@given(options=rim_options)
def test_inactive_rims_keep_their_state_to_the_bit_and_num_active_change(options):
    rim = make(**options)
    state = tuple(torch.randn(1, 3, 12, dtype=torch.float64) for _ in range(2))
    output, (h, c), info = rim(sequence(1), state, return_info=True)
    active = info.active_mask[0]
    assert active.dtype == torch.bool
    assert (active.sum(-1) == rim.config.num_active).all()
    before, after = state[0].view(3, 4, 3), h.view(3, 4, 3)
    assert torch.equal(after[~active], before[~active])
    assert (after[active] != before[active]).all()
    assert torch.equal(output[-1], h[0])
    if options["dynamics"] == "lstm":
        assert torch.equal(c.view(3, 4, 3)[~active], state[1].view(3, 4, 3)[~active])
    else:
        assert torch.equal(c, state[1])


def test_samples_do_not_see_each_other():
    rim, x = make(), sequence(batch=3)
    together, _ = rim(x)
    for b in range(3):
        alone, _ = rim(x[:, b : b + 1])
        torch.testing.assert_close(together[:, b : b + 1], alone, rtol=0, atol=1e-14)


def test_one_row_against_the_null_row_is_a_sigmoid():
    """Paper section 2.2: softmax over [0, x] of a query with bias-free keys."""
    rim = make(variant="paper", communication=None)
    h = torch.randn(1, 3, 12, dtype=torch.float64)
    x = sequence(1)
    _, _, info = rim(x, (h, h), return_info=True)
    attention = rim.input_attention
    for k in range(4):
        query = h.view(3, 4, 3)[:, k] @ attention.query_weight[k]
        score = (query * (x[0] @ attention.key_value_weight[:, :64])).sum(-1) / math.sqrt(64)
        torch.testing.assert_close(info.input_attention[0, :, k], torch.sigmoid(score))


def test_active_rims_attend_least_to_the_null_row():
    rim = make()
    h = torch.randn(1, 3, 12, dtype=torch.float64)
    _, _, info = rim(sequence(1), (h, h), return_info=True)
    attention, active = info.input_attention[0], info.active_mask[0]
    for b in range(3):
        assert attention[b, active[b]].min() >= attention[b, ~active[b]].max()


def test_ties_go_to_the_lowest_index():
    attention = torch.tensor([[0.5, 0.5, 0.5, 0.5], [0.1, 0.5, 0.5, 0.5], [0.0, 0.2, 0.2, 0.9]])
    assert select_active(attention, 2).tolist() == [
        [True, True, False, False],
        [False, True, True, False],
        [False, True, False, True],
    ]
    rim = make(variant="paper")  # a fresh state makes all scores equal
    _, _, info = rim(sequence(1), return_info=True)
    assert info.active_mask[0].tolist() == [[True, True, False, False]] * 3


def test_rows_are_a_set():
    rim, rows = make(), torch.randn(4, 3, 6, 5, dtype=torch.float64)
    output, _ = rim(rows)
    shuffled, _ = rim(rows[:, :, torch.randperm(6)])
    torch.testing.assert_close(output, shuffled)
    single, _ = rim(rows[:, :, :1])
    torch.testing.assert_close(single, rim(rows[:, :, 0])[0], rtol=0, atol=1e-12)


def test_with_biases_the_input_decides_from_the_first_step_on():
    """The score of RIM k is (W h + b_k) (W_e x + b_e): affine in the state and in the input."""
    rim, x = make(communication=None), sequence(1)
    h = torch.randn(1, 3, 12, dtype=torch.float64)
    _, _, info = rim(x, (h, h), return_info=True)
    attention = rim.input_attention
    keys = x[0] @ attention.key_value_weight + attention.key_bias
    for k in range(4):
        query = h.view(3, 4, 3)[:, k] @ attention.query_weight[k] + attention.query_bias[k]
        score = (query * keys).sum(-1) / math.sqrt(rim.config.input_key_size)
        torch.testing.assert_close(info.input_attention[0, :, k], torch.sigmoid(score))
    _, _, fresh = rim(sequence(50), return_info=True)
    assert len(fresh.active_mask[0].unique(dim=0)) > 1  # three samples, all from a state of zeros


@pytest.mark.parametrize("dynamics", ["gru", "lstm"])
def test_a_soft_edge_moves_close_winners_by_a_part_of_their_way(dynamics):
    """h <- h + m (h~ - h), c likewise, with m = min((a_k - a_first_loser) / width, 1)."""
    soft = make(edge_width=0.4, communication=None, dynamics=dynamics, read_null=True)
    hard = make(selection="hard", communication=None, dynamics=dynamics)
    state = tuple(torch.randn(1, 3, 12, dtype=torch.float64) for _ in range(2))
    _, moved, info = soft(sequence(1), state, return_info=True)
    _, fully = hard(sequence(1), state)
    attention, active = info.input_attention[0], info.active_mask[0]
    first_loser = attention.sort(dim=1, descending=True).values[:, 2:3]
    part = ((attention - first_loser) / 0.4).clamp(0, 1) * active
    assert ((part > 0) & (part < 1)).any()
    assert (part == 1).any()
    for before, after, full in zip(state, moved, fully, strict=True):
        expected = before + part.repeat_interleave(3, dim=1) * (full - before)
        torch.testing.assert_close(after, expected)


def test_a_soft_edge_does_not_jump_where_two_rims_change_places():
    """The state is continuous along a path on which the active set changes; a hard one is not."""
    start, end = 3 * sequence(1, 1, seed=1), 3 * sequence(1, 1, seed=2)
    h = torch.randn(1, 1, 12, dtype=torch.float64)

    def largest_step(selection):
        rim = make(selection=selection, score_bias_std=1.0)
        way = torch.linspace(0, 1, 20_001, dtype=torch.float64).view(1, -1, 1)
        with torch.no_grad():
            state = (h.expand(-1, 20_001, -1),) * 2
            output, _, info = rim(torch.lerp(start, end, way), state, return_info=True)
        assert len(info.active_mask[0].unique(dim=0)) > 1
        return output[0].diff(dim=0).abs().max()

    assert largest_step("soft") < 1e-2
    assert largest_step("hard") > 0.1


def test_biases_of_the_scores_begin_with_the_deviation_asked_for():
    def attention(std):
        torch.manual_seed(0)
        return RIM(5, 400, num_rims=100, num_active=50, score_bias_std=std).input_attention

    once, thrice = attention(1.0), attention(3.0)
    assert 0.9 < once.query_bias.std() < 1.1
    assert torch.equal(3 * once.query_bias, thrice.query_bias)
    assert torch.equal(3 * once.key_bias, thrice.key_bias)
    assert torch.equal(once.key_value_weight, thrice.key_value_weight)


def test_a_soft_edge_carries_a_gradient_to_winners_and_to_the_first_loser():
    rim = make(edge_width=0.5, communication=None)
    output, _ = rim(sequence(1))
    output.square().sum().backward()
    assert (rim.input_attention.query_bias.grad.abs().sum(1) > 0).sum() >= 3
    # Nobody loses.
    alone, hard = make(num_active=4, read_null=True), make(num_active=4, selection="hard")
    torch.testing.assert_close(alone(sequence())[0], hard(sequence())[0])


def test_without_reading_the_null_row_the_input_is_read_in_full():
    """One row: what a cell gets does not depend on the scores; several: their weighted mean."""
    rim, x = make(communication=None, num_active=4), sequence(1)
    h = torch.randn(1, 3, 12, dtype=torch.float64)
    expected = rim(x, (h, h))[0]
    with torch.no_grad():
        rim.input_attention.query_bias *= -3
    torch.testing.assert_close(rim(x, (h, h))[0], expected)
    twice = torch.stack([x, x], dim=2)
    torch.testing.assert_close(rim(twice, (h, h))[0], expected)
    assert rim(x, (h, h), return_info=True)[2].input_attention.max() < 1
    paper = make(variant="paper", communication=None, num_active=4)
    before = paper(x, (h, h))[0]
    with torch.no_grad():
        paper.input_attention.query_weight *= -3
    assert not torch.allclose(paper(x, (h, h))[0], before)


@given(rows=st.integers(2, 50), num_active=st.integers(1, 4))
def test_without_reading_the_null_row_equal_rows_are_one(rows, num_active):
    """How far winners move does not depend on how many rows say the same."""
    rim, x = make(num_active=num_active), sequence(4)
    once, _, seen = rim(x, return_info=True)
    again, _, seen_again = rim(x.unsqueeze(2).expand(-1, -1, rows, -1), return_info=True)
    torch.testing.assert_close(again, once)
    torch.testing.assert_close(seen_again.input_attention, seen.input_attention)


def test_what_cannot_be_without_the_null_row_is_refused():
    with pytest.raises(ValueError, match="needs selection='soft'"):
        make(read_null=False, selection="hard")
    with pytest.raises(ValueError, match="'competition' has no null row"):
        make(read_null=False, input_attention="competition")
    assert make(selection="hard").config.read_null
    assert not make().config.read_null


def test_a_row_of_zeros_is_another_null_row():
    rim = make(variant="paper", communication=None)
    h = torch.zeros(1, 3, 12, dtype=torch.float64)
    x = torch.cat([sequence(1).unsqueeze(2), torch.zeros(1, 3, 1, 5, dtype=torch.float64)], dim=2)
    _, _, info = rim(x, (h, h), return_info=True)
    torch.testing.assert_close(info.input_attention, torch.full_like(info.input_attention, 2 / 3))


@pytest.mark.parametrize("num_active", [2, 3, 4])
def test_competition_takes_the_losers_weight_away_where_enough_lose(num_active):
    """The released code sparsifies only if K > k_A + 1."""
    rim = make(variant="released", num_active=num_active)
    h = torch.randn(1, 3, 12, dtype=torch.float64)
    _, _, info = rim(sequence(1), (h, h), return_info=True)
    attention, active = info.input_attention[0], info.active_mask[0]
    torch.testing.assert_close(
        attention.sum(-1), torch.ones(3, dtype=torch.float64), atol=1e-4, rtol=0
    )
    assert ((attention[~active] == 0).all()) == (num_active == 2 or active.all())


@pytest.mark.parametrize("read_inactive", ["state", "candidate"])
def test_what_active_rims_read_of_inactive_ones(read_inactive):
    rim = make(variant="paper", read_inactive=read_inactive)
    h = torch.randn(1, 1, 12, dtype=torch.float64)
    x = sequence(1, 1)
    _, _, info = rim(x, (h, h), return_info=True)
    idle = int((~info.active_mask[0, 0]).nonzero()[0])
    busy = info.active_mask[0, 0].repeat_interleave(3)
    with torch.no_grad():
        reference, _ = rim(x, (h, h))
        rim.dynamics.weight_hh[idle] += 1.0  # changes the candidate, not the state
        changed, _ = rim(x, (h, h))
    same = torch.equal(changed[0, 0, busy], reference[0, 0, busy])
    assert same == (read_inactive == "state")


def test_bounded_communication_interpolates_and_gated_adds():
    torch.manual_seed(0)
    bounded, gated = make(communication="bounded"), make(communication="gated")
    gated.load_state_dict(bounded.state_dict())
    silent = make(communication=None)
    silent.load_state_dict(
        {k: v for k, v in bounded.state_dict().items() if not k.startswith("communication")}
    )
    h = 0.9 * torch.ones(1, 2, 12, dtype=torch.float64)
    x = sequence(1, 2)
    candidate, added, mixed = (rim(x, (h, h))[0] for rim in (silent, gated, bounded))
    # added = candidate + g m, mixed = candidate + g (m - candidate), so added - mixed = g candidate
    gate = ((added - mixed) / candidate)[added != candidate]
    assert (gate > 0).all()
    assert (gate < 1).all()


@pytest.mark.parametrize("dynamics", ["gru", "lstm"])
def test_the_default_keeps_its_state_bounded_over_10_000_steps(dynamics):
    torch.manual_seed(0)
    rim = RIM(5, 24, dynamics=dynamics)
    with torch.no_grad():
        for parameter in rim.parameters():
            parameter.mul_(3)  # far from the gentle start, as after long training
        state, largest = None, 0.0
        for _ in range(100):
            output, state = rim(10 * torch.randn(100, 2, 5), state)
            largest = max(largest, output.abs().max().item())
    assert 0.5 < largest <= 1.0


def test_the_papers_communication_lets_the_state_grow():
    """Why it is not the default: what is added at every step accumulates."""
    torch.manual_seed(0)
    rim = RIM(5, 24, variant="paper")
    with torch.no_grad():
        for parameter in rim.parameters():
            parameter.mul_(3)  # as for the default above
        output, _ = rim(10 * torch.randn(500, 2, 5))
    largest = output.abs().nan_to_num(nan=torch.inf).max()
    assert largest > 1e6


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dynamics", ["gru", "lstm"])
def test_every_weight_is_trained(variant, dynamics):
    rim = make(variant=variant, dynamics=dynamics)
    state = tuple(torch.randn(1, 3, 12, dtype=torch.float64) for _ in range(2))
    output, _ = rim(sequence(), state)
    (output * torch.randn_like(output)).sum().backward()
    for name, parameter in rim.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_selection_at_the_start_is_not_a_coin_toss():
    """Noise of 1% in the input leaves the active sets as they are, at Atari's sizes."""
    torch.manual_seed(0)
    rim = RIM(512, 510, variant="hard")
    x = torch.randn(40, 16, 512).relu()
    with torch.no_grad():
        _, _, info = rim(x, return_info=True)
        _, _, noisy = rim(x * (1 + 0.01 * torch.randn_like(x)), return_info=True)
    same = (info.active_mask == noisy.active_mask).all(-1)[1:].float().mean()
    assert same > 0.9
    assert info.input_attention[10:].std() > 0.02  # the released initialisation gives 0.0003
    usage = info.active_mask[10:].float().mean(dim=(0, 1))
    assert usage.min() > 0.2  # every RIM is used


@pytest.mark.parametrize("alone", [{}, {"communication": None}, {"input_attention": None}])
def test_dropout_acts_in_training_only(alone):
    rim, x = make(dropout=0.5, **alone), sequence()
    assert not torch.equal(rim(x)[0], rim(x)[0])
    rim.eval()
    assert torch.equal(rim(x)[0], rim(x)[0])


def test_shapes_can_be_had_without_memory():
    rim = make().float().to("meta")
    assert rim(torch.zeros(7, 3, 5, device="meta"))[0].shape == (7, 3, 12)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda rim: pickle.loads(pickle.dumps(rim))])
def test_copies_compute_the_same(copied):
    rim, x = make(), sequence()
    rim(x)[0].sum().backward()
    assert torch.equal(copied(rim)(x)[0], rim(x)[0])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"x": torch.zeros(7, 3, 4)}, "x must be (T, 5), (T, B, 5)"),
        ({"x": torch.zeros(5)}, "x must be (T, 5), (T, B, 5)"),
        ({"x": torch.zeros(0, 3, 5)}, "T >= 1"),
        ({"state": (torch.zeros(1, 2, 12),) * 2}, "state h must be (1, 3, 12), got (1, 2, 12)"),
        ({"state": torch.zeros(1, 3, 12)}, "state must be a pair (h, c)"),
        ({"episode_starts": torch.zeros(3, 7)}, "episode_starts must be (7, 3), got (3, 7)"),
    ],
)
def test_wrong_shapes_are_named(arguments, words):
    with pytest.raises(ValueError, match=r".") as caught:
        make()(**{"x": sequence(), **arguments})
    assert words in str(caught.value)


@pytest.mark.parametrize("core", [RIM(5, 12, 4, 2), LSTM(5, 12)])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"x": np.zeros((7, 3, 5))}, "x must be a tensor, got ndarray: torch.as_tensor"),
        ({"state": (torch.zeros(1, 3, 12), None)}, "state must be a pair of tensors (h, c), or"),
        ({"state": (np.zeros((1, 3, 12)),) * 2}, "state h must be a tensor, got ndarray"),
        ({"episode_starts": np.zeros((7, 3))}, "episode_starts must be a tensor, got ndarray"),
    ],
)
def test_what_is_no_tensor_is_named(core, arguments, words):
    with pytest.raises(TypeError) as caught:
        core(**{"x": torch.zeros(7, 3, 5), **arguments})
    assert words in str(caught.value)


@pytest.mark.parametrize("core", [RIM(5, 12, 4, 2), LSTM(5, 12)])
def test_wrong_shapes_of_an_input_without_a_batch_are_told_as_given(core):
    x = torch.zeros(7, 5)
    with pytest.raises(ValueError, match=r"episode_starts .* must be \(T,\), got \(7, 1\)"):
        core(x, None, torch.zeros(7, 1))
    with pytest.raises(ValueError, match=r"state h .* must be \(1, S\), got \(1, 1, 12\)"):
        core(x, (torch.zeros(1, 1, 12),) * 2)


@pytest.mark.parametrize("top_k", [1, 2, 4])
@pytest.mark.parametrize("variant", ["default", "released"])
def test_readers_read_from_as_many_as_comm_top_k_says(top_k, variant):
    rim, x, state = make(variant=variant, comm_top_k=top_k), sequence(), a_state()
    output, _, info = rim(x, state, return_info=True)
    read = info.communication_attention.swapaxes(2, 3)[info.active_mask]
    assert ((read > 0).sum(-1) == top_k).all()
    torch.testing.assert_close(read.sum(-1), torch.ones_like(read[..., 0]))
    everyone = make(variant=variant)(x, state)[0]
    assert torch.allclose(output, everyone) == (top_k == 4)


@pytest.mark.parametrize(("variant", "bias"), [("default", -6.0), ("hard", -2.0)])
def test_gates_of_communication_begin_with_their_bias(variant, bias):
    expected = torch.tensor([0.0] * 3 + [bias] * 3, dtype=torch.float64)  # content, then gate
    assert torch.equal(make(variant=variant).communication.output_bias, expected)


@pytest.mark.parametrize("variant", ["default", "released"])
def test_rims_held_inactive_do_not_compete(variant):
    rim = make(variant=variant)
    rim.hold_inactive([1])
    attention = rim(sequence(), a_state(), return_info=True)[2].input_attention
    assert not attention[..., 1].any()
    if variant == "released":  # the others share it out
        torch.testing.assert_close(attention.sum(-1), torch.ones(7, 3).double(), atol=1e-3, rtol=0)


def test_a_hook_on_any_part_is_called():
    rim, calls = make(), []
    rim.communication.dropout.register_forward_hook(lambda *_: calls.append(1))
    rim(sequence())
    assert len(calls) == 7


def test_rows_need_input_attention():
    with pytest.raises(ValueError, match="one row"):
        make(input_attention=None)(torch.zeros(2, 3, 6, 5, dtype=torch.float64))


@pytest.mark.parametrize("core", [RIM(5, 12, 4, 2), LSTM(5, 12)])
def test_a_packed_sequence_is_refused_in_words(core):
    packed = torch.nn.utils.rnn.pack_sequence([torch.zeros(3, 5), torch.zeros(2, 5)])
    with pytest.raises(TypeError, match="PackedSequence: pad"):
        core(packed)


class _Flat(torch.nn.Module):
    """A core as `torch.export` takes it: tensors in, tensors out."""

    def __init__(self, core):
        super().__init__()
        self.core = core

    def forward(self, x, h, c, episode_starts):
        output, (h, c) = self.core(x, (h, c), episode_starts)
        return output, h, c


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("core", ["rim", "lstm", "gru", "rnn", "rmc"])
def test_an_exported_core_computes_the_same(core, strict):
    pytest.importorskip("torch", "2.13", reason="older ones stop while they trace")
    sizes = {"rim": {"num_rims": 4, "num_active": 2}, "rmc": {"slots": 3, "heads": 2}}
    rim = make_core(core, 5, {"hidden_size": 12, **sizes.get(core, {})})
    starts = torch.zeros(6, 3)
    starts[2, 1] = 1
    inputs = torch.randn(6, 3, 5), torch.randn(1, 3, 12), torch.randn(1, 3, 12), starts
    exported = torch.export.export(_Flat(rim), inputs, strict=strict).module()
    torch.testing.assert_close(exported(*inputs), _Flat(rim)(*inputs))
    other = torch.randn(6, 3, 5), *inputs[1:3], starts.roll(1, 0)  # resets are not baked in
    torch.testing.assert_close(exported(*other), _Flat(rim)(*other))


@pytest.mark.parametrize("core", [RIM(8, 24, 3, 2), LSTM(8, 24), RMC(8, 24)])
def test_a_trace_of_torchscript_is_refused_instead_of_wrong(core):
    inputs = torch.randn(5, 3, 8), (torch.zeros(1, 3, 24),) * 2, torch.zeros(5, 3)
    with torch.no_grad(), pytest.raises(ValueError, match=r"use torch\.export"):
        torch.jit.trace(core, inputs, check_trace=False)
    if isinstance(core, LSTM):  # without starts nothing is recorded that could change
        torch.jit.trace(core, inputs[:1])


def test_an_exported_core_takes_any_number_of_rows():
    pytest.importorskip("torch", "2.13", reason="older ones stop while they trace")
    rim, state = RIM(5, 12, 4, 2), (torch.randn(1, 3, 12),) * 2
    inputs, starts = torch.randn(6, 3, 4, 5), torch.zeros(6, 3)
    rows = {"x": {2: torch.export.Dim("rows", min=2, max=64)}}
    shapes = {**rows, "h": None, "c": None, "episode_starts": None}
    arguments = inputs, *state, starts
    exported = torch.export.export(_Flat(rim), arguments, dynamic_shapes=shapes).module()
    more = torch.randn(6, 3, 9, 5), *state, starts
    torch.testing.assert_close(exported(*more), _Flat(rim)(*more))


@pytest.mark.slow
def test_a_compiled_core_computes_the_same_with_its_gradients():
    rim, x = RIM(5, 12, 4, 2), torch.randn(6, 3, 5)
    results = []
    for module in (rim, torch.compile(rim)):
        rim.zero_grad()
        output, _ = module(x)
        output.square().sum().backward()
        gradients = [p.grad.clone() for p in rim.parameters() if p.grad is not None]
        results.append([output.detach(), *gradients])
    torch.testing.assert_close(results[0], results[1])

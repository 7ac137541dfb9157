import dataclasses
import math

import pytest

from rims_rl import RIM, RIMConfig
from rims_rl.core.config import VARIANTS


def test_the_papers_sizes():
    config = RIMConfig(input_size=512, hidden_size=510, variant="paper")
    assert (config.num_rims, config.num_active, config.rim_size) == (6, 4, 85)
    assert (config.input_key_size, config.input_value_size) == (64, 4 * 85)
    assert (config.comm_heads, config.comm_key_size, config.comm_value_size) == (4, 32, 32)
    assert config.dropout == 0.0


def test_by_default_heads_share_the_units_and_values_are_the_input():
    config = RIMConfig(input_size=512, hidden_size=510, input_heads=2)
    assert (config.input_key_size, config.input_value_size) == (16, None)
    assert (config.comm_heads, config.comm_key_size, config.comm_value_size) == (2, 43, 85)
    assert not config.comm_output_map


@pytest.mark.parametrize(
    ("options", "has_map"),
    [
        ({}, False),
        ({"comm_heads": 1}, False),
        ({"comm_heads": 3}, True),  # 2 * 10 numbers are not 3 times as many
        ({"comm_value_size": 4}, True),
        ({"communication": "residual"}, False),
        ({"communication": "residual", "comm_heads": 4}, True),
        ({"variant": "released", "comm_heads": 2, "comm_value_size": 10}, True),
    ],
)
def test_an_output_map_is_there_where_heads_do_not_read_the_message(options, has_map):
    rim = RIM(8, 60, **options)
    assert rim.config.comm_output_map == has_map
    assert any("output_weight" in name for name, _ in rim.named_parameters()) == has_map


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_names_a_bundle_and_single_choices_override_it(variant):
    config = RIMConfig(8, 12, variant=variant)
    for name, value in VARIANTS[variant].items():
        assert getattr(config, name) == (value(config) if callable(value) else value)
    assert RIMConfig(8, 12, variant=variant, communication=None).communication is None


def test_without_input_attention_all_are_active():
    assert RIMConfig(8, 12, num_active=2, input_attention=None).num_active == 6


def test_values_are_shared_out_to_heads():
    assert RIMConfig(8, 24, input_heads=2, variant="paper").input_value_size == 8


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hidden_size": 512}, ["hidden_size 512", "num_rims 6", "510 or 516"]),
        ({"hidden_size": 4}, ["use 6"]),
        ({"num_active": 0}, ["num_active", "between 1 and num_rims (6)"]),
        ({"num_active": 7}, ["num_active", "got 7"]),
        ({"comm_heads": 1.5}, ["comm_heads must be a whole number of at least 1, got 1.5"]),
        ({"num_active": 1.5}, ["num_active must be a whole number"]),
        ({"num_rims": True}, ["num_rims must be a whole number of at least 1, got True"]),
        ({"num_rims": 0}, ["num_rims must be a whole number of at least 1"]),
        ({"comm_top_k": 9}, ["comm_top_k"]),
        ({"comm_top_k": 2.0}, ["comm_top_k must be a whole number"]),
        ({"dropout": 1.0}, ["dropout"]),
        ({"input_value_size": 0}, ["input_value_size"]),
        ({"variant": "papper"}, ["variant", "'paper'", "'papper'"]),
        ({"dynamics": "rnn"}, ["dynamics", "'gru', 'lstm'"]),
        ({"communication": "loud"}, ["communication", "'bounded'"]),
        ({"input_attention": "both"}, ["input_attention", "'null'"]),
        ({"selection": "softer"}, ["selection", "'hard', 'soft'"]),
        ({"edge_width": 0.0}, ["edge_width", "above 0"]),
        ({"score_bias_std": -1.0}, ["score_bias_std", "above 0"]),
        ({"edge_width": math.inf}, ["edge_width must be a finite number above 0, got inf"]),
        ({"edge_width": "a"}, ["edge_width must be a finite number above 0, got 'a'"]),
        ({"dropout": "0.1"}, ["dropout must be a finite number in [0, 1), got '0.1'"]),
        ({"comm_gate_bias": math.nan}, ["comm_gate_bias must be a finite number, got nan"]),
        ({"comm_gate_bias": "x"}, ["comm_gate_bias"]),
        ({"comm_heads": 0}, ["comm_heads must be a whole number of at least 1"]),
        (
            {"variant": "paper", "comm_output_map": False},
            ["4 comm_heads of 32 numbers are not the 2 ", "'residual'"],
        ),
    ],
)
def test_bad_values_get_one_line_that_says_what_works(options, words):
    with pytest.raises(ValueError, match=r".") as caught:
        RIMConfig(**{"input_size": 8, "hidden_size": 12, **options})
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_a_config_is_frozen_and_can_be_rebuilt():
    config = RIMConfig(8, 12, variant="released")
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.num_rims = 3  # type: ignore[misc]  # to be refused
    assert dataclasses.replace(config) == config


def test_rim_takes_the_fields_of_the_config():
    rim = RIM(8, 12, 3, 2, dynamics="lstm")
    assert rim.config == RIMConfig(8, 12, num_rims=3, num_active=2, dynamics="lstm")
    assert "num_active=2" in repr(rim)

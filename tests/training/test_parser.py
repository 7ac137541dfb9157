"""The command line: precedence, presets, and refusals in the words of the user."""

import pytest
import torch
import yaml

from rims_rl.agents import AppendingExtractor, LinearFeatures
from rims_rl.runs.errors import UsageError
from rims_rl.runs.options import flag
from rims_rl.runs.parser import to_yaml
from rims_rl.runs.session import command_line
from rims_rl.training.building import make_model, make_training_env
from rims_rl.training.options import TrainPlan
from rims_rl.training.parser import (
    PRESETS,
    parse,
    plan,
    read_preset,
    read_yaml,
    resumed_plan,
)
from rims_rl.training.trainee import AGENTS


def resolved(*argv: str) -> TrainPlan:
    return plan(parse(argv).values)


@pytest.mark.parametrize("name", PRESETS.values())
def test_every_preset_parses(name):
    assert read_preset(name)


def test_every_preset_makes_a_configuration():
    for env in ("PongNoFrameskip-v4", "MiniGrid-Empty-5x5-v0", "MinAtar/Breakout-v1",
                "popgym-RepeatPreviousEasy-v0", "CartPole-v1"):  # fmt: skip
        assert resolved("--env", env).env.env == env


def test_off_is_a_word_in_a_file(tmp_path):
    (tmp_path / "c.yaml").write_text("env: CartPole-v1\ntrack: off\n")
    assert resolved("--config", str(tmp_path / "c.yaml")).run.track == "off"


def test_classes_of_the_policy_are_named_with_their_module():
    features = "features_extractor_class: rims_rl.agents:LinearFeatures"
    classes = f"{{activation_fn: torch.nn.ReLU, {features}}}"
    configured = resolved("--env", "CartPole-v1", "--hidden-size", "12", "--policy-kwargs", classes)
    env = make_training_env(configured, 0)
    policy = make_model(configured, env).policy
    assert policy.activation_fn is torch.nn.ReLU
    assert isinstance(policy.features_extractor, LinearFeatures)
    named = f"{{{features}}}"
    configured = resolved("--env", "CartPole-v1", "--observe-last-action", "--policy-kwargs", named)
    extractor = make_model(configured, make_training_env(configured, 0)).policy.features_extractor
    assert isinstance(extractor, AppendingExtractor)
    assert isinstance(extractor.extractor, LinearFeatures)


def test_a_module_of_a_class_that_breaks_is_told(tmp_path, monkeypatch):
    (tmp_path / "broken_classes.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    broken = "{activation_fn: broken_classes.A}"
    configured = resolved("--env", "CartPole-v1", "--policy-kwargs", broken)
    with pytest.raises(UsageError, match=r"cannot import 'broken_classes.A'.*division by zero"):
        make_model(configured, make_training_env(configured, 0))


def test_atari_preset_is_the_papers_ppo():
    ppo = resolved("--env", "PongNoFrameskip-v4").flat()
    expected = {
        "n_envs": 8, "n_steps": 128, "n_minibatches": 4, "n_epochs": 4, "learning_rate": 2.5e-4,
        "learning_rate_schedule": "linear", "clip_range": 0.1, "gamma": 0.99, "gae_lambda": 0.95,
        "ent_coef": 0.01, "vf_coef": 0.5, "max_grad_norm": 0.5, "hidden_size": 510, "num_rims": 6,
        "num_active": 4,
    }  # fmt: skip
    assert {name: ppo[name] for name in expected} == expected


def test_default_below_preset_below_file_below_flags(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("env: PongNoFrameskip-v4\nn_envs: 4\nclip_range: 0.3\n")
    config = resolved("--n-envs", "16", "--config", str(file))
    assert config.env.n_envs == 16
    assert config.ppo.clip_range == 0.3
    assert config.model.hidden_size == 510
    assert config.run.seed == 0


def test_resolved_configuration_reads_back(tmp_path):
    config = resolved(
        *("--env", "CartPole-v1", "--core-kwargs", "{comm_heads: 2}", "--seed", "3"),
        *("--run-dir", "1e-3", "--learning-rate", "1e-5"),
    )
    assert (config.run.run_dir, config.ppo.learning_rate) == ("1e-3", 1e-5)
    (tmp_path / "config.yaml").write_text(to_yaml(config))
    assert TrainPlan.from_flat(read_yaml(tmp_path / "config.yaml")) == config


def test_the_folder_of_a_run_is_not_its_configuration(tmp_path):
    with pytest.raises(UsageError, match=r"is a folder$"):
        resolved("--env", "CartPole-v1", "--config", str(tmp_path))
    (tmp_path / "config.yaml").touch()
    with pytest.raises(UsageError, match=r"is a folder: give its config\.yaml$"):
        resolved("--env", "CartPole-v1", "--config", str(tmp_path))


def test_a_configuration_saved_before_there_was_an_option_means_its_default():
    saved = yaml.safe_load(to_yaml(resolved("--env", "CartPole-v1")))
    config = TrainPlan.from_flat(saved)
    del saved["features_dim"]
    assert TrainPlan.from_flat(saved) == config
    assert config.model.features_dim == 0


def test_options_that_came_later_tell_runs_apart_only_where_they_are_used():
    before = resolved("--env", "MinAtar/Breakout-v1").identity()
    for option, default in TrainPlan.CAME_LATER.items():
        assert option not in before
        other = "0.1" if default is None else "true"
        used = resolved("--env", "MinAtar/Breakout-v1", flag(option), other).identity()
        assert used != before
        assert option in used


@pytest.mark.parametrize(
    ("line", "words"),
    [("n_steps:", "n_steps: expected int, got null"), ("device:", "device: a value is missing"),
     ("env_kwargs: ~", "env_kwargs: expected dict, got null")],
)  # fmt: skip
def test_a_file_may_not_leave_values_empty(tmp_path, line, words):
    (tmp_path / "c.yaml").write_text(f"env: CartPole-v1\ntarget_kl:\n{line}\n")
    with pytest.raises(UsageError, match=words):
        parse(["--config", str(tmp_path / "c.yaml")])


def test_core_kwargs_can_be_dotted_and_null():
    config = resolved("--env", "CartPole-v1", "--core-kwargs", "{communication: null}")
    assert config.model.options()["communication"] is None
    config = resolved("--env", "CartPole-v1", "--core-kwargs.communication", "gated")
    assert config.model.options()["communication"] == "gated"


def test_core_kwargs_of_flags_add_to_those_of_the_file(tmp_path):
    (tmp_path / "c.yaml").write_text("env: CartPole-v1\ncore_kwargs: {edge_width: 0.3}\n")
    argv = ("--config", str(tmp_path / "c.yaml"), "--core-kwargs", "{comm_heads: 1}")
    assert resolved(*argv).model.core_kwargs == {"edge_width": 0.3, "comm_heads": 1}


def test_fewer_steps_than_planned_are_told(capsys):
    saved = yaml.safe_load(to_yaml(resolved("--env", "CartPole-v1", "--total-timesteps", "500")))
    assert resumed_plan(saved, {"total_timesteps": 400}).run.total_timesteps == 400
    assert "--total-timesteps 400 shortens the plan of this run" in capsys.readouterr().err
    resumed_plan(saved, {"total_timesteps": 600})
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--n-envs", "x"], "--n-envs: expected int, got x"),
        (["--target-kl", "x"], "--target-kl: expected float or null, got x"),
        (
            ["--core", "rimm"],
            "--core: unknown core 'rimm': choose from rim, lstm, gru, rnn, rmc, none",
        ),
        (["--num-rim", "3"], "did you mean --num-rims"),
        (["--zzz", "3"], "unknown option --zzz"),
        (["Pong"], "Pong belongs to no option: options are written --name VALUE"),
        (["--spatial-input", "maybe"], "--spatial-input: expected true or false, got maybe"),
        (["--n-envs"], "expected one argument"),
        (["--config", "missing.yaml"], "no such file: missing.yaml"),
    ],
)
def test_bad_flags(argv, words):
    with pytest.raises(UsageError) as error:
        parse(argv)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("n_env: 3", "unknown key 'n_env'; did you mean n_envs"),
        ("n_envs: three", "n_envs: expected int, got three"),
        ("seed: [", "parsing"),
        ("- 1", "not a mapping"),
        ("", "not a mapping"),
        ("resume: there", "belongs on the command line"),
    ],
)
def test_bad_files(tmp_path, text, words):
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(UsageError) as error:
        parse(["--config", str(file)])
    assert words in str(error.value)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_resume_may_lengthen_a_run_but_not_change_its_model():
    saved = yaml.safe_load(to_yaml(resolved("--env", "CartPole-v1")))
    longer = resumed_plan(saved, {"total_timesteps": 7, "learning_rate": 0.5})
    assert (longer.run.total_timesteps, longer.ppo.learning_rate) == (7, 0.5)
    with pytest.raises(UsageError, match=r"--hidden-size cannot change .* \(it has 60\)"):
        resumed_plan(saved, {"hidden_size": 66})


def test_label_tells_runs_apart():
    def label(*argv: str) -> str:
        return resolved("--env", "CartPole-v1", *argv).label()

    assert label() == "rim-k6-4-h60"
    assert label("--core", "lstm") == "lstm-h60"
    assert label("--core", "none") == "none"
    assert label("--variant", "paper", "--shared-core", "false") == "rim-paper-k6-4-h60-separate"
    assert label("--core-kwargs", "{comm_heads: 2}") == "rim-k6-4-h60-comm_heads=2"
    assert label("--observe-last-action", "true") == "rim-k6-4-h60-last-action"
    assert label("--spatial-input") == "rim-k6-4-h60-spatial"


def test_help_has_every_option_on_show(capsys):
    with pytest.raises(SystemExit) as end:
        parse(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    for name in resolved("--env", "CartPole-v1").flat():
        assert f"--{name.replace('_', '-')} " in text
    assert "[252; atari 510" in text


def test_command_line_can_be_pasted():
    line = command_line(AGENTS, ["--env", "CartPole-v1", "--core-kwargs", "{comm_heads: 2}"])
    assert line.endswith("--env CartPole-v1 --core-kwargs '{comm_heads: 2}'")

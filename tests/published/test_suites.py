"""Suites: those that come along, one of a file from nothing, refusals of one line."""

import csv
import itertools
import json
import os
from importlib import resources
from pathlib import Path

import pytest
import yaml

from rims_rl.experiments.executor import OneByOne, TrainingStoppedError
from rims_rl.published.suites import read_suite, suite_titles
from rims_rl.suite import main
from tests.test_train import history_steps

pytestmark = pytest.mark.usefixtures("in_empty_folder")

TINY = {
    "title": "tiny",
    "games": ["CartPole-v1", {"env": "MinAtar/Breakout-v1", "features_dim": 8}],
    "cores": {"LSTM": {"core": "lstm"}, "RIM": {}},
    "options": {
        "n_envs": 2, "n_steps": 8, "n_minibatches": 1, "n_epochs": 1, "hidden_size": 12,
        "device": "cpu", "eval_every": 0, "total_timesteps": 16,
    },
    "budgets": {"one": {"seeds": 1, "games": ["CartPole-v1"]}, "two": {"seeds": 2}},
}  # fmt: skip


@pytest.fixture
def tiny(in_empty_folder):
    Path("tiny.yaml").write_text(yaml.safe_dump(TINY))


@pytest.mark.parametrize("name", suite_titles())
def test_those_that_come_along(name):
    sizes = {"atari57": 57, "atari41": 41, "atari30": 30, "minatar": 5, "popgym": 14}
    paper, cpu = read_suite(name, "paper"), read_suite(name, "cpu")
    assert read_suite(name) == paper
    assert len(paper.games) == sizes.get(name, 1)
    assert cpu.options["total_timesteps"] < paper.options["total_timesteps"]
    assert len(paper.models()) == len(paper.games) * len(paper.cores)
    if name.startswith("atari"):
        assert (paper.seeds, paper.options["total_timesteps"]) == (3, 10_000_000)


def test_games_of_the_atari_suites_are_those_of_the_tables():
    data = resources.files("rims_rl") / "comparison" / "data"
    for suite, table in (("atari57", "atari_human_random"), ("atari41", "atari_table7")):
        rows = csv.DictReader((data / f"{table}.csv").read_text().splitlines())
        envs = [str(game["env"]) for game in read_suite(suite).games]
        games = [env.removeprefix("ALE/").replace("NoFrameskip", "")[:-3] for env in envs]
        assert games == [row["game"] for row in rows]


@pytest.mark.usefixtures("tiny")
def test_from_nothing_with_a_pattern_and_on(capsys):
    argv = ["tiny.yaml", "--budget", "two", "--jobs", "1", "--runs", "r"]
    processes = ("--jobs", "2", "--track", "offline")
    assert main([*argv, *processes, "--only", "CartPole*, lstm*, seed 0"]) == 0
    out = capsys.readouterr().out
    assert "runs to train: 1\n" in out
    assert "1 of 8 runs of tiny are here" in out
    assert "missing: MinAtar/Breakout-v1, RIM: 2 of 2 seeds" in out
    (wandb, *_) = Path("r/CartPole-v1").glob("lstm-*/seed0/wandb")
    _, runs = history_steps(wandb)
    assert "tiny" in runs[0]["tags"]
    assert "WANDB_TAGS" not in os.environ
    assert main(argv) == 0
    out = capsys.readouterr().out
    assert "runs to train: 7\n" in out
    assert "8 of 8 runs of tiny are here\ncompare  python -m rims_rl.compare r" in out
    assert main(argv) == 0
    assert "to train" not in capsys.readouterr().out
    results = [json.loads(path.read_text()) for path in Path("r").rglob("results.json")]
    assert len(results) == 8
    assert {run["timesteps"] for run in results} == {16}


@pytest.mark.usefixtures("tiny")
def test_seeds_are_as_many_as_are_asked_for(capsys):
    assert main(["tiny.yaml", "--budget", "two", "--seeds", "3", "--dry-run"]) == 0
    commands = capsys.readouterr().out.splitlines()
    of_seeds = [sum(f"--seed {seed} " in line for line in commands) for seed in range(4)]
    assert of_seeds == [4, 4, 4, 0]


@pytest.mark.usefixtures("tiny")
def test_results_that_are_kept_need_no_runs(capsys):
    argv = ["tiny.yaml", "--jobs", "1", "--results", "kept"]
    assert main([*argv, "--runs", "r", "--only", "*lstm*"]) == 0
    (kept,) = Path("kept").rglob("*.json")
    assert kept.relative_to("kept").match("CartPole-v1/lstm-h12-*/seed0.json")
    capsys.readouterr()
    assert main([*argv, "--runs", "elsewhere"]) == 0
    out = capsys.readouterr().out
    assert "runs to train: 1\n" in out
    assert "2 of 2 runs of tiny are here\ncompare  python -m rims_rl.compare kept" in out
    assert not list(Path("elsewhere").rglob("lstm*"))


class StopsAfterOne(OneByOne):
    """Is stopped by a signal in the second run."""

    def endings(self, jobs):
        yield from itertools.islice(super().endings(jobs), 1)
        raise TrainingStoppedError("stopped", 130)


@pytest.mark.usefixtures("tiny")
def test_results_are_kept_as_each_run_ends(monkeypatch):
    monkeypatch.setattr("rims_rl.suite.chosen_executor", lambda *_: StopsAfterOne())
    assert main(["tiny.yaml", "--results", "kept", "--runs", "r"]) == 130
    assert len(list(Path("kept").rglob("seed0.json"))) == 1


@pytest.mark.usefixtures("tiny")
def test_dry_run_prints_the_commands_of_a_budget(capsys):
    assert main(["tiny.yaml", "--dry-run", "--runs", "r"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("python -m rims_rl.train ") for line in lines)
    assert not list(Path("r").rglob("*.yaml"))
    assert main(["tiny.yaml", "--runs", "r", "--jobs", "1", "--only", "*lstm*"]) == 0
    capsys.readouterr()
    assert main(["tiny.yaml", "--dry-run", "--runs", "r", "--only", "*lstm*"]) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "nothing is missing\n")
    for file in Path("r").rglob("results.json"):
        file.unlink()  # as if it had been cut off
    capsys.readouterr()
    assert main(["tiny.yaml", "--dry-run", "--runs", "r", "--only", "*lstm*"]) == 0
    assert "rims_rl.train --resume r/CartPole-v1/lstm" in capsys.readouterr().out


def test_what_is_left_empty_is_as_if_it_were_not_there(in_empty_folder):
    Path("least.yaml").write_text("games: [CartPole-v1]\ncores: {RIM: }\noptions:\nbudgets: {}\n")
    suite = read_suite("least.yaml")
    assert (suite.options, suite.cores, suite.seeds, suite.note) == ({}, {"RIM": {}}, 3, "")


def test_numbers_are_those_of_the_command_line(in_empty_folder):
    options = "{learning_rate: 1e-3, core_kwargs: {edge_width: 5e-1}}"
    Path("s.yaml").write_text(f"games: [CartPole-v1]\ncores: {{RIM: }}\noptions: {options}\n")
    (model,) = read_suite("s.yaml").models().values()
    assert model.options["learning_rate"] == 1e-3
    assert model.options["core_kwargs"] == {"edge_width": 0.5}
    Path("s.yaml").write_text(
        "games: [CartPole-v1]\ncores: {A: {core_kwargs: {comm_heads: 1}}}\n"
        "options: {core_kwargs: {input_heads: 2}}\n"
    )
    (model,) = read_suite("s.yaml").models().values()
    assert model.options["core_kwargs"] == {"input_heads": 2, "comm_heads": 1}


CHANGES = {
    "no such suite": ({}, ["atari58"], "choose from atari30, atari41"),
    "a suite like it": ({}, ["minatr"], "or give a YAML file; did you mean minatar?"),
    "no such budget": ({}, ["--budget", "small"], "--budget small: suite tiny.yaml has one, two"),
    "no games": ({"games": []}, [], "it needs games"),
    "no such game": ({"games": ["CartPole-v9"], "budgets": {}}, [], "did you mean CartPole-v1"),
    "a seed of its own": ({"cores": {"X": {"seed": 4}}}, [], "X: seed is chosen for each run"),
    "seeds of no budget": ({"options": {"seeds": 3}}, [], "seeds: N of a budget says how many"),
    "a folder": ({"options": {"run_dir": "x"}}, [], "options: run_dir is chosen for each run"),
    "the same twice": (
        {"cores": {"A": {"core": "lstm"}, "B": {"core": "lstm"}}}, [], "B has the settings of A"
    ),
    "no cores": ({"cores": {}}, [], "it needs cores, options by name, such as {LSTM:"),
    "no such core": ({"cores": {"X": {"core": "mamba"}}}, [], "choose from rim, lstm"),
    "no such option": ({"options": {"learning_rat": 1}}, [], "learning_rat"),
    "no such key": ({"game": []}, [], "unknown key 'game'; did you mean games?"),
    "no key like it": ({"x": 1}, [], "unknown key 'x'; there are budgets, cores, games"),
    "an option of other cores": (
        {"cores": {"X": {"core": "lstm", "num_rims": 3}}}, [],
        "num_rims: core lstm has no such option",
    ),
    "a budget of other games": ({"budgets": {"a": {"games": ["Pong"]}}}, [], "not among its games"),
    "games of a budget that are none": ({"budgets": {"a": {"games": 5}}}, [], "must be a list"),
    "no games of a budget": ({"budgets": {"a": {"games": []}}}, [], "must be a list of some"),
    "budgets by number": ({"budgets": {1: {}}}, ["--budget", "x"], "suite tiny.yaml has 1"),
    "options of a game": (
        {"games": [{"env": "CartPole-v1", "core_kwargs": 3}]}, [], "core_kwargs: expected dict"
    ),
    "a core that is no name": ({"cores": {"X": {"core": ["lstm"]}}}, [], "tiny.yaml, X: core: exp"),
    "text for a number": (
        {"budgets": {"a": {"n_steps": 8}, "b": {"n_steps": "10M"}}}, ["--budget", "b"],
        "n_steps: expected int, got 10M",
    ),
    "no seeds": ({"budgets": {"a": {"seeds": 0}}}, [], "seeds must be a whole number"),
    "a game without env": ({"games": [{"n_envs": 2}]}, [], "a game is an id, or options with env"),
    "a game twice": ({"games": ["CartPole-v1"] * 2}, [], "CartPole-v1 is among its games twice"),
    "a core by name": ({"cores": {"LSTM": "lstm"}}, [], "LSTM: give options by name"),
    "options by name": ({"options": "small"}, [], "options: give options by name"),
    "a folder that is a file": ({}, ["--results", "tiny.yaml"], "choose another --results"),
    "results among runs": ({}, ["--results", "r/kept"], "is in --runs: its runs would be read tw"),
    "a value out of range": ({"options": {"n_envs": 0}}, [], "--n-envs"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "argv", "words"), CHANGES.values(), ids=CHANGES)
def test_refusal_is_one_line_and_creates_nothing(change, argv, words, capsys):
    budgets = change.get("budgets", TINY["budgets"]) or {"all": {}}
    Path("tiny.yaml").write_text(yaml.safe_dump({**TINY, **change, "budgets": budgets}))
    suite = [] if argv and not argv[0].startswith("-") else ["tiny.yaml"]
    assert main([*suite, *argv, "--runs", "r"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert not Path("r").exists()

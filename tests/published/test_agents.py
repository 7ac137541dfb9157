"""Comparisons of agents: made from nothing, and again from published numbers alone."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import yaml

from rims_rl import figures
from rims_rl.experiments.store import NOTHING, Runs
from rims_rl.figures import main
from rims_rl.published import inputs, learning, object_picking, pong
from rims_rl.published.cores import CORES
from rims_rl.published.suites import read_suite

RESULTS = Path(__file__).parents[2] / "results"

pytestmark = pytest.mark.usefixtures("in_empty_folder")

TINY = {"n_envs": 4, "n_steps": 16, "n_epochs": 1, "total_timesteps": 320, "hidden_size": 12,
        "threads": 1}  # fmt: skip
CARTPOLE = {**learning._STOCK, **TINY, "eval_every": 160, "eval_episodes": 4}
MEMORY = {"env": "popgym-RepeatFirstEasy-v0", "n_minibatches": 2, **TINY}
FEW = {name: CORES[name] for name in ("LSTM", "RIM")}
ARGUMENTS = ("--jobs", "1", "--runs", "r", "--out", "o", "--seeds", "2")


@pytest.fixture
def few(monkeypatch):
    tasks = {
        "CartPole": learning.LearningTask(CARTPOLE, FEW, evaluated=True),
        "RepeatFirst": learning.LearningTask(MEMORY, FEW),
    }
    monkeypatch.setattr(learning, "LEARNING_TASKS", tasks)
    monkeypatch.setattr(learning, "FAMILIES", {"POPGym": learning.FAMILIES["POPGym"]})


@pytest.mark.usefixtures("few")
def test_learning_is_trained_drawn_and_drawn_again_from_its_publication(capsys):
    assert main(["learning", *ARGUMENTS]) == 0
    assert "runs to train: 8" in capsys.readouterr().out
    numbers = json.loads(Path("o/learning.json").read_text())["numbers"]
    runs = [json.loads(path.read_text()) for path in Path("r").rglob("results.json")]
    assert len(runs) == 8
    cartpole = numbers["tasks"]["CartPole"]["RIM"]
    evaluated = {run["last_evaluation"]["eval/mean_reward"] for run in runs
                 if run["last_evaluation"] and run["model"].startswith("rim")}  # fmt: skip
    assert set(cartpole["return at the end"]["each seed"]) == evaluated
    together = numbers["families"]["POPGym"]
    assert together["tasks"] == ["RepeatFirst"]
    low, high = together["cores"]["RIM"]["return at the end"]["interval"]
    assert low <= together["cores"]["RIM"]["return at the end"]["interquartile mean"] <= high
    page = Path("o/learning.md").read_text()
    assert "| RIM | " in page
    assert "![" in page
    picture = Path("o/learning.png").read_bytes()

    shutil.rmtree("r")
    assert main(["learning", *ARGUMENTS]) == 0
    assert "to train" not in capsys.readouterr().out
    again = json.loads(Path("o/learning.json").read_text())["numbers"]
    assert again == numbers
    assert len(picture) > 10_000


@pytest.mark.parametrize("name", learning.LEARNING_TASKS)
def test_published_runs_have_todays_settings(name):
    """Whoever changes a preset or a default either trains again or leaves the old ones out."""
    task = learning.LEARNING_TASKS[name]
    runs = Runs(Path("r"), range(5), only=NOTHING, published=RESULTS / "runs")
    for core in FEW:
        assert runs.stored(task.wanted(core), numbers_only=True), core


def test_inputs_are_compared(monkeypatch):
    tiny = {"env": "MinAtar/Breakout-v1", "n_minibatches": 2, **TINY, "n_steps": 64}
    cores = {name: inputs.INPUTS[name] for name in ("RIM, last action and reward", "RIM, places")}
    monkeypatch.setattr(inputs, "INPUT_TASKS", {"Breakout": learning.LearningTask(tiny, cores)})
    assert main(["inputs", *ARGUMENTS[:-1], "1"]) == 0
    results = json.loads(Path("o/inputs.json").read_text())["numbers"]["tasks"]["Breakout"]
    assert list(results) == list(cores)
    labels = {json.loads(path.read_text())["model"] for path in Path("r").rglob("results.json")}
    narrow = "rim-k6-4-h12-score_bias_std=1.0"
    assert labels == {f"{narrow}-last-action", f"{narrow}-spatial"}
    assert "| RIM, places | " in Path("o/inputs.md").read_text()


@pytest.mark.usefixtures("few")
def test_a_dry_run_tells_the_commands_alone(capsys):
    assert main(["learning", *ARGUMENTS, "--dry-run", "--train", "*, lstm*, seed 1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("python -m rims_rl.train ") for line in lines)
    assert not Path("r/popgym-RepeatFirstEasy-v0").exists()


def test_object_picking_plays_what_it_was_not_trained_on(monkeypatch, capsys):
    monkeypatch.setattr(object_picking, "CORES", {"no core": CORES["no core"]})
    arguments = ["object-picking", "--quick", "--runs", "r", "--out", "o", "--jobs", "1"]
    assert main(arguments) == 0
    core = json.loads(Path("o/object-picking.json").read_text())["numbers"]["cores"]["no core"]
    assert all(0 <= core[kind]["success"]["each seed"][0] <= 1 for kind in ("known", "more"))
    (results,) = Path("r").rglob("results.json")
    played = json.loads(results.read_text())
    assert len(played.pop("evaluations")) == 3
    results.write_text(json.dumps(played))
    capsys.readouterr()
    assert main([*arguments, "--dry-run"]) == 0  # which does not play
    assert capsys.readouterr() == ("", "nothing is missing\n")
    assert json.loads(results.read_text()) == played


def test_figure_4_is_of_the_suite(monkeypatch):
    suite = read_suite("object-picking", "cpu")
    one = dataclasses.replace(suite, cores={"no core": suite.cores["no core"]})
    monkeypatch.setattr(figures, "read_suite", lambda *_: one)
    assert main(["fig4", "--quick", "--runs", "r", "--out", "o", "--jobs", "1"]) == 0
    (core,) = json.loads(Path("o/fig4.json").read_text())["numbers"]["cores"].values()
    (run,) = Path("r").rglob("results.json")
    assert set(json.loads(run.read_text())["evaluations"]) == {
        f"rims_rl/PickupDistractorsSmall{kind}-v0" for kind in ("", "Novel", "More")
    }
    assert 0 <= core["novel"]["success"]["interquartile mean"] <= 1


@pytest.mark.parametrize(
    ("figure", "schedule"), [("pong", "linear"), ("pong-constant", "constant")]
)
def test_pong_says_how_rims_are_used(figure, schedule, monkeypatch, capsys):
    monkeypatch.setattr(pong, "CORES", {name: CORES[name] for name in ("no core", "RIM")})
    assert main([figure, "--quick", "--runs", "r", "--out", "o", "--jobs", "1"]) == 0
    configs = [yaml.safe_load(path.read_text()) for path in Path("r").rglob("config.yaml")]
    assert [config["learning_rate_schedule"] for config in configs] == [schedule] * 2
    numbers = json.loads(Path(f"o/{figure}.json").read_text())["numbers"]
    (rim,) = numbers["RIM"]
    assert sum(rim["share of steps each RIM is active"]) == pytest.approx(4, abs=1e-3)
    assert numbers["no core"][0]["share of steps each RIM is active"] == []
    assert "| RIM | " in capsys.readouterr().out

"""The paper's figures of Atari from published numbers, without training."""

import json
from pathlib import Path

import numpy as np
import pytest

from rims_rl.comparison.games import table7
from rims_rl.experiments.store import Runs
from rims_rl.figures import main
from rims_rl.published.atari import NO_ATTENTION, RIM_5
from rims_rl.published.cores import LSTM, RIM
from rims_rl.published.suites import read_suite

pytestmark = pytest.mark.usefixtures("in_empty_folder")

ARGUMENTS = ("--budget", "cpu", "--train", "none", "--runs", "r", "--out", "o")
#: Returns at the end, as shares of a level of each game.
LEVELS = {LSTM: 1.0, RIM: 2.0, RIM_5: 1.5, NO_ATTENTION: 0.5}


def publish(suite_name, games=None):
    """Writes the results of runs that nobody made; returns the level of each game."""
    suite = read_suite(suite_name, "cpu")
    runs = Runs(Path("r"), [0, 1], published=Path("o/runs"))
    levels: dict[str, float] = {}
    for (env, core), model in suite.models().items():
        if core not in LEVELS or (games and env not in games):
            continue
        levels[env] = level = 100.0 * (1 + len(levels)) if env not in levels else levels[env]
        for seed in (0, 1):
            job = runs.job(model, seed)
            ends = np.linspace(25_000, 1_000_000, 40)
            returns = (LEVELS[core] * level + seed) * np.minimum(1, ends / 500_000)
            results = {
                "env": env, "model": job.plan.label(), "param_count": 7, "timesteps": 1_000_000,
                "windows": {"timesteps": ends.tolist(), "return": returns.tolist()},
                "config": job.plan.flat(), "environment": {},
            }  # fmt: skip
            file = runs._publication(job)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(results))
    return levels


def drawn(name):
    assert main([name, *ARGUMENTS]) == 0
    assert Path(f"o/{name}.png").stat().st_size > 10_000
    content = json.loads(Path(f"o/{name}.json").read_text())
    assert content["note"].startswith("budget cpu: total_timesteps 1,000,000 of 10,000,000")
    if name != "fig20":  # which has all games of its suite
        assert content["note"].endswith(
            "; games Pong, Breakout, Boxing, Freeway, BeamRider, Asterix"
        )
    assert content["seeds"] == [0, 1]  # those of the budget
    assert content["budget"] == {"name": "cpu", "options": {}}
    return content["numbers"]


def test_seeds_that_are_asked_for_win_over_those_of_the_budget():
    publish("atari41", ["PongNoFrameskip-v4"])
    assert main(["fig17", *ARGUMENTS, "--seeds", "1"]) == 0
    assert json.loads(Path("o/fig17.json").read_text())["seeds"] == [0]


def test_budgets_are_those_of_the_suite(capsys):
    paper = ("--budget", "paper", "--runs", "r", "--out", "o", "--dry-run")
    assert main(["fig5", *paper]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 41 * 2 * 3
    assert all("--total-timesteps 10000000 " in line for line in lines)


@pytest.mark.parametrize(
    ("name", "ours", "theirs"), [("fig5", RIM, LSTM), ("fig17", RIM_5, RIM), ("fig18", RIM_5, LSTM)]
)
def test_improvement_of_one_core_over_another(name, ours, theirs):
    levels = publish("atari41")
    numbers = drawn(name)
    assert numbers["baseline"].startswith("lstm" if theirs == LSTM else "rim-k6-4")
    ((core, percent),) = numbers["improvement"].items()
    assert core.startswith("rim-k6-4" if ours == RIM else "rim-k6-5")
    assert len(percent) == len(levels) == 6
    signs = {np.sign(value) for value in percent.values()}
    assert signs == {np.sign(LEVELS[ours] - LEVELS[theirs])}


def test_curves_of_three_cores_with_what_is_missing():
    publish("atari41", ["PongNoFrameskip-v4", "BoxingNoFrameskip-v4"])
    numbers = drawn("fig19")
    assert {arm["core"] for arm in numbers["arms"]} == {"lstm", "rim-k6-4", "rim-k6-5"}
    assert {arm["env"] for arm in numbers["arms"]} == {"PongNoFrameskip-v4", "BoxingNoFrameskip-v4"}


def test_curves_without_input_attention():
    publish("atari30", ["PongNoFrameskip-v4"])
    lstm, *rims = drawn("fig20")["arms"]
    assert lstm["core"] == "lstm"
    ends = {arm["settings"]["num_active"]: arm["final"]["interquartile mean"] for arm in rims}
    assert len(rims) == 2
    assert {str(arm["settings"]["core_kwargs"]) for arm in rims} == {
        "{}", "{'input_attention': None}"
    }  # fmt: skip
    assert max(ends.values()) > 50


def test_table_7_beside_the_papers(capsys):
    publish("atari41")
    found = drawn("table7")
    assert all("rim-k6-5" in game["ours"] for game in found.values())  # k_A of the paper's
    assert found["BreakoutNoFrameskip-v4"]["rims_ppo"] == table7()["Breakout"]["rims_ppo"]
    agreed = [game["agreement"] == "same order" for game in found.values()]
    better = [
        table7()[g["game"]]["rims_ppo"] > table7()[g["game"]]["lstm_ppo"] for g in found.values()
    ]
    level = [
        table7()[g["game"]]["rims_ppo"] == table7()[g["game"]]["lstm_ppo"] for g in found.values()
    ]
    assert agreed == [b and not same for b, same in zip(better, level, strict=True)]
    out = capsys.readouterr().out
    assert "| Breakout | " in out
    assert "rim-k6-5 and lstm in the same order in" in out


def test_a_damaged_publication_is_one_line(capsys):
    publish("atari41", ["PongNoFrameskip-v4"])
    damaged = next(Path("o/runs").rglob("lstm-*/seed1.json"))
    damaged.write_text("{")
    assert main(["fig5", *ARGUMENTS]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{damaged} cannot be read" in line


def test_nothing_stored_is_one_line(capsys):
    assert main(["fig5", *ARGUMENTS]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "nothing is stored" in line
    assert main(["fig5", *ARGUMENTS[2:], "--budget", "small"]) == 2
    assert "--budget small: suite atari41 has paper, cpu" in capsys.readouterr().err

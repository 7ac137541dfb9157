"""Training from the command line: complete run folders, kills, signals, refusals."""

import csv
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
import yaml
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.monitor import load_results
from stable_baselines3.common.vec_env import VecNormalize
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import rims_rl
from rims_rl import make_vec_env
from rims_rl.evaluate import main as evaluate
from rims_rl.experiments.store import Runs
from rims_rl.runs import session
from rims_rl.runs.checkpoints import newest_checkpoint
from rims_rl.runs.folder import held, is_locked
from rims_rl.runs.wandb_log import log_records
from rims_rl.tasks.__main__ import main as train_a_task
from rims_rl.train import main
from rims_rl.training import episodes, recording, trainee
from rims_rl.training.building import make_model, make_training_env
from rims_rl.training.monitor import MonitorLog
from rims_rl.training.parser import read_yaml
from rims_rl.training.trainee import AGENTS
from tests.processes import finish, start, wait_for

TINY = (
    "--env", "CartPole-v1", "--n-envs", "4", "--n-steps", "16", "--n-epochs", "1",
    "--hidden-size", "12", "--eval-episodes", "2", "--device", "cpu",
)  # fmt: skip
ROLLOUT = 64
MODULE = "rims_rl.train"

pytestmark = pytest.mark.usefixtures("in_empty_folder")


@pytest.fixture(scope="session")
def one_rollout(tmp_path_factory):
    """The folder of a finished run, for all tests."""
    folder = tmp_path_factory.mktemp("one") / "r"
    argv = [*TINY, "--track", "off", "--total-timesteps", str(ROLLOUT), "--run-dir", str(folder)]
    assert main(argv) == 0
    return folder


@pytest.fixture
def finished(in_empty_folder, one_rollout):
    """The folder ``r`` of a finished run, a test's own."""
    return Path(shutil.copytree(one_rollout, "r"))


def table(path):
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def steps_of(path):
    return [int(next(iter(row.values()))) for row in table(path)]


def history_steps(wandb_folder):
    """The steps of all offline logs of a run, and the run records, by W&B's own reader."""
    steps, runs = [], []
    for log in sorted(wandb_folder.glob("offline-run-*/*.wandb")):
        for record in log_records(log):
            if record["type"] == "history":
                steps.append(record["history"]["item"]["global_step"])
            elif record["type"] == "run":
                runs.append(record["run"])
    return steps, runs


def test_run_folder_is_complete(capsys):
    argv = [*TINY, "--total-timesteps", "256", "--eval-every", "128", "--track", "off"]
    assert main([*argv, "--checkpoint-every", "64", "--seed", "5"]) == 0
    (folder,) = Path("runs/CartPole-v1/rim-k6-4-h12").glob("seed5-*")
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "config.yaml", "command.txt", "environment.json", "progress.csv", "episodes.csv", ".lock",
        "tensorboard", "checkpoints", "model.zip", "best_model.zip", "monitor.csv", "results.json",
    }  # fmt: skip
    assert read_yaml(folder / "config.yaml")["n_envs"] == 4
    assert "--seed 5" in (folder / "command.txt").read_text()
    assert json.loads((folder / "environment.json").read_text())["packages"]["torch"]
    steps = [64, 128, 192, 256]
    progress = table(folder / "progress.csv")
    assert sorted(set(steps_of(folder / "progress.csv"))) == steps
    for name in ("rollout/ep_rew_mean", "charts/episodic_return", "rim/active_6", "time/fps",
                 "rim/activation_entropy", "train/value_loss", "eval/mean_reward"):  # fmt: skip
        assert any(row[name] for row in progress), name
    # Every update is one row, that before an evaluation and the last one included.
    updates = [row for row in progress if row["train/loss"]]
    assert len(updates) == len(steps)
    assert all(row["train/grad_norm"] for row in updates)
    assert all(row["rim/active_set_changes_by_update"] for row in updates)
    assert len(list((folder / "checkpoints").glob("*.zip"))) == 3
    episodes = table(folder / "episodes.csv")
    assert list(episodes[0]) == ["timesteps", "env", "return", "length", "success"]
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    assert "rim/active_1" in events.Tags()["scalars"]
    out = capsys.readouterr().out
    assert f"rims_rl.evaluate {folder}" in out
    assert f"--resume {folder}" in out
    assert RecurrentPPO.load(folder / "model.zip").num_timesteps == 256


def test_evaluations_change_nothing_of_what_is_learned():
    argv = [*TINY, "--total-timesteps", "256", "--track", "off"]
    assert main([*argv, "--eval-every", "64", "--run-dir", "watched"]) == 0
    assert main([*argv, "--eval-every", "0", "--run-dir", "alone"]) == 0
    assert Path("watched/episodes.csv").read_text() == Path("alone/episodes.csv").read_text()


@pytest.mark.parametrize("core", ["lstm", "gru", "rnn", "rmc"])
def test_baselines_change_one_word(core):
    argv = [*TINY, "--core", core, "--hidden-size", "24", "--total-timesteps", "64"]
    assert main([*argv, "--track", "off", "--run-dir", "r", "--eval-every", "0"]) == 0
    assert not any(name.startswith("rim/") for name in table("r/progress.csv")[0])


@pytest.mark.parametrize(
    "env",
    [
        *("PongNoFrameskip-v4", "MiniGrid-Empty-5x5-v0", "rims_rl/PickupDistractorsSmall-v0"),
        *("MinAtar/Seaquest-v1", "popgym-BattleshipEasy-v0"),
    ],
)
def test_every_family_trains(env):
    # Two rollouts: where the learning rate falls to 0, the last update changes nothing.
    total = 2 * ROLLOUT
    argv = [*TINY[2:], "--env", env, "--total-timesteps", str(total), "--track", "off"]
    assert main([*argv, "--eval-every", "0", "--checkpoint-every", "1", "--run-dir", "r"]) == 0
    results = json.loads(Path("r/results.json").read_text())
    assert (results["env"], results["timesteps"]) == (env, total)
    losses = [float(row["train/loss"]) for row in table("r/progress.csv") if row.get("train/loss")]
    assert len(losses) == 2
    assert np.isfinite(losses).all()
    model = RecurrentPPO.load("r/model.zip")
    assert model.num_timesteps == total
    fresh = RecurrentPPO.load(min(Path("r/checkpoints").glob("*.zip")))
    assert fresh.num_timesteps == 0
    before = fresh.policy.state_dict()
    for name, weights in model.policy.state_dict().items():
        assert not torch.equal(weights, before[name]), name


def test_kill_9_then_resume_with_one_axis_and_one_wandb_run():
    folder = Path("r")
    argv = [*TINY, "--track", "offline", "--run-dir", "r", "--eval-every", "0",
            "--checkpoint-every", "64", "--keep-checkpoints", "1000"]  # fmt: skip
    process = start(MODULE, *argv, "--total-timesteps", "1000000")
    # Long enough for W&B's log to hold a block, which ends somewhere in a row.
    wait_for(process, folder / "checkpoints" / f"step-{25 * ROLLOUT:012d}.json")
    process.kill()
    process.communicate()
    (folder / "progress.csv").open("a").write("99")
    newest = max((folder / "checkpoints").glob("*.json")).with_suffix(".zip")
    newest.write_bytes(newest.read_bytes()[:1000])
    done = json.loads(sorted((folder / "checkpoints").glob("*.json"))[-2].read_text())["timesteps"]
    total = done + 5 * ROLLOUT
    status, _, err = finish(start(MODULE, "--resume", "r", "--total-timesteps", str(total)))
    assert status == 0, err
    assert f"skipping the damaged checkpoint {newest}" in err
    assert "Traceback" not in err
    for name in ("progress.csv", "episodes.csv"):
        steps = steps_of(folder / name)
        assert steps == sorted(steps)
    assert sorted(set(steps_of(folder / "progress.csv"))) == list(
        range(ROLLOUT, total + 1, ROLLOUT)
    )
    rates = [float(row["train/learning_rate"] or "nan") for row in table(folder / "progress.csv")]
    assert rates[-1] == pytest.approx(0)
    assert np.nanmax(rates) <= 1e-3
    steps, runs = history_steps(folder / "wandb")
    assert steps == steps_of(folder / "progress.csv")
    check_wandb_runs(runs)
    parts = [path.name.split("-")[-1] for path in (folder / "wandb").glob("offline-run-*")]
    assert parts == [runs[0]["run_id"]] * 2
    assert len((folder / "command.txt").read_text().splitlines()) == 2


def check_wandb_runs(runs):
    assert runs
    for run in runs:
        assert run["run_group"] == "CartPole-v1__rim"
        assert run["job_type"] == "train"
        assert "k6-4" in run["tags"]
        config = run["config"]["update"]
        for key in ("env_id", "env", "exp_name", "algo", "seed", "core", "num_rims", "num_active",
                    "hidden_size", "param_count", "frame_skip"):  # fmt: skip
            assert key in config, key


#: The other signal goes the same way, and is tested with the other command.
@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_signal_saves_and_ends_cleanly(number):
    argv = [*TINY, "--track", "off", "--run-dir", "r", "--total-timesteps", "1000000"]
    process = start(MODULE, *argv, "--checkpoint-every", "1000000")
    wait_for(process, Path("r/progress.csv"), lines=3)  # it is beyond its first update
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert "Traceback" not in err
    assert "--resume r" in out
    description = json.loads(max(Path("r/checkpoints").glob("*.json")).read_text())
    assert description["timesteps"] > 0
    assert description["timesteps"] % ROLLOUT == 0
    assert RecurrentPPO.load("r/model.zip").num_timesteps == description["timesteps"]


def test_finished_run_goes_on_with_more_steps(capsys):
    argv = [*TINY, "--track", "off", "--run-dir", "r", "--total-timesteps", "128"]
    assert main(argv) == 0
    best = json.loads(Path("r/checkpoints/step-000000000128.json").read_text())["best_return"]
    assert main(["--resume", "r"]) == 2
    assert "give more with --total-timesteps" in capsys.readouterr().err
    assert main(["--resume", "r", "--total-timesteps", "256"]) == 0
    after = json.loads(Path("r/checkpoints/step-000000000256.json").read_text())
    assert after["best_return"] >= best
    assert read_yaml(Path("r/config.yaml"))["total_timesteps"] == 256
    assert sorted(set(steps_of("r/progress.csv"))) == [64, 128, 192, 256]


def test_a_run_that_another_process_trains_is_not_resumed(finished, monkeypatch, capsys):
    with held(Path("r")):
        assert main(["--resume", "r", "--total-timesteps", "128"]) == 2
    assert "another process is training in r" in capsys.readouterr().err

    def newest(*args):
        assert is_locked(Path("r"))  # nobody saves a newer one
        return newest_checkpoint(*args)

    monkeypatch.setattr(session, "newest_checkpoint", newest)
    assert main(["--resume", "r", "--total-timesteps", "128"]) == 0


def test_a_run_cut_off_in_its_last_evaluation_is_concluded_by_the_next(monkeypatch, capsys):
    def play(model, *args, **kwargs):
        if model.num_timesteps == 128:
            signal.raise_signal(signal.SIGTERM)
        return episodes.play(model, *args, **kwargs)

    argv = [*TINY, "--track", "off", "--run-dir", "r", "--total-timesteps", "128"]
    with monkeypatch.context() as patched:
        patched.setattr(recording, "play", play)
        assert main([*argv, "--eval-every", "64"]) == 128 + signal.SIGTERM
    assert Path("r/model.zip").exists()
    assert not AGENTS.is_done(AGENTS.stored_plan(Path("r/config.yaml"), {}), Path("r"))
    assert main(["--resume", "r"]) == 0
    evaluated = json.loads(Path("r/results.json").read_text())["last_evaluation"]
    assert evaluated["time/total_timesteps"] == 128
    assert AGENTS.is_done(AGENTS.stored_plan(Path("r/config.yaml"), {}), Path("r"))
    assert main(["--resume", "r"]) == 2
    assert "it has 128 of 128 steps already" in capsys.readouterr().err


def test_a_signal_in_the_last_update_leaves_what_it_has_learned(monkeypatch):
    def learn(model):
        update(model)
        if model.num_timesteps == 128:
            signal.raise_signal(signal.SIGTERM)

    update = rims_rl.RecurrentPPO.train
    argv = [*TINY, "--track", "off", "--run-dir", "r", "--total-timesteps", "128"]
    with monkeypatch.context() as patched:
        patched.setattr(rims_rl.RecurrentPPO, "train", learn)
        assert main([*argv, "--eval-every", "0"]) == 128 + signal.SIGTERM
    stopped = RecurrentPPO.load("r/checkpoints/step-000000000128.zip")
    assert (stopped.num_timesteps, stopped._n_updates) == (128, 2)
    assert main(["--resume", "r"]) == 0
    assert RecurrentPPO.load("r/model.zip")._n_updates == 2


def test_a_resumed_run_does_not_repeat_its_games():
    argv = [*TINY, "--track", "off", "--run-dir", "r", "--eval-every", "0"]
    assert main([*argv, "--total-timesteps", "1024"]) == 0
    first = [row["length"] for row in table("r/episodes.csv")]
    assert main(["--resume", "r", "--total-timesteps", "2048"]) == 0
    assert [row["length"] for row in table("r/episodes.csv")][len(first) :] != first


def test_same_seed_same_run():
    def run(name):
        argv = [*TINY, "--track", "off", "--run-dir", name, "--total-timesteps", "256"]
        assert main([*argv, "--seed", "3"]) == 0
        return Path(name, "episodes.csv").read_text()

    assert run("a") == run("b")


def test_not_finite_stops_with_one_line_and_keeps_the_good_state(capsys):
    argv = [*TINY, "--track", "off", "--run-dir", "r", "--total-timesteps", "1024"]
    assert main([*argv, "--learning-rate", "1e36"]) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert "is not finite" in line
    assert "--resume r" in line
    checkpoints = list(Path("r/checkpoints").glob("*.zip"))
    assert checkpoints
    for path in checkpoints:
        parameters = RecurrentPPO.load(path).policy.parameters()
        assert all(torch.isfinite(parameter).all() for parameter in parameters)
    assert not Path("r/model.zip").exists()


def leaves(folder):
    return sorted(str(path) for path in Path(folder).rglob("*"))


SCALED = ("--normalize-observations",)
REFUSED = {
    "no env": ([], "--env"),
    "unknown env": (["--env", "PongNoFramskip-v4"], "PongNoFrameskip-v4"),
    "unknown option": ([*TINY, "--num-rim", "3"], "--num-rims"),
    "wrong type": ([*TINY, "--seed", "one"], "--seed: expected int"),
    "wrong choice": ([*TINY, "--core", "rimm"], "rim, lstm, gru, rnn, rmc, none"),
    "hidden size": ([*TINY, "--hidden-size", "50"], "48 or 54"),
    "ignored size": ([*TINY, "--core", "none"], "--hidden-size: core none has no such option"),
    "ignored rims": ([*TINY, "--core", "lstm", "--num-rims", "6"], "--num-rims: core lstm"),
    "ignored kwargs": ([*TINY, "--core", "gru", "--core-kwargs", "{dropout: 0.1}"], "'dropout'"),
    "rmc size": ([*TINY, "--core", "rmc"], "hidden_size 12 is not divisible by slots 6"),
    "num active": ([*TINY, "--num-active", "7"], "between 1 and num_rims (6)"),
    "minibatches": ([*TINY, "--n-minibatches", "3"], "1 or 2 or 4"),
    "no envs": ([*TINY, "--n-envs", "0"], "--n-envs must be at least 1"),
    "core kwargs": ([*TINY, "--core-kwargs", "{heads: 2}"], "comm_heads"),
    "core value": ([*TINY, "--core-kwargs", "{dropout: 2}"], "dropout"),
    "core type": (
        [*TINY, "--core-kwargs", "{comm_heads: two}"],
        "comm_heads must be a whole number",
    ),
    "env kwargs": ([*TINY, "--env-kwargs", "{gravity: 1}"], "gravity"),
    "atari kwargs": (["--env", "PongNoFrameskip-v4", "--env-kwargs", "{noop: 1}"], "noop_max"),
    "device": ([*TINY, "--device", "gpu"], "cpu"),
    "one step": ([*TINY, "--n-envs", "4", "--n-steps", "1"], "advantages of one step cannot be"),
    "dropout": ([*TINY, "--core-kwargs", "{dropout: 0.1}"], "dropout must be 0 in PPO"),
    "backend": ([*TINY, "--core-kwargs", "{backend: torch, comm_top_k: 2}"], "'torch' cannot run"),
    "policy kwargs": ([*TINY, "--policy-kwargs", "{shared_core: false}"], "give shared_core as an"),
    "policy key": ([*TINY, "--policy-kwargs", "{net_arc: [8]}"], "did you mean net_arch?"),
    "policy keys": ([*TINY, "--policy-kwargs", "{zzz: 1}"], "choose from net_arch, activation_fn"),
    "policy value": (
        [*TINY, "--policy-kwargs", "{net_arch: relu}"],
        "in --policy-kwargs or --core-kwargs",
    ),
    "policy class": ([*TINY, "--policy-kwargs", "{activation_fn: relu}"], "as torch.nn.ReLU or"),
    "extractor": (
        [*TINY, "--policy-kwargs", "{features_extractor_class: torch.nn.ReLU}"],
        "features_extractor_class must be a subclass of BaseFeaturesExtractor, not torch",
    ),
    "optimizer": (
        [*TINY, "--policy-kwargs", "{optimizer_class: torch.nn.ReLU}"],
        "optimizer_class must be a subclass of Optimizer, not torch",
    ),
    "module": (["--env", "..:b"], "cannot import '..' of '..:b'"),
    "minatar value": (
        ["--env", "MinAtar/Breakout-v1", "--env-kwargs", "{sticky_action_prob: 2}"],
        "sticky_action_prob must be a number from 0 to 1, not 2",
    ),
    "minatar switch": (
        ["--env", "MinAtar/Breakout-v1", "--env-kwargs", "{difficulty_ramping: maybe}"],
        "difficulty_ramping must be true or false",
    ),
    "a module's env": (["--env", "mygame-v9"], "module:id imports the module that registers yours"),
    "space": (["--env", "Blackjack-v1"], "--env Blackjack-v1: Tuple("),
    "numbers": ([*TINY[2:], "--env", "FrozenLake-v1", *SCALED], "is for real numbers"),
    "planes": ([*TINY[2:], "--env", "MinAtar/Breakout-v1", *SCALED], "is for real numbers"),
    "pixels": ([*TINY[2:], "--env", "PongNoFrameskip-v4", *SCALED], "is for real numbers"),
    "symbols": ([*TINY[2:], "--env", "MiniGrid-Empty-5x5-v0", *SCALED], "is for real numbers"),
    "resume nothing": (["--resume", "nowhere"], "no run there"),
    "not creatable": ([*TINY, "--run-dir", "/proc/run"], "/proc"),
}


@pytest.mark.parametrize(("argv", "words"), REFUSED.values(), ids=REFUSED)
def test_refusal_is_one_line_and_creates_nothing(argv, words, capsys):
    assert main(argv) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert words in line
    assert leaves(".") == []


def test_folder_with_a_run_is_not_touched(finished, capsys):
    argv = [*TINY, "--track", "off", "--run-dir", "r", "--total-timesteps", "64"]
    before = {path: os.stat(path).st_mtime_ns for path in leaves("r")}
    capsys.readouterr()
    assert main(argv) == 2
    assert "already holds a run" in capsys.readouterr().err
    for path in Path("r/checkpoints").iterdir():
        path.write_bytes(b"")
    assert main(["--resume", "r"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no intact checkpoint" in line
    assert sorted(before) == leaves("r")
    assert os.stat("r/model.zip").st_mtime_ns == before["r/model.zip"]


def test_module_runs_and_refuses_without_traceback():
    status, _, err = finish(start(MODULE, "--env", "PongNoFramskip-v4"))
    assert status == 2
    (line,) = err.splitlines()
    assert "PongNoFrameskip-v4" in line


class TimeBomb(gym.Wrapper):
    """CartPole with an infinite reward now and then."""

    def step(self, action):
        observation, reward, terminated, *rest = super().step(action)
        return observation, np.inf if terminated else reward, terminated, *rest


def test_bad_reward_is_named(capsys):
    gym.register("TimeBomb-v0", lambda **kw: TimeBomb(gym.make("CartPole-v1", **kw)))
    argv = [*TINY[2:], "--env", "TimeBomb-v0", "--track", "off", "--run-dir", "r"]
    assert main([*argv, "--eval-every", "0", "--normalize-reward"]) == 1
    assert "reward of the environment is not finite" in capsys.readouterr().err
    kept = [json.loads(file.read_text()) for file in Path("r/checkpoints").glob("*.json")]
    assert kept
    assert all(np.isfinite(facts["reward_scale"]["var"]) for facts in kept)


class BadStart(gym.Wrapper):
    """CartPole that does not begin."""

    def reset(self, **kwargs):
        raise FloatingPointError("overflow in reset")


def test_an_error_before_the_first_rollout_is_told_alone(capsys):
    gym.register("BadStart-v0", lambda **kw: BadStart(gym.make("CartPole-v1", **kw)))
    argv = [*TINY[2:], "--env", "BadStart-v0", "--track", "off", "--run-dir", "r"]
    assert main(argv) == 1
    assert capsys.readouterr().err == "rims_rl.train: error: overflow in reset\n"
    assert list(Path("r/checkpoints").iterdir()) == []


def test_parameters_that_are_not_finite_from_the_start_are_told_alone(monkeypatch, capsys):
    def make_broken(plan, env):
        model = make_model(plan, env)
        with torch.no_grad():
            next(model.policy.parameters()).fill_(np.nan)
        return model

    monkeypatch.setattr(trainee, "make_model", make_broken)
    assert main([*TINY, "--track", "off", "--run-dir", "r"]) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert line.endswith("is not finite after an update")
    assert list(Path("r/checkpoints").iterdir()) == []


def test_monitor_file_is_read_by_sb3_and_goes_on(capsys):
    argv = [*TINY, "--track", "off", "--run-dir", "r", "--eval-every", "0"]
    assert main([*argv, "--total-timesteps", "512"]) == 0
    assert main(["--resume", "r", "--total-timesteps", "1024"]) == 0
    read, games = load_results("r"), table("r/episodes.csv")
    assert sorted(read["l"]) == sorted(int(game["length"]) for game in games)
    seconds = read["t"].to_numpy()
    assert np.all(np.diff(seconds) >= 0)
    assert seconds[-1] > 0


def test_a_kill_while_the_monitor_file_is_taken_up_leaves_it(finished, monkeypatch):
    def killed(source, target):
        raise KeyboardInterrupt

    before = Path("r/monitor.csv").read_bytes()
    game = {"return": "1.0", "length": "9"}
    with monkeypatch.context() as patch:
        patch.setattr("rims_rl.runs.files.os.replace", killed)
        with pytest.raises(KeyboardInterrupt):
            MonitorLog(Path("r"), "CartPole-v1", [game])
    assert Path("r/monitor.csv").read_bytes() == before
    log = MonitorLog(Path("r"), "CartPole-v1", [game])
    log.append([game])
    log.close()
    header, names, *rows = Path("r/monitor.csv").read_bytes().splitlines(keepends=True)
    assert [header, names] == before.splitlines(keepends=True)[:2]
    assert [row[:6] for row in rows] == [b"1.0,9,"] * 2


NORMALIZED = ("--normalize-observations", "true", "--normalize-reward", "true")


def test_normalised_observations_are_scaled_alike_when_resumed_and_evaluated(capsys, tmp_path):
    argv = [*TINY, *NORMALIZED, "--track", "off", "--run-dir", "r", "--total-timesteps", "1024"]
    assert main(argv) == 0
    scale = json.loads(Path("r/model.json").read_text())["observation_scale"]
    checkpoint = json.loads(max(Path("r/checkpoints").glob("*.json")).read_text())
    assert checkpoint["observation_scale"] == scale
    assert scale["count"] == pytest.approx(1024, abs=10)
    assert main(["--resume", "r", "--total-timesteps", "1088"]) == 0
    after = json.loads(Path("r/model.json").read_text())["observation_scale"]
    assert after["count"] == pytest.approx(scale["count"] + 64, abs=10)
    assert evaluate(["r", "--episodes", "3", "--deterministic"]) == 0
    assert len(list(Path("r/evaluations").iterdir())) == 1
    assert evaluate(["r/model.zip", "--env", "CartPole-v1", "--episodes", "3",
                     "--deterministic", "--normalize", "r/model.json"]) == 0  # fmt: skip
    lengths = [json.loads(path.read_text())["lengths"] for path in Path("r/evaluations").iterdir()]
    assert lengths[0] == lengths[1]
    capsys.readouterr()
    for path in Path("r").rglob("*.json"):
        if "model" in path.name or "step-" in path.name:
            path.unlink()
    assert evaluate(["r", "--episodes", "1"]) == 0
    assert "--normalize FILE" in capsys.readouterr().err


def test_scales_of_sb3_are_taken(finished, capsys):
    env = VecNormalize(make_vec_env("CartPole-v1", 1, 0))
    env.save("r/vecnormalize.pkl")
    capsys.readouterr()
    assert evaluate(["r/model.zip", "--episodes", "1"]) == 0
    assert "normalised by vecnormalize.pkl" in " ".join(capsys.readouterr().out.split())
    Path("damaged.pkl").write_bytes(b"x")
    assert evaluate(["r", "--episodes", "1", "--normalize", "damaged.pkl"]) == 2
    assert "damaged.pkl cannot be read" in capsys.readouterr().err


def test_stock_minibatches_and_arguments_of_the_policy():
    argv = [*TINY, "--track", "off", "--run-dir", "r", "--total-timesteps", "128"]
    policy = "{net_arch: {pi: [], vf: [8]}, ortho_init: false}"
    assert main([*argv, "--minibatches", "random", "--policy-kwargs", policy]) == 0
    assert main(["--resume", "r", "--total-timesteps", "192", "--track", "off"]) == 0
    stored = RecurrentPPO.load("r/model.zip")
    assert stored.policy.net_arch == {"pi": [], "vf": [8]}
    assert stored.num_timesteps == 192


def test_results_say_what_the_tables_say():
    argv = [*TINY, "--track", "off", "--run-dir", "r", "--total-timesteps", "1024"]
    assert main([*argv, "--eval-every", "512", "--eval-deterministic", "true"]) == 0
    results = json.loads(Path("r/results.json").read_text())
    games = table("r/episodes.csv")
    windows = results["windows"]
    counted = [value for value in windows["return"] if value is not None]
    returns = [float(game["return"]) for game in games]
    assert min(returns) <= min(counted) <= max(counted) <= max(returns)
    assert windows["timesteps"][-1] == 1024
    assert len(windows["hours"]) == len(windows["timesteps"])
    assert 0 <= windows["hours"][0] <= windows["hours"][-1] < 1
    assert results["command"].startswith("python -m rims_rl.train --env CartPole-v1")
    assert "--run-dir" not in results["command"]  # it names a folder of this machine
    assert results["last_evaluation"]["time/total_timesteps"] == 1024
    assert results["statistics"]["train/approx_kl"]["largest"] >= 0
    assert results["param_count"] > 1000


def test_evaluations_are_played_as_asked_and_logged(monkeypatch):
    played: list[Any] = []

    def watched(model, env, count, **how):
        grids = env.reset()["grid"].copy()
        games = episodes.play(model, env, count, **how)
        played.append((games, env.num_envs, count, how["deterministic"], grids))
        return games

    monkeypatch.setattr(recording, "play", watched)
    argv = ["--env", "MiniGrid-Empty-Random-5x5-v0", *TINY[2:], "--track", "off"]
    argv += ["--total-timesteps", "256", "--eval-every", "128", "--run-dir", "r"]
    assert main([*argv, "--eval-episodes", "6", "--eval-deterministic"]) == 0
    rows = [row for row in table("r/progress.csv") if row["eval/mean_reward"]]
    assert len(rows) == len(played) == 2
    for row, (games, *how, _) in zip(rows, played, strict=True):
        assert how == [4, 6, True]
        assert len(games.returns) == 6
        assert float(row["eval/mean_reward"]) == pytest.approx(np.mean(games.returns))
        assert float(row["eval/mean_ep_length"]) == pytest.approx(np.mean(games.lengths))
        assert float(row["eval/success_rate"]) == pytest.approx(np.mean(games.successes))
    begun = make_training_env(AGENTS.stored_plan(Path("r/config.yaml"), {}), 0).reset()
    assert isinstance(begun, dict)
    for *_, grids in played:  # other layouts than the training's
        assert (grids != begun["grid"]).any()


def test_commands_to_paste_are_quoted(capsys):
    argv = [*TINY, "--track", "off", "--total-timesteps", "64", "--eval-every", "0"]
    assert main([*argv, "--run-dir", "a run ü"]) == 0
    out = capsys.readouterr().out
    assert "rims_rl.evaluate 'a run ü'\n" in out
    assert "rims_rl.train --resume 'a run ü' --total" in out


def test_games_are_recorded_with_their_environment():
    argv = [*TINY, "--track", "off", "--run-dir", "r", "--total-timesteps", "512"]
    assert main([*argv, "--eval-every", "0"]) == 0
    games = table("r/episodes.csv")
    assert {game["env"] for game in games} == {"0", "1", "2", "3"}
    for env in "0123":  # games of an environment follow one another
        rows = [game for game in games if game["env"] == env]
        steps = np.array([int(row["timesteps"]) for row in rows]) // 4
        lengths = [int(row["length"]) for row in rows]
        assert np.diff(steps, prepend=0).tolist() == lengths


def test_a_run_has_the_threads_that_it_asks_for(monkeypatch):
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    argv = [*TINY, "--track", "off", "--run-dir", "r", "--total-timesteps", "64"]
    assert main([*argv, "--eval-every", "0", "--threads", "3"]) == 0
    assert asked == [3]


@pytest.mark.parametrize("damage", [b"", b"PK\x05\x06" + 18 * b"\0", None])
def test_a_damaged_model_is_one_line(damage, finished, capsys):
    model = Path("r/model.zip")
    content = model.read_bytes()[: model.stat().st_size // 2] if damage is None else damage
    model.write_bytes(content)
    shutil.rmtree("r/checkpoints")
    capsys.readouterr()
    assert evaluate(["r", "--episodes", "1"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "r/model.zip" in line


def test_a_run_of_a_task_is_resumed_and_read_by_its_own_command(finished, capsys, tiny):
    run = Runs(Path("tasks"), [0], quick=True).every_seed(tiny())[0].folder
    capsys.readouterr()
    assert main(["--resume", str(run)]) == 2
    assert f"continue it with python -m rims_rl.tasks --resume {run}" in capsys.readouterr().err
    assert evaluate([str(run)]) == 2
    assert "is no run of an agent: its test is in" in capsys.readouterr().err
    assert train_a_task(["--resume", "r"]) == 2
    assert "continue it with python -m rims_rl.train --resume r" in capsys.readouterr().err


@pytest.mark.gpu
@pytest.mark.parametrize("core", ["rim", "lstm", "none"])
def test_a_run_on_cuda_goes_on_there_and_on_the_cpu(core):
    argv = ["--env", "PongNoFrameskip-v4", "--core", core, "--n-envs", "2", "--n-steps", "16"]
    argv += ["--n-minibatches", "1", "--n-epochs", "2", "--eval-every", "0", "--track", "off"]
    argv += ["--precision", "bfloat16", "--run-dir", "r"]
    assert main([*argv, "--device", "cuda", "--total-timesteps", "64"]) == 0
    assert main(["--resume", "r", "--total-timesteps", "128"]) == 0
    assert evaluate(["r", "--episodes", "1", "--device", "cpu"]) == 0
    assert main(["--resume", "r", "--total-timesteps", "160", "--device", "cpu"]) == 0
    assert sorted(set(steps_of("r/progress.csv"))) == [32, 64, 96, 128, 160]


def test_resuming_leaves_its_checkpoint_and_removes_half_written_ones():
    argv = [*TINY, "--track", "off", "--run-dir", "r", "--eval-every", "0"]
    assert main([*argv, "--total-timesteps", "64"]) == 0
    kept, half = Path("r/checkpoints/step-000000000064.zip"), Path("r/checkpoints/.step.1.tmp.zip")
    before = kept.stat().st_mtime_ns
    half.touch()
    assert main(["--resume", "r", "--total-timesteps", "128"]) == 0
    assert kept.stat().st_mtime_ns == before
    assert Path("r/checkpoints/step-000000000128.zip").exists()
    assert not half.exists()


def test_a_smaller_learning_rate_is_no_advice_about_the_environment(capsys):
    gym.register("TimeBomb-v1", lambda **kw: TimeBomb(gym.make("CartPole-v1", **kw)))
    argv = [*TINY[2:], "--track", "off", "--eval-every", "0"]
    assert main([*argv, "--env", "TimeBomb-v1", "--run-dir", "r"]) == 1
    told = capsys.readouterr().err
    assert "continue when the environment is mended, with --resume r" in told
    assert "--learning-rate" not in told
    assert main([*argv, "--env", "CartPole-v1", "--run-dir", "s", "--learning-rate", "1e36"]) == 1
    assert "e.g. --resume s --learning-rate 5e+35" in capsys.readouterr().err


def test_the_configuration_of_a_run_begins_another(finished, capsys):
    config = yaml.safe_load((finished / "config.yaml").read_text())
    (finished / "config.yaml").write_text(yaml.safe_dump({**config, "run_dir": "r"}))
    assert main(["--config", "r/config.yaml", "--seed", "4", "--run-dir", "other"]) == 0
    assert main(["--config", "r/config.yaml", "--seed", "5"]) == 0
    (folder,) = Path("runs").rglob("seed5-*")
    found = yaml.safe_load((folder / "config.yaml").read_text())
    assert {**found, "seed": config["seed"], "run_dir": config["run_dir"]} == config
    assert main(["--config", "r/config.yaml", "--run-dir", "r"]) == 2
    assert "already holds a run" in capsys.readouterr().err


def test_a_run_that_begins_in_the_folder_of_another_is_not_put_into_it(finished, monkeypatch):
    config = yaml.safe_load((finished / "config.yaml").read_text())
    (finished / "config.yaml").write_text(yaml.safe_dump({**config, "run_dir": "runs/old"}))
    monkeypatch.chdir(finished)
    parsed = AGENTS.parse(["--config", "config.yaml", "--seed", "1"])
    assert "run_dir" not in parsed.values
    assert AGENTS.parse(["--config", "config.yaml", "--run-dir", "new"]).values["run_dir"] == "new"
    Path("../mine.yaml").write_text("run_dir: new")  # one that its user wrote
    assert AGENTS.parse(["--config", "../mine.yaml"]).values["run_dir"] == "new"

"""Runs at Weights & Biases become records, and what cannot be read is told in one line."""

import re
import time

import numpy as np
import pytest
import wandb
from stable_baselines3 import PPO
from wandb.integration.sb3 import WandbCallback

from rims_rl.agents import RecurrentPPO
from rims_rl.comparison import wandb_runs
from rims_rl.comparison.comparison import compare
from rims_rl.comparison.wandb_runs import read_wandb
from rims_rl.comparison.wandb_source import parse_source
from rims_rl.runs.errors import UsageError
from tests.comparison.wandb_server import Api, Server, StoredRun

CLEANRL = {"env_id": "CartPole-v1", "exp_name": "ppo", "total_timesteps": 100}
SB3 = {"env_name": "CartPole-v1", "algo": "PPO", "policy_type": "MlpPolicy"}


def cleanrl_rows(count=10):
    """Every second row has losses and no return."""
    return [
        {"global_step": 10 * i, "_runtime": 36.0 * i, "_timestamp": 1e9 + 36.0 * i}
        | ({"losses/value": 1.0} if i % 2 else {"charts/episodic_return": 2.0 * i})
        for i in range(1, count + 1)
    ]


def sb3_rows(metric="rollout/ep_rew_mean", **axis):
    return [
        {"_timestamp": 1e9 + 3600.0 * i, metric: float(i), **{k: v * i for k, v in axis.items()}}
        for i in range(1, 4)
    ]


@pytest.fixture
def serve(monkeypatch):
    """Puts runs on a server and an account on this machine."""

    def start(*runs, **options):
        server = Server(list(runs), **options)
        monkeypatch.setattr(wandb, "Api", lambda timeout: Api(server))
        monkeypatch.setattr(wandb_runs, "logged_in", lambda: True)
        return server

    return start


def test_a_run_of_cleanrl(serve):
    about = {"program": "/home/x/ppo.py", "codePath": "cleanrl/ppo.py", "args": ["--seed", "3"]}
    config = {**CLEANRL, "seed": 3, "wandb_entity": "them"}
    serve(StoredRun("r1", config, cleanrl_rows(11), metadata=about))
    (record,) = read_wandb("wandb:them/games")
    assert record.source == "https://wandb.test/them/games/runs/r1"
    assert (record.env, record.label, record.seed, record.total) == ("CartPole-v1", "ppo", 3, 100.0)
    np.testing.assert_array_equal(record.steps, [20, 40, 60, 80, 100])
    np.testing.assert_array_equal(record.returns, [4, 8, 12, 16, 20])
    assert record.reached == 110
    assert record.hours == pytest.approx(record.steps / 1000)
    assert record.settings == config
    assert record.command == "python cleanrl/ppo.py --seed 3"
    assert record.param_count is None


def test_a_run_of_sb3(serve):
    serve(StoredRun("r1", SB3, sb3_rows(**{"time/total_timesteps": 500})))
    (record,) = read_wandb("wandb:them/games")
    assert (record.env, record.label, record.seed, record.total) == (
        "CartPole-v1",
        "PPO",
        None,
        None,
    )
    assert record.length == 1500
    np.testing.assert_array_equal(record.steps, [500, 1000, 1500])
    assert record.hours == pytest.approx([0, 1, 2])
    assert record.command is None


@pytest.mark.parametrize(
    ("axes", "steps"),
    [
        ({"global_step": 7, "time/total_timesteps": 500}, [7, 14, 21]),
        ({"time/total_timesteps": 500}, [500, 1000, 1500]),
        ({}, [0, 1, 2]),
    ],
)
def test_the_first_known_axis_is_the_steps(serve, axes, steps):
    serve(StoredRun("r1", SB3, sb3_rows(**axes)))
    (record,) = read_wandb("wandb:them/games")
    np.testing.assert_array_equal(record.steps, steps)


def test_an_axis_that_never_stands_beside_the_metric_is_passed_over(serve):
    rows = [{"global_step": 5.0, "_timestamp": 1e9}, *sb3_rows(**{"time/total_timesteps": 10})]
    serve(StoredRun("r1", SB3, rows))
    (record,) = read_wandb("wandb:them/games")
    np.testing.assert_array_equal(record.steps, [10, 20, 30])


def test_notes_say_what_is_no_agent_step_and_no_return_of_an_episode(serve):
    def notes(metric="rollout/ep_rew_mean", spec="wandb:them/games", **axis):
        serve(StoredRun("r1", SB3, sb3_rows(metric, **axis)))
        (record,) = read_wandb(spec)
        return record.notes

    assert notes("charts/episodic_return", global_step=1) == []
    assert notes(global_step=1) == [
        "the return is rollout/ep_rew_mean, a mean of the last 100 episodes"
    ]
    rows, mean = notes("eval/mean_reward")
    assert "rows of the log" in rows
    assert "episodes of an evaluation" in mean
    assert notes("score", "wandb:them/games?metric=score", global_step=1) == []


def test_seeds_of_wandbs_own_callback_are_one_core(serve):
    """It logs all that a model has, much of which differs from run to run."""
    runs = []
    for seed in (1, 2):
        with wandb.init(mode="disabled", config={"env_name": "CartPole-v1"}) as run:
            model = PPO("MlpPolicy", "CartPole-v1", n_steps=8, batch_size=8, seed=seed)
            _, callback = model._setup_learn(1500, WandbCallback())
            callback.init_callback(model)
            rows = sb3_rows(**{"time/total_timesteps": 500})
            runs.append(StoredRun(f"r{seed}", dict(run.config), rows))
    assert any(" at 0x" in str(value) for value in runs[0].config.values())
    serve(*runs)
    comparison = compare(read_wandb("wandb:them/games"), "PPO")
    (arm,) = comparison.arms.values()
    assert (arm.env, arm.core, len(arm.records)) == ("CartPole-v1", "PPO", 2)


def test_our_policies_that_wandbs_own_callback_logged_have_our_labels(serve):
    runs = []
    for core in ("rim", "gru"):
        with wandb.init(mode="disabled", config={"env_name": "CartPole-v1"}) as run:
            options = {"core": core, "core_kwargs": {"hidden_size": 12}}
            model = RecurrentPPO("MlpRimPolicy", "CartPole-v1", n_steps=8, policy_kwargs=options)
            _, callback = model._setup_learn(1500, WandbCallback())
            callback.init_callback(model)
            rows = sb3_rows(**{"time/total_timesteps": 500})
            runs.append(StoredRun(core, dict(run.config), rows))
    assert "\n" in str(runs[0].config["policy"])
    serve(*runs)
    comparison = compare(read_wandb("wandb:them/games"), "gru")
    assert sorted(arm.core for arm in comparison.arms.values()) == ["gru", "rim-k6-4"]


def test_a_run_that_says_too_little_is_told_beside_others(serve, capsys):
    nameless = [StoredRun(f"n{i}", {"exp_name": "ppo"}, cleanrl_rows()) for i in range(5)]
    serve(StoredRun("r1", CLEANRL, cleanrl_rows()), *nameless)
    assert len(read_wandb("wandb:them/games")) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.count("does not say its environment") == 3
    assert line.endswith("and 2 more")


def test_the_first_known_metric_is_the_return(serve):
    rows = [row | {"eval/mean_reward": -1.0} for row in sb3_rows(global_step=1)]
    only = sb3_rows("eval/mean_reward", global_step=1)
    serve(StoredRun("both", {**SB3, "seed": 0}, rows), StoredRun("eval", {**SB3, "seed": 1}, only))
    both, evaluated = read_wandb("wandb:them/games")
    np.testing.assert_array_equal(both.returns, [1, 2, 3])
    np.testing.assert_array_equal(evaluated.returns, [1, 2, 3])


def test_keys_and_metric_of_ones_own(serve):
    config = {**CLEANRL, "game": "Pong-v5", "agent": "mine"}
    rows = [row | {"score": -5.0} for row in cleanrl_rows()]
    serve(StoredRun("r1", config, rows))
    (record,) = read_wandb("wandb:?we=them&wpn=games&ceik=game&cen=agent&metric=score")
    assert (record.env, record.label) == ("Pong-v5", "mine")
    assert set(record.returns) == {-5.0}
    assert len(record.returns) == 10


def test_a_long_history_comes_in_pages(serve):
    serve(StoredRun("r1", CLEANRL, cleanrl_rows(2500)))
    (record,) = read_wandb("wandb:them/games")
    assert len(record.steps) == 1250
    assert record.reached == record.steps[-1] == 25_000


def test_values_that_are_no_numbers_are_left_out(serve):
    rows = [row | {"global_step": s} for row, s in zip(sb3_rows(), (1, 2, "NaN"), strict=True)]
    rows[0]["rollout/ep_rew_mean"] = "Infinity"
    serve(StoredRun("r1", SB3, rows))
    (record,) = read_wandb("wandb:them/games")
    np.testing.assert_array_equal(record.steps, [2])


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["a", "b", "c", "d"]),
        ("?seed=1", ["a", "b"]),
        ("?seed=1&seed=2", ["a", "b", "c"]),
        ("?seed=1&cuda=True", ["a"]),
        ("?lr=3e-4", ["c"]),
        ("?exp_name=ppo", ["a", "b", "c", "d"]),
        ("?tag=v1", ["b", "c"]),
        ("?tag=v1&tag=best", ["c"]),
        ("?group=g", ["d"]),
        ("?state=crashed", ["a"]),
        ("?state=crashed&state=finished", ["a", "b", "c", "d"]),
    ],
)
def test_filters(serve, query, found):
    rows = cleanrl_rows()
    serve(
        StoredRun("a", {**CLEANRL, "seed": 1, "cuda": True}, rows, state="crashed"),
        StoredRun("b", {**CLEANRL, "seed": 1, "cuda": False}, rows, tags=("v1",)),
        StoredRun("c", {**CLEANRL, "seed": 2, "lr": 0.0003}, rows, tags=("v1", "best")),
        StoredRun("d", {**CLEANRL, "seed": "three"}, rows, group="g"),
    )
    sources = [record.source for record in read_wandb(f"wandb:them/games{query}")]
    assert [source[-1] for source in sources] == found


def test_evaluations_and_runs_without_the_metric_are_no_runs(serve, capsys):
    serve(
        StoredRun("r1", CLEANRL, cleanrl_rows()),
        StoredRun("r2", CLEANRL, sb3_rows("eval/mean_reward", global_step=1), job_type="eval"),
        StoredRun("r3", {}, [{"loss": 1.0}]),
    )
    assert len(read_wandb("wandb:them/games")) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(": r3")


def test_they_stand_beside_ours_in_a_comparison(serve):
    seeds = [StoredRun(f"r{s}", {**CLEANRL, "seed": s}, cleanrl_rows()) for s in range(3)]
    others = [StoredRun("s", {**SB3, "seed": 0}, sb3_rows(global_step=50))]
    serve(*seeds, *others)
    comparison = compare(read_wandb("wandb:them/games"), baseline="PPO")
    assert comparison.cores == ["PPO", "ppo"]
    assert len(comparison.arms["CartPole-v1", "ppo"].records) == 3


SEDE = (
    "no run's config has sede; they have env_id, exp_name, seed, total_timesteps; "
    "did you mean seed?"
)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("wandb:", "names no project"),
        ("wandb:games", "names no project"),
        ("wandb:them/games/r1", "names no project"),
        ("wandb:them/", "names no project"),
        ("wandb:them/games?we=us", "two projects"),
        ("wandb:them/games?seed", "no KEY=VALUE"),
        ("wandb:them/games?seed=", "without value"),
        ("wandb:them/games?=1", "without key"),
        ("wandb:them/games?metric=a&metric=b", "metric= more than once"),
        ("wandb:them/games?state=done", "one of finished, running"),
        ("wandb:us/games", "no project at Weights & Biases"),
        ("wandb:them/games?sede=1", SEDE),
        ("wandb:them/games?seed=9&tag=x", "no run with seed=9 and tag=x"),
        ("wandb:them/games?metric=score", "no run has score; they have charts/episodic_return"),
        ("wandb:them/games?ceik=game", "no game but env_id, exp_name, seed, total_timesteps"),
        ("wandb:them/games?cen=agent", "as in ?cen=KEY"),
    ],
)
def test_refusals(serve, spec, said):
    serve(StoredRun("r1", {**CLEANRL, "seed": 1}, cleanrl_rows()))
    with pytest.raises(UsageError, match=re.escape(said)) as refusal:
        read_wandb(spec)
    assert "\n" not in str(refusal.value)


def test_an_empty_project(serve):
    serve()
    with pytest.raises(UsageError, match="them/games has no runs"):
        read_wandb("wandb:them/games")


@pytest.mark.parametrize("key", [None, "no-such-key"])
@pytest.mark.usefixtures("in_empty_folder")
def test_nobody_is_asked_for_a_key_and_an_unreachable_server_is_told(monkeypatch, key):
    if key is not None:
        # By W&B's own client; the address is one where nobody listens.
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
        monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
        monkeypatch.setattr(wandb_runs, "TIMEOUT", 2)
    begun = time.monotonic()
    with pytest.raises(
        UsageError, match="not logged in" if key is None else "cannot be reached or refuses"
    ):
        read_wandb("wandb:them/games")
    assert time.monotonic() - begun < 30


def test_a_history_that_does_not_come_is_given_up(serve, monkeypatch):
    monkeypatch.setattr(wandb_runs, "TIMEOUT", 0.1)
    serve(StoredRun("r1", CLEANRL, cleanrl_rows()), stalls=True)
    with pytest.raises(UsageError, match="sent nothing"):
        read_wandb("wandb:them/games")


def test_an_error_amid_a_history_is_told(serve, monkeypatch):
    server = serve(StoredRun("r1", CLEANRL, cleanrl_rows()))

    def gone(*_, **__):
        raise ConnectionError("gone")

    monkeypatch.setattr(server, "send_api_request", gone)
    with pytest.raises(UsageError, match="runs/r1 cannot be read: gone"):
        read_wandb("wandb:them/games")


def test_a_value_with_a_sign_of_the_filters_own():
    source = parse_source("wandb:them/games?env_id=ALE%2FPong-v5%26x&metric=charts/episodic_return")
    assert source.config == {"env_id": ["ALE/Pong-v5&x"]}
    assert source.names.metric == "charts/episodic_return"

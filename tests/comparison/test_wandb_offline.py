"""Local logs of W&B, written by W&B itself and by a training of ours, become records."""

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import wandb

from rims_rl.comparison.folders import read_folder
from rims_rl.comparison.wandb_offline import read_offline
from rims_rl.runs.errors import UsageError
from rims_rl.runs.wandb_log import log_records
from rims_rl.train import main
from rims_rl.training.options import TrainPlan
from tests.test_train import ROLLOUT, TINY

CLEANRL = {"env_id": "CartPole-v1", "exp_name": "ppo", "seed": 1, "total_timesteps": 100}


def wait_until_written(folder):
    """Waits for the end of all logs: W&B goes on writing after a run has finished."""
    for log in folder.rglob("run-*.wandb"):
        end = time.monotonic() + 60
        while not any(record["type"] == "exit" for record in log_records(log)):
            assert time.monotonic() < end, f"{log} has no end"
            time.sleep(0.05)


def write(folder, config, rows, run_id="abc", date="20200101_000000", **about):
    """A log by W&B's own writer, dated, as parts of a run that begin in one second share a name."""
    run = wandb.init(
        mode="offline", project="games", dir=folder, id=run_id, config=config, **about,
        settings=wandb.Settings(silent=True, console="off", disable_git=True),
    )  # fmt: skip
    for row in rows:
        run.log(row)
    run.finish()
    part = Path(run.dir).parent
    wait_until_written(part)
    return part.rename(part.with_name(f"offline-run-{date}-{run_id}"))


def returns(*steps):
    return [{"global_step": step, "charts/episodic_return": 2.0 * step} for step in steps]


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """The run folder of a tiny training."""
    folder = tmp_path_factory.mktemp("ours")
    budget = ("--total-timesteps", str(4 * ROLLOUT), "--seed", "5", "--run-dir", str(folder / "r"))
    assert main([*TINY, *budget, "--track", "offline"]) == 0
    wait_until_written(folder)
    return folder / "r"


def test_a_run_of_cleanrl(tmp_path):
    rows = [*returns(20, 40), {"global_step": 50, "losses/value": 1.0}, *returns(60)]
    rows.append({"global_step": 96, "losses/value": 1.0})
    part = write(tmp_path, CLEANRL, rows)
    (record,) = read_offline(tmp_path)
    assert record.source == str(part)
    assert (record.env, record.label, record.seed, record.total) == ("CartPole-v1", "ppo", 1, 100.0)
    np.testing.assert_array_equal(record.steps, [20, 40, 60])
    np.testing.assert_array_equal(record.returns, [40, 80, 120])
    assert record.reached == 96
    assert record.hours is not None
    assert (np.diff(record.hours) >= 0).all()
    assert record.settings == CLEANRL
    assert record.command


def test_a_run_of_sb3(tmp_path):
    names = ("time/total_timesteps", "rollout/ep_rew_mean")
    rows = [dict(zip(names, row, strict=True)) for row in ((1, 5.0), (2, float("nan")), (3, 7.0))]
    write(tmp_path, {"env_name": "CartPole-v1", "algo": "PPO"}, rows)
    (record,) = read_offline(tmp_path)
    assert (record.env, record.label, record.seed, record.total) == (
        "CartPole-v1",
        "PPO",
        None,
        None,
    )
    assert record.length == 3
    np.testing.assert_array_equal(record.steps, [1, 3])
    np.testing.assert_array_equal(record.returns, [5, 7])


def test_a_log_of_ours_without_its_folder_says_what_the_folder_says(ours, tmp_path):
    shutil.copytree(ours / "wandb", tmp_path / "sent", symlinks=True)
    (logged,) = read_offline(tmp_path)
    (stored,) = read_folder(ours)
    for name in ("env", "label", "seed", "total", "trained", "param_count"):
        assert getattr(logged, name) == getattr(stored, name), name
    assert logged.settings == json.loads(json.dumps(stored.settings))
    assert set(logged.steps) <= {ROLLOUT * i for i in range(1, 5)}
    assert logged.returns.min() >= stored.returns.min()
    assert logged.returns.max() <= stored.returns.max()


def test_a_log_of_ours_of_other_defaults_is_another_core(tmp_path):
    plan = TrainPlan.from_flat({"env": "CartPole-v1", "run_dir": None})
    names = {"env_id": "CartPole-v1", "exp_name": plan.label(), "param_count": 1}
    cell = {**plan.model.cell(), "edge_width": 0.4}
    write(tmp_path / "now", {**plan.flat(), **names, "cell": plan.model.cell()}, returns(10))
    write(tmp_path / "then", {**plan.flat(), **names, "cell": cell}, returns(10))
    (now,), (then,) = read_offline(tmp_path / "now"), read_offline(tmp_path / "then")
    assert (now.label, now.settings["core_kwargs"]) == (plan.label(), {})
    assert (then.label, then.settings["core_kwargs"]) == (
        f"{plan.label()}-edge_width=0.4", {"edge_width": 0.4}
    )  # fmt: skip


def test_a_log_in_a_run_folder_of_ours_is_not_counted_again(ours):
    assert read_offline(ours) == []
    assert read_offline(ours.parent) == []
    assert len(read_offline(ours / "wandb")) == 1


def test_parts_of_a_resumed_run_are_one_record(tmp_path):
    first = write(tmp_path, CLEANRL, returns(10, 20, 30, 40))
    write(tmp_path, {"learning_rate": 0.1}, returns(30, 50), date="20200102_000000")
    (record,) = read_offline(tmp_path)
    assert record.source == str(first)
    # The first part was killed at 40, and the second went on from a checkpoint at 20.
    np.testing.assert_array_equal(record.steps, [10, 20, 30, 50])
    assert record.settings == {**CLEANRL, "learning_rate": 0.1}
    assert record.hours is not None
    assert (np.diff(record.hours) >= 0).all()


def test_other_runs_copies_and_evaluations(tmp_path, capsys):
    part = write(tmp_path / "a", CLEANRL, returns(10))
    shutil.copytree(part, tmp_path / "b" / "wandb" / part.name)
    write(tmp_path / "a", {**CLEANRL, "seed": 2}, returns(10), run_id="other")
    write(tmp_path / "a", CLEANRL, returns(10), run_id="evaluation", job_type="eval")
    write(tmp_path / "a", {}, [{"loss": 1.0}], run_id="no-agent")
    assert [record.seed for record in read_offline(tmp_path)] == [1, 2]
    (line,) = capsys.readouterr().err.splitlines()
    assert "no-agent has no charts/episodic_return or" in line
    assert line.endswith("it has loss")


def test_the_folder_of_a_log_itself(tmp_path):
    part = write(tmp_path, CLEANRL, returns(10))
    assert len(read_offline(part)) == 1


def test_a_log_cut_by_a_kill_is_read_as_far_as_it_goes(tmp_path):
    part = write(tmp_path, CLEANRL, returns(*range(10, 500, 10)))
    (log,) = part.glob("*.wandb")
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])
    (record,) = read_offline(tmp_path)
    assert 0 < record.reached < 400


@pytest.mark.parametrize(
    ("config", "content", "said"),
    [
        ({"exp_name": "ppo"}, None, "does not say its environment: its config has no env_id or"),
        ({"env_id": "x"}, None, "does not say its core or algorithm"),
        (CLEANRL, b"no log of W&B", "cannot be read as a log"),
    ],
)
def test_refusals(tmp_path, config, content, said):
    part = write(tmp_path, config, returns(10))
    if content is not None:
        (log,) = part.glob("*.wandb")
        log.write_bytes(content)
    with pytest.raises(UsageError, match=said):
        read_offline(tmp_path)

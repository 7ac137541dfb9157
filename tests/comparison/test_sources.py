"""Sources of all kinds together: each run once, and what has none is told."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from rims_rl.comparison import sources
from rims_rl.comparison.naming import runs_by_name
from rims_rl.comparison.record import Record
from rims_rl.comparison.sources import read_sources
from rims_rl.runs.errors import UsageError
from rims_rl.train import main
from tests.comparison.test_wandb_offline import CLEANRL, returns, wait_until_written, write
from tests.test_train import ROLLOUT, TINY

pytestmark = pytest.mark.usefixtures("in_empty_folder")


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A store with a run of ours, which W&B tracks, and a log of others."""
    store = tmp_path_factory.mktemp("store")
    folder = store / "CartPole-v1" / "rim" / "seed0"
    budget = ("--total-timesteps", str(4 * ROLLOUT), "--run-dir", str(folder))
    assert main([*TINY, *budget, "--track", "offline"]) == 0
    wait_until_written(folder)
    write(store / "others", CLEANRL, returns(10, 100))
    return store


def test_runs_of_a_store_and_logs_of_others(stored):
    ours, theirs = read_sources([str(stored)])
    assert ours.source == str(stored / "CartPole-v1" / "rim" / "seed0")
    assert theirs.source.startswith(str(stored / "others" / "wandb" / "offline-run-"))


def test_a_run_through_several_sources_is_read_once(stored, monkeypatch):
    monkeypatch.chdir(stored)
    run = Path("CartPole-v1/rim/seed0")
    specs = [str(stored), ".", str(run), str(run / "wandb"), str(run / "checkpoints"), "others"]
    assert len(read_sources(specs)) == 2
    Path("link").symlink_to(run)
    assert len(read_sources(["link", str(run)])) == 1
    Path("link").unlink()


def test_what_changed_when_a_run_was_resumed_is_told(stored, tmp_path):
    run = tmp_path / "changed"
    shutil.copytree(stored / "CartPole-v1" / "rim" / "seed0", run)
    longer = ("--resume", str(run), "--total-timesteps", str(5 * ROLLOUT), "--track", "off")
    changes = ("--learning-rate", "0.5", "--checkpoint-every", "7", "--n-epochs", "1")
    assert main([*longer, *changes]) == 0
    assert main([*longer[:3], str(6 * ROLLOUT)]) == 0
    changed, before = read_sources([str(run), str(stored / "CartPole-v1")])
    rate = before.settings["learning_rate"]
    assert changed.settings["resumed_with"] == (
        f"total_timesteps {4 * ROLLOUT} -> {5 * ROLLOUT}, learning_rate {rate} -> 0.5, "
        f"total_timesteps {5 * ROLLOUT} -> {6 * ROLLOUT}"
    )
    assert "resumed_with" not in before.settings
    names = {core for _, core in runs_by_name([changed, replace(before, total=changed.total)])}
    assert len(names) == 2
    assert sum("never changed" in name for name in names) == 1
    assert not any("no resumed_with" in name for name in names)
    published = json.loads((run / "results.json").read_text())
    assert published["config"]["resumed_with"] == changed.settings["resumed_with"]


def test_a_run_of_other_defaults_is_another_core(stored, tmp_path):
    run = tmp_path / "before"
    shutil.copytree(stored / "CartPole-v1" / "rim" / "seed0", run)
    results = json.loads((run / "results.json").read_text())
    assert results["environment"]["cell"]["edge_width"] == 0.6
    results["environment"]["cell"]["edge_width"] = 0.4
    (run / "environment.json").write_text(json.dumps(results["environment"]))
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / "seed0.json").write_text(json.dumps(results))
    (today,) = read_sources([str(stored / "CartPole-v1")])
    for folder in (run, tmp_path / "published"):
        (before,) = read_sources([str(folder)])
        assert before.label == f"{today.label}-edge_width=0.4"
        assert before.settings == {**today.settings, "core_kwargs": {"edge_width": 0.4}}


def test_a_core_of_ones_own_need_not_be_here(stored, tmp_path):
    run = stored / "CartPole-v1" / "rim" / "seed0"
    shutil.copytree(run, tmp_path / "own")
    config = tmp_path / "own" / "config.yaml"
    config.write_text(config.read_text().replace("core: rim", "core: nowhere:mine"))
    own, ours = read_sources([str(tmp_path), str(run)])
    assert (own.env, own.label, own.seed, own.total) == (
        ours.env,
        ours.label,
        ours.seed,
        ours.total,
    )
    assert own.settings == {**ours.settings, "core": "nowhere:mine"}
    (tmp_path / "own" / "results.json").unlink()
    with pytest.raises(UsageError, match=r"cannot import 'nowhere'.*PYTHONPATH"):
        read_sources([str(tmp_path)])


def test_published_results(tmp_path):
    windows = {"timesteps": [10, 20], "return": [1.0, 2.0]}
    about = {"env": "CartPole-v1", "model": "rim", "timesteps": 20, "config": {"seed": 4}}
    results = {**about, "windows": windows}
    (tmp_path / "seed4.json").write_text(json.dumps(results))
    (record,) = read_sources([str(tmp_path)])
    assert (record.label, record.seed, record.total) == ("rim", 4, 20.0)


def test_a_project_at_wandb_beside_a_folder(stored, monkeypatch):
    def read_wandb(spec):
        ours = read_sources([str(stored)])[0]
        return [Record("https://wandb.test/x", "x", spec, 0, ours.steps, ours.returns, 1.0)]

    monkeypatch.setattr(sources, "read_wandb", read_wandb)
    records = read_sources(["wandb:them/games?tag=x", str(stored), "wandb:them/games?tag=x"])
    assert [record.label for record in records][::2] == ["wandb:them/games?tag=x", "ppo"]
    assert len(records) == 3


def test_what_holds_no_run_of_an_agent(tmp_path, stored):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    supervised = tmp_path / "tasks" / "copying" / "seed0"
    supervised.mkdir(parents=True)
    run = stored / "CartPole-v1" / "rim" / "seed0"
    for name in ("config.yaml", "command.txt"):  # a run folder of a task has no episodes
        shutil.copy(run / name, supervised)
    for name, said in {
        "gone": "gone does not exist: give a folder with runs, or wandb:ENTITY/PROJECT",
        "empty": "empty holds no run of an agent",
        "file": "file is a file, not a folder",
        "tasks": "tasks has runs of supervised tasks alone, and none of an agent",
    }.items():
        with pytest.raises(UsageError, match=said) as refusal:
            read_sources([str(tmp_path / name)])
        assert "\n" not in str(refusal.value)

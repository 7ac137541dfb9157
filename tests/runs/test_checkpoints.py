"""Checkpoints are whole or not there; damaged ones are skipped; random states come back."""

import contextlib
import json
import os
import random
import zipfile

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from rims_rl.runs.checkpoints import (
    newest_checkpoint,
    restore_rng,
    rng_state,
    save_checkpoint,
)
from rims_rl.training.checkpoints import FACTS, AgentFacts, save_agent, save_model


@pytest.fixture(scope="module")
def model():
    return PPO("MlpPolicy", "CartPole-v1", device="cpu", policy_kwargs={"net_arch": [4]})


def facts_of(steps):
    return AgentFacts(timesteps=steps, best_return=1.5, last_eval=8, wandb_id="abc")


def saved(folder, model, steps, keep=3):
    return save_agent(folder, model, facts_of(steps), keep)


def test_newest_is_found_with_all_it_knew(tmp_path, model):
    saved(tmp_path, model, 9)
    saved(tmp_path, model, 10)
    checkpoint = newest_checkpoint(tmp_path, FACTS)
    assert checkpoint is not None
    assert AgentFacts.of(checkpoint.facts) == facts_of(10)
    PPO.load(checkpoint.file)


def test_only_the_newest_are_kept(tmp_path, model):
    for steps in (1, 2, 30, 100):
        saved(tmp_path, model, steps, keep=2)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        f"step-{steps:012d}.{suffix}" for steps in (30, 100) for suffix in ("json", "zip")
    ]


def test_of_those_in_between_the_newest_alone_is_kept(tmp_path):
    left = {}
    for step in (0, 3, 5, 10, 13, 20, 30, 32):
        save_checkpoint(tmp_path, step, lambda path: path.touch(), {}, keep=3, every=10)
        left[step] = [int(path.stem[5:]) for path in sorted(tmp_path.glob("*.zip"))]
    assert left[5] == [0, 5]
    assert left[13] == [0, 10, 13]
    assert left[30] == [10, 20, 30]
    assert left[32] == [10, 20, 30, 32]
    assert len(list(tmp_path.glob("*.json"))) == 4


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def lose_description(path):
    path.with_suffix(".json").unlink()


def cut_description(path):
    path.with_suffix(".json").write_text('{"sha256": ')


@pytest.mark.parametrize("damage", [truncate, flip_a_byte, lose_description, cut_description])
def test_damaged_one_is_skipped_with_a_warning(tmp_path, model, damage, capsys):
    saved(tmp_path, model, 1)
    damage(saved(tmp_path, model, 2))
    checkpoint = newest_checkpoint(tmp_path, FACTS)
    assert checkpoint is not None
    assert checkpoint.facts["timesteps"] == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "step-000000000002.zip" in line


@pytest.mark.parametrize("renamed", [0, 1, 2, 3])
def test_a_kill_while_a_step_is_saved_again_leaves_the_old_or_the_new(
    tmp_path, monkeypatch, renamed
):
    def save(word):
        def write(path):
            with zipfile.ZipFile(path, "w") as file:
                file.writestr("word", word)

        save_checkpoint(tmp_path, 8, write, {"word": word}, keep=1)

    save("old")
    save("again")
    renames = iter([os.replace] * renamed)

    def replace(source, target):
        next(renames, _killed)(source, target)

    with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
        patch.setattr("rims_rl.runs.files.os.replace", replace)
        save("new")
    checkpoint = newest_checkpoint(tmp_path, ["word"])
    assert checkpoint is not None
    assert set(checkpoint.facts) == {"word", "sha256", "rng"}
    with zipfile.ZipFile(checkpoint.file) as file:
        assert file.read("word").decode() == checkpoint.facts["word"]
    assert checkpoint.facts["word"] == ("again" if renamed < 2 else "new")


def _killed(source, target):
    raise KeyboardInterrupt


def test_none_where_none_is_intact(tmp_path, model):
    assert newest_checkpoint(tmp_path, FACTS) is None
    truncate(saved(tmp_path, model, 1))
    assert newest_checkpoint(tmp_path, FACTS) is None


def test_failed_save_leaves_the_old_file(tmp_path, model, monkeypatch):
    path = tmp_path / "model.zip"
    save_model(model, path)
    before = path.read_bytes()

    def fail(target):
        target.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(model, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save_model(model, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_random_states_come_back_through_json():
    def draw():
        return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002

    state = json.loads(json.dumps(rng_state()))
    first = draw()
    assert draw() != first
    restore_rng(state)
    assert draw() == first

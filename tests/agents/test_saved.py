"""Model files of version 0.1 compute what they computed: the defaults have changed since.

Each file of ``tests/saved`` was made by that version's stock `RecurrentPPO.save` after 128 steps of
CartPole without velocities, and beside it lie the states that it computed of some observations.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sb3_contrib
import torch
from stable_baselines3.common.save_util import load_from_zip_file

import rims_rl
import rims_rl.agents
from rims_rl.core.earlier import upgraded_run
from rims_rl.core.options import CoreOptions

SAVED = Path(__file__).parents[1] / "saved"
FILES = sorted(SAVED.glob("*.zip"))


def states_of(model, recorded):
    state, states = None, []
    for observation, start in zip(
        recorded["observations"], recorded["episode_starts"], strict=True
    ):
        _, state = model.predict(observation, state, start, deterministic=True)
        states.append(state[0])
    return np.array(states)


def test_the_files_are_here():
    assert [file.stem for file in FILES] == ["lstm", "rim", "rim_named"]


@pytest.mark.parametrize("algorithm", [sb3_contrib.RecurrentPPO, rims_rl.RecurrentPPO])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_of_version_0_1_computes_what_it_computed(file, algorithm, tmp_path):
    model = algorithm.load(file, device="cpu")
    recorded = np.load(file.with_suffix(".npz"))
    np.testing.assert_allclose(states_of(model, recorded), recorded["states"], atol=1e-5)
    model.save(tmp_path / "again")
    again = algorithm.load(tmp_path / "again", device="cpu")
    np.testing.assert_allclose(states_of(again, recorded), recorded["states"], atol=1e-5)


def test_a_policy_that_version_0_1_saved_alone_computes_what_it_computed(tmp_path):
    """That version stored the options that it was given, under the class's public name."""
    model = sb3_contrib.RecurrentPPO.load(SAVED / "rim.zip", device="cpu")
    stored, _, _ = load_from_zip_file(SAVED / "rim.zip")
    assert stored is not None
    data = model.policy._get_constructor_parameters()
    data["core_kwargs"] = stored["policy_kwargs"]["core_kwargs"]
    assert "selection" not in data["core_kwargs"]
    saved = {"data": data, "state_dict": model.policy.state_dict()}
    torch.save(saved, tmp_path / "policy.pth")
    policy = rims_rl.agents.MlpRimPolicy.load(tmp_path / "policy.pth")
    recorded = np.load(SAVED / "rim.npz")
    np.testing.assert_allclose(states_of(policy, recorded), recorded["states"], atol=1e-5)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("rim", "default", {}), ("hard", {})),
        (("rim", "paper", {"comm_heads": 2}), ("paper", {"comm_heads": 2})),
        (("rim", "default", {"input_value_size": None}), ("hard", {})),
        (("lstm", "default", {"input_heads": 4}), ("default", {})),
        (("tto", "default", {"input_heads": 4}), ("default", {})),
    ],
)
def test_options_of_a_run_folder_of_version_0_1(before, after):
    values = dict(zip(("core", "variant", "core_kwargs"), before, strict=True), seed=1)
    upgraded = upgraded_run(values, {"rims_rl": "0.1.0"})
    assert (upgraded["variant"], upgraded["core_kwargs"]) == after
    assert (upgraded["core"], upgraded["seed"]) == (before[0], 1)


def test_what_a_run_had_by_default_is_spelled_out_where_it_is_another_today():
    sizes: dict[str, Any] = {
        "hidden_size": 12,
        "num_rims": 3,
        "num_active": 2,
        "variant": "default",
    }
    values = {"core": "rim", **sizes, "core_kwargs": {"comm_gate_bias": -2.0}}
    cell = CoreOptions(core="rim", core_kwargs=values["core_kwargs"], **sizes).cell()
    assert upgraded_run(values, {"cell": cell}) == values
    narrow = {name: value for name, value in cell.items() if name != "score_bias_std"}
    spelled_out = {"comm_gate_bias": -2.0, "score_bias_std": 1.0, "edge_width": 0.4}
    upgraded = upgraded_run(values, {"cell": {**narrow, "edge_width": 0.4}})
    assert upgraded == {**values, "core_kwargs": spelled_out}
    before = CoreOptions(core="rim", core_kwargs=upgraded["core_kwargs"], **sizes)
    assert before.cell() == {**narrow, "edge_width": 0.4}
    edited = {**values, "hidden_size": 24}
    assert upgraded_run(edited, {"cell": narrow}) == edited
    unknown = {**values, "core_kwargs": {"from_later": 1}}
    assert upgraded_run(unknown, {"cell": narrow}) == unknown


def test_a_file_of_version_0_1_goes_on_training():
    env = rims_rl.make_vec_env("rims_rl/CartPoleNoVelocity-v1", 2, 0)
    model = rims_rl.RecurrentPPO.load(SAVED / "rim.zip", env=env, device="cpu")
    model.learn(64)
    core = model.policy.lstm_actor
    assert isinstance(core, rims_rl.RIM)
    assert core.config.variant == "hard"


def test_a_file_of_version_0_1_loads_where_nothing_was_imported():
    code = (
        "from sb3_contrib import RecurrentPPO; import sys;"
        "print(RecurrentPPO.load(sys.argv[1], device='cpu').policy.lstm_actor.config.selection)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(SAVED / "rim.zip")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert result.stdout.split()[-1] == "hard"

"""Logs of SB3's Monitor: three runs of RL Baselines3 Zoo 2.9.2 (zoo/), and logs made here."""

import re
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.monitor import Monitor

from rims_rl.compare import main
from rims_rl.comparison.comparison import compare
from rims_rl.comparison.folders import read_folder
from rims_rl.comparison.naming import settings_of
from rims_rl.runs.errors import UsageError
from tests.comparison.records import record

ZOO = Path(__file__).parent / "zoo"
HEADER = '#{"t_start": 100.5, "env_id": "CartPole-v1"}\n'


def write_log(folder, text, name="0.monitor.csv"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def test_runs_of_the_zoo():
    a2c, ppo, ppo_again = read_folder(ZOO)
    assert [r.label for r in (a2c, ppo, ppo_again)] == ["a2c", "ppo", "ppo"]
    assert [r.seed for r in (a2c, ppo, ppo_again)] == [1, 1, 2]
    assert {r.env for r in (a2c, ppo, ppo_again)} == {"CartPole-v1"}
    assert ppo.total == ppo.reached == 3000  # of the command line, not of config.yml
    assert ppo.settings["n_steps"] == 256
    assert "python -m rl_zoo3.train --algo ppo --env CartPole-v1" in str(ppo.command)
    rows = [
        line.split(",")
        for log in sorted((ZOO / "ppo" / "CartPole-v1_1").glob("*.monitor.csv"))
        for line in log.read_text().splitlines()[2:]
    ]
    assert ppo.steps[-1] == sum(int(length) for _, length, _ in rows)
    assert sorted(ppo.returns) == sorted(float(value) for value, _, _ in rows)
    assert ppo.hours is not None
    assert np.all(np.diff(ppo.steps) > 0)
    assert np.all(np.diff(ppo.hours) >= 0)


def test_settings_of_the_zoo_that_name_pythons_objects_differ_where_those_do(tmp_path):
    said = []
    for number, width in ((1, 1), (2, 2)):
        folder = tmp_path / "ppo" / f"CartPole-v1_{number}"
        write_log(folder, HEADER + "r,l,t\n1,2,3\n")
        (folder / "CartPole-v1").mkdir()
        net = f"!!python/tuple [{width}, 64]"
        activation = "!!python/name:torch.nn.modules.activation.Tanh ''"
        (folder / "CartPole-v1" / "config.yml").write_text(
            f"n_timesteps: many\npolicy_kwargs: {{net_arch: {net}, activation_fn: {activation}}}\n"
        )
        (run,) = read_folder(folder)
        assert run.total is None
        said.append(run.settings["policy_kwargs"])
    assert said[0] == {
        "net_arch": "tuple [1, 64]", "activation_fn": "name:torch.nn.modules.activation.Tanh"
    }  # fmt: skip
    assert said[1]["net_arch"] == "tuple [2, 64]"


def test_our_policies_that_the_zoo_trained_have_our_labels_however_they_were_said(tmp_path):
    said = {
        1: "\"dict(core='gru', core_kwargs=dict(hidden_size=32), net_arch=[8], optimizer=Adam)\"",
        2: "{core: gru, core_kwargs: {hidden_size: 32}, net_arch: [8], optimizer: Adam}",
        3: "\"{'core': 'rim', 'core_kwargs': {'num_active': 3}, 'shared_core': False}\"",
        4: "\"dict(core='none')\"",
        5: '"dict(net_arch=[8)"',
        6: "\"dict(core='rim', core_kwargs=dict(unknown=1))\"",
    }
    for number, kwargs in said.items():
        folder = tmp_path / "ppo_lstm" / f"CartPole-v1_{number}"
        write_log(folder, HEADER + "r,l,t\n1,2,3\n")
        (folder / "CartPole-v1").mkdir()
        (folder / "CartPole-v1" / "args.yml").write_text("{algo: ppo_lstm, seed: 0}")
        (folder / "CartPole-v1" / "config.yml").write_text(f"policy_kwargs: {kwargs}\n")
    runs = read_folder(tmp_path)
    cores = ["gru-h32", "gru-h32", "rim-k6-3-h252-separate", "none", "ppo_lstm", "ppo_lstm"]
    assert [run.label for run in runs] == cores
    assert settings_of(runs[0]) == settings_of(runs[1])
    assert runs[0].settings["policy_kwargs"] == {"net_arch": [8], "optimizer": "Adam"}
    assert runs[4].settings["policy_kwargs"] == "dict(net_arch=[8)"


def test_a_folders_name_is_no_pattern(tmp_path):
    write_log(tmp_path / "ppo[1]_1", HEADER + "r,l,t\n1,2,3\n")
    assert read_folder(tmp_path)[0].label == "ppo[1]"


def test_a_log_without_its_mark_or_environment_is_refused(tmp_path):
    write_log(tmp_path / "a", HEADER[1:] + "r,l,t\n1,2,3\n")
    with pytest.raises(UsageError, match="does not begin as a log"):
        read_folder(tmp_path / "a")
    write_log(tmp_path / "lstm_seed2", HEADER.replace("CartPole-v1", "None") + "r,l,t\n1,2,3\n")
    with pytest.raises(UsageError, match="does not say its environment"):
        read_folder(tmp_path / "lstm_seed2")


def test_a_log_folder_of_the_zoo_is_compared(tmp_path, capsys):
    assert main([str(ZOO), "--baseline", "a2c", "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "| CartPole-v1 | a2c | 1 |" in told
    assert "| CartPole-v1 | ppo | 2 |" in told
    assert "missing: a2c has fewer seeds in CartPole-v1 1 of 2" in told
    assert "no interval: a2c has a single seed in CartPole-v1" in told


def test_runs_without_a_game_in_common_are_refused(tmp_path, capsys):
    write_log(tmp_path / "lstm" / "CartPole-v1_1", HEADER + "r,l,t\n1,2,3\n")
    header = HEADER.replace("CartPole-v1", "Acrobot-v1")
    write_log(tmp_path / "rim" / "Acrobot-v1_1", header + "r,l,t\n1,2,3\n")
    assert main([str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "no two cores have runs in the same game: lstm in CartPole-v1, rim in Acrobot-v1" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("folder", "core", "seed"),
    [
        ("lstm/CartPole-v1_3", "lstm", 3),
        ("lstm/CartPole-v1", "lstm", None),
        ("lstm/seed3", "lstm", 3),
        ("lstm/0", "lstm", 0),
        ("lstm-seed12", "lstm", 12),
        ("rim-k6-4", "rim-k6-4", None),
        ("rim-k6-4_1", "rim-k6-4", 1),
    ],
)
def test_a_folder_says_what_ran(tmp_path, folder, core, seed):
    write_log(tmp_path / folder, HEADER + "r,l,t\n1.0,5,0.5\n2.0,7,1.5\n", "monitor.csv")
    (run,) = read_folder(tmp_path)
    assert (run.env, run.label, run.seed, run.total) == ("CartPole-v1", core, seed, None)
    assert run.steps.tolist() == [5, 12]
    assert run.length == run.reached == 12


def test_what_monitor_writes_now(tmp_path):
    env = Monitor(gym.make("CartPole-v1"), str(tmp_path / "random" / "CartPole-v1_1" / "0"))
    env.action_space.seed(0)
    returns = []
    for seed in range(3):
        env.reset(seed=seed)
        done = False
        while not done:
            *_, terminated, truncated, info = env.step(env.action_space.sample())
            done = terminated or truncated
        returns.append(info["episode"]["r"])
    env.close()
    (run,) = read_folder(tmp_path)
    assert (run.env, run.label, run.returns.tolist()) == ("CartPole-v1", "random", returns)


def test_logs_of_the_authors_code(tmp_path):
    """Which trains with OpenAI's Baselines: a blank in the header, and more columns."""
    header = '# {"t_start": 1570000000.25, "env_id": "PongNoFrameskip-v4"} \n'
    write_log(tmp_path / "rim", header + "r,l,t\n-21.0,812,9.1\n")
    write_log(tmp_path / "rim", header + "r,l,t\n-20.0,900,8.1\n", "1.monitor.csv")
    (run,) = read_folder(tmp_path)
    assert (run.env, run.steps.tolist(), run.returns.tolist()) == (
        "PongNoFrameskip-v4", [900, 1712], [-20, -21]
    )  # fmt: skip


@pytest.mark.parametrize("said", ["wrapper", "steps", "nothing"])
def test_lengths_of_atari_games_are_agent_steps(tmp_path, said):
    """SB3 puts Monitor below AtariWrapper: there it counts frames."""
    header = HEADER.replace("CartPole-v1", "PongNoFrameskip-v4")
    folder = tmp_path / "ppo" / "PongNoFrameskip-v4_1"
    write_log(folder, header + "r,l,t\n-21.0,4000,9.1\n-20.0,4400,19.1\n")
    settings = {
        "wrapper": "env_wrapper: [stable_baselines3.common.atari_wrappers.AtariWrapper]",
        "steps": "n_timesteps: 2100",
        "nothing": "n_steps: 8",
    }[said]
    (folder / "PongNoFrameskip-v4").mkdir()
    (folder / "PongNoFrameskip-v4" / "config.yml").write_text(settings)
    (run,) = read_folder(tmp_path)
    assert run.steps.tolist() == ([4000, 8400] if said == "nothing" else [1000, 2100])
    notes = [line for line in compare([run]).problems if "lengths are taken as agent" in line]
    assert len(notes) == (said == "nothing")


def test_logs_of_other_names_in_one_folder_are_runs_of_their_own(tmp_path):
    for name in ("a2c_seed0", "a2c_seed1", "ppo_seed0"):
        write_log(tmp_path / "logs", HEADER + "r,l,t\n1,2,3\n", f"{name}.monitor.csv")
    for name in ("0", "1"):
        write_log(tmp_path / "logs", HEADER + "r,l,t\n1,2,3\n", f"{name}.monitor.csv")
    runs = read_folder(tmp_path)
    assert [(run.label, run.seed, len(run.steps)) for run in runs] == [
        ("logs", None, 2), ("a2c", 0, 1), ("a2c", 1, 1), ("ppo", 0, 1)
    ]  # fmt: skip


def test_an_environment_without_an_id(tmp_path):
    header = HEADER.replace("CartPole-v1", "None")
    write_log(tmp_path / "lstm" / "Maze_1", header + "r,l,t\n1,2,3\n")
    (run,) = read_folder(tmp_path)
    assert (run.env, run.label, run.seed) == ("Maze", "lstm", 1)
    write_log(tmp_path / "other", header + "r,l,t\n1,2,3\n")
    with pytest.raises(UsageError, match="other does not say its environment: call it ENV_1"):
        read_folder(tmp_path)


def test_a_log_that_was_continued_is_in_order(tmp_path):
    """Monitor goes on writing to it, with a clock that begins anew."""
    write_log(tmp_path / "lstm_1", HEADER + "r,l,t\n1,10,5.0\n2,10,9.0\n3,10,4.0\n4,10,8.0\n")
    (run,) = read_folder(tmp_path)
    assert run.hours is not None
    np.testing.assert_array_equal(run.returns, [1, 2, 3, 4])
    np.testing.assert_allclose(run.hours, np.array([5, 9, 13, 17]) / 3600)


def test_a_cut_line_that_reads_as_a_number_is_left_out_too(tmp_path):
    write_log(tmp_path / "lstm_1", HEADER + "r,l,t\n-21.0,10,5.0\n-20.0,10,15")
    (run,) = read_folder(tmp_path)
    assert run.returns.tolist() == [-21.0]


def test_a_line_cut_by_a_kill_is_left_out(tmp_path):
    write_log(tmp_path / "a", HEADER + "r,l,t\n1.0,5,0.5\n2.0,")
    (run,) = read_folder(tmp_path)
    assert run.steps.tolist() == [5]
    write_log(tmp_path / "a", HEADER + "r,l,t\n")
    (run,) = read_folder(tmp_path)
    assert compare([run]).problems[0] == f"left out: in {run.source} no episode ended"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "0.monitor.csv does not begin as a log of SB3's Monitor does"),
        ("r,l,t\n1,2,3\n", "0.monitor.csv does not begin as"),
        ("#{}\nr,l,t\n1,2,3\n", "0.monitor.csv does not begin as"),
        ('#{"env_id": "A-v0"}\nr,l,t\n1,2,3\n', "0.monitor.csv does not begin as"),
        (HEADER, "cannot be read: No columns"),
        (HEADER + "a,b\n1,2\n", "cannot be read: it lacks the columns l, r, t"),
        (HEADER + "r,l,t\nx,2,3\n", "0.monitor.csv cannot be read: line 3 is damaged"),
        (HEADER + "r,l,t\n1,2,x\n", "0.monitor.csv cannot be read: line 3 is damaged"),
        (HEADER + "r,l,t\n1,2,3\nabc,1\n1,2,3\n", "cannot be read: line 4 is damaged"),
        (HEADER + "r,l,t\n1,2,3,4,5\n1,2\n1,2,3,4,5,6,7\n", "cannot be read"),
    ],
)
def test_a_damaged_log_is_named(tmp_path, text, said):
    write_log(tmp_path / "run", text)
    with pytest.raises(UsageError, match=re.escape(said)) as refusal:
        read_folder(tmp_path)
    assert "\n" not in str(refusal.value)
    assert str(tmp_path / "run") in str(refusal.value)


def test_damaged_settings_of_the_zoo_are_named(tmp_path):
    write_log(tmp_path, HEADER + "r,l,t\n1,2,3\n")
    (tmp_path / "CartPole-v1").mkdir()
    (tmp_path / "CartPole-v1" / "args.yml").write_text("a: [")
    with pytest.raises(UsageError, match="cannot be read: while parsing"):
        read_folder(tmp_path)
    code = "!!python/object/apply:os.system ['touch harm']"
    (tmp_path / "CartPole-v1" / "args.yml").write_text(code)
    (run,) = read_folder(tmp_path)
    assert run.seed is None
    assert not Path("harm").exists()


def test_logs_of_several_environments_are_no_run(tmp_path):
    write_log(tmp_path, HEADER + "r,l,t\n1,2,3\n")
    write_log(tmp_path, HEADER.replace("Cart", "Stick") + "r,l,t\n1,2,3\n", "1.monitor.csv")
    with pytest.raises(UsageError, match="logs of several environments: \\['CartPole-v1', 'Stick"):
        read_folder(tmp_path)


def test_seeds_of_unknown_length_are_one_core():
    def unsaid(core, seed, last):
        return replace(record(core, seed, total=last), total=None)

    runs = [unsaid("lstm-h8", 0, 1000.0), unsaid("lstm-h8", 1, 990.0), unsaid("gru-h8", 0, 1010.0)]
    comparison = compare(runs)
    assert {core: len(arm.records) for (_, core), arm in comparison.arms.items()} == {
        "lstm": 2,
        "gru": 1,
    }
    assert all(arm.limit == 990 for arm in comparison.arms.values())
    assert not any("compared up to" in problem for problem in comparison.problems)
    longer = compare([*runs, unsaid("rim-h8", 0, 2000.0)])
    assert "CartPole-v1: compared up to 990 agent steps, though some had more: rim 2,000" in (
        longer.problems
    )

"""Evaluation from the command line: scores, files, videos, refusals."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import imageio.v2 as imageio
import numpy as np
import pytest
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.envs import FakeImageEnv
from stable_baselines3.common.vec_env import VecNormalize

from rims_rl.evaluate import main
from rims_rl.runs.wandb_log import log_records
from rims_rl.train import main as train
from rims_rl.training import evaluation


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "r"
    argv = ["--env", "CartPole-v1", "--n-envs", "4", "--n-steps", "16", "--hidden-size", "12"]
    argv += ["--total-timesteps", "64", "--track", "off", "--device", "cpu"]
    assert train([*argv, "--eval-episodes", "2", "--run-dir", str(folder)]) == 0
    return folder


def results(folder):
    files = sorted((folder / "evaluations").glob("*.json"), key=lambda path: path.stat().st_mtime)
    return json.loads(files[-1].read_text())


def test_scores_and_file(trained, capsys):
    assert main([str(trained), "--episodes", "5", "--seed", "1"]) == 0
    out = capsys.readouterr().out
    result = results(trained)
    assert len(result["returns"]) == 5
    assert result["returns"] == [float(length) for length in result["lengths"]]
    assert result["timesteps"] == 64
    assert result["summary"]["mean"] == pytest.approx(sum(result["returns"]) / 5)
    assert f"{result['summary']['mean']:.2f}" in out
    assert "interquartile mean" in out
    assert main([str(trained), "--episodes", "5", "--seed", "1"]) == 0
    assert results(trained)["returns"] == result["returns"]


def test_best_final_and_bare_models(trained, tmp_path):
    assert main([str(trained), "--episodes", "1", "--checkpoint", "best", "--deterministic"]) == 0
    assert results(trained)["model"].endswith("best_model.zip")
    shutil.copy(trained / "model.zip", tmp_path)
    argv = [str(tmp_path / "model.zip"), "--episodes", "1"]
    assert main(argv) == 2
    assert main([*argv, "--env", "CartPole-v1"]) == 0
    assert results(tmp_path)["summary"]["episodes"] == 1


def test_killed_run_is_evaluated_from_its_checkpoint(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "killed")
    (tmp_path / "killed" / "model.zip").unlink()
    assert main([str(tmp_path / "killed"), "--episodes", "1"]) == 0


def test_a_damaged_checkpoint_leaves_the_model_that_the_run_ended_with(trained, tmp_path):
    run = tmp_path / "damaged"
    shutil.copytree(trained, run)
    newest = max((run / "checkpoints").glob("step-*.zip"))
    newest.write_bytes(newest.read_bytes()[:1000])
    assert len(list((run / "checkpoints").glob("step-*.zip"))) > 1
    assert main([str(run), "--episodes", "1"]) == 0
    assert results(run)["model"].endswith("model.zip")
    (run / "model.zip").write_bytes(b"no zip either")
    assert main([str(run), "--episodes", "1"]) == 0
    assert "step-" in results(run)["model"]


def test_video_is_as_long_as_the_game(trained, tmp_path, capsys):
    path = tmp_path / "films" / "v.mp4"
    assert main([str(trained), "--episodes", "1", "--video", str(path)]) == 0
    frames = imageio.mimread(path)
    assert f"({len(frames)} steps)" in capsys.readouterr().out


def test_what_draws_no_pictures_is_refused_before_it_is_played(tmp_path, capsys):
    argv = ["--env", "popgym-RepeatFirstEasy-v0", "--n-envs", "2", "--n-steps", "4"]
    argv += ["--n-minibatches", "1", "--total-timesteps", "8", "--eval-every", "0"]
    assert train([*argv, "--track", "off", "--run-dir", str(tmp_path / "r")]) == 0
    capsys.readouterr()
    assert main([str(tmp_path / "r"), "--video", str(tmp_path / "v.gif")]) == 2
    told = capsys.readouterr()
    assert "draws no pictures" in told.err
    assert not told.out


def test_images_with_channels_last_are_turned_as_in_training(tmp_path):
    gym.register("Photo-v0", lambda **_: FakeImageEnv(screen_height=36, screen_width=36))
    argv = ["--env", "Photo-v0", "--n-envs", "2", "--n-steps", "4", "--n-minibatches", "1"]
    argv += ["--total-timesteps", "8", "--eval-every", "0", "--hidden-size", "12"]
    assert train([*argv, "--track", "off", "--run-dir", str(tmp_path / "r")]) == 0
    assert main([str(tmp_path / "r"), "--episodes", "2"]) == 0


def test_a_policy_of_sb3_contrib_plays_and_is_filmed(tmp_path):
    video, file = tmp_path / "v.mp4", tmp_path / "stock.zip"
    RecurrentPPO("MlpLstmPolicy", "CartPole-v1", n_steps=8).save(file)
    argv = [str(file), "--env", "CartPole-v1", "--episodes", "1", "--video", str(video)]
    assert main([*argv, "--video-steps", "3"]) == 0
    assert len(imageio.mimread(video)) == 3


def test_success_rate_where_the_environment_has_one(tmp_path):
    argv = ["--env", "MiniGrid-Empty-5x5-v0", "--n-envs", "4", "--n-steps", "8"]
    argv += ["--hidden-size", "12", "--total-timesteps", "32", "--eval-every", "0"]
    assert train([*argv, "--track", "off", "--run-dir", str(tmp_path / "r")]) == 0
    other = "MiniGrid-Empty-6x6-v0"
    video = tmp_path / "v.gif"
    argv = [str(tmp_path / "r"), "--env", other, "--episodes", "2", "--video", str(video)]
    assert main([*argv, "--video-steps", "5"]) == 0
    result = results(tmp_path / "r")
    assert (result["env"], result["trained_in"]) == (other, "MiniGrid-Empty-5x5-v0")
    assert 0 <= result["summary"]["success_rate"] <= 1
    assert len(imageio.mimread(video)) <= 5


def test_a_model_is_found_by_the_name_it_was_saved_by_and_results_go_where_they_are_to(trained):
    copy = trained.parent / "a model"
    copy.with_suffix(".zip").write_bytes((trained / "model.zip").read_bytes())
    argv = [str(copy), "--env", "CartPole-v1", "--episodes", "1"]
    assert main([*argv, "--out", str(trained.parent / "found" / "here")]) == 0
    (file,) = (trained.parent / "found" / "here").iterdir()
    assert json.loads(file.read_text())["model"] == str(copy.with_suffix(".zip"))
    assert not (trained.parent / "evaluations").exists()


def test_results_are_there_before_a_video_that_is_interrupted(trained, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluation, "film", interrupted)
    argv = [str(trained), "--episodes", "1", "--video", str(trained / "v.gif")]
    assert main([*argv, "--video-steps", "2"]) == 130
    out, err = capsys.readouterr()
    (file,) = (line.removeprefix("written ") for line in out.splitlines() if "written " in line)
    assert Path(file).exists()
    assert "interrupted; nothing more is written" in err


REFUSED = {
    "other observations": (["--env", "Acrobot-v1"], "observation space"),
    "unknown env": (["--env", "CartPol-v1"], "CartPole-v1"),
    "option": (["--episode", "3"], "--episodes"),
    "type": (["--episodes", "three"], "expected int"),
    "none": (["--episodes", "0"], "at least 1"),
    "both": (["--stochastic", "--deterministic"], "exclude"),
    "video": (["--video", "v.avi"], ".mp4"),
    "folder": (["--video", "/no-such-folder/v.mp4"], "no such folder: /no-such-folder"),
    "checkpoint of a model": (["--checkpoint", "best"], "is a model, not the folder of a run"),
    "checkpoint": (["--checkpoint", "newest"], "final, best"),
}


@pytest.mark.parametrize(("argv", "words"), REFUSED.values(), ids=REFUSED)
def test_refusal_is_one_line_and_writes_nothing(trained, argv, words, capsys):
    before = sorted(trained.rglob("*"))
    run = trained / "model.zip" if "is a model" in words else trained
    assert main([str(run), *argv]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert sorted(trained.rglob("*")) == before


def test_no_run_and_damaged_model(tmp_path, capsys):
    assert main([]) == 2
    assert main([str(tmp_path / "none")]) == 2
    assert main([str(tmp_path)]) == 2
    (tmp_path / "model.zip").write_bytes(b"no zip")
    assert main([str(tmp_path / "model.zip"), "--env", "CartPole-v1"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert "damaged" in lines[-1]
    (tmp_path / "model.zip").rename(tmp_path / "CartPole-v1.zip")
    assert main([str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "holds no model" in line
    assert "CartPole-v1.zip" in line


def test_module_runs(trained):
    command = [sys.executable, "-m", "rims_rl.evaluate", str(trained), "--episodes", "1"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert Path(result.stdout.split()[-1]).is_file()


def test_tracked_offline_as_a_run_of_its_own(trained, tmp_path, capsys):
    folder = tmp_path / "tracked"
    shutil.copytree(trained, folder)
    assert main([str(folder), "--episodes", "2", "--track", "offline"]) == 0
    assert "wandb sync" in capsys.readouterr().out
    (log,) = folder.glob("wandb/offline-run-*/*.wandb")
    text = json.dumps(list(log_records(log)))
    for words in ("CartPole-v1__rim", "k6-4", "eval/mean", "eval/iqm"):
        assert words in text
    assert '"eval"' in text
    bare = tmp_path / "bare"
    bare.mkdir()
    shutil.copy(trained / "model.zip", bare)
    argv = [str(bare / "model.zip"), "--env", "CartPole-v1", "--track", "offline"]
    assert main(argv) == 2
    assert "is not a run folder" in capsys.readouterr().err


def test_what_lies_beside_a_bare_model_may_be_anybodys(trained, tmp_path):
    shutil.copy(trained / "model.zip", tmp_path)
    (tmp_path / "config.yaml").write_text("project: another\n")
    (tmp_path / "model.json").write_text('["a list"]')
    argv = [str(tmp_path / "model.zip"), "--episodes", "1", "--env", "CartPole-v1"]
    assert main(argv) == 0
    (tmp_path / "model.json").write_text("{no: [json")
    assert main(argv) == 0
    assert main([*argv, "--track", "offline"]) == 2


def test_a_checkpoint_of_a_run_says_its_environment(trained):
    file = max(trained.glob("checkpoints/*.zip"))
    assert main([str(file), "--episodes", "1"]) == 0
    assert results(trained)["model"] == str(file)


def test_a_copied_model_tells_that_it_needs_its_scales(tmp_path, capsys):
    scaled = ["--env", "CartPole-v1", "--normalize-observations", *LEAST]
    assert train([*scaled, "--run-dir", str(tmp_path / "r")]) == 0
    shutil.copy(tmp_path / "r" / "model.zip", tmp_path / "copy.zip")
    capsys.readouterr()
    assert main([str(tmp_path / "copy.zip"), "--env", "CartPole-v1", "--episodes", "1"]) == 0
    assert "was trained with normalised observations" in capsys.readouterr().err


@pytest.mark.parametrize("normalizes", [True, False])
def test_models_of_others_tell_that_they_may_need_their_scales(normalizes, tmp_path, capsys):
    plain = make_vec_env("CartPole-v1", 2)
    env = VecNormalize(plain)
    used = env if normalizes else plain
    model = RecurrentPPO("MlpLstmPolicy", used, n_steps=8, policy_kwargs={"lstm_hidden_size": 4})
    model.learn(16)
    zoo = tmp_path / "ppo_lstm" / "CartPole-v1_1"
    model.save(zoo / "CartPole-v1")
    argv = [str(zoo / "CartPole-v1.zip"), "--env", "CartPole-v1", "--episodes", "1"]
    assert main(argv) == 0
    assert ("was trained under VecNormalize" in capsys.readouterr().err) == normalizes
    if not normalizes:  # another model's statistics may lie beside it
        VecNormalize(env).save(str(zoo / "vecnormalize.pkl"))
        assert main(argv) == 0
        told = capsys.readouterr()
        assert "vecnormalize.pkl is not used, as" in told.err
        assert "normalised by" not in told.out
        return
    # Where the Zoo puts them.
    (zoo / "CartPole-v1").mkdir()
    (zoo / "CartPole-v1" / "args.yml").write_text("{}")
    env.save(str(zoo / "CartPole-v1" / "vecnormalize.pkl"))
    assert main(argv) == 0
    assert "was trained" not in capsys.readouterr().err
    newest = max(zoo.rglob("evaluations/*.json"), key=os.path.getmtime)
    assert json.loads(newest.read_text())["normalized_by"].endswith("vecnormalize.pkl")


def test_a_reader_of_what_is_printed_may_have_enough(trained):
    command = f"{sys.executable} -m rims_rl.inspect {trained} --episodes 1 --steps 5"
    argv = ["bash", "-c", f"{command} | true; exit ${{PIPESTATUS[0]}}"]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    result = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
    assert (result.returncode, result.stderr) == (1, "")


class Remembering(gym.Wrapper):
    """CartPole that shows the last action and reward itself."""

    def __init__(self, env):
        super().__init__(env)
        box = gym.spaces.Box(-9, 9, (1,))
        self.observation_space = gym.spaces.Dict(
            pole=env.observation_space, last_action=box, last_reward=box
        )

    def _shown(self, pole, action, reward):
        last = np.array([[action], [reward]], np.float32)
        return {"pole": pole, "last_action": last[0], "last_reward": last[1]}

    def reset(self, **kwargs):
        pole, info = super().reset(**kwargs)
        return self._shown(pole, 0, 0), info

    def step(self, action):
        pole, reward, *rest = super().step(action)
        return self._shown(pole, action, reward), reward, *rest


class Dark(gym.Wrapper):
    """CartPole that takes a render mode and draws nothing."""

    def __init__(self, render_mode=None, says_so=True):
        super().__init__(gym.make("CartPole-v1"))
        self.unwrapped.render_mode = None if says_so else render_mode

    def render(self):
        return None


LEAST = ("--n-envs", "2", "--n-steps", "4", "--n-minibatches", "1", "--total-timesteps", "8",
         "--eval-every", "0", "--hidden-size", "12", "--track", "off")  # fmt: skip


def test_an_environment_that_shows_the_last_action_itself_is_played(tmp_path):
    gym.register("Remembering-v0", lambda **kw: Remembering(gym.make("CartPole-v1", **kw)))
    for name, argv in (("own", ["--env", "Remembering-v0"]),
                       ("ours", ["--env", "CartPole-v1", "--observe-last-action"])):  # fmt: skip
        folder = str(tmp_path / name)
        assert train([*argv, *LEAST, "--run-dir", folder]) == 0
        assert main([folder, "--episodes", "1"]) == 0


class Headless(gym.Wrapper):
    """CartPole that refuses to be drawn as Gymnasium's documentation has it."""

    def __init__(self, render_mode=None):
        assert render_mode in (None, "human")
        super().__init__(gym.make("CartPole-v1"))


def test_what_refuses_to_be_drawn_is_told(tmp_path, capsys):
    gym.register("Headless-v0", lambda **kwargs: Headless(**kwargs))
    assert train(["--env", "Headless-v0", *LEAST, "--run-dir", str(tmp_path / "r")]) == 0
    capsys.readouterr()
    assert main([str(tmp_path / "r"), "--video", str(tmp_path / "v.gif")]) == 2
    assert "--video: Headless-v0 draws no pictures" in capsys.readouterr().err


@pytest.mark.parametrize("says_so", [True, False])
def test_what_takes_a_render_mode_and_draws_nothing_is_refused_at_once(says_so, tmp_path, capsys):
    name = f"Dark{says_so}-v0"
    gym.register(name, lambda **kw: Dark(**kw, says_so=says_so))
    assert train(["--env", name, *LEAST, "--run-dir", str(tmp_path / "r")]) == 0
    capsys.readouterr()
    assert main([str(tmp_path / "r"), "--video", str(tmp_path / "v.gif")]) == 2
    told = capsys.readouterr()
    assert f"--video: {name} draws no pictures; leave it out" in told.err
    assert not told.out

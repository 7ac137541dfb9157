"""A look inside an agent: what is written of a game, scores without a RIM, refusals."""

import functools
import json
import shutil
from pathlib import Path

import gymnasium as gym
import imageio.v2 as imageio
import numpy as np
import pytest
import torch
from PIL import Image
from sb3_contrib import RecurrentPPO

from rims_rl.inspect import main
from rims_rl.train import main as train
from rims_rl.training import inspection, inspection_picture
from rims_rl.training.evaluation import game_of
from rims_rl.training.inspection import Stage, activity, scores_without, trace_game
from rims_rl.training.loading import load_trained

pytestmark = pytest.mark.usefixtures("in_empty_folder")

TINY = ("--n-envs", "2", "--n-steps", "8", "--n-minibatches", "1", "--n-epochs", "1",
        "--hidden-size", "24", "--device", "cpu", "--eval-every", "0", "--track", "off",
        "--total-timesteps", "16", "--run-dir", "r")  # fmt: skip


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Trains agents on CartPole, one for all tests with the same options."""

    @functools.cache
    def folder_of(*options):
        folder = tmp_path_factory.mktemp("agent") / "r"
        argv = ["--env", "CartPole-v1", *TINY, *options, "--run-dir", str(folder)]
        assert train(argv) == 0
        return folder

    return folder_of


def stage(env, folder="r", options=()):
    assert train(["--env", env, *TINY, *options, "--run-dir", folder]) == 0
    trained = load_trained(Path(folder), "final", "cpu")
    return Stage(trained, *game_of(trained, env, {}), seed=0, deterministic=False)


def test_picture_numbers_and_video(capsys):
    assert train(["--env", "MinAtar/Breakout-v1", *TINY]) == 0
    assert main(["r", "--episodes", "2", "--video", "v/game.gif"]) == 0
    out = capsys.readouterr().out
    (folder,) = Path("r/inspection").glob("MinAtar_Breakout-v1-step-*")
    numbers = json.loads((folder / "inspection.json").read_text())
    assert list(numbers["held inactive"]) == ["none", *(f"RIM {k}" for k in range(1, 7))]
    assert all(summary["episodes"] == 2 for summary in numbers["held inactive"].values())
    assert sum(numbers["share of steps each RIM is active"]["whole game"]) == pytest.approx(4)
    assert f"mean return {numbers['held inactive']['RIM 3']['mean']:.4g}" in out
    assert np.asarray(Image.open(folder / "inspection.png").convert("L")).std() > 10
    assert len(imageio.mimread("v/game.gif")) == numbers["steps"]


def test_a_trace_is_the_game():
    trace = trace_game(stage("MinAtar/Breakout-v1"), 1000)
    steps = len(trace.rewards)
    assert trace.attention is not None
    assert trace.communication is not None
    assert trace.active.shape == trace.attention.shape == (steps, 6)
    assert trace.communication.shape == (steps, 6, 6)
    assert (trace.active.sum(1) == 4).all()
    readers = trace.communication.sum(-1)
    np.testing.assert_allclose(readers[trace.active], 1, rtol=1e-5)
    assert not readers[~trace.active].any()
    assert np.array_equal(trace.events["reward"], trace.rewards > 0)


def test_places_are_weighed_where_rims_read_them_one_by_one():
    actor = stage("MinAtar/Breakout-v1", options=["--spatial-input"])
    trace = trace_game(actor, 1000)
    assert trace.places is not None
    assert trace.places.shape == (len(trace.rewards), 6, 8, 8)
    np.testing.assert_allclose(trace.places.sum((2, 3)), 1, rtol=1e-5)
    maps = inspection_picture.draw(trace, None, "a game").subfigs[2].axes
    drawn = np.asarray(maps[2].images[0].get_array())
    np.testing.assert_allclose(drawn, trace.places[trace.active[:, 2], 2].mean(0))
    assert trace_game(stage("CartPole-v1", "vector"), 9).places is None


def test_lost_lives_are_events():
    trace = trace_game(stage("BreakoutNoFrameskip-v4"), 600)
    assert 1 <= trace.events["life lost"].sum() <= 4
    assert "around life lost" in activity(trace)


def test_another_room_is_an_event(monkeypatch):
    """The agent takes the key that lies behind the door to its west, and comes back."""
    actor = stage("MiniGrid-KeyCorridorS3R1-v0", "rooms")
    env = actor.make_env(1)
    env.reset()
    (level,) = env.get_attr("unwrapped")
    env.close()
    do, west = level.actions, 2
    turns = [do.left] * ((level.agent_dir - west) % 4)
    there, back = [do.toggle, do.forward, do.pickup, do.forward], [do.left, do.left, do.forward]
    actions = iter(turns + there + back)
    predict = actor.trained.model.predict

    def scripted(*given):
        return np.array([next(actions)]), predict(*given)[1]

    monkeypatch.setattr(actor.trained.model, "predict", scripted)
    trace = trace_game(actor, len(turns + there + back))
    expected = [len(turns + there) - 1, len(turns + there + back) - 1]
    assert np.flatnonzero(trace.events["room"]).tolist() == expected


def test_the_score_is_the_games_and_rooms_are_known():
    trace = trace_game(stage("SpaceInvadersNoFrameskip-v4"), 2000)
    assert trace.score is not None
    assert trace.score > trace.rewards.sum() > 0  # which are clipped
    env = stage("MiniGrid-MultiRoom-N2-S4-v0", "rooms").make_env(1)
    env.reset()
    assert inspection._room(env) is not None
    env.close()


def test_each_active_step_is_drawn_in_its_width():
    active = np.array([False, True, False, True, True])
    assert inspection_picture._stretches(active) == [(0.5, 1), (2.5, 2)]
    assert inspection_picture._stretches(~active) == [(-0.5, 1), (1.5, 1)]


def test_without_a_rim_it_is_never_active_and_later_again():
    actor = stage("CartPole-v1")
    masks, holding = [], []

    def keep(core, given, found):
        held = core.input_attention.held
        holding.append(() if held is None else tuple(held.nonzero().flatten().tolist()))
        masks.append(found[2].active_mask)

    actor.policy.lstm_actor.register_forward_hook(keep)
    scores = scores_without(actor, 2)
    assert [len(games.returns) for games in scores.values()] == [2] * 7
    assert list(dict.fromkeys(holding)) == [(), (0,), (1,), (2,), (3,), (4,), (5,)]
    for mask, held in zip(masks, holding, strict=True):
        assert not mask[..., held].any()
    never = ~torch.stack([mask[-1].any(0) for mask in masks]).any(0)
    assert not never.any()
    actor.policy.lesion([1])
    masks.clear()
    trace_game(actor, 20)
    assert not torch.stack([mask[-1] for mask in masks])[..., 1].any()


def test_steps_seed_and_folder_are_those_that_are_asked_for():
    assert train(["--env", "CartPole-v1", *TINY]) == 0
    argv = ["r", "--episodes", "0", "--steps", "6"]
    for seed in (0, 1):
        assert main([*argv, "--seed", str(seed), "--out", f"o{seed}"]) == 0
    assert not Path("r/inspection").exists()
    first, second = (json.loads(Path(f"o{seed}/inspection.json").read_text()) for seed in (0, 1))
    assert first["steps"] == second["steps"] == 6
    pictures = [Path(f"o{seed}/inspection.png").read_bytes() for seed in (0, 1)]
    assert pictures[0] != pictures[1]


REFUSED = {
    "nothing there": ([], ["nowhere"], "nowhere"),
    "no RIMs": (["--core", "lstm"], ["r"], "core 'lstm' has no RIMs"),
    "all active": (["--num-active", "6"], ["r", "--out", "o"], "--episodes 0 leaves scores out"),
    "episodes": ([], ["r", "--episodes", "-1"], "--episodes must be at least 0, got -1"),
    "video": ([], ["r", "--video", "v.avi"], "--video v.avi: the name must end in .mp4 or .gif"),
    "a folder": ([], ["r", "--video", "v.mp4"], "--video v.mp4 is a folder"),
    "another game": ([], ["r", "--env", "Acrobot-v1"], "cannot play Acrobot-v1"),
    "a seed too large": ([], ["r", "--seed", "99999999999"], "--seed must be from 0 to"),
    "no env": ([], ["r", "--env", "CartPole-v7"], "did you mean"),
}


@pytest.mark.parametrize(("options", "argv", "words"), REFUSED.values(), ids=REFUSED)
def test_refusal_is_one_line(options, argv, words, trained, capsys):
    shutil.copytree(trained(*options), "r")
    Path("v.mp4").mkdir()
    capsys.readouterr()
    assert main([*argv, "--steps", "5"]) == 2
    assert words in capsys.readouterr().err.strip().splitlines()[-1]
    assert not Path("o").exists()


def test_a_policy_of_sb3_contrib_has_no_rims(capsys):
    RecurrentPPO("MlpLstmPolicy", "CartPole-v1", n_steps=8).save("stock.zip")
    assert main(["stock.zip", "--env", "CartPole-v1"]) == 2
    assert "core 'lstm' has no RIMs" in capsys.readouterr().err


def test_filming_a_game_does_not_change_it():
    actor = stage("CartPole-v1")
    masks = []
    filmed = trace_game(actor, 20, lambda _, active: masks.append(active))
    plain = trace_game(actor, 20)
    np.testing.assert_array_equal(filmed.attention, plain.attention)
    np.testing.assert_array_equal(masks, plain.active)


class Keyhole(gym.Wrapper):
    """CartPole as four planes of 3 x 3, of which a convolution sees one place."""

    def __init__(self, env):
        super().__init__(env)
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (4, 3, 3))

    def _seen(self, values):
        return np.broadcast_to(values[:, None, None], (4, 3, 3)).astype(np.float32)

    def reset(self, **kwargs):
        values, info = super().reset(**kwargs)
        return self._seen(values), info

    def step(self, action):
        values, *rest = super().step(action)
        return self._seen(values), *rest


def test_a_map_of_a_single_place_has_nothing_to_weigh():
    gym.register("Keyhole-v0", lambda **kw: Keyhole(gym.make("CartPole-v1", **kw)))
    options = ["--spatial-input", "--features-dim", "8"]
    assert trace_game(stage("Keyhole-v0", options=options), 9).places is None


def test_settings_of_the_environment_are_taken():
    assert train(["--env", "CartPole-v1", *TINY]) == 0
    assert main(["r", "--episodes", "0", "--env-kwargs", "{sutton_barto_reward: true}"]) == 0
    (numbers,) = Path("r/inspection").glob("CartPole-v1-*/inspection.json")
    assert json.loads(numbers.read_text())["return"] == -1


def test_ctrl_c_promises_no_checkpoints(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    assert train(["--env", "CartPole-v1", *TINY]) == 0
    monkeypatch.setattr("rims_rl.inspect.trace_game", interrupted)
    assert main(["r"]) == 130
    assert "interrupted; nothing more is written" in capsys.readouterr().err

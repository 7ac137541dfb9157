"""The video figures from nothing with the least budgets there are."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rims_rl.experiments.store import Runs
from rims_rl.figures import main
from rims_rl.published.catalogue import FIGURES
from rims_rl.tasks import video_models
from rims_rl.tasks.balls import figure_models as ball_models
from rims_rl.tasks.balls.ablations import ablations
from rims_rl.tasks.balls.masked_encoders import correlations, ink_of_strips
from rims_rl.tasks.drawing.rollouts import roll_out, true_frames, video_model, video_task
from rims_rl.tasks.drawing.styles import model_curves, model_name
from rims_rl.tasks.models import param_count
from rims_rl.tasks.moving_mnist.figures import masking_effects
from rims_rl.tasks.partial_view import figures as partial_view
from rims_rl.tasks.registry import make_task
from rims_rl.tasks.video_models import StripEncoders
from rims_rl.tasks.wanted import planned, wanted

TINY = {
    "hidden_size": 12, "epochs": 1, "batch_size": 2, "train_size": 2, "valid_size": 2,
    "test_size": 3, "device": "cpu",
}  # fmt: skip
BALLS = {**TINY, "num_rims": 3, "num_active": 2, "frames": 8, "given": 4}
ARGUMENTS = ("--quick", "--jobs", "1", "--runs", "r", "--out", "o")
VIDEO_FIGURES = (3, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 22, 23, 24, 25)
#: Of the paper's encoders, which `_tiny` makes smaller.
FEATURES = video_models.FEATURES
#: Examples that no number of the paper goes with.
STRIPS = ("fig7", "fig9", "fig11", "fig12", "fig16")


@pytest.fixture(autouse=True)
def _tiny(monkeypatch, tiny_quick, few_features):
    monkeypatch.setattr(ball_models, "_QUICK_LSTM", {250: 8, 512: 10})
    views = {**TINY, "num_rims": 3, "num_active": 2, "slots": 3, "frames": 4, "views": 2}
    videos = {**TINY, "hidden_size": 20, "frames": 8, "given": 4}
    tiny_quick({"balls": BALLS, "partial-view": views, "moving-mnist": videos})


@pytest.fixture
def runs(tmp_path):
    return Runs(tmp_path / "r", [0], quick=True)


def make(name):
    """The output of a figure: the JSON, checked, and a picture that is no empty one."""
    assert main([name, *ARGUMENTS]) == 0
    pixels = np.asarray(Image.open(Path("o", f"{name}.png")).convert("RGB"))
    assert 600 < pixels.shape[1] < 2_600
    assert 300 < pixels.shape[0] < 2_600
    assert (pixels < 250).any(-1).mean() > 0.03
    text = Path("o", f"{name}.json").read_text()
    assert "NaN" not in text
    assert "claim" in json.loads(text)["paper"] or name in STRIPS
    return json.loads(text)["numbers"]


def stored_metrics():
    return [json.loads(path.read_text())["metrics"] for path in Path("r").rglob("results.json")]


def test_the_catalogue_has_them_all():
    assert {f"fig{number}" for number in VIDEO_FIGURES} <= set(FIGURES)


def test_figure_3_has_four_panels_and_the_partial_view():
    *panels, (_, f1) = make("fig3").items()
    assert [title for title, _ in panels] == [e.title for e in ball_models.EXPERIMENTS]
    for (_, panel), experiment in zip(panels, ball_models.EXPERIMENTS, strict=True):
        stored = [m.get(f"rollout_bce_{experiment.test_set}") for m in stored_metrics()]
        assert len(panel["bce"]) == 2
        for curve in panel["bce"].values():
            assert curve["x"] == list(range(1, 8))
            assert curve["center"] in stored
    names = [name.split(",")[0].split()[0] for name in f1]
    assert names == ["RIM", "LSTM", "RMC", "oracle"]
    assert f1["oracle (TTO)"]["center"] == [1.0] * 6
    assert make("fig13")["f1"] == f1


@pytest.mark.parametrize(
    ("name", "first"), [("fig8", 3), pytest.param("fig10", 1, marks=pytest.mark.slow)]
)
def test_figures_8_and_10_roll_out_15_frames_of_three_models(name, first, tiny_quick):
    tiny_quick({"balls": {"frames": 25, "given": 8}})
    for panel in make(name).values():
        assert len(panel["bce"]) == 3
        for label, curve in panel["bce"].items():
            assert curve["x"] == list(range(first, 24))
            rolled = curve["center"][-15:]
            assert panel["mean_rolled_out_bce"][label] == [pytest.approx(np.mean(rolled))]


def test_a_figure_draws_what_is_stored(runs, capsys):
    runs.prepare([ball_models.rim("6-8")])
    capsys.readouterr()
    assert main(["fig3", *ARGUMENTS, "--train", "none"]) == 0
    *panels, f1 = json.loads(Path("o/fig3.json").read_text())["numbers"].values()
    label = "RIM 3/2, 12 units, 0.38M weights"
    assert [list(panel["bce"]) for panel in panels] == [[], [], [label], []]
    assert f1 == {}
    for name in ("fig8", "fig10"):
        assert main([name, *ARGUMENTS, "--train", "none"]) == 0
    assert main(["fig13", *ARGUMENTS, "--train", "none"]) == 2
    refusal = capsys.readouterr().err
    assert "nothing is stored, and 'none' matches none of: partial-view, rim" in refusal
    assert len(refusal.splitlines()) == 1


def test_strips_and_losses_are_drawn_of_what_is_stored(runs):
    runs.prepare([ball_models.rim("4")])
    assert main(["fig9", *ARGUMENTS, "--train", "none"]) == 0
    assert len(json.loads(Path("o/fig9.json").read_text())["numbers"]) == 2
    assert main(["fig15", *ARGUMENTS, "--seeds", "2", "--train", "none"]) == 0
    curves = json.loads(Path("o/fig15.json").read_text())["numbers"]["training loss"]
    assert list(curves) == ["normal (1 of 2 seeds)"]


def test_a_model_keeps_its_colour_where_others_are_missing(runs):
    models = [ball_models.lstm("4", size) for size in (250, 512)]
    runs.prepare(models[1:])
    (alone,) = model_curves(runs, models, lambda run: [0.0])
    runs.prepare(models)
    _, beside = model_curves(runs, models, lambda run: [0.0])
    assert (alone.label, alone.colour) == (beside.label, beside.colour)


def test_figure_9_shows_two_models_on_two_sets(runs):
    numbers = make("fig9")
    assert len(numbers) == 4
    first = next(iter(numbers.values()))
    (model,) = runs.every_seed(ball_models.rim("4"))
    one = video_task(model).rollout_bce(video_model(model), video_task(model).test_videos("4")[:1])
    assert first["bce_of_this_video"] == pytest.approx(one)
    assert first[f"mean_bce_of_{len(one[4:])}_rolled_out_frames"] == pytest.approx(np.mean(one[4:]))


@pytest.mark.parametrize(
    ("name", "sets"),
    [
        ("fig7", ["4", "4-curtain"]),
        ("fig11", ["3-curtain", "3-curtain"]),
        ("fig12", ["6-8", "4"]),
        ("fig16", ["4", "4", "4-curtain", "4-curtain"]),
    ],
)
def test_strips_are_of_the_right_sets(name, sets):
    numbers = make(name)
    assert [strip["test_set"] for strip in numbers.values()] == sets
    assert {strip["video"] for strip in numbers.values()} == ({0, 1} if name == "fig11" else {0})


def test_figure_15_follows_the_training(tiny_quick):
    tiny_quick({"balls": {"frames": 11}})
    numbers = make("fig15")
    (model,) = Runs(Path("r"), [0], quick=True).every_seed(ball_models.rim("4"))
    task = video_task(model)
    task.prepare()
    rolled = task.rollout_bce(video_model(model), task.valid_videos)[4:]
    with (model.folder / "progress.csv").open(newline="") as file:
        (written,) = csv.DictReader(file)
    found = {title: curves["normal"]["center"] for title, curves in numbers.items()}
    assert found == {
        "training loss": [pytest.approx(float(written["train/loss"]))],
        "frame 4 of the rollout": [pytest.approx(rolled[3])],
        "frame 5 of the rollout": [pytest.approx(rolled[4])],
    }
    assert all(list(c) == ["normal", "one head", "no input attention"] for c in numbers.values())


@pytest.mark.parametrize(
    ("name", "rims", "active"), [("fig22", 4, 3), ("fig23", 5, 2), ("fig24", 5, 3), ("fig25", 5, 4)]
)
def test_figures_22_to_25_mask_each_rim(name, rims, active):
    seed = make(name)["seed 0"]
    assert list(seed) == ["no RIM masked", *(f"RIM {n} masked" for n in range(1, rims + 1))]
    (run,) = json.loads(Path("o", f"{name}.json").read_text())["runs"].values()
    assert (run["config"]["num_rims"], run["config"]["num_active"]) == (rims, active)


def test_figure_6_draws_strips_and_correlations():
    numbers = make("fig6")
    assert numbers["epochs"] == [0.0, 1.0]
    by_rim = np.array(numbers["correlation_of_each_rim"]["seed 0"])
    assert by_rim.shape == (2, 3)
    np.testing.assert_allclose(numbers["mean"]["center"], by_rim.mean(1))


def test_ink_is_that_of_the_strip_a_rim_sees(runs):
    (run,) = runs.every_seed(ball_models.rim("4", own_strips=True, keep_checkpoints=9))
    model = video_model(run)
    assert isinstance(model.encoder, StripEncoders)
    frames = true_frames(run, "4", slice(2))
    ink = ink_of_strips(model, frames)
    strips = model.encoder.strips(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
    np.testing.assert_allclose(ink, strips.sum(dim=(3, 4, 5)).numpy(), rtol=1e-5)
    epochs, values = correlations(run)
    assert epochs == [0.0, 1.0]
    assert np.all(np.abs(values) <= 1)


def test_masking_hides_a_rim_and_is_compared_with_no_mask(runs):
    (run,) = runs.every_seed(wanted("moving-mnist", {"num_rims": 4, "num_active": 3}))
    effects = masking_effects(run)
    task, hidden = video_task(run), video_model(run)
    with torch.no_grad():
        masked = task.rollout_bce(hidden, task.test_videos("2"), 2)
        whole = task.rollout_bce(hidden, task.test_videos("2"))
    assert effects["RIM 3 masked"]["rolled_out_bce"] == pytest.approx(np.mean(masked[4:]))
    assert effects["RIM 3 masked"]["true_frames_bce"] == pytest.approx(np.mean(masked[:4]))
    ratio = np.mean(masked[4:]) / np.mean(whole[4:])
    assert effects["RIM 3 masked"]["times_unmasked"] == pytest.approx(ratio)
    assert effects["no RIM masked"]["times_unmasked"] == 1.0


def test_true_frames_to_the_end_is_the_one_step_prediction(runs):
    (run,) = runs.every_seed(ball_models.rim("4"))
    only_true, rolled = (roll_out(run, "4", 1, only_true=only) for only in (True, False))
    videos = video_task(run).test_videos("4")[1:2]
    assert np.mean(only_true.bce) == pytest.approx(video_task(run).bce(video_model(run), videos))
    np.testing.assert_allclose(only_true.predicted[:4], rolled.predicted[:4], atol=1e-6)
    assert not np.allclose(only_true.predicted[5:], rolled.predicted[5:], atol=1e-6)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (ball_models.rim("4"), "RIM 6/4, 600 units"),
        (ablations()["no input attention"], "RIM 6/6, 600 units"),
        (ball_models.lstm("4", 250), "LSTM, 250 units"),
    ],
)
def test_names_say_how_many_rims_are_active(model, name, tmp_path):
    config = planned(Runs(tmp_path, [0]), model)
    run: Any = SimpleNamespace(plan=config)
    assert model_name(run) == name


PAPER_MODELS = {
    "rim": ball_models.rim("6-8"),
    "small lstm": ball_models.lstm("4", 250),
    "large lstm": ball_models.lstm("4", 512),
    "strips": ball_models.rim("4", own_strips=True),
    **ablations(),
    **{f"view {model.options['core']}": model for model in partial_view.view_models()},
}


@pytest.mark.parametrize("model", PAPER_MODELS.values(), ids=PAPER_MODELS)
def test_the_papers_sizes_can_be_built(model, tmp_path, monkeypatch):
    monkeypatch.setattr(video_models, "FEATURES", FEATURES)
    config = planned(Runs(tmp_path, [0]), model)
    assert not config.quick
    assert param_count(make_task(config).make_model()) > 0

"""Bouncing balls, RIMs against LSTMs: the cross-entropy over a rollout (figures 3, 8 and 10)."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from rims_rl.experiments.drawing import legend_above
from rims_rl.experiments.figure import Drawing, Figure
from rims_rl.experiments.store import Runs, Wanted
from rims_rl.tasks.balls.curves import (
    CLAIM,
    bce_curves,
    draw_panel,
    frames_given,
    next_frame_bce,
    panel_numbers,
    shown_frames,
)
from rims_rl.tasks.balls.figure_models import (
    EXPERIMENTS,
    LARGE_LSTM,
    SMALL_LSTM,
    Experiment,
    lstm,
    rim,
)
from rims_rl.tasks.drawing.rollouts import roll_out
from rims_rl.tasks.drawing.strips import draw_strips, predicted_strip, rollout_marks, truth_strip
from rims_rl.tasks.drawing.styles import model_name
from rims_rl.tasks.partial_view.figures import draw_scores, name_models, score_curves, view_models

#: Frames that figures 8 and 10 roll out, and true frames before them that figure 8 shows.
_ROLLED_SHOWN, _GIVEN_SHOWN = 15, 6


def _with_small_lstm(train_set: str) -> list[Wanted]:
    return [rim(train_set), lstm(train_set, SMALL_LSTM)]


def _with_both_lstms(train_set: str) -> list[Wanted]:
    return [*_with_small_lstm(train_set), lstm(train_set, LARGE_LSTM)]


def _figure3(runs: Runs) -> Drawing:
    models = {e.train_set: _with_small_lstm(e.train_set) for e in EXPERIMENTS}
    runs.prepare([*(model for part in models.values() for model in part), *view_models()])
    picture = Picture(figsize=(17, 3.4), layout="constrained")
    *panels, right = picture.subplots(1, len(EXPERIMENTS) + 1)
    numbers = {}
    for axes, experiment in zip(panels, EXPERIMENTS, strict=True):
        numbers[experiment.title] = _panel(runs, axes, models[experiment.train_set], experiment)
    f1 = score_curves(runs, "f1")
    _name(picture, panels)
    draw_scores(right, f1, "F1 score")
    if f1:
        name_models(right)
    right.set_title("partial view", fontsize=10)
    numbers["partial view, F1 by number of balls"] = {c.label: c.numbers() for c in f1}
    return Drawing(picture, numbers, {"claim": CLAIM})


def _figure8(runs: Runs) -> Drawing:
    runs.prepare([model for e in EXPERIMENTS for model in _with_both_lstms(e.train_set)])
    picture = Picture(figsize=(12, 2.6 * len(EXPERIMENTS)), layout="constrained")
    grid = picture.subplots(len(EXPERIMENTS), 2, width_ratios=(1.7, 1))
    numbers = {}
    for (left, right), experiment in zip(grid, EXPERIMENTS, strict=True):
        models = _with_both_lstms(experiment.train_set)
        given = frames_given(runs, models[0])
        first = max(1, given - _GIVEN_SHOWN + 1)
        numbers[experiment.title] = _panel(
            runs, right, models, experiment, first, given + _ROLLED_SHOWN
        )
        _example(runs, left, models, experiment)
    _name(picture, grid[:, 1])
    return Drawing(picture, numbers, {"claim": CLAIM})


def _figure10(runs: Runs) -> Drawing:
    runs.prepare([model for e in EXPERIMENTS for model in _with_both_lstms(e.train_set)])
    picture = Picture(figsize=(14, 3.6), layout="constrained")
    panels = picture.subplots(1, len(EXPERIMENTS))
    numbers = {}
    for axes, experiment in zip(panels, EXPERIMENTS, strict=True):
        models = _with_both_lstms(experiment.train_set)
        last = frames_given(runs, models[0]) + _ROLLED_SHOWN
        numbers[experiment.title] = _panel(runs, axes, models, experiment, last=last)
    _name(picture, panels)
    return Drawing(picture, numbers, {"claim": CLAIM})


def _panel(
    runs: Runs,
    axes: Axes,
    models: Sequence[Wanted],
    experiment: Experiment,
    first: int = 1,
    last: int | None = None,
) -> dict[str, object]:
    """Draws the frames from one to another, and gives their numbers."""
    curves = [shown_frames(curve, first, last) for curve in bce_curves(runs, models, experiment)]
    given = frames_given(runs, models[0])
    draw_panel(axes, curves, experiment.title, given)
    next_frame = next_frame_bce(runs, models, experiment)
    return {**panel_numbers(curves, experiment, given), "next_frame_bce": next_frame}


def _name(picture: Picture, panels: Sequence[Axes]) -> None:
    """Names axes and curves."""
    for axes in panels:
        axes.set_ylabel("cross-entropy (nats per pixel)")
    legend_above(picture, panels)


def _example(runs: Runs, axes: Axes, models: Sequence[Wanted], experiment: Experiment) -> None:
    """The first test video: the truth, and each model's prediction."""
    stored = [found[0] for model in models if (found := runs.stored(model))]
    axes.set_title(experiment.title, fontsize=10)
    if not stored:
        axes.set_axis_off()
        return
    rollouts = [roll_out(run, experiment.test_set) for run in stored]
    given = rollouts[0].given
    shown = rollouts[0].frames(2, start=max(1, given - _GIVEN_SHOWN + 1))
    frames = [frame for frame in shown if frame <= given + _ROLLED_SHOWN]
    named = zip(stored, rollouts, strict=True)
    strips = [predicted_strip(model_name(run), rollout, frames) for run, rollout in named]
    strips.insert(0, truth_strip("truth", rollouts[0], frames))
    draw_strips(axes, strips, frames, rollout_marks(given))


FIGURES = (
    Figure("fig3", "rollouts of balls and F1 of the partial view, RIM and baselines", _figure3),
    Figure("fig8", "balls: cross-entropy around the rollout's start, with examples", _figure8),
    Figure("fig10", "balls: cross-entropy over 30 frames, RIM and two LSTMs", _figure10),
)

"""Object picking with distractors: success with known ones, novel ones and more of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from rims_rl.experiments.curves import Curve
from rims_rl.experiments.drawing import draw_curves, label_steps
from rims_rl.experiments.figure import Drawing, Figure
from rims_rl.experiments.statistics import over_seeds, with_interval
from rims_rl.experiments.store import Runs, StoredRun, Wanted
from rims_rl.experiments.tables import Table, as_markdown
from rims_rl.published.cores import CORES, RIM, Options, colours_of, wanted
from rims_rl.published.suites import Suite
from rims_rl.published.updates import EXPLAINED, MEASURES, cells, of_updates
from rims_rl.runs.errors import UsageError
from rims_rl.runs.files import write_text
from rims_rl.runs.folder import RESULTS
from rims_rl.training.evaluation import EvaluateOptions, evaluate

#: Episodes of an evaluation.
EPISODES = 512
DISTRACTORS = {"known": "", "novel": "Novel", "more": "More"}
_ENV = "rims_rl/PickupDistractorsSmall{}-v0"
#: Options of the small size.
SMALL: Options = {
    "env": _ENV.format(""),
    "total_timesteps": 303_104,  # 148 rollouts of 16 x 128 steps
    "eval_every": 0,
}
#: The key of evaluations in ``results.json``, by environment.
_EVALUATIONS = "evaluations"


def success_curves(stored: Mapping[str, list[StoredRun]]) -> list[Curve]:
    """Success of the training episodes of each core's runs."""
    curves, colours = [], colours_of(stored)
    for name, runs in stored.items():
        windows = [run.results["windows"] for run in runs]
        values = np.array([each["success"] for each in windows], dtype=float)
        curves.append(Curve(windows[0]["timesteps"], values, name, colours[name]))
    return curves


def _object_picking(runs: Runs) -> Drawing:
    models = {name: wanted(SMALL, options) for name, options in CORES.items()}
    runs.prepare(list(models.values()), numbers_only=True)
    return _compared(runs, models, _ENV)


def _figure_4(runs: Runs, suite: Suite) -> Drawing:
    """The same in the paper's size, as far as the paper says it, from the runs of the suite."""
    wanted_of = suite.models()
    ((env, _), *_) = wanted_of
    models = {name: model for (_, name), model in wanted_of.items()}
    runs.prepare(list(models.values()), numbers_only=True)
    return replace(_compared(runs, models, env.replace("-v0", "{}-v0")), note=suite.note)


def _compared(runs: Runs, models: Mapping[str, Wanted], env: str) -> Drawing:
    """Success of some cores while they learn and with each kind of distractors.

    Args:
        runs: trained.
        models: by the core's name.
        env: id of the environment, with a place for the kind of distractors.
    """
    found = runs.numbers_of(models)
    episodes = 4 if runs.quick else EPISODES
    results = {name: _of_core(each, env, episodes) for name, each in found.items()}
    curves = success_curves(found)
    of_kinds = (f"{kind}: success, return" for kind in DISTRACTORS)
    head = ["core", "parameters", "seeds", "success over training", *of_kinds, *MEASURES]
    body = [_row(name, result) for name, result in results.items()]
    title = f"Success in {episodes} episodes per seed: interquartile mean over seeds, 95% interval"
    return Drawing(
        picture=_draw(curves, results, episodes),
        numbers={"episodes": episodes, "cores": results},
        markdown=f"{EXPLAINED}\n\n{as_markdown(Table(title, head, body))}",
    )


def _of_core(stored: list[StoredRun], env: str, episodes: int) -> dict[str, Any]:
    windows = [run.results["windows"]["success"] for run in stored]
    over_training = [float(np.nanmean(np.array(of_run, dtype=float))) for of_run in windows]
    result: dict[str, Any] = {
        "parameters": stored[0].results["param_count"],
        "seeds": [run.seed for run in stored],
        "success over training": over_seeds(over_training),
        **of_updates(stored),
    }
    for kind, suffix in DISTRACTORS.items():
        summaries = [evaluation(run, env.format(suffix), episodes) for run in stored]
        result[kind] = {
            "success": over_seeds([s["success_rate"] for s in summaries]),
            "return": over_seeds([s["mean"] for s in summaries]),
        }
    return result


def evaluation(run: StoredRun, env_id: str, episodes: int) -> dict[str, Any]:
    """The summary of a run in an environment, played now and kept if it was not before.

    Raises:
        UsageError: the run is not here to be played.
    """
    known = run.results.setdefault(_EVALUATIONS, {})
    if env_id not in known or known[env_id]["episodes"] != episodes:
        if not run.kind.is_done(run.plan, run.folder):
            raise UsageError(f"{run.published} has no evaluation in {env_id}, and no run is here")
        file = evaluate(EvaluateOptions(run=str(run.folder), env=env_id, episodes=episodes))
        known[env_id] = json.loads(file.read_text(encoding="utf-8"))["summary"]
        write_text(run.folder / RESULTS, json.dumps(run.results) + "\n")
    summary: dict[str, Any] = known[env_id]
    return summary


def _row(name: str, result: Mapping[str, Any]) -> list[str]:
    scores = [with_interval(result["success over training"])]
    for kind in DISTRACTORS:
        mean = result[kind]["return"]["interquartile mean"]
        scores.append(f"{with_interval(result[kind]['success'])}, {mean:.3f}")
    sizes = f"{result['parameters']:,}", str(len(result["seeds"]))
    return [name, *sizes, *scores, *cells(result)]


def _draw(curves: Sequence[Curve], results: Mapping[str, Any], episodes: int) -> Picture:
    """Training success on the left, evaluation on the three kinds on the right."""
    picture = Picture(figsize=(10, 4), layout="constrained")
    left, right = picture.subplots(1, 2)
    _draw_training(left, curves)
    left.set_title("known distractors: interquartile mean, 95% interval")
    for number, (curve, result) in enumerate(zip(curves, results.values(), strict=True)):
        _draw_evaluations(right, number, curve.colour, result)
    right.set_xticks(range(3), [f"{kind} distractors" for kind in DISTRACTORS])
    right.set_ylabel("success in evaluation")
    right.set_title(f"{episodes} episodes per seed (dots: seeds)")
    right.grid(alpha=0.3)
    return picture


def _draw_training(axes: Axes, curves: Sequence[Curve]) -> None:
    draw_curves(axes, curves)
    label_steps(axes)
    axes.set_ylabel("success of training episodes")
    axes.legend(frameon=False)


def _draw_evaluations(
    axes: Axes, number: int, colour: str | None, result: Mapping[str, Any]
) -> None:
    for place, kind in enumerate(DISTRACTORS):
        success, x = result[kind]["success"], place + 0.15 * (number - 2)
        seeds = success["each seed"]
        if success["interval"]:
            axes.vlines(x, *success["interval"], color=colour, lw=2)
        axes.plot(x, success["interquartile mean"], "s", color=colour)
        axes.plot([x + 0.05] * len(seeds), seeds, ".", color=colour, alpha=0.6)


def _reference_path(runs: Runs) -> Drawing:
    """The same settings and seeds, computed by the fast scan and by the plain reference."""
    paths = {
        RIM: wanted(SMALL, {}),
        "RIM, reference path": wanted(SMALL, {"core_kwargs": {"backend": "reference"}}),
    }
    runs.prepare(list(paths.values()), numbers_only=True)
    curves = success_curves(runs.numbers_of(paths))
    picture = Picture(figsize=(6, 4), layout="constrained")
    _draw_training(picture.subplots(), curves)
    numbers = {
        curve.label: {"timesteps": curve.x, "success of each seed": curve.values.tolist()}
        for curve in curves
    }
    return Drawing(picture, numbers)


FIGURES = (
    Figure("object-picking", "success with known, novel and more distractors", _object_picking),
    Figure(
        "fig4",
        "object picking in the paper's size, known and other distractors",
        _figure_4,
        suite="object-picking",
    ),
    Figure("reference-path", "object picking by the fast scan and the reference", _reference_path),
)

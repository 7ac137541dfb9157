"""Shows how well cores learn: control, memory and small Atari-like tasks, every core alike.

All cores of a task have as many units and the same settings, those of the task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Picture

from rims_rl.comparison.aggregate import pooled_iqm
from rims_rl.experiments.curves import TENTHS, Curve, at_the_end, in_tenths
from rims_rl.experiments.drawing import draw_curves, grid, label_steps, legend_above
from rims_rl.experiments.figure import Drawing, Figure
from rims_rl.experiments.statistics import (
    Array,
    Scores,
    over_seeds,
    stratified_bootstrap,
    three_digits,
    with_interval,
)
from rims_rl.experiments.store import Runs, Wanted
from rims_rl.experiments.tables import Table, as_markdown
from rims_rl.published.cores import CORES, LSTM, OTHERS, PARTS, Options, colours_of, wanted
from rims_rl.published.updates import EXPLAINED, MEASURES, cells, of_updates


@dataclass(frozen=True)
class LearningTask:
    """A task that is learned.

    Attributes:
        options: of `rims_rl.train`, with the environment.
        cores: that are compared in it, by name.
        evaluated: whether the return at the end is that of an evaluation after training.
    """

    options: Options
    cores: Mapping[str, Options] = field(default_factory=lambda: CORES)
    evaluated: bool = False

    @property
    def env(self) -> str:
        """The environment's id."""
        return str(self.options["env"])

    def wanted(self, core: str) -> Wanted:
        """The runs of a core."""
        return wanted({"eval_every": 0, **self.options}, self.cores[core])


def _agent(env: str, total_timesteps: int, **others: Any) -> Options:
    return {"env": env, "total_timesteps": total_timesteps, **others}


def _popgym(name: str, cores: Mapping[str, Options] = CORES) -> LearningTask:
    return LearningTask(_agent(f"popgym-{name}Easy-v0", 400_000), cores)


def _minatar(name: str) -> LearningTask:
    return LearningTask(_agent(f"MinAtar/{name}-v1", 500_000))


#: The settings of sb3-contrib's own performance test of RecurrentPPO, with its minibatches: it
#: asks for a return of 450 in 20 deterministic episodes after 50,000 steps.
_STOCK = _agent(
    "rims_rl/CartPoleNoVelocity-v1",
    50_000,
    n_envs=8,
    n_steps=128,
    n_minibatches=4,
    minibatches="random",
    n_epochs=10,
    learning_rate=7e-4,
    learning_rate_schedule="constant",
    gae_lambda=0.98,
    max_grad_norm=1.0,
    ent_coef=0.0,
    normalize_reward=True,
    normalize_observations=True,
    shared_core=False,
    hidden_size=66,
    policy_kwargs={"net_arch": {"vf": [64], "pi": []}, "ortho_init": False},
    eval_every=50_000,
    eval_episodes=20,
    eval_deterministic=True,
)

LEARNING_TASKS: Mapping[str, LearningTask] = {
    "CartPole without velocities": LearningTask(
        _STOCK, {**CORES, **PARTS, **OTHERS}, evaluated=True
    ),
    "RepeatPrevious": _popgym("RepeatPrevious", {**CORES, **PARTS}),
    "RepeatFirst": _popgym("RepeatFirst"),
    "Autoencode": _popgym("Autoencode"),
    "PositionOnlyCartPole": _popgym("PositionOnlyCartPole"),
    "NoisyPositionOnlyPendulum": _popgym("NoisyPositionOnlyPendulum"),
    "CountRecall": _popgym("CountRecall"),
    "MinAtar Breakout": _minatar("Breakout"),
    "MinAtar SpaceInvaders": _minatar("SpaceInvaders"),
    "MinAtar Asterix": _minatar("Asterix"),
    "MinAtar Freeway": _minatar("Freeway"),
    "MinAtar Seaquest": _minatar("Seaquest"),
}


@dataclass(frozen=True)
class TaskFamily:
    """Tasks that are counted together.

    Attributes:
        prefix: what the environments' ids begin with.
        score: of a return, in words.
        scores: makes a task's returns comparable to those of others, from them and the LSTM's.
    """

    prefix: str
    score: str
    scores: Callable[[Array, Array], Array]


FAMILIES: Mapping[str, TaskFamily] = {
    "POPGym": TaskFamily("popgym", "(return + 1) / 2", lambda returns, of_lstm: (returns + 1) / 2),
    "MinAtar": TaskFamily(
        "MinAtar",
        "return / mean return of the LSTM",
        # Where no resampled LSTM learned anything: any return is out of proportion, and none is 0.
        lambda returns, of_lstm: returns / of_lstm.mean(-1, keepdims=True).clip(1e-9),
    ),
}


def _learning(runs: Runs) -> Drawing:
    """Every task and core."""
    results = learned(runs, LEARNING_TASKS)
    together = {name: aggregated(family, results) for name, family in FAMILIES.items()}
    return Drawing(
        picture=draw(results, LEARNING_TASKS, list(CORES)),
        numbers={"families": together, "tasks": results},
        markdown=report(results, together),
    )


def learned(runs: Runs, tasks: Mapping[str, LearningTask]) -> dict[str, Any]:
    """Trains what is missing, and gives the results of each task of which there are any."""
    models = [task.wanted(core) for task in tasks.values() for core in task.cores]
    runs.prepare(models, numbers_only=True)
    results = {name: over_runs(runs, task) for name, task in tasks.items()}
    return {name: cores for name, cores in results.items() if cores}


def over_runs(runs: Runs, task: LearningTask) -> dict[str, Any]:
    """The results of a task's cores over their seeds."""
    results = {}
    for name in task.cores:
        stored = runs.stored(task.wanted(name), numbers_only=True)
        if not stored:
            continue
        returns = [run.results["windows"]["return"] for run in stored]
        curves = [in_tenths(values) for values in returns]
        if task.evaluated:
            ends = [run.results["last_evaluation"]["eval/mean_reward"] for run in stored]
        else:
            ends = [at_the_end(values) for values in returns]
        means = [float(np.nanmean(np.array(curve, dtype=float))) for curve in curves]
        results[name] = {
            "parameters": stored[0].results["param_count"],
            "seeds": [run.seed for run in stored],
            "return at the end": over_seeds(ends),
            "mean return over training": over_seeds(means),
            "returns": curves,
            **of_updates(stored),
        }
    return results


def aggregated(family: TaskFamily, results: Mapping[str, Any]) -> dict[str, Any]:
    """Interquartile means over tasks and seeds, of the tasks in which all these cores have runs.

    A core that is not in every task with an LSTM is left out; as many seeds as all have are taken.
    """
    tasks = [name for name, cores in results.items()
             if LEARNING_TASKS[name].env.startswith(family.prefix) and LSTM in cores]  # fmt: skip
    names = [core for core in CORES if all(core in results[task] for task in tasks)]
    if not tasks:
        return {}
    seeds = min(len(results[task][core]["seeds"]) for task in tasks for core in names)

    def together(*groups: Scores) -> Any:
        """Of a core's returns and the LSTM's, both drawn anew in each resample."""
        pairs = zip(groups[0], groups[-1], strict=True)
        return pooled_iqm([family.scores(ours, lstm) for ours, lstm in pairs])

    cores: dict[str, Any] = {}
    for when in ("return at the end", "mean return over training"):
        for core in names:
            ours, lstm = (
                [np.array(results[task][name][when]["each seed"][:seeds]) for task in tasks]
                for name in (core, LSTM)
            )
            groups = (lstm,) if core == LSTM else (ours, lstm)  # measured by itself: drawn once
            bounds = stratified_bootstrap(together, *groups)
            cores.setdefault(core, {})[when] = {
                "interquartile mean": float(together(*groups)),
                "interval": bounds and list(map(float, bounds)),
            }
    return {"tasks": tasks, "seeds": seeds, "score": family.score, "cores": cores}


_HEAD = """\
All cores of a task have the same number of units and the same settings: {steps}. Each return is the
interquartile mean over seeds with its 95% bootstrap interval (one seed: no interval).

- At the end: the mean of the windows in the last tenth of the steps; for CartPole without
  velocities 20 deterministic episodes after training with the settings of sb3-contrib's own test
  (a core each for actor and critic, normalised observations).
- Over training: the mean of {windows} equal windows.
{statistics}"""
_COLUMNS = (
    "core", "parameters", "seeds", "return at the end", "worst seed", "over training", *MEASURES,
)  # fmt: skip


def report(results: Mapping[str, Any], together: Mapping[str, Any]) -> str:
    """A table for each family and each task."""
    by_steps: dict[int, list[str]] = {}
    for name in results:
        by_steps.setdefault(LEARNING_TASKS[name].options["total_timesteps"], []).append(name)
    steps = "; ".join(f"{count:,} steps for {', '.join(n)}" for count, n in by_steps.items())
    parts = [_HEAD.format(steps=steps, windows=TENTHS, statistics=EXPLAINED)]
    for name, family in together.items():
        if family:
            tasks = f"{', '.join(family['tasks'])}; seeds of each: {family['seeds']}"
            head = ("core", "return at the end", "mean return over training")
            body = [[core, *map(with_interval, scores.values())]
                    for core, scores in family["cores"].items()]  # fmt: skip
            title = f"{name} together: {family['score']}, interquartile mean over {tasks}"
            parts.append(as_markdown(Table(title, head, body)))
    parts += [task_table(name, LEARNING_TASKS[name], cores) for name, cores in results.items()]
    return "\n\n".join(parts)


def task_table(name: str, task: LearningTask, cores: Mapping[str, Any]) -> str:
    """The results of a task's cores, as `over_runs` gives them, in Markdown."""
    return as_markdown(Table(name, _COLUMNS, [_row(*of_core) for of_core in cores.items()]))


def _row(name: str, result: Mapping[str, Any]) -> list[str]:
    return [
        name,
        f"{result['parameters']:,}",
        str(len(result["seeds"])),
        with_interval(result["return at the end"]),
        three_digits(min(result["return at the end"]["each seed"])),
        with_interval(result["mean return over training"]),
        *cells(result),
    ]


def draw(
    results: Mapping[str, Any], tasks: Mapping[str, LearningTask], shown: Sequence[str]
) -> Picture:
    """Learning curves, a panel for each task.

    Args:
        results: of each task's cores, as `over_runs` gives them.
        tasks: by name.
        shown: cores that are drawn, in this order.
    """
    picture, panels = grid(len(results), 4.2, 3.1)
    colours = colours_of(shown)
    ends = np.arange(1, TENTHS + 1) / TENTHS
    for axes, (name, cores) in zip(panels, results.items(), strict=True):
        total = tasks[name].options["total_timesteps"]
        curves = [
            Curve(ends * total, np.array(of["returns"], dtype=float), core, colours[core])
            for core, of in cores.items()
            if core in shown
        ]
        draw_curves(axes, curves)
        axes.set_title(name)
        label_steps(axes)
        axes.set_ylabel("return")
    legend_above(picture, panels, shown)
    return picture


FIGURES = (
    Figure("learning", "how well cores learn control and memory tasks and MinAtar", _learning),
)

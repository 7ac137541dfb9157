"""The command line of `rims_rl.tasks`: flags over a file over the task's preset."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonargparse

from rims_rl.core.earlier import upgraded_run
from rims_rl.runs.errors import UsageError, did_you_mean
from rims_rl.runs.folder import CONFIG, check_resumable, read_environment
from rims_rl.runs.options import option_names, overlaid
from rims_rl.runs.parser import (
    Request,
    add_options,
    add_start,
    check_options,
    given_and_all,
    make_parser,
    read_mapping,
    refuse_changes,
    refuse_ignored,
    warn_if_shorter,
)
from rims_rl.runs.shipped import preset
from rims_rl.tasks.options import GROUPS, OF_MODELS, ModelOptions, TaskPlan, model_options
from rims_rl.tasks.registry import TASKS

PROGRAM = "rims_rl.tasks"

_RESUMABLE = frozenset(
    (
        *("epochs", "learning_rate", "max_grad_norm", "test_size"),
        *("device", "threads", "track", "checkpoint_every", "keep_checkpoints", "cache_dir"),
    )
)
#: A task's own options that change how a run is computed rather than what is learned.
_UNTITLED = frozenset(("cache_dir", "precision", "rollout_size"))
_EXAMPLES = """\
examples:
  python -m rims_rl.tasks {task} --quick
  python -m rims_rl.tasks {task} --core lstm --hidden-size 300 --seed 1
  python -m rims_rl.tasks --resume RUN_FOLDER
Flags win over --config FILE (YAML, the flags' names as keys), which wins over the task's preset
(rims_rl/configs/tasks). Every run writes its resolved config.yaml and, at the end, results.json.
Ctrl-C and SIGTERM save a checkpoint; a run continues with --resume, even after a kill -9.
exit status: 0 done, 2 a request that cannot be done, 130 or 143 after Ctrl-C or SIGTERM, 1 a
loss that is not finite.
"""


def overview() -> str:
    """The help for those who have not chosen a task yet."""
    tasks = "\n".join(f"  {name:<14}{task.summary}" for name, task in TASKS.items())
    return (
        f"usage: python -m {PROGRAM} TASK [options]\n\nTrain a sequence model on a supervised "
        f"task of the RIMs paper and test how it generalises.\n\ntasks:\n{tasks}\n\n"
        f"python -m {PROGRAM} TASK --help shows a task's options, python -m {PROGRAM} --resume DIR "
        "continues a run."
    )


def parse(argv: Sequence[str]) -> Request:
    """Reads the command line and the file that it names.

    Raises:
        UsageError: an unknown task, option or key, or a value of another type.
    """
    named = bool(argv) and not argv[0].startswith("-")
    task = argv[0] if named else _resumed_task(argv)
    if task not in TASKS:
        raise UsageError(
            f"unknown task {task!r}: choose from {', '.join(TASKS)}{did_you_mean(task, TASKS)}"
        )
    flags = argv[named:]
    given, request = given_and_all(_parser(task), flags, lambda file: read_config(file, task))
    if not request.resume:
        core = request.values.get("core", ModelOptions.core)
        refuse_ignored(given, OF_MODELS, model_options(core), f"core {core}")
    return replace(request, values={**request.values, "task": task})


def plan(values: Mapping[str, Any]) -> TaskPlan[Any]:
    """Completes the user's values, ``task`` among them, with the task's preset and the defaults.

    Raises:
        UsageError: values out of range or that do not go together.
    """
    below = _presets(values["task"], bool(values.get("quick")))
    if values.get("core", ModelOptions.core) != "rim":  # a preset's core_kwargs are a RIM's
        below = {**below, "core_kwargs": {}}
    _refuse_heads_of_strips(below, values)
    return _plan(overlaid(below, values))


def resumed_plan(saved: Mapping[str, Any], changes: Mapping[str, Any]) -> TaskPlan[Any]:
    """The saved plan of a run with what the user changes when resuming it.

    Raises:
        UsageError: a change that would make it another run.
    """
    task = TASKS[saved["task"]]
    own = (name for name in option_names(task.options_type) if name.startswith("test_"))
    refuse_changes(saved, changes, _RESUMABLE | frozenset(own))
    warn_if_shorter(saved, changes, "epochs")
    return _plan({**saved, **changes})


def read_config(path: Path, task: str | None = None) -> dict[str, Any]:
    """Reads a flat YAML file of options: ``task``, as it says or as given, and the others.

    Raises:
        UsageError: no such file, not YAML, another or no task, an unknown key or a wrong type.
    """
    values = read_mapping(path)
    found = values.pop("task", task)
    if not isinstance(found, str) or found not in TASKS or (task and found != task):
        raise UsageError(f"{path}: it is for the task {found!r}, not {task or 'a known one'}")
    return {"task": found, **check_options(_parser(found), values, str(path))}


def read_stored(path: Path, task: str | None = None) -> dict[str, Any]:
    """As `read_config`, for the file of a stored run, whose options an earlier version may name."""
    return upgraded_run(read_config(path, task), read_environment(path.parent))


def check_task_options(subject: str, values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Checks names and types of options of a task, and converts them.

    Raises:
        UsageError: an unknown task or key, or a wrong type.
    """
    if subject not in TASKS:
        raise UsageError(f"{source}: unknown task {subject!r}: choose from {', '.join(TASKS)}")
    return check_options(_parser(subject), values, source)


@functools.cache
def read_preset(name: str) -> Mapping[str, Any]:
    """The options that a preset shipped with the package sets, e.g. ``copying-quick``."""
    task = name.removesuffix("-quick")
    return {"task": task, **check_task_options(task, preset(f"tasks/{name}"), f"{name}.yaml")}


def run_title(plan: TaskPlan[Any]) -> str:
    """The name of what is trained, for people, e.g. ``balls, lstm-h250, train_set=6-8, seed 1``.

    It has the task's own options that differ from the preset and are not of the test alone.
    """
    preset, own = _plan(_presets(plan.task, plan.quick)).options, plan.options
    named = (n for n in option_names(type(own)) if n not in _UNTITLED and not n.startswith("test_"))
    changed = (n for n in named if getattr(own, n) != getattr(preset, n))
    parts = (f"{name}={getattr(own, name)}" for name in changed)
    return ", ".join([plan.task, plan.label(), *parts, f"seed {plan.run.seed}"])


def _presets(task: str, quick: bool) -> Mapping[str, Any]:
    return overlaid(read_preset(task), read_preset(f"{task}-quick") if quick else {})


def _refuse_heads_of_strips(below: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Refuses a number of heads that would go unheard; the preset's stays in the run's name."""
    heads, usual = (found.get("core_kwargs", {}).get("input_heads") for found in (values, below))
    if values.get("own_strips") and heads not in (None, usual):
        raise UsageError(
            f"--own-strips true: each RIM reads its strip by a head of its own, so {heads} "
            "input_heads are impossible; leave them out of --core-kwargs"
        )


def _plan(values: Mapping[str, Any]) -> TaskPlan[Any]:
    return TaskPlan.from_flat(values["task"], TASKS[values["task"]].options_type, values)


def _resumed_task(argv: Sequence[str]) -> str:
    """The task of the run that ``--resume`` names."""
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--resume", nargs="?", const="")
    folder = finder.parse_known_args(list(argv))[0].resume
    if folder == "":
        raise UsageError("--resume: give a run's folder")
    if folder is None:
        raise UsageError(f"no task given: choose from {', '.join(TASKS)}")
    check_resumable("tasks", Path(folder))
    return str(read_config(Path(folder) / CONFIG)["task"])


@functools.cache
def _parser(task: str) -> jsonargparse.ArgumentParser:
    options = TASKS[task].options_type
    parser = make_parser(
        f"{PROGRAM} {task}",
        f"Train a sequence model: {TASKS[task].summary}.",
        _EXAMPLES.format(task=task),
    )
    start = add_start(parser)
    start.add_argument("--quick", action="store_true", help="small sizes, to try things out")
    titles = {"model": "Model", "learning": "Learning", "run": "Run"}
    groups = {task.capitalize(): options, **{titles[name]: kind for name, kind in GROUPS.items()}}
    usual, quick = preset(f"tasks/{task}"), preset(f"tasks/{task}-quick")
    for title, group in groups.items():
        add_options(parser.add_argument_group(title), group, usual, {"quick": quick})
    return parser

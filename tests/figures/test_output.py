"""What is written of a figure."""

import json
from pathlib import Path

import pytest
from matplotlib.figure import Figure as Picture

from rims_rl.figures.figure import Drawing, Figure
from rims_rl.figures.output import QUICK_NOTE, write_figure
from rims_rl.figures.runs import Runs


def write(quick):
    picture = Picture()
    figure = Figure("fig0", "nothing", lambda runs: Drawing(picture, {}))
    runs = Runs(quick, Path("r"), [0, 1])
    drawing = Drawing(picture, {"ours": 1.5}, {"theirs": 2.5})
    return picture, write_figure(figure, drawing, runs, Path(), "the command")


@pytest.mark.parametrize("quick", [True, False])
def test_picture_says_quick_where_it_is_and_there_only(quick):
    picture, _ = write(quick)
    assert [text.get_text() for text in picture.texts] == [QUICK_NOTE] * quick


def test_numbers_stand_beside_the_papers_and_nothing_else_is_left():
    _, path = write(quick=False)
    content = json.loads(path.with_suffix(".json").read_text())
    assert (content["numbers"], content["paper"]) == ({"ours": 1.5}, {"theirs": 2.5})
    assert (content["seeds"], content["quick"], content["runs"]) == ([0, 1], False, {})
    assert content["command"] == "the command"
    assert content["environment"]["packages"]["torch"]
    assert sorted(file.name for file in Path().iterdir()) == ["fig0.json", "fig0.png"]

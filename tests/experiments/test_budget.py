"""Budgets: options by task in place of the presets', said on the picture; parts of a table."""

import json
from pathlib import Path

import pytest

from rims_rl.experiments.budget import Budget, read_budget
from rims_rl.experiments.paper_tables import Column, PaperTable, Row, beside_paper
from rims_rl.experiments.store import Runs
from rims_rl.figures import main
from rims_rl.runs.errors import UsageError
from rims_rl.tasks.trainee import TASK_RUNS
from rims_rl.tasks.wanted import planned, wanted
from tests.tiny_runs import TINY

ARGUMENTS = ("--jobs", "1", "--runs", "r", "--out", "o", "--budget", "tiny.yaml")


@pytest.fixture
def tiny_budget():
    """Writes a budget of copying that takes no time."""
    few = {key: TINY[key] for key in ("epochs", "batch_size", "train_size", "valid_size")}
    content = {"copying": {**few, "test_size": 4, "embedding_size": 4, "span": 50}}
    Path("tiny.yaml").write_text(json.dumps(content))


def test_every_shipped_budget_is_readable_and_smaller_than_the_paper():
    runs = Runs(Path("r"), [0], budget=read_budget("cpu", TASK_RUNS))
    config = planned(runs, wanted("balls", {"train_set": "6-8"}))
    assert (config.learning.train_size, config.options.train_set) == (5_000, "6-8")
    assert config.model.hidden_size == 600


def test_options_of_the_figure_win_over_the_budget():
    runs = Runs(Path("r"), [0], budget=read_budget("cpu", TASK_RUNS))
    assert planned(runs, wanted("balls", {"train_size": 1})).learning.train_size == 1


def test_core_kwargs_of_a_budget_and_of_a_row_go_together():
    budget = Budget("b", {"copying": {"core_kwargs": {"comm_heads": 1, "communication": "gated"}}})
    runs = Runs(Path("r"), [0], budget=budget)
    row = wanted("copying", {"core_kwargs": {"communication": None}})
    assert planned(runs, row).model.core_kwargs == {"comm_heads": 1, "communication": None}


def test_a_cell_that_the_budget_does_not_test_is_empty(tiny):
    columns = [Column("span {}", "cross_entropy_{}", 3), Column("span {}", "cross_entropy_{}", 50)]
    table = PaperTable("copying", [Row("RIM", tiny(), {"span 50": 0.0})], columns)
    drawing = beside_paper(Runs(Path("r"), [0], quick=True), "a table", [table])
    assert list(drawing.numbers["copying"]["RIM"])[-1] == "span 3"
    assert drawing.markdown.endswith("| – | 0.0 |")


@pytest.mark.usefixtures("tiny_budget")
def test_rows_without_runs_are_left_out(capsys):
    pattern = "copying, rim-k6-6-h600-input_attention=None, * seed 1"
    assert main(["table4", *ARGUMENTS, "--seeds", "2", "--train", pattern]) == 0
    found = json.loads(Path("o/table4.json").read_text())
    ((_, rows),) = found["numbers"].items()
    assert [(name, row["seeds"]) for name, row in rows.items()] == [("no input attention, 6/6", 1)]
    assert found["budget"]["name"] == "tiny"
    assert "| no input attention, 6/6 | 600 |" in capsys.readouterr().out


@pytest.mark.usefixtures("tiny_budget")
@pytest.mark.parametrize("figure", ["table4", "fig2"])
def test_nothing_stored_and_nothing_to_train_is_told(figure, capsys):
    assert main([figure, *ARGUMENTS, "--train", "none"]) == 2
    assert "stored" in capsys.readouterr().err


def test_the_note_names_what_is_smaller():
    budget = Budget("few", {"copying": {"epochs": 40}, "adding": {"epochs": 20}})
    copying = ("copying", {"epochs": 40, "span": 50})
    assert budget.note([copying, copying]) == "budget few: copying: epochs 40"
    assert budget.note([("adding", {"epochs": 100})]) == ""


def test_the_note_names_options_of_the_core_that_the_preset_has_more_of():
    budget = Budget("b", {"balls": {"core_kwargs": {"comm_heads": 2}}})
    run = ("balls", {"core_kwargs": {"input_heads": 4, "comm_heads": 2}})
    other = ("balls", {"core_kwargs": {"input_heads": 4, "comm_heads": 1}})
    assert budget.note([run, other]) == "budget b: balls: comm_heads 2"
    assert budget.note([other]) == ""


def test_options_of_the_core_are_a_rims_and_no_budget_says_the_core():
    budget = Budget("b", {"copying": {"core_kwargs": {"dropout": 0.1}}})
    runs = Runs(Path("r"), [0], budget=budget)
    assert planned(runs, wanted("copying", {"core": "lstm"})).model.core_kwargs == {}
    assert planned(runs, wanted("copying", {})).model.core_kwargs == {"dropout": 0.1}
    Path("b.yaml").write_text("copying: {core: lstm}")
    with pytest.raises(UsageError, match="copying: the figure says which core"):
        read_budget("b.yaml", TASK_RUNS)


def test_the_note_leaves_out_what_a_figure_has_its_own_value_for():
    budget = Budget("few", {"partial-view": {"epochs": 4, "train_size": 5_000, "valid_size": 9}})
    learned = ("partial-view", budget.of("partial-view"))
    oracle = ("partial-view", {**learned[1], "epochs": 1, "train_size": 1})
    assert "epochs 4, train_size 5000" in budget.note([oracle, learned])
    assert budget.note([oracle]) == "budget few: partial-view: valid_size 9"


BROKEN = {
    "no file": (None, "choose from cpu, or give a YAML file"),
    "no YAML": ("a: [", "b.yaml is not YAML: while parsing"),
    "no mapping": ("- 1", "not a mapping of tasks"),
    "unknown task": ("chess: {epochs: 1}", "unknown task 'chess'"),
    "unknown option": ("copying: {epoch: 1}", "epoch"),
    "wrong type": ("copying: {epochs: many}", "epochs"),
    "a seed": ("copying: {seed: 3}", "copying: seed is chosen for each run; --seeds says how many"),
    "seeds": ("copying: {seeds: 3}", "copying: seeds is chosen for each run; --seeds says how"),
    "a folder": ("copying: {run_dir: x}", "copying: run_dir is chosen for each run; --runs says"),
    "tracking": ("copying: {track: online}", "copying: track is chosen for each run; they are not"),
}


@pytest.mark.parametrize(("text", "words"), BROKEN.values(), ids=BROKEN)
def test_refusals(text, words):
    if text is not None:
        Path("b.yaml").write_text(text)
    with pytest.raises(UsageError, match=words):
        read_budget("b.yaml", TASK_RUNS)


@pytest.mark.parametrize("options", ["core_kwargs: {x: 1}", "epochs: 0"])
def test_what_cannot_be_planned_names_the_budget(options, capsys):
    Path("tiny.yaml").write_text(f"copying: {{{options}}}")
    assert main(["table4", *ARGUMENTS, "--dry-run"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "error: --budget tiny: copying: " in line
    assert line.partition("copying: ")[2].startswith(("core_kwargs: unknown key 'x'", "--epochs"))


@pytest.mark.usefixtures("tiny_budget")
def test_a_pattern_that_matches_no_run_is_refused(capsys):
    assert main(["table4", *ARGUMENTS, "--train", "copyin, *"]) == 2
    refusal = capsys.readouterr().err
    assert "'copyin, *' matches none of: copying, rim-k6-4-h600, " in refusal
    assert len(refusal.splitlines()) == 1
    assert not Path("o/table4.json").exists()

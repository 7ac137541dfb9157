"""The command: a figure from nothing, what it writes, refusals of one line, a clean stop."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rims_rl.figures import main
from rims_rl.published.catalogue import FIGURES
from rims_rl.runs.checkpoints import newest_checkpoint
from rims_rl.tasks.checkpoints import TaskFacts
from tests.processes import start
from tests.tiny_runs import LEAST

KEYS = {
    "figure", "title", "quick", "budget", "note", "seeds", "intervals", "numbers", "paper", "runs",
    "command", "environment",
}  # fmt: skip
pytestmark = pytest.mark.usefixtures("in_empty_folder")
ARGUMENTS = ("--quick", "--jobs", "1", "--runs", "r", "--out", "o")


def content(name):
    return json.loads(Path("o", f"{name}.json").read_text())


def pixels(name):
    return np.asarray(Image.open(Path("o", f"{name}.png")).convert("RGB"))


@pytest.mark.usefixtures("tiny_copying")
def test_raster_from_nothing_and_again_without_training(capsys):
    assert main(["fig2", *ARGUMENTS]) == 0
    assert "runs to train: 1\n" in capsys.readouterr().out
    found = content("fig2")
    assert set(found) == KEYS
    assert (found["quick"], found["seeds"]) == (True, [0])
    assert found["command"].endswith("fig2 --quick --jobs 1 --runs r --out o")
    (run,) = found["runs"].values()
    assert run["config"]["num_active"] == 4
    share = found["numbers"]["seed 0"]["share"]
    assert all(sum(values) == pytest.approx(4) for values in share.values())
    first = pixels("fig2")
    assert (first < 20).all(-1).mean() > 0.02  # black: active
    assert main(["fig2", *ARGUMENTS]) == 0
    assert "to train" not in capsys.readouterr().out
    assert np.array_equal(pixels("fig2"), first)


@pytest.mark.usefixtures("tiny_copying")
def test_table_holds_what_the_runs_hold_beside_the_paper(capsys):
    assert main(["table4", *ARGUMENTS, "--seeds", "2"]) == 0
    found = content("table4")
    ((title, rows),) = found["numbers"].items()
    stored = [json.loads(path.read_text()) for path in Path("r").rglob("results.json")]
    assert len(stored) == len(found["runs"]) == 2 * len(rows)
    cell = rows["no communication, 6/4"]["span 200"]
    assert cell["metric"] == "cross_entropy_40"
    of_row = {
        run["metrics"]["cross_entropy_40"]
        for run in stored
        if run["config"]["core_kwargs"] == {"communication": None}
        and run["config"]["num_active"] == 4
    }
    assert set(cell["seeds"]) == of_row
    assert cell["interval"][0] <= cell["center"] <= cell["interval"][1]
    assert found["paper"][title]["no communication, 6/4"] == {"span 50": 0.7, "span 200": 5.0}
    out = capsys.readouterr().out
    assert "| model | units | weights | seeds | span 10 ours | span 50 paper |" in out
    assert f"| {cell['center']:.2f} [{cell['interval'][0]:.2f}, " in out
    assert pixels("table4").std() > 10


#: Table, task, metrics of its columns, rows, and what the paper says of one cell.
TABLES = {
    "table1": (
        ("copying", ("cross_entropy_10", "cross_entropy_40"), 9, ("LSTM 600", "span 200", 3.56)),
        ("mnist", tuple(f"accuracy_{n}" for n in (14, 16, 19, 24)), 8, ("RMC", "19 x 19", 54.23)),
    ),
    "table5": (
        ("adding", ("squared_error_10_count2", "squared_error_40_count2"), 5,
         ("LSTM 600", "length 200", None)),
        ("adding", ("squared_error_20_count2", "squared_error_60_count2"), 5,
         ("RIMs 6/3", "length 1000", 0.0)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("table", TABLES)
def test_every_cell_of_a_table_is_a_number_of_its_run(table, tiny_quick):
    tiny_quick({"copying": LEAST, "mnist": LEAST, "adding": LEAST})
    assert main([table, *ARGUMENTS]) == 0
    found = content(table)
    stored = [json.loads(path.read_text()) for path in Path("r").rglob("results.json")]
    expected = zip(found["numbers"].items(), TABLES[table], strict=True)
    for (title, rows), (task, metrics, count, (row, column, value)) in expected:
        assert len(rows) == count
        assert found["paper"][title].get(row, {}).get(column) == value
        for name, cells in rows.items():
            columns = [cell for cell in cells.values() if isinstance(cell, dict)]
            assert [cell["metric"] for cell in columns] == list(metrics)
            (run,) = (
                run for run in stored
                if (run["task"], run["model"], run["param_count"])
                == (task, cells["model"], cells["param_count"])
                and metrics[0] in run["metrics"]
            )  # fmt: skip
            scale = 100 if task == "mnist" else 1
            values = [scale * run["metrics"][metric] for metric in metrics]
            assert [cell["center"] for cell in columns] == pytest.approx(values)
            model = name.replace("RIMs 6/4, agents' cell", "rim-default-k6-4")
            model = model.replace("RIMs ", "rim-k").replace("/", "-").split()[0].lower()
            assert cells["model"].startswith(model)
    assert pixels(table).std() > 10


REFUSED = {
    "unknown figure": (["fig99"], f"choose from {', '.join(FIGURES)}"),
    "nearly a figure": (["tabel1"], "did you mean table1 or table7?"),
    "no figure": ([], "FIGURE; see"),
    "no seeds": (["fig2", "--seeds", "0"], "--seeds: expected a whole number of at least 1"),
    "words for seeds": (["fig2", "--seeds", "many"], "at least 1, got many"),
    "unknown option": (["fig2", "--fast"], "unknown option --fast; see --help"),
    "near option": (["fig2", "--sees", "3"], "did you mean --seeds?"),
    "no place": (["fig2", "--runs", "/proc/figures"], "choose another --runs"),
}


@pytest.mark.parametrize(("argv", "words"), REFUSED.values(), ids=REFUSED)
def test_refusal_is_one_line_and_creates_nothing(argv, words, capsys):
    assert main(argv) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("rims_rl.figures: error: ")
    assert words in line
    assert not list(Path().iterdir())


def test_help_has_a_line_for_every_figure(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    for figure in FIGURES.values():
        assert f"  {figure.name:<16}{figure.title}\n" in out


def test_sigterm_saves_the_trainings_and_leaves_no_process():
    process = start("rims_rl.figures", "table4", "--quick", "--runs", "r", "--jobs", "2")
    try:
        wait_for(lambda: len(begun()) == 2 or process.poll() is not None)
        workers = children(process.pid)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 143
    assert err.splitlines()[-1].endswith("the same command goes on from here")
    assert "Traceback" not in err
    assert len(workers) >= 2
    wait_for(lambda: not [pid for pid in workers if Path(f"/proc/{pid}").exists()])
    for folder in begun():
        assert "stopped at epoch" in Path(f"{folder}.log").read_text()
        assert newest_checkpoint(folder / "checkpoints", TaskFacts.names()) is not None


def begun():
    return {path.parents[1] for path in Path("r").rglob("checkpoints/step-*.json")}


def wait_for(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def children(parent):
    """Processes that a process started, on Linux."""
    listing = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True, check=False
    )
    return [int(word) for word in listing.stdout.split() if int(word) != os.getpid()]

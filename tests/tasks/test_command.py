"""The command: complete run folders, kills and resumes, refusals of one line."""

import csv
import json
import math
import shutil
import signal
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from rims_rl.runs.checkpoints import newest_checkpoint
from rims_rl.runs.errors import UsageError
from rims_rl.tasks import trainee
from rims_rl.tasks.__main__ import main
from rims_rl.tasks.checkpoints import TaskFacts
from rims_rl.tasks.copying.task import Copying
from rims_rl.tasks.options import ModelOptions
from rims_rl.tasks.parser import parse, plan, read_preset, run_title
from rims_rl.tasks.registry import TASKS
from rims_rl.tasks.results import load_trained_task
from rims_rl.tasks.trainee import TASK_RUNS, TaskModel
from tests.processes import finish, start, wait_for

MODEL = ("--hidden-size", "12", "--num-rims", "3", "--num-active", "2")
SIZES = ("--batch-size", "4", "--train-size", "10", "--valid-size", "6", "--test-size", "6")
SPANS = ("--span", "2", "--test-spans", "[3]")
COPYING = ("copying", "--quick", *MODEL, *SIZES, *SPANS)
UNTRACKED = ("--track", "off", "--device", "cpu", "--run-dir", "r")
MODULE = "rims_rl.tasks"
UPDATES = 3  # of an epoch

TINY_TASKS = {
    "adding": ("--length", "5", "--test-lengths", "[6]"),
    "mnist": ("--resolution", "4", "--test-resolutions", "[5]"),
    "balls": ("--frames", "8", "--given", "4", "--test-sets", '["4", 4-curtain]'),
    "partial-view": ("--frames", "5", "--test-balls", "[1]"),
    "moving-mnist": ("--frames", "8", "--given", "4"),
}


def table(path):
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def weights(path):
    return torch.load(path, weights_only=True)["model"]


def results(folder="r"):
    return json.loads(Path(folder, "results.json").read_text())


def test_run_folder_is_complete(capsys):
    assert main([*COPYING, "--epochs", "2", *UNTRACKED, "--seed", "5"]) == 0
    assert {path.name for path in Path("r").iterdir()} == {
        "config.yaml", "command.txt", "environment.json", "progress.csv", "tensorboard", ".lock",
        "checkpoints", "best_model.zip", "results.json",
    }  # fmt: skip
    config = yaml.safe_load(Path("r/config.yaml").read_text())
    assert config["task"] == "copying"
    assert config["quick"] is True
    assert "--seed 5" in Path("r/command.txt").read_text()
    rows = table("r/progress.csv")
    assert [row["time/updates"] for row in rows] == ["3", "6"]
    assert float(rows[0]["train/loss"]) > 0
    found = results()
    assert set(found["metrics"]) == {"cross_entropy_2", "cross_entropy_3"}
    assert found["best"]["epoch"] in (1, 2)
    best = min(float(row["valid/cross_entropy"]) for row in rows)
    assert found["best"]["valid/cross_entropy"] == pytest.approx(best)
    trained = load_trained_task(Path("r"))
    assert found["param_count"] == sum(p.numel() for p in trained.model.parameters())
    with torch.no_grad():
        assert trained.task.test(trained.model) == pytest.approx(found["metrics"])
    out = capsys.readouterr().out
    assert f"{found['param_count']:,} parameters" in out
    assert "cross_entropy_3" in out


@pytest.mark.parametrize("core", ["lstm", "gru", "rmc", "transformer"])
def test_baselines_change_one_word(core):
    argv = [
        "copying",
        "--quick",
        "--hidden-size",
        "24",
        *SIZES,
        *SPANS,
        "--epochs",
        "1",
        *UNTRACKED,
    ]
    assert main([*argv, "--core", core]) == 0
    assert results()["model"].startswith(core)


@pytest.mark.usefixtures("few_features")
@pytest.mark.parametrize("task", TINY_TASKS)
def test_every_task_trains(task):
    argv = [task, "--quick", *MODEL, *SIZES, *TINY_TASKS[task], "--epochs", "1", *UNTRACKED]
    assert main(argv) == 0
    found = results()
    assert found["metrics"]
    if task == "balls":
        assert len(found["metrics"]["rollout_bce_4-curtain"]) == 7
    if task == "partial-view":
        assert set(found["metrics"]) == {"bce_1", "f1_1", "balanced_accuracy_1"}


@pytest.mark.usefixtures("few_features")
def test_the_oracle_runs_on_the_partial_view():
    argv = ["partial-view", "--quick", "--core", "tto", *SIZES, *TINY_TASKS["partial-view"]]
    assert main([*argv, "--epochs", "1", *UNTRACKED]) == 0
    assert results()["metrics"]["f1_1"] == results()["metrics"]["balanced_accuracy_1"] == 1.0


@pytest.mark.usefixtures("few_features")
def test_one_encoder_a_rim_runs_on_balls():
    argv = ["balls", "--quick", *MODEL, *SIZES, *TINY_TASKS["balls"], "--own-strips", "true"]
    assert main([*argv, "--epochs", "1", *UNTRACKED]) == 0


def test_kill_9_and_resume_end_where_an_unbroken_run_ends(capsys):
    argv = [*COPYING, "--epochs", "2000", "--track", "offline", "--keep-checkpoints", "2000"]
    process = start(MODULE, *argv, "--device", "cpu", "--run-dir", "r")
    wait_for(process, Path(f"r/checkpoints/step-{4 * UPDATES:012d}.json"))
    process.kill()
    process.communicate()
    newest = max(Path("r/checkpoints").glob("*.json")).with_suffix(".zip")
    newest.write_bytes(newest.read_bytes()[:500])
    with Path("r/progress.csv").open("a") as file:
        file.write("99")  # a line that the kill cut short
    done = int(newest.stem.split("-")[1]) // UPDATES
    epochs = str(done + 2)
    assert main(["--resume", "r", "--epochs", epochs]) == 0
    assert f"skipping the damaged checkpoint {newest}" in capsys.readouterr().err
    assert main([*COPYING, "--epochs", epochs, "--track", "off", "--run-dir", "whole"]) == 0
    steps = [int(row["time/updates"]) for row in table("r/progress.csv")]
    assert steps == list(range(UPDATES, UPDATES * int(epochs) + 1, UPDATES))
    last = f"step-{UPDATES * int(epochs):012d}.zip"
    one, other = (weights(Path(folder, "checkpoints", last)) for folder in ("r", "whole"))
    for name, value in one.items():
        assert torch.equal(value, other[name]), name
    assert results("r")["metrics"] == results("whole")["metrics"]
    assert len(Path("r/command.txt").read_text().splitlines()) == 2


#: The other signal goes the same way, and is tested with the other command.
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_signal_saves_and_ends_cleanly(number):
    process = start(
        MODULE, *COPYING, "--epochs", "100000", *UNTRACKED, "--checkpoint-every", "100000"
    )
    wait_for(process, Path("r/best_model.zip"))
    process.send_signal(number)
    if number == signal.SIGTERM:  # `timeout` sends it twice
        process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "Traceback" not in err
    assert "--resume r" in out
    assert json.loads(max(Path("r/checkpoints").glob("*.json")).read_text())["updates"] > 0


def test_finished_run_goes_on_with_more_epochs(capsys):
    assert main([*COPYING, "--epochs", "1", *UNTRACKED]) == 0
    assert main(["--resume", "r"]) == 2
    assert "give more with --epochs" in capsys.readouterr().err
    assert main(["copying", "--resume", "r", "--epochs", "2", "--test-spans", "[4]"]) == 0
    assert set(results()["metrics"]) == {"cross_entropy_2", "cross_entropy_4"}
    assert [row["time/epoch"] for row in table("r/progress.csv")] == ["1", "2"]


def test_a_continued_run_that_was_cut_off_in_its_test_is_concluded_by_the_next(monkeypatch, capsys):
    def interrupted(*_):
        signal.raise_signal(signal.SIGINT)  # acts at once: a test can take long

    assert main([*COPYING, "--epochs", "1", *UNTRACKED]) == 0
    with monkeypatch.context() as patched:
        patched.setattr(trainee, "write_results", interrupted)
        assert main(["--resume", "r", "--epochs", "2"]) == 130
    plan = TASK_RUNS.stored_plan(Path("r/config.yaml"), {})
    assert not TASK_RUNS.is_done(plan, Path("r"))  # the results are those of one epoch
    assert main(["--resume", "r", "--epochs", "1"]) == 2
    assert f"{2 * UPDATES} of its {UPDATES} updates are done" in capsys.readouterr().err
    assert main(["--resume", "r"]) == 0
    assert "best so far" in capsys.readouterr().err
    assert TASK_RUNS.is_done(plan, Path("r"))
    assert results()["updates"] == 2 * UPDATES


def test_a_task_that_is_no_name_is_refused(capsys):
    Path("c.yaml").write_text("task: [copying]\n")
    assert main(["copying", "--config", "c.yaml"]) == 2
    assert "it is for the task ['copying'], not copying" in capsys.readouterr().err


@pytest.mark.usefixtures("few_features")
def test_a_run_with_core_kwargs_of_its_preset_goes_on():
    tiny = ("--frames", "8", "--given", "4", "--test-sets", '["4"]')
    assert main(["balls", "--quick", *MODEL, *SIZES, *tiny, "--epochs", "1", *UNTRACKED]) == 0
    before = Path("r/config.yaml").read_text()
    assert "core_kwargs:\n  input_heads: 4" in before
    assert main(["--resume", "r", "--epochs", "2"]) == 0
    assert Path("r/config.yaml").read_text() == before.replace("epochs: 1", "epochs: 2")


def test_a_loss_that_is_not_finite_ends_with_one_line(capsys):
    argv = [*COPYING, "--epochs", "50", *UNTRACKED, "--learning-rate", "1e36"]
    assert main(argv) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert "is not finite at update" in line
    assert "--resume r --learning-rate 5e+35" in line
    for path in Path("r/checkpoints").glob("*.zip"):
        assert all(torch.isfinite(value).all() for value in weights(path).values())
    assert not Path("r/results.json").exists()


@pytest.mark.parametrize("task", ["copying", "mnist", "partial-view"])
@pytest.mark.usefixtures("few_features")
def test_a_model_that_diverges_in_the_last_update_of_an_epoch_is_not_saved(task, capsys):
    sizes = ("--batch-size", "8", "--train-size", "8", "--valid-size", "4", "--test-size", "4")
    argv = [task, "--quick", *MODEL, *sizes, *TINY_TASKS.get(task, SPANS), *UNTRACKED]
    assert main([*argv, "--epochs", "2", "--learning-rate", "1e36"]) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert "is not finite at epoch 1" in line
    assert [path.stem for path in Path("r/checkpoints").glob("*.zip")] == ["step-000000000000"]
    assert main(["--resume", "r", "--learning-rate", "1e-3"]) == 0
    assert results()["updates"] == 2


def test_a_run_that_goes_on_knows_of_the_best_model_in_its_folder(monkeypatch):
    update = TaskModel._update

    def stop_in_epoch_3(trainer):
        if trainer.progress.updates == 2 * UPDATES + 1:
            raise FloatingPointError("enough")
        update(trainer)

    monkeypatch.setattr(TaskModel, "_update", stop_in_epoch_3)
    argv = [*COPYING, "--epochs", "4", "--checkpoint-every", "4", *UNTRACKED]
    assert main([*argv, "--learning-rate", "1e-3"]) == 1
    rows = table("r/progress.csv")
    values = [float(row["valid/cross_entropy"]) for row in rows]
    checkpoint = newest_checkpoint(Path("r/checkpoints"), TaskFacts.names())
    assert checkpoint is not None
    assert checkpoint.facts["best"] == pytest.approx(min(values))
    assert checkpoint.facts["best_epoch"] == 1 + np.argmin(values)


@pytest.mark.parametrize(
    ("task", "values", "title"),
    [
        ("copying", {"core": "lstm", "epochs": 3, "seed": 2}, "copying, lstm-h600, seed 2"),
        ("copying", {"quick": True, "test_spans": [9]}, "copying, rim-k6-4-h120, seed 0"),
        ("copying", {"quick": True, "span": 50}, "copying, rim-k6-4-h120, span=50, seed 0"),
        (
            "balls",
            {"core": "lstm", "train_set": "6-8", "precision": "bfloat16"},
            "balls, lstm-h600, train_set=6-8, seed 0",
        ),
    ],
)
def test_titles_tell_runs_apart(task, values, title):
    assert run_title(plan({"task": task, **values})) == title


def test_the_configuration_of_a_run_with_own_strips_is_taken_as_it_is():
    """It has the preset's input_heads, which such RIMs do not heed."""
    strips = {"task": "balls", "own_strips": True}
    assert plan({**strips, "core_kwargs": {"input_heads": 4}}).identity() == plan(strips).identity()


def test_core_kwargs_add_to_those_of_the_preset(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("core_kwargs: {comm_heads: 2, dropout: 0.2}")
    argv = ["balls", "--config", str(file), "--core-kwargs", "{dropout: 0.1}"]
    found = plan(parse(argv).values).model.core_kwargs
    assert found == {"input_heads": 4, "comm_heads": 2, "dropout": 0.1}


def test_a_baseline_changes_one_word_of_a_runs_configuration(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("core: rim\ncore_kwargs: {input_heads: 2}\n")
    for core, kept in (("lstm", {}), ("rim", {"input_heads": 2})):
        argv = ["balls", "--quick", "--config", str(file), "--core", core]
        assert plan(parse(argv).values).model.core_kwargs == kept


def test_a_file_of_wrong_types_says_what_yaml_would_take(tmp_path, capsys):
    file = tmp_path / "c.yaml"
    for text, words in {
        "train_set: 4": "expected str, got 4 (text: put it in quotes)",
        "threads: null": "threads: expected int, got null",
        "quick: null": "quick: a value is missing",
    }.items():
        file.write_text(text)
        assert main(["balls", "--config", str(file)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert words in line


def test_a_test_that_is_not_finite_is_told_and_leaves_valid_json(monkeypatch, capsys):
    monkeypatch.setattr(Copying, "test", lambda *_: {"a": math.nan, "b": [1.0, math.inf], "c": 2.0})
    assert main([*COPYING, "--epochs", "1", *UNTRACKED]) == 0
    assert "not finite in the test: a, b" in capsys.readouterr().err
    read = json.loads(Path("r/results.json").read_text(), parse_constant=pytest.fail)
    assert read["metrics"] == {"a": None, "b": [1.0, "inf"], "c": 2.0}


def test_weights_that_are_not_finite_are_not_saved(monkeypatch, capsys):
    def overflow(optimizer):
        for weights in optimizer.param_groups[0]["params"]:
            weights.data.fill_(math.inf)

    monkeypatch.setattr(trainee, "SAVE_SECONDS", -1.0)  # after each update
    monkeypatch.setattr(torch.optim.Adam, "step", overflow)
    assert main([*COPYING, "--epochs", "2", *UNTRACKED]) == 1
    assert "is not finite after update 1" in capsys.readouterr().err
    assert [file.stem for file in Path("r/checkpoints").glob("*.zip")] == ["step-000000000000"]


def test_a_checkpoint_of_other_heads_is_refused(capsys):
    argv = ["copying", "--quick", "--core", "transformer", "--hidden-size", "12", *SIZES, *SPANS]
    assert main([*argv, "--epochs", "1", *UNTRACKED]) == 0
    file = Path("r/config.yaml")
    file.write_text(file.read_text().replace("heads: 4", "heads: 2"))
    assert main(["--resume", "r", "--epochs", "2"]) == 2
    assert "heads is 4, and the run's 2" in capsys.readouterr().err


REFUSED = {
    "unknown task": (["copyin"], "partial-view, moving-mnist; did you mean copying?"),
    "no task": (["--seed", "1"], "choose from copying, adding"),
    "unknown core": (["copying", "--core", "rnn"], "rim, lstm, gru, rmc, transformer"),
    "unknown option": (["copying", "--spam", "3"], "--span"),
    "wrong type": (["copying", "--span", "x"], "--span: expected int"),
    "wrong list": (["copying", "--test-spans", "[0]"], "--test-spans: each must be at least 1"),
    "empty list": (["copying", "--test-spans", "[]"], "--test-spans: expected at least one"),
    "no test set": (["balls", "--test-sets", "[]"], "--test-sets: expected at least one"),
    "rim size": (["copying", "--hidden-size", "50"], "48 or 54"),
    "RIMs of an lstm": (["copying", "--core", "lstm", "--num-rims", "3"], "--num-rims: core lstm"),
    "slots of a rim": (["copying", "--slots", "3"], "--slots: core rim has no such option"),
    "rmc size": (["copying", "--core", "rmc", "--hidden-size", "50"], "use 48 or 72"),
    "transformer size": (["mnist", "--core", "transformer", "--hidden-size", "50"], "48 or 52"),
    "transformer video": (["balls", "--core", "transformer"], "use rim, lstm, gru, rmc"),
    "oracle elsewhere": (["copying", "--core", "tto"], "use rim, lstm"),
    "strips": (["balls", "--quick", "--core", "lstm", "--own-strips", "true"], "--core rim"),
    "heads of strips": (
        ["balls", "--quick", "--own-strips", "true", "--core-kwargs", "{input_heads: 2}"],
        "so 2 input_heads are impossible",
    ),
    "balls": (["balls", "--train-set", "9"], "at most 8 are possible"),
    "kind of balls": (["balls", "--train-set", "4-colored"], "did you mean coloured?"),
    "no number of balls": (["balls", "--train-set", "curtain"], "give one like 4"),
    "colours": (["balls", "--train-set", "4-coloured"], "must both be coloured"),
    "view": (["partial-view", "--view-side", "48"], "--view-side must be below the 48 pixels"),
    "seed": (["copying", "--seed", str(2**65)], "--seed must be from 0 to 2147483647"),
    "device": (["copying", "--device", "gpu"], "cpu"),
    "config": (["copying", "--config", "none.yaml"], "no such file"),
    "resume no folder": (["--resume"], "--resume: give a run's folder"),
    "resume nothing": (["--resume", "nowhere"], "no run there"),
    "not creatable": (["copying", "--run-dir", "/proc/run"], "/proc"),
}


@pytest.mark.parametrize(("argv", "words"), REFUSED.values(), ids=REFUSED)
def test_refusal_is_one_line_and_creates_nothing(argv, words, capsys):
    small = [*argv, *SIZES[2:]] if argv[0] == "balls" else argv
    assert main(small) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert not list(Path().iterdir())


@pytest.mark.parametrize("flag", ["--digits 1000000", "--test-digits [1,101]"])
def test_more_digits_than_a_frame_holds_are_refused(flag):
    name, value = flag.split()
    with pytest.raises(UsageError, match=f"{name} must be at most 100, which cover half of a"):
        plan(parse(["moving-mnist", "--quick", name, value]).values)


def test_room_for_the_checkpoints_is_asked_for_first(capsys, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 1_000_000))
    assert main([*COPYING, "--epochs", "50", "--keep-checkpoints", "40", *UNTRACKED]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "make room, choose another --run-dir or fewer --keep-checkpoints" in line
    assert not list(Path().iterdir())
    assert main([*COPYING, "--epochs", "1", *UNTRACKED]) == 0


def test_a_changed_model_cannot_be_resumed(capsys):
    assert main([*COPYING, "--epochs", "1", *UNTRACKED]) == 0
    capsys.readouterr()
    assert main(["--resume", "r", "--epochs", "2", "--hidden-size", "24"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--hidden-size cannot change" in line


def test_a_checkpoint_of_another_model_is_named(capsys):
    assert main([*COPYING, "--epochs", "1", *UNTRACKED]) == 0
    config = Path("r/config.yaml")
    config.write_text(config.read_text().replace("hidden_size: 12", "hidden_size: 24"))
    capsys.readouterr()
    assert main(["--resume", "r", "--epochs", "2"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "checkpoint of another model" in line
    with pytest.raises(UsageError, match="checkpoint of another model"):
        load_trained_task(Path("r"))


def test_a_checkpoint_of_another_model_with_the_same_weights_is_named(capsys):
    assert main([*COPYING, "--epochs", "1", *UNTRACKED]) == 0
    config = Path("r/config.yaml")
    config.write_text(config.read_text().replace("num_active: 2", "num_active: 1"))
    capsys.readouterr()
    assert main(["--resume", "r", "--epochs", "2"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "a checkpoint of another model: num_active is 2, and the run's 1" in line


def test_a_run_of_another_task_is_not_resumed(capsys):
    assert main([*COPYING, "--epochs", "1", *UNTRACKED]) == 0
    capsys.readouterr()
    assert main(["balls", "--resume", "r", "--epochs", "2"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "is for the task 'copying', not balls" in line


def test_folder_with_a_run_is_not_touched(capsys):
    assert main([*COPYING, "--epochs", "1", *UNTRACKED]) == 0
    before = results()
    capsys.readouterr()
    assert main([*COPYING, "--epochs", "1", *UNTRACKED]) == 2
    assert "already holds a run" in capsys.readouterr().err
    assert results() == before


@pytest.mark.parametrize("task", TASKS)
def test_presets_are_complete_and_quick_ones_small(task):
    assert read_preset(task)
    paper, quick = plan({"task": task}), plan({"task": task, "quick": True})
    assert paper.flat()["task"] == task
    assert quick.learning.epochs < paper.learning.epochs


def test_help_needs_no_task_and_shows_those_there_are(capsys):
    assert main(["--help"]) == 0
    assert "moving-mnist" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["copying", "--help"])
    assert "[600; quick 120]" in capsys.readouterr().out


def test_module_refuses_without_traceback():
    status, _, err = finish(start(MODULE, "copyin"))
    assert status == 2
    (line,) = err.splitlines()
    assert line.startswith("rims_rl.tasks: error: unknown task 'copyin'")


@pytest.mark.gpu
@pytest.mark.parametrize("task", TINY_TASKS)
def test_a_task_on_cuda_goes_on_there_and_on_the_cpu(task):
    argv = [task, "--quick", *MODEL, *SIZES, *TINY_TASKS[task], "--track", "off", "--run-dir", "r"]
    assert main([*argv, "--device", "cuda", "--epochs", "1"]) == 0
    assert main(["--resume", "r", "--epochs", "2"]) == 0
    assert main(["--resume", "r", "--epochs", "3", "--device", "cpu"]) == 0
    assert len(table("r/progress.csv")) >= 3


def test_a_run_goes_on_whatever_the_default_variant_was_called(capsys, monkeypatch):
    """Titles leave out today's default; what a checkpoint is of does not depend on it."""
    assert main([*COPYING, "--variant", "default", "--epochs", "1", *UNTRACKED]) == 0
    monkeypatch.setattr(ModelOptions, "variant", "default")
    assert main(["--resume", "r", "--epochs", "2"]) == 0


def test_fewer_epochs_are_told(capsys):
    assert main([*COPYING, "--epochs", "2", *UNTRACKED]) == 0
    Path("r/results.json").unlink()
    capsys.readouterr()
    main(["--resume", "r", "--epochs", "1"])
    assert "--epochs 1 shortens the plan of this run, which had 2" in capsys.readouterr().err

"""The store: exact settings are found again, interrupted runs go on, others are refused."""

import json
import shlex
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
import yaml

from rims_rl.experiments.executor import OneByOne, TrainingStoppedError
from rims_rl.experiments.store import Runs, Wanted
from rims_rl.published.cores import QUICK
from rims_rl.runs import session
from rims_rl.runs.errors import UsageError
from rims_rl.runs.folder import held
from rims_rl.tasks.__main__ import main as train_task
from rims_rl.tasks.wanted import load_trained_run, planned, wanted
from rims_rl.training.trainee import AGENTS

ROOT = Path("store")


def store(seeds=(0,), executor=None):
    return Runs(ROOT, seeds, quick=True, executor=executor or OneByOne())


def trainings():
    """Lines of command.txt of every run: how often it was begun or continued."""
    return {
        str(path.parent): len(path.read_text().splitlines()) for path in ROOT.rglob("command.txt")
    }


def test_a_stored_run_is_found_again_and_not_trained(tiny, monkeypatch):
    (first,) = store().every_seed(tiny())
    monkeypatch.setattr(OneByOne, "endings", lambda *_: pytest.fail("trained again"))
    again = store()
    again.prepare([tiny()])
    found = again.every_seed(tiny(threads=1))[0]
    assert (found.folder, found.results) == (first.folder, first.results)
    assert again.used == {found.folder: found}


@pytest.mark.parametrize(
    "other", [{"span": 3}, {"variant": "default"}, {"core_kwargs": {"comm_heads": 1}}]
)
def test_other_settings_are_another_run(tiny, other):
    one, two = store().every_seed(tiny())[0], store().every_seed(tiny(**other))[0]
    assert one.folder.parent != two.folder.parent
    assert len(trainings()) == 2


def test_a_pattern_of_a_part_of_a_title_is_told_as_the_whole_one(tiny):
    with pytest.raises(UsageError, match=r"'rim-\*' matches none of: .*mean '\*rim-\*'\?"):
        Runs(ROOT, [0], quick=True, only="rim-*").prepare([tiny()])
    with pytest.raises(UsageError, match=r"'lstm' matches none of: [^?]*$"):
        Runs(ROOT, [0], quick=True, only="lstm").prepare([tiny()])


def test_a_run_is_what_the_tasks_command_gives(tiny):
    run = store().every_seed(tiny(core_kwargs={"communication": None}))[0]
    program, _, module, *argv = shlex.split((run.folder / "command.txt").read_text())
    assert (program, module) == ("python", "rims_rl.tasks")
    argv[argv.index("--run-dir") + 1] = "alone"
    assert train_task(argv) == 0
    alone = json.loads(Path("alone/results.json").read_text())
    assert alone["metrics"] == run.metrics
    assert alone["config"]["core_kwargs"] == {"communication": None}


def test_an_interrupted_run_goes_on_to_the_same_end(tiny):
    whole = store().every_seed(tiny())[0]
    (whole.folder / "results.json").unlink()
    newest = max((whole.folder / "checkpoints").glob("*.zip"))
    newest.unlink()
    newest.with_suffix(".json").unlink()
    resumed = store().every_seed(tiny())[0]
    assert trainings() == {str(whole.folder): 2}
    assert resumed.metrics == whole.metrics
    assert resumed.results["updates"] == whole.results["updates"]


def test_a_run_killed_before_its_first_checkpoint_starts_anew(tiny):
    whole = store().every_seed(tiny())[0]
    shutil.rmtree(whole.folder / "checkpoints")
    for name in ("results.json", "best_model.zip"):
        (whole.folder / name).unlink()
    assert store().every_seed(tiny())[0].metrics == whole.metrics
    assert trainings() == {str(whole.folder): 1}


@pytest.mark.parametrize("name", ["best_model.zip", "checkpoints/step-*.zip"])
def test_what_was_learned_is_not_removed_where_all_checkpoints_are_damaged(tiny, name):
    whole = store().every_seed(tiny())[0]
    for left in (whole.folder / "results.json", whole.folder / "best_model.zip"):
        if left.name != name:
            left.unlink()
    for card in (whole.folder / "checkpoints").glob("*.json"):
        card.write_text("{}")
    with pytest.raises(TrainingStoppedError, match="cannot be done as asked"):
        store().prepare([tiny()])
    assert list(whole.folder.glob(name))


def test_a_run_without_checkpoints_that_has_a_model_is_kept():
    model = Wanted(AGENTS, {"env": "CartPole-v1", **QUICK, "n_minibatches": 1, "device": "cpu"})
    (whole,) = store().every_seed(model)
    shutil.rmtree(whole.folder / "checkpoints")
    assert store().stored(model)  # all that matters is there
    (whole.folder / "results.json").unlink()
    with pytest.raises(TrainingStoppedError, match="cannot be done as asked"):
        store().prepare([model])
    assert (whole.folder / "model.zip").exists()


def test_one_process_at_a_time_trains_a_run(tiny, monkeypatch):
    job = store().job(tiny(), 0)
    job.folder.mkdir(parents=True)
    with held(job.folder):
        assert job.is_busy
        assert job.start(threads=1) is None
    assert not job.is_busy

    def train(*_):
        assert job.is_busy
        return 0

    monkeypatch.setattr(session, "main", train)
    assert job.train_here() == 0
    assert not job.is_busy


def test_how_far_a_run_is_stands_in_the_last_whole_row(tiny):
    job = store().job(tiny(), 0)
    assert job.steps_done == 0
    job.folder.mkdir(parents=True)
    rows = "".join(f"{step},0.5\n" for step in range(100_000))
    for text, step in (("step,loss\n", 0), (f"step,loss\n{rows}", 99_999), (f"{rows}9", 99_999)):
        (job.folder / "progress.csv").write_text(text)
        assert job.steps_done == step


def test_a_run_that_somebody_continued_is_refused(tiny):
    folder = store().every_seed(tiny())[0].folder
    assert train_task(["--resume", str(folder), "--epochs", "3"]) == 0
    with pytest.raises(UsageError, match=r"other settings .* choose another --runs"):
        store().every_seed(tiny())


def test_a_loss_that_is_not_finite_is_told_after_the_other_runs(tiny, capsys):
    bad = tiny(learning_rate=1e36, epochs=50)
    with pytest.raises(TrainingStoppedError, match=r"copying.*\(exit status 1\)") as caught:
        store().prepare([bad, tiny()])
    assert caught.value.status == 1
    assert "the loss is not finite" in capsys.readouterr().err
    assert len(list(ROOT.rglob("results.json"))) == 1


def test_quick_settings_are_over_the_tasks_quick_preset_over_the_papers(tiny):
    quick, paper = (planned(Runs(ROOT, [7], quick=quick), tiny()) for quick in (True, False))
    assert (quick.quick, quick.run.seed, quick.options.span) == (True, 7, 2)
    assert (paper.quick, paper.options.span, paper.model.hidden_size) == (False, 50, 600)


def test_the_model_of_a_run_is_loaded_with_its_task(tiny):
    run = store().every_seed(tiny())[0]
    loaded = load_trained_run(run)
    assert loaded.task.plan.model.hidden_size == 12
    assert loaded.model.get_submodule("core").hidden_size == 12
    assert yaml.safe_load((run.folder / "config.yaml").read_text())["span"] == 2


def test_results_that_cannot_be_read_are_named(tiny):
    file = store().every_seed(tiny())[0].folder / "results.json"
    file.write_text(file.read_text()[:20])
    with pytest.raises(UsageError, match="remove it, and its run is tested again"):
        _ = store().every_seed(tiny())[0].results
    file.unlink()
    assert store().every_seed(tiny())[0].metrics


def test_room_for_the_data_of_all_runs_is_asked_for_first(monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 15 * 10**9))
    monkeypatch.setenv("XDG_CACHE_HOME", "empty")
    small_test = {"test_sets": ["4"], "test_size": 1}
    models = [wanted("balls", {"train_set": name, **small_test}) for name in ("4", "6-8")]
    with pytest.raises(UsageError, match=r"balls-4-train.* balls-6-8-train.* 21\.31 GB"):
        Runs(ROOT, [0]).prepare(models)
    assert not ROOT.exists()

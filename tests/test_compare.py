"""The command: real runs side by side, what it writes, refusals of one line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from rims_rl.compare import main
from rims_rl.comparison import report
from rims_rl.experiments.curves import at_the_end
from rims_rl.train import main as train

pytestmark = pytest.mark.usefixtures("in_empty_folder")

TINY = ("--env", "CartPole-v1", "--n-envs", "2", "--n-steps", "32", "--n-minibatches", "1",
        "--n-epochs", "1", "--hidden-size", "12", "--device", "cpu", "--eval-every", "0",
        "--track", "off", "--total-timesteps", "640")  # fmt: skip


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Two cores with two seeds each."""
    store = tmp_path_factory.mktemp("store")
    for core, seed in (("lstm", 0), ("lstm", 1), ("rim", 0), ("rim", 1)):
        argv = [*TINY, "--core", core, "--seed", str(seed)]
        assert train([*argv, "--run-dir", str(store / "runs" / f"{core}-{seed}")]) == 0
    return store


@pytest.fixture
def runs(stored, in_empty_folder):
    """The stored runs, as seen from the working folder."""
    Path("runs").symlink_to(stored / "runs")


@pytest.mark.usefixtures("in_empty_folder", "runs")
def test_real_runs_side_by_side(capsys):
    capsys.readouterr()
    assert main(["runs", "--axis", "hours", "--title", "Two cores"]) == 0
    out = capsys.readouterr().out
    assert "| CartPole-v1 | rim" in out
    assert "written  comparison/report.html" in out
    summary = json.loads(Path("comparison/comparison.json").read_text())
    assert summary["baseline"] == "lstm"
    told = [line for line in summary["problems"] if "few seeds: " not in line]
    assert [line for line in told if "anybody learned" not in line] == []
    arms = {arm["core"]: arm for arm in summary["arms"]}
    assert [arm["seeds"] for arm in arms.values()] == [[0, 1], [0, 1]]
    results = [json.loads(Path(f"runs/rim-{seed}/results.json").read_text()) for seed in (0, 1)]
    ends = [at_the_end(of_run["windows"]["return"]) for of_run in results]
    (rim,) = (arm for core, arm in arms.items() if core.startswith("rim"))
    assert rim["final"]["each seed"] == pytest.approx(ends)
    assert "--seed 1" in rim["runs"][1]["command"]
    table = pd.read_csv("comparison/comparison.csv")
    assert table["final"].tolist() == [a["final"]["interquartile mean"] for a in summary["arms"]]
    assert "Two cores" in Path("comparison/report.html").read_text()[:2000]
    for name in ("curves", "together", "improvement"):
        pixels = np.asarray(Image.open(f"comparison/{name}.png").convert("L"))
        assert pixels.std() > 5
        assert Path(f"comparison/{name}.svg").read_text().count("<path") > 20


@pytest.mark.usefixtures("in_empty_folder", "runs")
def test_a_run_that_lost_its_returns_is_refused(capsys):
    shutil.copytree("runs", "damaged", symlinks=False)
    Path("damaged/rim-1/episodes.csv").unlink()
    assert main(["damaged"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "rim-1 is a run without its episodes.csv" in line
    damaged = Path("damaged/rim-0/episodes.csv")
    lines = damaged.read_text().splitlines()
    damaged.write_text("\n".join([*lines[:2], "abc", *lines[3:], ""]))
    shutil.copy("runs/rim-1/episodes.csv", "damaged/rim-1/episodes.csv")
    assert main(["damaged"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "rim-0/episodes.csv cannot be read: line 3 is damaged" in line


@pytest.mark.usefixtures("in_empty_folder")
def test_published_results_may_say_no_hours(capsys):
    published = Path(__file__).parent.parent / "results" / "runs" / "PongNoFrameskip-v4"
    for file in published.rglob("seed0.json"):
        results = json.loads(file.read_text())
        results["windows"].pop("hours", None)  # as in those of earlier versions
        copy = Path("old", file.parent.name, file.name)
        copy.parent.mkdir(parents=True)
        copy.write_text(json.dumps(results))
    assert main(["old", "--axis", "hours"]) == 2
    assert "--axis hours: no run says how long it took" in capsys.readouterr().err


@pytest.mark.usefixtures("in_empty_folder", "runs")
def test_a_threshold_is_looked_for_and_curves_have_the_axis_that_is_asked_for(capsys):
    results = [json.loads(Path(f"runs/rim-{seed}/results.json").read_text()) for seed in (0, 1)]
    first = [next(value for value in run["windows"]["return"] if value) for run in results]
    assert main(["runs", "--threshold", str(max(first)), "--out", "o"]) == 0
    summary = json.loads(Path("o/comparison.json").read_text())
    (rim,) = (arm for arm in summary["arms"] if arm["core"].startswith("rim"))
    assert rim["threshold"]["return"] == max(first)
    windows = results[first.index(max(first))]["windows"]
    reached = min(step for step in rim["threshold"]["steps"] if step is not None)
    assert reached == windows["timesteps"][windows["return"].index(max(first))]
    by_steps = Path("o/curves.svg").read_text()
    assert main(["runs", "--axis", "frames", "--out", "o"]) == 0
    by_frames = Path("o/curves.svg").read_text()
    assert "<!-- agent steps -->" in by_steps
    assert "<!-- agent steps -->" not in by_frames
    assert "frames" in by_frames


@pytest.mark.usefixtures("in_empty_folder", "runs")
def test_patterns_choose_and_one_core_alone_is_shown(capsys):
    assert main(["runs", "--out", "o"]) == 0
    assert Path("o/improvement.png").exists()
    capsys.readouterr()
    assert main(["runs", "--cores", "rim-*", "--out", "o"]) == 0
    assert "no core is called lstm" in capsys.readouterr().out
    assert not Path("o/improvement.png").exists()  # that of the comparison before
    assert main(["runs", "--cores", "rim-k6-4", "--out", "o"]) == 0  # as tables call it
    assert "| CartPole-v1 | rim" in capsys.readouterr().out
    both = ("--cores", "rim-k6-4", "--cores", "ls*")
    assert main(["runs", *both, "--out", "o"]) == 0
    assert len(json.loads(Path("o/comparison.json").read_text())["cores"]) == 2
    assert main(["runs", "--cores", "gru*"]) == 2
    said = "no run is of a core 'gru*': there are lstm-h12, rim-k6-4-h12"
    assert said in capsys.readouterr().err
    assert main(["runs", "--games", "Pong*", "--games", "Box*"]) == 2
    said = "no run is of a game 'Pong*' or 'Box*': there are CartPole-v1"
    assert said in capsys.readouterr().err
    assert main(["runs", "--against", "paper", "--out", "none"]) == 2
    assert "none of the games is in the paper's table 7" in capsys.readouterr().err
    assert not Path("none").exists()
    assert main(["runs", "--wandb-report", "rims"]) == 2
    assert "--wandb-report rims: give ENTITY/PROJECT" in capsys.readouterr().err
    assert main(["runs", "--wandb-report", "us/rims", "--out", "o"]) == 2
    assert "--wandb-report: not logged in" in capsys.readouterr().err
    assert main(["runs", "--baseline", "gru"]) == 2
    assert "--baseline gru: the cores are" in capsys.readouterr().err


@pytest.mark.usefixtures("in_empty_folder", "runs")
def test_without_plotly_all_but_the_report_is_written(monkeypatch, capsys):
    def missing():
        raise report.NoPlotlyError("the report needs plotly")

    Path("comparison").mkdir()
    Path("comparison/report.html").write_text("of an earlier comparison")
    monkeypatch.setattr(report, "_plotly", missing)
    assert main(["runs"]) == 0
    assert "warning: the report needs plotly" in capsys.readouterr().err
    assert Path("comparison/comparison.md").exists()
    assert not Path("comparison/report.html").exists()


REFUSED = {
    "no source": ([], "SOURCE"),
    "no such folder": (["nowhere"], "nowhere"),
    "an empty folder": (["."], "holds no run of an agent"),
    "a threshold": (["nowhere", "--threshold", "nan"], "expected a finite number, got nan"),
    "an axis": (["nowhere", "--axis", "years"], "--axis: invalid choice: 'years'"),
}


@pytest.mark.parametrize(("argv", "words"), REFUSED.values(), ids=REFUSED)
def test_refusal_is_one_line_and_writes_nothing(argv, words, capsys):
    assert main(argv) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert not Path("comparison").exists()

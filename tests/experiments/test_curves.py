"""Curves of stored runs, against values worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rims_rl.experiments.curves import Curve, first_at, progress_values, window_means
from rims_rl.experiments.drawing import draw_curves
from rims_rl.experiments.statistics import between, bootstrap_interval, interquartile_mean


@pytest.fixture
def runs(tmp_path):
    for seed, factor in enumerate((1, 3)):
        folder = tmp_path / f"seed{seed}"
        folder.mkdir()
        rows = [f"{t},0,{factor * t},{t},{int(t > 10)}" for t in (5, 10, 15, 20)]
        (folder / "episodes.csv").write_text(
            "timesteps,env,return,length,success\n" + "\n".join(rows) + "\n"
        )
        (folder / "progress.csv").write_text("time/total_timesteps,a\n5,\n10,1.5\n15,2.5\n")
    return sorted(tmp_path.iterdir())


def episode_curve(runs, total, windows, column="return"):
    edges = np.linspace(0, total, windows + 1)
    tables = [pd.read_csv(run / "episodes.csv") for run in runs]
    means = [window_means(table, "timesteps", [column], edges)[column] for table in tables]
    return Curve(edges[1:], np.array(means))


def test_windows_of_a_curve(runs):
    curve = episode_curve(runs, total=30, windows=3)
    assert list(curve.x) == [10, 20, 30]
    np.testing.assert_equal(curve.values, [[7.5, 17.5, np.nan], [22.5, 52.5, np.nan]])
    np.testing.assert_equal(curve.center(), [15, 35, np.nan])
    assert episode_curve(runs, 20, 2, "success").values.tolist() == [[0, 1], [0, 1]]


def test_progress_values(runs):
    assert progress_values(runs[0], "a").tolist() == [1.5, 2.5]
    assert progress_values(runs[0], "nothing").size == 0


@settings(max_examples=20)
@given(values=arrays(float, st.integers(2, 8), elements=st.floats(-100, 100)))
def test_an_interval_brackets_its_estimate_and_is_reproducible(values):
    interval = bootstrap_interval(values, interquartile_mean)
    assert interval is not None
    low, high = interval
    assert low - 1e-9 <= interquartile_mean(values) <= high + 1e-9
    again = bootstrap_interval(values, interquartile_mean)
    assert again == interval


def test_one_run_has_no_interval_and_is_drawn(tmp_path):
    plt = pytest.importorskip("matplotlib.pyplot")
    curve = Curve([1.0, 2.0], np.array([[3.0, 4.0]]), "core")
    assert np.isnan(curve.interval()).all()
    figure, axes = plt.subplots()
    draw_curves(axes, [curve])
    figure.savefig(tmp_path / "curve.png")
    assert axes.get_legend_handles_labels()[1] == ["core"]
    plt.close(figure)


def test_a_curve_has_its_colour():
    plt = pytest.importorskip("matplotlib.pyplot")
    curve = Curve([1.0, 2.0], np.array([[3.0, 4.0]]), colour="C1")
    figure, axes = plt.subplots()
    draw_curves(axes, [curve])
    assert axes.get_lines()[0].get_color() == "C1"
    plt.close(figure)


def test_a_line_goes_on_over_an_empty_window():
    plt = pytest.importorskip("matplotlib.pyplot")
    values = np.array([[3.0, np.nan, 4.0], [5.0, np.nan, 6.0]])
    figure, axes = plt.subplots()
    draw_curves(axes, [Curve([1.0, 2.0, 3.0], values)])
    assert axes.lines[0].get_xydata().tolist() == [[1, 4], [3, 5]]
    plt.close(figure)


@pytest.mark.parametrize(
    ("value", "interval", "text"),
    [
        (8_403.2, (7_651.0, 999.7), "8,400 [7,650, 1,000]"),
        (-12_345.6, None, "-12,300"),
        (0.98765, (0.5, 1.0), "0.988 [0.5, 1]"),
        (0.00001234, None, "1.23e-05"),
    ],
)
def test_numbers_are_read_at_a_glance(value, interval, text):
    assert between(value, interval) == text


@given(st.lists(st.integers(-3, 3) | st.none(), min_size=1, max_size=8), st.integers(-4, 4))
def test_a_level_is_first_reached_where_nothing_before_it_does(values, level):
    found = first_at(level, range(len(values)), values)
    reached = [value is not None and value >= level for value in values]
    assert found == (reached.index(True) if any(reached) else None)

"""Tables survive a kill in the middle of a line and continue on a monotone axis."""

import csv

from stable_baselines3.common.logger import Logger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rims_rl.runs.writers import CsvTable, CsvWriter, TensorBoardWriter, read_numbers

STEP = "time/total_timesteps"


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_new_columns_keep_old_rows(tmp_path):
    table = CsvTable(tmp_path / "t.csv", ["step"], 0)
    table.append([{"step": 1}, {"step": 2, "b": "x,y"}])
    table.append([{"step": 3, "a": 0.5}])
    table.close()
    assert rows_of(tmp_path / "t.csv") == [
        {"step": "1", "b": "", "a": ""},
        {"step": "2", "b": "x,y", "a": ""},
        {"step": "3", "b": "", "a": "0.5"},
    ]


def test_continuing_drops_later_rows_and_a_cut_line(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("step,v\n10,1\n20,2\n30,3\n4")
    table = CsvTable(path, ["step", "v"], 20)
    table.append([{"step": 25, "v": 9}])
    table.close()
    assert [row["step"] for row in rows_of(path)] == ["10", "20", "25"]


def test_rows_are_on_disk_before_the_file_is_closed(tmp_path):
    table = CsvTable(tmp_path / "t.csv", ["step"], 0)
    table.append([{"step": 1}])
    assert rows_of(tmp_path / "t.csv") == [{"step": "1"}]
    table.close()


def test_logger_dumps_become_rows(tmp_path):
    logger = Logger(None, [CsvWriter(tmp_path / "progress.csv", 0, STEP)])
    logger.record("a", 1.5)
    logger.record("hidden", 1, exclude="csv")
    logger.dump(8)
    logger.record("b", 2)
    logger.dump(16)
    logger.close()
    assert list(read_numbers(tmp_path / "progress.csv")) == [
        (8, {STEP: 8.0, "a": 1.5}),
        (16, {STEP: 16.0, "b": 2.0}),
    ]


def test_tensorboard_hides_what_a_killed_part_wrote_later(tmp_path):
    for keep_until, steps, value in ((0, (1, 2, 3, 4), 0.0), (2, (3, 5), 1.0)):
        logger = Logger(None, [TensorBoardWriter(tmp_path, keep_until)])
        for step in steps:
            logger.record("x", value)
            logger.dump(step)
        logger.close()
    events = EventAccumulator(str(tmp_path)).Reload().Scalars("x")
    assert [(event.step, event.value) for event in events] == [(1, 0), (2, 0), (3, 1), (5, 1)]

"""A W&B log that a kill cut anywhere goes on without a row twice and without a gap."""

import json
import shutil
import subprocess
import sys

import pytest
from stable_baselines3.common.logger import Logger

from rims_rl.runs.loggers import open_logger
from rims_rl.runs.wandb_log import NOTHING_SENT, SentToWandb, log_records, sent_to_wandb
from rims_rl.runs.wandb_run import open_run
from rims_rl.training.parser import plan
from rims_rl.training.trainee import AGENTS

ID = "abc123"
MARK = "eval/mark"
#: Step and mark of each row; the third step has an evaluation's row beside the rollout's.
ROWS = [(1, 500_001), (2, 500_002), (3, 500_003), (3, 500_004), (4, 500_005), (5, 500_006)]
#: The step of the checkpoint that the killed run goes on from.
DONE = 4


def tracked(folder):
    return open_run(plan({"env": "CartPole-v1", "track": "offline"}), folder, ID, {})


def write(logger: Logger, rows):
    for step, mark in rows:
        logger.record(MARK, mark)
        logger.dump(step)


def rows_in(folder):
    """The rows of all logs in the order of their time, by W&B's own reader."""
    rows = []
    for log in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        items = [r["history"]["item"] for r in log_records(log) if r["type"] == "history"]
        rows += [(item["global_step"], item[MARK]) for item in items]
    return rows


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that was not killed, as if it had started long ago."""
    folder = tmp_path_factory.mktemp("whole")
    with open_logger(folder, AGENTS.step_name, 0, tracked(folder), resumed=False) as logger:
        write(logger, ROWS)
    (part,) = folder.glob("wandb/offline-run-*")
    part.rename(part.with_name(f"offline-run-20200101_000000-{ID}"))
    assert rows_in(folder) == ROWS
    return folder


def cut(whole, folder, row, record):
    """Copies a run and cuts its log inside a row's first (summary) or second (history) record."""
    shutil.copytree(whole, folder, symlinks=True)
    (log,) = folder.glob("wandb/offline-run-*/*.wandb")
    parts = log.read_bytes().split(str(ROWS[row][1]).encode())
    log.write_bytes(str(ROWS[row][1]).encode().join(parts[:record]))


@pytest.mark.parametrize(
    ("row", "record", "sent"),
    [
        (0, 2, NOTHING_SENT),
        (1, 1, SentToWandb(1, 1)),
        (1, 2, SentToWandb(1, 1)),
        (4, 2, SentToWandb(3, 2)),
    ],
)
def test_rows_are_counted_not_the_summary_before_them(whole, tmp_path, row, record, sent):
    cut(whole, tmp_path / "r", row, record)
    assert sent_to_wandb(tmp_path / "r", ID) == sent


@pytest.mark.parametrize(("row", "record"), [(1, 2), (3, 2)])
def test_resumed_run_has_every_row_once(whole, tmp_path, row, record, capsys):
    folder = tmp_path / "r"
    cut(whole, folder, row, record)
    with open_logger(folder, AGENTS.step_name, DONE, tracked(folder), resumed=True) as logger:
        write(logger, [row for row in ROWS if row[0] > DONE])
    assert rows_in(folder) == ROWS
    first, second = sorted(folder.glob("wandb/offline-run-*"))
    assert f"wandb sync {first} {second}" in capsys.readouterr().out


def test_what_the_log_holds_beyond_the_checkpoint_is_not_sent_again(whole, tmp_path):
    folder = tmp_path / "r"
    shutil.copytree(whole, folder, symlinks=True)
    with open_logger(folder, AGENTS.step_name, 2, tracked(folder), resumed=True) as logger:
        write(logger, [(step, 0) for step in (3, 3, 4, 5, 6)])
    assert rows_in(folder) == [*ROWS, (6, 0)]


def test_records_are_those_of_the_public_command(whole, monkeypatch):
    (log,) = whole.glob("wandb/offline-run-*/*.wandb")
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(log)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    records = [json.loads(line) for line in text.splitlines()]
    assert len(records) > len(ROWS)
    assert list(log_records(log)) == records
    monkeypatch.delattr("wandb.util.get_core_path")  # a version of W&B without it
    assert list(log_records(log)) == records


def test_unreadable_log_is_told_and_training_goes_on(tmp_path, capsys):
    log = tmp_path / "wandb" / f"offline-run-20200101_000000-{ID}" / f"run-{ID}.wandb"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"no log of W&B")
    assert sent_to_wandb(tmp_path, ID) == NOTHING_SENT
    (line,) = capsys.readouterr().err.splitlines()
    assert f"cannot read {log}" in line

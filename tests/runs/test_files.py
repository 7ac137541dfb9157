"""Files are whole or not there, and a full disk is told as such."""

import errno
import shutil
from collections import namedtuple

import pytest

from rims_rl.runs.errors import UsageError, exit_status
from rims_rl.runs.files import free_bytes, remove_temporaries, write_atomically

FULL = OSError(errno.ENOSPC, "No space left on device")
OVER_QUOTA = OSError(errno.EDQUOT, "Disk quota exceeded")
no_room = pytest.mark.parametrize("error", [FULL, OVER_QUOTA], ids=["full", "quota"])


@no_room
def test_a_full_disk_is_told_and_the_old_file_stays(tmp_path, error):
    def write(path):
        path.write_text("half")
        raise error

    file = tmp_path / "a.txt"
    file.write_text("old")
    with pytest.raises(UsageError, match=r"no room left in .* for a\.txt: make room"):
        write_atomically(file, write)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_torchs_error_on_a_full_disk_is_known_by_the_room_left(tmp_path, monkeypatch):
    def write(path):
        raise RuntimeError("unexpected pos 576 vs 534")

    with pytest.raises(RuntimeError, match="unexpected pos"):
        write_atomically(tmp_path / "a.zip", write)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 0))
    with pytest.raises(UsageError, match="no room left"):
        write_atomically(tmp_path / "a.zip", write)


def test_room_is_that_of_the_nearest_folder(tmp_path):
    assert free_bytes(tmp_path / "not" / "there") > 0


@no_room
def test_a_full_disk_ends_a_command_with_one_line(capsys, error):
    def work():
        raise error

    assert exit_status("tasks", work, "") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no room left on the disk" in line
    with pytest.raises(OSError, match="other"):
        exit_status("tasks", lambda: (_ for _ in ()).throw(OSError(errno.EIO, "other")), "")


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    names = [".step-000000000064.31.tmp.zip", ".command.7.tmp.txt", ".lock", ".a.tmp.zip", "a.zip"]
    for name in names:
        (tmp_path / name).touch()
    remove_temporaries(tmp_path)
    remove_temporaries(tmp_path / "not there")
    assert {path.name for path in tmp_path.iterdir()} == set(names[2:])

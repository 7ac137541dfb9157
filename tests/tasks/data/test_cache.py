"""Generated data are made once, checked when loaded, and never half there."""

import json
import shutil
import threading
from collections import namedtuple

import numpy as np
import pytest

from rims_rl.run.errors import UsageError
from rims_rl.tasks.data.cache import Recipe, load

VIDEOS = np.random.default_rng(0).integers(0, 256, size=(10, 3, 4, 4), dtype=np.uint8)
RECIPE = Recipe("toy", 1, {"seed": 0, "sizes": [1, 2]}, VIDEOS.shape)


class Blocks:
    """Yields the toy videos in three blocks and counts how often it was asked to."""

    def __init__(self):
        self.uses = 0

    def __iter__(self):
        self.uses += 1
        yield from np.split(VIDEOS, [4, 8])


def test_the_second_load_reads_the_disk(tmp_path):
    blocks = Blocks()
    for _ in range(2):
        videos = load(tmp_path / "new" / "folder", RECIPE, blocks)
        assert np.array_equal(videos, VIDEOS)
    assert blocks.uses == 1
    assert not videos.flags.writeable
    assert isinstance(videos, np.memmap)


def test_other_options_have_another_file(tmp_path):
    other = Recipe("toy", 1, {"seed": 1, "sizes": [1, 2]}, VIDEOS.shape)
    assert other.path(tmp_path) != RECIPE.path(tmp_path)
    load(tmp_path, RECIPE, Blocks())
    blocks = Blocks()
    load(tmp_path, other, blocks)
    load(tmp_path, RECIPE, Blocks())
    assert blocks.uses == 1
    assert len(list(tmp_path.glob("*.npy"))) == 2


def truncate(path):
    path.write_bytes(path.read_bytes()[:-50])


def empty(path):
    path.write_bytes(b"")


def flip_bits(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 255
    path.write_bytes(content)


def age(path):
    card = path.with_suffix(".json")
    card.write_text(json.dumps(json.loads(card.read_text()) | {"version": 0}))


def lose_card(path):
    path.with_suffix(".json").unlink()


def spoil_card(path):
    path.with_suffix(".json").write_text("{")


def swap(path):
    np.save(path, VIDEOS[:5])


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (truncate, "truncated"),
        (empty, "truncated"),
        (flip_bits, "damaged"),
        (swap, "damaged"),
        (age, "of another version"),
        (lose_card, "without its description"),
        (spoil_card, "without its description"),
    ],
)
def test_a_file_that_is_not_intact_is_generated_again(tmp_path, capsys, harm, said):
    load(tmp_path, RECIPE, Blocks())
    harm(RECIPE.path(tmp_path))
    blocks = Blocks()
    assert np.array_equal(load(tmp_path, RECIPE, blocks), VIDEOS)
    assert blocks.uses == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if "generating" in line]
    assert len(lines) == 1
    assert f"is {said}: generating it again" in lines[0]


def test_a_full_disk_is_found_before_the_work(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1000, 600, VIDEOS.size - 1))
    blocks = Blocks()
    with pytest.raises(UsageError, match=r"toy needs 0\.00 GB in .* make room"):
        load(tmp_path, RECIPE, blocks)
    assert blocks.uses == 0


def test_a_disk_that_fills_up_is_one_line_and_leaves_nothing(tmp_path):
    def blocks():
        yield VIDEOS[:4]
        raise OSError(28, "No space left on device")

    with pytest.raises(UsageError, match="make room"):
        load(tmp_path, RECIPE, blocks())
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_what_a_killed_process_left_is_swept(tmp_path):
    leftover = tmp_path / f".{RECIPE.path(tmp_path).stem}.4711.tmp.npy"
    leftover.write_bytes(b"x" * 100)
    load(tmp_path, RECIPE, Blocks())
    assert not leftover.exists()


def test_a_folder_that_cannot_be_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="choose another folder"):
        load(tmp_path / "file", RECIPE, Blocks())


def test_two_at_once_generate_once(tmp_path):
    blocks = Blocks()
    threads = [threading.Thread(target=load, args=(tmp_path, RECIPE, blocks)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert blocks.uses == 1

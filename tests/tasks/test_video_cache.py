"""Generated data are made once, checked when loaded, and never half there."""

import json
import shutil
import threading
from collections import namedtuple

import numpy as np
import pytest

from rims_rl.runs.errors import UsageError
from rims_rl.tasks.video_cache import Recipe, load, require_room

VIDEOS = np.random.default_rng(0).integers(0, 256, size=(10, 3, 4, 4), dtype=np.uint8)


class Blocks:
    """Gives the toy videos in three blocks and counts how often it was asked to."""

    def __init__(self):
        self.uses = 0

    def __call__(self):
        self.uses += 1
        yield from np.split(VIDEOS, [4, 8])


def recipe(blocks, seed=0):
    return Recipe("toy", 1, {"seed": seed, "sizes": [1, 2]}, VIDEOS.shape, blocks)


PATH = recipe(Blocks()).path


def test_the_second_load_reads_the_disk(tmp_path):
    blocks = Blocks()
    for _ in range(2):
        videos = load(tmp_path / "new" / "folder", recipe(blocks))
        assert np.array_equal(videos, VIDEOS)
    assert blocks.uses == 1
    assert not videos.flags.writeable
    assert isinstance(videos, np.memmap)


def test_other_options_have_another_file(tmp_path):
    load(tmp_path, recipe(Blocks()))
    blocks = Blocks()
    other = recipe(blocks, seed=1)
    assert other.path(tmp_path) != PATH(tmp_path)
    load(tmp_path, other)
    load(tmp_path, recipe(Blocks()))
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
    load(tmp_path, recipe(Blocks()))
    harm(PATH(tmp_path))
    blocks = Blocks()
    assert np.array_equal(load(tmp_path, recipe(blocks)), VIDEOS)
    assert blocks.uses == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if "generating" in line]
    assert len(lines) == 1
    assert f"is {said}: generating it again" in lines[0]


def test_a_full_disk_is_found_before_the_work(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1000, 600, VIDEOS.size - 1))
    blocks = Blocks()
    with pytest.raises(UsageError, match=r"toy: generated data of 0\.00 GB .* make room"):
        load(tmp_path, recipe(blocks))
    assert blocks.uses == 0


def test_room_for_all_data_sets_is_asked_for_before_the_first_is_generated(tmp_path, monkeypatch):
    blocks = Blocks()
    recipes = [recipe(blocks), recipe(blocks, seed=1)]
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 2 * VIDEOS.size - 1))
    with pytest.raises(UsageError, match=r"toy, toy: .*--cache-dir .*--train-size"):
        require_room(tmp_path / "new", recipes)
    assert blocks.uses == 0
    require_room(tmp_path, [recipes[0], recipe(blocks)])  # the same one twice


def test_a_disk_that_fills_up_is_one_line_and_leaves_nothing(tmp_path):
    def blocks():
        yield VIDEOS[:4]
        raise OSError(28, "No space left on device")

    with pytest.raises(UsageError, match="make room"):
        load(tmp_path, recipe(blocks))
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_what_a_killed_process_left_is_swept(tmp_path):
    leftover = tmp_path / f".{PATH(tmp_path).stem}.4711.tmp.npy"
    leftover.write_bytes(b"x" * 100)
    load(tmp_path, recipe(Blocks()))
    assert not leftover.exists()


def test_a_folder_that_cannot_be_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="choose another folder"):
        load(tmp_path / "file", recipe(Blocks()))


def test_two_at_once_generate_once(tmp_path):
    blocks = Blocks()
    threads = [threading.Thread(target=load, args=(tmp_path, recipe(blocks))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert blocks.uses == 1

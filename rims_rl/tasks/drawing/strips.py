"""Film strips: frames side by side, predictions with the truth overlaid.

Axes: F frames of a strip, Y rows and X columns of a frame, C = 3 colours, all in [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from rims_rl.tasks.drawing.rollouts import Rollout

Floats = NDArray[np.float32]

#: Pixels between frames.
_GAP = 3

#: Rolled out frames after which the paper takes the cross-entropy for no measure any more.
RELIABLE = 10

_TRUTH = "dodgerblue"
_TRUTH_ALPHA = 0.55


@dataclass(frozen=True)
class Strip:
    """One row of frames.

    Attributes:
        label: at its left.
        images: (F, Y, X, C).
    """

    label: str
    images: Floats


def truth_strip(label: str, rollout: Rollout, frames: Sequence[int]) -> Strip:
    """The true frames, white on black."""
    return Strip(label, paint(rollout.true[list(frames)], "white"))


def predicted_strip(label: str, rollout: Rollout, frames: Sequence[int]) -> Strip:
    """The predicted frames, white on black, with the truth in a transparent blue over them."""
    images = paint(rollout.predicted[[frame - 1 for frame in frames]], "white")
    return Strip(label, paint(rollout.true[list(frames)], _TRUTH, _TRUTH_ALPHA, images))


def paint(share: Floats, colour: str, alpha: float = 1.0, below: Floats | None = None) -> Floats:
    """Colours pixels.

    Args:
        share: how much of each pixel, (F, Y, X).
        colour: matplotlib's name.
        alpha: opacity.
        below: images (F, Y, X, C); black by default.

    Returns:
        (F, Y, X, C).
    """
    opacity = alpha * share[..., np.newaxis]
    ground = 0.0 if below is None else below
    painted: Floats = ground * (1 - opacity) + opacity * np.array(to_rgb(colour), np.float32)
    return painted


def draw_strips(
    axes: Axes, strips: Sequence[Strip], frames: Sequence[int], marks: Mapping[int, str]
) -> None:
    """Draws strips below each other, with the frames' numbers under them.

    Args:
        axes: to draw on.
        strips: each with the same frames.
        frames: their numbers (F).
        marks: a vertical line's colour for each frame number after which it stands.
    """
    _, height, width, _ = strips[0].images.shape
    image = np.concatenate([_row(strip.images) for strip in strips])
    axes.imshow(image[:-_GAP, :-_GAP], interpolation="nearest", aspect="equal")
    for mark, colour in marks.items():
        tiles = sum(frame <= mark for frame in frames)
        if 0 < tiles < len(frames):
            axes.axvline(tiles * (width + _GAP) - (_GAP + 1) / 2, color=colour, lw=2)
    centres = np.arange(len(frames)) * (width + _GAP) + width / 2
    axes.set_xticks(centres, [str(frame) for frame in frames], fontsize=7)
    middles = np.arange(len(strips)) * (height + _GAP) + height / 2
    axes.set_yticks(middles, [strip.label for strip in strips], fontsize=8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def rollout_marks(given: int) -> dict[int, str]:
    """Orange where the true frames end, red where ten frames are rolled out."""
    return {given: "orange", given + RELIABLE: "red"}


def _row(images: Floats) -> Floats:
    """(F, Y, X, C) -> (Y + gap, F * (X + gap), C), white between."""
    padded = np.pad(images, ((0, 0), (0, _GAP), (0, _GAP), (0, 0)), constant_values=1.0)
    return np.concatenate(list(padded), axis=1)

"""Videos of an agent with a strip for each RIM under the picture: coloured while it is active.

Axes: T steps, K RIMs. Pictures are (height, width, 3) uint8.
"""

from __future__ import annotations

import colorsys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from rims_rl.runs.errors import UsageError
from rims_rl.runs.files import nearest_existing, replacing
from rims_rl.runs.folder import check_writable

Frame = NDArray[np.uint8]
Mask = NDArray[np.bool_]
#: Takes a picture for a video, and which RIMs were active; see `film`.
Shoot = Callable[[Frame, Mask | None], None]

FORMATS = (".mp4", ".gif")
#: Smallest width of the video; smaller pictures are enlarged by a whole factor.
MIN_WIDTH = 480
#: Steps that a strip shows.
WINDOW = 120

_STRIP_HEIGHT = 22
_GAP = 4
_LABEL_WIDTH = 64
_BACKGROUND = (18, 18, 22)
_IDLE = (46, 46, 54)
_CURSOR = (255, 255, 255)
_TEXT = (225, 225, 230)


def check_video(file: Path) -> None:
    """Refuses a file that cannot become a video, before anything is played for it.

    Raises:
        UsageError: its name has no known ending, or its folder cannot be made.
    """
    if file.suffix not in FORMATS:
        raise UsageError(f"--video {file}: the name must end in {' or '.join(FORMATS)}")
    if file.is_dir():
        raise UsageError(f"--video {file} is a folder")
    folder, existing = file.parent, nearest_existing(file.parent)
    if existing == Path(existing.anchor) and folder.absolute() != existing:
        raise UsageError(f"--video: no such folder: {folder}")  # more likely a slip than a wish
    check_writable(folder)


@contextmanager
def film(path: Path, fps: float) -> Iterator[Shoot]:
    """Opens an MP4 (or GIF, by the suffix) that takes picture after picture while a game is played.

    Args:
        path: of the video, which `check_video` accepts; its folder is made. It appears when the
            block ends well.
        fps: pictures per second.

    Yields:
        What takes a picture, the same size each time, and which RIMs were active when the agent
        saw it (K,), None without RIMs.

    Raises:
        UsageError: the file cannot be written after all.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gif":
        options: dict[str, Any] = {"duration": 1000 / fps, "loop": 0}
    else:
        options = {"fps": fps, "macro_block_size": 2, "quality": 8}
    recent: deque[Mask] = deque(maxlen=WINDOW)

    def shoot(picture: Frame, active: Mask | None) -> None:
        large = enlarge(picture)
        if active is not None:
            recent.append(active)
            large = np.vstack([large, strips(np.stack(recent), large.shape[1])])
        writer.append_data(large)

    try:
        with replacing(path) as temporary:
            writer: Any = imageio.get_writer(temporary, **options)
            with writer:
                yield shoot
    except OSError as error:  # with all that ffmpeg has to say
        reason = str(error).partition("\n")[0]
        raise UsageError(f"--video {path} cannot be written: {reason}") from None


def enlarge(picture: Frame) -> Frame:
    """Enlarges a picture by a whole factor to at least `MIN_WIDTH`; width and height become even.

    Args:
        picture: (height, width, 3).
    """
    factor = -(-MIN_WIDTH // picture.shape[1])
    large = picture.repeat(factor, axis=0).repeat(factor, axis=1)
    odd = [(0, size % 2) for size in large.shape[:2]]
    return np.pad(large, [*odd, (0, 0)], mode="edge")


def strips(active: Mask, width: int) -> Frame:
    """Draws one strip per RIM, a cell per step, the last step at the white line.

    The first `WINDOW` steps fill the strips from the left; then they scroll.

    Args:
        active: (T, K), the steps so far or at most `WINDOW` of them.
        width: in pixels.
    """
    num_rims = active.shape[1]
    height = num_rims * (_STRIP_HEIGHT + _GAP) + _GAP
    image = Image.new("RGB", (width, height + height % 2), _BACKGROUND)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(14)
    cell = (width - _LABEL_WIDTH - _GAP) / WINDOW
    for k in range(num_rims):
        top = _GAP + k * (_STRIP_HEIGHT + _GAP)
        bottom = top + _STRIP_HEIGHT - 1
        colour = rim_colour(k, num_rims)
        lit = bool(active[-1, k])
        draw.text(
            (8, (top + bottom) / 2), f"RIM {k + 1}", colour if lit else _TEXT, font, anchor="lm"
        )
        draw.rectangle((_LABEL_WIDTH, top, width - _GAP, bottom), _IDLE)
        for column, shown in enumerate(active[:, k]):
            if shown:
                left = _LABEL_WIDTH + column * cell
                draw.rectangle((left, top, left + cell - 0.5, bottom), colour)
    now = _LABEL_WIDTH + (len(active) - 0.5) * cell
    draw.line((now, 0, now, image.height), _CURSOR, 2)
    return np.asarray(image)


def rim_colour(k: int, num_rims: int) -> tuple[int, int, int]:
    """The colour of a RIM: hues spread evenly, the same in every picture of a model."""
    red, green, blue = colorsys.hsv_to_rgb(k / num_rims, 0.65, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)

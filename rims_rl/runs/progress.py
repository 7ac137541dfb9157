"""The progress of long work: a bar with an ETA on a terminal, plain lines in a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from tqdm import tqdm

#: Seconds between two lines where the output is not a terminal.
LINE_EVERY = 15.0


class Bar:
    """A bar on a terminal; where the output is no terminal, a line now and then.

    Args:
        total: steps of the whole run.
        done: steps done before.
        unit: what a step is called.
        note: says how training goes.
    """

    def __init__(self, total: int, done: int, unit: str, note: Callable[[], str]) -> None:
        self._total, self._began_at, self._done = total, done, done
        self._unit, self._note = unit, note
        self._live = sys.stderr.isatty()
        self._began = self._last_line = time.monotonic()
        self._bar = tqdm(
            total=total, initial=done, unit=unit, disable=not self._live,
            dynamic_ncols=True, unit_scale=True, smoothing=0.05,
        )  # fmt: skip

    def advance(self, steps: int) -> None:
        """Goes on by so many steps."""
        self._done += steps
        self._bar.update(steps)
        if not self._live and time.monotonic() - self._last_line >= LINE_EVERY:
            self.print_line()

    def show_note(self) -> None:
        """Brings the note on the bar up to date."""
        self._bar.set_postfix_str(self._note(), refresh=False)

    def print_line(self) -> None:
        """Prints how far the run is, unless a bar shows it."""
        if self._live:
            return
        self._last_line = time.monotonic()
        seconds = self._last_line - self._began
        speed = (self._done - self._began_at) / max(seconds, 1e-9)
        to_do = max(0, self._total - self._done)
        left = tqdm.format_interval(int(to_do / speed)) if speed > 0 else "unknown"
        print(
            f"{self._done:,}/{self._total:,} {self._unit}s ({self._done / self._total:.0%})  "
            f"{speed:.4g} {self._unit}s/s  ETA {left}  {self._note()}",
            file=sys.stderr,
            flush=True,
        )

    def close(self) -> None:
        """Leaves the bar as it stands, so that other lines can follow it."""
        self._bar.close()

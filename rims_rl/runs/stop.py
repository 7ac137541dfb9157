"""Ctrl-C and SIGTERM: ask the training loop to end at its next step."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any


class StopRequest:
    """While open, SIGINT and SIGTERM are noted; a second Ctrl-C acts at once as usual.

    Further SIGTERMs are not: `timeout` and cluster managers send two to end a training in peace.

    Attributes:
        signal: the signal that came, or None.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._previous: dict[int, Any] = {}

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def exit_status(self) -> int:
        """The shell's status of a process that the signal ended: 130 or 143; 0 without one."""
        return 128 + self.signal if self.signal is not None else 0

    def __enter__(self) -> StopRequest:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """From here on signals act at once as usual."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is None:
            self.signal = number
        signal.signal(signal.SIGINT, self._previous[signal.SIGINT])

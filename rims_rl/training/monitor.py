"""``monitor.csv`` in the form of SB3, which `load_results` and the Zoo's plots read."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stable_baselines3.common.monitor import ResultsWriter

from rims_rl.runs.folder import MONITOR


class MonitorLog:
    """Appends finished games to a run's ``monitor.csv``.

    Args:
        folder: of the run.
        env_id: of the environment.
        games: those that ``episodes.csv`` holds already.
    """

    def __init__(self, folder: Path, env_id: str, games: Sequence[Mapping[str, Any]]) -> None:
        header, times = _read(folder / MONITOR)
        header = header or {"t_start": time.time(), "env_id": env_id}
        self._start = float(header["t_start"])
        self._writer = ResultsWriter(str(folder / MONITOR), header)
        for number, game in enumerate(games):
            self._write(game, times[number] if number < len(times) else 0.0)

    def append(self, games: Sequence[Mapping[str, Any]]) -> None:
        """Appends games that end now."""
        for game in games:
            self._write(game, round(time.time() - self._start, 6))

    def close(self) -> None:
        """Closes the file."""
        self._writer.close()

    def _write(self, game: Mapping[str, Any], seconds: float) -> None:
        row = {"r": float(game["return"]), "l": int(game["length"]), "t": seconds}
        self._writer.write_row(row)


def _read(path: Path) -> tuple[dict[str, Any] | None, list[float]]:
    """The header of an earlier part of the run, and the seconds at which its games ended."""
    try:
        first, _, *rows = path.read_text(encoding="utf-8").rpartition("\n")[0].splitlines()
        return json.loads(first[1:]), [float(row.rpartition(",")[2]) for row in rows]
    except (OSError, ValueError):
        return None, []

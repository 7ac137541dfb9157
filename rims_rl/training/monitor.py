"""``monitor.csv`` in the form of SB3, which `load_results` and the Zoo's plots read."""

from __future__ import annotations

import csv
import itertools
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stable_baselines3.common.monitor import ResultsWriter

from rims_rl.runs.files import write_atomically
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
        seconds = itertools.chain(times, itertools.repeat(0.0))
        rows = [_row(game, at) for game, at in zip(games, seconds, strict=False)]
        write_atomically(folder / MONITOR, lambda path: _write(path, header, rows))
        self._writer = ResultsWriter(str(folder / MONITOR), override_existing=False)

    def append(self, games: Sequence[Mapping[str, Any]]) -> None:
        """Appends games that end now."""
        for game in games:
            self._writer.write_row(_row(game, round(time.time() - self._start, 6)))

    def close(self) -> None:
        """Closes the file."""
        self._writer.close()


def _row(game: Mapping[str, Any], seconds: float) -> dict[str, float]:
    return {"r": float(game["return"]), "l": int(game["length"]), "t": seconds}


def _write(path: Path, header: Mapping[str, Any], rows: Sequence[Mapping[str, float]]) -> None:
    """Writes a file as `ResultsWriter` does, which takes no temporary name."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(f"#{json.dumps(header)}\n")
        table = csv.DictWriter(file, ("r", "l", "t"))
        table.writeheader()
        table.writerows(rows)


def _read(path: Path) -> tuple[dict[str, Any] | None, list[float]]:
    """The header of an earlier part of the run, and the seconds at which its games ended."""
    try:
        first, _, *rows = path.read_text(encoding="utf-8").rpartition("\n")[0].splitlines()
        return json.loads(first[1:]), [float(row.rpartition(",")[2]) for row in rows]
    except (OSError, ValueError):
        return None, []

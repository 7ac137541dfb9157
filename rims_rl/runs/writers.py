"""CSV files that survive a kill, and TensorBoard events that a resumed run continues."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import (
    KVWriter,
    TensorBoardOutputFormat,
    filter_excluded_keys,
)
from torch.utils.tensorboard import SummaryWriter

from rims_rl.runs.files import write_text


class CsvTable:
    """A CSV file to which rows are appended, each flushed to the system at once.

    Attributes:
        earlier: the rows, as text, that were there and are kept.

    Args:
        path: the file; an existing one is continued.
        columns: its columns; new ones may come later.
        keep_until: drop the rows of an existing file beyond this step, which stands in the first
            column, and a last line that a kill cut short.
    """

    def __init__(self, path: Path, columns: Sequence[str], keep_until: int) -> None:
        self._path = path
        self._columns = list(columns)
        self.earlier: list[dict[str, Any]] = []
        if path.exists():
            self._columns, rows = _read(path)
            step = self._columns[0]
            self.earlier = [row for row in rows if int(row[step]) <= keep_until]
        self._rewrite(self.earlier)

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Appends rows of column name to value; a missing or None value is left empty."""
        rows = list(rows)
        new = {key: None for row in rows for key in row if key not in self._columns}
        if new:
            self._file.close()
            self._columns += sorted(new)
            self._rewrite(_read(self._path)[1])
        self._file.write(_csv(self._columns, rows))
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _rewrite(self, rows: Iterable[Mapping[str, Any]]) -> None:
        header = dict(zip(self._columns, self._columns, strict=True))
        write_text(self._path, _csv(self._columns, [header, *rows]))
        self._file = self._path.open("a", encoding="utf-8", newline="")


class CsvWriter(KVWriter):
    """Writes each dump of SB3's logger as a row of ``progress.csv``.

    Args:
        path: the file.
        keep_until: as in `CsvTable`.
        step_name: name of the first column, the step axis.
    """

    def __init__(self, path: Path, keep_until: int, step_name: str) -> None:
        self._step_name = step_name
        self._table = CsvTable(path, [step_name], keep_until)

    def write(
        self,
        key_values: dict[str, Any],
        key_excluded: dict[str, tuple[str, ...]],
        step: int = 0,
    ) -> None:
        """Appends one row."""
        values = filter_excluded_keys(key_values, key_excluded, "csv")
        self._table.append([{**values, self._step_name: step}])

    def close(self) -> None:
        """Closes the file."""
        self._table.close()


class TensorBoardWriter(TensorBoardOutputFormat):
    """SB3's TensorBoard format, which hides what an earlier, killed part wrote beyond a step.

    Args:
        folder: for the event files.
        keep_until: as in `CsvTable`.
    """

    def __init__(self, folder: Path, keep_until: int) -> None:
        # TensorBoard hides the step that it is given, too.
        self.writer = SummaryWriter(log_dir=str(folder), purge_step=keep_until + 1)
        self._is_closed = False


def read_numbers(path: Path) -> Iterator[tuple[int, dict[str, float]]]:
    """The rows of a table of numbers: the step in the first column, and what is not empty."""
    columns, rows = _read(path)
    for row in rows:
        yield int(row[columns[0]]), {key: float(text) for key, text in row.items() if text}


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    csv.DictWriter(text, columns, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _read(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """The columns and the complete rows of a file that may end in the middle of a line."""
    complete, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
    reader = csv.DictReader(io.StringIO(complete))
    return list(reader.fieldnames or []), list(reader)

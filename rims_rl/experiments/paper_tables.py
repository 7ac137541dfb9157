"""Compares models on a task: every number of the test over seeds, the paper's beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rims_rl.experiments.figure import Drawing
from rims_rl.experiments.statistics import bootstrap_interval, interquartile_mean
from rims_rl.experiments.store import Runs, StoredRun, Wanted
from rims_rl.experiments.tables import Table, as_markdown, draw_tables


@dataclass(frozen=True)
class Row:
    """A model of a table.

    Attributes:
        name: as the paper calls it.
        model: to train.
        paper: the paper's numbers, by the name of the column.
    """

    name: str
    model: Wanted
    paper: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Column:
    """A number of the test.

    Attributes:
        title: with ``{}`` for the setting, e.g. ``span {}``.
        metric: the number's name in the test, likewise.
        setting: of the paper.
        quick: the setting of ``--quick``, where it differs.
        scale: factor between our number and what is shown, e.g. 100 for per cent.
        decimals: shown.
    """

    title: str
    metric: str
    setting: int
    quick: int | None = None
    scale: float = 1.0
    decimals: int = 2

    @property
    def name(self) -> str:
        """The title with the paper's setting: what `Row.paper` and the JSON call it."""
        return self.title.format(self.setting)

    def tested(self, runs: Runs) -> int:
        """The setting that these runs were tested in."""
        return self.setting if self.quick is None or not runs.quick else self.quick


@dataclass(frozen=True)
class PaperTable:
    """Models of one task and what is asked of them.

    Attributes:
        title: with the unit of the numbers.
        rows: models.
        columns: numbers.
    """

    title: str
    rows: Sequence[Row]
    columns: Sequence[Column]


def beside_paper(runs: Runs, title: str, parts: Sequence[PaperTable]) -> Drawing:
    """Trains the models of some tables and draws them as tables, one under the other.

    A cell holds the interquartile mean over seeds and its 95% interval.

    Args:
        runs: trains and finds them.
        title: of the picture.
        parts: of the picture.

    Raises:
        UsageError: there is no run to draw, or one cannot be done.
        TrainingStoppedError: a training did not get to its end.
    """
    runs.prepare([row.model for part in parts for row in part.rows], numbers_only=True)
    numbers = {part.title: _numbers(runs, part) for part in parts}
    tables = [_table(runs, part, numbers[part.title]) for part in parts if numbers[part.title]]
    return Drawing(
        picture=draw_tables(title, tables),
        numbers=numbers,
        paper={part.title: {row.name: dict(row.paper) for row in part.rows} for part in parts},
        markdown="\n\n".join(map(as_markdown, tables)),
    )


def _numbers(runs: Runs, part: PaperTable) -> dict[str, Any]:
    """Of each row with runs."""
    stored = {row.name: runs.stored(row.model, numbers_only=True) for row in part.rows}
    return {name: _of_model(runs, part, found) for name, found in stored.items() if found}


def _of_model(runs: Runs, part: PaperTable, stored: Sequence[StoredRun]) -> dict[str, Any]:
    results = stored[0].results
    plan = stored[0].plan
    facts = {"model": plan.label(), "param_count": results["param_count"]}
    facts["units"] = plan.flat()["hidden_size"]
    facts["seeds"] = len(stored)
    cells = {c.name: _over_seeds(c, c.tested(runs), stored) for c in part.columns}
    return {**facts, **{name: cell for name, cell in cells.items() if cell}}


def _over_seeds(column: Column, setting: int, stored: Sequence[StoredRun]) -> dict[str, Any]:
    """A cell's content; empty where a budget has other settings, which were not tested here."""
    metric = column.metric.format(setting)
    if not all(metric in run.metrics for run in stored):
        return {}
    values = [column.scale * run.metrics[metric] for run in stored]
    return {
        "metric": metric,
        "seeds": values,
        "center": float(interquartile_mean(values)),
        "interval": bootstrap_interval(values, interquartile_mean),
    }


def _table(runs: Runs, part: PaperTable, numbers: Mapping[str, Any]) -> Table:
    """Columns: the model, its size, seeds, then ours and the paper's number for each."""
    known = {title for row in part.rows for title in row.paper}
    head = ["model", "units", "weights", "seeds"]
    for column in part.columns:
        head.append(f"{column.title.format(column.tested(runs))}\nours")
        head += [f"{column.name}\npaper"] if column.name in known else []
    body = []
    for row in (row for row in part.rows if row.name in numbers):
        found = numbers[row.name]
        cells = [row.name, str(found["units"]), f"{found['param_count']:,}", str(found["seeds"])]
        for column in part.columns:
            cells.append(_ours(column, found.get(column.name)))
            cells += [_paper(column, row)] if column.name in known else []
        body.append(cells)
    return Table(part.title, head, body)


def _ours(column: Column, found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "–"
    center, interval = found["center"], found["interval"]
    if interval is None:
        return f"{center:.{column.decimals}f}"
    low, high = interval
    return f"{center:.{column.decimals}f}\n[{low:.{column.decimals}f}, {high:.{column.decimals}f}]"


def _paper(column: Column, row: Row) -> str:
    value = row.paper.get(column.name)
    return "–" if value is None else str(value)

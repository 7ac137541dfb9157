"""Tables as pictures and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

#: Inches of a line of text and of a character, at the size below.
_LINE, _CHARACTER = 0.2, 0.085
_FONT_SIZE = 9
_GAP = 0.45


@dataclass(frozen=True)
class Table:
    """Text in rows and columns; cells may have several lines.

    Attributes:
        title: above it.
        head: names of the columns.
        body: rows of cells, as many as the head has.
    """

    title: str
    head: Sequence[str]
    body: Sequence[Sequence[str]]

    @property
    def rows(self) -> list[Sequence[str]]:
        """Head and body."""
        return [self.head, *self.body]

    def widths(self) -> list[float]:
        """Inches of each column, (columns)."""
        columns = zip(*self.rows, strict=True)
        return [_CHARACTER * (2 + max(map(_longest_line, column))) for column in columns]

    def heights(self) -> list[float]:
        """Inches of each row, (rows)."""
        return [_LINE * (0.7 + max(1 + cell.count("\n") for cell in row)) for row in self.rows]


def draw_tables(title: str, tables: Sequence[Table]) -> Picture:
    """Draws tables one under the other.

    Args:
        title: of the picture.
        tables: to draw.
    """
    width = max(sum(table.widths()) for table in tables)
    heights = [sum(table.heights()) + _GAP for table in tables]
    total = sum(heights) + _LINE
    picture = Picture(figsize=(width, total))
    picture.text(0, 1, title, va="top", weight="bold", size=_FONT_SIZE + 2)
    top = 1 - _LINE / total
    for table, height in zip(tables, heights, strict=True):
        bottom = top - height / total
        axes = picture.add_axes((0, bottom, sum(table.widths()) / width, (height - _GAP) / total))
        _draw(axes, table)
        top = bottom
    return picture


def as_markdown(table: Table) -> str:
    """A table for terminals and documents."""
    lines = [_line(table.head), _line(["---"] * len(table.head)), *map(_line, table.body)]
    return "\n".join([f"**{table.title}**", "", *lines])


def _draw(axes: Axes, table: Table) -> None:
    axes.set_axis_off()
    axes.set_title(table.title, loc="left", size=_FONT_SIZE + 1)
    widths, heights = table.widths(), table.heights()
    grid = axes.table(
        [list(row) for row in table.rows],
        colWidths=[width / sum(widths) for width in widths],
        cellLoc="center",
        bbox=(0, 0, 1, 1),  # type: ignore[arg-type]
        edges="horizontal",
    )
    grid.auto_set_font_size(False)
    grid.set_fontsize(_FONT_SIZE)
    for (row, column), cell in grid.get_celld().items():
        cell.set_height(heights[row] / sum(heights))
        cell.set_edgecolor("0.7")
        if row == 0:
            cell.set_text_props(weight="bold")
        if column == 0:
            cell.set_text_props(ha="left")
            cell.PAD = 0.02


def _longest_line(text: str) -> int:
    return max(map(len, text.split("\n")))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace(chr(10), ' ') for cell in cells)} |"

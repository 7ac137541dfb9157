"""Tables say the same as pictures and as Markdown."""

from matplotlib.backends.backend_agg import FigureCanvasAgg

from rims_rl.experiments.tables import Table, as_markdown, draw_tables

TABLE = Table("errors", ["model", "span 50\nours"], [["RIM", "0.1\n[0.0, 0.2]"], ["LSTM", "3.5"]])


def test_markdown():
    assert as_markdown(TABLE) == (
        "**errors**\n\n"
        "| model | span 50 ours |\n| --- | --- |\n| RIM | 0.1 [0.0, 0.2] |\n| LSTM | 3.5 |"
    )


def test_picture_holds_every_cell_inside_its_width():
    picture = draw_tables("both", [TABLE, TABLE])
    canvas = FigureCanvasAgg(picture)
    canvas.draw()
    assert [axes.get_title(loc="left") for axes in picture.axes] == ["errors", "errors"]
    for axes in picture.axes:
        (grid,) = axes.tables
        texts = [cell.get_text().get_text() for _, cell in sorted(grid.get_celld().items())]
        assert texts == [text for row in TABLE.rows for text in row]
        renderer = canvas.get_renderer()
        for cell in grid.get_celld().values():
            box = cell.get_text().get_window_extent(renderer)
            assert box.width <= cell.get_window_extent(renderer).width
            assert box.height <= cell.get_window_extent(renderer).height

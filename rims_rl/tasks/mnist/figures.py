"""Sequential MNIST at other resolutions: the second half of table 1, and the whole of it."""

from __future__ import annotations

from typing import Any

from rims_rl.experiments.figure import Drawing, Figure
from rims_rl.experiments.paper_tables import Column, PaperTable, Row, beside_paper
from rims_rl.experiments.store import Runs, Wanted
from rims_rl.tasks.copying.figures import AGENTS_CELL, copying_table
from rims_rl.tasks.wanted import fewer_units, wanted


def _model(units: int = 600, **options: Any) -> Wanted:
    options = {"hidden_size": units, **options}
    return wanted("mnist", options, fewer_units("mnist", options))


def _row(name: str, model: Wanted, *accuracies: float) -> Row:
    """A model with the paper's accuracies at 16, 19 and 24 pixels."""
    return Row(name, model, dict(zip(("16 x 16", "19 x 19", "24 x 24"), accuracies, strict=True)))


def mnist_table() -> PaperTable:
    """Models of table 1."""
    return PaperTable(
        "sequential MNIST: accuracy in %; trained with 14 x 14 pixels",
        [
            _row("RIMs 6/4", _model(num_rims=6, num_active=4), 90.0, 73.4, 38.1),
            _row("RIMs 6/5", _model(num_rims=6, num_active=5), 88.3, 43.1, 22.1),
            _row("RIMs 6/6", _model(num_rims=6, num_active=6), 85.5, 56.2, 30.9),
            Row("RIMs 6/4, agents' cell", _model(**AGENTS_CELL)),
            _row("LSTM 300", _model(300, core="lstm"), 86.8, 42.3, 25.2),
            _row("LSTM 600", _model(core="lstm"), 84.5, 52.2, 21.9),
            _row("RMC", _model(core="rmc"), 89.58, 54.23, 27.75),
            _row("Transformer", _model(core="transformer"), 91.2, 51.6, 22.9),
        ],
        [
            Column("{0} x {0}", "accuracy_{}", side, scale=100, decimals=1)
            for side in (14, 16, 19, 24)
        ],
    )


def _table1(runs: Runs) -> Drawing:
    title = "Table 1: memory over longer spans, and digits of other sizes"
    return beside_paper(runs, title, [copying_table(), mnist_table()])


FIGURES = (Figure("table1", "copying over longer spans, MNIST at other resolutions", _table1),)

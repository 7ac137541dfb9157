"""Adding: table 5, numbers of long streams summed by models trained on shorter ones."""

from __future__ import annotations

from typing import Any

from rims_rl.experiments.figure import Drawing, Figure
from rims_rl.experiments.paper_tables import Column, PaperTable, Row, beside_paper
from rims_rl.experiments.store import Runs, Wanted
from rims_rl.tasks.wanted import fewer_units, wanted

#: (k_T, k_A) and units. Our reading of "6/3 to 9/8": its ends and two between; 600 units cannot
#: be shared out to 9 RIMs, the nearest number that can is 603.
_SIZES = (((6, 3), 600), ((6, 5), 600), ((9, 5), 603), ((9, 8), 603))

_TITLE = "length {}"
_LENGTHS = ((50, 200), (500, 1000))
#: For the shorter of them: both in ``--quick``.
_LENGTHS_QUICK = {50: (10, 40), 500: (20, 60)}


def _model(train: int, test: int, units: int, **options: Any) -> Wanted:
    short, long = _LENGTHS_QUICK[train]
    options = {"hidden_size": units, "length": train, "test_lengths": [test], **options}
    few = {**fewer_units("adding", options), "length": short, "test_lengths": [long]}
    return wanted("adding", options, few)


def _rim(train: int, test: int, rims: tuple[int, int], units: int) -> Row:
    num_rims, num_active = rims
    model = _model(train, test, units, num_rims=num_rims, num_active=num_active)
    paper = {_TITLE.format(length): 0.0 for length in (train, test)}
    return Row(f"RIMs {num_rims}/{num_active}", model, paper)


def _adding_table(train: int, test: int) -> PaperTable:
    short, _ = _LENGTHS_QUICK[train]
    return PaperTable(
        f"adding two numbers: squared error; trained with {train} steps ({short} in --quick)",
        [
            *(_rim(train, test, *sizes) for sizes in _SIZES),
            Row("LSTM 600", _model(train, test, 600, core="lstm")),
        ],
        [
            Column(_TITLE, "squared_error_{}_count2", length, few, decimals=4)
            for length, few in zip((train, test), _LENGTHS_QUICK[train], strict=True)
        ],
    )


def _table5(runs: Runs) -> Drawing:
    parts = [_adding_table(train, test) for train, test in _LENGTHS]
    return beside_paper(runs, "Table 5: adding over longer streams", parts)


FIGURES = (Figure("table5", "adding over longer streams", _table5),)

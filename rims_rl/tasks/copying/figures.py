"""Copying: the models of table 1's first half, and the ablations of table 4."""

from __future__ import annotations

from typing import Any

from rims_rl.experiments.figure import Drawing, Figure
from rims_rl.experiments.paper_tables import Column, PaperTable, Row, beside_paper
from rims_rl.experiments.store import Runs, Wanted
from rims_rl.tasks import parser
from rims_rl.tasks.wanted import fewer_units, wanted

#: The default RIM of agents, for comparison, with biases as they were when it was trained.
AGENTS_CELL: dict[str, Any] = {
    "num_rims": 6, "num_active": 4, "variant": "default", "core_kwargs": {"score_bias_std": 1.0}
}  # fmt: skip
_SOLVED = {"span 50": 0.00, "span 200": 0.00}


def copying_model(units: int = 600, **options: Any) -> Wanted:
    """A model of the copying task, of fewer units in ``--quick``.

    Args:
        units: of the paper's model.
        **options: that differ from the task's preset.
    """
    options = {"hidden_size": units, **options}
    return wanted("copying", options, fewer_units("copying", options))


def rim(rims: int, active: int, units: int = 600, **core: Any) -> Wanted:
    """A RIM model of the copying task.

    Args:
        rims: k_T.
        active: k_A.
        units: of all RIMs together.
        **core: further arguments of `rims_rl.RIMConfig`.
    """
    options: dict[str, Any] = {"core_kwargs": core} if core else {}
    return copying_model(units, num_rims=rims, num_active=active, **options)


def copying_table() -> PaperTable:
    """Models of table 1."""
    return PaperTable(
        "copying: cross-entropy in nats of the last 10 steps; trained with the shorter span",
        [
            Row("RIMs 6/4", rim(6, 4), _SOLVED),
            Row("RIMs 6/3", rim(6, 3), _SOLVED),
            Row("RIMs 6/2", rim(6, 2), _SOLVED),
            Row("RIMs 5/2", rim(5, 2, 500), _SOLVED),
            Row("RIMs 6/4, agents' cell", copying_model(**AGENTS_CELL)),
            Row("LSTM 300", copying_model(300, core="lstm"), {"span 200": 4.32}),
            Row("LSTM 600", copying_model(core="lstm"), {"span 200": 3.56}),
            Row("RMC", copying_model(core="rmc"), {"span 200": 0.13}),
            Row("Transformer", copying_model(core="transformer"), {"span 200": 0.54}),
        ],
        _columns(),
    )


def _columns() -> tuple[Column, Column]:
    """The paper's spans, of training and longer, and those of ``--quick``."""
    quick = parser.read_preset("copying-quick")
    name, metric, (longer, *_) = "span {}", "cross_entropy_{}", quick["test_spans"]
    return Column(name, metric, 50, quick["span"]), Column(name, metric, 200, longer)


def _table4(runs: Runs) -> Drawing:
    rows = [
        Row("RIMs 6/4", rim(6, 4), _SOLVED),
        Row(
            "no communication, 6/4",
            rim(6, 4, communication=None),
            {"span 50": 0.7, "span 200": 5.0},
        ),
        Row(
            "no input attention, 6/6",
            rim(6, 6, input_attention=None),
            {"span 50": 0.0, "span 200": 0.7},
        ),
        Row("input attention, all active, 6/6", rim(6, 6)),
        Row("one communication head, 6/4", rim(6, 4, comm_heads=1)),
        Row("neither, 6/6", rim(6, 6, input_attention=None, communication=None)),
    ]
    part = PaperTable(copying_table().title, rows, _columns())
    return beside_paper(runs, "Table 4: ablations on copying", [part])


FIGURES = (Figure("table4", "ablations of RIMs on copying", _table4),)

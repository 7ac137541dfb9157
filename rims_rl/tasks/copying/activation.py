"""Figure 2: which RIMs are active while a model copies.

Axes: T time, B batch, K RIMs.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture
from numpy.typing import NDArray

from rims_rl.core import RIM
from rims_rl.experiments.figure import Drawing, Figure
from rims_rl.experiments.store import Runs, StoredRun
from rims_rl.tasks.copying import data as copying
from rims_rl.tasks.copying.figures import rim
from rims_rl.tasks.models import SequenceModel
from rims_rl.tasks.task import final_rng
from rims_rl.tasks.wanted import load_trained_run

Mask = NDArray[np.bool_]

#: Sequences that the numbers are means over.
_SEQUENCES = 128


@dataclass(frozen=True)
class Phase:
    """A part of the copying task.

    Attributes:
        name: shown.
        steps: from the first to behind the last.
    """

    name: str
    steps: slice


def phases(span: int) -> list[Phase]:
    """Reading the digits, the blank steps up to the marker, and the answer."""
    begin, end = copying.DIGITS, copying.DIGITS + span
    return [
        Phase("input", slice(0, begin)),
        Phase("dormant", slice(begin, end)),
        Phase("recall", slice(end, end + copying.DIGITS)),
    ]


def active_rims(run: StoredRun, span: int) -> Mask:
    """The RIMs that are active on test sequences, (T, B, K).

    Args:
        run: of a RIM model on copying.
        span: between digits and answer.
    """
    model = load_trained_run(run).model
    assert isinstance(model, SequenceModel)
    assert isinstance(model.core, RIM)
    inputs, _ = copying.sample(_SEQUENCES, span, final_rng())
    with torch.no_grad():
        features = model.encoder(torch.from_numpy(inputs))
        *_, info = model.core(features, return_info=True)
    mask: Mask = info.active_mask.numpy()
    return mask


def distinctness(active: Mask, span: int) -> dict[str, Any]:
    """Measures how much the phases differ in which RIMs are active.

    Args:
        active: (T, B, K).
        span: between digits and answer.

    Returns:
        ``share``: of the steps of each phase in which each RIM is active, K numbers per phase;
        ``distance``: for each two phases the share of active RIMs that change from one to the
        other, 0 where all are as often active in both, 1 where none is active in both; in each
        sequence, then the mean over sequences;
        ``turnover``: the share of active RIMs that change from a step to the next in each phase.
    """
    parts = {phase.name: active[phase.steps] for phase in phases(span)}
    rows = {name: part.mean(0) for name, part in parts.items()}
    return {
        "share": {name: row.mean(0).tolist() for name, row in rows.items()},
        "distance": {
            f"{one} - {other}": _changed(rows[one], rows[other])
            for one, other in combinations(rows, 2)
        },
        "turnover": {name: _changed(part[:-1], part[1:]) for name, part in parts.items()},
    }


def _changed(before: NDArray[Any], after: NDArray[Any]) -> float:
    """Mean share of active RIMs that are others after than before, (..., K) each."""
    difference = np.abs(before.astype(float) - after).sum(-1)
    return float((difference / (2 * before.sum(-1))).mean()) if difference.size else 0.0


def _fig2(runs: Runs) -> Drawing:
    stored = runs.every_seed(rim(6, 4))
    span: int = load_trained_run(stored[0]).task.options.span
    found = {run.seed: active_rims(run, span) for run in stored}
    numbers = {
        f"seed {run.seed}": {**distinctness(found[run.seed], span), "test": run.metrics}
        for run in stored
    }
    return Drawing(_raster(next(iter(found.values())), span), {"span": span, **numbers})


def _raster(active: Mask, span: int) -> Picture:
    """One sequence above, the share of all sequences below; RIMs upwards, time to the right."""
    picture = Picture(figsize=(9, 4.2), layout="constrained")
    picture.suptitle("Figure 2: active RIMs while copying", weight="bold", size=11)
    one, mean = picture.subplots(2, 1, sharex=True)
    one.set_title("one sequence (black: active)", size=9, pad=16)
    one.imshow(active[:, 0].T, cmap="gray_r", aspect="auto", interpolation="nearest", vmin=0)
    mean.set_title(f"share of {active.shape[1]} sequences (black: active in all)", size=9)
    mean.imshow(
        active.mean(1).T, cmap="gray_r", aspect="auto", interpolation="nearest", vmin=0, vmax=1
    )
    for axes in (one, mean):
        _mark_phases(axes, span, active.shape[2])
    for phase in phases(span):
        middle = (phase.steps.start + phase.steps.stop - 1) / 2
        one.text(middle, -0.7, phase.name, ha="center", va="bottom", size=9, color="tab:blue")
    mean.set_xlabel("time step")
    return picture


def _mark_phases(axes: Axes, span: int, rims: int) -> None:
    axes.set_yticks(range(rims), [str(k + 1) for k in range(rims)])
    axes.set_ylabel("RIM")
    for line in np.arange(rims - 1) + 0.5:
        axes.axhline(line, color="0.85", lw=0.5)
    for phase in phases(span)[1:]:
        axes.axvline(phase.steps.start - 0.5, color="tab:blue", lw=1.5)


FIGURES = (Figure("fig2", "which RIMs are active while copying", _fig2),)

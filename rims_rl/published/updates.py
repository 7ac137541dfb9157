"""Measurements of a run's updates and of its active sets, reported beside its returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rims_rl.experiments.statistics import three_digits
from rims_rl.experiments.store import StoredRun


@dataclass(frozen=True)
class Measure:
    """A number of one or several runs.

    Attributes:
        column: of ``progress.csv``.
        of_run: ``median``, ``mean`` or ``largest`` over updates.
        of_seeds: from the runs' numbers to one.
    """

    column: str
    of_run: str = "mean"
    of_seeds: Callable[[Any], Any] = np.mean


MEASURES: Mapping[str, Measure] = {
    "set changes in an episode": Measure("rim/active_set_changes"),
    "by an update": Measure("rim/active_set_changes_by_update"),
    "approx. KL": Measure("train/approx_kl"),
    "gradient norm": Measure("train/grad_norm", "median", np.median),
    "largest": Measure("train/grad_norm", "largest", np.max),
}
#: Their meaning, in Markdown.
EXPLAINED = """\
- Set changes: the share of steps within episodes at which other RIMs are active than at the step
  before, and the share of a rollout's steps at which an update changes which RIMs are active.
- Gradient norm: before clipping, the median and the largest of all updates."""


def of_updates(stored: Sequence[StoredRun]) -> dict[str, float | None]:
    """Each of `MEASURES` of the runs of one core; None where they have none, as without RIMs."""
    return {label: _over_runs(stored, each) for label, each in MEASURES.items()}


def _over_runs(stored: Sequence[StoredRun], measure: Measure) -> float | None:
    found = [run.results["statistics"].get(measure.column) for run in stored]
    values = [value[measure.of_run] for value in found if value is not None]
    return float(measure.of_seeds(values)) if values else None


def cells(result: Mapping[str, Any]) -> list[str]:
    """Each of `MEASURES` in what `of_updates` gave, for a table."""
    return [three_digits(result[label]) for label in MEASURES]

"""What a comparison knows of a run, wherever it was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Record:
    """The returns of a run while it learned.

    Attributes:
        source: where it was read, for people.
        env: environment's id.
        core: what is compared, such as the core with its sizes.
        seed: of the run; None if it does not say.
        steps: agent steps at which episodes ended, in order (num_episodes,).
        returns: of those episodes, unclipped (num_episodes,).
        total: agent steps that it was to learn from; None if it does not say.
        trained: agent steps that it learned from; those of its last episode's end if None.
        hours: since its start, at the same episodes (num_episodes,); None if it does not say.
        settings: its options by name.
        parameters: number of its weights.
        command: that began it.
    """

    source: str
    env: str
    core: str
    seed: int | None
    steps: Array
    returns: Array
    total: float | None
    hours: Array | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    parameters: int | None = None
    command: str | None = None
    trained: float | None = None

    @property
    def reached(self) -> float:
        """Agent steps that it got to."""
        last = float(self.steps[-1]) if len(self.steps) else 0.0
        return last if self.trained is None else self.trained

    @property
    def length(self) -> float:
        """Agent steps up to which it can be compared."""
        return self.reached if self.total is None else self.total


def running_hours(elapsed: Array) -> Array:
    """Hours of training from the seconds that a run's clock shows; it restarts when resumed.

    Args:
        elapsed: in the order in which it was logged (num_rows,).
    """
    passed = np.diff(elapsed, prepend=0.0)
    hours: Array = np.cumsum(np.where(passed < 0, elapsed, passed)) / 3600
    return hours

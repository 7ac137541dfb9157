"""All figures and tables by name."""

from __future__ import annotations

from collections.abc import Mapping

from rims_rl.figures import (
    ablations,
    activation,
    adding,
    ball_strips,
    balls,
    copying,
    masked_encoders,
    masking,
    mnist,
    partial_view,
)
from rims_rl.figures.figure import Figure

_ALL: tuple[Figure, ...] = (
    *activation.FIGURES,
    *mnist.FIGURES,
    *copying.FIGURES,
    *adding.FIGURES,
    *balls.FIGURES,
    *ball_strips.FIGURES,
    *masked_encoders.FIGURES,
    *ablations.FIGURES,
    *partial_view.FIGURES,
    *masking.FIGURES,
)


def _order(figure: Figure) -> tuple[str, int, str]:
    """Figures before tables, each by number."""
    return figure.name.rstrip("0123456789"), len(figure.name), figure.name


FIGURES: Mapping[str, Figure] = {figure.name: figure for figure in sorted(_ALL, key=_order)}

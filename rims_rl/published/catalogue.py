"""All figures and tables by name."""

from __future__ import annotations

from collections.abc import Mapping

from rims_rl.experiments.figure import Figure
from rims_rl.published import atari, inputs, learning, object_picking, pong
from rims_rl.tasks.adding import figures as adding
from rims_rl.tasks.balls import ablations, masked_encoders
from rims_rl.tasks.balls import figures as balls
from rims_rl.tasks.balls import strips as ball_strips
from rims_rl.tasks.copying import activation
from rims_rl.tasks.copying import figures as copying
from rims_rl.tasks.mnist import figures as mnist
from rims_rl.tasks.moving_mnist import figures as masking
from rims_rl.tasks.partial_view import figures as partial_view

_ALL: tuple[Figure, ...] = (
    *learning.FIGURES,
    *inputs.FIGURES,
    *object_picking.FIGURES,
    *pong.FIGURES,
    *atari.FIGURES,
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
    """Comparisons of agents, then figures, then tables, each by number."""
    if not figure.name.startswith(("fig", "table")):
        return "", 0, figure.name
    return figure.name.rstrip("0123456789"), len(figure.name), figure.name


FIGURES: Mapping[str, Figure] = {figure.name: figure for figure in sorted(_ALL, key=_order)}

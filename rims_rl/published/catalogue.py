"""All figures and tables by name.

Those of a supervised task stand in its folder, most of them in ``figures.py``.
"""

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
    *object_picking.FIGURES,  # fig4 and others
    *pong.FIGURES,
    *atari.FIGURES,  # fig5, fig17 to fig20, table7
    *activation.FIGURES,  # fig2
    *mnist.FIGURES,  # table1
    *copying.FIGURES,  # table4
    *adding.FIGURES,  # table5
    *balls.FIGURES,  # fig3, fig8, fig10
    *ball_strips.FIGURES,  # fig7, fig9, fig11, fig12, fig16
    *masked_encoders.FIGURES,  # fig6
    *ablations.FIGURES,  # fig15
    *partial_view.FIGURES,  # fig13
    *masking.FIGURES,  # fig22 to fig25
)


def _order(figure: Figure) -> tuple[str, int, str]:
    """Comparisons of agents, then figures, then tables, each by number."""
    if not figure.name.startswith(("fig", "table")):
        return "", 0, figure.name
    return figure.name.rstrip("0123456789"), len(figure.name), figure.name


FIGURES: Mapping[str, Figure] = {figure.name: figure for figure in sorted(_ALL, key=_order)}

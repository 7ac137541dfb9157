"""The forms of selection and of communication, one function each: the plain statement of both.

A form is added by its name in a registry here (`register_communication`, `register_selection`); a
fast path that does not know it leaves it to the reference.

Axes: B batch, K RIMs, H units per RIM, O numbers per unit that a message has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rims_rl.core.named import Named
from rims_rl.core.ranking import from_largest

#: From the attention on the input (B, K), the active RIMs (B, K), their number and the width of the
#: edge to how far each RIM moves (B, K), from 0 to 1, 0 for inactive ones.
Selection = Callable[[Tensor, Tensor, int, float], Tensor]


def soft_edge(attention: Tensor, active: Tensor, num_active: int, width: float) -> Tensor:
    """Distances that RIMs move: 1 for clear winners, less the closer one is to the first loser.

    m_k = min((a_k - a_first_loser) / width, 1) for active RIMs, 0 for the others. Where two RIMs
    change places both have m = 0, so that the state is continuous in weights and inputs, and m
    carries a gradient to the attention. Not in the paper, whose choice jumps and has no gradient.

    Args:
        attention: on the real input (B, K).
        active: which RIMs are active (B, K).
        num_active: how many are.
        width: of the edge, in units of attention.

    Returns:
        (B, K) numbers from 0 to 1. All active RIMs move fully if there are no losers.
    """
    if num_active == attention.shape[1]:
        return torch.ones_like(attention)
    first_loser = from_largest(attention, dim=1)[:, num_active : num_active + 1]
    margin = (attention - attention.gather(1, first_loser)) / width
    return torch.where(active, torch.where(margin < 1, margin, 1.0), 0.0)


#: None: active RIMs move fully, as in the paper.
SELECTIONS: Named[Selection | None] = Named("selection", {"hard": None, "soft": soft_edge})
#: Those that carry no gradient to the attention.
WITHOUT_GRADIENT = {"hard"}


@dataclass(frozen=True)
class CommunicationForm:
    """The change of an active RIM's state by what it reads of the others.

    Attributes:
        change: from the state (B, K, H) and the message (B, K, O * H) to what is added to the
            state (B, K, H).
        outputs: numbers O per unit that the output map gives.
        own_maps: whether each RIM has an output map of its own, without bias, instead of one map
            with bias for all.
        gated: whether the second number per unit is a gate's, whose bias starts at
            `RIMConfig.comm_gate_bias`.
    """

    change: Callable[[Tensor, Tensor], Tensor]
    outputs: int = 1
    own_maps: bool = False
    gated: bool = False

    def __post_init__(self) -> None:
        if self.outputs < 1:
            raise ValueError(f"outputs must be at least 1, got {self.outputs}")
        if self.gated and (self.outputs < 2 or self.own_maps):
            raise ValueError("gated=True needs outputs=2 and a map with bias, own_maps=False")


def bounded_change(h: Tensor, message: Tensor) -> Tensor:
    """A gate that interpolates: g * (tanh(o) - h), so that h stays in [-1, 1]."""
    content, gate = message.chunk(2, dim=-1)
    return torch.sigmoid(gate) * (torch.tanh(content) - h)


def gated_change(h: Tensor, message: Tensor) -> Tensor:
    """A gate on what is added: g * tanh(o) (the authors' released code)."""
    content, gate = message.chunk(2, dim=-1)
    return torch.sigmoid(gate) * torch.tanh(content)


def residual_change(h: Tensor, message: Tensor) -> Tensor:
    """The plain message, added as it is: o (paper section 2.4)."""
    return message


COMMUNICATIONS: Named[CommunicationForm] = Named(
    "communication",
    {
        "bounded": CommunicationForm(bounded_change, outputs=2, gated=True),
        "gated": CommunicationForm(gated_change, outputs=2, gated=True),
        "residual": CommunicationForm(residual_change, own_maps=True),
    },
)


def register_communication(name: str, form: CommunicationForm) -> None:
    """Makes a form of communication known as ``communication=name`` of `rims_rl.RIM`.

    It runs in the plain reference, and its gradients are autograd's.

    Raises:
        ValueError: the name is taken or cannot be one, or the change has another shape than the
            state.
        TypeError: the form is no `CommunicationForm`.
    """
    if not isinstance(form, CommunicationForm):
        raise TypeError(f"communication {name!r} must be a CommunicationForm, got {form!r}")
    h = torch.zeros(_PROBE)
    change = form.change(h, torch.zeros(*_PROBE[:2], form.outputs * _PROBE[2]))
    _check_shape("communication", name, change, _PROBE)
    COMMUNICATIONS.add(name, form)


def register_selection(name: str, form: Selection) -> None:
    """Makes a form of selection known as ``selection=name`` of `rims_rl.RIM`, likewise.

    Raises:
        ValueError: the name is taken or cannot be one, or the result has another shape than the
            attention, or numbers below 0 or above 1.
    """
    attention = torch.linspace(0.1, 0.9, 6).view(_PROBE[:2]).requires_grad_()
    with torch.enable_grad():
        moves = form(attention, attention > attention[:, :1], _PROBE[1] - 1, 0.5)
    _check_shape("selection", name, moves, _PROBE[:2])
    if not bool(((moves >= 0) & (moves <= 1)).all()):
        raise ValueError(f"selection {name!r} must give numbers from 0 to 1, got {moves.tolist()}")
    SELECTIONS.add(name, form)
    WITHOUT_GRADIENT.discard(name)
    if not moves.requires_grad:
        WITHOUT_GRADIENT.add(name)


#: Sizes (B, K, H) that a new form is tried with.
_PROBE = (2, 3, 4)


def _check_shape(kind: str, name: str, result: Tensor, shape: tuple[int, ...]) -> None:
    if not isinstance(result, Tensor):
        raise ValueError(f"{kind} {name!r} must give a tensor, got {type(result).__name__}")
    if result.shape != shape:
        raise ValueError(
            f"{kind} {name!r} must give {shape} numbers for {shape}, got {tuple(result.shape)}"
        )

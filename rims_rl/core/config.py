"""The sizes of a RIM core and what its cell computes, with the published variants by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rims_rl.core.sizes import check_divisible

InputAttention = Literal["null", "competition"]
Communication = Literal["bounded", "gated", "residual"]
ReadInactive = Literal["state", "candidate"]
Backend = Literal["auto", "reference", "torch", "native"]
Dynamics = Literal["gru", "lstm"]
Variant = Literal["default", "paper", "released", "released-null"]
FromVariant = Literal["variant"]

#: What each variant stands for. ``released`` and ``released-null`` are versions 2 and 1 of the
#: authors' published code; ``paper`` is section 2 of arXiv 1909.10893 to the letter.
VARIANTS: Mapping[str, Mapping[str, str]] = {
    "default": {
        "input_attention": "null",
        "communication": "bounded",
        "read_inactive": "state",
    },
    "paper": {
        "input_attention": "null",
        "communication": "residual",
        "read_inactive": "state",
    },
    "released": {
        "input_attention": "competition",
        "communication": "gated",
        "read_inactive": "candidate",
    },
    "released-null": {
        "input_attention": "null",
        "communication": "gated",
        "read_inactive": "candidate",
    },
}

_CHOICES: Mapping[str, tuple[str | None, ...]] = {
    "dynamics": ("gru", "lstm"),
    "variant": tuple(VARIANTS),
    "input_attention": ("null", "competition", None),
    "communication": ("bounded", "gated", "residual", None),
    "read_inactive": ("state", "candidate"),
    "backend": ("auto", "reference", "torch", "native"),
}


@dataclass(frozen=True)
class RIMConfig:
    """Everything that determines a RIM core (paper section 2 and table 3).

    Attributes:
        input_size: features D of one input row.
        hidden_size: units of all RIMs together, K * H.
        num_rims: number K of RIMs (the paper's k_T).
        num_active: how many RIMs are active at a step (the paper's k_A). All of them if
            ``input_attention`` is None.
        dynamics: each RIM's own recurrent cell.
        variant: a named bundle of the next three choices, see `VARIANTS`.
        input_attention: ``"null"``: softmax of each RIM over the input rows and a row of zeros
            (the paper); ``"competition"``: softmax across the RIMs (the released Atari code);
            None: no attention, all RIMs are active and read the input directly (ablation).
        communication: what an active RIM does with the attended message o.
            ``"bounded"``: h <- h + g * (tanh(o) - h), a gate that interpolates, so that the
            state stays in [-1, 1]; ``"gated"``: h <- h + g * tanh(o) (the released code);
            ``"residual"``: h <- h + o (the paper's equation); None: no communication (ablation).
            The two that add to the state let it grow without bound in long runs.
        read_inactive: what active RIMs read of inactive ones: their unchanged ``"state"``
            (the paper) or the ``"candidate"`` they would have had (the released code).
        input_heads: heads of the input attention; activation uses their mean.
        input_key_size: size of a query and a key, for each head.
        input_value_size: size of a value, for each head; None: 4 * H shared out to the heads.
        comm_heads: heads of the communication attention.
        comm_key_size: size of a query and a key, for each head.
        comm_value_size: size of a value, for each head.
        comm_top_k: a reader attends to this many RIMs only; None: to all.
        dropout: probability of dropping an attention weight in training mode. Leave it at 0 in
            PPO, whose probability ratio must be 1 at the first update.
        backend: how it is computed, for tests and benchmarks; the result is the same.
            ``"reference"``: plain torch, step by step; ``"torch"``: hand-written backpropagation
            in torch; ``"native"``: compiled, on the CPU; ``"auto"``: the fastest that applies.

    Raises:
        ValueError: a value is out of range; the message names values that work.
    """

    input_size: int
    hidden_size: int
    num_rims: int = 6
    num_active: int = 4
    dynamics: Dynamics = "gru"
    variant: Variant = "default"
    input_attention: InputAttention | FromVariant | None = "variant"
    communication: Communication | FromVariant | None = "variant"
    read_inactive: ReadInactive | FromVariant = "variant"
    input_heads: int = 1
    input_key_size: int = 64
    input_value_size: int | None = None
    comm_heads: int = 4
    comm_key_size: int = 32
    comm_value_size: int = 32
    comm_top_k: int | None = None
    dropout: float = 0.0
    backend: Backend = "auto"
    rim_size: int = field(init=False)

    def __post_init__(self) -> None:
        self._check_sizes()
        self._resolve_choices()
        self._set("rim_size", self.hidden_size // self.num_rims)
        if self.input_attention is None:
            self._set("num_active", self.num_rims)
        if self.input_value_size is None:
            self._set("input_value_size", max(1, 4 * self.rim_size // self.input_heads))

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _check_sizes(self) -> None:
        positive = ("input_size", "hidden_size", "num_rims", "input_heads", "input_key_size")
        for name in (*positive, "comm_heads", "comm_key_size", "comm_value_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        check_divisible(self.hidden_size, self.num_rims, f"num_rims {self.num_rims}")
        if not 1 <= self.num_active <= self.num_rims:
            raise ValueError(
                f"num_active must be between 1 and num_rims ({self.num_rims}), "
                f"got {self.num_active}"
            )
        if self.input_value_size is not None and self.input_value_size < 1:
            raise ValueError(f"input_value_size must be at least 1, got {self.input_value_size}")
        if self.comm_top_k is not None and not 1 <= self.comm_top_k <= self.num_rims:
            raise ValueError(
                f"comm_top_k must be between 1 and num_rims ({self.num_rims}), "
                f"got {self.comm_top_k}"
            )
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")

    def _resolve_choices(self) -> None:
        for name in ("variant", "dynamics", "backend"):
            self._check_choice(name)
        for name, meaning in VARIANTS[self.variant].items():
            if getattr(self, name) == "variant":
                self._set(name, meaning)
            self._check_choice(name)

    def _check_choice(self, name: str) -> None:
        if getattr(self, name) not in _CHOICES[name]:
            choices = ", ".join(repr(choice) for choice in _CHOICES[name])
            raise ValueError(f"{name} must be one of {choices}, got {getattr(self, name)!r}")

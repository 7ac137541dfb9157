"""The sizes of a RIM core and what its cell computes, with the published variants by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from numbers import Real
from typing import Any, Literal, get_args

from rims_rl.core.forms import COMMUNICATIONS, SELECTIONS, WITHOUT_GRADIENT
from rims_rl.core.named import Named
from rims_rl.core.sizes import check_divisible, check_positive, is_whole

InputAttention = Literal["null", "competition"]
ReadInactive = Literal["state", "candidate"]
Backend = Literal["auto", "reference", "torch", "native"]
Dynamics = Literal["gru", "lstm"]
Variant = Literal["default", "hard", "paper", "released", "released-null"]
#: Stands for what the variant says.
_FROM_VARIANT: Any = "variant"


def _four_per_unit(config: RIMConfig) -> int:
    """Values of 4 * H numbers, shared out to the heads (paper, table 3)."""
    return max(1, 4 * config.rim_size // config.input_heads)


def _shared_by_heads(config: RIMConfig) -> int:
    """Heads of communication have H numbers together, as in Vaswani et al. (2017)."""
    return math.ceil(config.rim_size / config.comm_heads)


def _message_size(config: RIMConfig) -> int:
    """The size of a message, in numbers."""
    outputs = COMMUNICATIONS.find(config.communication).outputs if config.communication else 1
    return outputs * config.rim_size


def _message_by_heads(config: RIMConfig) -> int:
    """Heads of communication have the message together."""
    return max(1, _message_size(config) // config.comm_heads)


def _must_read_null(config: RIMConfig) -> bool:
    """Tells whether there is no null row to leave out, or only reading teaches who is active."""
    return config.input_attention != "null" or _is_without_gradient(config)


def _is_without_gradient(config: RIMConfig) -> bool:
    """Tells whether the selection teaches the scores nothing."""
    return config.selection.rpartition(":")[2] in WITHOUT_GRADIENT


def _is_no_message(config: RIMConfig) -> bool:
    """Tells whether what the heads of communication read has another size than the message."""
    return config.comm_heads * config.comm_value_size != _message_size(config)


#: What the published cells have in common.
_PUBLISHED: Mapping[str, Any] = {
    "selection": "hard",
    "query_bias": False,
    "key_bias": False,
    "score_bias_std": 1.0,
    "comm_gate_bias": 0.0,
    "comm_output_map": True,
    "read_null": True,
    "input_key_size": 64,
    "input_value_size": _four_per_unit,
    "comm_heads": 4,
    "comm_key_size": 32,
    "comm_value_size": 32,
}

#: What each variant stands for. ``hard`` is the default of version 0.1; ``released`` and
#: ``released-null`` are versions 2 and 1 of the authors' published code; ``paper`` is section 2 of
#: arXiv 1909.10893 to the letter.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "default": {
        "input_attention": "null",
        "selection": "soft",
        "read_null": _must_read_null,
        "communication": "bounded",
        "read_inactive": "state",
        "query_bias": True,
        "key_bias": True,
        "score_bias_std": 2.0,
        "comm_gate_bias": -6.0,
        "input_key_size": 16,
        "input_value_size": None,
        "comm_heads": 2,
        "comm_key_size": _shared_by_heads,
        "comm_value_size": _message_by_heads,
        "comm_output_map": _is_no_message,
    },
    "hard": {
        **_PUBLISHED,
        "input_attention": "null",
        "communication": "bounded",
        "read_inactive": "state",
        "comm_gate_bias": -2.0,
    },
    "paper": {
        **_PUBLISHED,
        "input_attention": "null",
        "communication": "residual",
        "read_inactive": "state",
    },
    "released": {
        **_PUBLISHED,
        "input_attention": "competition",
        "communication": "gated",
        "read_inactive": "candidate",
    },
    "released-null": {
        **_PUBLISHED,
        "input_attention": "null",
        "communication": "gated",
        "read_inactive": "candidate",
    },
}


#: The values that an option may have; forms can be added to while the program runs.
_CHOICES: Mapping[str, Callable[[], tuple[object, ...]]] = {
    "dynamics": lambda: get_args(Dynamics),
    "variant": lambda: get_args(Variant),
    "input_attention": lambda: (*get_args(InputAttention), None),
    "selection": lambda: tuple(SELECTIONS),
    "communication": lambda: (*COMMUNICATIONS, None),
    "read_inactive": lambda: get_args(ReadInactive),
    "query_bias": lambda: (True, False),
    "key_bias": lambda: (True, False),
    "comm_output_map": lambda: (True, False),
    "read_null": lambda: (True, False),
    "backend": lambda: get_args(Backend),
}
_INPUT = "input_size"
#: Options whose values are names of forms, which users add to; see `Named.find`.
_FORMS: Mapping[str, Named[Any]] = {"selection": SELECTIONS, "communication": COMMUNICATIONS}


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
        variant: a named bundle of choices, see `VARIANTS`; fields that are ``"variant"`` get their
            value from it.
        input_attention: ``"null"``: softmax of each RIM over the input rows and a row of zeros
            (the paper); ``"competition"``: softmax across the RIMs (the released Atari code);
            None: no attention, all RIMs are active and read the input directly (ablation).
        communication: what an active RIM does with the attended message o.
            ``"bounded"``: h <- h + g * (tanh(o) - h), a gate that interpolates, so that h stays
            in [-1, 1]; ``"gated"``: h <- h + g * tanh(o) (the released code);
            ``"residual"``: h <- h + o (the paper's equation); None: no communication (ablation).
            The two that add to the state let it grow without bound in long runs.
        read_inactive: what active RIMs read of inactive ones: their unchanged ``"state"``
            (the paper) or the ``"candidate"`` they would have had (the released code).
        input_heads: heads of the input attention; activation uses their mean.
        input_key_size: size of a query and a key, for each head. 16 by default, 64 in the
            published variants.
        input_value_size: size of a value, for each head; None: the input itself, without a map.
        comm_heads: heads of the communication attention, 2 by default, 4 in the published variants.
        comm_key_size: size of a query and a key, for each head. By default all heads together
            have H, in the published variants 32 each.
        comm_value_size: size of a value, for each head. By default all heads together have the
            message, 2 * H for ``"bounded"``; in the published variants 32 each.
        comm_top_k: a reader attends to this many RIMs only; None: to all.
        dropout: probability of dropping an attention weight in training mode. Leave it at 0 in
            PPO, whose probability ratio must be 1 at the first update.
        backend: how it is computed, for tests and benchmarks; the result is the same but for
            rounding, which decides where attention is equal to the last digits.
            ``"reference"``: plain torch, step by step; ``"torch"``: hand-written backpropagation
            in torch; ``"native"``: compiled, on the CPU; ``"auto"``: the fastest that applies.
        selection: how an active RIM moves. ``"soft"``: the less, the closer its attention is to
            that of the first loser, so that nothing jumps where two RIMs change places, see
            `rims_rl.core.forms.soft_edge`; ``"hard"``: fully (the paper).
        edge_width: difference in attention to the first loser from which on an active RIM moves
            fully, for ``selection="soft"``.
        query_bias: whether queries have a bias, so that a RIM with a state of zeros chooses by
            the input, too (not in the paper).
        key_bias: whether keys of real rows have a bias, so that attention is not decided by the
            input's direction alone (not in the paper). The null row's key stays zero.
        score_bias_std: standard deviation of these two biases at the start, 2 by default: the
            larger, the further RIMs are ahead of one another, and the further they move.
        read_null: whether the null row takes part in what a RIM reads: an active RIM then reads
            the input times its attention on it (the paper). Otherwise it reads the input in full,
            or the mean of its rows weighed by attention, and the null row, which counts as often
            as there are rows, takes part in the choice of active RIMs alone. Where as many RIMs
            are active as there are, there is no choice: queries and keys of one row then do nothing
            and learn nothing, though they are counted.
        comm_gate_bias: bias of the gate of ``"bounded"`` and ``"gated"`` at the start.
        comm_output_map: whether what the heads read goes through a map to become the message;
            otherwise it is the message. By default only where their sizes differ; the published
            variants always have it.

    Raises:
        ValueError: a value is out of range; the message names values that work.
    """

    input_size: int
    hidden_size: int
    num_rims: int = 6
    num_active: int = 4
    dynamics: Dynamics = "gru"
    variant: Variant = "default"
    input_attention: InputAttention | None = _FROM_VARIANT
    communication: str | None = _FROM_VARIANT
    read_inactive: ReadInactive = _FROM_VARIANT
    input_heads: int = 1
    input_key_size: int = _FROM_VARIANT
    input_value_size: int | None = _FROM_VARIANT
    comm_heads: int = _FROM_VARIANT
    comm_key_size: int = _FROM_VARIANT
    comm_value_size: int = _FROM_VARIANT
    comm_top_k: int | None = None
    dropout: float = 0.0
    backend: Backend = "auto"
    selection: str = _FROM_VARIANT
    edge_width: float = 0.6
    query_bias: bool = _FROM_VARIANT
    key_bias: bool = _FROM_VARIANT
    score_bias_std: float = _FROM_VARIANT
    read_null: bool = _FROM_VARIANT
    comm_gate_bias: float = _FROM_VARIANT
    comm_output_map: bool = _FROM_VARIANT
    rim_size: int = field(init=False)

    def __post_init__(self) -> None:
        self._check_whole()
        self._set("rim_size", self.hidden_size // self.num_rims)
        self._resolve_choices()
        self._check_sizes()
        if self.input_attention is None:
            self._set("num_active", self.num_rims)
        self._check_reading()

    def options(self) -> dict[str, Any]:
        """All fields but those of the input, with what variant and defaults of today stand for."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.init and f.name != _INPUT}

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _check_whole(self) -> None:
        self._check_positive("input_size", "hidden_size", "num_rims", "input_heads")
        check_divisible(self.hidden_size, self.num_rims, f"num_rims {self.num_rims}")
        self._check_up_to_rims("num_active")
        if self.comm_top_k is not None:
            self._check_up_to_rims("comm_top_k")
        self._check_number("dropout", " in [0, 1)", lambda value: 0.0 <= value < 1.0)
        self._check_number("edge_width", " above 0", lambda value: value > 0.0)

    def _check_sizes(self) -> None:
        self._check_number("score_bias_std", " above 0", lambda value: value > 0.0)
        self._check_number("comm_gate_bias")
        self._check_positive("input_key_size", "comm_key_size", "comm_value_size")
        if self.input_value_size is not None:
            self._check_positive("input_value_size")
        if self.communication and not self.comm_output_map and _is_no_message(self):
            raise ValueError(
                f"{self.comm_heads} comm_heads of {self.comm_value_size} numbers are not the "
                f"{_message_size(self)} that a message of communication {self.communication!r} "
                "has: use a number of heads that divides it, or comm_output_map=True"
            )

    def _check_reading(self) -> None:
        if self.read_null:
            return
        if self.input_attention != "null":
            raise ValueError(
                "read_null=False is for input_attention='null': "
                f"{self.input_attention!r} has no null row"
            )
        if _is_without_gradient(self) and self.num_active < self.num_rims:
            raise ValueError(
                f"read_null=False needs selection='soft': with {self.selection!r} nothing would "
                "ever teach the RIMs which of them is to be active"
            )

    def _check_up_to_rims(self, name: str) -> None:
        value: Any = getattr(self, name)
        if is_whole(value) and not 1 <= value <= self.num_rims:
            raise ValueError(
                f"{name} must be between 1 and num_rims ({self.num_rims}), got {value}"
            )
        self._check_positive(name)

    def _check_number(
        self, name: str, where: str = "", fits: Callable[[float], bool] = lambda value: True
    ) -> None:
        value = getattr(self, name)
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or not fits(value):
            raise ValueError(f"{name} must be a finite number{where}, got {value!r}")

    def _check_positive(self, *names: str) -> None:
        for name in names:
            check_positive(name, getattr(self, name))

    def _resolve_choices(self) -> None:
        for name in ("variant", "dynamics", "backend"):
            self._check_choice(name)
        for name, meaning in VARIANTS[self.variant].items():
            if getattr(self, name) == _FROM_VARIANT:
                self._set(name, meaning(self) if callable(meaning) else meaning)
            if name in _CHOICES:
                self._check_choice(name)
            if name == "comm_heads":
                self._check_positive(name)

    def _check_choice(self, name: str) -> None:
        choices, value = _CHOICES[name](), getattr(self, name)
        if name in _FORMS and ":" in str(value):
            _FORMS[name].find(value)
        elif value not in choices:
            listed = ", ".join(repr(choice) for choice in choices)
            more = ", or module:name of your own" if name in _FORMS else ""
            raise ValueError(f"{name} must be one of {listed}{more}, got {value!r}")

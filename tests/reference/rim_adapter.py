"""Runs rims_rl's RIM on a golden case; the contract is in the docstring of `parity_check`."""

from __future__ import annotations

from typing import Any

import torch
from parity_check import Case, join_blocks, split_blocks
from torch import Tensor

from rims_rl import RIM

VARIANTS = {
    "authors_atari_v1": "released-null",
    "authors_event": "released-null",
    "authors_atari_v2": "released",
}
# The authors' name of a weight -> ours, where the layout is the same.
SAME_LAYOUT = {
    "inp_att.GLN_qs.w": "input_attention.query_weight",
    "mha.GLN_qs.w": "communication.query_weight",
    "mha.GLN_ks.w": "communication.key_weight",
    "mha.GLN_vs.w": "communication.value_weight",
    "mha.fc.weight": "communication.output.weight",
    "mha.fc.bias": "communication.output.bias",
    "mha.gate_fc.weight": "communication.gate.weight",
    "mha.gate_fc.bias": "communication.gate.bias",
}
# These have a leading axis of slots, of which the last is the real input.
WITH_SLOTS = {
    "inp_att.GLN_ks.w": "input_attention.key_weight",
    "inp_att.GLN_vs.w": "input_attention.value_weight",
}


def _to_ours(name: str, weight: Any, gates: int, rims: int) -> tuple[str, Any]:
    if name in SAME_LAYOUT:
        return SAME_LAYOUT[name], weight
    if name in WITH_SLOTS:
        return WITH_SLOTS[name], weight[-1]
    ours = "dynamics." + name.rsplit(".", 1)[1]
    if weight.ndim == 1:  # (gates * K * b) -> (K, gates * b)
        return ours, weight.reshape(gates, rims, -1).swapaxes(0, 1).reshape(rims, -1)
    blocks = split_blocks(weight, gates, rims)  # (K, gates, b, m) -> (K, m, gates * b)
    return ours, blocks.reshape(rims, -1, blocks.shape[-1]).swapaxes(1, 2).copy()


def _to_theirs(name: str, grad: Tensor, weight: Any, gates: int, rims: int) -> Any:
    if name in SAME_LAYOUT:
        return grad
    if name in WITH_SLOTS:
        slots = torch.zeros(weight.shape, dtype=grad.dtype)
        slots[-1] = grad
        return slots
    if weight.ndim == 1:
        return grad.reshape(rims, gates, -1).swapaxes(0, 1).reshape(-1)
    blocks = grad.swapaxes(1, 2).reshape(rims, gates, -1, grad.shape[1])
    return join_blocks(blocks.numpy(), gates, rims)


def run_case(case: Case, dtype: torch.dtype) -> dict[str, Any]:
    """Runs one golden case, forward and backward."""
    if case.variant not in VARIANTS:
        raise NotImplementedError(f"{case.variant} is not offered")
    cfg, rims = case.cfg, case.cfg["K"]
    gates = 3 if case.dyn == "GRU" else 4
    rim = RIM(
        cfg["input_size"],
        cfg["hidden"],
        num_rims=rims,
        num_active=cfg["k_A"],
        dynamics=case.dyn.lower(),
        variant=VARIANTS[case.variant],
        input_heads=cfg["input_heads"],
        input_key_size=cfg["input_dk"],
        input_value_size=cfg["input_dv"],
        comm_heads=cfg["comm_heads"],
        comm_key_size=cfg["comm_dk"],
        comm_value_size=cfg["comm_dv"],
    ).to(dtype)
    used = {name: weight for name, weight in case.W.items() if name not in case.unused}
    loaded = dict(_to_ours(name, weight, gates, rims) for name, weight in used.items())
    rim.load_state_dict({name: torch.tensor(w, dtype=dtype) for name, w in loaded.items()})

    def leaf(array: Any) -> Tensor:
        return torch.tensor(array, dtype=dtype).requires_grad_()

    x, h0 = leaf(case.x), leaf(case.h0)
    c0 = leaf(case.h0 * 0 if case.c0 is None else case.c0)
    outputs, cells, infos, state = [], [], [], (h0.unsqueeze(0), c0.unsqueeze(0))
    for row in x:  # step by step: only the last cell state of a call is returned
        output, state, info = rim(row.unsqueeze(0), state, return_info=True)
        outputs.append(output)
        cells.append(state[1])
        infos.append(info)
    h = torch.cat(outputs)
    (h * torch.tensor(case.r, dtype=dtype)).sum().backward()

    parameters = dict(rim.named_parameters())
    grads = {
        name: _to_theirs(name, parameters[_to_ours(name, w, gates, rims)[0]].grad, w, gates, rims)
        for name, w in used.items()
    }
    grads.update(x=x.grad, h0=h0.grad)
    if case.c0 is not None:
        grads["c0"] = c0.grad
    attention = torch.cat([info.input_attention for info in infos]).unsqueeze(-1)
    if rim.config.input_attention == "null":
        attention = torch.cat([1 - attention, attention], dim=-1)
    return {
        "h": h,
        "c": torch.cat(cells),
        "mask": torch.cat([info.active_mask for info in infos]),
        "input_att": attention,
        "grads": grads,
    }

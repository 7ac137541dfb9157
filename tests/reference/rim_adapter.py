"""Runs rims_rl's RIM on a golden case; the contract is in the docstring of `parity_check`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from parity_check import Case, join_blocks, split_blocks
from torch import Tensor

from rims_rl import RIM

VARIANTS = {
    "authors_atari_v1": "released-null",
    "authors_event": "released-null",
    "authors_atari_v2": "released",
}
GRU_OR_LSTM = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def _cell_weight_to_ours(weight: Any, gates: int, rims: int) -> Any:
    """Block diagonal (gates * K * b, K * m) -> (K, m, gates * b); biases (K, gates * b)."""
    if weight.ndim == 1:
        return weight.reshape(gates, rims, -1).swapaxes(0, 1).reshape(rims, -1)
    blocks = split_blocks(weight, gates, rims)
    return blocks.reshape(rims, -1, blocks.shape[-1]).swapaxes(1, 2).copy()


def _cell_grad_to_theirs(grad: Tensor, gates: int, rims: int) -> Any:
    if grad.dim() == 2:
        return grad.reshape(rims, gates, -1).swapaxes(0, 1).reshape(-1)
    blocks = grad.swapaxes(1, 2).reshape(rims, gates, -1, grad.shape[1])
    return join_blocks(blocks.numpy(), gates, rims)


def _weights_to_ours(case: Case, gates: int) -> dict[str, Any]:
    w, rims = case.W, case.cfg["K"]
    cell = f"block_lstm.{case.dyn.lower()}."
    ours = {
        "input_attention.query_weight": w["inp_att.GLN_qs.w"],
        # A leading axis of slots, of which the last is the real input.
        "input_attention.key_value_weight": np.concatenate(
            [w["inp_att.GLN_ks.w"][-1], w["inp_att.GLN_vs.w"][-1]], axis=-1
        ),
        "communication.qkv_weight": np.concatenate(
            [w["mha.GLN_qs.w"], w["mha.GLN_ks.w"], w["mha.GLN_vs.w"]], axis=-1
        ),
        "communication.output_weight": np.concatenate(
            [w["mha.fc.weight"].T, w["mha.gate_fc.weight"].T], axis=-1
        ),
        "communication.output_bias": np.concatenate([w["mha.fc.bias"], w["mha.gate_fc.bias"]]),
    }
    for name in GRU_OR_LSTM:
        ours["dynamics." + name] = _cell_weight_to_ours(w[cell + name], gates, rims)
    return ours


def _grads_to_theirs(case: Case, grads: dict[str, Tensor], gates: int) -> dict[str, Any]:
    cfg = case.cfg
    cell = f"block_lstm.{case.dyn.lower()}."
    input_keys = cfg["input_heads"] * cfg["input_dk"]
    comm_keys = cfg["comm_heads"] * cfg["comm_dk"]
    key, value = grads["input_attention.key_value_weight"].tensor_split((input_keys,), dim=-1)
    queries, keys, values = grads["communication.qkv_weight"].tensor_split(
        (comm_keys, 2 * comm_keys), dim=-1
    )
    message, gate = grads["communication.output_weight"].chunk(2, dim=-1)
    message_bias, gate_bias = grads["communication.output_bias"].chunk(2)

    def in_last_slot(grad: Tensor, name: str) -> Tensor:
        slots = torch.zeros(case.W[name].shape, dtype=grad.dtype)
        slots[-1] = grad
        return slots

    theirs: dict[str, Any] = {
        "inp_att.GLN_qs.w": grads["input_attention.query_weight"],
        "inp_att.GLN_ks.w": in_last_slot(key, "inp_att.GLN_ks.w"),
        "inp_att.GLN_vs.w": in_last_slot(value, "inp_att.GLN_vs.w"),
        "mha.GLN_qs.w": queries,
        "mha.GLN_ks.w": keys,
        "mha.GLN_vs.w": values,
        "mha.fc.weight": message.T,
        "mha.fc.bias": message_bias,
        "mha.gate_fc.weight": gate.T,
        "mha.gate_fc.bias": gate_bias,
    }
    for name in GRU_OR_LSTM:
        theirs[cell + name] = _cell_grad_to_theirs(grads["dynamics." + name], gates, cfg["K"])
    return theirs


def run_case(
    case: Case, dtype: torch.dtype, backend: str = "auto", device: str = "cpu"
) -> dict[str, Any]:
    """Runs one golden case, forward and backward."""
    if case.variant not in VARIANTS:
        raise NotImplementedError(f"{case.variant} is not offered")
    cfg = case.cfg
    gates = 3 if case.dyn == "GRU" else 4
    rim = RIM(
        cfg["input_size"],
        cfg["hidden"],
        num_rims=cfg["K"],
        num_active=cfg["k_A"],
        dynamics=case.dyn.lower(),
        variant=VARIANTS[case.variant],
        input_heads=cfg["input_heads"],
        input_key_size=cfg["input_dk"],
        input_value_size=cfg["input_dv"],
        comm_heads=cfg["comm_heads"],
        comm_key_size=cfg["comm_dk"],
        comm_value_size=cfg["comm_dv"],
        backend=backend,
    ).to(device, dtype)
    loaded = _weights_to_ours(case, gates)
    rim.load_state_dict({name: torch.tensor(w, dtype=dtype) for name, w in loaded.items()})

    def leaf(array: Any) -> Tensor:
        return torch.tensor(array, dtype=dtype, device=device).requires_grad_()

    x, h0 = leaf(case.x), leaf(case.h0)
    c0 = leaf(case.h0 * 0 if case.c0 is None else case.c0)
    outputs, cells, infos, state = [], [], [], (h0.unsqueeze(0), c0.unsqueeze(0))
    for row in x:  # step by step: only the last cell state of a call is returned
        output, state, info = rim(row.unsqueeze(0), state, return_info=True)
        outputs.append(output)
        cells.append(state[1])
        infos.append(info)
    h = torch.cat(outputs)
    (h * torch.tensor(case.r, dtype=dtype, device=device)).sum().backward()

    ours = {n: p.grad.cpu() for n, p in rim.named_parameters() if p.grad is not None}
    grads = _grads_to_theirs(case, ours, gates)
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

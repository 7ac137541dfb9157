#!/usr/bin/env python
"""Compares a RIM implementation with the golden vectors (*.npz) next to this file.

    python parity_check.py [--adapter rim_adapter.py] [--sets public] [--dtype float64] [--tol 1e-5] [--only SUBSTRING] [-v]

The adapter is a Python file that defines ONE function, `run_case(case, dtype)`; see ADAPTER CONTRACT below.
Only numpy and torch are needed here.  Exit status 0: every case that ran passed, and at least one ran.

ADAPTER CONTRACT
----------------
    def run_case(case, dtype):
        '''Run the package's RIM cell on one golden case.

        case.variant   'authors_atari_v1' | 'authors_atari_v2' | 'authors_event' | 'dido1998'   (mathematics: README.md)
        case.dyn       'GRU' | 'LSTM'
        case.cfg       dict of int/str: K, k_A, block, hidden (= K*block), input_size, T, B, input_heads, input_dk, input_dv,
                       comm_heads, comm_dk, comm_dv, seed
        case.W         dict original weight name -> float32 numpy array, ORIGINAL layout (mapping to roles: README.md)
        case.x         [T,B,input_size]   case.h0 [B,hidden]   case.c0 [B,hidden] or None     (RIM k owns columns k*block:(k+1)*block)
        case.r         [T,B,hidden], fixed coefficients of the scalar loss  L = sum(h * r)
        dtype          torch.float64 or torch.float32: cast weights and inputs to it

        Do: build the package's cell for this configuration in eval mode (dropout off), load case.W into it, make x, h0, c0
        require gradients, run T steps, compute L = (h * r).sum(), call L.backward().

        Return a dict of torch tensors or numpy arrays:
            'h'         [T,B,hidden]                 required
            'c'         [T,B,hidden]                 required for LSTM
            'mask'      [T,B,K]  1 active, 0 not     required
            'input_att' same shape as case.input_att optional (authors: post-sparsify attention; v1/event slot 0 = null, slot 1 = input;
                                                      dido1998: slot 0 = input, slot 1 = null)
            'grads'     dict: 'x', 'h0', ('c0') and original weight names -> gradient in the ORIGINAL layout.
                        Write NaN where the package has no parameter (off-diagonal blocks of block_lstm.*.weight_*): such entries are
                        skipped.  Names in case.unused have no gradient and must be left out.  A weight left out is reported
                        as 'not compared' and fails the case unless --allow-missing is given.
        Raise NotImplementedError to skip a variant that the package does not offer.
        '''
Helpers that make the layout work short: `split_blocks(W, gates, K)` and `join_blocks(blocks, gates, K)`.
"""

import argparse, glob, importlib.util, os, sys
from typing import Any

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))


def split_blocks(W, gates, K):
    """[gates*K*b, K*m] block-diagonal matrix of the authors' code -> [K, gates, b, m] (RIM k's own block for every gate)."""
    g = W.shape[0] // gates
    b, m = g // K, W.shape[1] // K
    return np.stack(
        [
            np.stack(
                [W[e * g + k * b : e * g + (k + 1) * b, k * m : (k + 1) * m] for e in range(gates)]
            )
            for k in range(K)
        ]
    )


def join_blocks(blocks, gates, K):
    """Inverse of split_blocks; everything off the diagonal blocks is NaN (= 'not compared')."""
    blocks = np.asarray(blocks)
    b, m = blocks.shape[2], blocks.shape[3]
    W = np.full((gates * K * b, K * m), np.nan)
    for k in range(K):
        for e in range(gates):
            W[e * K * b + k * b : e * K * b + (k + 1) * b, k * m : (k + 1) * m] = blocks[k, e]
    return W


class Case:
    def __init__(self, path):
        self.path = path
        self.name = os.path.basename(path)[:-4]
        z = np.load(path, allow_pickle=False)
        a = {k: z[k] for k in z.files}
        self.cfg: dict[str, Any] = {
            k[7:]: (v.item() if v.dtype.kind != "U" else str(v))
            for k, v in a.items()
            if k.startswith("config.")
        }
        self.variant, self.dyn = self.cfg["variant"], self.cfg["dyn"]
        self.W = {k[2:]: v for k, v in a.items() if k.startswith("W.")}
        self.unused = [str(s) for s in a["unused_weights"]]
        self.x, self.h0, self.c0, self.r = a["x"], a["h0"], a.get("c0"), a["r"]
        self.margin = float(a["topk_margin"])
        self.input_att = a["input_att"]
        self.expected = {k: a[k] for k in ("h", "c", "mask", "input_att") if k in a}
        self.expected_grads = {k[5:]: v for k, v in a.items() if k.startswith("grad.")}
        self.expected_grads.update({k[2:]: v for k, v in a.items() if k.startswith("G.")})
        self.extra = {k: a[k] for k in ("comm_att", "input_att_before_sparsify", "loss") if k in a}

    def comparable(self, name):
        """boolean array: entries that every implementation must reproduce"""
        e = self.expected_grads[name]
        if name.startswith("block_lstm.") and e.ndim == 2:
            gates = 3 if self.dyn == "GRU" else 4
            K, b = self.cfg["K"], self.cfg["block"]
            return ~np.isnan(join_blocks(np.zeros((K, gates, b, e.shape[1] // K)), gates, K))
        return np.ones(e.shape, bool)


def to_np(t):
    if hasattr(t, "detach"):
        t = t.detach().cpu().numpy()
    return np.asarray(t, dtype=np.float64)


def rel(a, b, where=None):
    """max |a-b| over the compared entries, relative to the largest expected magnitude there"""
    if where is not None:
        a, b = a[where], b[where]
    return float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-12))


def check(case, res, tol, allow_missing, f32=False):
    """returns list of (what, error or text, ok).

    Gradients that are zero in exact arithmetic (dido1998's key.bias) or drowned in rounding (float32, v2 with k_A=1) have no meaningful
    relative error: where max|expected| < small * (largest gradient entry of the case), with small = 1e-9 in float64 and 1e-4
    in float32, the error is taken relative to that largest entry instead."""
    out: list[tuple[str, str | float, bool]] = []
    gscale = max(float(np.abs(e).max()) for e in case.expected_grads.values())
    small = (1e-4 if f32 else 1e-9) * gscale
    for k in ("h", "c", "mask", "input_att"):
        if k not in case.expected or (k == "c" and case.dyn != "LSTM"):
            continue
        if k not in res:
            if k != "input_att":
                out.append((k, "missing", False))
            continue
        a, e = to_np(res[k]), case.expected[k].astype(float)
        if a.shape != e.shape:
            out.append((k, f"shape {a.shape} instead of {e.shape}", False))
            continue
        if k == "mask":
            bad = int((a.astype(int) != e.astype(int)).any(-1).sum())
            out.append((k, f"{bad} of {e.shape[0] * e.shape[1]} active sets differ", bad == 0))
        else:
            err = rel(a, e)
            out.append((k, err, bool(err <= tol)))  # nan compares False -> fails
    g = res.get("grads", {})
    for n, e in case.expected_grads.items():
        if n not in g:
            out.append(
                ("grad " + n, "not compared", bool(allow_missing) and n not in ("x", "h0", "c0"))
            )
            continue
        a, need = to_np(g[n]), case.comparable(n)
        if a.shape != e.shape:
            out.append(("grad " + n, f"shape {a.shape} instead of {e.shape}", False))
            continue
        if np.isnan(a[need]).any():
            out.append(
                ("grad " + n, f"{int(np.isnan(a[need]).sum())} required entries are NaN", False)
            )
            continue
        e = e.astype(float)
        err = (
            rel(a, e, need)
            if np.abs(e[need]).max() >= small
            else float(np.abs(a - e)[need].max() / gscale)
        )
        out.append(("grad " + n, err, bool(err <= tol)))
    for n in g:
        if n not in case.expected_grads and np.abs(np.nan_to_num(to_np(g[n]))).max() > 0:
            out.append(("grad " + n, "unexpected: the reference does not use this weight", False))
    return out


def run(adapter_fn, cases, dtype, tol, allow_missing=False, verbose=False, quiet=False):
    say = (lambda *a: None) if quiet else print
    n_ok = n_bad = n_skip = 0
    for case in cases:
        try:
            res = adapter_fn(case, dtype)
        except NotImplementedError as e:
            n_skip += 1
            say(f"SKIP {case.name}  {e}")
            continue
        except Exception as e:
            n_bad += 1
            say(f"FAIL {case.name}  adapter raised {type(e).__name__}: {str(e)[:200]}")
            continue
        rows = check(case, res, tol, allow_missing, "32" in str(dtype))
        ok = all(r[2] for r in rows)
        worst = max((r[1] for r in rows if isinstance(r[1], float)), default=float("nan"))
        n_ok += ok
        n_bad += not ok
        say(
            f"{'PASS' if ok else 'FAIL'} {case.name}  worst relative error {worst:.1e}  ({len(rows)} comparisons)"
        )
        for what, err, good in rows:
            if verbose or not good:
                say(
                    f"       {'ok ' if good else 'BAD'} {what:34s} {err if isinstance(err, str) else format(err, '.2e')}"
                )
    say(f"{n_ok} passed, {n_bad} failed, {n_skip} skipped (dtype {dtype}, tolerance {tol:g})")
    return n_ok, n_bad, n_skip


def load_cases(sets, only=""):
    files = [
        f for s in sets for f in sorted(glob.glob(os.path.join(HERE, s, "*.npz"))) if only in f
    ]
    return [Case(f) for f in files]


def main():
    import torch

    p = argparse.ArgumentParser()
    p.add_argument("--adapter", default=os.path.join(HERE, "rim_adapter.py"))
    p.add_argument("--sets", default="public")
    p.add_argument("--dtype", default="float64", choices=["float64", "float32"])
    p.add_argument("--tol", type=float, default=1e-5)
    p.add_argument("--only", default="")
    p.add_argument("--allow-missing", action="store_true")
    p.add_argument("-v", "--verbose", action="store_true")
    o = p.parse_args()
    if not os.path.exists(o.adapter):
        sys.exit(
            f"no adapter at {o.adapter}: write one (contract in the docstring of {__file__}) or pass --adapter"
        )
    sys.path.insert(0, HERE)
    spec = importlib.util.spec_from_file_location("rim_adapter", o.adapter)
    assert spec is not None and spec.loader is not None
    m = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(m)
    cases = load_cases([s for s in o.sets.split(",") if s], o.only)
    ok, bad, skip = run(
        m.run_case, cases, getattr(torch, o.dtype), o.tol, o.allow_missing, o.verbose
    )
    sys.exit(0 if ok and not bad else 1)


if __name__ == "__main__":
    main()

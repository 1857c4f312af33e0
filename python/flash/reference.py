# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Attention in float64 with numpy, and the bounds that a kernel's result must keep.

With p = q + sk - sq and hk = h / (hq / hkv), for each (b, h, q):

    s[k] = scale * (q . k)
    s[k] += slope[h] * (k - p)           if alibi
    s[k] = c * tanh(s[k] / c)            if softcap
    s[k] = -inf                          where a mask hides k
    o = sum exp(s - m) v / l,  l = sum exp(s - m),  m = max s;  lse = m + log(l)

A dead row gives o = 0 and lse = -inf. Work goes by blocks of rows, so that no
matrix of all scores is ever there. include/flash/Runtime/Reference.h and
Check.h say the same for C++.
"""

import numpy as np

from . import dtypes

_ROWS = 256
LSE_TOLERANCE = 1e-3
# What a row may differ by, relative to its norm.
ROW_TOLERANCE = {"bf16": 0.01, "f16": 0.002, "tf32": 0.002, "f32": 1e-5, "e4m3": 0.06, "e5m2": 0.12}


def alibi_slopes(heads):
    """2^(-8(h+1)/H) for H a power of two; else those of the power of two below, then
    every other one of the next."""
    below = 1 << (heads.bit_length() - 1)
    slopes = [2.0 ** (-8.0 * (h + 1) / below) for h in range(below)]
    return slopes + [2.0 ** (-4.0 * (2 * h + 1) / below) for h in range(heads - below)]


def live_mask(spec, sizes, rows):
    """Which keys the rows see, as booleans [rows, sk]; None if all."""
    k = np.arange(sizes["sk"])[None, :]
    q = rows[:, None]
    p = q + sizes["sk"] - sizes["sq"]
    live = []
    if spec.mask == "causal":
        live.append(k <= p)
    elif spec.mask == "causal_tl":
        live.append(k <= q)
    if spec.window is not None:
        left, right = spec.window
        if left >= 0:
            inside = k >= p - left
            live.append(inside | (k < spec.sink) if spec.sink is not None else inside)
        if right >= 0:
            live.append(k <= p + right)
    if spec.prefix is not None:
        live.append((k < spec.prefix) | (k <= p))
    if spec.chunk is not None:
        live.append(np.floor_divide(p, spec.chunk) == k // spec.chunk)
    if not live:
        return None
    return np.logical_and.reduce(np.broadcast_arrays(*live))


def count_pairs(spec, sizes):
    """Pairs of a query and a key that count for FLOPs.

    Half of all under a causal mask alone, as is the custom; else those that the
    masks let through.
    """
    every = sizes["sq"] * sizes["sk"]
    others = (spec.window, spec.prefix, spec.chunk, spec.sink)
    if all(other is None for other in others):
        return every if spec.mask == "none" else every / 2
    return sum(int(live_mask(spec, sizes, rows).sum()) for rows in _blocks(sizes["sq"]))


def count_flops(spec, sizes):
    """Operations of both products."""
    return 2.0 * sizes["b"] * sizes["hq"] * count_pairs(spec, sizes) * (sizes["d"] + sizes["dv"])


def _blocks(count):
    for start in range(0, count, _ROWS):
        yield np.arange(start, min(start + _ROWS, count))


def attention_head(q, k, v, spec, sizes, scale, head, low=None):
    """o [sq, dv] and lse [sq] of one head, from values q [sq, d], k [sk, d], v [sk, dv].

    `low`, a pair (type of P, type of o), gives instead what a kernel cannot do
    better than: scores, softmax and sums in float32, P and o rounded.
    """
    kind = np.float64 if low is None else np.float32
    q, k, v = (np.asarray(part, kind) for part in (q, k, v))
    o = np.zeros((sizes["sq"], sizes["dv"]), kind)
    lse = np.full(sizes["sq"], -np.inf, kind)
    slope = kind(alibi_slopes(sizes["hq"])[head]) if spec.alibi else None
    for rows in _blocks(sizes["sq"]):
        s = (q[rows] @ k.T) * kind(scale)
        if slope is not None:
            p = rows[:, None] + sizes["sk"] - sizes["sq"]
            s += slope * (np.arange(sizes["sk"])[None, :] - p).astype(kind)
        if spec.softcap is not None:
            s = kind(spec.softcap) * np.tanh(s / kind(spec.softcap))
        live = live_mask(spec, sizes, rows)
        if live is not None:
            s[~live] = -np.inf
        m = s.max(axis=1)
        alive = m > -np.inf
        weights = np.exp(s - np.where(alive, m, 0)[:, None])
        total = weights.sum(axis=1)
        if low is not None:
            # Eight bits are used from their upper end, as kernels do.
            gain = {"e4m3": 2.0**8, "e5m2": 2.0**15}.get(low[0], 1.0)
            weights = dtypes.round_to(weights * kind(gain), low[0]) / kind(gain)
        with np.errstate(divide="ignore", invalid="ignore"):
            o[rows] = np.where(alive[:, None], (weights @ v) / total[:, None], 0)
            lse[rows] = np.where(alive, m + np.log(total), -np.inf)
    if low is not None:
        o = dtypes.round_to(o, low[1])
    return o.astype(np.float64), lse.astype(np.float64)


def check(out, lse, q, k, v, spec, sizes, scale, dtype, heads=None, known=None, descales=None):
    """Compares a result with the reference; arrays hold bits, [b, h, s, d].

    `dtype` is that of q, k and v; that of `out` follows. `descales`, three arrays
    [b, h], are what heads of q, k and v are multiplied by. `heads`, pairs (b, h), are looked at, or all of them. `lse` may be None.
    `known`, a dict, keeps what was computed of the inputs for the next check of
    the same. The result says max_abs_err, tolerance, max_row_rel_err, row_tolerance,
    lse_max_abs_err, heads, pass and errors.
    """
    if heads is None:
        heads = [(b, h) for b in range(sizes["b"]) for h in range(sizes["hq"])]
    known = {} if known is None else known
    out_dtype = spec.output_dtype
    group = sizes["hq"] // sizes["hkv"]
    worst = {"error": 0.0, "low": 0.0, "resolution": 0.0, "row": 0.0, "lse": 0.0, "value": 0.0}
    errors = []
    floor = 2.0**-24 * np.sqrt(sizes["dv"])
    limit = ROW_TOLERANCE[dtype]

    def see(key, values):
        # NaN counts as worst of all.
        values = np.where(np.isnan(values), np.inf, values)
        worst[key] = max(worst[key], float(values.max(initial=0.0)))

    for b, h in heads:
        if (b, h) not in known:
            places = (b, h), (b, h // group), (b, h // group)
            operands = [dtypes.decode(part[at], dtype) for part, at in zip((q, k, v), places)]
            if descales is not None:
                operands = [x * part[at] for x, part, at in zip(operands, descales, places)]
            known[b, h] = attention_head(*operands, spec, sizes, scale, h) + attention_head(
                *operands, spec, sizes, scale, h, low=(dtype, out_dtype)
            )
        ref, ref_lse, low, _ = known[b, h]
        got = dtypes.decode(out[b, h], out_dtype)
        see("value", np.abs(dtypes.decode(v[b, h // group], dtype)))
        see("error", np.abs(got - ref))
        see("low", np.abs(low - ref))
        shifted = dtypes.round_to(dtypes.round_to(ref + 0.3, out_dtype) - 0.3, out_dtype)
        see("resolution", np.abs(shifted - ref))
        distance = np.linalg.norm(got - ref, axis=1)
        norm = np.linalg.norm(ref, axis=1)
        counts = ~(distance <= floor)
        relative = np.where(counts, distance / np.maximum(norm, floor), 0.0)
        see("row", relative)
        bad = np.flatnonzero(~(relative <= limit))
        if bad.size:
            errors.append(
                f"row bound: (b,h,q) = ({b},{h},{bad[0]}): {relative[bad[0]]:.3g} > {limit:.3g}, "
                f"{bad.size} rows of this head"
            )
        dead = np.isneginf(ref_lse)
        if (got[dead] != 0).any():
            errors.append(f"dead rows: (b,h) = ({b},{h}): expected o = 0, got other values")
        if lse is not None:
            if not np.isneginf(lse[b, h][dead]).all():
                errors.append(f"dead rows: (b,h) = ({b},{h}): expected lse = -inf, got others")
            see("lse", np.abs(lse[b, h][~dead] - ref_lse[~dead]))
    tolerance = 2 * worst["low"] + 2 * worst["resolution"]
    if out_dtype == "f32":
        # The exponential of the hardware is within 2^-22 of its value (PTX ISA, "ex2").
        tolerance += 2.0**-21 * worst["value"]
    if not worst["error"] <= tolerance:
        errors.append(f"max |o - ref|: {worst['error']:.3g} > {tolerance:.3g}")
    if not worst["lse"] <= LSE_TOLERANCE:
        errors.append(f"max |lse - ref|: {worst['lse']:.3g} > {LSE_TOLERANCE:.3g}")
    return {
        "pass": not errors,
        "max_abs_err": worst["error"],
        "tolerance": tolerance,
        "max_row_rel_err": worst["row"],
        "row_tolerance": limit,
        "lse_max_abs_err": worst["lse"] if lse is not None else None,
        "heads": len(heads),
        "errors": errors,
    }

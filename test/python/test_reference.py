# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The numpy reference agrees with the compiler's own, and its bounds can fail."""

import numpy as np
import pytest
from conftest import BUILD, run

from flash import reference, spec as spec_

SHAPE = "b=2,hq=6,hkv=3,sq=37,sk=53,d=40,dv=24,dtype=f16,"


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """q, k, v, o and lse of a SPEC from the linalg reference on the CPU."""

    def make(text):
        directory = tmp_path_factory.mktemp("dump")
        run(
            BUILD / "bin" / "flash-run",
            f"--attention={text}",
            "--device=cpu",
            "--seed=5",
            f"--dump={directory}",
        )
        arrays = [np.load(directory / f"{name}.npy") for name in ("o", "lse", "q", "k", "v")]
        spec = spec_.parse(text)
        return arrays, spec

    return make


@pytest.mark.parametrize(
    "modifiers",
    [
        "mask=none",
        "mask=causal",
        "mask=causal_tl",
        "window=9:3",
        "window=5:0,sink=4",
        "window=-1:2",
        "prefix=7",
        "chunk=8",
        "softcap=2.5",
        "alibi,mask=causal",
        "scale=0.5",
        "window=2:2,mask=causal,softcap=3,alibi",
    ],
)
def test_agrees_with_flash_run(result, modifiers):
    (o, lse, q, k, v), spec = result(SHAPE + modifiers)
    report = reference.check(o, lse, q, k, v, spec, spec.sizes, spec.effective_scale, "f16")
    assert report["pass"], report["errors"]
    assert report["heads"] == 12
    # Exact but for the rounding of o: the bound alone would let more through.
    assert report["lse_max_abs_err"] < 1e-5 and report["max_row_rel_err"] < 1e-3


def test_dead_rows(result):
    # With more queries than keys, a bottom-right diagonal hides all from the first.
    (o, lse, q, k, v), spec = result("sq=40,sk=9,d=40,dtype=f16,mask=causal")
    assert np.isneginf(lse[0, 0, :31]).all()
    check = lambda: reference.check(o, lse, q, k, v, spec, spec.sizes, 40**-0.5, "f16")
    assert check()["pass"]
    o[0, 0, 3, 1] = 1e-6
    assert any("dead rows" in error for error in check()["errors"])


def test_bounds_fail(result):
    (o, lse, q, k, v), spec = result(SHAPE + "mask=causal")

    def errors(change):
        arrays = [o.copy(), lse.copy()]
        change(*arrays)
        report = reference.check(*arrays, q, k, v, spec, spec.sizes, 40**-0.5, "f16")
        assert report["pass"] is False
        return " ".join(report["errors"])

    def double(o, lse):
        o[1, 2, 20] *= 2

    def nan(o, lse):
        o[1, 5, 36, 23] = np.nan

    def shift(o, lse):
        lse[0, 1, 7] += 0.01

    assert "row bound: (b,h,q) = (1,2,20)" in errors(double)
    assert "max |o - ref|: inf" in errors(nan)
    assert "max |lse - ref|" in errors(shift)


@pytest.mark.parametrize("dtype", ["e4m3", "e5m2"])
def test_eight_bits_with_a_scale_per_head(dtype):
    """What is in range of the bounds: a result in bfloat16 of scaled 8-bit operands."""
    from flash import dtypes

    spec = spec_.parse(f"b=1,hq=2,hkv=1,sq=20,sk=30,d=32,dtype={dtype}")
    rng = np.random.default_rng(0)
    shapes = [(1, 2, 20, 32), (1, 1, 30, 32), (1, 1, 30, 32)]
    q, k, v = (dtypes.encode(rng.standard_normal(shape) * 8, dtype) for shape in shapes)
    descales = [np.full(shape[:2], 0.125, np.float32) * (1 + i) for i, shape in enumerate(shapes)]
    out = np.zeros((1, 2, 20, 32), np.uint16)
    for h in range(2):
        values = [dtypes.decode(x, dtype) for x in (q[0, h], k[0, 0], v[0, 0])]
        o, _ = reference.attention_head(
            values[0] * 0.125, values[1] * 0.25, values[2] * 0.375, spec, spec.sizes, 32**-0.5, h
        )
        out[0, h] = dtypes.encode(o, "bf16")
    arguments = out, None, q, k, v, spec, spec.sizes, 32**-0.5, dtype
    assert reference.check(*arguments, descales=descales)["pass"]
    assert not reference.check(*arguments)["pass"]


def test_counts():
    sizes = {"b": 2, "hq": 4, "hkv": 4, "sq": 64, "sk": 64, "d": 16, "dv": 8}
    flops = lambda text: reference.count_flops(
        spec_.parse("sq=64,sk=64,d=16,dv=8,dtype=f16" + text), sizes
    )
    assert flops("") == 2 * 2 * 4 * 64 * 64 * 24
    assert flops(",mask=causal") == flops("") / 2
    assert flops(",chunk=16") == flops("") / 4
    assert flops(",window=0:0") == flops("") / 64


def test_slopes():
    assert reference.alibi_slopes(4) == [2.0**-2, 2.0**-4, 2.0**-6, 2.0**-8]
    assert reference.alibi_slopes(6) == [2.0**-2, 2.0**-4, 2.0**-6, 2.0**-8, 2.0**-1, 2.0**-3]

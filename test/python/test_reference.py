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

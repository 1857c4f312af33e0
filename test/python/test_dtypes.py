# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Element types that numpy lacks."""

import numpy as np
import pytest

from flash import dtypes


def test_bfloat16():
    values = np.array([1.0, -2.5, 1 + 2**-8, 1 + 3 * 2**-8, 3.4e38, np.inf], np.float32)
    bits = dtypes.encode(values, "bf16")
    # Ties go to the even neighbour; what is beyond the greatest becomes infinite.
    assert bits.tolist() == [0x3F80, 0xC020, 0x3F80, 0x3F82, 0x7F80, 0x7F80]
    assert dtypes.decode(bits, "bf16").tolist()[:4] == [1.0, -2.5, 1.0, 1.015625]


@pytest.mark.parametrize("name, greatest", [("e4m3", 448.0), ("e5m2", 57344.0)])
def test_eight_bits_round_trip(name, greatest):
    bits = np.arange(256, dtype=np.uint8)
    values = dtypes.decode(bits, name)
    assert np.nanmax(values[np.isfinite(values)]) == greatest
    numbers = ~np.isnan(values)
    assert (dtypes.encode(values, name)[numbers] == bits[numbers]).all()


def test_eight_bits_known_values():
    # OCP 8-bit floating point: smallest subnormals, one, 1.5.
    assert dtypes.decode(np.array([1, 0x38, 0x3C, 0x7F], np.uint8), "e4m3").tolist()[:3] == [
        2.0**-9,
        1.0,
        1.5,
    ]
    assert dtypes.decode(np.array([1, 0x3C, 0x3E], np.uint8), "e5m2").tolist() == [
        2.0**-16,
        1.0,
        1.5,
    ]


@pytest.mark.parametrize("name", ["bf16", "e4m3", "e5m2", "f16"])
def test_rounding_is_to_the_nearest(name):
    values = np.random.default_rng(0).standard_normal(20000) * np.exp2(
        np.random.default_rng(1).integers(-20, 9, 20000)
    )
    rounded = dtypes.round_to(values, name)
    if name == "f16":
        assert (rounded == values.astype(np.float16)).all()
        return
    table = dtypes.decode(np.arange(1 << 8 * dtypes.width(name)).astype(dtypes.storage(name)), name)
    table = np.sort(table[np.isfinite(table)])
    right = np.clip(np.searchsorted(table, values), 1, len(table) - 1)
    nearest = np.minimum(np.abs(table[right] - values), np.abs(table[right - 1] - values))
    inside = np.isfinite(rounded)
    assert inside.mean() > 0.9
    assert np.allclose(np.abs(rounded - values)[inside], nearest[inside], rtol=0, atol=0)

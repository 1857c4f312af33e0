# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The manifest's expressions mean what the C++ runtime says."""

import pytest

from flash.errors import PackageError
from flash.expression import evaluate

SIZES = {"b": 2, "hq": 8, "hkv": 4, "sq": 239, "sk": 77, "d": 64, "dv": 48}


@pytest.mark.parametrize(
    "text, value",
    [
        ("1", 1),
        ("ceildiv(sq,128)", 2),
        ("ceildiv(sq, 239)", 1),
        ("floordiv(sq,128)", 1),
        ("b + hq * hkv - 1", 33),
        ("(b + hq) * hkv", 40),
        ("10 - 3 - 2", 5),
        ("min(sq, sk) + max(d, dv)", 141),
        ("ceildiv(-7, 2)", -3),
        ("floordiv(-7, 2)", -4),
        ("--3", 3),
        ("ceildiv(sq, min(64, 128)) * hq", 32),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_values(text, value):
    assert evaluate(text, SIZES) == value


@pytest.mark.parametrize(
    "text, column",
    [
        ("", 1),
        ("sq +", 5),
        ("sq sk", 4),
        ("foo", 1),
        ("ceildiv(sq)", 11),
        ("ceildiv sq", 9),
        ("(sq", 4),
        ("sq / 2", 4),
        ("sq if 1 else 2", 4),
        ("__import__('os')", 1),
    ],
)
def test_grammar(text, column):
    with pytest.raises(PackageError, match=f"column {column}: expected"):
        evaluate(text, SIZES)


@pytest.mark.parametrize(
    "text",
    [
        "9223372036854775808",
        "9223372036854775807 + sq",
        "0-9223372036854775807-2",
        "9223372036854775807 * sq",
        "ceildiv(1, sq - 239)",
        "floordiv(1, 0-1)",
        "(" * 100,
    ],
)
def test_arithmetic(text):
    with pytest.raises(PackageError):
        evaluate(text, SIZES)

# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Element types: names in manifests, in numpy and in DLPack; and their values.

numpy has no bfloat16 and no 8-bit floats. Arrays of ml_dtypes' types are taken,
and so are the bits as uint16 and uint8.
"""

import numpy as np

# Manifest name: (bytes, storage in numpy, names of numpy dtypes that are taken,
# (code, bits) of DLPack's types that are taken). DLPack: 0 int, 1 uint, 2
# float, 4 bfloat, 6 bool, 10 float8_e4m3fn, 12 float8_e5m2.
_TYPES = {
    "f16": (2, np.float16, ("float16",), ((2, 16),)),
    "bf16": (2, np.uint16, ("uint16", "bfloat16"), ((4, 16), (1, 16))),
    "f32": (4, np.float32, ("float32",), ((2, 32),)),
    "tf32": (4, np.float32, ("float32",), ((2, 32),)),
    "f64": (8, np.float64, ("float64",), ((2, 64),)),
    "e4m3": (1, np.uint8, ("uint8", "float8_e4m3fn"), ((10, 8), (1, 8))),
    "e5m2": (1, np.uint8, ("uint8", "float8_e5m2"), ((12, 8), (1, 8))),
    "bool": (1, np.bool_, ("bool",), ((6, 8), (1, 8))),
    **{
        f"{sign}{8 * size}": (
            size,
            np.dtype(f"{sign}{size}").type,
            (np.dtype(f"{sign}{size}").name,),
            ((0 if sign == "i" else 1, 8 * size),),
        )
        for sign in "iu"
        for size in (1, 2, 4, 8)
    },
}

# Mantissa bits, least exponent of a normal number, greatest finite value.
_FORMATS = {
    "f16": (10, -14, 65504.0),
    "bf16": (7, -126, float.fromhex("0x1.fep127")),
    "tf32": (10, -126, float.fromhex("0x1.ffcp127")),
    "e4m3": (3, -6, 448.0),
    "e5m2": (2, -14, 57344.0),
}


def width(name):
    """Bytes of one element."""
    return _TYPES[name][0]


def storage(name):
    """numpy's dtype that holds the bits."""
    return np.dtype(_TYPES[name][1])


def accepts_numpy(name, dtype):
    return dtype.name in _TYPES[name][2]


def accepts_dlpack(name, code, bits):
    return (code, bits) in _TYPES[name][3]


def largest(name):
    """The greatest finite value of a type narrower than f32."""
    return _FORMATS[name][2]


def expected(name):
    """ "bf16 (uint16 or bfloat16)", for messages."""
    return f"{name} ({' or '.join(_TYPES[name][2])})"


def round_to(values, name):
    """The nearest values of the type, ties to even, in the dtype of `values`.

    What lies beyond the greatest finite value becomes infinite, or NaN in e4m3,
    which has no infinity.
    """
    if name in ("f32", "f64"):
        return values.astype(np.float32 if name == "f32" else np.float64).astype(values.dtype)
    mantissa, least, greatest = _FORMATS[name]
    wide = values.astype(np.float64)
    _, exponent = np.frexp(wide)
    step = np.ldexp(1.0, np.maximum(exponent - 1, least) - mantissa)
    with np.errstate(invalid="ignore"):
        rounded = np.rint(wide / step) * step
    beyond = np.nan if name == "e4m3" else np.inf
    rounded = np.where(np.abs(rounded) > greatest, np.copysign(beyond, wide), rounded)
    return np.where(np.isfinite(wide), rounded, wide).astype(values.dtype)


def encode(values, name):
    """`values` rounded to the type, as its storage in numpy."""
    if name in ("bf16", "tf32"):
        bits = round_to(values, name).astype(np.float32)
        return (bits.view(np.uint32) >> 16).astype(np.uint16) if name == "bf16" else bits
    if name not in ("e4m3", "e5m2"):
        return values.astype(storage(name))
    rounded = round_to(values, name)
    table = decode(np.arange(128, dtype=np.uint8), name, np.float64)
    finite = np.isfinite(table)
    codes = np.searchsorted(table[finite], np.abs(rounded))
    special = 0x7F if name == "e4m3" else np.where(np.isnan(rounded), 0x7F, 0x7C)
    codes = np.where(np.isfinite(rounded), codes, special)
    return (codes | np.where(np.signbit(rounded), 0x80, 0)).astype(np.uint8)


def decode(bits, name, dtype=np.float64):
    """The values that the storage `bits` holds."""
    if name == "bf16":
        with np.errstate(invalid="ignore"):  # NaNs of every kind pass through.
            return (bits.view(np.uint16).astype(np.uint32) << 16).view(np.float32).astype(dtype)
    if name not in ("e4m3", "e5m2"):
        return bits.astype(dtype)
    mantissa, least, _ = _FORMATS[name]
    code = bits.view(np.uint8).astype(np.int64)
    exponent = (code & 0x7F) >> mantissa
    fraction = (code & ((1 << mantissa) - 1)) / (1 << mantissa)
    values = np.where(
        exponent == 0,
        np.ldexp(fraction, least),
        np.ldexp(1.0 + fraction, exponent + least - 1),
    )
    if name == "e4m3":
        values[(code & 0x7F) == 0x7F] = np.nan
    else:
        values[(code & 0x7C) == 0x7C] = np.nan
        values[(code & 0x7F) == 0x7C] = np.inf
    return np.where(code & 0x80, -values, values).astype(dtype)

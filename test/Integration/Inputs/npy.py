"""Writes arrays of numbers as .npy files, where NumPy need not be there."""

import struct

FORMATS = {
    "f32": ("<f4", "f"),
    "f16": ("<f2", "e"),
    "bf16": ("<u2", "H"),
    "i64": ("<i8", "q"),
    "index": ("<i8", "q"),
    "i32": ("<i4", "i"),
    "i16": ("<i2", "h"),
    "i8": ("|i1", "b"),
    "i1": ("|b1", "?"),
}


def write(path, shape, element, values):
    """`values` in row-major order, `element` a type of MLIR. bf16 is written as
    its bits, cut off."""
    if element == "bf16":
        values = [struct.unpack("<I", struct.pack("<f", value))[0] >> 16 for value in values]
    descr, code = FORMATS[element]
    text = "".join("%d, " % n for n in shape)
    header = "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }" % (descr, text)
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)))
        file.write(header.encode() + struct.pack("<%d%s" % (len(values), code), *values))

"""Writes the document of each of 80 keys as a .npy file of int32.

Ragged, and with a document that no query belongs to. Written by hand: NumPy
need not be there.
"""

import struct
import sys

documents = [0] * 1 + [1] * 29 + [2] * 18 + [3] * 32
header = "{'descr': '<i4', 'fortran_order': False, 'shape': (%d,), }" % len(documents)
header += " " * (63 - (10 + len(header)) % 64) + "\n"
with open(sys.argv[1], "wb") as file:
    file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)))
    file.write(header.encode() + struct.pack("<%di" % len(documents), *documents))

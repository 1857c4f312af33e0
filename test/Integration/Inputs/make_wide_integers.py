"""Writes identifiers of 80 keys, 2^60 + 0 to 4 in turn, and 2^60 + 3 alone, as
.npy files of int64."""

import sys

import npy

npy.write(sys.argv[1], (80,), "i64", [2**60 + key % 5 for key in range(80)])
npy.write(sys.argv[2], (), "i64", [2**60 + 3])

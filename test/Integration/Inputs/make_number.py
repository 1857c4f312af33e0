"""Writes one 64-bit integer as a file of an array with one element.

usage: make_number.py FILE [--] NUMBER
"""

import sys

import npy

npy.write(sys.argv[1], (1,), "i64", [int(sys.argv[-1])])

"""Runs one case with score or mask regions that read arrays, in all variants.

usage: region_cases.py FLASH_RUN DIRECTORY CASE [its options] [--only=KEY=VALUE ...]
                       [--dtypes=TYPE,...]

CASE is a name of region_programs.py. The variants are the product of
  dtype   f16, bf16, or what --dtypes says
  async   eager, lazy, random
  sizes   static, dynamic (sq, sk and the arrays' extents are ?)
each of which --only can restrict. Every variant must pass all checks of
flash-run; the script prints one line for each and the number that passed, and
exits 1 if one did not. NumPy need not be there.
"""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "Inputs"))
import npy
from region_programs import CASES, TYPES
from variants import take as variants_of


def run(tool, directory, name, dtype, is_dynamic, options):
    """Compiles and runs a case; what failed, as text, or None."""
    case = CASES[name]()
    inputs = []
    for capture, shape, element, values in case.arrays():
        path = "%s/%s-%s.npy" % (directory, name, capture)
        if not os.path.exists(path):
            npy.write(path, shape, element, values)
        inputs.append("--input=%s=%s" % (capture, path))
    path = "%s/%s-%s-%s.mlir" % (directory, name, dtype, "dynamic" if is_dynamic else "static")
    with open(path, "w") as file:
        file.write(case.text(dtype, is_dynamic))
    if not any(option.startswith("--chip=") for option in options):
        inputs.append("--chip=" + TYPES[dtype][2])
    if is_dynamic:
        inputs += case.sizes()
    command = [tool, path, "--check", "--json"] + options + inputs
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        return "no JSON, exit %d: %s" % (done.returncode, done.stderr[-500:])
    passes = report["pass"] is True and done.returncode == 0
    return None if passes else str(report["errors"])


def main(arguments):
    tool, directory, name = arguments[:3]
    variants, options = variants_of(arguments[3:])
    passed = 0
    for dtype, mode, sizes in variants:
        extra = options + ["--async=" + mode]
        error = run(tool, directory, name, dtype, sizes == "dynamic", extra)
        passed += error is None
        print("pass" if error is None else "FAIL", name, dtype, sizes, *extra)
        if error:
            print("    " + error)
    print("%d of %d variants passed" % (passed, len(variants)))
    return passed != len(variants)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

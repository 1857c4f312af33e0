"""Runs every program of region_programs.py on one level of the ladder.

usage: region_levels.py FLASH_RUN DIRECTORY LEVEL

The programs of EVERY_MODE run once in each asynchronous mode, the others in one
of them; the modes of those, the level's types, open or closed sizes and the
strides take turns. Every run must pass all checks of flash-run. Prints one line for each and the number that passed; exits 1 if one
did not.
"""

import sys

from region_cases import run
from region_programs import CASES

MODES = ["eager", "lazy", "random"]
EVERY_MODE = ["bias", "relative-documents", "guarded-documents", "earlier-documents", "empty-row-block", "none-kept"]
STRIDES = ["contiguous", "padded", "transposed", "unaligned", "innermost", "align4", "align8", "huge"]


def types(level):
    """What the level multiplies: f32 on FP32 units, tf32 on tensor cores, 8 bits
    where both products are on them."""
    narrow = ["tf32"] * (level >= 5) + ["e4m3", "e5m2"] * (level >= 6)
    return ["f16", "bf16"] + (["f32"] if level <= 4 else narrow)


def main(arguments):
    tool, directory, level = arguments
    dtypes = types(int(level))
    passed, total = 0, 0
    for number, name in enumerate(CASES, int(level)):
        modes = MODES if name in EVERY_MODE else [MODES[number // len(dtypes) % 3]]
        for turn, mode in enumerate(modes):
            dtype = dtypes[(number + turn) % len(dtypes)]
            is_dynamic = bool((number // len(dtypes) + turn) % 2)
            strides = STRIDES[(number // 2 + turn) % len(STRIDES)]
            options = ["--level=" + level, "--async=" + mode, "--strides=" + strides, "--poison=nan"]
            error = run(tool, directory, name, dtype, is_dynamic, options)
            total += 1
            passed += error is None
            print("pass" if error is None else "FAIL", name + ":", dtype, "dynamic" if is_dynamic else "static", *options)
            if error:
                print("    " + error)
    print("%d of %d variants passed" % (passed, total))
    return passed != total


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

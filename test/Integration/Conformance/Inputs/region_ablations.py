"""Runs programs of region_programs.py with single steps of levels changed.

usage: region_ablations.py FLASH_RUN DIRECTORY LEVEL... [--all]

Every step of each level is given every other value with which the combination
means something; the programs, modes and f16 and bf16 take turns, with --all each
step has all programs. Every run must pass all checks of flash-run. Prints one
line for each and the number that passed; exits 1 if one did not.
"""

import itertools
import sys

from ablations import VALUES, steps_of, wrong_step
from region_cases import run

PROGRAMS = ["relative-documents", "bias-alone", "scaled", "never-the-same", "bias-in-whole-rows", "number-alone", "none-kept", "guarded-documents"]


def combinations(levels):
    for level, (step, values) in itertools.product(levels, VALUES.items()):
        for value in values:
            steps = steps_of(level)
            if steps[step] == value:
                continue
            steps[step] = value
            if not wrong_step(steps):
                yield level, step, value


def main(arguments):
    every = "--all" in arguments
    tool, directory, *levels = [a for a in arguments if a != "--all"]
    turns = itertools.cycle(PROGRAMS)
    modes = itertools.cycle(["eager", "lazy", "random"])
    passed, total = 0, 0
    for level, step, value in combinations(map(int, levels)):
        for name in PROGRAMS if every else [next(turns)]:
            dtype = ("f16", "bf16")[total // 2 % 2]
            options = ["--level=%d" % level, "--schedule=%s=%s" % (step, value), "--async=" + next(modes)]
            error = run(tool, directory, name, dtype, total % 2 == 0, options)
            total += 1
            passed += error is None
            print("pass" if error is None else "FAIL", name + ":", dtype, *options)
            if error:
                print("    " + error)
    print("%d of %d runs passed" % (passed, total))
    return passed != total


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

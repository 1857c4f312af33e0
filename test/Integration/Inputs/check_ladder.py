#===- check_ladder.py - What one level has over another, counted ----------===#
#
# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===-----------------------------------------------------------------------===#
#
# usage: check_ladder.py FLASH_LADDER
#
# Executes slices of the levels' kernels and fails where a step does not save
# what it is there to save.

import json
import subprocess
import sys
import tempfile


def ladder(tool, spec, levels, schedule=""):
    """The levels' JSON objects by number."""
    with tempfile.TemporaryDirectory() as directory:
        path = directory + "/ladder.json"
        command = [tool, f"--attention={spec}", f"--levels={levels}",
                   f"--schedule={schedule}", "--without-ptxas",
                   f"--json={path}"]
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode != 0:
            sys.exit(f"{' '.join(command)}: {run.stderr}{run.stdout}")
        with open(path) as file:
            levels = json.load(file)["levels"]
    for level in levels:
        if "refused" in level:
            sys.exit(f"{' '.join(command)}: {level['refused']}")
        if not level["slice"]["exact"]:
            sys.exit(f"level {level['level']}: counts are not exact")
    return {level["level"]: level for level in levels}


def conflicts(level):
    loop = level["kv_loops"]
    return loop["shared_wavefronts"] - loop["shared_wavefronts_ideal"]


def fewer(spec, before, after, what, count):
    a, b = count(before), count(after)
    print(f"{spec}: {what}: level {before['level']} {a}, level "
          f"{after['level']} {b}")
    if not b < a:
        sys.exit(f"{spec}: expected fewer {what}")


def check_in_register(tool, spec, schedule):
    """P in registers saves a trip through shared memory with its barriers; the
    swizzle saves the bank conflicts that are left."""
    levels = ladder(tool, spec, "6-8", schedule)
    fewer(spec, levels[6], levels[7], "shared wavefronts",
          lambda level: level["launch"]["shared_wavefronts"])
    fewer(spec, levels[6], levels[7], "barriers",
          lambda level: level["launch"]["classes"]["barrier"])
    fewer(spec, levels[6], levels[7], "instructions",
          lambda level: level["launch"]["instructions"])
    fewer(spec, levels[7], levels[8], "bank conflicts", conflicts)
    if conflicts(levels[8]) != 0:
        sys.exit(f"{spec}: expected no bank conflict in the KV loop at level 8")


def check_memory(tool, spec):
    """Vector copies touch the sectors they need, shuffles save barriers and
    shared memory, and nothing but level 0 does without shared memory."""
    levels = ladder(tool, spec, "0-4")
    if levels[0]["launch"]["shared_wavefronts"] != 0:
        sys.exit(f"{spec}: expected no shared memory at level 0")
    fewer(spec, levels[1], levels[2], "global sectors",
          lambda level: level["launch"]["global_sectors"])
    launch = levels[2]["launch"]
    if launch["global_sectors"] != launch["global_sectors_ideal"]:
        sys.exit(f"{spec}: expected no more than the ideal sectors at level 2")
    fewer(spec, levels[2], levels[3], "barriers",
          lambda level: level["launch"]["classes"]["barrier"])
    fewer(spec, levels[2], levels[3], "shared wavefronts",
          lambda level: level["launch"]["shared_wavefronts"])
    if levels[3]["launch"]["classes"]["async copy"] != 0:
        sys.exit(f"{spec}: expected no async copy before level 4")
    if levels[4]["launch"]["classes"]["async copy"] == 0:
        sys.exit(f"{spec}: expected async copies at level 4")


def check_tensor_cores(tool, spec, sq, sk, d):
    """mma of m16n8k16 in closed form: one product at level 5, two after."""
    levels = ladder(tool, spec, "4-9")
    one = sq // 16 * (sk // 8) * (d // 16)
    for number, level in levels.items():
        expected = 0 if number == 4 else one if number == 5 else 2 * one
        got = level["launch"]["classes"]["mma"]
        if got != expected:
            sys.exit(f"{spec}: level {number}: expected {expected} mma, got "
                     f"{got}")
    print(f"{spec}: mma as in closed form")


if __name__ == "__main__":
    tool = sys.argv[1]
    check_in_register(tool, "sq=1024,sk=1024,d=256,dtype=bf16", "tile_v=16")
    check_in_register(tool, "sq=1024,sk=1024,d=128,dtype=bf16", "")
    check_memory(tool, "sq=256,sk=256,d=128,dtype=bf16")
    check_tensor_cores(tool, "sq=256,sk=256,d=128,dtype=bf16", 256, 256, 128)

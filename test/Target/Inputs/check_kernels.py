#===- check_kernels.py - What PTX and ptxas must show of a kernel ---------===#
#
# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===-----------------------------------------------------------------------===#
#
# usage: check_kernels.py loops FLASHC | ptxas FLASHC | levels FLASHC
#
# loops: in causal and unmasked kernels the KV loop of the full tiles has the
#   closed-form number of mma, ldmatrix and cp.async, and no division, no mask
#   and no store of P.
# ptxas: kernels assemble for every chip with no spill and no stack.
# levels: so do those of the levels below the last.

import itertools
import json
import re
import subprocess
import sys
import tempfile

CHIPS = ["sm_80", "sm_86", "sm_89", "sm_90"]
SIZES = ["b=1,hq=32,hkv=8,sq=4096,sk=4096", "b=?,hq=32,hkv=8,sq=?,sk=?"]


def compile_kernel(flashc, spec, chip, directory, *options):
    """PTX, manifest and the text of --report."""
    path = directory + "/k.ptx"
    command = [flashc, "--attention=" + spec, "--chip=" + chip, "--report",
               "-o", path, *options]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"{' '.join(command)}: {run.stderr}")
    with open(path) as ptx, open(directory + "/k.json") as manifest:
        return ptx.read(), json.load(manifest), run.stderr


def loops_with_all_mma(ptx, count):
    """The bodies of innermost backward branches that hold `count` mma: first
    label to branch. Cold blocks that LLVM placed elsewhere are not part."""
    lines = ptx.split("\n")
    labels = {m[1]: i for i, line in enumerate(lines)
              if (m := re.match(r"^(\$\w+):", line))}
    for i, line in enumerate(lines):
        branch = re.search(r"\bbra(?:\.uni)?\s+(\$\w+);", line)
        if branch and labels[branch[1]] < i:
            body = [l.strip() for l in lines[labels[branch[1]]:i + 1]]
            if sum("mma.sync" in l for l in body) == count:
                yield body


def expected_mma(manifest, d, dv):
    schedule = manifest["schedule"]
    tile_q, tile_k = int(schedule["tile_q"]), int(schedule["tile_k"])
    rows = tile_q // int(schedule["warps"]) // 16
    depth = (d + 15) // 16
    return rows * (tile_k // 8 * depth + dv // 8 * (tile_k // 16))


def check_loops(flashc, directory):
    for d, mask, sizes in itertools.product([64, 80, 128, 256],
                                            ["", ",mask=causal"], SIZES):
        spec = f"{sizes},d={d},dtype=bf16{mask}"
        ptx, manifest, _ = compile_kernel(flashc, spec, "sm_80", directory)
        if "__nv_" in ptx or re.search(r"\bcall\b", ptx):
            sys.exit(f"{spec}: calls a function")
        bodies = list(loops_with_all_mma(ptx, expected_mma(manifest, d, d)))
        if not bodies:
            sys.exit(f"{spec}: no loop with {expected_mma(manifest, d, d)} mma")
        # The full band is the loop with the fewest selects.
        body = min(bodies, key=lambda b: sum("selp" in l for l in b))
        text = "\n".join(body)
        for wanted in ["mma.sync", "ldmatrix", "cp.async.cg"]:
            if wanted not in text:
                sys.exit(f"{spec}: no {wanted} in the loop of the full tiles")
        for unwanted in [r"\bdiv\.", r"\brem\.", r"\bselp\.f32",
                         r"\bst\.shared\.b32", r"\bst\.shared\.v"]:
            if re.search(unwanted, text):
                sys.exit(f"{spec}: {unwanted} in the loop of the full tiles")
        print(f"{spec}: {len(body)} lines, {expected_mma(manifest, d, d)} mma")


def require_no_spill(flashc, spec, chip, directory, *options):
    _, _, report = compile_kernel(flashc, spec, chip, directory, *options)
    if "warning" in report or not re.search(
            r"registers, 0 bytes spill stores, 0 bytes spill loads, 0 bytes "
            r"stack", report):
        sys.exit(f"{chip} {spec} {' '.join(options)}: {report}")


def check_ptxas(flashc, directory):
    for chip, d, sizes in itertools.product(CHIPS, [64, 128, 256], SIZES):
        for mask in ["", ",mask=causal"]:
            require_no_spill(flashc, f"{sizes},d={d},dtype=bf16{mask}", chip,
                             directory)
    # Masks with bounds of their own: more scalars are live in the loops.
    for mask, sizes in itertools.product(
            ["window=512:0", "window=512:0,sink=128", "prefix=300",
             "chunk=1024", "mask=causal,alibi"], SIZES):
        require_no_spill(flashc, f"{sizes},d=64,dtype=bf16,{mask}", "sm_80",
                         directory)
    for mask, sizes in [("window=512:0,sink=128", SIZES[0]),
                        ("window=512:0,sink=128", SIZES[1]),
                        ("chunk=1024", SIZES[0]), ("chunk=1024", SIZES[1]),
                        ("prefix=300", SIZES[1])]:
        require_no_spill(flashc, f"{sizes},d=128,dtype=bf16,{mask}", "sm_80",
                         directory)
    print("no spill, no stack, no warning")


def check_levels(flashc, directory):
    specs = [SIZES[0] + ",dtype=bf16", SIZES[1] + ",dtype=bf16,mask=causal"]
    for chip, level, d, spec in itertools.product(["sm_80", "sm_90"], range(9),
                                                  [64, 128], specs):
        # The one kernel that spills: 8 bytes, where ptxas aims at a fourth CTA
        # per SM that shared memory has no room for.
        if (chip, level, d, spec) != ("sm_80", 4, 64, specs[0]):
            require_no_spill(flashc, f"{spec},d={d}", chip, directory,
                             f"--level={level}")
    print("levels: no spill, no stack, no warning")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        {"loops": check_loops, "ptxas": check_ptxas,
         "levels": check_levels}[sys.argv[1]](sys.argv[2], directory)

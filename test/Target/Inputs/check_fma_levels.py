#===- check_fma_levels.py - What must be visible of levels 0 to 4 ---------===#
#
# Part of the Flash project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===-----------------------------------------------------------------------===#
#
# usage: check_fma_levels.py FLASH_RUN FLASHC LEVEL...
#
# The last column of the ladder's table for the levels without tensor cores, on
# the PTX of full tiles and on what the emulator counts for it, line by line.

import re
import sys
import tempfile

from check_levels import Kernel, expect


def loop(kernel):
    """The lines that run for each tile of keys: more often than once per warp."""
    return [line for line in kernel.lines
            if line["warp_instructions"] > kernel.ctas * kernel.warps]


def check_products(kernel):
    """Both products on FMA units, in f32."""
    expect("mma", kernel.total("mma"), 0)
    scores = kernel.sq * kernel.sk
    wanted = scores * (kernel.d + kernel.dv) // 32
    got = kernel.total(r"fma\.rn\.f32")
    expect("fma: those of both products at least", got >= wanted, True)
    return wanted, got


def sectors(kernel, pattern):
    return (kernel.total(pattern, "global_sectors"),
            kernel.total(pattern, "global_sectors_ideal"))


def reductions(kernel):
    """Steps of maximum and sum of a warp's rows, eight lanes to a row."""
    rows_per_thread = kernel.tile_q // kernel.warps // 4
    return kernel.tiles * kernel.warps * rows_per_thread * 2


def check_0(kernel):
    wanted, got = check_products(kernel)
    # Scores twice, and again in each warp that has a slice of the output.
    slices = kernel.warps // (kernel.tile_q // 32)
    expect("fma: the scores 2 x %d times" % slices,
           got >= kernel.sq * kernel.sk * (kernel.d * 2 * slices + kernel.dv)
           // 32, True)
    expect(".shared in the PTX", len(re.findall(r"\.shared", kernel.ptx)), 0)
    for pattern in ("bar", "shfl", r"cp\.async"):
        expect(pattern.replace("\\", ""), kernel.total(pattern), 0)


def check_scores_stay(kernel):
    """What leaves the SM is output and log-sum-exp, not the scores."""
    expect("bytes stored to global memory", kernel.total(
        r"st\.global", "bytes_stored_global"), kernel.sq * (kernel.dv * 2 + 4))


def check_tree(kernel):
    expect("shfl", kernel.total("shfl"), 0)
    # Store and three steps, with a barrier around each; K, V and P have one
    # each.
    expect("barriers per tile and warp", kernel.total("bar", lines=loop(kernel)),
           kernel.tiles * kernel.warps * (2 * 5 + 2))


def check_1(kernel):
    check_products(kernel)
    check_scores_stay(kernel)
    check_tree(kernel)
    expect("global loads wider than an element", kernel.total(
        r"ld\.global\S*\.(v2|v4|b32|u32|b64)"), 0)
    actual, ideal = sectors(kernel, r"ld\.global")
    expect("sectors: more than needed", actual > 2 * ideal, True)


def check_2(kernel):
    check_products(kernel)
    check_tree(kernel)
    loads = kernel.total(r"ld\.global\S*\.v4")
    expect("ld.global.v4: all global loads", loads, kernel.total(r"ld\.global"))
    expect("ld.global.v4: the bytes of Q, K and V", loads * 32 * 16,
           2 * (kernel.sq * kernel.d + kernel.tiles * kernel.tile_k
                * (kernel.d + kernel.dv)))
    actual, ideal = sectors(kernel, r"ld\.global|st\.global")
    expect("sectors: as many as needed", actual, ideal)


def check_3(kernel):
    check_products(kernel)
    expect("shfl.sync.bfly: three steps", kernel.total(r"shfl\.sync\.bfly"),
           reductions(kernel) * 3)
    # K, V and P alone.
    expect("bytes stored to shared memory in the loop", kernel.total(
        r"st\.shared", "bytes_stored_shared", loop(kernel)),
        kernel.tiles * 2 * (kernel.tile_k * (kernel.d + kernel.dv)
                            + kernel.tile_q * kernel.tile_k))
    expect("cp.async", kernel.total(r"cp\.async"), 0)


def check_4(kernel):
    check_products(kernel)
    lines = loop(kernel)
    copies = kernel.matching(r"cp\.async\.c[ag]", lines)
    waits = kernel.matching(r"cp\.async\.wait_group", lines)
    products = kernel.matching(r"fma\.rn\.f32", lines)
    expect("cp.async in the loop", len(copies) > 0, True)
    expect("ld.global", kernel.total(r"ld\.global"), 0)
    # The wait is for older copies; those issued behind it are in flight while
    # the tile is computed.
    last_copy = max(line["line"] for line in copies)
    expect("one wait per tile", len(waits), 1)
    expect("wait, copies, then both products",
           waits[0]["line"] < min(line["line"] for line in copies)
           and last_copy < products[0]["line"], True)


CHECKS = {0: check_0, 1: check_1, 2: check_2, 3: check_3, 4: check_4}


def main(arguments):
    flash_run, flashc, *levels = arguments
    with tempfile.TemporaryDirectory() as directory:
        for level in map(int, levels):
            spec = "sq=64,sk=192,d=64,dtype=bf16"
            kernel = Kernel(flash_run, flashc, spec, level, directory)
            print("level %d, %s: %d x %d, %d warps" % (
                level, spec, kernel.tile_q, kernel.tile_k, kernel.warps))
            CHECKS[level](kernel)


if __name__ == "__main__":
    main(sys.argv[1:])

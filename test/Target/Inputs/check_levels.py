#===- check_levels.py - What must be visible of the ladder's levels -------===#
#
# Part of the Flash project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===-----------------------------------------------------------------------===#
#
# usage: check_levels.py structure FLASH_RUN FLASHC LEVEL...
#        check_levels.py opcodes FLASHC LEVEL...
#        check_levels.py study FLASH_RUN FLASHC
#        check_levels.py bytes FLASH_RUN FLASHC
#
# structure: the last column of the ladder's table, on the PTX of full tiles and
#   on what the emulator counts for it, line by line.
# opcodes: no two levels have the same sequence of opcodes for one attention.
# study: levels 6 and 7 at the study's geometry, and at d = 128: 7 issues fewer
#   wavefronts of shared memory, barriers and instructions.
# bytes: levels 8 and 9 of 8-bit operands read every fragment by ldmatrix.x4, V's
#   transposed in pairs of columns, with no bank conflicts.

import itertools
import json
import re
import subprocess
import sys
import tempfile


class Kernel:
    """One kernel: its manifest, PTX, and the counters of a run, by line."""

    def __init__(self, flash_run, flashc, spec, level, directory, *more):
        options = ["--attention=" + spec, "--level=%d" % level, *more]
        path = directory + "/k.ptx"
        subprocess.run([flashc, *options, "-o", path], check=True)
        with open(path) as ptx, open(directory + "/k.json") as manifest:
            self.ptx = ptx.read()
            schedule = json.load(manifest)["schedule"]
        self.tile_q, self.tile_k, self.warps = (
            int(schedule[key]) for key in ("tile_q", "tile_k", "warps"))
        self.holds_q = schedule["query_in_registers"] == "true"
        done = subprocess.run(
            [flash_run, *options, "--check", "--counters", "--json"],
            stdout=subprocess.PIPE)
        report = json.loads(done.stdout)
        if not report["pass"]:
            sys.exit("level %d, %s: %s" % (level, spec, report["errors"]))
        self.counters = report["counters"]
        # What ran, in the order of the text.
        self.lines = sorted((line for line in self.counters["lines"]
                             if line["warp_instructions"]),
                            key=lambda line: line["line"])
        keys = dict(item.partition("=")[::2] for item in spec.split(","))
        self.d = int(keys["d"])
        self.dv = int(keys.get("dv", self.d))
        self.slice = int(schedule.get("tile_v", 0)) or self.dv
        self.sq, self.sk = int(keys["sq"]), int(keys["sk"])
        self.ctas = (-(-self.sq // self.tile_q)) * (self.dv // self.slice)
        self.tiles = self.ctas * -(-self.sk // self.tile_k)

    def matching(self, pattern, lines=None):
        return [line for line in (self.lines if lines is None else lines)
                if re.match(r"(@%p\d+\s+)?(" + pattern + ")", line["text"])]

    def total(self, pattern, counter="warp_instructions", lines=None):
        return sum(line[counter] for line in self.matching(pattern, lines))

    def loop(self):
        """The lines of the KV loop: from the first to the last one that runs
        as often as most mma do and is not before its label."""
        lines = self.ptx.split("\n")
        labels = {m[1]: i for i, line in enumerate(lines, 1)
                  if (m := re.match(r"^(\$\w+):", line))}
        products = [line["line"] for line in self.matching("mma|fma")]
        best = None
        for i, line in enumerate(lines, 1):
            branch = re.search(r"\bbra(?:\.uni)?\s+(\$\w+);", line)
            if branch and labels[branch[1]] < i:
                inside = sum(labels[branch[1]] < p < i for p in products)
                size = i - labels[branch[1]]
                if inside and (best is None or (inside, -size) > best[:2]):
                    best = (inside, -size, labels[branch[1]], i)
        return [line for line in self.lines if best[2] < line["line"] <= best[3]]

    def products(self):
        """mma of Q K^T and of P V per tile of keys."""
        rows = self.tile_q // 16
        depth = -(-self.d // 16)
        return (rows * (self.tile_k // 8) * depth,
                rows * (self.slice // 8) * (self.tile_k // 16))


def expect(what, got, wanted):
    print("    %-42s %s" % (what, got))
    if got != wanted:
        sys.exit("%s: expected %s, got %s" % (what, wanted, got))


def stored_between(kernel):
    """Bytes that ordinary stores put in shared memory, without the output."""
    output = kernel.ctas * kernel.tile_q * kernel.slice * 2
    return kernel.total(r"st\.shared", "bytes_stored_shared") - output


def conflicts(kernel):
    loop = kernel.loop()
    pattern = r"ld\.shared|st\.shared|ldmatrix"
    return (kernel.total(pattern, "shared_wavefronts", loop)
            - kernel.total(pattern, "shared_wavefronts_ideal", loop))


def check_5(kernel):
    qk, _ = kernel.products()
    expect("mma: those of Q K^T alone", kernel.total("mma"), kernel.tiles * qk)
    elements = kernel.tile_q * kernel.tile_k
    expect("S stored once in f32, P once in 16 bits", stored_between(kernel),
           kernel.tiles * elements * (4 + 2))
    expect("ldmatrix", kernel.total("ldmatrix"), 0)


def check_6(kernel):
    expect("mma of both products", kernel.total("mma"),
           kernel.tiles * sum(kernel.products()))
    elements = kernel.tile_q * kernel.tile_k
    # Two row statistics change their layout as well, l_old * alpha and 1 / l,
    # which eight lanes hold copies of.
    statistics = stored_between(kernel) - kernel.tiles * elements * (4 + 2)
    expect("S stored in f32, P cast and stored",
           0 <= statistics <= kernel.tiles * 2 * kernel.tile_q * 4 * 8, True)
    expect("P cast to pairs of 16 bits", kernel.total(
        r"cvt\.rn\.(bf16x2|f16x2)\.f32", lines=kernel.loop()),
        kernel.tiles * elements // 64)
    expect("ldmatrix", kernel.total("ldmatrix"), 0)


def check_7(kernel):
    loop = kernel.loop()
    expect("mma of both products", kernel.total("mma"),
           kernel.tiles * sum(kernel.products()))
    products = [line["line"] for line in kernel.matching("mma", loop)]
    first = kernel.products()[0] // kernel.warps
    # The last exponential ends the softmax; the first fragment of V is read in
    # front of the first product that uses it.
    last = max(line["line"] for line in kernel.matching(r"ex2", loop))
    between = [line for line in loop if products[first - 1] < line["line"] < last]
    expect("the softmax lies between the products",
           products[first - 1] < last < products[first], True)
    for pattern in (r"ld\.shared", r"st\.shared", "ldmatrix", "bar"):
        expect("%s between the products" % pattern.replace("\\", ""),
               kernel.total(pattern, lines=between), 0)
    expect("st.shared in the loop", kernel.total(r"st\.shared", lines=loop), 0)
    expect("bytes read: the fragments of Q, K and V",
           kernel.total(r"ld\.shared", "bytes_loaded_shared", loop),
           kernel.tiles * 2 * (kernel.tile_q * kernel.d + kernel.warps
                               * kernel.tile_k * (kernel.d + kernel.slice)))
    # A quad shares a row: two steps each of maximum and sum; a warp's rows are
    # eight to an instruction.
    expect("shfl: those of the row reductions", kernel.total("shfl"),
           kernel.tiles * kernel.tile_q // 8 * 2 * 2)
    expect("bank conflicts in the loop", conflicts(kernel) > 0, True)


def check_8(kernel):
    loop = kernel.loop()
    expect("bank conflicts in the loop", conflicts(kernel), 0)
    expect("ldmatrix.x4", kernel.total(
        r"ldmatrix\.sync\.aligned\.m8n8\.x4\.shared", lines=loop) > 0, True)
    expect("ldmatrix.x4.trans", kernel.total(
        r"ldmatrix\.sync\.aligned\.m8n8\.x4\.trans", lines=loop) > 0, True)
    expect("ld.shared in the loop", kernel.total(r"ld\.shared", lines=loop), 0)
    expect("divisions in the loop", kernel.total("div|rcp", lines=loop) > 0,
           True)


def check_9(kernel):
    loop = kernel.loop()
    expect("mma of both products", kernel.total("mma"),
           kernel.tiles * sum(kernel.products()))
    expect("bank conflicts in the loop", conflicts(kernel), 0)
    expect("divisions in the loop", kernel.total("div|rcp", lines=loop), 0)
    expect("selects in the loop", kernel.total(r"selp\.f32|selp\.b32",
                                               lines=loop), 0)


CHECKS = {5: check_5, 6: check_6, 7: check_7, 8: check_8, 9: check_9}


def check_structure(arguments, directory):
    flash_run, flashc, *levels = arguments
    for level, d in itertools.product(map(int, levels), (64, 128)):
        spec = "sq=128,sk=256,d=%d,dtype=bf16" % d
        kernel = Kernel(flash_run, flashc, spec, level, directory)
        print("level %d, %s: %d x %d, %d warps" % (
            level, spec, kernel.tile_q, kernel.tile_k, kernel.warps))
        CHECKS[level](kernel)


def check_bytes(arguments, directory):
    flash_run, flashc = arguments
    for level, dtype, dims in itertools.product(
            (8, 9), ("e4m3", "e5m2"),
            ("d=64", "d=128", "d=128,dv=64", "d=64,dv=128", "d=192", "d=256")):
        spec = "sq=128,sk=256,%s,dtype=%s" % (dims, dtype)
        kernel = Kernel(flash_run, flashc, spec, level, directory,
                        "--chip=sm_89")
        print("level %d, %s: %d x %d x %d, %d warps" % (
            level, spec, kernel.tile_q, kernel.tile_k, kernel.slice,
            kernel.warps))
        loop = kernel.loop()
        # A fragment of Q is 16 x 32, read by its warp; two of K are 16 x 32 and
        # two of V 32 x 16, which every warp reads. A product is 16 x 8 x 32.
        rows, depth = kernel.tile_q // 16, kernel.d // 32
        q = 0 if kernel.holds_q else rows * depth
        k = kernel.warps * (kernel.tile_k // 16) * depth
        v = kernel.warps * (kernel.tile_k // 32) * (kernel.slice // 16)
        expect("ldmatrix.x4: Q and K", kernel.total(
            r"ldmatrix\.sync\.aligned\.m8n8\.x4\.shared", lines=loop),
            kernel.tiles * (q + k))
        expect("ldmatrix.x4.trans: V", kernel.total(
            r"ldmatrix\.sync\.aligned\.m8n8\.x4\.trans", lines=loop),
            kernel.tiles * v)
        expect("ldmatrix", kernel.total("ldmatrix", lines=loop),
               kernel.tiles * (q + k + v))
        expect("ld.shared in the loop",
               kernel.total(r"ld\.shared", lines=loop), 0)
        expect("mma of both products", kernel.total("mma", lines=loop),
               kernel.tiles * rows * ((kernel.tile_k // 8) * depth
                                      + (kernel.slice // 8)
                                      * (kernel.tile_k // 32)))
        expect("bank conflicts in the loop", conflicts(kernel), 0)


def opcodes(ptx):
    """Opcodes with their modifiers, operands and guards stripped."""
    body = ptx[ptx.index("{", ptx.index(".entry")):]
    return tuple(m[2] for line in body.split("\n")
                 if (m := re.match(r"\s*(@!?%\w+\s+)?([a-z][\w.:]*)\s.*;", line)))


def check_opcodes(arguments, directory):
    flashc, *levels = arguments
    seen = {}
    for level in map(int, levels):
        done = subprocess.run(
            [flashc, "--attention=sq=1024,sk=1024,d=128,dtype=bf16,"
             "mask=causal", "--level=%d" % level, "-o", "-"],
            check=True, stdout=subprocess.PIPE, text=True)
        sequence = opcodes(done.stdout)
        if sequence in seen:
            sys.exit("levels %d and %d: the same opcodes" % (
                seen[sequence], level))
        seen[sequence] = level
        print("level %d: %d instructions" % (level, len(sequence)))
    print("%d levels, %d sequences" % (len(levels), len(seen)))


def check_study(arguments, directory):
    flash_run, flashc = arguments
    # d = 256 with slices of 16 columns is the study's.
    for spec, schedule in (("sq=1024,sk=1024,d=256,dtype=bf16", "tile_v=16"),
                           ("sq=256,sk=1024,d=128,dtype=bf16", "")):
        totals = {}
        for level in (6, 7):
            done = subprocess.run(
                [flash_run, "--attention=" + spec, "--level=%d" % level,
                 *(["--schedule=" + schedule] if schedule else []),
                 "--check", "--counters", "--json"], stdout=subprocess.PIPE)
            report = json.loads(done.stdout)
            if not report["pass"]:
                sys.exit("level %d, %s: %s" % (level, spec, report["errors"]))
            counters = report["counters"]
            totals[level] = (counters["shared_wavefronts"],
                             counters["opcodes"]["bar"],
                             counters["warp_instructions"])
        print("%s %s" % (spec, schedule))
        for name, six, seven in zip(
                ("shared wavefronts", "barriers", "instructions"),
                totals[6], totals[7]):
            print("    %-20s level 6 %9d, level 7 %9d" % (name, six, seven))
            if seven >= six:
                sys.exit("%s: expected fewer at level 7" % name)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        {"structure": check_structure, "opcodes": check_opcodes,
         "study": check_study, "bytes": check_bytes}[sys.argv[1]](sys.argv[2:], directory)

"""Masks that no SPEC key names: each is compiled and run, its result checked
against the reference, and the tiles that are multiplied against an enumeration.

usage: unusual_masks.py FLASH_RUN NAME...

Each mask is run in each asynchronous mode, and flash-run must pass. The number of
products on tensor cores must be that of the tiles of which an element is live.
Prints the remarks of the compiler. Exits 1 at the first difference.
"""

import json
import re
import subprocess
import sys
import tempfile

import numpy as np

TILE_Q, TILE_K, DEPTH, HEADS = 64, 32, 64, 2
SCHEDULE = "tile_q=64,tile_k=32,warps=4,stages_k=%d,stages_v=%d"

TEXT = """
func.func @mask(%%Q: tensor<1x%(heads)dx%(sq)sx64xf16>, %%K: tensor<1x%(heads)dx%(sk)sx64xf16>,
                %%V: tensor<1x%(heads)dx%(sk)sx64xf16>, %%O: tensor<1x%(heads)dx%(sq)sx64xf16>)
    -> tensor<1x%(heads)dx%(sq)sx64xf16> {
  %%out = flash.attention ins(query = %%Q, key = %%K, value = %%V
      : tensor<1x%(heads)dx%(sq)sx64xf16>, tensor<1x%(heads)dx%(sk)sx64xf16>, tensor<1x%(heads)dx%(sk)sx64xf16>)
    outs(output = %%O : tensor<1x%(heads)dx%(sq)sx64xf16>)
    mask {
    ^bb0(%%b: index, %%h: index, %%q: index, %%k: index):
      %%a = flash.alignment : index
      %%p = arith.addi %%q, %%a : index
      %%d = arith.subi %%p, %%k : index
%(body)s
      flash.yield %%r : i1
    }
    -> tensor<1x%(heads)dx%(sq)sx64xf16>
  return %%out : tensor<1x%(heads)dx%(sq)sx64xf16>
}
"""


class Body:
    """Builds a region's text; values are SSA names."""

    def __init__(self):
        self.lines = []

    def add(self, text):
        name = "%%v%d" % len(self.lines)
        self.lines.append("      %s = %s" % (name, text))
        return name

    def value(self, operand):
        if isinstance(operand, bool):
            return self.add("arith.constant %s" % str(operand).lower())
        return operand if isinstance(operand, str) else self.add("arith.constant %d : index" % operand)

    def op(self, name, left, right, type="index"):
        return self.add("arith.%s %s, %s : %s" % (name, self.value(left), self.value(right), type))

    def cmp(self, predicate, left, right):
        return self.add("arith.cmpi %s, %s, %s : index" % (predicate, self.value(left), self.value(right)))

    def select(self, condition, left, right, type="index"):
        return self.add("arith.select %s, %s, %s : %s" % (condition, self.value(left), self.value(right), type))

    def both(self, left, right):
        return self.op("andi", left, right, "i1")

    def either(self, left, right):
        return self.op("ori", left, right, "i1")

    def negate(self, value):
        return self.op("xori", value, True, "i1")

    def window(self, left, right):
        """Keys from p - left to p - right."""
        return self.both(self.cmp("sle", "%d", left), self.cmp("sge", "%d", right))

    def text(self, result):
        return "\n".join(self.lines + ["      %%r = arith.andi %s, %s : i1" % (result, result)])


def two_windows(b):
    return b.either(b.window(40, 0), b.window(400, 300))


def three_windows(b):
    return b.either(two_windows(b), b.window(250, 200))


def chunk_or_prefix(b):
    chunk = b.cmp("eq", b.op("floordivsi", "%p", 128), b.op("floordivsi", "%k", 128))
    return b.both(b.either(chunk, b.cmp("slt", "%k", 70)), b.cmp("sge", "%d", 0))


def aligned_chunk_or_sinks(b):
    chunk = b.cmp("eq", b.op("floordivsi", "%p", 64), b.op("floordivsi", "%k", 64))
    return b.either(chunk, b.cmp("slt", "%k", 64))


def dilated(b):
    every = b.cmp("eq", b.op("remsi", "%d", 4), 0)
    return b.either(b.both(every, b.window(300, 0)), b.window(20, 0))


def three_quarters(b):
    return b.cmp("slt", "%k", b.op("floordivsi", b.op("muli", "%q", 3), 4))


def nest(b):
    low = b.select(b.cmp("slt", "%q", 100), 0, b.op("subi", "%q", 60))
    high = b.op("minsi", b.op("maxsi", "%q", 90), b.op("addi", "%p", 10))
    return b.both(b.cmp("sge", "%k", low), b.cmp("sle", "%k", high))


def outside_of_window(b):
    return b.negate(b.window(200, 50))


def one_key_less(b):
    return b.cmp("ne", "%k", 100)


def never(b):
    return b.both(b.cmp("sgt", "%d", 5), b.cmp("slt", "%d", 5))


def always(b):
    return b.either(b.cmp("sge", "%d", 5), b.cmp("sle", "%d", 5))


def second_head(b):
    return b.both(b.cmp("eq", "%h", 1), b.cmp("sge", "%d", 0))


def prefix_of_head(b):
    return b.either(b.cmp("sge", "%d", 0), b.cmp("slt", "%k", b.op("muli", "%h", 170)))


# Per mask: the region, and the same on arrays: q, k, p = q + sk - sq, head.
MASKS = {
    "two-windows": (two_windows, lambda q, k, p, h: ((p - k <= 40) & (p - k >= 0)) | ((p - k <= 400) & (p - k >= 300))),
    "three-windows": (three_windows, lambda q, k, p, h: ((p - k <= 40) & (p - k >= 0)) | ((p - k <= 400) & (p - k >= 300)) | ((p - k <= 250) & (p - k >= 200))),
    "chunk-or-prefix": (chunk_or_prefix, lambda q, k, p, h: ((p // 128 == k // 128) | (k < 70)) & (k <= p)),
    "aligned-chunk-or-sinks": (aligned_chunk_or_sinks, lambda q, k, p, h: (p // 64 == k // 64) | (k < 64)),
    "dilated": (dilated, lambda q, k, p, h: (((p - k) % 4 == 0) & (p - k <= 300) & (k <= p)) | ((p - k <= 20) & (k <= p))),
    "three-quarters": (three_quarters, lambda q, k, p, h: k < q * 3 // 4),
    "nest": (nest, lambda q, k, p, h: (k >= np.where(q < 100, 0, q - 60)) & (k <= np.minimum(np.maximum(q, 90), p + 10))),
    "outside-of-window": (outside_of_window, lambda q, k, p, h: ~((p - k <= 200) & (p - k >= 50))),
    "one-key-less": (one_key_less, lambda q, k, p, h: k != 100),
    "never": (never, lambda q, k, p, h: k < 0),
    "always": (always, lambda q, k, p, h: k >= 0),
    "second-head": (second_head, lambda q, k, p, h: (h == 1) & (k <= p)),
    "prefix-of-head": (prefix_of_head, lambda q, k, p, h: (k <= p) | (k < 170 * h)),
}


def count_live(mask, sq, sk):
    """Tiles with a live element, over all heads."""
    total = 0
    for head in range(HEADS):
        for q0 in range(0, sq, TILE_Q):
            for k0 in range(0, sk, TILE_K):
                q = np.arange(q0, min(q0 + TILE_Q, sq))[:, None]
                k = np.arange(k0, min(k0 + TILE_K, sk))[None, :]
                total += bool(np.any(mask(q, k, q + sk - sq, head) & (k >= 0) & (q >= 0)))
    return total


def run(flash_run, name, sizes, is_static, stages, mode, directory):
    build, mask = MASKS[name]
    body = Body()
    result = build(body)
    sq, sk = sizes
    path = directory + "/mask.mlir"
    with open(path, "w") as file:
        file.write(TEXT % dict(heads=HEADS, body=body.text(result),
                               sq=sq if is_static else "?", sk=sk if is_static else "?"))
    command = [flash_run, path, "--check", "--counters", "--json", "--async=" + mode,
               "--schedule=" + SCHEDULE % (stages, stages)]
    if not is_static:
        command.append("--sizes=sq=%d,sk=%d" % sizes)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    title = "%s: sq=%d,sk=%d%s, %d stages, %s" % (name, sq, sk, ", static" if is_static else "", stages, mode)
    if done.returncode != 0 or not json.loads(done.stdout)["pass"]:
        sys.exit("%s: %s%s" % (title, done.stdout[:2000], done.stderr))
    tile = TILE_Q // 16 * (TILE_K // 8 * (DEPTH // 16) + DEPTH // 8 * (TILE_K // 16))
    visited = json.loads(done.stdout)["counters"]["issue_tensor"] / tile
    live = count_live(mask, sq, sk)
    if visited != live:
        sys.exit("%s: expected %d tiles, got %g" % (title, live, visited))
    remarks = re.findall(r"remark: (?!register permutation)(.*)", done.stderr)
    print("%s: %d tiles%s" % (title, visited, "".join(", " + remark for remark in remarks)))


def main(flash_run, names):
    with tempfile.TemporaryDirectory() as directory:
        for name in names or MASKS:
            run(flash_run, name, (300, 520), False, 1, "lazy", directory)
            run(flash_run, name, (512, 512), True, 3, "random", directory)
            run(flash_run, name, (333, 200), False, 2, "eager", directory)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])

"""Counts what a kernel loads and multiplies, against closed forms.

usage: dead_tiles.py FLASH_RUN FLASHC SPEC...

Each SPEC has one head, sq, sk, d and a mask, and may have stages=N, of both K and
V (1). The tiles that the mask leaves are
found by looking at every element. From their number follow, to the byte,

  global loads  Q once per CTA, K and V once per live tile
  mma.sync      of both products, once per live tile
  shared loads  K, V and Q as fragments once per live tile and warp, O once

and, because a band of the mask must not drain the prefetch of the next one,
that K and V come from copies inside the loops, but for the first K tile of each
CTA or, with N stages, its first N - 1 tiles of both. Exits 1 on the first
difference.
"""

import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../../../Target/Inputs"))
from ptx_loops import natural_loops, read_blocks

SCHEDULE = dict(tile_q=128, tile_k=64, warps=4)


def is_live(keys, q, k):
    """What SPEC says of query q and key k."""
    p = q + int(keys["sk"]) - int(keys["sq"])
    if keys.get("mask") == "causal" and k > p:
        return False
    if "prefix" in keys and k >= int(keys["prefix"]) and k > p:
        return False
    if "window" in keys:
        left, right = map(int, keys["window"].split(":"))
        if right >= 0 and k > p + right:
            return False
        if left >= 0 and k < p - left and k >= int(keys.get("sink", 0)):
            return False
    return "chunk" not in keys or p // int(keys["chunk"]) == k // int(keys["chunk"])


def count_tiles(keys):
    """Live tiles per tile of queries."""
    sq, sk = int(keys["sq"]), int(keys["sk"])
    return [
        sum(any(is_live(keys, q, k)
                for q in range(q0, min(q0 + SCHEDULE["tile_q"], sq))
                for k in range(k0, min(k0 + SCHEDULE["tile_k"], sk)))
            for k0 in range(0, sk, SCHEDULE["tile_k"]))
        for q0 in range(0, sq, SCHEDULE["tile_q"])]


def lines_with_mma(ptx, count):
    """The lines, from 1, of all loops with `count` mma: one tile."""
    blocks, successors = read_blocks(ptx)
    lines = set()
    for members in natural_loops(blocks, successors).values():
        loop = [item for name in members for item in blocks[name]]
        if sum("mma.sync" in text for _, text in loop) == count:
            lines.update(line for line, _ in loop)
    return lines


def check(flash_run, flashc, spec, directory):
    keys = dict(item.partition("=")[::2] for item in spec.split(","))
    stages = int(keys.pop("stages", 1))
    title, spec = spec, ",".join("=".join(item) for item in keys.items())
    schedule = ",".join("%s=%d" % item for item in dict(
        SCHEDULE, stages_k=stages, stages_v=stages).items())
    path = directory + "/k.ptx"
    subprocess.run([flashc, "--attention=" + spec, "--schedule=" + schedule,
                    "-o", path], check=True, stderr=subprocess.DEVNULL)
    d = int(keys["d"])
    tile_q, tile_k = SCHEDULE["tile_q"], SCHEDULE["tile_k"]
    query_bytes, key_bytes = tile_q * d * 2, tile_k * d * 2
    mma = tile_q // 16 * (tile_k // 8 * (d // 16) + d // 8 * (tile_k // 16))
    with open(path) as file:
        in_loops = lines_with_mma(file.read(), mma // SCHEDULE["warps"])
    done = subprocess.run(
        [flash_run, path, "--check", "--counters", "--json"],
        stdout=subprocess.PIPE)
    report = json.loads(done.stdout)
    if not report["pass"]:
        sys.exit("%s: %s" % (title, report["errors"]))
    counters = report["counters"]

    tiles = count_tiles(keys)
    rows, live = len(tiles), sum(tiles)
    # Copies in front of the loops, of K or of V.
    ahead = sum(min(number, 1) if stages == 1 else 2 * min(number, stages - 1)
                for number in tiles)
    copied = sum(
        line["bytes_loaded_global"] for line in counters["lines"]
        if "cp.async" in line["text"]
        and line["line"] in in_loops)
    results = [
        ("global bytes", counters["bytes_loaded_global"],
         rows * query_bytes + live * 2 * key_bytes),
        ("copied in loops", copied, (live * 2 - ahead) * key_bytes),
        ("mma", counters["issue_tensor"], live * mma),
        ("shared bytes", counters["bytes_loaded_shared"],
         live * (SCHEDULE["warps"] * 2 * key_bytes + query_bytes)
         + rows * query_bytes),
    ]
    print("%s: %d live tiles" % (title, live))
    for name, got, expected in results:
        print("    %-16s %d" % (name, got))
        if got != expected:
            sys.exit("%s: %s: expected %d, got %d" % (title, name, expected, got))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        for spec in sys.argv[3:]:
            check(sys.argv[1], sys.argv[2], spec, directory)

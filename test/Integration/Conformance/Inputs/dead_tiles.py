"""Counts what a kernel loads and multiplies, against closed forms.

usage: dead_tiles.py FLASH_RUN FLASHC SPEC...

Each SPEC has one head, sq, sk, d and a mask. The tiles that the mask leaves are
found by looking at every element. From their number follow, to the byte,

  global loads  Q once per CTA, K and V once per live tile
  mma.sync      of both products, once per live tile
  shared loads  K, V and Q as fragments once per live tile and warp, O once

and, because a band of the mask must not drain the prefetch of the next one,
that K and V come from copies inside the loops, but for the first K tile of each
CTA. Exits 1 on the first difference.
"""

import json
import re
import subprocess
import sys
import tempfile

SCHEDULE = dict(tile_q=128, tile_k=64, warps=4, stages_k=1, stages_v=1)
SCHEDULE_TEXT = ",".join("%s=%d" % item for item in SCHEDULE.items())


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
    """Query tiles, those of them that see a key, and live tiles."""
    sq, sk = int(keys["sq"]), int(keys["sk"])
    rows, seeing, live = 0, 0, 0
    for q0 in range(0, sq, SCHEDULE["tile_q"]):
        rows += 1
        tiles = sum(
            any(is_live(keys, q, k)
                for q in range(q0, min(q0 + SCHEDULE["tile_q"], sq))
                for k in range(k0, min(k0 + SCHEDULE["tile_k"], sk)))
            for k0 in range(0, sk, SCHEDULE["tile_k"]))
        seeing += tiles > 0
        live += tiles
    return rows, seeing, live


def loops_with_mma(ptx, count):
    """First and last line, from 1, of every loop with `count` mma: one tile.
    Branches to and from cold code can span a loop and what precedes it; the
    loop begins at the last label that one of them starts from."""
    lines = ptx.split("\n")
    labels = {m[1]: i for i, line in enumerate(lines, 1)
              if (m := re.match(r"^(\$\w+):", line))}
    loops = {}
    for i, line in enumerate(lines, 1):
        branch = re.search(r"\bbra(?:\.uni)?\s+(\$\w+);", line)
        if branch and labels[branch[1]] < i:
            first = labels[branch[1]]
            products = [n for n in range(first, i + 1)
                        if "mma.sync" in lines[n - 1]]
            if len(products) == count:
                known = loops.get(products[0], (first, i))
                loops[products[0]] = (max(known[0], first), max(known[1], i))
    return list(loops.values())


def check(flash_run, flashc, spec, directory):
    keys = dict(item.partition("=")[::2] for item in spec.split(","))
    path = directory + "/k.ptx"
    subprocess.run([flashc, "--attention=" + spec, "--schedule=" + SCHEDULE_TEXT,
                    "-o", path], check=True, stderr=subprocess.DEVNULL)
    d = int(keys["d"])
    tile_q, tile_k = SCHEDULE["tile_q"], SCHEDULE["tile_k"]
    query_bytes, key_bytes = tile_q * d * 2, tile_k * d * 2
    mma = tile_q // 16 * (tile_k // 8 * (d // 16) + d // 8 * (tile_k // 16))
    with open(path) as file:
        loops = loops_with_mma(file.read(), mma // SCHEDULE["warps"])
    done = subprocess.run(
        [flash_run, "--attention=" + spec, "--schedule=" + SCHEDULE_TEXT,
         "--check", "--counters", "--json"], stdout=subprocess.PIPE)
    report = json.loads(done.stdout)
    if not report["pass"]:
        sys.exit("%s: %s" % (spec, report["errors"]))
    counters = report["counters"]

    rows, seeing, live = count_tiles(keys)
    copied = sum(
        line["bytes_loaded_global"] for line in counters["lines"]
        if "cp.async" in line["text"]
        and any(first <= line["line"] <= last for first, last in loops))
    results = [
        ("global bytes", counters["bytes_loaded_global"],
         rows * query_bytes + live * 2 * key_bytes),
        ("copied in loops", copied, live * 2 * key_bytes - seeing * key_bytes),
        ("mma", counters["issue_tensor"], live * mma),
        ("shared bytes", counters["bytes_loaded_shared"],
         live * (SCHEDULE["warps"] * 2 * key_bytes + query_bytes)
         + rows * query_bytes),
    ]
    print("%s: %d live tiles" % (spec, live))
    for name, got, expected in results:
        print("    %-16s %d" % (name, got))
        if got != expected:
            sys.exit("%s: %s: expected %d, got %d" % (spec, name, expected, got))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        for spec in sys.argv[3:]:
            check(sys.argv[1], sys.argv[2], spec, directory)

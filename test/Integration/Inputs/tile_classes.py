"""Compares the tiles of the mask analysis with enumeration, on random masks.

usage: tile_classes.py FLASH_OPT DIRECTORY FIRST COUNT

The masks are those of programs FIRST to FIRST + COUNT - 1 of random_regions.py that
read no arrays. NumPy evaluates each on all queries and keys. For several sizes of
tiles and every query tile, the ranges that --flash-analyze-mask prints must hold
every live tile and no tile that is not full and, unless a remark tells of something
that was left out, hold no dead tile and miss no full one. Prints what differs, and
how many analyses were exact; exits 1 if anything differs, or if few are exact.
"""

import re
import subprocess
import sys

import numpy as np

import random_regions

TILES = [(128, 64), (64, 32), (16, 16), (8, 48)]
CUT = "the tile that the last key cuts is live"


def floor_divide(left, right):
    return left // right


def truncate(left, right):
    quotient = np.abs(left) // right
    return np.where(left < 0, -quotient, quotient)


UNSIGNED = lambda value: value.astype(np.int64).astype(np.uint64)
OPS = {
    "addi": np.add,
    "subi": np.subtract,
    "muli": np.multiply,
    "minsi": np.minimum,
    "maxsi": np.maximum,
    "floordivsi": floor_divide,
    "ceildivsi": lambda left, right: -floor_divide(-left, right),
    "divsi": truncate,
    "remsi": lambda left, right: left - right * truncate(left, right),
    "andi": np.logical_and,
    "ori": np.logical_or,
    "xori": np.logical_xor,
    "select": np.where,
}
COMPARE = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal}


def evaluate(text, heads, sq, sk):
    """The mask region of a program, as an array [heads, sq, sk]."""
    body = text[text.index("mask {"):]
    values = {
        "%b": np.int64(0),
        "%h": np.arange(heads).reshape(heads, 1, 1),
        "%i": np.arange(sq).reshape(1, sq, 1),
        "%j": np.arange(sk).reshape(1, 1, sk),
    }
    for line in body.splitlines():
        found = re.match(r"\s*flash.yield (%\w+)", line)
        if found:
            return np.broadcast_to(values[found[1]], (heads, sq, sk))
        found = re.match(r"\s*(%\w+) = (arith|flash)\.(\w+) ?(.*?)( : .*)?$", line)
        if not found:
            continue
        name, _, op, operands, _ = found.groups()
        if op == "alignment":
            values[name] = np.int64(sk - sq)
        elif op == "constant":
            values[name] = {"true": np.True_, "false": np.False_}.get(operands) if operands in ("true", "false") else np.int64(operands)
        elif op == "cmpi":
            predicate, left, right = operands.split(", ")
            left, right = values[left], values[right]
            if predicate[0] == "u":
                left, right = UNSIGNED(left), UNSIGNED(right)
            values[name] = COMPARE[predicate[-2:]](left, right)
        else:
            values[name] = OPS[op](*(values[item] for item in operands.split(", ")))


def split(text):
    """`text` at its commas outside of parentheses."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def parse(text):
    """The ranges of a remark: lower bound, upper bound, condition."""
    ranges, at = [], 0
    while "[" in text[at:]:
        start = end = text.index("[", at) + 1
        depth = 0
        while depth or text[end] != ")":
            depth += (text[end] == "(") - (text[end] == ")")
            end += 1
        at = text.find("[", end)
        at = len(text) if at < 0 else at
        condition = re.sub(r"( and| without)$", "", text[end + 1 : at].strip().rstrip(",").strip())
        ranges.append([*split(text[start:end]), condition[3:] if condition.startswith("if ") else "True"])
    return [[code(item) for item in entry] for entry in ranges]


def code(text):
    text = text.replace("floordiv", "//").replace(" mod ", " % ")
    return text if text in ("live", "all") else compile(text, text, "eval")


def classify(live, full, names, count):
    """The sets of live and of full tiles, of `count`."""
    def tiles(entry):
        low, high, condition = entry
        if not eval(condition, {}, names):
            return set()
        low = 0 if low == "live" else eval(low, {}, names)
        high = count if high in ("live", "all") else eval(high, {}, names)
        return set(range(max(low, 0), min(high, count)))
    lives = set().union(*map(tiles, live))
    fulls = tiles(full[0]).difference(*map(tiles, full[1:])) if full else set()
    return lives, fulls & lives


def enumerate_tiles(mask, q0, tile_q, tile_k):
    rows = mask[q0 : q0 + tile_q]
    count = -(-mask.shape[1] // tile_k)
    columns = [rows[:, tile * tile_k : (tile + 1) * tile_k] for tile in range(count)]
    live = {tile for tile in range(count) if columns[tile].any()}
    full = {tile for tile in range(count) if columns[tile].all() and columns[tile].shape[1] == tile_k}
    return live, full


def check(tool, path, mask, tile_q, tile_k):
    """What differs, or nothing; and whether the analysis is exact."""
    heads, sq, sk = mask.shape
    done = subprocess.run([tool, path, "--flash-expand-modifiers", "--flash-analyze-mask=tile-q=%d tile-k=%d" % (tile_q, tile_k), "-o", "/dev/null"], stderr=subprocess.PIPE, text=True)
    remarks = re.findall("remark: (.*)", done.stderr)
    texts = [remark for remark in remarks if remark.startswith("tiles of")]
    if done.returncode or len(texts) != 1:
        return "exit %d, %s" % (done.returncode, done.stderr[-300:]), False
    reasons = [remark for remark in remarks if remark not in texts]
    cut = bool(reasons) and all(CUT in reason for reason in reasons)
    exact = not reasons or cut
    live_text, _, full_text = texts[0].partition("live ")[2].partition(", full ")
    live, full = parse(live_text.replace(", none full", "")), parse(full_text)
    count = -(-sk // tile_k)
    for head in range(heads):
        for q0 in range(0, sq, tile_q):
            names = {"q0": q0, "sq": sq, "sk": sk, "alignment": sk - sq, "b": 0, "h": head, "min": min, "max": max}
            lives, fulls = classify(live, full, names, count)
            live_tiles, full_tiles = enumerate_tiles(mask[head], q0, tile_q, tile_k)
            dead = lives - live_tiles
            if cut:
                dead.discard(sk // tile_k)
            if live_tiles - lives or fulls - full_tiles or (exact and (dead or full_tiles - fulls)):
                return "h=%d q0=%d: live %s, expected %s; full %s, expected %s\n    %s" % (head, q0, sorted(lives), sorted(live_tiles), sorted(fulls), sorted(full_tiles), remarks), exact
    return None, exact


def main(tool, directory, first, count):
    failed = analyses = exact = 0
    for number in range(first, first + count):
        text, options, arrays = random_regions.make(number)[:3]
        assert not arrays
        path = "%s/class-%d.mlir" % (directory, number)
        with open(path, "w") as file:
            file.write(text)
        shapes = re.findall(r"%[qk]: tensor<1x(\d+)x([\d?]+)x", text)
        sizes = dict(re.findall(r"(sq|sk)=(\d+)", " ".join(options)))
        sq, sk = (int(sizes.get(name, shape[1])) for name, shape in zip(("sq", "sk"), shapes))
        mask = evaluate(text, int(shapes[0][0]), sq, sk)
        for tile_q, tile_k in TILES:
            error, is_exact = check(tool, path, mask, tile_q, tile_k)
            analyses += 1
            exact += is_exact
            failed += error is not None
            if error:
                print("FAIL", path, "tiles of %d x %d," % (tile_q, tile_k), error)
    print("%d of %d analyses agree, %d of them exact" % (analyses - failed, analyses, exact))
    return failed != 0 or exact * 3 < analyses


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))

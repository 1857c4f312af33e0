"""Runs one case with score or mask regions that read arrays, in all variants.

usage: region_cases.py FLASH_RUN DIRECTORY CASE [its options] [--only=KEY=VALUE ...]

The variants are the product of
  dtype   f16, bf16
  async   eager, lazy, random
  sizes   static, dynamic (sq, sk and the arrays' extents are ?)
each of which --only can restrict. Every variant must pass all checks of
flash-run; the script prints one line for each and the number that passed, and
exits 1 if one did not. NumPy need not be there.
"""

import itertools
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "Inputs"))
import npy


class Case:
    """sq, sk, d, heads; captures as (name, shape, element, values); regions as
    text in which every {name} is the type of a capture."""

    def __init__(self, sq, sk, captures, score="", mask="", d=64, heads=2, group=2, batch=1):
        self.sq, self.sk, self.d = sq, sk, d
        self.batch, self.heads, self.group = batch, heads, group
        self.captures, self.score, self.mask = captures, score, mask

    def text(self, dtype, is_dynamic):
        size = lambda n: "?" if is_dynamic else str(n)
        q = "tensor<%dx%dx%sx%dx%s>" % (self.batch, self.heads, size(self.sq), self.d, dtype)
        k = "tensor<%dx%dx%sx%dx%s>" % (self.batch, self.heads // self.group, size(self.sk), self.d, dtype)
        types = {name: "tensor<%s%s>" % ("".join(size(n) + "x" for n in shape), element) for name, shape, element, _ in self.captures}
        arguments = "".join(", %%%s: %s" % item for item in types.items())
        regions = ""
        for name, body in (("score", self.score), ("mask", self.mask)):
            if not body:
                continue
            first = "%s: f32, " if name == "score" else ""
            regions += "\n    %s {\n    ^bb0(%s%%b: index, %%h: index, %%i: index, %%j: index%s):\n" % (name, first, arguments)
            for key, value in types.items():
                body = body.replace("{%s}" % key, value)
            regions += body + "\n    }"
        captures = "captures(%s : %s)" % (", ".join("%" + n for n in types), ", ".join(types.values()))
        return (
            "func.func @case(%%q: %s, %%k: %s, %%v: %s%s, %%o: %s) -> %s {\n"
            "  %%0 = flash.attention ins(query = %%q, key = %%k, value = %%v : %s, %s, %s)\n"
            "    %s outs(output = %%o : %s)%s\n    -> %s\n  return %%0 : %s\n}\n"
        ) % (q, k, k, arguments, q, q, q, k, k, captures, q, regions, q, q)


def documents(ends, length):
    """The document of each of `length` tokens; `ends` are where they end."""
    return [sum(end <= token for end in ends) for token in range(length)]


SAME_DOCUMENT = """      %dq = tensor.extract %queries[%i] : {queries}
      %dk = tensor.extract %keys[%j] : {keys}
      %same = arith.cmpi eq, %dq, %dk : i32
      flash.yield %same : i1"""

# table[h, clamp(k - q + 40)]
RELATIVE_BIAS = """      %c40 = arith.constant 40 : index
      %c0 = arith.constant 0 : index
      %c80 = arith.constant 80 : index
      %x = arith.subi %j, %i : index
      %y = arith.addi %x, %c40 : index
      %low = arith.maxsi %y, %c0 : index
      %at = arith.minsi %low, %c80 : index
      %bias = tensor.extract %table[%h, %at] : {table}
      %r = arith.addf %s, %bias : f32
      flash.yield %r : f32"""

# The same table, read where it has an entry only.
GUARDED_BIAS = """      %c40 = arith.constant 40 : index
      %c81 = arith.constant 81 : index
      %x = arith.subi %j, %i : index
      %y = arith.addi %x, %c40 : index
      %inside = arith.cmpi ult, %y, %c81 : index
      %r = scf.if %inside -> f32 {
        %bias = tensor.extract %table[%h, %y] : {table}
        %sum = arith.addf %s, %bias : f32
        scf.yield %sum : f32
      } else {
        scf.yield %s : f32
      }
      flash.yield %r : f32"""

ADDITIVE_BIAS = """      %c0 = arith.constant 0 : index
      %x = tensor.extract %bias[%c0, %h, %i, %j] : {bias}
      %r = arith.addf %s, %x : f32
      flash.yield %r : f32"""


def additive(heads, sq, sk):
    """Rows of all kinds: none hidden, some keys at -inf or -3.4e38, all of them
    at -inf, all at -3.4e38, all but one."""
    values = []
    for h, q, k in itertools.product(range(heads), range(sq), range(sk)):
        kind = (q + h) % 7
        value = 0.25 * ((k * 7 + q) % 5 - 2)
        if kind == 1:
            value = float("-inf")
        elif kind == 2:
            value = -3.4e38
        elif kind == 3 and k % 3:
            value = float("-inf")
        elif kind == 4 and k % 2:
            value = -3.4e38
        elif kind == 5 and k != q % sk:
            value = float("-inf")
        elif kind == 6:
            value = float("-inf") if k % 2 else -3.4e38
        values.append(value)
    return values


TABLE = ("table", (2, 81), "f32", [((n * 37) % 23 - 11) / 8 for n in range(162)])


def tokens(name, ends, length):
    return (name, (length,), "i32", documents(ends, length))


def make(case):
    # Ragged documents and ragged tiles, a document without keys, one without
    # queries.
    ragged = [tokens("queries", (1, 30, 48, 110, 140), 150), tokens("keys", (1, 30, 30, 125, 180), 200)]
    if case == "relative-documents":
        return Case(150, 200, [TABLE] + ragged, RELATIVE_BIAS, SAME_DOCUMENT)
    if case == "guarded-documents":
        return Case(150, 200, [TABLE] + ragged, GUARDED_BIAS, SAME_DOCUMENT)
    if case == "empty-row-block":
        # Queries 128 to 255 are of a document that no key is of.
        ends = [("queries", (128, 256), 300), ("keys", (200, 200), 333)]
        return Case(300, 333, [tokens(*end) for end in ends], mask=SAME_DOCUMENT)
    if case == "empty-everywhere":
        ends = [("queries", (0, 0), 130), ("keys", (100, 100), 70)]
        return Case(130, 70, [tokens(*end) for end in ends], mask=SAME_DOCUMENT)
    if case == "additive":
        return Case(70, 90, [("bias", (1, 2, 70, 90), "f32", additive(2, 70, 90))], ADDITIVE_BIAS)
    sys.exit("region_cases.py: no case " + case)


def main(arguments):
    tool, directory, name = arguments[:3]
    variants = {
        "dtype": ["f16", "bf16"],
        "async": ["eager", "lazy", "random"],
        "sizes": ["static", "dynamic"],
    }
    options = []
    for argument in arguments[3:]:
        if argument.startswith("--only="):
            _, key, value = argument.split("=")
            if value not in variants[key]:
                sys.exit("region_cases.py: no variant " + argument)
            variants[key] = [value]
        else:
            options.append(argument)
    case = make(name)
    for capture, shape, element, values in case.captures:
        path = "%s/%s-%s.npy" % (directory, name, capture)
        npy.write(path, shape, element, values)
        options.append("--input=%s=%s" % (capture, path))
    passed, total = 0, 0
    for dtype, mode, sizes in itertools.product(*variants.values()):
        path = "%s/%s-%s-%s.mlir" % (directory, name, dtype, sizes)
        with open(path, "w") as file:
            file.write(case.text(dtype, sizes == "dynamic"))
        extra = ["--async=" + mode]
        if sizes == "dynamic":
            extra.append("--sizes=sq=%d,sk=%d" % (case.sq, case.sk))
        done = subprocess.run([tool, path, "--check", "--json"] + options + extra, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            report = json.loads(done.stdout)
            passes = report["pass"] is True and done.returncode == 0
            error = None if passes else str(report["errors"])
        except ValueError:
            error = "no JSON, exit %d: %s" % (done.returncode, done.stderr[-500:])
        total += 1
        passed += error is None
        print("pass" if error is None else "FAIL", path, *options, *extra)
        if error:
            print("    " + error)
    print("%d of %d variants passed" % (passed, total))
    return passed != total


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Runs random score and mask regions on the emulator against the reference.

usage: random_regions.py FLASH_RUN DIRECTORY FIRST COUNT

Programs FIRST to FIRST + COUNT - 1 of a grammar, each from its number alone:
masks are boolean trees over affine comparisons, floor divisions, remainders,
selects and extrema of q, k, the alignment and the head; scores are a few steps
of arithmetic on them. From program 72 on they also read arrays: documents, a table
by distance, flags, a bias of 16 or 32 bits, where needed behind a guard. Sizes,
head dim, element type, strides and the order of asynchronous copies vary, too.
Programs from 120 on are compiled at a level of the ladder, some with a step of it
taken back, in a type that it multiplies. Prints the programs that fail, which
stay in DIRECTORY, and how many passed; exits 1 if one did not.
"""

import json
import random
import subprocess
import sys

import npy

# The first program that reads arrays.
FIRST_WITH_ARRAYS = 72
# The first program that is compiled at a level of its own.
FIRST_WITH_LEVEL = 120

# Steps that every level may take back.
STEPS_BACK = [[], [], ["--schedule=split_bands=false"], ["--schedule=fold_scale=false"]]
OUTPUTS = {"tf32": "f32", "f8E4M3FN": "bf16", "f8E5M2": "bf16"}


def draw_level(number):
    """Element type and options of a program with a level, from its number."""
    rng = random.Random("level %d" % number)
    level = rng.randrange(10)
    elements = ["f16", "bf16"] + ["f32"] * (level <= 4) + ["tf32"] * (level >= 5)
    elements += ["f8E4M3FN", "f8E5M2"] * (level >= 6)
    element = rng.choice(elements)
    options = ["--level=%d" % level] + rng.choice(STEPS_BACK)
    return element, options + ["--chip=sm_89"] * ("f8" in element)


class Region:
    """Ops of one region, as text."""

    def __init__(self, rng, arrays=None):
        """`arrays`: type of each array that may be read, by name."""
        self.rng = rng
        self.arrays = arrays or {}
        self.lines = []
        self.count = 0

    def op(self, text, *operands):
        self.count += 1
        name = "%%v%d" % self.count
        self.lines.append("      %s = %s" % (name, text % operands if operands else text))
        return name

    def index(self, value):
        return self.op("arith.constant %d : index" % value)

    def position(self):
        return self.op("arith.addi %%i, %s : index" % self.op("flash.alignment : index"))

    # Reads.

    def read(self, name, *indices):
        return self.op("tensor.extract %%%s[%s] : %s" % (name, ", ".join(indices), self.arrays[name]))

    def guarded(self, index, extent, element, inside, outside):
        """`inside` where 0 <= index < extent, else `outside`: callables."""
        condition = self.compare("ult", index, self.index(extent))
        lines, self.lines = self.lines, []
        value = inside()
        then, self.lines = self.lines, []
        other = outside()
        otherwise, self.lines = self.lines, lines
        self.count += 1
        name = "%%v%d" % self.count
        self.lines.append("      %s = scf.if %s -> %s {" % (name, condition, element))
        self.lines += ["  " + line for line in then] + ["        scf.yield %s : %s" % (value, element), "      } else {"]
        self.lines += ["  " + line for line in otherwise] + ["        scf.yield %s : %s" % (other, element), "      }"]
        return name

    def document(self):
        """Of a query, a key, or of a token that may not exist."""
        kind = self.rng.choice(["%i", "%j", "guarded"])
        if kind != "guarded":
            return self.read("documents", kind)
        index = self.op("arith.subi %s, %s : index" % (self.rng.choice(["%i", "%j"]), self.index(self.rng.randint(1, 90))))
        return self.guarded(index, 300, "i32", lambda: self.read("documents", index), lambda: self.op("arith.constant -1 : i32"))

    def bias(self):
        kind = self.rng.choice(["table", "clamped", "bias", "slope"])
        if kind == "slope":
            return self.read("table", "%h")
        if kind == "bias":
            head = self.rng.choice(["%h", self.index(1)])
            return self.op("arith.extf %s : f16 to f32" % self.read("bias", head, "%i", "%j"))
        distance = self.op("arith.subi %%j, %s : index" % self.rng.choice(["%i", self.position()]))
        if kind == "table":
            return self.guarded(distance, 64, "f32", lambda: self.read("table", distance), lambda: self.real(0.5))
        low = self.op("arith.maxsi %s, %s : index" % (distance, self.index(0)))
        return self.read("table", self.op("arith.minsi %s, %s : index" % (low, self.index(63))))

    # Integers.

    def number(self, depth):
        kind = self.rng.choice(["k", "p", "q", "distance"] + ["divided", "rest", "extremum", "select"] * (depth > 0) + ["document"] * bool(self.arrays))
        if kind == "document":
            return self.op("arith.index_cast %s : i32 to index" % self.document())
        if kind == "k":
            return "%j"
        if kind == "q":
            return "%i"
        if kind == "p":
            return self.position()
        if kind == "distance":
            return self.op("arith.subi %s, %%j : index" % self.position())
        if kind == "divided":
            number, by = self.number(depth - 1), self.index(self.rng.choice([3, 16, 40, 64, 100]))
            return self.op("arith.%s %s, %s : index" % (self.rng.choice(["floordivsi", "ceildivsi", "divsi"]), number, by))
        if kind == "rest":
            return self.op("arith.remsi %s, %s : index" % (self.number(depth - 1), self.index(self.rng.choice([2, 5, 64, 90]))))
        if kind == "extremum":
            return self.op("arith.%s %s, %s : index" % (self.rng.choice(["minsi", "maxsi"]), self.number(depth - 1), self.index(self.rng.randint(-50, 300))))
        return self.op("arith.select %s, %s, %s : index" % (self.condition(0), self.number(depth - 1), self.number(depth - 1)))

    # Conditions.

    def compare(self, predicate, left, right):
        return self.op("arith.cmpi %s, %s, %s : index" % (predicate, left, right))

    def atom(self):
        kind = self.rng.choice(["causal", "window", "below", "row", "chunk", "dilated", "head", "band", "any"] + ["same", "same", "flag"] * bool(self.arrays))
        if kind == "same":
            return self.op("arith.cmpi %s, %s, %s : i32" % (self.rng.choice(["eq", "eq", "sle"]), self.read("documents", "%i"), self.document()))
        if kind == "flag":
            return self.read("flags", self.rng.choice(["%i", "%j"]))
        shifted = lambda by: self.op("arith.addi %s, %s : index" % (self.position(), self.index(by)))
        if kind == "causal":
            return self.compare("sle", "%j", shifted(self.rng.randint(-20, 60)))
        if kind == "window":
            return self.compare("sge", "%j", shifted(-self.rng.randint(0, 200)))
        if kind == "below":
            return self.compare(self.rng.choice(["slt", "sge"]), "%j", self.index(self.rng.randint(0, 200)))
        if kind == "row":
            return self.compare(self.rng.choice(["slt", "sge"]), "%i", self.index(self.rng.randint(0, 200)))
        if kind == "head":
            return self.compare("slt", "%h", self.index(1))
        if kind == "chunk":
            by = self.index(self.rng.choice([7, 32, 64, 100, 128]))
            return self.compare(self.rng.choice(["eq", "sge"]), self.op("arith.floordivsi %s, %s : index" % (self.position(), by)), self.op("arith.floordivsi %%j, %s : index" % by))
        if kind == "dilated":
            rest = self.op("arith.remsi %s, %s : index" % (self.op("arith.subi %s, %%j : index" % self.position()), self.index(self.rng.choice([2, 3, 70]))))
            return self.compare("eq", rest, self.index(0))
        if kind == "band":
            return self.compare("ult", self.op("arith.subi %s, %%j : index" % self.position()), self.index(self.rng.randint(1, 150)))
        return self.compare(self.rng.choice(["slt", "sle", "sgt", "sge", "ne"]), self.number(2), self.number(1))

    def condition(self, depth):
        kind = self.rng.choice(["atom"] + ["and", "or", "or", "and", "xor", "not", "select"] * (depth > 0))
        if kind == "atom":
            return self.atom()
        if kind == "not":
            return self.op("arith.xori %s, %s : i1" % (self.condition(depth - 1), self.op("arith.constant true")))
        if kind == "select":
            return self.op("arith.select %s, %s, %s : i1" % tuple(self.condition(depth - 1) for _ in range(3)))
        return self.op("arith.%si %s, %s : i1" % (kind, self.condition(depth - 1), self.condition(depth - 1)))

    # Scores.

    def real(self, value):
        return self.op("arith.constant %e : f32" % value)

    def term(self):
        """A number of modest size that depends on the indices."""
        if self.arrays and self.rng.random() < 0.6:
            return self.bias()
        narrow = self.op("arith.index_cast %s : index to i32" % self.number(1))
        value = self.op("arith.sitofp %s : i32 to f32" % narrow)
        return self.op("arith.mulf %s, %s : f32" % (value, self.real(self.rng.uniform(-0.02, 0.02))))

    def score(self):
        value = "%s"
        for _ in range(self.rng.randint(1, 4)):
            kind = self.rng.choice(["scale", "bias", "cap", "clamp", "select", "wave"])
            if kind == "scale":
                value = self.op("arith.mulf %s, %s : f32", value, self.real(self.rng.uniform(-1.5, 1.5)))
            elif kind == "bias":
                value = self.op("arith.addf %s, %s : f32", value, self.term())
            elif kind == "cap":
                cap = self.rng.uniform(1, 10)
                inner = self.op("arith.mulf %s, %s : f32", value, self.real(1 / cap))
                value = self.op("arith.mulf %s, %s : f32", self.op("math.tanh %s : f32", inner), self.real(cap))
            elif kind == "clamp":
                value = self.op("arith.%s %s, %s : f32", self.rng.choice(["maximumf", "minimumf"]), value, self.real(self.rng.uniform(-2, 2)))
            elif kind == "wave":
                value = self.op("arith.addf %s, %s : f32", value, self.op("math.sin %s : f32", self.term()))
            else:
                value = self.op("arith.select %s, %s, %s : f32", self.condition(1), value, self.op("arith.negf %s : f32", value))
        return value


def make(number):
    """The text of a program and the options to run it with."""
    rng = random.Random(number)
    heads, group = 2, rng.choice([1, 2])
    sq, sk = (rng.choice([1, 17, 100, 128, 200, 270]) for _ in range(2))
    d, element = rng.choice([16, 40, 64]), rng.choice(["f16", "bf16"])
    level = []
    if number >= FIRST_WITH_LEVEL:
        element, level = draw_level(number)
        # Eight bits: rows of 16 bytes, and so many numbers that few rows of the
        # output are small by chance, against which errors are measured.
        d = {16: 64, 40: 48}.get(d, d) if "f8" in element else d
    is_dynamic = rng.random() < 0.5
    size = lambda value: "?" if is_dynamic else str(value)
    query = "tensor<1x%dx%sx%dx%s>" % (heads, size(sq), d, element)
    key = "tensor<1x%dx%sx%dx%s>" % (heads // group, size(sk), d, element)
    output = "tensor<1x%dx%sx%dx%s>" % (heads, size(sq), d, OUTPUTS.get(element, element))
    scales, descales = "", ""
    if "f8" in element:
        of_q, of_k = "tensor<1x%dxf32>" % heads, "tensor<1x%dxf32>" % (heads // group)
        scales = ", %%sq: %s, %%sk: %s, %%sv: %s" % (of_q, of_k, of_k)
        descales = "q_descale(%%sq : %s) k_descale(%%sk : %s) v_descale(%%sv : %s) " % (of_q, of_k, of_k)
    arrays = make_arrays(rng, sq, sk, is_dynamic) if number >= FIRST_WITH_ARRAYS else []
    types = {name: kind for name, kind, _, _ in arrays}
    captured = "".join(", %%%s: %s" % item for item in types.items())
    regions = ""
    if rng.random() < (0.7 if arrays else 0.4):
        region = Region(rng, types)
        result = region.score()
        regions += "\n    score {\n    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index" + captured + "):\n" + "\n".join(region.lines) + "\n      flash.yield " + result + " : f32\n    }"
    region = Region(rng, types)
    result = region.condition(2 if arrays else 3)
    regions += "\n    mask {\n    ^bb0(%b: index, %h: index, %i: index, %j: index" + captured + "):\n" + "\n".join(region.lines) + "\n      flash.yield " + result + " : i1\n    }"
    captures = "    captures(%s : %s)\n" % (", ".join("%" + name for name in types), ", ".join(types.values())) if arrays else ""
    text = ("func.func @random(%q: Q, %k: K, %v: K" + scales + captured + ", %o: O) -> O {\n"
            "  %0 = flash.attention ins(query = %q, key = %k, value = %v : Q, K, K)\n"
            + captures + "    " + descales + "outs(output = %o : O)" + regions + "\n    -> O\n  return %0 : O\n}\n")
    for name, kind in (("Q", query), ("K", key), ("O", output)):
        text = text.replace(": " + name, ": " + kind).replace(" " + name, " " + kind)
    options = level + ["--async=" + rng.choice(["eager", "lazy", "random"]), "--seed=%d" % number]
    if arrays:
        options.append("--strides=" + rng.choice(["contiguous", "padded", "transposed", "unaligned"]))
    if is_dynamic:
        options.append("--sizes=sq=%d,sk=%d" % (sq, sk))
    return text, options, arrays


def make_arrays(rng, sq, sk, is_dynamic):
    """Name, type, shape and values of the arrays that a program may read."""
    size = lambda n: "?" if is_dynamic else str(n)
    ends = sorted(rng.randint(0, 300) for _ in range(4))
    return [
        ("documents", "tensor<%sxi32>" % size(300), (300,), [sum(end <= token for end in ends) for token in range(300)]),
        ("table", "tensor<64xf32>", (64,), [rng.uniform(-1, 1) for _ in range(64)]),
        ("flags", "tensor<%sxi1>" % size(300), (300,), [rng.random() < 0.8 for _ in range(300)]),
        ("bias", "tensor<2x%sx%sxf16>" % (size(sq), size(sk)), (2, sq, sk), [rng.uniform(-1, 1) for _ in range(2 * sq * sk)]),
    ]


def main(tool, directory, first, count):
    passed = 0
    for number in range(first, first + count):
        text, options, arrays = make(number)
        for name, kind, shape, values in arrays:
            file = "%s/random-%d-%s.npy" % (directory, number, name)
            npy.write(file, shape, kind.rpartition("x")[2][:-1], values)
            options.append("--input=%s=%s" % (name, file))
        path = "%s/random-%d.mlir" % (directory, number)
        with open(path, "w") as file:
            file.write(text)
        done = subprocess.run([tool, path, "--check", "--json"] + options, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            report = json.loads(done.stdout)
            error = None if report["pass"] and done.returncode == 0 else str(report["errors"])
        except ValueError:
            error = "no JSON, exit %d: %s" % (done.returncode, done.stderr[-500:])
        passed += error is None
        if error:
            print("FAIL", path, *options, "\n    " + error)
    print("%d of %d programs passed" % (passed, count))
    return passed != count


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))

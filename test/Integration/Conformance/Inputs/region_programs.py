"""Attentions with score and mask regions that read arrays, by name.

Every program is one Case; CASES names them all. A region is text in which every
{name} is the type of a capture.
"""

import itertools

# Inputs and output of each dtype, and the first chip that multiplies it.
TYPES = {
    "f16": ("f16", "f16", "sm_80"),
    "bf16": ("bf16", "bf16", "sm_80"),
    "f32": ("f32", "f32", "sm_80"),
    "tf32": ("tf32", "f32", "sm_80"),
    "e4m3": ("f8E4M3FN", "bf16", "sm_89"),
    "e5m2": ("f8E5M2", "bf16", "sm_89"),
}


class Case:
    """sq, sk, d, heads; captures as (name, shape, element, values). A number has
    the shape (): one that launchers pass has a list of one value, a constant of
    the function its text."""

    def __init__(self, sq, sk, captures=(), score="", mask="", d=64, heads=2, group=2, batch=1):
        self.sq, self.sk, self.d = sq, sk, d
        self.batch, self.heads, self.group = batch, heads, group
        self.captures, self.score, self.mask = list(captures), score, mask

    def arrays(self):
        return [capture for capture in self.captures if not isinstance(capture[3], str)]

    def sizes(self):
        return ["--sizes=sq=%d,sk=%d" % (self.sq, self.sk)]

    def text(self, dtype, is_dynamic):
        size = lambda n: "?" if is_dynamic else str(n)
        element, output, _ = TYPES[dtype]
        rows = "tensor<%dx%dx%sx%dx%%s>" % (self.batch, self.heads, size(self.sq), self.d)
        q, o = rows % element, rows % output
        k = "tensor<%dx%dx%sx%dx%s>" % (self.batch, self.heads // self.group, size(self.sk), self.d, element)
        types = {name: "tensor<%s%s>" % ("".join(size(n) + "x" for n in shape), kind) if shape else kind
                 for name, shape, kind, _ in self.captures}
        arguments = "".join(", %%%s: %s" % item for item in types.items())
        parameters = "".join(", %%%s: %s" % (name, types[name]) for name, _, _, _ in self.arrays())
        constants = "".join("  %%%s = arith.constant %s : %s\n" % (name, value, kind)
                            for name, _, kind, value in self.captures if isinstance(value, str))
        regions = ""
        for name, body in (("score", self.score), ("mask", self.mask)):
            if not body:
                continue
            first = "%s: f32, " if name == "score" else ""
            regions += "\n    %s {\n    ^bb0(%s%%b: index, %%h: index, %%i: index, %%j: index%s):\n" % (name, first, arguments)
            for key, value in types.items():
                body = body.replace("{%s}" % key, value)
            regions += body + "\n    }"
        # Eight bits have a scale per head: alone they would hold scores near 1e5.
        scales, descales = "", ""
        if "f8" in element:
            of_q, of_k = ("tensor<%dx%dxf32>" % (self.batch, n) for n in (self.heads, self.heads // self.group))
            scales = ", %%sq: %s, %%sk: %s, %%sv: %s" % (of_q, of_k, of_k)
            descales = "q_descale(%%sq : %s) k_descale(%%sk : %s) v_descale(%%sv : %s) " % (of_q, of_k, of_k)
        captures = ""
        if types:
            captures = "captures(%s : %s) " % (", ".join("%" + n for n in types), ", ".join(types.values()))
        return (
            "func.func @case(%%q: %s, %%k: %s, %%v: %s%s%s, %%o: %s) -> %s {\n%s"
            "  %%0 = flash.attention ins(query = %%q, key = %%k, value = %%v : %s, %s, %s)\n"
            "    %s%souts(output = %%o : %s)%s\n    -> %s\n  return %%0 : %s\n}\n"
        ) % (q, k, k, scales, parameters, o, o, constants, q, k, k, captures, descales, o, regions, o, o)


def documents(ends, length):
    """The document of each of `length` tokens; `ends` are where they end."""
    return [sum(end <= token for end in ends) for token in range(length)]


def tokens(name, ends, length):
    return (name, (length,), "i32", documents(ends, length))


def numbers(count, step=37, around=23):
    """Multiples of 1/8 below 1.5 in magnitude, without a pattern in rows."""
    return [((n * step) % around - around // 2) / 8 for n in range(count)]


# Masks.

SAME_DOCUMENT = """      %dq = tensor.extract %queries[%i] : {queries}
      %dk = tensor.extract %keys[%j] : {keys}
      %same = arith.cmpi eq, %dq, %dk : i32
      flash.yield %same : i1"""

# The document of the key `back` earlier, where there is one; its own else.
EARLIER_DOCUMENT = """      %zero = arith.constant 0 : index
      %earlier = arith.subi %j, %back : index
      %exists = arith.cmpi sge, %earlier, %zero : index
      %dk = scf.if %exists -> i32 {
        %x = tensor.extract %keys[%earlier] : {keys}
        scf.yield %x : i32
      } else {
        %x = tensor.extract %keys[%j] : {keys}
        scf.yield %x : i32
      }
      %dq = tensor.extract %queries[%i] : {queries}
      %same = arith.cmpi eq, %dq, %dk : i32
      flash.yield %same : i1"""

KEPT = """      %kept = tensor.extract %keep[%b, %j] : {keep}
      flash.yield %kept : i1"""

CAUSAL = """      %at = flash.alignment : index
      %position = arith.addi %i, %at : index
      %causal = arith.cmpi sle, %j, %position : index
      flash.yield %causal : i1"""

KEPT_BY_HEAD = """      %kept = tensor.extract %keep[%b, %h, %j] : {keep}
      flash.yield %kept : i1"""

KEPT_CAUSAL = """      %at = flash.alignment : index
      %position = arith.addi %i, %at : index
      %causal = arith.cmpi sle, %j, %position : index
      %kept = tensor.extract %keep[%b, %j] : {keep}
      %both = arith.andi %causal, %kept : i1
      flash.yield %both : i1"""

NEVER = """      %never = arith.constant false
      flash.yield %never : i1"""

BEFORE_THE_FIRST = """      %zero = arith.constant 0 : index
      %before = arith.cmpi slt, %j, %zero : index
      flash.yield %before : i1"""

# False in every tile, but that is seen when the region is one of tiles only.
NEVER_THE_SAME = """      %dq = tensor.extract %queries[%i] : {queries}
      %other = arith.cmpi ne, %dq, %dq : i32
      flash.yield %other : i1"""

# k below the length of this batch entry: a range of keys known at run time.
WITHIN_LENGTH = """      %length = tensor.extract %lengths[%b] : {lengths}
      %end = arith.index_cast %length : i32 to index
      %within = arith.cmpi slt, %j, %end : index
      flash.yield %within : i1"""

# Scores.

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


# s + slope * (k - q - shift), by numbers that are passed.
PASSED_SLOPE = """      %x = arith.subi %j, %i : index
      %y = arith.subi %x, %shift : index
      %narrow = arith.index_cast %y : index to i32
      %distance = arith.sitofp %narrow : i32 to f32
      %bias = arith.mulf %slope, %distance : f32
      %r = arith.addf %s, %bias : f32
      flash.yield %r : f32"""

PASSED_WINDOW = """      %wide = arith.index_cast %window : i32 to index
      %first = arith.subi %i, %wide : index
      %within = arith.cmpi sge, %j, %first : index
      flash.yield %within : i1"""

# The scores are the bias: nothing depends on Q K^T.
BIAS_ALONE = """      %c0 = arith.constant 0 : index
      %x = tensor.extract %bias[%c0, %h, %i, %j] : {bias}
      flash.yield %x : f32"""

NUMBER_ALONE = """      %r = arith.constant 0.25 : f32
      flash.yield %r : f32"""


def scores(*lines, **numbers):
    """A score region of these lines, of which the last gives %r; `numbers` are
    constants by name."""
    constants = ["%%%s = arith.constant %s : f32" % item for item in numbers.items()]
    return "\n".join("      " + line for line in constants + list(lines) + ["flash.yield %r : f32"])


def broadcast(element, b, h, q, k):
    """s + bias[b, h, q, k], each index or 0 where the array has extent 1."""
    indices = ", ".join(name if given else "%zero" for name, given in (("%b", b), ("%h", h), ("%i", q), ("%j", k)))
    read = ["%zero = arith.constant 0 : index", "%%x = tensor.extract %%bias[%s] : {bias}" % indices]
    if element != "f32":
        read.append("%%wide = arith.extf %%x : %s to f32" % element)
    term = "%x" if element == "f32" else "%wide"
    return "\n".join("      " + line for line in read + ["%%r = arith.addf %%s, %s : f32" % term, "flash.yield %r : f32"])


LOWEST = """      %lowest = arith.constant 0xFF800000 : f32
      %bit = tensor.extract %keep[%b, %j] : {keep}
      %r = arith.select %bit, %s, %lowest : f32
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


TABLE = ("table", (2, 81), "f32", numbers(162))


def with_bias(element, b, h, q, k, sq=70, sk=99, d=64):
    """A bias of 2 batch entries and 4 heads, broadcast where not given."""
    shape = (2 if b else 1, 4 if h else 1, sq if q else 1, sk if k else 1)
    count = shape[0] * shape[1] * shape[2] * shape[3]
    return Case(sq, sk, [("bias", shape, element, numbers(count))], broadcast(element, b, h, q, k), batch=2, heads=4, d=d)


def kept(rate, sq=70, sk=83, score="", mask=KEPT, batch=2):
    """Keys whose flag is set: every `rate`-th, none for 0."""
    flags = [rate != 0 and n % rate == 0 for n in range(batch * sk)]
    return Case(sq, sk, [("keep", (batch, sk), "i1", flags)], score, mask, batch=batch)


def scored(score, captures=()):
    """A causal attention of more queries than keys, some rows without a key."""
    return Case(83, 70, captures, score, CAUSAL)


# Ragged documents and ragged tiles, a document without keys, one without
# queries.
RAGGED = [tokens("queries", (1, 30, 48, 110, 140), 150), tokens("keys", (1, 30, 30, 125, 180), 200)]

CASES = {
    "relative-documents": lambda: Case(150, 200, [TABLE] + RAGGED, RELATIVE_BIAS, SAME_DOCUMENT),
    "guarded-documents": lambda: Case(150, 200, [TABLE] + RAGGED, GUARDED_BIAS, SAME_DOCUMENT),
    "earlier-documents": lambda: Case(150, 200, RAGGED + [("back", (), "index", "33")], mask=EARLIER_DOCUMENT),
    # Queries 128 to 255 are of a document that no key is of.
    "empty-row-block": lambda: Case(300, 333, [tokens("queries", (128, 256), 300), tokens("keys", (200, 200), 333)], mask=SAME_DOCUMENT),
    "empty-everywhere": lambda: Case(130, 70, [tokens("queries", (0, 0), 130), tokens("keys", (100, 100), 70)], mask=SAME_DOCUMENT),
    "none-kept": lambda: kept(0),
    "none-kept-causal": lambda: kept(0, mask=KEPT_CAUSAL),
    "none-finite": lambda: kept(0, score=LOWEST, mask=""),
    "never": lambda: Case(70, 83, mask=NEVER),
    "before-the-first": lambda: Case(70, 83, mask=BEFORE_THE_FIRST),
    "documents-of-heads": lambda: Case(70, 99, [("keep", (2, 4, 99), "i1", [(n * 7) % 5 < 2 for n in range(2 * 4 * 99)])], mask=KEPT_BY_HEAD, heads=4, batch=2),
    "wide-documents": lambda: Case(70, 99, [tokens("queries", (1, 30, 48), 70), tokens("keys", (1, 30, 30), 99)], mask=SAME_DOCUMENT, d=256),
    "never-the-same": lambda: Case(150, 200, RAGGED[:1], mask=NEVER_THE_SAME),
    "every-third-kept": lambda: kept(3, mask=KEPT_CAUSAL),
    "lengths": lambda: Case(70, 150, [("lengths", (3,), "i32", [97, 0, 150])], mask=WITHIN_LENGTH, batch=3),
    "additive": lambda: Case(70, 90, [("bias", (1, 2, 70, 90), "f32", additive(2, 70, 90))], ADDITIVE_BIAS),
    "bias": lambda: with_bias("f16", True, True, True, True),
    "bias-alone": lambda: Case(70, 90, [("bias", (1, 2, 70, 90), "f32", additive(2, 70, 90))], BIAS_ALONE),
    "number-alone": lambda: Case(70, 90, score=NUMBER_ALONE),
    # Rows that are read 16 bytes at a time.
    "bias-in-whole-rows": lambda: with_bias("f32", True, True, True, True, sk=96),
    "bias-of-heads-and-keys": lambda: with_bias("bf16", False, True, False, True),
    "bias-of-batch-and-rows": lambda: with_bias("f16", True, False, True, False),
    "bias-of-rows-and-keys": lambda: with_bias("f32", False, False, True, True, sq=33, sk=64, d=256),
    # What is folded into the exponent, and what must not be.
    "scaled": lambda: scored(scores("%r = arith.mulf %s, %c : f32", c="0.3")),
    "scaled-thrice": lambda: scored(scores("%0 = arith.mulf %s, %c : f32", "%1 = arith.negf %0 : f32", "%r = arith.divf %1, %d : f32", c="1.5", d="-2.5")),
    "scaled-down": lambda: scored(scores("%r = arith.mulf %s, %c : f32", c="-0.3")),
    "scaled-to-zero": lambda: scored(scores("%r = arith.mulf %s, %c : f32", c="0.0")),
    "scaled-per-head": lambda: scored(scores("%c = tensor.extract %factors[%h] : {factors}", "%r = arith.mulf %s, %c : f32"), [("factors", (2,), "f32", [-0.75, 1.25])]),
    "scaled-by-passed": lambda: scored(scores("%r = arith.mulf %s, %factor : f32"), [("factor", (), "f32", [-0.75])]),
    "scaled-by-constant": lambda: scored(scores("%r = arith.mulf %factor, %s : f32"), [("factor", (), "f32", "0.75")]),
    "magnitude": lambda: scored(scores("%r = math.absf %s : f32")),
    "at-least": lambda: scored(scores("%r = arith.maximumf %s, %c : f32", c="0.25")),
    "softcap": lambda: scored(scores("%0 = arith.divf %s, %c : f32", "%1 = math.tanh %0 : f32", "%r = arith.mulf %1, %c : f32", c="1.5")),
    "passed-numbers": lambda: Case(70, 130, [("slope", (), "f32", [-0.0625]), ("shift", (), "index", [-9]), ("window", (), "i32", [20])],
                                   PASSED_SLOPE, PASSED_WINDOW),
}

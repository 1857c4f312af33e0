"""usage: math_regions.py FLASH_RUN DIRECTORY

Runs regions of one operation each, on arguments chosen for it: every special
case of a power, angles of every magnitude, integers at the ends of their range.
With a single key the log-sum-exp is the score, so what --check compares with
the float64 reference is the operation's result. Each on the emulator and on the
host. Prints what failed, and how many there were."""

import pathlib
import subprocess
import sys

import npy

INF, NAN = float("inf"), float("nan")
BASES = [0.0, -0.0, INF, -INF, NAN, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.25, -3.25]
BASES += [1e-3, -1e-3, 1e30, -1e30, 1e-40, -1e-40, 7.0, -7.0, 0.9375, -1.0625]
EXPONENTS = [0.0, -0.0, 1.0, -1.0, 2.0, 3.0, -3.0, 0.5, -0.5, 2.5, INF, -INF, NAN]
EXPONENTS += [17.0, -18.0, 16777216.0, 0.333]
ANGLES = [0.0, 1e-3, 0.5, 1.5, 3.0, 3.25, 3.1415927, 6.2831855, 31.4, 314.1, 710.0]
ANGLES += [12345.678, 105615.0, 1e6, 2.99e7, 16777217.0, 1e10, 2.0**63, 1.7e20]
ANGLES += [1e25, 3.0e30, 2.0**100, 1.7014118e38, 3.4028235e38]
ANGLES += [-angle for angle in ANGLES] + [INF, -INF, NAN]
WIDE = [0, 1, 2**31 - 1, 2**31, 3000000000, 2**33, 2**34, 2**35, 2**40]
WIDE += [-number for number in WIDE]


def attention(region, body, sizes, captures=""):
    """A module: `region` is score or mask, `sizes` are heads, queries, keys.
    `captures` are pairs of a name and a type, comma-separated."""
    heads, queries, keys = sizes
    q, k = (f"tensor<1x{h}x{n}x32xf16>" for h, n in ((heads, queries), (1, keys)))
    named = captures and [pair.split(":") for pair in captures.split(",")]
    arguments = "".join(f", %{name}: {kind}" for name, kind in named)
    operands = ""
    if named:
        names = ", ".join("%" + name for name, _ in named)
        operands = f"captures({names} : {', '.join(kind for _, kind in named)})"
    first = "%s: f32, " if region == "score" else ""
    return f"""\
func.func @f(%q: {q}, %k: {k}, %v: {k}{arguments}, %o: {q}) -> {q} {{
  %0 = flash.attention ins(query = %q, key = %k, value = %v : {q}, {k}, {k})
    {operands}
    outs(output = %o : {q})
    {region} {{
    ^bb0({first}%b: index, %h: index, %i: index, %j: index{arguments}):
{body}
    }}
    -> {q}
  return %0 : {q}
}}
"""


# Makes a result of any kind a score: NaN is 7, infinities are cut off, and the
# sign of a zero shows.
VISIBLE = """\
%low = arith.constant -50.0 : f32
%high = arith.constant 50.0 : f32
%seven = arith.constant 7.0 : f32
%quarter = arith.constant 0.25 : f32
%cut = math.clampf %p to [%low, %high] : f32
%sign = math.copysign %quarter, %p : f32
%signed = arith.addf %cut, %sign : f32
%isNan = math.isnan %p : f32
%r = arith.select %isNan, %seven, %signed : f32
flash.yield %r : f32"""


def of_bases(lines, numbers):
    """A score of %x = numbers[query]."""
    kind = f"tensor<{len(numbers)}xf32>"
    body = f"%x = tensor.extract %t[%i] : {kind}\n{lines}\n{VISIBLE}"
    text = attention("score", body, (1, len(numbers), 1), f"t:{kind}")
    return text, {"t": numbers}


def programs():
    """Yields (name, module, arrays by capture)."""
    bases, exponents = (f"tensor<{len(n)}xf32>" for n in (BASES, EXPONENTS))
    body = f"""\
%x = tensor.extract %t[%i] : {bases}
%y = tensor.extract %e[%h] : {exponents}
%p = math.powf %x, %y : f32
{VISIBLE}"""
    sizes = (len(EXPONENTS), len(BASES), 1)
    text = attention("score", body, sizes, f"t:{bases},e:{exponents}")
    yield "powf", text, {"t": BASES, "e": EXPONENTS}
    for y in EXPONENTS + [4.0, 5.0, -4.0, -5.0, 16.0, -16.0, 18.0, -17.0]:
        value = {"inf": "0x7F800000", "-inf": "0xFF800000", "nan": "0x7FC00000"}
        written = value.get(str(y), f"{y:e}")
        lines = f"%y = arith.constant {written} : f32\n%p = math.powf %x, %y : f32"
        yield f"powf_{y}", *of_bases(lines, BASES)
    for op in ("sin", "cos"):
        yield op, *of_bases(f"%p = math.{op} %x : f32", ANGLES)
    for op in ("isnan", "isinf", "isfinite", "isnormal"):
        lines = f"%c = math.{op} %x : f32\n%p = arith.uitofp %c : i1 to f32"
        yield op, *of_bases(lines, BASES)
    for width in ("i8", "i16", "i32", "i64", "index"):
        lines = "%n = arith.fptosi %x : f32 to i64\n"
        if width == "i64":
            lines += "%a = math.absi %n : i64\n%w = arith.addi %a, %a : i64\n"
        else:
            narrow = "trunci" if width != "index" else "index_cast"
            wide = "extsi" if width != "index" else "index_cast"
            lines += f"%m = arith.{narrow} %n : i64 to {width}\n"
            lines += f"%a = math.absi %m : {width}\n"
            lines += f"%w = arith.{wide} %a : {width} to i64\n"
        lines += "%f = arith.sitofp %w : i64 to f32\n%z = arith.constant 0.0625 : f32\n"
        lines += "%p = arith.mulf %f, %z : f32"
        numbers = [0.0, 1.0, -1.0, 100.0, -100.0, -128.0, 127.0, -300.0, 700.0]
        yield f"absi_{width}", *of_bases(lines, numbers)
    # Positions far from zero, scaled to a score.
    for number in WIDE:
        for name, position in (("key", "%j"), ("distance", "%d")):
            scale = 1.0 / max(abs(number), 1 << 10)
            lines = f"""\
%align = flash.alignment : index
%row = arith.addi %i, %align : index
%d = arith.subi %j, %row : index
%c = arith.constant {number} : index
%n = arith.addi {position}, %c : index
%n64 = arith.index_cast %n : index to i64
%f = arith.sitofp %n64 : i64 to f32
%scale = arith.constant {scale:e} : f32
%g = arith.mulf %f, %scale : f32
%r = arith.addf %s, %g : f32
flash.yield %r : f32"""
            yield f"{name}_{number}", attention("score", lines, (1, 40, 100)), {}
    # Casts there and back that drop bits.
    for cast, extend in (("index_cast", "slt"), ("index_castui", "ult")):
        for width in ("i8", "i16"):
            lines = f"""\
%narrow = arith.{cast} %j : index to {width}
%back = arith.{cast} %narrow : {width} to index
%c = arith.constant 100 : index
%live = arith.cmpi {extend}, %back, %c : index
flash.yield %live : i1"""
            yield f"{cast}_{width}", attention("mask", lines, (2, 70, 300)), {}
    for kind in ("i32", "i64", "index"):
        cast = f"%n = arith.index_cast %d : index to {kind}"
        if kind == "index":
            cast = "%zero = arith.constant 0 : index\n%n = arith.addi %d, %zero : index"
        lines = f"""\
%d = arith.subi %i, %j : index
{cast}
%m = math.absi %n : {kind}
%c = arith.constant 40 : {kind}
%live = arith.cmpi sle, %m, %c : {kind}
flash.yield %live : i1"""
        yield f"reach_{kind}", attention("mask", lines, (1, 200, 300)), {}


def main():
    flash_run, directory = sys.argv[1], pathlib.Path(sys.argv[2])
    directory.mkdir(parents=True, exist_ok=True)
    count = failures = 0
    for name, text, arrays in programs():
        path = directory / f"{name}.mlir"
        path.write_text(text)
        inputs = []
        for capture, numbers in arrays.items():
            array = directory / f"{name}.{capture}.npy"
            npy.write(str(array), (len(numbers),), "f32", numbers)
            inputs.append(f"--input={capture}={array}")
        for device in ("cpu", "emulator"):
            done = subprocess.run(
                [flash_run, str(path), "--check", f"--device={device}", *inputs],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            count += 1
            if done.returncode != 0 or "check      pass" not in done.stdout:
                failures += 1
                print(f"{name} on {device}: {done.stdout}")
    print(f"{count} runs, {failures} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs one case of the conformance table in all its variants.

usage: matrix.py FLASH_RUN SPEC [its options] [--only=KEY=VALUE ...]
                 [--dtypes=TYPE,...]

SPEC (the first argument without dashes) has static sizes and no dtype. The
variants are the product of
  dtype   f16, bf16, or what --dtypes says
  async   eager, lazy, random
  sizes   static, dynamic (b, hq, sq and sk are ?, one kernel for all)
each of which --only can restrict. Every variant must pass all checks of
flash-run; the script prints one line for each and the number that passed, and
exits 1 if one did not.
"""

import json
import subprocess
import sys

from variants import take as variants_of


def dynamic(spec):
    """SPEC with every size open, and the --sizes that close them again."""
    keys = dict(item.partition("=")[::2] for item in spec.split(","))
    flags = [key for key, value in keys.items() if value == ""]
    sizes = {key: keys.get(key, "1") for key in ("b", "hq", "sq", "sk")}
    group = int(sizes["hq"]) // int(keys.get("hkv", sizes["hq"]))
    keys.update({key: "?" for key in sizes}, hkv="hq/%d" % group)
    items = [k if k in flags else "%s=%s" % (k, v) for k, v in keys.items()]
    closed = ",".join("%s=%s" % item for item in sizes.items())
    return ",".join(items), ["--sizes=" + closed]


def run(tool, spec, options):
    command = [tool, "--attention=" + spec, "--check", "--json"] + options
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        return ["no JSON, exit %d: %s" % (done.returncode, done.stderr[-500:])]
    errors = list(report["errors"])
    if report["races"] or report["deadlock"]:
        errors.append("races %(races)d, deadlock %(deadlock)s" % report)
    for value, limit in (
        ("max_abs_err", report["tolerance"]),
        ("max_row_rel_err", report["row_tolerance"]),
        ("lse_max_abs_err", 1e-3),
    ):
        if not isinstance(report[value], (int, float)) or report[value] > limit:
            errors.append("%s: %s" % (value, report[value]))
    if not errors and (done.returncode != 0 or report["pass"] is not True):
        errors.append("exit %d, pass %s" % (done.returncode, report["pass"]))
    return errors


def main(arguments):
    tool, arguments = arguments[0], arguments[1:]
    spec = next(a for a in arguments if not a.startswith("-"))
    arguments.remove(spec)
    variants, options = variants_of(arguments)
    passed = 0
    for dtype, mode, sizes in variants:
        full = spec + ",dtype=" + dtype
        extra = ["--async=" + mode]
        if sizes == "dynamic":
            full, more = dynamic(full)
            extra += more
        errors = run(tool, full, options + extra)
        passed += not errors
        print("pass" if not errors else "FAIL", full, *options, *extra)
        for error in errors:
            print("    " + error)
    print("%d of %d variants passed" % (passed, len(variants)))
    return passed != len(variants)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

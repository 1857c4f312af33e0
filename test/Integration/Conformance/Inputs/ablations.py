"""Changes every step of the ladder's levels alone.

usage: ablations.py FLASH_RUN LEVEL...

Each step of each level is given every other value it can have. The result either
passes all checks of flash-run or, where the combination says nothing, is refused
with a reason that begins with the step that is wrong. Which of the two, and
which step, is derived here a second time. Prints one line for each and their
numbers; exits 1 on the first difference.
"""

import itertools
import json
import subprocess
import sys

FLAG = ("true", "false")
VALUES = {
    "softmax": ("two_pass", "online"),
    "copies": ("none", "scalar", "vector", "async"),
    "reduce": ("tree", "shuffle"),
    "qk": ("fma", "mma"),
    "pv": ("fma", "mma"),
    "probabilities": ("shared", "registers"),
    "ldmatrix": FLAG,
    "swizzle": FLAG,
    "fold_scale": FLAG,
    "defer_normalisation": FLAG,
    "split_bands": FLAG,
}


def steps_of(level):
    """The steps of a level, as the design's table has them."""
    return {
        "softmax": "online" if level >= 1 else "two_pass",
        "copies": ("none", "scalar", "vector", "vector")[level]
                  if level < 4 else "async",
        "reduce": "tree" if level in (1, 2) else "shuffle",
        "qk": "mma" if level >= 5 else "fma",
        "pv": "mma" if level >= 6 else "fma",
        "probabilities": "shared" if 1 <= level <= 6 else "registers",
        "ldmatrix": "true" if level >= 8 else "false",
        "swizzle": "true" if level >= 8 else "false",
        "fold_scale": "true" if level >= 9 else "false",
        "defer_normalisation": "true" if level >= 9 else "false",
        "split_bands": "true" if level >= 9 else "false",
    }


def wrong_step(steps):
    """The step that makes the combination meaningless, or None."""
    tensor_cores = "mma" in (steps["qk"], steps["pv"])
    units = "fma" in (steps["qk"], steps["pv"])
    if (steps["softmax"], steps["defer_normalisation"]) == ("two_pass", "true") and not tensor_cores:
        return "defer_normalisation"
    if steps["copies"] == "none":
        if tensor_cores:
            return "copies"
        for step, value in (("ldmatrix", "true"), ("swizzle", "true"),
                            ("probabilities", "shared"), ("reduce", "tree")):
            if steps[step] == value:
                return step
        return None
    if steps["ldmatrix"] == "true" and not tensor_cores:
        return "ldmatrix"
    if steps["probabilities"] == "registers" and units:
        return "probabilities"
    if steps["softmax"] == "two_pass" and tensor_cores:
        return "softmax"
    return None


def main(arguments):
    tool, *levels = arguments
    modes = itertools.cycle(["eager", "lazy", "random"])
    passed, refused = 0, 0
    for level, (step, values) in itertools.product(map(int, levels),
                                                   VALUES.items()):
        for value in values:
            steps = steps_of(level)
            if steps[step] == value:
                continue
            steps[step] = value
            wrong = wrong_step(steps)
            command = [
                tool, "--attention=hq=2,sq=70,sk=100,d=64,dtype=bf16,mask=causal",
                "--level=%d" % level, "--schedule=%s=%s" % (step, value),
                "--check", "--json", "--async=" + next(modes)]
            done = subprocess.run(command, stdout=subprocess.PIPE)
            report = json.loads(done.stdout)
            name = "level %d, %s = %s" % (level, step, value)
            if wrong:
                reasons = [e for e in report["errors"] if wrong + ": expected" in e]
                if report["pass"] or not reasons:
                    sys.exit("%s: expected a refusal because of %s, got %s" % (
                        name, wrong, report["errors"] or "a pass"))
                refused += 1
            else:
                if not report["pass"]:
                    sys.exit("%s: %s" % (name, report["errors"]))
                passed += 1
            print(name + ": " + ("refused, " + wrong if wrong else "pass"))
    print("%d passed, %d refused" % (passed, refused))


if __name__ == "__main__":
    main(sys.argv[1:])

"""Runs every class of the conformance table on one level of the ladder.

usage: levels.py FLASH_RUN LEVEL [--chip=NAME]

Every class runs in each asynchronous mode once; dtype, open or closed sizes and
the head dim take turns, so that pairs of them meet over the classes and levels.
Every run must pass all checks of flash-run. Prints one line for each and the
number that passed; exits 1 if one did not.
"""

import itertools
import sys

from matrix import dynamic, run

# Classes by name: the SPEC without a dtype, and options of flash-run. A class
# of several members has one per mode, in turn; one of more has them all.
CLASSES = {
    "one query, one key": ["sq=1,sk=1,d=64"],
    "decode": ["hq=4,hkv=1,sq=1,sk=200,d=64"],
    "one key": ["sq=139,sk=1,d=64"],
    "more queries than keys": ["sq=150,sk=3,d=64,mask=causal"],
    "causal": ["sq=77,sk=130,d=128,mask=causal",
               "sq=130,sk=77,d=64,mask=causal_tl",
               "sq=77,sk=130,d=64,mask=causal"],
    "a row or a key short": ["sq=127,sk=128,d=64,mask=causal",
                             "sq=128,sk=127,d=64,mask=causal",
                             "sq=128,sk=128,d=64"],
    "bottom-right": ["sq=2,sk=5,d=64,mask=causal"],
    "dead rows": ["sq=5,sk=2,d=64,mask=causal"],
    "dead tile": ["sq=192,sk=64,d=64,mask=causal"],
    "head dims": ["sq=40,sk=70,d=40,mask=causal", "sq=40,sk=70,d=72",
                  "sq=40,sk=70,d=80,mask=causal", "sq=40,sk=70,d=96",
                  "sq=40,sk=70,d=192,mask=causal", "sq=40,sk=70,d=256",
                  "sq=40,sk=70,d=192,dv=128,mask=causal",
                  "sq=40,sk=70,d=64,dv=256", "sq=40,sk=70,d=8"],
    "heads": ["b=2,hq=2,sq=40,sk=70,d=64", "hq=4,hkv=1,sq=40,sk=70,d=64",
              "b=2,hq=6,hkv=1,sq=20,sk=70,d=64,mask=causal"],
    "window": ["sq=100,sk=100,d=64,window=0:0",
               "sq=200,sk=64,d=64,window=17:41",
               "sq=70,sk=200,d=64,window=20:0,mask=causal"],
    "softcap": ["sq=70,sk=100,d=64,softcap=15,mask=causal --q-scale=3.75"],
    "alibi": ["hq=2,sq=50,sk=130,d=64,alibi,mask=causal",
              "hq=6,sq=50,sk=20,d=64,alibi", "hq=2,sq=50,sk=130,d=64,alibi"],
    "unions": ["sq=70,sk=100,d=64,prefix=40", "sq=100,sk=70,d=64,chunk=48",
               "sq=70,sk=200,d=64,window=20:0,sink=4"],
    "scales": ["sq=20,sk=70,d=64,scale=-0.3", "sq=20,sk=70,d=64,scale=0",
               "sq=20,sk=70,d=64 --init=const:2"],
    "jumps": ["sq=40,sk=300,d=64 --init=jump:9",
              "sq=40,sk=300,d=64,mask=causal --init=jump:7.9",
              "sq=40,sk=300,d=64 --init=jump:30:128"],
    "poison": ["sq=70,sk=83,d=64,mask=causal --poison=nan"],
    "strides": ["b=2,hq=2,sq=40,sk=70,d=64 --poison=nan --strides=" + style
                for style in ("padded", "transposed", "innermost", "unaligned",
                              "align4", "align8", "huge")],
}


def variants(number, members):
    """The class's runs; `number` starts the turns of dtype and sizes."""
    modes = itertools.cycle(["eager", "lazy", "random"])
    for i, member in zip(range(max(3, len(members))), itertools.cycle(members)):
        spec, *options = member.split()
        spec += ",dtype=" + ("f16", "bf16")[(number + i) % 2]
        options.append("--async=" + next(modes))
        if (number + i) // 2 % 2 and "huge" not in member:
            spec, more = dynamic(spec)
            options += more
        yield spec, options


def main(arguments):
    tool, level, *common = arguments
    passed, total = 0, 0
    for number, (name, members) in enumerate(CLASSES.items(), int(level)):
        for spec, options in variants(number, members):
            options = ["--level=" + level] + common + options
            errors = run(tool, spec, options)
            total += 1
            passed += not errors
            print("pass" if not errors else "FAIL", name + ":", spec, *options)
            for error in errors:
                print("    " + error)
    print("%d of %d variants passed" % (passed, total))
    return passed != total


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

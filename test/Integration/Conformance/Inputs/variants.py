"""What the cases of the conformance table vary, and the options that restrict it."""

import itertools
import os
import sys


def take(arguments):
    """Takes --only=KEY=VALUE and --dtypes=TYPE,... out of `arguments`.

    Returns the variants, triples (dtype, async, sizes), and the other arguments.
    Exits where --only names a variant that there is not.
    """
    variants = {
        "dtype": ["f16", "bf16"],
        "async": ["eager", "lazy", "random"],
        "sizes": ["static", "dynamic"],
    }
    options = []
    for argument in arguments:
        if argument.startswith("--dtypes="):
            variants["dtype"] = argument.partition("=")[2].split(",")
        elif argument.startswith("--only="):
            _, key, value = argument.split("=")
            if value not in variants.get(key, []):
                sys.exit(os.path.basename(sys.argv[0]) + ": no variant " + argument)
            variants[key] = [value]
        else:
            options.append(argument)
    return list(itertools.product(*variants.values())), options

#!/usr/bin/env python3
#===- check_examples.py - The examples in the documentation are real ------===#
#
# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===----------------------------------------------------------------------===#
"""usage: check_examples.py FLASH_OPT PATH...

Feeds every fenced code block marked `mlir` in the Markdown files named (or
found below the directories named) to flash-opt, which parses it, verifies it
and compares it with its own round trip. Notation that is not a program of its
own belongs in a block without that mark. Prints how many were checked; fails if
one is refused or there is none at all.
"""

import pathlib
import subprocess
import sys
import textwrap


def examples(path):
    """Yields (line number, text) of each mlir block; blocks may be indented."""
    start, lines = None, []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        fence = line.strip()
        if start is None and fence == "```mlir":
            start, lines = number, []
        elif start is not None and fence == "```":
            yield start, textwrap.dedent("\n".join(lines)) + "\n"
            start = None
        elif start is not None:
            lines.append(line)
    if start is not None:
        sys.exit(f"{path}:{start}: the code block is not closed")


def main():
    flash_opt = sys.argv[1]
    files = []
    for name in sys.argv[2:]:
        path = pathlib.Path(name)
        files += sorted(path.rglob("*.md")) if path.is_dir() else [path]
    checked = failed = 0
    for path in files:
        for line, text in examples(path):
            checked += 1
            done = subprocess.run(
                [flash_opt, "--split-input-file", "--verify-roundtrip", "-o", "/dev/null"],
                input=text,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                failed += 1
                print(f"{path}:{line}: flash-opt refuses this example:\n{done.stdout}")
    print(f"{len(files)} files, {checked} examples, {failed} refused")
    return failed != 0 or checked == 0


sys.exit(main())

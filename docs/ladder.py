#!/usr/bin/env python3
#===- docs/ladder.py - The generated parts of docs/ladder.md --------------===#
#
# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===-----------------------------------------------------------------------===#
#
# usage: ladder.py BIN [--check] [--without-ptxas]
#
# docs/ladder.md is prose with generated parts between lines
#
#   <!-- begin NAME -->
#   <!-- end -->
#
# This rewrites what is between them, and docs/ladder.svg, with what the tools
# in BIN (flash-ladder, flashc) say. --check rewrites nothing and fails with the
# difference where the document has gone stale; --without-ptxas leaves alone what
# ptxas has a part in.

import argparse
import difflib
import json
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
LEVELS = range(10)
PROBLEM = "hq=32,sq=4096,sk=4096,d=128,dtype=bf16"
EXAMPLE = "sq=64,sk=128,d=64,dtype=bf16"
STUDY = "sq=1024,sk=1024,d=256,dtype=bf16"


class Tools:
    """Runs the tools and keeps what they said."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.results = {}

    def run(self, name, *arguments):
        command = [str(self.directory / name), *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        # A report on levels that all are refused says so itself.
        refused = "error: no level has a kernel" in done.stderr
        if done.returncode != 0 and not refused:
            sys.exit(f"{' '.join(command)}: {done.stderr}")
        return done.stdout

    def ladder(self, spec, levels="0-9", ptxas=False, *more):
        """The JSON and the Markdown of flash-ladder."""
        key = (spec, levels, ptxas, more)
        if key not in self.results:
            with tempfile.TemporaryDirectory() as scratch:
                paths = [f"{scratch}/{name}" for name in ("j", "m", "s")]
                self.run("flash-ladder", f"--attention={spec}",
                         f"--levels={levels}", f"--json={paths[0]}",
                         f"--markdown={paths[1]}", f"--svg={paths[2]}",
                         *([] if ptxas else ["--without-ptxas"]), *more)
                texts = [pathlib.Path(path).read_text() for path in paths]
            self.results[key] = (json.loads(texts[0]), texts[1], texts[2])
        return self.results[key]

    def tile(self, level):
        """The tile program of the small example."""
        return self.run("flashc", f"--attention={EXAMPLE}", f"--level={level}",
                        "--emit=tile")


def levels_of(report):
    return {level["level"]: level for level in report["levels"]
            if "launch" in level}


def table(head, rows):
    """A Markdown table; all columns but the first to the right."""
    lines = ["| " + " | ".join(head) + " |",
             "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def number(value):
    """Three digits, thousands in full."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


#===-----------------------------------------------------------------------===#
# The tile program
#===-----------------------------------------------------------------------===#

class Layouts:
    """Short names for layouts and swizzles, the same in the whole document."""

    def __init__(self):
        self.names = {}

    def shorten(self, text):
        """A line as it reads with aliases, without strides of memrefs and
        without the types of what a loop carries."""
        def name(match):
            kind = "#" + match[1][0].upper()
            known = sum(alias.startswith(kind) for alias in self.names.values())
            return self.names.setdefault(match[0], f"{kind}{known}")
        text = re.sub(r"#flash_tile\.(layout|swizzle)<[^>]*>", name, text)
        text = re.sub(r"memref<([0-9a-z?]+x[a-z0-9]+), strided<[^>]*>>",
                      r"memref<\1>", text)
        text = re.sub(r"(scf\.for .*\)) -> \(.*\) \{$", r"\1 {", text)
        return re.sub(r"(scf\.yield [^:]*) : .*", r"\1", text)


def kv_loops(program):
    """The lines of the loops at the top of the kernel's body that compute a
    product, their indentation removed."""
    lines = program.split("\n")
    loops = []
    for start, line in enumerate(lines):
        match = re.match(r"^(      )\S.*scf\.for ", line)
        if not match:
            continue
        end = next(i for i in range(start + 1, len(lines))
                   if lines[i].startswith("      }"))
        body = [l[6:] for l in lines[start:end + 1]]
        if any("flash_tile.dot" in l for l in body):
            loops += body
    return loops


def operations(lines):
    """Operations without SSA names, which change wherever one is added, and
    without types, but for those that say where a tile lies."""
    out = []
    for line in lines:
        line = re.sub(r"^(\s*)%\S+ = ", r"\1", line)
        line = re.sub(r"%[\w#]+(:\d+)?", "%", line)
        line = re.sub(r" ?[\[(]?(% = )?%(, (% = )?%)*[\])]?", "", line)
        if not re.search(r"flash_tile\.(stage|convert_layout)", line):
            line = line.split(" : ")[0]
        out.append(line.rstrip())
    return out


#===-----------------------------------------------------------------------===#
# Parts
#===-----------------------------------------------------------------------===#

class Parts:
    def __init__(self, tools):
        self.tools = tools
        self.layouts = Layouts()
        self.loops = {}

    def counts(self):
        return levels_of(self.tools.ladder(PROBLEM)[0])

    def loop(self, level):
        if level not in self.loops:
            self.loops[level] = [self.layouts.shorten(l)
                                 for l in kv_loops(self.tools.tile(level))]
        return self.loops[level]

    def part_structure(self):
        """architecture.md's table: what each level's kernel looks like."""
        homes = {"registers": "registers", "shared": "shared memory"}
        rows = []
        for index, level in self.counts().items():
            s = level["schedule"]
            tile, owns = (" x ".join(map(str, level[key]))
                          for key in ("cta_tile", "warp_tile"))
            reduction = s["reduce"]
            if s["copies"] == "none":
                reduction = "none: a thread owns a row"
            rows.append([f"{index} {level['name']}",
                         tile, str(level["threads"] // 32), owns,
                         homes[s["probabilities"]],
                         reduction, s["softmax"].replace("_", " "),
                         f"{s['qk']}, {s['pv']}", s["copies"],
                         f"{s['stages_k']}, {s['stages_v']}"])
        return table(["level", "CTA tile (queries x keys x dv)", "warps",
                      "a warp owns", "S and P live in", "row reduction",
                      "softmax", "QK, PV", "copies", "stages of K, V"], rows)

    def part_counts(self):
        return self.tools.ladder(PROBLEM)[1].strip()

    def part_costs(self):
        report, markdown, _ = self.tools.ladder(PROBLEM, "0-9", True)
        wanted = ["level", "registers", "spilled", "resident", "modelled"]
        lines = []
        for line in markdown.split("\n"):
            cell = line.strip("| ").split("  ")[0]
            if line.startswith("|-") or (line.startswith("|") and any(
                    cell.startswith(word) for word in wanted)):
                lines.append(line)
        return "\n".join(lines)

    def part_monotone(self):
        levels = levels_of(self.tools.ladder(PROBLEM, "0-9", True)[0])
        def facts(level):
            tile = " x ".join(map(str, level["cta_tile"]))
            return (f"{level['modelled']['seconds'] * 1e3:.2f} ms with CTA tiles "
                    f"of {tile}, resident CTAs: {level['resident_ctas']}, and "
                    f"{level['kv_loops']['shared_wavefronts'] / 1e6:.0f} million "
                    "wavefronts of shared memory in the KV loop")
        numbers = sorted(levels)
        rises = [(a, b) for a, b in zip(numbers, numbers[1:])
                 if levels[b]["modelled"]["seconds"]
                 > levels[a]["modelled"]["seconds"]]
        text = (f"Modelled time falls at every step of levels "
                f"{', '.join(map(str, numbers))}")
        if rises:
            text += " but " + "; ".join(
                f"from level {a} ({facts(levels[a])}) to level {b} "
                f"({facts(levels[b])})" for a, b in rises)
        return text + "."

    def part_constants(self):
        model = self.tools.ladder(PROBLEM)[0]["model"]
        rows = [[c["name"], f"{c['value']:.4g} {c['unit']}".strip(),
                 ("estimate; " if c["estimate"] else "") + c["source"]]
                for c in model["constants"]]
        return (f"Constants for sm_80 ({model['board']}):\n\n"
                + "\n".join(["| constant | value | source |", "|---|---:|---|"]
                            + ["| " + " | ".join(row) + " |" for row in rows]))

    def part_study(self):
        """Level 7 against 6 at the original study's geometry."""
        return self.tools.ladder(STUDY, "6-8", False,
                                 "--schedule=tile_v=16")[1].strip()

    def part_ablations(self):
        """Level 9 with one step taken back at a time."""
        def row(title, spec, schedule):
            level = self.tools.ladder(spec, "9", True,
                                      f"--schedule={schedule}")[0]["levels"][0]
            if "refused" in level:
                return [title, level["refused"], "", "", ""]
            launch, modelled = level["launch"], level["modelled"]
            return [title, f"{launch['instructions'] / 1e6:.1f}",
                    f"{launch['shared_wavefronts'] / 1e6:.1f}",
                    f"{modelled['seconds'] * 1e3:.2f}",
                    f"{modelled['joules'] * 1e3:.0f}"]
        causal = PROBLEM + ",mask=causal"
        rows = [row("level 9", PROBLEM, "")]
        rows += [row(f"`{step}`", PROBLEM, step) for step in (
            "fold_scale=false", "defer_normalisation=false", "swizzle=false",
            "ldmatrix=false,swizzle=false", "probabilities=shared",
            "copies=vector")]
        rows += [row("level 9, causal", causal, ""),
                 row("`split_bands=false`, causal", causal,
                     "split_bands=false")]
        return table(["", "instructions, millions",
                      "shared wavefronts, millions", "modelled ms",
                      "modelled mJ"], rows)

    def part_types(self):
        """The levels that run without tensor cores, in f32."""
        return self.tools.ladder(PROBLEM.replace("bf16", "f32"), "0-4",
                                 False)[1].strip()

    def level_part(self, index):
        """What a level changes: its tile program, PTX and counts."""
        counts = self.counts()
        if index not in counts:
            return "This level has no kernel for the problem."
        text = ""
        if index - 1 not in counts:
            text += self.whole_loop(index)
        else:
            text += self.loop_difference(index)
        if index - 1 in counts:
            text += "\n\n" + self.ptx_difference(counts[index - 1],
                                                 counts[index])
        return text

    def whole_loop(self, index):
        return ("<details><summary>KV loop of the tile program</summary>\n\n"
                "```text\n" + "\n".join(self.loop(index)) + "\n```\n"
                "</details>")

    def loop_difference(self, index):
        before = operations(self.loop(index - 1))
        after = operations(self.loop(index))
        changes = [line for line in
                   difflib.unified_diff(before, after, lineterm="", n=0)
                   if not line.startswith(("---", "+++", "@@"))]
        if not changes:
            changes = ["  (the same operations)"]
        return ("Operations of the KV loop that go (-) and come (+), without "
                "operands:\n\n```diff\n" + "\n".join(changes) + "\n```\n\n"
                + self.whole_loop(index))

    def ptx_difference(self, before, after):
        """Opcodes whose number changes most over the whole launch."""
        a, b = before["launch"]["opcodes"], after["launch"]["opcodes"]
        changes = {op: b.get(op, 0) - a.get(op, 0) for op in {*a, *b}}
        most = sorted((op for op in changes if changes[op]),
                      key=lambda op: (-abs(changes[op]), op))[:12]
        rows = [[op, f"{a.get(op, 0) / 1e6:.2f}", f"{b.get(op, 0) / 1e6:.2f}",
                 f"{changes[op] / 1e6:+.2f}"] for op in most]
        return ("PTX opcodes whose number changes most, millions of warp "
                "instructions over the whole launch:\n\n"
                + table(["opcode", f"level {before['level']}",
                         f"level {after['level']}", "change"], rows))

    def part_layouts(self):
        for level in self.counts():
            self.loop(level)
        return ("```text\n" + "\n".join(f"{name} = {layout}" for layout, name
                                        in self.layouts.names.items())
                + "\n```")

    def make(self, name):
        if match := re.fullmatch(r"level-(\d+)", name):
            return self.level_part(int(match[1]))
        return getattr(self, "part_" + name.replace("-", "_"))()


NEED_PTXAS = {"costs", "monotone", "ablations"}


def rewrite(text, parts, skip):
    def replace(match):
        if match[1] in skip:
            return match[0]
        body = parts.make(match[1])
        return f"<!-- begin {match[1]} -->\n{body}\n<!-- end -->"
    return re.sub(r"<!-- begin ([\w-]+) -->\n.*?<!-- end -->", replace, text,
                  flags=re.S)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bin")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--without-ptxas", action="store_true")
    options = parser.parse_args()
    tools = Tools(options.bin)
    parts = Parts(tools)
    path = HERE / "ladder.md"
    old = path.read_text()
    # Layouts are named in the order of the levels, whatever the order of parts.
    for level in parts.counts():
        parts.loop(level)
    new = rewrite(old, parts, NEED_PTXAS if options.without_ptxas else set())
    if options.check:
        if new != old:
            sys.stdout.writelines(difflib.unified_diff(
                old.splitlines(True), new.splitlines(True), "docs/ladder.md",
                "regenerated"))
            sys.exit("docs/ladder.md is stale: run tools/dev docs")
        return
    path.write_text(new)
    if not options.without_ptxas:
        (HERE / "ladder.svg").write_text(
            tools.ladder(PROBLEM, "0-9", True)[2])


if __name__ == "__main__":
    main()

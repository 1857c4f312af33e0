# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The command line of flash.bench."""

import argparse
import importlib
import json
import os
import sys
import tempfile

from .. import __version__, kernel as kernel_
from ..driver import device as open_device
from ..errors import CudaError, FlashError
from . import energy, timing
from .plot import plot
from .problem import Problem, choose_sizes, describe, find_torch, inputs_of


def parse_sizes(text):
    sizes = {}
    for item in text.split(","):
        name, equals, value = item.partition("=")
        if not equals or not value.isdigit() or int(value) < 1:
            raise argparse.ArgumentTypeError(f"expected sizes such as b=1,sq=4096, got '{text}'")
        sizes[name.strip()] = int(value)
    return sizes


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m flash.bench",
        description="Checks packages, then times them beside torch's attention.",
    )
    add = parser.add_argument
    add("packages", nargs="+", metavar="PACKAGE", help="what flashc --emit=package wrote")
    add(
        "--sizes",
        type=parse_sizes,
        action="append",
        metavar="K=V,...",
        help="b, hq, sq, sk where the packages leave them open; may be given several times",
    )
    add(
        "--check-heads",
        type=int,
        default=4,
        metavar="N",
        help="heads compared with the reference, spread over all (4; 0: all)",
    )
    add("--no-check", action="store_true", help="compare nothing")
    add("--repeats", type=int, metavar="N", help="calls timed (100; emulated: 1)")
    add("--warm-up", type=int, metavar="N", help="calls before that (20; emulated: 0)")
    add("--no-torch", action="store_true", help="leave torch's attention and matmul out")
    add(
        "--energy-seconds",
        type=float,
        default=3.0,
        metavar="S",
        help="length of an energy trial (3; 0: no energy)",
    )
    add("--trials", type=int, default=3, metavar="N", help="energy trials (3)")
    add(
        "--cool-down", type=float, default=2.0, metavar="S", help="pause before an energy trial (2)"
    )
    add("--seed", type=int, default=0, metavar="N", help="of the inputs (0)")
    add("--json", metavar="FILE", help="write the result there")
    add("--plot", metavar="FILE", help="draw it there; needs matplotlib")
    options = parser.parse_args(arguments)
    for name in ("check_heads", "repeats", "warm_up"):
        if (getattr(options, name) or 0) < 0:
            parser.error(f"--{name.replace('_', '-')}: expected 0 or more")
    if options.trials < 1 or options.repeats == 0:
        parser.error("--trials and --repeats: expected 1 or more")
    return options


def progress(items, what):
    """A progress bar on a terminal that has tqdm; nothing elsewhere."""
    if sys.stderr.isatty():
        try:
            from tqdm import tqdm

            return tqdm(items, desc=what, leave=False)
        except ImportError:
            pass
    return items


def names_of(packages):
    """A short name for each package, all different."""
    short = [os.path.basename(os.path.normpath(path)) for path in packages]
    return [
        name if short.count(name) == 1 else os.path.normpath(path)
        for name, path in zip(short, packages)
    ]


class Bench:
    def __init__(self, options):
        self.options = options
        names = names_of(options.packages)
        kernels = [kernel_.load(path) for path in options.packages]
        self.groups = {}
        for name, kernel in zip(names, kernels):
            self.groups.setdefault(inputs_of(kernel), []).append((name, kernel))
        self.device = open_device(0)
        self.torch, self.no_torch = find_torch(not options.no_torch, self.device)
        emulated = self.device.is_emulated
        self.repeats = options.repeats or (1 if emulated else 100)
        self.warm_up = (0 if emulated else 20) if options.warm_up is None else options.warm_up
        self.board, self.no_energy, self.idle = None, None, None
        self.missing = {}
        try:
            if options.energy_seconds > 0:
                self.board = energy.Board(self.device)
                self.idle = energy.idle_watts(self.board, options.energy_seconds)
            else:
                self.no_energy = "energy: not asked for"
        except CudaError as error:
            self.no_energy = str(error)

    def run(self):
        result = {
            "version": 1,
            "board": self.device.name,
            "emulated": self.device.is_emulated,
            "flash": __version__,
            "torch": self.torch.__version__ if self.torch else None,
            "idle_watts": self.idle,
            "no_energy": self.no_energy,
            "kernels": [],
            "references": [],
        }
        for group in self.groups.values():
            for given in self.options.sizes or [{}]:
                self.run_problem(group, given, result)
        result["missing"] = self.missing
        return result

    def run_problem(self, group, given, result):
        spec = group[0][1].manifest.spec
        sizes = choose_sizes(spec, given, self.device.is_emulated)
        problem = Problem(spec, sizes, self.device, self.options.seed, self.torch, self.no_torch)
        packages = [problem.package(kernel, name) for name, kernel in group]
        if not self.options.no_check:
            for contender in progress(packages, "checking"):
                problem.check(contender, self.options.check_heads)
        references, missing = problem.torch_backends()
        self.missing.update(missing)
        matmul = problem.matmul()
        contenders = packages + references + ([matmul] if matmul else [])
        times = timing.measure(contenders, self.device, self.warm_up, self.repeats, progress)
        title = describe(inputs_of(group[0][1]), spec, sizes)
        rows = [self.entry(contender, times, title, spec, sizes) for contender in contenders]
        best = min(
            (row["median_ms"] for row in rows[len(packages) : len(packages) + len(references)]),
            default=None,
        )
        for row in rows:
            row["percent_of_matmul"] = 100 * row["tflops"] / rows[-1]["tflops"] if matmul else None
            row["speedup_over_best_torch"] = best / row["median_ms"] if best else None
        result["kernels"] += rows[: len(packages)]
        result["references"] += rows[len(packages) :]
        print_table(title, rows, self.device.is_emulated)

    def entry(self, contender, times, title, spec, sizes):
        row = {
            "name": contender.name,
            "level": contender.level,
            "chip": contender.chip,
            "package": contender.path,
            "problem": title,
            "spec": spec.text,
            "sizes": sizes,
            "board": self.device.name,
            "energy_j": None,
            "check": contender.check,
        }
        row.update(timing.summarise(times[contender.name], contender.flops))
        if self.board:
            row.update(
                energy.measure(
                    contender,
                    self.device,
                    self.board,
                    self.idle,
                    row["median_ms"],
                    self.options.energy_seconds,
                    self.options.trials,
                    self.options.cool_down,
                )
            )
        return row


def shown(value, format_):
    return "-" if value is None else format(value, format_)


def print_table(title, rows, emulated):
    print(title)
    header = ("", "check", "median ms", "min ms", "TFLOP/s", "% matmul", "vs torch", "J/call")
    table = [header]
    for row in rows:
        check = row["check"]
        table.append(
            (
                row["name"],
                "-" if check is None else "pass" if check["pass"] else "FAIL",
                shown(row["median_ms"], ".4f"),
                shown(row["min_ms"], ".4f"),
                shown(row["tflops"], ".2f"),
                shown(row["percent_of_matmul"], ".1f"),
                shown(row["speedup_over_best_torch"], ".3f"),
                shown(row["energy_j"], ".4g"),
            )
        )
    widths = [max(len(line[i]) for line in table) for i in range(len(header))]
    for line in table:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
        print("  " + "  ".join(cells).rstrip())
    if emulated:
        print("  emulated: the times are the emulator's and say nothing of a GPU")
    for row in rows:
        for error in (row["check"] or {}).get("errors", []):
            print(f"  {row['name']}: {error}", file=sys.stderr)


def write_json(result, path):
    """The whole file or none."""
    directory = os.path.dirname(os.path.abspath(path))
    handle, temporary = tempfile.mkstemp(dir=directory, prefix=".flash-")
    with os.fdopen(handle, "w") as file:
        json.dump(finite(result), file, indent=2, allow_nan=False)
        file.write("\n")
    os.chmod(temporary, 0o644)
    os.replace(temporary, path)


def finite(value):
    """JSON has no infinities and no NaN: they become strings."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), -float("inf"))):
        return str(value)
    return value


def main(arguments=None):
    options = parse_arguments(arguments)
    try:
        if options.plot:
            # Before the measurement, rather than after it.
            importlib.import_module("matplotlib")
        bench = Bench(options)
        result = bench.run()
        for name, reason in result["missing"].items():
            print(f"{name}: left out: {reason}")
        if result["no_energy"]:
            print(f"{result['no_energy']}")
        if options.json:
            write_json(result, options.json)
        if options.plot:
            plot(result, options.plot)
    except ImportError as error:
        print(f"flash.bench: error: --plot: {error}", file=sys.stderr)
        return 1
    except (FlashError, OSError) as error:
        print(f"flash.bench: error: {error}", file=sys.stderr)
        return 1
    failed = [row["name"] for row in result["kernels"] if row["check"] and not row["check"]["pass"]]
    if failed:
        print(f"flash.bench: error: check failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

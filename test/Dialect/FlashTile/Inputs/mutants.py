#!/usr/bin/env python3
#===- mutants.py - Wrong tile programs are refused ------------------------===#
#
# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===----------------------------------------------------------------------===#
"""usage: mutants.py FLASH_OPT SEED PROGRAM.mlir RULE...

Makes mutants of one program by text and runs each through flash-opt
--flash-tile-verify. Every mutant must be refused with exit status 1, at a
location inside the program, with the message that its rule expects. A rule is
the name of an entry of RULES; the seed chooses which of the places that a rule
fits are mutated, at most four per rule and one at a time. The program itself
must be accepted.
"""

import random
import re
import subprocess
import sys

# Name -> (pattern, replacement, expected message). The pattern is matched over
# the whole text; each match is one place. All are regular expressions.
ANY = r"[^\n]*\n"
NO_SIGNAL = (
    r"expected a role that signals stage|arrivals in one phase of stage"
    r"|arrivals in each phase|that role \w+ signals after, got none"
    r"|expected (?:an arrival|a commit) after it for this stage"
)
NO_WAIT = (
    r"expected a barrier\.wait before it|expected a role that waits for stage"
)
RULES = {
    # Barriers. The last arrival of a program, on which nobody waits any more,
    # may be missing: those at the end of a role are left alone.
    "delete-arrive": (
        r"(?: {8}flash_tile\.barrier\.arrive| *flash_tile\.barrier\.arrive per "
        r"role %k_empty\[%c0\])" + ANY,
        "",
        NO_SIGNAL,
    ),
    "delete-commit": (
        r" *flash_tile\.commit %(?!kv_empty\[%v_stage\] : !ring3\n    \})" + ANY,
        "",
        NO_SIGNAL,
    ),
    "delete-wait": (r" *flash_tile\.barrier\.wait" + ANY, "", NO_WAIT),
    "delete-expect": (
        r" *flash_tile\.barrier\.expect" + ANY,
        "",
        r"expected a barrier\.expect before it in its block",
    ),
    "more-arrivals": (
        r"arrivals 1 ",
        "arrivals 3 ",
        r"arrivals in one phase of stage 0: expected 3 \(as declared\), got 1",
    ),
    "fewer-arrivals": (
        r"arrivals (2|128) ",
        "arrivals 1 ",
        r"arrivals in one phase of stage 0: expected 1 \(as declared\), got",
    ),
    "no-arrivals": (r"arrivals 1 ", "arrivals 0 ", r"arrivals: expected 1 to"),
    "arrive-per-warp": (
        r"arrive per (role|thread)",
        "arrive per warp",
        r"arrivals in one phase of stage|arrivals in each phase",
    ),
    "half-the-bytes": (
        r"bytes (32768|16384)",
        "bytes 8192",
        r"bytes: expected \d+ \(what the copies after it deliver\), got 8192",
    ),
    "barrier-stage-out-of-range": (
        r"(barrier\.(?:wait|arrive per \w+|expect) %\w+|commit %\w+)\[%c[01]\]",
        r"\1[%c64]",
        r"stage index: expected 0 to \d, got 64",
    ),
    # Not those of O: what comes second of the pair covers the first too.
    "other-stage": (
        r"(barrier\.wait %(?!o_full|o_ready)\w+)\[%c0\]",
        r"\1[%c1]",
        r"expected a barrier\.wait before it|stage index: expected"
        r"|expected a role that",
    ),
    "constant-phase": (
        r"( {8}flash_tile\.barrier\.wait [^\n]* phase) %\w+",
        r"\1 %false",
        r"phase: expected one that changes with the loop",
    ),
    "phase-of-no-slot": (
        r"(\n {6}flash_tile\.barrier\.wait %\w+\[%[kv]_stage\] phase) %\w+",
        r"\1 %false",
        r"phase: expected that of the slot that gave the stage",
    ),
    "slot-of-other-ring": (
        r"(_stage, %\w+_phase = flash_tile\.slot %\w+) of [23]",
        r"\1 of 4",
        r"phase: expected that of a slot of [23] \(as the barrier\), got 4",
    ),
    "stage-of-other-slot": (
        r"(%k_stage, %k_phase = flash_tile\.slot %\w+ of \d\n)"
        r"((?s:.*?)barrier\.wait %\w+\[)%k_stage",
        r"\1        %other, %none = flash_tile.slot %c1 of 2\n\2%other",
        r"stage: expected that of the slot that gave the phase",
    ),
    # Named barriers.
    "named-threads": (
        r"named_barrier\.(sync|arrive) ([12]) threads 256",
        r"named_barrier.\1 \2 threads 128",
        r"threads of named barrier \d: expected ",
    ),
    "named-id": (
        r"named_barrier\.sync [12] ",
        "named_barrier.sync 16 ",
        r"id: expected 1 to 15, got 16",
    ),
    "delete-named-sync": (
        r"        flash_tile\.named_barrier\.sync 2" + ANY,
        "",
        r"named barrier 2: expected a role that waits at it",
    ),
    # Roles.
    "register-step": (
        r"registers (\d+)",
        "registers 42",
        r"registers of role \w+: expected a multiple of 8 from 24 to 256, got 42",
    ),
    "register-total": (
        r"registers (24|80) ",
        "registers 160 ",
        r"registers of all roles: expected at most 65536, got \d+",
    ),
    "register-group": (
        r"(role \"mma\" warps 1 registers) 48",
        r"\1 40",
        r"registers of role \w+: expected 40 \(as mma, in the same warp group\)",
    ),
    "role-name": (
        r'role "(softmax|consumer)1"',
        r'role "\g<1>0"',
        r"role names: expected distinct ones, got \w+ twice",
    ),
    "no-warps": (
        r'(role "\w+" warps) 4',
        r"\1 0",
        r"warps of role \w+: expected 1 to 32, got 0",
    ),
    "tensor-crosses": (
        r"(    flash_tile\.warp_groups\n    role \"\w+\" [^\n]*\n)",
        "    %outside = flash_tile.splat %c : f32 -> !rows\n"
        r"\1      %inside = arith.negf %outside : !rows" + "\n",
        r"value from outside role \w+: expected a buffer, tensor memory",
    ),
    "thread-number-crosses": (
        r"(    flash_tile\.warp_groups\n    role \"\w+\" [^\n]*\n)",
        "    %thread = gpu.thread_id x\n"
        r"\1      %inside = arith.addi %thread, %thread : index" + "\n",
        r"scalar from outside role \w+: expected the same in every thread",
    ),
    # Order of accesses.
    "release-too-early": (
        r"( *%s = flash_tile\.wait %s_future \{[^\n]*\n)"
        r"( *flash_tile\.barrier\.arrive [^\n]*\n)",
        r"\2\1",
        r"expected the asynchronous product that reads the released stage to be "
        r"waited for",
    ),
    "read-before-wait": (
        r"( *flash_tile\.barrier\.wait %\w+[^\n]*\n)"
        r"((?: *(?:%\w+ = )?flash_tile\.(?!barrier)[^\n]*\n(?: *: [^\n]*\n)?)*?"
        r"[^\n]*(?:dot_async|tmem\.dot|tmem\.load|local_load|store_tma)[^\n]*\n"
        r"(?: *: [^\n]*\n)?)",
        r"\2\1",
        r"reads a tile that role \w+ writes: expected a barrier\.wait before it"
        r"|writes a tile that role \w+ (?:reads|writes): expected a barrier\.wait",
    ),
    "overwrite-before-wait": (
        r"( *flash_tile\.barrier\.wait %(?:k|v|kv)_empty[^\n]*\n)"
        r"( *flash_tile\.barrier\.expect[^\n]*\n"
        r" *flash_tile\.copy_tma [^\n]*\n *: [^\n]*\n)(?=        )",
        r"\2\1",
        r"writes a tile that role \w+ reads: expected a barrier\.wait before it",
    ),
    # Tiles and layouts.
    "layout-too-small": (
        r"repeat = \[\[(8|16|32|96), 0, (1|8)\]\]",
        r"repeat = [[7, 0, \2]]",
        r"layout: expected every element of the tile",
    ),
    "layout-lanes": (
        r"(lane = \[)\[0, 2\], ",
        r"\1",
        r"layout lane vectors: expected 5 \(32 lanes\), got 4",
    ),
    "row-layout": (
        r"#row = #flash_tile\.layout<(?:register = \[\[8\]\],\s*)?",
        "#row = #flash_tile.layout<register = [[0]], ",
        r"vector layout: expected #flash_tile\.layout|every element of the tile"
        r"|vector layout: expected",
    ),
    "dot-shape": (
        r"(flash_tile\.(?:tmem\.)?dot(?:_async)? %q[^\n]*) \{transpose_b\}",
        r"\1",
        r"b depth: expected 128 \(as a\), got 64"
        r"|b depth: expected 128|accumulator shape",
    ),
    "dot-type": (
        r"(!(?:p_tile|probabilities|p_head) = [^\n]*x)bf16",
        r"\1f16",
        r"element type: expected 'f16'",
    ),
    "wgmma-rows": (
        r'(role "consumer0" warps) 4 registers 240',
        r"\1 8 registers 112",
        r"rows: expected a multiple of 128 \(64 per warp group\), got 64",
    ),
    "reduce-axis": (
        r"(flash_tile\.reduce max %\w+ axis) 1",
        r"\1 2",
        r"axis: expected 0 to 1, got 2",
    ),
    "swizzle-bits": (
        r"swizzle<bits = 3",
        "swizzle<bits = 4",
        r"swizzle bits: expected 0 to 3, got 4",
    ),
    "map-swizzle": (
        r"(tensor_map<[\dx]+xbf16), #sw",
        r"\1",
        r"view swizzle: expected none \(as the map\)|view swizzle: expected",
    ),
    "map-box": (
        r"(tensor_map<1x1x\d+x)64xbf16",
        r"\g<1>128xbf16",
        r"box row bytes: expected at most 128 \(the swizzle's span\), got 256",
    ),
    # Tensor memory.
    "tmem-overlap": (
        r"column 128 ",
        "column 64 ",
        r"columns 64 to 192: expected to be disjoint",
    ),
    "tmem-limit": (
        r"column 384 ",
        "column 448 ",
        r"first column: expected 0 to 384 \(for 128 columns\), got 448",
    ),
    "tmem-view": (
        r"tmem\.view %\w+\[%c112\]",
        "tmem.view %s0[%c256]",
        r"first column: expected 0 to 112 \(for 16 columns\), got 256",
    ),
    "tmem-lanes": (
        r"tmem<128x128xf32>",
        "tmem<64x128xf32>",
        r"tensor memory lanes: expected 128, got 64",
    ),
    "tmem-warps": (
        r'role "softmax1" warps 4',
        'role "softmax1" warps 8',
        r"warps of role softmax1: expected 4 \(128 lanes of tensor memory\)"
        r"|registers of all roles|arrivals in one phase",
    ),
    "tmem-columns": (
        r"(!tmem = !flash_tile\.tmem<128x)128xf32",
        r"\g<1>136xf32",
        r"first column: expected 0 to|accumulator shape: expected",
    ),
    # One instruction stream with cp.async.
    "delete-barrier": (
        r"(flash_tile\.wait %[kv]_future [^\n]*\n) *gpu\.barrier\n",
        r"\1",
        r"expected a gpu\.barrier between the wait for the copy and the read",
    ),
    "read-without-wait": (
        r"%k = flash_tile\.wait %k_future [^\n]*\n(?s:(.*?))"
        r"flash_tile\.dot %q, %k,",
        r"%k = flash_tile.stage %ks[%c0] : !kv_ring -> !kv_view" + "\n"
        r"\1flash_tile.dot %q, %k,",
        r"future: expected a flash_tile\.wait for it, got none",
    ),
    "copy-stage-out-of-range": (
        r"flash_tile\.stage %[kv]s\[%(?:next_stage|c0)\]",
        "flash_tile.stage %ks[%c2]",
        r"stage index: expected 0 to 1, got 2",
    ),
    "one-stage": (
        r"(!kv_ring = !flash_tile\.buffer<)2(x64[^\n]*)(?s:(.*?))"
        r"arith\.remui %next, %c2",
        r"\g<1>1\2\3arith.remui %next, %c1",
        r"overwrites a stage that is read after it: expected the read before",
    ),
    "negative-in-flight": (
        r"in_flight = [12] ",
        "in_flight = -1 ",
        r"in_flight: expected >= 0, got -1",
    ),
    "copy-alignment": (
        r"\{in_bounds\}",
        "{in_bounds, alignment = 12 : i64}",
        r"alignment: expected 16, 8, 4 or 2 bytes, got 12",
    ),
    "store-indices": (
        r"%O\[%b, %h, %q0, %c0\] : tensor",
        "%O[%b, %h, %q0] : tensor",
        r"indices: expected 4 \(as the memref's rank\), got 3",
    ),
    "elementwise-layout": (
        r"(%out16 = arith\.truncf %out : !out to tensor<128x128xbf16, )#o",
        r"\1#wide",
        r"tile layouts: expected the same for all operands and results"
        r"|use of value|expects different type",
    ),
}


def is_comment(text, at):
    return text[text.rfind("\n", 0, at) + 1 :].lstrip().startswith("//")


def run(flash_opt, text):
    done = subprocess.run(
        [flash_opt, "--flash-tile-verify", "-o", "/dev/null", "-"],
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def main():
    flash_opt, seed, path, *names = sys.argv[1:]
    program = open(path, encoding="utf-8").read()
    choose = random.Random(int(seed))
    status, output = run(flash_opt, program)
    if status != 0:
        sys.exit(f"the program itself is refused:\n{output}")
    wrong = 0
    count = 0
    for name in names:
        pattern, replacement, expected = RULES[name]
        # Comments, RUN lines among them, are not the program.
        places = [
            place
            for place in re.finditer(pattern, program)
            if not is_comment(program, place.start())
        ]
        if not places:
            sys.exit(f"{name}: fits nowhere in {path}")
        for place in choose.sample(places, min(4, len(places))):
            mutant = (
                program[: place.start()]
                + place.expand(replacement)
                + program[place.end() :]
            )
            line = program.count("\n", 0, place.start()) + 1
            status, output = run(flash_opt, mutant)
            # A crash or a success is not a refusal, and each refusal says where.
            first = output.splitlines()[0] if output else ""
            if (
                status != 1
                or not re.match(r"<stdin>:\d+:\d+: error: ", first)
                or not re.search(expected, first)
            ):
                wrong += 1
                print(f"{name} at line {line}: status {status}, expected a")
                print(f"  refusal that matches {expected!r}, got\n  {first}")
            count += 1
            print(f"{name}: {first}")
    print(f"{count} mutants, {count - wrong} refused as expected")
    sys.exit(wrong != 0 or count < 10)


if __name__ == "__main__":
    main()

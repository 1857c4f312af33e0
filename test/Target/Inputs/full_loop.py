"""Compares the loop over full tiles of masked kernels with the unmasked one's.

usage: full_loop.py FLASHC SPEC MASK...

SPEC has no mask. The loop over full tiles is, of the innermost loops with tensor
core instructions, the one that compares and selects least; the narrow copies, a
loop of their own for rows that are not aligned, are left out. It must have the
same basic blocks with and without each MASK: the same opcodes in the same order,
operands and predicates left out. So is how 64-bit numbers are compared (a <= b is
not b < a), which depends on the way the branch goes.

With static sizes the unmasked kernel is one loop whose first tile is known to
exist, and LLVM computes in front of it what other kernels compute in each tile
(whether rows are aligned) or in each tile what others have computed already
(parts of the thread's number). So of static kernels integer arithmetic and
comparisons are left out, and their number may differ by 10 instructions.

Exits 1 at the first difference.
"""

import collections
import re
import subprocess
import sys

from ptx_loops import natural_loops, read_blocks

SCALAR = re.compile(r"@?(add|sub|mul\.lo|mul\.wide|mad|shl|shr|and|or|xor|not|bfe|setp|cvt|mov|bra)"
                    r"(\.(s32|u32|b32|s64|u64|b64|pred|64|lo\.s64|uni|u64\.u32))*$")
MAX_MOVED = 10


def opcode(line):
    name = re.sub(r"^@!?%\w+\s+", "@", line).split()[0].rstrip(";")
    return re.sub(r"^setp\.(lt|le|gt|ge|eq|ne)\.[sb]64", "setp.64", name)


def tile_loops(tool, spec):
    """The blocks of every loop over tiles, sorted, each a tuple of opcodes."""
    done = subprocess.run([tool, "--attention=" + spec, "--chip=sm_80", "--emit=ptx"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True)
    lines, successors = read_blocks(done.stdout)
    blocks = {name: [opcode(text) for _, text in block] for name, block in lines.items()}
    loops = natural_loops(blocks, successors)
    has_product = {header: any("mma.sync" in op for name in members for op in blocks[name])
                   for header, members in loops.items()}
    result = []
    for header, members in loops.items():
        inner = [other for other, nested in loops.items() if other != header and nested < members]
        # A loop over the bands of a mask has loops over tiles in it.
        if not has_product[header] or any(has_product[other] for other in inner):
            continue
        cold = set().union(*[loops[other] for other in inner])
        result.append(sorted(tuple(blocks[name]) for name in members - cold))
    return result


def count(loop, *names):
    return sum(op.startswith(names) for block in loop for op in block)


def without_scalars(loop):
    return sorted(kept for block in loop if (kept := tuple(op for op in block if not SCALAR.match(op))))


def describe(left, right):
    """How often each opcode is in `left` and not in `right`, and the reverse."""
    difference = collections.Counter(op for block in left for op in block)
    difference.subtract(op for block in right for op in block)
    return {op: number for op, number in difference.items() if number} or "another order"


def main(tool, spec, masks):
    def full_of(loops):
        return min(loops, key=lambda loop: count(loop, "selp", "setp"))

    def size(loop):
        return sum(len(block) for block in loop)

    plain = full_of(tile_loops(tool, spec))
    if not count(plain, "ex2") or not count(plain, "cp.async") or count(plain, "selp", "div"):
        sys.exit("%s: expected a full tile without mask code and divisions" % spec)
    print("%s: %d opcodes in %d blocks" % (spec, size(plain), len(plain)))
    is_static = "?" not in spec
    for mask in masks:
        loops = tile_loops(tool, spec + "," + mask)
        full = full_of(loops)
        if len(loops) == 1:
            sys.exit("%s,%s: expected a loop with mask code, too" % (spec, mask))
        if is_static:
            same = without_scalars(full) == without_scalars(plain) and abs(size(full) - size(plain)) <= MAX_MOVED
        else:
            same = full == plain
        if not same:
            sys.exit("%s,%s: expected the unmasked loop, got %s" % (spec, mask, describe(full, plain)))
        print("    %s: the same, one of %d loops%s" % (
            mask, len(loops), ", %+d integer" % (size(full) - size(plain)) if is_static else ""))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])

"""Compares the loop over full tiles of masked kernels with the unmasked one's.

usage: full_loop.py FLASHC SPEC MASK...

SPEC has no mask and sizes that are not static, so that no loop is shaped by a
trip count. Every basic block with tensor core instructions of the unmasked
kernel's loop over full tiles must be in the masked kernel too, with the same
opcodes in the same order; operands and predicates are left out. So is which way
round two operands are compared: a <= b is b >= a. The unmasked kernel's own ragged
tile must not be there: it has mask code. Exits 1 otherwise.
"""

import re
import subprocess
import sys


def blocks(ptx):
    """The opcodes of each basic block."""
    result = [[]]
    for line in ptx.split("\n"):
        line = line.strip()
        if re.match(r"^\$\w+:", line):
            result.append([])
        elif line and not line.startswith(("//", ".", "{", "}", ")", "(")):
            opcode = re.sub(r"^@!?%\w+\s+", "@", line).split()[0].rstrip(";")
            for less, greater in (("setp.lt.", "setp.gt."), ("setp.le.", "setp.ge.")):
                opcode = opcode.replace(greater, less)
            result[-1].append(opcode)
    return result


def products(tool, spec):
    """The basic blocks with tensor core instructions."""
    done = subprocess.run([tool, "--attention=" + spec, "--chip=sm_80", "--emit=ptx"], stdout=subprocess.PIPE, check=True, text=True)
    return [tuple(block) for block in blocks(done.stdout) if any("mma.sync" in op for op in block)]


def count(block, name):
    return sum(op.startswith(name) for op in block)


def mask_code(block):
    return count(block, "selp") + count(block, "setp")


def main(tool, spec, masks):
    plain = products(tool, spec)
    # Where Q K^T and the softmax are in blocks of their own, one of each.
    full = []
    for has_softmax in (False, True):
        kind = [block for block in plain if bool(count(block, "ex2")) == has_softmax]
        if kind:
            full.append(min(kind, key=mask_code))
    softmax = full[-1]
    if not count(softmax, "ex2") or count(softmax, "selp") or count(softmax, "div"):
        sys.exit("%s: expected a full tile without mask code and divisions" % spec)
    if len(set(plain)) == len(full):
        sys.exit("%s: expected a loop over the ragged tile, too" % spec)
    print("%s: %s opcodes" % (spec, " + ".join(str(len(block)) for block in full)))
    for mask in masks:
        found = products(tool, spec + "," + mask)
        for block in full:
            if block not in found:
                sys.exit("%s,%s: expected the %d opcodes of the unmasked loop in one of %d blocks" % (spec, mask, len(block), len(found)))
        others = [block for block in found if count(block, "ex2") and block != softmax]
        if not others:
            sys.exit("%s,%s: expected a loop with mask code, too" % (spec, mask))
        print("%s: %d blocks with mask code" % (mask, len(others)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])

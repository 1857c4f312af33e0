"""Control flow of a PTX kernel as LLVM prints it."""

import collections
import re


def read_blocks(ptx):
    """The basic blocks of a kernel, each a list of (line from 1, text), and the
    names of their successors; both by name, in the order of the text."""
    blocks, targets = [("entry", [])], {}
    inside = False
    for number, line in enumerate(ptx.split("\n"), 1):
        inside |= line.startswith("{")
        line = line.strip() if inside else ""
        label = re.match(r"^(\$\w+):", line)
        if label:
            blocks.append((label[1], []))
        elif line and not line.startswith(("//", ".", "{", "}", ")", "(")):
            name, ops = blocks[-1]
            ops.append((number, line))
            branch = re.search(r"\bbra(?:\.uni)?\s+(\$\w+);", line)
            if branch:
                targets[name] = (branch[1], not line.startswith("@"))
                blocks.append(("behind %d" % len(blocks), []))
    successors = {}
    for i, (name, ops) in enumerate(blocks):
        target, always = targets.get(name, (None, bool(ops) and ops[-1][1].startswith("ret")))
        successors[name] = ([target] if target else []) + (
            [] if always or i + 1 == len(blocks) else [blocks[i + 1][0]])
    return dict(blocks), successors


def natural_loops(blocks, successors):
    """The blocks of each loop, by header."""
    first = next(iter(blocks))
    reached, work = {first}, [first]
    while work:
        new = set(successors[work.pop()]) - reached
        reached |= new
        work.extend(new)
    names = [name for name in blocks if name in reached]
    predecessors = collections.defaultdict(set)
    for name in names:
        for other in successors[name]:
            predecessors[other].add(name)
    dominators = {name: set(names) for name in names}
    dominators[first] = {first}
    changed = True
    while changed:
        changed = False
        for name in names[1:]:
            found = set.intersection(*[dominators[other] for other in predecessors[name]]) | {name}
            changed |= found != dominators[name]
            dominators[name] = found
    loops = {}
    for name in names:
        for header in successors[name]:
            if header not in dominators[name]:
                continue
            members, work = loops.setdefault(header, {header}), [name]
            while work:
                block = work.pop()
                if block not in members:
                    members.add(block)
                    work.extend(predecessors[block])
    return loops

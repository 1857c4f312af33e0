//===- ControlFlow.cpp - Block order, uninitialised use, rows ---*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// From linear code to the laid-out program.
//
// Order: strongly connected components in topological order, each with its
// header first and the rest ordered the same way without the edges back to
// the header. So a loop is contiguous, what follows it comes after it, and a
// join comes after both of its arms: lanes that wait for the lowest pc meet
// where the hardware's would.
//
// Rows: liveness gives every register an interval of the laid-out code, and
// registers with disjoint intervals share a row. LLVM numbers registers
// without reuse, thousands for a kernel, and a row is 128 or 256 bytes: this
// keeps the register file of a warp in the first-level cache.
//
//===----------------------------------------------------------------------===//

#include "Decoder.h"

#include <algorithm>
#include <bit>

using namespace flash::emu;

namespace {

class BitSet {
public:
  explicit BitSet(size_t bits = 0, bool value = false)
      : words((bits + 63) / 64, value ? ~uint64_t(0) : 0) {}
  bool test(size_t i) const { return words[i / 64] >> (i % 64) & 1; }
  void set(size_t i) { words[i / 64] |= uint64_t(1) << (i % 64); }
  void clear(size_t i) { words[i / 64] &= ~(uint64_t(1) << (i % 64)); }
  /// True if anything was added.
  bool unite(const BitSet &other) {
    bool changed = false;
    for (size_t i = 0; i < words.size(); ++i) {
      uint64_t merged = words[i] | other.words[i];
      changed |= merged != words[i];
      words[i] = merged;
    }
    return changed;
  }
  template <typename F> void forEach(F f) const {
    for (size_t w = 0; w < words.size(); ++w)
      for (uint64_t rest = words[w]; rest; rest &= rest - 1)
        f(w * 64 + std::countr_zero(rest));
  }

private:
  std::vector<uint64_t> words;
};

struct Block {
  uint32_t first, last; ///< [first, last) of the linear code.
  std::vector<uint32_t> successors;
};

class Layout {
public:
  Layout(Decoder &decoder, Program &program)
      : decoder(decoder), program(program) {}

  bool run(std::string &message);

private:
  void findBlocks();
  void orderBlocks(const std::vector<uint32_t> &nodes,
                   const std::vector<uint32_t> &roots, unsigned depth);
  void place();
  void findUninitialised();
  void findWarpgroupRegisters();
  void findTensorLoads();
  bool assignRows(std::string &message);

  template <typename F> void forUses(const Meta &meta, F f) {
    for (uint32_t i = 0; i < meta.uses; ++i)
      f(program.registerLists[meta.firstUse + i]);
  }
  template <typename F> void forDefs(const Meta &meta, F f) {
    for (uint32_t i = 0; i < meta.defs; ++i)
      f(program.registerLists[meta.firstDef + i]);
  }

  Decoder &decoder;
  Program &program;
  std::vector<Block> blocks;     ///< In linear order.
  std::vector<uint32_t> blockAt; ///< Instruction -> block, linear.
  std::vector<uint32_t> order;   ///< Blocks as laid out.
  std::vector<uint32_t> member;  ///< Block -> depth of the current subgraph.
  std::vector<std::pair<uint32_t, uint32_t>> range; ///< Block -> new [pc, pc).
};

void Layout::findBlocks() {
  std::vector<Inst> &code = decoder.code;
  std::vector<bool> leader(code.size() + 1);
  leader[0] = true;
  for (size_t i = 0; i < code.size(); ++i) {
    const Inst &inst = code[i];
    if (inst.kind == Kind::Branch)
      leader[decoder.labels[inst.imm]] = true;
    if (inst.kind == Kind::Indexed)
      for (uint64_t k = 0; k < inst.imm; ++k)
        leader[decoder.labels[program.extra[inst.extra + k]]] = true;
    if (inst.kind == Kind::Branch || inst.kind == Kind::Indexed ||
        inst.kind == Kind::Exit)
      leader[i + 1] = true;
  }
  blockAt.resize(code.size());
  for (uint32_t i = 0; i < code.size(); ++i) {
    if (leader[i])
      blocks.push_back({i, i, {}});
    blocks.back().last = i + 1;
    blockAt[i] = uint32_t(blocks.size() - 1);
  }
  for (uint32_t b = 0; b < blocks.size(); ++b) {
    Block &block = blocks[b];
    const Inst &last = code[block.last - 1];
    bool guarded = last.guard != kTrueMask;
    bool falls = last.kind != Kind::Branch && last.kind != Kind::Exit;
    if ((falls || guarded) && b + 1 < blocks.size())
      block.successors.push_back(b + 1);
    if (last.kind == Kind::Branch)
      block.successors.push_back(blockAt[decoder.labels[last.imm]]);
    if (last.kind == Kind::Indexed)
      for (uint64_t k = 0; k < last.imm; ++k)
        block.successors.push_back(
            blockAt[decoder.labels[program.extra[last.extra + k]]]);
  }
}

/// Orders the subgraph of `nodes` (those whose member == depth) reached from
/// `roots`: Tarjan's algorithm without recursion, then each component inside.
void Layout::orderBlocks(const std::vector<uint32_t> &nodes,
                         const std::vector<uint32_t> &roots, unsigned depth) {
  std::unordered_map<uint32_t, uint32_t> index, low;
  std::vector<std::vector<uint32_t>> components;
  std::vector<uint32_t> stack;
  std::unordered_map<uint32_t, bool> onStack;
  struct Frame {
    uint32_t node;
    size_t next;
  };
  for (uint32_t root : roots) {
    if (member[root] != depth || index.count(root))
      continue;
    std::vector<Frame> frames = {{root, 0}};
    while (!frames.empty()) {
      auto &[node, next] = frames.back();
      if (next == 0) {
        uint32_t number = uint32_t(index.size());
        index[node] = low[node] = number;
        stack.push_back(node);
        onStack[node] = true;
      }
      bool descended = false;
      const std::vector<uint32_t> &successors = blocks[node].successors;
      while (next < successors.size()) {
        uint32_t to = successors[next++];
        if (member[to] != depth)
          continue;
        if (!index.count(to)) {
          frames.push_back({to, 0});
          descended = true;
          break;
        }
        if (onStack[to])
          low[node] = std::min(low[node], index[to]);
      }
      if (descended)
        continue;
      if (next == 0)
        next = 1;
      uint32_t done = node;
      if (low[done] == index[done]) {
        std::vector<uint32_t> component;
        uint32_t top;
        do {
          top = stack.back();
          stack.pop_back();
          onStack[top] = false;
          component.push_back(top);
        } while (top != done);
        // The first node reached, the loop's header, comes out last.
        std::reverse(component.begin(), component.end());
        components.push_back(std::move(component));
      }
      frames.pop_back();
      if (!frames.empty())
        low[frames.back().node] = std::min(low[frames.back().node], low[done]);
    }
  }
  // Components come out in reverse topological order.
  for (size_t i = components.size(); i-- > 0;) {
    std::vector<uint32_t> &component = components[i];
    uint32_t header = component[0];
    order.push_back(header);
    if (component.size() == 1)
      continue;
    member[header] = 0;
    for (size_t k = 1; k < component.size(); ++k)
      member[component[k]] = depth + 1;
    std::vector<uint32_t> inner(component.begin() + 1, component.end());
    std::vector<uint32_t> starts = blocks[header].successors;
    starts.insert(starts.end(), inner.begin(), inner.end());
    orderBlocks(inner, starts, depth + 1);
    for (uint32_t node : inner)
      member[node] = 0;
  }
}

/// Copies the blocks in their order, with jumps where a block no longer falls
/// into its successor, and turns labels into pcs.
void Layout::place() {
  range.assign(blocks.size(), {~0u, ~0u});
  uint32_t jumpName = 0;
  bool haveName = false;
  for (size_t i = 0; i < order.size(); ++i) {
    const Block &block = blocks[order[i]];
    uint32_t start = uint32_t(program.code.size());
    for (uint32_t at = block.first; at < block.last; ++at) {
      program.code.push_back(decoder.code[at]);
      program.meta.push_back(decoder.metas[at]);
    }
    program.code[start].flags |= kLeader;
    const Inst &last = decoder.code[block.last - 1];
    bool falls = (last.kind != Kind::Branch && last.kind != Kind::Exit &&
                  last.kind != Kind::Indexed) ||
                 (last.guard != kTrueMask && last.kind != Kind::Indexed);
    uint32_t next = blockAt.size() > block.last ? blockAt[block.last] : ~0u;
    if (falls && next != ~0u &&
        (i + 1 == order.size() || order[i + 1] != next)) {
      Inst jump;
      jump.kind = Kind::Branch;
      jump.imm = decoder.labels.size(); // Replaced below through `next`.
      jump.extra = next;
      jump.flags = kLeader; // Also where a conditional branch falls to.
      Meta meta = decoder.metas[block.last - 1];
      meta.uses = meta.defs = 0;
      meta.pipe = Pipe::Control;
      meta.tensorFlops = 0;
      if (!haveName) {
        jumpName = uint32_t(program.opcodes.size());
        program.opcodes.push_back("(jump)");
        haveName = true;
      }
      meta.opcode = jumpName;
      program.code.push_back(jump);
      program.meta.push_back(meta);
    }
    range[order[i]] = {start, uint32_t(program.code.size())};
  }
  auto pcOfLabel = [&](uint64_t label) {
    return range[blockAt[decoder.labels[label]]].first;
  };
  for (Inst &inst : program.code) {
    if (inst.kind == Kind::Branch)
      inst.imm = inst.imm == decoder.labels.size() ? range[inst.extra].first
                                                   : pcOfLabel(inst.imm);
    if (inst.kind == Kind::Indexed)
      for (uint64_t k = 0; k < inst.imm; ++k)
        program.extra[inst.extra + k] =
            pcOfLabel(program.extra[inst.extra + k]);
  }
}

/// Marks instructions that read, or keep the books of, registers which some
/// path leaves unset. Moves and arithmetic pass the state on; it is an error
/// only where the value matters (memory, control, matrix instructions).
void Layout::findUninitialised() {
  size_t registers = decoder.registerTypes.size();
  std::vector<BitSet> in(blocks.size(), BitSet(registers));
  std::vector<bool> reached(blocks.size());
  auto transfer = [&](const Inst &inst, const Meta &meta, BitSet &state) {
    bool tainted = false;
    if (inst.kind == Kind::Plain)
      forUses(meta, [&](uint32_t r) { tainted |= state.test(r); });
    bool guarded = inst.guard != kTrueMask;
    forDefs(meta, [&](uint32_t r) {
      if (tainted)
        state.set(r);
      else if (!guarded)
        state.clear(r);
    });
  };
  in[0] = BitSet(registers, true);
  reached[0] = true;
  bool changed = true;
  while (changed) {
    changed = false;
    for (uint32_t b : order) {
      BitSet state = in[b];
      auto [first, last] = range[b];
      for (uint32_t pc = first; pc < last; ++pc)
        transfer(program.code[pc], program.meta[pc], state);
      for (uint32_t to : blocks[b].successors)
        changed |= in[to].unite(state);
    }
  }
  BitSet tracked(registers);
  bool any = false;
  for (uint32_t b : order) {
    BitSet state = in[b];
    auto [first, last] = range[b];
    for (uint32_t pc = first; pc < last; ++pc) {
      forUses(program.meta[pc], [&](uint32_t r) {
        if (state.test(r)) {
          tracked.set(r);
          any = true;
        }
      });
      transfer(program.code[pc], program.meta[pc], state);
    }
  }
  if (!any)
    return;
  // Registers of the lists become numbers of tracked registers, others ~0.
  std::vector<uint32_t> number(registers, ~0u);
  tracked.forEach([&](size_t r) { number[r] = program.trackedRegisters++; });
  for (size_t pc = 0; pc < program.code.size(); ++pc) {
    bool touches = false;
    auto look = [&](uint32_t r) { touches |= tracked.test(r); };
    forUses(program.meta[pc], look);
    forDefs(program.meta[pc], look);
    if (touches)
      program.code[pc].flags |= kTracked;
  }
  program.trackedNumber = std::move(number);
}

/// Numbers the registers that wgmma works on, and those that plain moves
/// connect with them, and marks the other instructions that touch them.
void Layout::findWarpgroupRegisters() {
  if (!program.usesWarpgroups)
    return;
  size_t registers = decoder.registerTypes.size();
  BitSet members(registers);
  for (const Meta &meta : program.meta)
    if (meta.warpgroup) {
      forDefs(meta, [&](uint32_t r) { members.set(r); });
      forUses(meta, [&](uint32_t r) {
        Type type = decoder.registerTypes[r];
        if (type != Type::Pred && bitsOf(type) == 32) // No descriptors.
          members.set(r);
      });
    }
  bool changed = true;
  while (changed) {
    changed = false;
    for (const Meta &meta : program.meta) {
      if (!meta.plainMove || !meta.defs || !meta.uses)
        continue;
      uint32_t to = program.registerLists[meta.firstDef];
      uint32_t from = program.registerLists[meta.firstUse];
      if (decoder.registerTypes[from] == Type::Pred ||
          members.test(to) == members.test(from))
        continue;
      members.set(to);
      members.set(from);
      changed = true;
    }
  }
  program.warpgroupNumber.assign(registers, ~0u);
  members.forEach([&](size_t r) {
    program.warpgroupNumber[r] = uint32_t(program.warpgroupRows.size());
    program.warpgroupRows.push_back(0);
  });
  for (size_t pc = 0; pc < program.code.size(); ++pc) {
    bool touches = false;
    auto look = [&](uint32_t r) { touches |= members.test(r); };
    forUses(program.meta[pc], look);
    forDefs(program.meta[pc], look);
    if (touches && !program.meta[pc].warpgroup)
      program.code[pc].flags |= kWarpgroup;
  }
}

/// Finds what touches a register between a tcgen05.ld of it and the next
/// tcgen05.wait::ld: wrong, but for moves, whose copies come with the original.
void Layout::findTensorLoads() {
  size_t registers = decoder.registerTypes.size();
  auto transfer = [&](const Inst &inst, const Meta &meta, BitSet &state) {
    if (meta.tensorWait)
      state = BitSet(registers);
    bool copies = false;
    if (meta.plainMove)
      forUses(meta, [&](uint32_t r) { copies |= state.test(r); });
    bool guarded = inst.guard != kTrueMask;
    forDefs(meta, [&](uint32_t r) {
      if (meta.tensorLoad || copies)
        state.set(r);
      else if (!guarded)
        state.clear(r);
    });
  };
  std::vector<BitSet> in(blocks.size(), BitSet(registers));
  bool changed = std::any_of(program.meta.begin(), program.meta.end(),
                             [](const Meta &meta) { return meta.tensorLoad; });
  while (changed) {
    changed = false;
    for (uint32_t b : order) {
      BitSet state = in[b];
      auto [first, last] = range[b];
      for (uint32_t pc = first; pc < last; ++pc)
        transfer(program.code[pc], program.meta[pc], state);
      for (uint32_t to : blocks[b].successors)
        changed |= in[to].unite(state);
    }
  }
  BitSet loading(registers);
  std::vector<uint32_t> touching;
  bool wrong = false;
  for (uint32_t b : order) {
    BitSet state = in[b];
    auto [first, last] = range[b];
    for (uint32_t pc = first; pc < last; ++pc) {
      const Meta &meta = program.meta[pc];
      bool touches = meta.tensorLoad || meta.tensorWait;
      auto look = [&](uint32_t r) {
        if (!state.test(r))
          return;
        loading.set(r);
        touches = true;
        wrong |= !meta.tensorLoad && !meta.plainMove;
      };
      forUses(meta, look);
      forDefs(meta, look);
      if (touches)
        touching.push_back(pc);
      transfer(program.code[pc], meta, state);
      if (meta.plainMove)
        forDefs(meta, [&](uint32_t r) {
          if (state.test(r))
            loading.set(r);
        });
    }
  }
  if (!wrong)
    return;
  program.loadNumber.assign(registers, ~0u);
  loading.forEach(
      [&](size_t r) { program.loadNumber[r] = program.loadRegisters++; });
  for (uint32_t pc : touching)
    program.code[pc].flags |= kTensorLoad;
}

bool Layout::assignRows(std::string &message) {
  size_t registers = decoder.registerTypes.size();
  std::vector<BitSet> liveIn(blocks.size(), BitSet(registers));
  std::vector<BitSet> liveOut(blocks.size(), BitSet(registers));
  auto backwards = [&](uint32_t b, BitSet &state) {
    auto [first, last] = range[b];
    for (uint32_t pc = last; pc-- > first;) {
      const Meta &meta = program.meta[pc];
      // A guarded write keeps the other lanes' old value.
      if (program.code[pc].guard == kTrueMask)
        forDefs(meta, [&](uint32_t r) { state.clear(r); });
      else
        forDefs(meta, [&](uint32_t r) { state.set(r); });
      forUses(meta, [&](uint32_t r) { state.set(r); });
    }
  };
  bool changed = true;
  while (changed) {
    changed = false;
    for (size_t i = order.size(); i-- > 0;) {
      uint32_t b = order[i];
      for (uint32_t to : blocks[b].successors)
        liveOut[b].unite(liveIn[to]);
      BitSet state = liveOut[b];
      backwards(b, state);
      changed |= liveIn[b].unite(state);
    }
  }
  // The hull of all places where a register is live.
  std::vector<std::pair<uint32_t, uint32_t>> hull(registers, {~0u, 0});
  auto extend = [&](size_t r, uint32_t pc) {
    hull[r].first = std::min(hull[r].first, pc);
    hull[r].second = std::max(hull[r].second, pc);
  };
  for (uint32_t b : order) {
    auto [first, last] = range[b];
    liveIn[b].forEach([&](size_t r) { extend(r, first); });
    liveOut[b].forEach([&](size_t r) { extend(r, last - 1); });
    for (uint32_t pc = first; pc < last; ++pc) {
      auto here = [&](uint32_t r) { extend(r, pc); };
      forUses(program.meta[pc], here);
      forDefs(program.meta[pc], here);
    }
  }
  // Values may come at a wait, wherever that is: no row is shared.
  for (uint32_t r = 0; r < program.warpgroupNumber.size(); ++r)
    if (program.warpgroupNumber[r] != ~0u)
      hull[r] = {0, uint32_t(program.code.size())};
  std::vector<uint32_t> byStart;
  for (uint32_t r = 0; r < registers; ++r)
    if (hull[r].first != ~0u)
      byStart.push_back(r);
  std::sort(byStart.begin(), byStart.end(), [&](uint32_t a, uint32_t b) {
    return hull[a].first < hull[b].first;
  });
  struct Class {
    uint32_t bytes;
    std::vector<uint32_t> free;
    std::vector<std::pair<uint32_t, uint32_t>> active; ///< Heap of (end, row).
  };
  Class classes[4] = {{4, {}, {}}, {128, {}, {}}, {256, {}, {}}, {512, {}, {}}};
  std::vector<uint32_t> rowOf(registers, kScratchRow);
  // Predicates are packed first so that rows stay aligned.
  uint64_t next = kFirstRow;
  auto assign = [&](uint32_t r, Class &c) {
    auto later = [](auto &a, auto &b) { return a.first > b.first; };
    while (!c.active.empty() && c.active.front().first < hull[r].first) {
      c.free.push_back(c.active.front().second);
      std::pop_heap(c.active.begin(), c.active.end(), later);
      c.active.pop_back();
    }
    uint32_t row;
    if (c.free.empty()) {
      row = uint32_t(next);
      next += c.bytes;
    } else {
      row = c.free.back();
      c.free.pop_back();
    }
    rowOf[r] = row;
    c.active.push_back({hull[r].second, row});
    std::push_heap(c.active.begin(), c.active.end(), later);
  };
  auto classOf = [&](uint32_t r) -> unsigned {
    Type type = decoder.registerTypes[r];
    return type == Type::Pred    ? 0
           : bitsOf(type) == 128 ? 3
           : bitsOf(type) == 64  ? 2
                                 : 1;
  };
  for (unsigned pass = 0; pass < 2; ++pass) {
    for (uint32_t r : byStart)
      if ((classOf(r) == 0) == (pass == 0))
        assign(r, classes[classOf(r)]);
    next = (next + 127) / 128 * 128;
  }
  if (next + program.constantBytes >= kVirtual) {
    message = "program: too many live registers";
    return false;
  }
  for (uint32_t r = 0; r < program.warpgroupNumber.size(); ++r)
    if (program.warpgroupNumber[r] != ~0u)
      program.warpgroupRows[program.warpgroupNumber[r]] = rowOf[r];
  program.constantBase = uint32_t(next);
  program.registerBytes = uint32_t(next) + program.constantBytes;
  auto patch = [&](uint32_t &op) {
    if (op & kConstant)
      op = program.constantBase + (op & ~kConstant);
    else if (op & kVirtual)
      op = rowOf[op & ~kVirtual];
  };
  for (Inst &inst : program.code) {
    patch(inst.guard);
    for (uint32_t &op : inst.ops)
      patch(op);
  }
  // Extra operands; the targets of indexed branches are pcs and stay below
  // the marking bits.
  for (uint32_t &op : program.extra)
    patch(op);
  program.rows = std::move(rowOf);
  return true;
}

bool Layout::run(std::string &message) {
  findBlocks();
  member.assign(blocks.size(), 1);
  std::vector<uint32_t> all(blocks.size());
  for (uint32_t i = 0; i < all.size(); ++i)
    all[i] = i;
  orderBlocks(all, {0}, 1);
  place();
  findUninitialised();
  findWarpgroupRegisters();
  findTensorLoads();
  return assignRows(message);
}

} // namespace

bool flash::emu::layOutProgram(Decoder &decoder, Program &program,
                               std::string &message) {
  return Layout(decoder, program).run(message);
}

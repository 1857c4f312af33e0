//===- PtxLoops.cpp - The loops of a PTX kernel ---------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/CostModel/PtxLoops.h"

#include <algorithm>
#include <map>
#include <utility>

using namespace flash;

namespace {

constexpr std::string_view kSpace = " \t\r";

std::string_view trim(std::string_view text) {
  size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos)
    return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

/// Takes the first word off `text`.
std::string_view takeWord(std::string_view &text) {
  size_t end = std::min(text.find_first_of(" \t;"), text.size());
  std::string_view word = text.substr(0, end);
  text = trim(text.substr(end));
  return word;
}

bool startsWithAny(std::string_view text,
                   std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view p) { return text.starts_with(p); });
}

bool hasModifier(std::string_view opcode, std::string_view modifier) {
  for (size_t at = opcode.find(modifier); at != std::string_view::npos;
       at = opcode.find(modifier, at + 1)) {
    size_t end = at + modifier.size();
    if (end == opcode.size() || opcode[end] == '.')
      return true;
  }
  return false;
}

/// Splits a kernel's text into blocks and connects them.
class Reader {
public:
  explicit Reader(PtxKernel &kernel) : kernel(kernel) {}

  void read(std::string_view ptx, std::string_view entry) {
    unsigned line = 0;
    int depth = 0;
    bool inside = false;
    while (!ptx.empty()) {
      size_t end = std::min(ptx.find('\n'), ptx.size());
      std::string_view text = ptx.substr(0, end);
      ptx.remove_prefix(std::min(end + 1, ptx.size()));
      ++line;
      text = trim(text.substr(0, text.find("//")));
      if (!inside && isEntry(text, entry)) {
        inside = true;
        newBlock();
      }
      if (!inside || text.empty())
        continue;
      if (continues) { // Operands of the instruction that began above.
        continues = text.find(';') == std::string_view::npos;
        continue;
      }
      if (text == "{") {
        ++depth;
        continue;
      }
      if (text == "}") {
        if (--depth == 0)
          break;
        continue;
      }
      if (depth > 0)
        readLine(text, line);
    }
    connect();
  }

private:
  static bool isEntry(std::string_view text, std::string_view entry) {
    size_t at = text.find(".entry");
    if (at == std::string_view::npos)
      return false;
    std::string_view name = trim(text.substr(at + 6));
    return name.substr(0, name.find_first_of(" \t(")) == entry;
  }

  void newBlock() {
    kernel.blocks.emplace_back();
    targets.emplace_back();
    fallsThrough.push_back(true);
  }

  void readLine(std::string_view text, unsigned line) {
    // Inline assembly opens and closes its scope on the lines it fills.
    while (text.starts_with('{') || text.starts_with('}'))
      text = trim(text.substr(1));
    if (text.empty() || text.starts_with('.'))
      return;
    size_t colon = text.find(':');
    if (colon != std::string_view::npos &&
        text.find_first_of(" \t;[") > colon) {
      if (!kernel.blocks.back().instructions.empty())
        newBlock();
      labels[std::string(text.substr(0, colon))] =
          unsigned(kernel.blocks.size() - 1);
      return;
    }
    bool predicated = text.starts_with('@');
    if (predicated)
      takeWord(text);
    continues = text.find(';') == std::string_view::npos;
    std::string_view opcode = takeWord(text);
    kernel.blocks.back().instructions.push_back(
        {line, std::string(opcode), classify(opcode)});
    bool branch = opcode == "bra" || opcode.starts_with("bra.");
    bool leaves = opcode == "ret" || opcode == "exit" || opcode == "trap";
    if (!branch && !leaves)
      return;
    if (branch)
      targets.back() = std::string(text.substr(0, text.find(';')));
    fallsThrough.back() = predicated;
    newBlock();
  }

  void connect() {
    for (unsigned i = 0; i < kernel.blocks.size(); ++i) {
      auto label = labels.find(targets[i]);
      if (label != labels.end())
        kernel.blocks[i].successors.push_back(label->second);
      if (fallsThrough[i] && i + 1 < kernel.blocks.size())
        kernel.blocks[i].successors.push_back(i + 1);
    }
  }

  PtxKernel &kernel;
  bool continues = false;
  std::map<std::string, unsigned> labels;
  std::vector<std::string> targets;
  std::vector<bool> fallsThrough;
};

/// Finds natural loops. Kernels have a few hundred blocks at most, so sets are
/// bit vectors and dominators come from the defining equations.
class LoopFinder {
public:
  explicit LoopFinder(PtxKernel &kernel)
      : kernel(kernel), size(unsigned(kernel.blocks.size())) {}

  void run() {
    postOrder();
    dominators();
    std::map<unsigned, std::vector<unsigned>> latches;
    for (unsigned block : order)
      for (unsigned next : kernel.blocks[block].successors)
        if (dominates(next, block))
          latches[next].push_back(block);
    for (auto &[header, ends] : latches)
      kernel.loops.push_back(naturalLoop(header, ends));
    for (PtxLoop &loop : kernel.loops)
      for (const PtxLoop &other : kernel.loops)
        loop.depth += &loop != &other && contains(other, loop.header);
  }

private:
  static bool contains(const PtxLoop &loop, unsigned block) {
    return std::find(loop.blocks.begin(), loop.blocks.end(), block) !=
           loop.blocks.end();
  }

  void postOrder() {
    std::vector<bool> seen(size, false);
    std::vector<std::pair<unsigned, unsigned>> stack = {{0, 0}};
    seen[0] = true;
    while (!stack.empty()) {
      auto &[block, next] = stack.back();
      const std::vector<unsigned> &successors = kernel.blocks[block].successors;
      if (next == successors.size()) {
        order.push_back(block);
        stack.pop_back();
        continue;
      }
      unsigned successor = successors[next++];
      if (!seen[successor]) {
        seen[successor] = true;
        stack.push_back({successor, 0});
      }
    }
    std::reverse(order.begin(), order.end());
    predecessors.resize(size);
    for (unsigned block : order)
      for (unsigned next : kernel.blocks[block].successors)
        predecessors[next].push_back(block);
  }

  void dominators() {
    dominatedBy.assign(size, std::vector<bool>(size, true));
    dominatedBy[0].assign(size, false);
    dominatedBy[0][0] = true;
    for (bool changed = true; changed;) {
      changed = false;
      for (unsigned block : order) {
        if (block == 0)
          continue;
        std::vector<bool> meet(size, true);
        for (unsigned before : predecessors[block])
          for (unsigned i = 0; i < size; ++i)
            meet[i] = meet[i] && dominatedBy[before][i];
        meet[block] = true;
        if (meet != dominatedBy[block]) {
          dominatedBy[block] = std::move(meet);
          changed = true;
        }
      }
    }
  }

  bool dominates(unsigned a, unsigned b) const { return dominatedBy[b][a]; }

  PtxLoop naturalLoop(unsigned header,
                      const std::vector<unsigned> &latches) const {
    std::vector<bool> in(size, false);
    in[header] = true;
    std::vector<unsigned> work = latches;
    while (!work.empty()) {
      unsigned block = work.back();
      work.pop_back();
      if (in[block])
        continue;
      in[block] = true;
      work.insert(work.end(), predecessors[block].begin(),
                  predecessors[block].end());
    }
    PtxLoop loop;
    loop.header = header;
    loop.latches = latches;
    for (unsigned block : order) {
      if (!in[block])
        continue;
      loop.blocks.push_back(block);
      if (std::all_of(latches.begin(), latches.end(),
                      [&](unsigned l) { return dominates(block, l); }))
        loop.always.push_back(block);
    }
    return loop;
  }

  PtxKernel &kernel;
  unsigned size;
  std::vector<unsigned> order; ///< Reachable blocks in reverse post-order.
  std::vector<std::vector<unsigned>> predecessors;
  std::vector<std::vector<bool>> dominatedBy;
};

} // namespace

std::string_view flash::name(PtxClass kind) {
  static constexpr std::string_view names[kNumPtxClasses] = {
      "mma",        "fma",         "float",        "exponential",  "integer",
      "convert",    "predicate",   "shared load",  "shared store", "ldmatrix",
      "async copy", "global load", "global store", "shuffle",      "barrier",
      "control",    "other"};
  return names[unsigned(kind)];
}

PtxClass flash::classify(std::string_view opcode) {
  std::string_view base = opcode.substr(0, opcode.find('.'));
  if (startsWithAny(base, {"mma", "wgmma", "wmma", "tcgen05"}))
    return PtxClass::Mma;
  if (base == "fma")
    return PtxClass::Fma;
  if (startsWithAny(base, {"ex2", "lg2", "rcp", "sqrt", "rsqrt", "sin", "cos",
                           "tanh", "div"}))
    return PtxClass::Exponential;
  if (base == "ldmatrix")
    return PtxClass::Ldmatrix;
  if (base == "stmatrix")
    return PtxClass::SharedStore;
  if (base == "cp")
    return PtxClass::AsyncCopy;
  if (base == "ld")
    return hasModifier(opcode, ".shared")   ? PtxClass::SharedLoad
           : hasModifier(opcode, ".global") ? PtxClass::GlobalLoad
                                            : PtxClass::Other;
  if (base == "st")
    return hasModifier(opcode, ".shared")   ? PtxClass::SharedStore
           : hasModifier(opcode, ".global") ? PtxClass::GlobalStore
                                            : PtxClass::Other;
  if (base == "atom" || base == "red")
    return PtxClass::GlobalStore;
  if (startsWithAny(base, {"shfl", "redux", "vote", "match", "activemask"}))
    return PtxClass::Shuffle;
  if (startsWithAny(base, {"bar", "mbarrier", "membar", "fence"}))
    return PtxClass::Barrier;
  if (startsWithAny(base, {"bra", "ret", "exit", "call", "trap"}))
    return PtxClass::Control;
  if (startsWithAny(base, {"setp", "selp", "set", "slct"}) ||
      hasModifier(opcode, ".pred"))
    return PtxClass::Predicate;
  if (startsWithAny(base, {"cvt", "mov", "prmt"}))
    return PtxClass::Convert;
  for (std::string_view type :
       {".f32", ".f16", ".bf16", ".f16x2", ".bf16x2", ".f32x2", ".f64"})
    if (opcode.ends_with(type))
      return PtxClass::Float;
  if (startsWithAny(base,
                    {"add", "sub", "mul",  "mad",  "min", "max", "neg", "abs",
                     "rem", "and", "or",   "xor",  "not", "shl", "shr", "shf",
                     "bfe", "bfi", "lop3", "popc", "clz", "sad"}))
    return PtxClass::Integer;
  return PtxClass::Other;
}

PtxKernel PtxKernel::parse(std::string_view ptx, std::string_view entry) {
  PtxKernel kernel;
  Reader(kernel).read(ptx, entry);
  if (!kernel.blocks.empty())
    LoopFinder(kernel).run();
  return kernel;
}

PtxClassCounts PtxKernel::count(const std::vector<unsigned> &which) const {
  PtxClassCounts counts = {};
  for (unsigned block : which)
    for (const PtxInstruction &instruction : blocks[block].instructions)
      ++counts[unsigned(instruction.kind)];
  return counts;
}

namespace {

/// Collects the KV loops of a kernel.
class KvLoopFinder {
public:
  explicit KvLoopFinder(const PtxKernel &kernel) : kernel(kernel) {}

  void run() {
    for (const PtxLoop &loop : kernel.loops)
      if (loop.depth == 0 && hasProduct(loop))
        visit(loop);
  }

  std::vector<const PtxLoop *> found;

private:
  bool hasProduct(const PtxLoop &loop) const {
    PtxClassCounts counts = kernel.count(loop.blocks);
    return counts[unsigned(PtxClass::Mma)] || counts[unsigned(PtxClass::Fma)];
  }

  /// The outermost loops with a product in `outer`.
  std::vector<const PtxLoop *> productsIn(const PtxLoop &outer) const {
    std::vector<const PtxLoop *> inner;
    for (const PtxLoop &loop : kernel.loops)
      if (loop.depth == outer.depth + 1 && hasProduct(loop) &&
          std::find(outer.blocks.begin(), outer.blocks.end(), loop.header) !=
              outer.blocks.end())
        inner.push_back(&loop);
    return inner;
  }

  /// A loop that does nothing but integer arithmetic outside of `inner`: it
  /// goes from one mask band to the next.
  bool onlySteps(const PtxLoop &loop,
                 const std::vector<const PtxLoop *> &inner) const {
    std::vector<unsigned> own;
    for (unsigned block : loop.blocks)
      if (std::none_of(inner.begin(), inner.end(), [&](const PtxLoop *other) {
            return std::find(other->blocks.begin(), other->blocks.end(),
                             block) != other->blocks.end();
          }))
        own.push_back(block);
    PtxClassCounts counts = kernel.count(own);
    for (PtxClass scalar : {PtxClass::Integer, PtxClass::Convert,
                            PtxClass::Predicate, PtxClass::Control})
      counts[unsigned(scalar)] = 0;
    return std::all_of(counts.begin(), counts.end(),
                       [](uint64_t count) { return count == 0; });
  }

  void visit(const PtxLoop &loop) {
    std::vector<const PtxLoop *> inner = productsIn(loop);
    if (inner.empty() || !onlySteps(loop, inner)) {
      found.push_back(&loop);
      return;
    }
    for (const PtxLoop *other : inner)
      visit(*other);
  }

  const PtxKernel &kernel;
};

} // namespace

std::vector<const PtxLoop *> PtxKernel::kvLoops() const {
  KvLoopFinder finder(*this);
  finder.run();
  return finder.found;
}

//===- Mutations.cpp - Mistakes put into PTX --------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//===----------------------------------------------------------------------===//

#include "Mutations.h"

#include <cctype>
#include <utility>

using namespace flash::emu::test;

namespace {

/// One line of PTX: `@guard opcode a, b, c;`.
struct Statement {
  std::string guard, opcode;
  std::vector<std::string> operands;

  bool is(std::string_view prefix) const { return opcode.starts_with(prefix); }
  bool has(std::string_view part) const {
    return opcode.find(part) != std::string::npos;
  }
};

std::string trimmed(std::string_view text) {
  size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos)
    return "";
  size_t last = text.find_last_not_of(" \t");
  return std::string(text.substr(first, last - first + 1));
}

Statement parseLine(std::string_view line) {
  Statement statement;
  std::string text = trimmed(line);
  if (text.empty() || text.back() != ';')
    return statement;
  text.pop_back();
  if (text[0] == '@') {
    size_t space = text.find_first_of(" \t");
    statement.guard = text.substr(0, space) + " ";
    text = trimmed(std::string_view(text).substr(space));
  }
  size_t space = text.find_first_of(" \t");
  statement.opcode = text.substr(0, space);
  if (space == std::string::npos)
    return statement;
  // Commas inside braces and brackets belong to an operand.
  int depth = 0;
  std::string operand;
  for (char c : text.substr(space)) {
    depth += (c == '[' || c == '{') - (c == ']' || c == '}');
    if (c == ',' && depth == 0) {
      statement.operands.push_back(trimmed(operand));
      operand.clear();
    } else {
      operand += c;
    }
  }
  statement.operands.push_back(trimmed(operand));
  return statement;
}

std::string print(const Statement &statement) {
  std::string text = statement.guard + statement.opcode;
  for (size_t i = 0; i < statement.operands.size(); ++i)
    text += (i ? ", " : " ") + statement.operands[i];
  return text + ";";
}

/// The statement with operand `index` combined with a constant by `operation`.
std::string withChanged(Statement statement, size_t index,
                        const std::string &operation, unsigned by) {
  std::string old = std::exchange(statement.operands[index], "changed");
  return "{ .reg .b32 changed; mov.b32 changed, " + old + "; " + operation +
         " changed, changed, " + std::to_string(by) + "; " + print(statement) +
         " }";
}

/// One line, replaced.
using Edit = std::pair<size_t, std::string>;

class Mutator {
public:
  Mutator(std::string_view ptx, std::string_view kernel) {
    for (size_t at = 0; at < ptx.size();) {
      size_t stop = std::min(ptx.find('\n', at), ptx.size());
      lines.emplace_back(ptx.substr(at, stop - at));
      at = stop + 1;
    }
    std::string entry = ".entry " + std::string(kernel) + "(";
    size_t at = 0;
    while (at < lines.size() && lines[at].find(entry) == std::string::npos)
      ++at;
    int depth = 0;
    for (bool open = false; at < lines.size() && (!open || depth > 0); ++at) {
      for (char c : lines[at])
        depth += (c == '{') - (c == '}');
      open |= depth > 0;
      statements.resize(at + 1);
      statements[at] = parseLine(lines[at]);
    }
  }

  std::vector<Mutant> run() {
    for (size_t at = 0; at < statements.size(); ++at)
      if (!statements[at].opcode.empty())
        visit(at);
    return std::move(mutants);
  }

private:
  void visit(size_t at);
  void arrivals(size_t at);
  void earlyRelease(size_t at);

  void add(size_t at, const std::string &change, std::vector<Edit> edits) {
    Mutant mutant;
    mutant.line = unsigned(at + 1);
    mutant.change = change;
    mutant.subject = trimmed(lines[at]);
    for (size_t i = 0; i < lines.size(); ++i) {
      const std::string *text = &lines[i];
      for (const Edit &edit : edits)
        if (edit.first == i)
          text = &edit.second;
      mutant.ptx += *text + "\n";
    }
    mutants.push_back(std::move(mutant));
  }
  void add(size_t at, const std::string &change, const std::string &text) {
    add(at, change, std::vector<Edit>{{at, text}});
  }

  std::vector<std::string> lines;
  std::vector<Statement> statements; ///< By line; empty outside the kernel.
  std::vector<Mutant> mutants;
};

void Mutator::visit(size_t at) {
  const Statement &s = statements[at];
  for (const char *dropped :
       {"bar.", "barrier.", "cp.async.wait_group", "cp.async.commit_group",
        "cp.async.mbarrier.arrive", "cp.async.bulk.wait_group",
        "cp.async.bulk.commit_group", "wgmma.fence", "wgmma.wait_group",
        "wgmma.commit_group", "fence.proxy.async", "mbarrier.arrive",
        "setmaxnreg.dec", "tcgen05.commit", "tcgen05.wait"})
    if (s.is(dropped))
      add(at, "drop", "");

  // One group more may be in flight.
  if (s.has("wait_group")) {
    Statement weaker = s;
    weaker.operands[0] = std::to_string(std::stoi(s.operands[0]) + 1);
    add(at, "wait for one group less", print(weaker));
  }

  // A barrier that waits for a warp less lets that one be late; one that waits
  // for a warp more waits for ever.
  if (s.is("bar.sync") && s.operands.size() == 2) {
    add(at, "one warp less", withChanged(s, 1, "sub.u32", 32));
    add(at, "one warp more", withChanged(s, 1, "add.u32", 32));
  }
  if (s.is("mbarrier.init")) {
    add(at, "one arrival less", withChanged(s, 1, "sub.u32", 1));
    add(at, "one arrival more", withChanged(s, 1, "add.u32", 1));
  }
  if (s.has("expect_tx")) {
    size_t bytes = s.operands.size() - 1;
    add(at, "expect 16 bytes less", withChanged(s, bytes, "sub.u32", 16));
    add(at, "expect 16 bytes more", withChanged(s, bytes, "add.u32", 16));
  }

  // What came before is not passed on.
  if (size_t release = s.opcode.find(".arrive.release");
      release != std::string::npos) {
    Statement weaker = s;
    weaker.opcode.replace(release, 15, ".arrive.relaxed");
    add(at, "relaxed", print(weaker));
  }

  // The loop around a wait: it asks once and goes on.
  if (s.is("bra") && !s.guard.empty() &&
      (statements[at - 1].is("mbarrier.try_wait") ||
       statements[at - 1].is("mbarrier.test_wait")))
    add(at, "do not wait", "");
  if (s.has("_wait.parity"))
    add(at, "other parity",
        withChanged(s, s.operands.size() - 1, "xor.b32", 1));

  if (s.is("mbarrier.arrive"))
    arrivals(at);
  earlyRelease(at);
}

void Mutator::arrivals(size_t at) {
  const Statement &s = statements[at];
  // Not for tokens: the second would be another thread's.
  if (s.operands[0] != "_")
    return;
  add(at, "arrive twice", print(s) + " " + print(s));
  if (s.has("expect_tx"))
    return;
  Statement other = s;
  if (s.guard.empty()) {
    other.guard = "@one ";
    other.operands.push_back("32");
    add(at, "one lane arrives for all",
        "{ .reg .pred one; .reg .b32 lane; mov.u32 lane, %laneid; "
        "setp.eq.u32 one, lane, 0; " +
            print(other) + " }");
  } else {
    other.guard = "";
    add(at, "all lanes arrive", print(other));
  }
}

/// A wait for reads, or a read, moves behind the arrival that hands the buffer
/// back, if both are on one straight line and nothing between needs the value.
void Mutator::earlyRelease(size_t at) {
  const Statement &s = statements[at];
  bool load = s.is("ld.shared");
  if (!load && !s.is("wgmma.wait_group"))
    return;
  for (size_t next = at + 1; next < statements.size(); ++next) {
    const Statement &between = statements[next];
    if (between.is("mbarrier.arrive") && !between.has("expect_tx")) {
      add(at, "release before",
          {{at, ""}, {next, print(between) + " " + print(s)}});
      return;
    }
    bool label = !lines[next].empty() && trimmed(lines[next]).back() == ':';
    if (label || between.is("bra") || between.is("bar") ||
        between.is("ld.shared") || between.is("wgmma"))
      return;
    if (load && lines[next].find(s.operands[0]) != std::string::npos)
      return;
  }
}

} // namespace

std::vector<Mutant> flash::emu::test::mutantsOf(std::string_view ptx,
                                                std::string_view kernel) {
  return Mutator(ptx, kernel).run();
}

//===- Report.cpp - Issues and counters, for people and programs *- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Report.h"

#include <algorithm>
#include <cstdio>
#include <map>

using namespace flash::emu;

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

std::optional<Chip> flash::emu::parseChip(std::string_view name) {
  // Architecture-specific features ("a", "f") do not change the numerics.
  if (!name.empty() && (name.back() == 'a' || name.back() == 'f'))
    name.remove_suffix(1);
  if (name == "sm_80")
    return Chip::SM80;
  if (name == "sm_86" || name == "sm_87")
    return Chip::SM86;
  if (name == "sm_89")
    return Chip::SM89;
  if (name == "sm_90")
    return Chip::SM90;
  if (name == "sm_100" || name == "sm_103")
    return Chip::SM100;
  if (name == "sm_120" || name == "sm_121")
    return Chip::SM120;
  return std::nullopt;
}

std::string_view flash::emu::chipName(Chip chip) {
  static constexpr std::string_view names[] = {"sm_80", "sm_86",  "sm_89",
                                               "sm_90", "sm_100", "sm_120"};
  return names[unsigned(chip)];
}

std::optional<AsyncMode> flash::emu::parseAsyncMode(std::string_view name) {
  if (name == "eager")
    return AsyncMode::Eager;
  if (name == "lazy")
    return AsyncMode::Lazy;
  if (name == "random")
    return AsyncMode::Random;
  return std::nullopt;
}

std::string_view flash::emu::issueKindName(IssueKind kind) {
  static constexpr std::string_view names[] = {
      "race",          "deadlock",        "out-of-bounds", "misaligned",
      "uninitialised", "poisoned",        "divergence",    "barrier",
      "tensor-memory", "budget",          "trap",          "launch",
      "unsupported",   "register-hazard", "registers"};
  return names[unsigned(kind)];
}

std::string_view flash::emu::pipeName(Pipe pipe) {
  static constexpr std::string_view names[kNumPipes] = {
      "alu", "fma", "fp64", "mufu", "tensor", "lsu", "control"};
  return names[unsigned(pipe)];
}

std::string_view flash::emu::spaceName(Space space) {
  static constexpr std::string_view names[kNumSpaces] = {
      "global", "shared", "local", "param", "const"};
  return names[unsigned(space)];
}

//===----------------------------------------------------------------------===//
// Issues
//===----------------------------------------------------------------------===//

namespace {

/// "file:line" of the `.loc` that covers an instruction, "" without one.
std::string sourceOf(const Program &program, const Meta &meta) {
  if (!meta.location)
    return "";
  const syntax::Location &at = program.module->locations[meta.location - 1];
  auto file = program.module->files.find(at.file);
  if (file == program.module->files.end())
    return "";
  return std::string(file->second) + ":" + std::to_string(at.line);
}

} // namespace

bool IssueSink::wants(IssueKind kind, uint32_t pc, uint32_t otherPc) {
  // Instructions of one line and kind fold together, whatever inlining made
  // of them.
  uint64_t line = pc == kNoPc ? 0 : program.meta[pc].line;
  uint64_t other = otherPc == kNoPc ? 0 : program.meta[otherPc].line;
  uint64_t key =
      uint64_t(kind) << 56 | (line & 0xfffffff) << 28 | (other & 0xfffffff);
  std::lock_guard<std::mutex> lock(mutex);
  return ++counts[key] == 1;
}

void IssueSink::add(IssueKind kind, const Cta *cta, const Warp *warp,
                    uint32_t pc, uint32_t otherPc, uint32_t lanes,
                    std::string message) {
  Issue issue;
  issue.kind = kind;
  issue.kernel = program.info.name;
  issue.message = std::move(message);
  issue.lanes = lanes;
  if (cta)
    issue.cta = cta->id;
  if (warp)
    issue.warp = warp->id;
  if (pc != kNoPc) {
    const Meta &meta = program.meta[pc];
    issue.line = meta.line;
    issue.text = program.module->lineText(meta.line);
    issue.source = sourceOf(program, meta);
  }
  if (otherPc != kNoPc) {
    issue.otherLine = program.meta[otherPc].line;
    issue.message += "; line " + std::to_string(issue.otherLine) + ": `" +
                     std::string(program.module->lineText(issue.otherLine)) +
                     "`";
  }
  uint64_t key = uint64_t(kind) << 56 | uint64_t(issue.line & 0xfffffff) << 28 |
                 (issue.otherLine & 0xfffffff);
  std::lock_guard<std::mutex> lock(mutex);
  if (issues.size() < maxIssues) {
    issues.push_back(std::move(issue));
    keys.push_back(key);
  }
}

void IssueSink::finish(Report &report) {
  for (size_t i = 0; i < issues.size(); ++i)
    issues[i].count = counts[keys[i]];
  for (auto &[key, count] : counts) {
    report.races += IssueKind(key >> 56) == IssueKind::Race;
    report.deadlock |= IssueKind(key >> 56) == IssueKind::Deadlock;
  }
  report.ok = counts.empty();
  report.issues = std::move(issues);
}

std::string Issue::str() const {
  char where[192];
  std::string result(issueKindName(kind));
  result += " in kernel '" + kernel + "'";
  if (line) {
    std::snprintf(where, sizeof(where), ", line %u", line);
    result += where;
    if (!source.empty())
      result += " (" + source + ")";
    std::snprintf(where, sizeof(where),
                  ", CTA (%u, %u, %u), warp %u, lanes 0x%08x", cta[0], cta[1],
                  cta[2], warp, lanes);
    result += where;
    result += ": `" + text + "`";
  }
  result += "\n  " + message;
  if (count > 1)
    result += "\n  (" + std::to_string(count) + " times)";
  return result;
}

//===----------------------------------------------------------------------===//
// Counters
//===----------------------------------------------------------------------===//

void CounterSet::add(const CounterSet &other) {
  issued += other.issued;
  for (unsigned i = 0; i < kNumPipes; ++i)
    pipes[i] += other.pipes[i];
  tensorFlops += other.tensorFlops;
  sharedWavefronts += other.sharedWavefronts;
  sharedWavefrontsIdeal += other.sharedWavefrontsIdeal;
  globalSectors += other.globalSectors;
  globalSectorsIdeal += other.globalSectorsIdeal;
  for (unsigned i = 0; i < kNumSpaces; ++i) {
    bytesLoaded[i] += other.bytesLoaded[i];
    bytesStored[i] += other.bytesStored[i];
  }
}

void flash::emu::fillCounters(Report &report, const Program &program,
                              const std::vector<ThreadCounts> &counts) {
  std::map<unsigned, LineCounters> lines;
  std::map<std::string, uint64_t> opcodes;
  for (size_t pc = 0; pc < program.code.size(); ++pc) {
    const Meta &meta = program.meta[pc];
    CounterSet set;
    for (const ThreadCounts &thread : counts) {
      set.issued += thread.issued[pc];
      set.tensorFlops += thread.tensorFlops[pc];
      if (thread.memory.empty())
        continue;
      const MemoryCounts &memory = thread.memory[pc];
      set.sharedWavefronts += memory.sharedWavefronts;
      set.sharedWavefrontsIdeal += memory.sharedWavefrontsIdeal;
      set.globalSectors += memory.globalSectors;
      set.globalSectorsIdeal += memory.globalSectorsIdeal;
      for (unsigned i = 0; i < kNumSpaces; ++i) {
        set.bytesLoaded[i] += memory.loaded[i];
        set.bytesStored[i] += memory.stored[i];
      }
    }
    if (!set.issued)
      continue;
    // Jumps that the layout added are no instruction of the kernel.
    if (program.opcodes[meta.opcode] == "(jump)")
      continue;
    set.pipes[unsigned(meta.pipe)] = set.issued;
    set.tensorFlops += set.issued * meta.tensorFlops;
    opcodes[program.opcodes[meta.opcode]] += set.issued;
    LineCounters &entry = lines[meta.line];
    entry.counts.add(set);
    if (entry.source.empty())
      entry.source = sourceOf(program, meta);
    report.counters.total.add(set);
  }
  for (auto &[line, entry] : lines) {
    entry.line = line;
    entry.text = program.module->lineText(line);
    report.counters.lines.push_back(std::move(entry));
  }
  report.counters.opcodes.assign(opcodes.begin(), opcodes.end());
  report.warpInstructions = report.counters.total.issued;
}

namespace {

std::string jsonString(std::string_view text) {
  std::string result = "\"";
  for (char c : text) {
    char escaped[8];
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (c == '\n') {
      result += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 ||
               static_cast<unsigned char>(c) >= 0x7f) {
      std::snprintf(escaped, sizeof(escaped), "\\u%04x",
                    static_cast<unsigned char>(c));
      result += escaped;
    } else {
      result += c;
    }
  }
  return result + '"';
}

std::string jsonCounters(const CounterSet &set) {
  std::string text = "\"warp_instructions\": " + std::to_string(set.issued);
  auto member = [&](const std::string &name, uint64_t value) {
    text += ", \"" + name + "\": " + std::to_string(value);
  };
  for (unsigned i = 0; i < kNumPipes; ++i)
    member("issue_" + std::string(pipeName(Pipe(i))), set.pipes[i]);
  member("tensor_flops", set.tensorFlops);
  member("shared_wavefronts", set.sharedWavefronts);
  member("shared_wavefronts_ideal", set.sharedWavefrontsIdeal);
  member("global_sectors", set.globalSectors);
  member("global_sectors_ideal", set.globalSectorsIdeal);
  for (unsigned i = 0; i < kNumSpaces; ++i) {
    member("bytes_loaded_" + std::string(spaceName(Space(i))),
           set.bytesLoaded[i]);
    member("bytes_stored_" + std::string(spaceName(Space(i))),
           set.bytesStored[i]);
  }
  return text;
}

} // namespace

std::string flash::emu::reportJsonMembers(const Report &report) {
  std::string text = "\"races\": " + std::to_string(report.races);
  text +=
      std::string(", \"deadlock\": ") + (report.deadlock ? "true" : "false");
  text += ", \"errors\": [";
  for (size_t i = 0; i < report.issues.size(); ++i)
    text += (i ? ", " : "") + jsonString(report.issues[i].str());
  text += "], \"counters\": {" + jsonCounters(report.counters.total);
  text += ", \"opcodes\": {";
  bool first = true;
  for (auto &[name, count] : report.counters.opcodes) {
    text +=
        (first ? "" : ", ") + jsonString(name) + ": " + std::to_string(count);
    first = false;
  }
  text += "}, \"lines\": [";
  first = true;
  for (const LineCounters &entry : report.counters.lines) {
    text += first ? "" : ", ";
    first = false;
    text += "{\"line\": " + std::to_string(entry.line) +
            ", \"text\": " + jsonString(entry.text) +
            ", \"source\": " + jsonString(entry.source) + ", " +
            jsonCounters(entry.counts) + "}";
  }
  return text + "]}";
}

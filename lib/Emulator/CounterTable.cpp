//===- CounterTable.cpp - Counters as tables for people ---------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Emulator/Emulator.h"

#include <algorithm>
#include <cstdio>
#include <ostream>

using namespace flash::emu;

namespace {

constexpr size_t kExecutedLines = 20, kWastefulLines = 10;
/// Characters of a PTX line that a table shows.
constexpr size_t kTextWidth = 90;

/// 1234567 as "1,234,567".
std::string number(uint64_t value) {
  std::string text = std::to_string(value);
  for (size_t at = text.size(); at > 3;)
    text.insert(at -= 3, ",");
  return text;
}

/// How many times the ideal a count is: "1.00x", "-" where there is nothing.
std::string factor(uint64_t actual, uint64_t ideal) {
  if (!ideal)
    return "-";
  char text[32];
  std::snprintf(text, sizeof(text), "%.2fx", double(actual) / double(ideal));
  return text;
}

/// Rows of text in columns as wide as what they hold; numbers to the right, the
/// last column, and a first one without a name, to the left.
class Table {
public:
  explicit Table(std::vector<std::string> names) {
    rows.push_back(std::move(names));
  }
  void add(std::vector<std::string> row) { rows.push_back(std::move(row)); }

  void print(std::ostream &os) const {
    size_t columns = rows[0].size();
    std::vector<size_t> width(columns, 0);
    for (const auto &row : rows)
      for (size_t i = 0; i < columns; ++i)
        width[i] = std::max(width[i], row[i].size());
    for (const auto &row : rows) {
      std::string text = " ";
      for (size_t i = 0; i < columns; ++i) {
        std::string pad(width[i] - row[i].size(), ' ');
        bool toTheLeft = i + 1 == columns || (i == 0 && rows[0][0].empty());
        text += " " + (toTheLeft ? row[i] + pad : pad + row[i]);
      }
      text.erase(text.find_last_not_of(' ') + 1);
      os << text << '\n';
    }
  }

private:
  std::vector<std::vector<std::string>> rows;
};

/// Tabs inside a line would break its column.
std::string shown(const LineCounters &line) {
  std::string text;
  for (char c : line.text)
    if (c != '\t' && c != ' ')
      text += c;
    else if (!text.empty() && text.back() != ' ')
      text += ' ';
  if (text.size() > kTextWidth)
    text = text.substr(0, kTextWidth - 3) + "...";
  return line.source.empty() ? text : text + "  // " + line.source;
}

/// Wavefronts and sectors beyond the ideal ones.
uint64_t waste(const CounterSet &set) {
  auto beyond = [](uint64_t actual, uint64_t ideal) {
    return actual > ideal ? actual - ideal : 0;
  };
  return beyond(set.sharedWavefronts, set.sharedWavefrontsIdeal) +
         beyond(set.globalSectors, set.globalSectorsIdeal);
}

void printLines(std::ostream &os,
                const std::vector<const LineCounters *> &lines) {
  Table table({"line", "issued", "flops", "wavefronts", "ideal", "sectors",
               "ideal", "bytes", "text"});
  auto cell = [](uint64_t value) { return value ? number(value) : "-"; };
  for (const LineCounters *line : lines) {
    const CounterSet &set = line->counts;
    uint64_t bytes = 0;
    for (unsigned i = 0; i < kNumSpaces; ++i)
      bytes += set.bytesLoaded[i] + set.bytesStored[i];
    table.add({std::to_string(line->line), number(set.issued),
               cell(set.tensorFlops), cell(set.sharedWavefronts),
               cell(set.sharedWavefrontsIdeal), cell(set.globalSectors),
               cell(set.globalSectorsIdeal), cell(bytes), shown(*line)});
  }
  table.print(os);
}

} // namespace

void flash::emu::printCounters(std::ostream &os, const Report &report) {
  const Counters &counters = report.counters;
  const CounterSet &total = counters.total;
  os << "counters, whole launch\n";
  Table whole({"", "", "ideal", "factor", ""});
  whole.add({"warp instructions", number(total.issued), "", "", ""});
  whole.add({"tensor FLOPs", number(total.tensorFlops), "", "", ""});
  whole.add({"shared wavefronts", number(total.sharedWavefronts),
             number(total.sharedWavefrontsIdeal),
             factor(total.sharedWavefronts, total.sharedWavefrontsIdeal), ""});
  whole.add({"global sectors", number(total.globalSectors),
             number(total.globalSectorsIdeal),
             factor(total.globalSectors, total.globalSectorsIdeal), ""});
  whole.print(os);

  os << "warp instructions by pipe\n";
  std::vector<std::string> names, values;
  for (unsigned i = 0; i < kNumPipes; ++i) {
    names.emplace_back(pipeName(Pipe(i)));
    values.push_back(number(total.pipes[i]));
  }
  names.emplace_back();
  values.emplace_back();
  Table pipes(names);
  pipes.add(values);
  pipes.print(os);

  os << "bytes by space\n";
  Table spaces({"", "loaded", "stored", ""});
  for (unsigned i = 0; i < kNumSpaces; ++i)
    if (total.bytesLoaded[i] || total.bytesStored[i])
      spaces.add({std::string(spaceName(Space(i))),
                  number(total.bytesLoaded[i]), number(total.bytesStored[i]),
                  ""});
  spaces.print(os);

  os << "warp instructions by opcode\n";
  auto opcodes = counters.opcodes;
  std::sort(opcodes.begin(), opcodes.end(), [](auto &a, auto &b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  Table byOpcode({"issued", "opcode"});
  for (auto &[name, count] : opcodes)
    byOpcode.add({number(count), name});
  byOpcode.print(os);

  std::vector<const LineCounters *> lines;
  for (const LineCounters &entry : counters.lines)
    lines.push_back(&entry);
  std::sort(lines.begin(), lines.end(), [](auto *a, auto *b) {
    return a->counts.issued != b->counts.issued
               ? a->counts.issued > b->counts.issued
               : a->line < b->line;
  });
  std::vector<const LineCounters *> wasteful = lines;
  lines.resize(std::min(lines.size(), kExecutedLines));
  os << "most executed lines\n";
  printLines(os, lines);

  std::erase_if(wasteful,
                [](const LineCounters *line) { return !waste(line->counts); });
  std::sort(wasteful.begin(), wasteful.end(), [](auto *a, auto *b) {
    uint64_t x = waste(a->counts), y = waste(b->counts);
    return x != y ? x > y : a->line < b->line;
  });
  wasteful.resize(std::min(wasteful.size(), kWastefulLines));
  if (wasteful.empty())
    return;
  os << "lines with bank conflicts or partly used sectors\n";
  printLines(os, wasteful);
}

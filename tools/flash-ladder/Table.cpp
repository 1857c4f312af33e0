//===- Table.cpp - The ladder as a table ----------------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Report.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>
#include <functional>

using namespace flash;
using namespace flash::ladder;

namespace {

/// A figure of a level as text; "" for a heading.
using Figure = std::function<std::string(const Level &)>;

struct Row {
  std::string name;
  Figure figure;
  bool needsPtxas = false;
};

/// Three significant digits, integers in full.
std::string number(double value) {
  if (value == 0)
    return "0";
  if (std::abs(value) >= 100 || value == std::floor(value))
    return llvm::formatv("{0:f0}", value).str();
  if (std::abs(value) >= 10)
    return llvm::formatv("{0:f1}", value).str();
  return llvm::formatv("{0:f2}", value).str();
}

std::string ratio(double actual, double ideal) {
  return ideal > 0 ? llvm::formatv("{0:f2}", actual / ideal).str() : "-";
}

std::string orDash(std::string text) { return text.empty() ? "-" : text; }

std::string limitOf(const Level &level) {
  const CostResult &cost = level.cost;
  return cost.powerLimited    ? "power"
         : cost.deviceLimited ? "device memory"
         : cost.l2Limited     ? "L2"
                              : std::string(name(cost.bound));
}

std::string laneReduction(const Level &level) {
  return level.scheduled("copies") == "none" ? "none"
                                             : level.scheduled("reduce");
}

std::vector<Row> scheduleRows() {
  auto field = [](const char *key) {
    return [key](const Level &level) { return level.scheduled(key); };
  };
  return {
      {"CTA tile, queries x keys x dv",
       [](const Level &level) { return level.ctaTile().str(); }},
      {"a warp owns, queries x keys x dv",
       [](const Level &level) { return level.warpTile().str(); }},
      {"softmax", field("softmax")},
      {"QK, PV on",
       [](const Level &level) {
         return level.scheduled("qk") + ", " + level.scheduled("pv");
       }},
      {"S and P live in", field("probabilities")},
      {"lanes of a row reduce by", laneReduction},
      {"copies to shared memory", field("copies")},
      {"ldmatrix, swizzle",
       [](const Level &level) {
         auto word = [&](const char *key) {
           return std::string(level.scheduled(key) == "true" ? "yes" : "no");
         };
         return word("ldmatrix") + ", " + word("swizzle");
       }},
      {"threads",
       [](const Level &level) { return std::to_string(level.threads); }},
      {"stages of K, V",
       [](const Level &level) {
         return level.scheduled("stages_k") + ", " +
                level.scheduled("stages_v");
       }},
      {"shared bytes",
       [](const Level &level) {
         return std::to_string(level.manifest.dynamicSharedBytes);
       }},
      {"registers",
       [](const Level &level) {
         return level.assembled ? std::to_string(level.assembled->registers)
                                : "-";
       },
       true},
      {"spilled bytes, stack",
       [](const Level &level) {
         return level.assembled
                    ? std::to_string(level.assembled->spillStoreBytes +
                                     level.assembled->spillLoadBytes) +
                          ", " + std::to_string(level.assembled->stackBytes)
                    : "-";
       },
       true},
      {"resident CTAs",
       [](const Level &level) {
         return (level.assembled ? "" : "<= ") +
                std::to_string(level.residentCtas);
       },
       true},
  };
}

/// A count of a class of instructions per trip of one warp.
Row perWarpTrip(std::string title, PtxClass kind) {
  return {std::move(title), [kind](const Level &level) {
            double warps = (level.threads + 31) / 32;
            return number(double(level.loop.classes[unsigned(kind)]) /
                          (level.loop.trips * warps));
          }};
}

/// A count of the KV loops per trip of one CTA.
Row perTrip(std::string title,
            std::function<double(const emu::CounterSet &)> count) {
  return {std::move(title), [count](const Level &level) {
            return number(count(level.loop.counts) / level.loop.trips);
          }};
}

std::vector<Row> countRows(const Problem &problem) {
  double pairs = problem.livePairs;
  using emu::CounterSet;
  constexpr unsigned shared = unsigned(emu::Space::Shared);
  return {
      {"trips of the KV loop per CTA",
       [](const Level &level) {
         return number(level.loop.trips / double(level.slice.ctas));
       }},
      {"instructions per trip and warp",
       [](const Level &level) {
         double warps = (level.threads + 31) / 32;
         return number(double(level.loop.counts.issued) /
                       (level.loop.trips * warps));
       }},
      {"lane instructions per query and key",
       [pairs](const Level &level) {
         return number(double(level.loop.counts.issued) * 32 / pairs);
       }},
      perWarpTrip("mma per trip and warp", PtxClass::Mma),
      perWarpTrip("fma per trip and warp", PtxClass::Fma),
      perWarpTrip("ex2 and division per trip and warp", PtxClass::Exponential),
      perWarpTrip("shuffles per trip and warp", PtxClass::Shuffle),
      perWarpTrip("barriers per trip", PtxClass::Barrier),
      perTrip("shared bytes per trip",
              [](const CounterSet &set) {
                return double(set.bytesLoaded[shared] +
                              set.bytesStored[shared]);
              }),
      perTrip(
          "shared wavefronts per trip",
          [](const CounterSet &set) { return double(set.sharedWavefronts); }),
      perTrip("bank conflicts per trip",
              [](const CounterSet &set) {
                return double(set.sharedWavefronts) -
                       double(set.sharedWavefrontsIdeal);
              }),
      {"shared wavefronts, whole launch",
       [](const Level &level) {
         return std::to_string(level.slice.counters.total.sharedWavefronts);
       }},
      {"global sectors, whole launch",
       [](const Level &level) {
         return std::to_string(level.slice.counters.total.globalSectors);
       }},
      {"global sectors, actual/ideal",
       [](const Level &level) {
         const CounterSet &total = level.slice.counters.total;
         return ratio(double(total.globalSectors),
                      double(total.globalSectorsIdeal));
       }},
      {"mma, whole launch",
       [](const Level &level) {
         return std::to_string(level.total(PtxClass::Mma));
       }},
      {"barriers, whole launch",
       [](const Level &level) {
         return std::to_string(level.total(PtxClass::Barrier));
       }},
      {"instructions, whole launch",
       [](const Level &level) {
         return std::to_string(level.slice.counters.total.issued);
       }},
  };
}

std::vector<Row> costRows(const Problem &problem, bool measured) {
  std::vector<Row> rows = {
      {"modelled: limiting pipe",
       [](const Level &level) { return std::string(name(level.cost.bound)); },
       true},
      {"modelled: busy cycles per trip",
       [](const Level &level) { return number(level.cost.busy); }, true},
      {"modelled: exposed latency per trip",
       [](const Level &level) { return number(level.cost.exposed); }, true},
      {"modelled: cycles per trip",
       [](const Level &level) { return number(level.cost.cyclesPerTrip); },
       true},
      {"modelled: cycles per 64 x 64 tile of scores",
       [&problem](const Level &level) {
         return number(level.cost.cyclesPerTrip * level.cost.trips /
                       problem.livePairs * 4096);
       },
       true},
  };
  std::string kind = measured ? "measured" : "modelled";
  Figure milliseconds = [](const Level &level) {
    return number(timeOf(level));
  };
  rows.push_back({kind + ": time, ms", milliseconds, true});
  if (!measured)
    rows.push_back({"modelled: time is limited by", limitOf, true});
  rows.push_back({kind + ": TFLOP/s",
                  [&problem](const Level &level) {
                    return number(problem.flops() / timeOf(level) * 1e-9);
                  },
                  true});
  rows.push_back(
      {kind + (measured ? ": energy of the board, mJ" : ": energy, mJ"),
       [measured](const Level &level) -> std::string {
         if (measured && !level.measured->joules)
           return "-";
         return number(energyOf(level));
       },
       true});
  return rows;
}

/// Pads and prints cells; a Markdown table or aligned columns.
void printCells(const std::vector<std::vector<std::string>> &cells,
                TableStyle style, llvm::raw_ostream &os) {
  std::vector<size_t> width(cells[0].size(), 0);
  for (const auto &row : cells)
    for (auto [i, cell] : llvm::enumerate(row))
      width[i] = std::max(width[i], cell.size());
  for (auto [index, row] : llvm::enumerate(cells)) {
    std::string line;
    for (auto [i, cell] : llvm::enumerate(row)) {
      std::string pad(width[i] - cell.size(), ' ');
      std::string text = i == 0 ? cell + pad : pad + cell;
      line += style == TableStyle::Markdown ? "| " + text + " "
                                            : (i ? "  " : "") + text;
    }
    if (style == TableStyle::Markdown)
      line += "|";
    os << llvm::StringRef(line).rtrim() << "\n";
    if (index == 0 && style == TableStyle::Markdown) {
      for (size_t i = 0; i < width.size(); ++i)
        os << "|" << std::string(width[i] + 1, '-') << (i ? ":" : "-");
      os << "|\n";
    }
  }
}

/// The words under the table.
void printNotes(const Problem &problem, const std::vector<Level> &levels,
                TableStyle style, bool withoutPtxas, llvm::raw_ostream &os) {
  const char *bullet = style == TableStyle::Markdown ? "* " : "- ";
  for (const Level &level : levels) {
    if (!level.refusal.empty())
      os << bullet << "level " << level.number << " (" << level.name
         << ") has no kernel here: " << level.refusal << "\n";
    for (const std::string &error : level.slice.errors)
      os << bullet << "level " << level.number << " (" << level.name
         << ") is WRONG: " << error << "\n";
  }
  for (const Level &level : levels) {
    if (!level.ran() || level.slice.exact)
      continue;
    os << bullet << "level " << level.number << ": " << level.slice.executedCtas
       << " evenly spaced CTAs of " << level.slice.ctas
       << " executed; its counts are scaled and not exact\n";
  }
  os << bullet
     << "Counts are of PTX instructions as the emulator executes them, for the "
        "whole launch, from CTAs that stand for the others; a trip is one pass "
        "of one CTA through a KV loop.\n";
  if (withoutPtxas)
    return;
  if (llvm::any_of(levels, [](const Level &level) {
        return level.ran() && !level.assembled;
      }))
    os << bullet
       << "ptxas was not found: registers are unknown, and occupancy and what "
          "is modelled from it take them as no limit.\n";
  if (isMeasured(levels)) {
    auto first = llvm::find_if(
        levels, [](const Level &level) { return level.measured.has_value(); });
    os << bullet
       << (first->measured->joules ? "Time and energy were measured on "
                                   : "Time, and no energy, was measured on ")
       << first->measured->board << "; cycles are modelled.\n";
  } else {
    os << bullet << "Cycles, time and energy are modelled for "
       << findRates(problem.chip)->board
       << ", not measured; constants and sources are in the JSON. Absolute "
          "energies may be off by half; compare levels.\n";
  }
}

} // namespace

void flash::ladder::printTable(const Problem &problem,
                               const std::vector<Level> &levels,
                               TableStyle style, bool withoutPtxas,
                               llvm::raw_ostream &os) {
  std::vector<const Level *> shown;
  for (const Level &level : levels)
    if (level.ran())
      shown.push_back(&level);
  std::vector<Row> rows = scheduleRows();
  llvm::append_range(rows, countRows(problem));
  llvm::append_range(rows, costRows(problem, isMeasured(levels)));
  std::vector<std::vector<std::string>> cells(1);
  cells[0].push_back("level");
  for (const Level *level : shown)
    cells[0].push_back(std::to_string(level->number) + " " + level->name);
  for (const Row &row : rows) {
    if (withoutPtxas && row.needsPtxas)
      continue;
    cells.push_back({row.name});
    for (const Level *level : shown)
      cells.back().push_back(orDash(row.figure(*level)));
  }
  if (!shown.empty())
    printCells(cells, style, os);
  os << "\n";
  printNotes(problem, levels, style, withoutPtxas, os);
}

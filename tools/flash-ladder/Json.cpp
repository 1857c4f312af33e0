//===- Json.cpp - The ladder as JSON --------------------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Report.h"

#include "llvm/Support/JSON.h"

using namespace flash;
using namespace flash::ladder;

namespace {

void writeCounts(const emu::CounterSet &set, llvm::json::OStream &json) {
  json.attribute("instructions", int64_t(set.issued));
  json.attribute("tensor_flops", int64_t(set.tensorFlops));
  json.attribute("shared_wavefronts", int64_t(set.sharedWavefronts));
  json.attribute("shared_wavefronts_ideal", int64_t(set.sharedWavefrontsIdeal));
  json.attribute("global_sectors", int64_t(set.globalSectors));
  json.attribute("global_sectors_ideal", int64_t(set.globalSectorsIdeal));
  for (unsigned i = 0; i < emu::kNumSpaces; ++i) {
    std::string space(emu::spaceName(emu::Space(i)));
    json.attribute("bytes_loaded_" + space, int64_t(set.bytesLoaded[i]));
    json.attribute("bytes_stored_" + space, int64_t(set.bytesStored[i]));
  }
}

void writeClasses(const std::array<uint64_t, kNumPtxClasses> &classes,
                  llvm::json::OStream &json) {
  json.attributeObject("classes", [&] {
    for (unsigned i = 0; i < kNumPtxClasses; ++i)
      json.attribute(name(PtxClass(i)), int64_t(classes[i]));
  });
}

/// Queries, keys, columns.
void writeTile(llvm::StringRef name, const TileExtents &tile,
               llvm::json::OStream &json) {
  json.attributeArray(name, [&] {
    for (int64_t extent : {tile.queries, tile.keys, tile.columns})
      json.value(extent);
  });
}

void writeCost(const CostResult &cost, llvm::json::OStream &json) {
  json.attributeObject("modelled", [&] {
    json.attributeObject("pipe_cycles_per_trip", [&] {
      for (unsigned i = 0; i < kNumCostPipes; ++i)
        json.attribute(name(CostPipe(i)), cost.pipes[i]);
    });
    json.attribute("limiting_pipe", llvm::StringRef(name(cost.bound)));
    json.attribute("busy_cycles_per_trip", cost.busy);
    json.attribute("alone_cycles_per_trip", cost.alone);
    json.attribute("exposed_cycles_per_trip", cost.exposed);
    json.attribute("cycles_per_trip", cost.cyclesPerTrip);
    json.attribute("seconds", cost.seconds);
    json.attribute("power_limited", cost.powerLimited);
    json.attribute("device_memory_limited", cost.deviceLimited);
    json.attribute("l2_limited", cost.l2Limited);
    json.attribute("joules", cost.joules);
    json.attribute("static_joules", cost.staticJoules);
  });
}

void writeLevel(const Level &level, llvm::json::OStream &json) {
  json.attribute("level", level.number);
  json.attribute("name", level.name);
  if (!level.refusal.empty()) {
    json.attribute("refused", level.refusal);
    return;
  }
  json.attributeObject("schedule", [&] {
    for (const auto &[key, value] : level.manifest.schedule)
      json.attribute(key, value);
  });
  writeTile("cta_tile", level.ctaTile(), json);
  writeTile("warp_tile", level.warpTile(), json);
  json.attribute("threads", level.threads);
  json.attribute("dynamic_shared_bytes", level.manifest.dynamicSharedBytes);
  json.attribute("resident_ctas", level.residentCtas);
  if (level.assembled)
    json.attributeObject("ptxas", [&] {
      json.attribute("registers", level.assembled->registers);
      json.attribute("spill_store_bytes", level.assembled->spillStoreBytes);
      json.attribute("spill_load_bytes", level.assembled->spillLoadBytes);
      json.attribute("stack_bytes", level.assembled->stackBytes);
      json.attributeArray("warnings", [&] {
        for (const std::string &warning : level.assembled->warnings)
          json.value(warning);
      });
    });
  json.attributeObject("slice", [&] {
    json.attribute("ctas", int64_t(level.slice.ctas));
    json.attribute("executed_ctas", int64_t(level.slice.executedCtas));
    json.attribute("exact", level.slice.exact);
    json.attribute("checked_rows", int64_t(level.slice.checkedRows));
    json.attribute("max_abs_err", level.slice.maxAbsErr);
    json.attribute("tolerance", level.slice.tolerance);
    json.attributeArray("errors", [&] {
      for (const std::string &error : level.slice.errors)
        json.value(error);
    });
  });
  if (!level.slice.errors.empty())
    return;
  json.attributeObject("launch", [&] {
    writeCounts(level.slice.counters.total, json);
    writeClasses(level.classes, json);
    json.attributeObject("opcodes", [&] {
      for (const auto &[opcode, count] : level.slice.counters.opcodes)
        json.attribute(opcode, int64_t(count));
    });
  });
  json.attributeObject("kv_loops", [&] {
    json.attribute("trips", level.loop.trips);
    writeCounts(level.loop.counts, json);
    writeClasses(level.loop.classes, json);
  });
  writeCost(level.cost, json);
  if (level.measured)
    json.attributeObject("measured", [&] {
      json.attribute("board", level.measured->board);
      json.attribute("milliseconds", level.measured->milliseconds);
      if (level.measured->joules)
        json.attribute("joules", *level.measured->joules);
    });
}

} // namespace

void flash::ladder::printJson(const Problem &problem,
                              const std::vector<Level> &levels,
                              llvm::raw_ostream &os) {
  llvm::json::OStream json(os, 2);
  json.objectBegin();
  json.attribute("attention", problem.spec.toString());
  json.attribute("chip", problem.chip);
  json.attribute("schedule", problem.schedule);
  json.attribute("live_pairs", problem.livePairs);
  json.attribute("flops", problem.flops());
  const ChipRates &rates = *findRates(problem.chip);
  json.attributeObject("model", [&] {
    json.attribute("board", llvm::StringRef(rates.board));
    json.attribute("note", "time and energy of the model are not measured");
    json.attributeArray("constants", [&] {
      for (const ModelConstant &constant : describe(rates))
        json.object([&] {
          json.attribute("name", llvm::StringRef(constant.name));
          json.attribute("value", constant.value);
          json.attribute("unit", llvm::StringRef(constant.unit));
          json.attribute("source", llvm::StringRef(constant.source));
          json.attribute("estimate", constant.estimate);
        });
    });
  });
  json.attributeArray("levels", [&] {
    for (const Level &level : levels)
      json.object([&] { writeLevel(level, json); });
  });
  json.attributeArray("pareto_front", [&] {
    for (const Level *level : paretoFront(levels))
      json.value(level->number);
  });
  json.objectEnd();
  os << "\n";
}

//===- Level.cpp - One level of the ladder, counted and modelled ----------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Level.h"

#include "flash/Dialect/Flash/Transforms/Ladder.h"
#include "flash/Pipelines/BuildAttention.h"
#include "flash/Pipelines/Compile.h"
#include "flash/Target/ChipInfo.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/raw_ostream.h"
#include <unordered_map>

using namespace flash;
using namespace flash::ladder;
using namespace flash::runtime;

namespace {

/// Compiles the level's kernel; returns why not where it cannot.
std::string compile(const Problem &problem, Level &level) {
  std::string number = std::to_string(level.number);
  if (std::optional<std::string> message = mlir::flash::checkLevel(number))
    return *message;
  mlir::DialectRegistry registry;
  mlir::flash::registerCompileDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  std::string error;
  mlir::ScopedDiagnosticHandler handler(
      &context, [&](mlir::Diagnostic &diagnostic) {
        if (diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error &&
            error.empty())
          error = diagnostic.str();
        return mlir::success();
      });
  mlir::OwningOpRef<mlir::ModuleOp> module = mlir::flash::buildAttention(
      &context, problem.spec, mlir::flash::AttentionForm::StridedMemRefs);
  mlir::flash::CompileOptions options;
  options.chip = problem.chip;
  options.level = number;
  options.schedule = problem.schedule;
  mlir::FailureOr<mlir::flash::CompiledKernel> kernel =
      mlir::flash::compileToPTX(*module, options, problem.spec.toString());
  if (failed(kernel))
    return error.empty() ? "failed without a diagnostic" : error;
  level.ptx = std::move(kernel->ptx);
  level.manifest = std::move(kernel->manifest);
  return "";
}

/// Registers, spills and with them the occupancy.
std::string assemble(const Problem &problem, Level &level) {
  if (std::optional<std::string> ptxas = findPtxas()) {
    llvm::Expected<PtxasReport> report =
        runPtxas(*ptxas, level.ptx, problem.chip);
    if (!report)
      return llvm::toString(report.takeError());
    level.assembled = std::move(*report);
  }
  level.residentCtas = residentCtas(
      level.assembled ? level.assembled->registers : 0, level.threads,
      level.manifest.dynamicSharedBytes, *findChip(problem.chip));
  return "";
}

/// Sums counters by class, over the whole kernel and over its KV loops.
void sumByClass(const PtxKernel &kernel, Level &level) {
  std::unordered_map<unsigned, const emu::LineCounters *> byLine;
  for (const emu::LineCounters &line : level.slice.counters.lines)
    byLine[line.line] = &line;
  std::vector<bool> inLoop(kernel.blocks.size(), false);
  for (const PtxLoop *loop : kernel.kvLoops()) {
    for (unsigned block : loop->blocks)
      inLoop[block] = true;
    level.loop.trips += countTrips(kernel, *loop, level.slice.counters.lines,
                                   (level.threads + 31) / 32);
  }
  for (size_t block = 0; block < kernel.blocks.size(); ++block)
    for (const PtxInstruction &of : kernel.blocks[block].instructions) {
      auto found = byLine.find(of.line);
      if (found == byLine.end())
        continue;
      const emu::CounterSet &counts = found->second->counts;
      level.classes[unsigned(of.kind)] += counts.issued;
      if (!inLoop[block])
        continue;
      level.loop.counts.add(counts);
      level.loop.classes[unsigned(of.kind)] += counts.issued;
    }
}

} // namespace

double Problem::operandBytes() const {
  double width = byteWidth(spec.dtype);
  double query = double(sizes.hq) * double(sizes.sq),
         key = double(sizes.hkv) * double(sizes.sk);
  return double(sizes.b) * width * (query + key) * double(sizes.d + sizes.dv);
}

std::string TileExtents::str() const {
  return std::to_string(queries) + "x" + std::to_string(keys) + "x" +
         std::to_string(columns);
}

std::string Level::scheduled(const std::string &key) const {
  auto it = manifest.schedule.find(key);
  return it == manifest.schedule.end() ? "" : it->second;
}

TileExtents Level::ctaTile() const {
  auto number = [&](const char *key) {
    int64_t value = 0;
    (void)llvm::StringRef(scheduled(key)).getAsInteger(10, value);
    return value;
  };
  // A tile_v of 0 is all of dv.
  int64_t slice = number("tile_v");
  return {number("tile_q"), number("tile_k"), slice ? slice : valueDim};
}

TileExtents Level::warpTile() const {
  TileExtents tile = ctaTile();
  int64_t warps = (threads + 31) / 32;
  (scheduled("copies") == "none" ? tile.columns : tile.queries) /= warps;
  return tile;
}

Level flash::ladder::runLevel(const Problem &problem, unsigned number) {
  Level level;
  level.number = number;
  level.valueDim = problem.sizes.dv;
  level.name = mlir::flash::getLevelName(number).str();
  level.refusal = compile(problem, level);
  if (!level.refusal.empty())
    return level;
  Result<LaunchShape> shape =
      computeLaunchShape(level.manifest.launches().back(), problem.sizes);
  if (!shape) {
    level.refusal = shape.error().message;
    return level;
  }
  level.threads = shape->block[0] * shape->block[1] * shape->block[2];
  level.refusal = assemble(problem, level);
  if (!level.refusal.empty())
    return level;
  Result<SliceResult> slice = runSlice(level.ptx, level.manifest, problem.spec,
                                       problem.sizes, problem.slice);
  if (!slice) {
    level.refusal = slice.error().message;
    return level;
  }
  level.slice = std::move(*slice);
  if (!level.slice.errors.empty())
    return level;
  PtxKernel kernel = PtxKernel::parse(level.ptx, level.manifest.entry);
  sumByClass(kernel, level);
  CostInput input;
  input.kernel = &kernel;
  input.lines = level.slice.counters.lines;
  input.ctas = level.slice.ctas;
  input.warpsPerCta = (level.threads + 31) / 32;
  input.residentCtas = level.residentCtas;
  input.deviceBytes = problem.operandBytes();
  input.rates = findRates(problem.chip);
  level.cost = modelCost(input);
  return level;
}

//===- Launch.cpp - Running a grid ------------------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"
#include "Module.h"
#include "Report.h"
#include "WarpgroupMatrix.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <numeric>
#include <thread>

using namespace flash::emu;

namespace {

/// Shared memory that one CTA may have, per chip, in bytes.
uint32_t sharedLimit(Chip chip) {
  switch (chip) {
  case Chip::SM80:
    return 163 * 1024;
  case Chip::SM86:
  case Chip::SM89:
  case Chip::SM120:
    return 99 * 1024;
  case Chip::SM90:
  case Chip::SM100:
    return 227 * 1024;
  }
  return 0;
}

uint64_t product(const std::array<uint32_t, 3> &extents) {
  return uint64_t(extents[0]) * extents[1] * extents[2];
}

std::string tripleText(const std::array<uint32_t, 3> &t) {
  return std::to_string(t[0]) + "x" + std::to_string(t[1]) + "x" +
         std::to_string(t[2]);
}

/// Why the launch cannot start, "" if it can.
std::string checkLaunch(const KernelInfo &kernel, size_t paramBytes,
                        const LaunchConfig &config, uint32_t &shared) {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
      !__builtin_cpu_supports("f16c"))
    return "the emulator needs a processor with AVX2, FMA and F16C (x86-64-v3)";
  uint64_t threads = product(config.block);
  if (threads == 0 || threads > 1024)
    return "block " + tripleText(config.block) +
           ": expected 1 to 1024 threads, got " + std::to_string(threads);
  if (product(config.grid) == 0 || config.grid[1] > 65535 ||
      config.grid[2] > 65535 || config.grid[0] > 0x7fffffff)
    return "grid " + tripleText(config.grid) +
           ": expected positive extents, at most 2147483647 x 65535 x 65535";
  uint64_t ctas = product(config.cluster);
  if (ctas == 0 || ctas > 16 || (ctas > 1 && config.chip < Chip::SM90))
    return "cluster " + tripleText(config.cluster) + ": expected 1 to " +
           (config.chip < Chip::SM90 ? "1 CTA on " : "16 CTAs on ") +
           std::string(chipName(config.chip));
  for (unsigned i = 0; i < 3; ++i)
    if (config.grid[i] % config.cluster[i])
      return "grid " + tripleText(config.grid) +
             ": expected a multiple of the cluster " +
             tripleText(config.cluster);
  if (kernel.reqnctapercluster[0] && kernel.reqnctapercluster != config.cluster)
    return "cluster " + tripleText(config.cluster) + ": expected " +
           tripleText(kernel.reqnctapercluster) +
           " as the kernel's .reqnctapercluster";
  if (kernel.reqntid[0] && kernel.reqntid != config.block)
    return "block " + tripleText(config.block) + ": expected " +
           tripleText(kernel.reqntid) + " as the kernel's .reqntid";
  if (kernel.maxntid[0] && threads > product(kernel.maxntid))
    return "block " + tripleText(config.block) + ": expected at most " +
           std::to_string(product(kernel.maxntid)) +
           " threads as the kernel's .maxntid";
  if (paramBytes != kernel.paramBytes)
    return "parameters: expected " + std::to_string(kernel.paramBytes) +
           " bytes, got " + std::to_string(paramBytes);
  uint64_t aligned =
      (uint64_t(kernel.staticSharedBytes) + kernel.dynamicSharedAlign - 1) /
      kernel.dynamicSharedAlign * kernel.dynamicSharedAlign;
  uint64_t total = config.dynamicSharedBytes
                       ? aligned + config.dynamicSharedBytes
                       : kernel.staticSharedBytes;
  if (total > sharedLimit(config.chip))
    return "shared memory: expected at most " +
           std::to_string(sharedLimit(config.chip)) + " bytes on " +
           std::string(chipName(config.chip)) + ", got " +
           std::to_string(total);
  shared = uint32_t(total);
  return "";
}

} // namespace

//===----------------------------------------------------------------------===//
// Cta
//===----------------------------------------------------------------------===//

Cta::Cta(Cluster &cluster, uint32_t rank, ThreadCounts &counts)
    : launch(cluster.launch), cluster(cluster), rank(rank) {
  const Program &program = *launch.program;
  blockDim = launch.config->block;
  threads = uint32_t(product(blockDim));
  sharedBytes = launch.sharedBytes;
  shared = cluster.shared.get() + size_t(cluster.sharedStride) * rank;
  checker = cluster.checker.get();
  uint32_t numWarps = (threads + 31) / 32;
  warps.resize(numWarps);
  // An odd number of cache lines apart, or the rows of all warps would compete
  // for the same sets.
  registerStride = (program.registerBytes + 127) / 128 * 128 + 64 * 5;
  registerFile = allocateAligned(registerStride * numWarps);
  size_t localStride = size_t(program.localBytes) * 32;
  localMemory = allocateAligned(localStride * numWarps);
  for (uint32_t i = 0; i < numWarps; ++i) {
    Warp &warp = warps[i];
    warp.registers = registerFile.get() + registerStride * i;
    std::memcpy(warp.registers + program.constantBase, program.constants.get(),
                program.constantBytes);
    warp.cta = this;
    warp.program = &program;
    warp.issued = counts.issued.data();
    warp.tensorFlops = counts.tensorFlops.data();
    warp.memory = counts.memory.empty() ? nullptr : counts.memory.data();
    warp.id = i;
    warp.agent = rank * numWarps + i;
    warp.local = localMemory.get() + localStride * i;
    warp.initialised.resize(program.trackedRegisters);
  }
  checkUninitialised = launch.config->checks.uninitialised;
}

void Cta::start(const std::array<uint32_t, 3> &where) {
  const LaunchConfig &config = *launch.config;
  id = where;
  number = id[0] + config.grid[0] * (id[1] + config.grid[1] * id[2]);
  barriers.fill(Barrier());
  if (tensor)
    tensor->reset();
  if (launch.program->usesWarpgroups)
    resetWarpgroups(*this);
  registerPool.reset(uint32_t(warps.size()),
                     RegisterPool::atLaunch(launch.program->info));
  for (Warp &warp : warps) {
    uint32_t rest = threads - warp.id * 32;
    warp.live = rest >= 32 ? ~0u : (1u << rest) - 1;
    warp.groups.assign(1, Group{0, warp.live, Group::Runnable, 0});
    warp.carry = 0;
    warp.polled = false;
    warp.spins = 0;
    warp.lastBuffer = nullptr;
    warp.async.reset();
    std::fill(warp.initialised.begin(), warp.initialised.end(), 0);
    warp.loading.assign(launch.program->loadRegisters, 0);
    warp.unwritten.reset();
    std::memset(warp.registers, 0, kFirstRow);
    std::memset(warp.registers + kTrueMask, 0xff, 128);
    for (unsigned lane = 0; lane < 32; ++lane) {
      targetRow<uint32_t>(warp, kSharedBase32)[lane] = rank << kRankShift;
      targetRow<uint64_t>(warp, kSharedBase64)[lane] = rank << kRankShift;
    }
  }
}

bool Cta::alive() const {
  return std::any_of(warps.begin(), warps.end(),
                     [](const Warp &warp) { return warp.live != 0; });
}

bool Cta::wants(IssueKind kind, const Warp &warp, const Inst *inst,
                uint32_t otherPc) {
  return launch.sink->wants(kind, inst ? warp.pcOf(*inst) : kNoPc, otherPc);
}

void Cta::report(IssueKind kind, const Warp &warp, const Inst *inst,
                 uint32_t lanes, std::string message, uint32_t otherPc) {
  launch.sink->add(kind, this, &warp, inst ? warp.pcOf(*inst) : kNoPc, otherPc,
                   lanes, std::move(message));
}

void Cta::fatal(IssueKind kind, const Warp &warp, const Inst *inst,
                uint32_t lanes, std::string message) {
  if (wants(kind, warp, inst))
    report(kind, warp, inst, lanes, std::move(message));
  launch.stop = true;
}

//===----------------------------------------------------------------------===//
// launch
//===----------------------------------------------------------------------===//

Report flash::emu::launch(const Module &module, std::string_view kernel,
                          std::span<const std::byte> params, Device &device,
                          const LaunchConfig &asked) {
  Report report;
  LaunchConfig config = asked;
  auto begin = std::chrono::steady_clock::now();
  auto refuse = [&](std::string message) {
    report.ok = false;
    Issue issue;
    issue.kind = IssueKind::Launch;
    issue.kernel = kernel;
    issue.message = std::move(message);
    report.issues.push_back(std::move(issue));
    return report;
  };
  const Program *program = nullptr;
  for (const auto &candidate : module.impl().programs)
    if (candidate->info.name == kernel)
      program = candidate.get();
  if (!program)
    return refuse("unknown kernel '" + std::string(kernel) + "'");
  if (program->info.reqnctapercluster[0] && product(config.cluster) == 1)
    config.cluster = program->info.reqnctapercluster;
  Launch state;
  std::string problem =
      checkLaunch(program->info, params.size(), config, state.sharedBytes);
  if (!problem.empty())
    return refuse(std::move(problem));

  IssueSink sink(*program, std::max(1u, config.maxIssues));
  state.program = program;
  state.config = &config;
  state.buffers = &device.impl().buffers;
  state.params = params;
  state.sink = &sink;
  for (const Program::Global &global : program->globals) {
    const syntax::Variable &v = *global.variable;
    Buffer &buffer =
        state.variables.add(v.name, global.address, v.size, Contents::Zero);
    if (!v.initial.empty())
      std::memcpy(buffer.data.get(), v.initial.data(), v.size);
  }

  uint64_t clusters = product(config.grid) / product(config.cluster);
  for (uint64_t number : config.only)
    if (number >= clusters)
      return refuse("only: expected numbers below " + std::to_string(clusters) +
                    ", got " + std::to_string(number));
  uint64_t runs = config.only.empty() ? clusters : config.only.size();
  unsigned threads =
      config.threads ? config.threads : std::thread::hardware_concurrency();
  threads = unsigned(std::clamp<uint64_t>(runs, 1, std::max(1u, threads)));
  // Where a kernel has no atomic or ordered access to global memory, nothing
  // can order its clusters. (The marks hold 28 bits of a cluster's number.)
  bool watch = config.checks.races && runs > 1 && clusters < (1u << 28) - 1 &&
               !program->ordersCtas;
  state.buffers->watchCtas(watch);
  state.variables.watchCtas(watch);
  std::vector<ThreadCounts> counts(threads);
  std::atomic<uint64_t> next = 0;
  auto work = [&](unsigned index) {
    ThreadCounts &mine = counts[index];
    mine.issued.resize(program->code.size() + 1);
    mine.tensorFlops.resize(program->code.size());
    if (config.counters)
      mine.memory.resize(program->code.size());
    Cluster cluster(state, mine);
    for (uint64_t i = next++; i < runs && !state.stop; i = next++)
      cluster.run(config.only.empty() ? i : config.only[i]);
    std::partial_sum(mine.issued.begin(), mine.issued.end(),
                     mine.issued.begin());
  };
  std::vector<std::thread> workers;
  for (unsigned i = 1; i < threads; ++i)
    workers.emplace_back(work, i);
  work(0);
  for (std::thread &worker : workers)
    worker.join();

  state.buffers->watchCtas(false);
  sink.finish(report);
  fillCounters(report, *program, counts);
  report.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
          .count();
  return report;
}

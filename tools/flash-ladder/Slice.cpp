//===- Slice.cpp - A launch counted from a part of its grid ---------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Slice.h"

#include "flash/Runtime/Check.h"
#include "flash/Runtime/Inputs.h"

#include <algorithm>
#include <cmath>
#include <map>

using namespace flash;
using namespace flash::ladder;
using namespace flash::runtime;

namespace {

uint64_t product(const std::array<uint32_t, 3> &extents) {
  return uint64_t(extents[0]) * extents[1] * extents[2];
}

bool isMasked(const AttentionSpec &spec) {
  return spec.causal != Causal::None || spec.window || spec.prefix ||
         spec.chunk;
}

/// CTAs to execute and how often their counts count.
struct Group {
  std::vector<uint64_t> ctas;
  uint64_t weight = 1;
};

struct Plan {
  std::vector<Group> groups;
  bool exact = true;
  /// Tiles of queries of one head that are executed, by their place in the
  /// grid. Under a mask a kernel may go through them from the last.
  std::vector<int64_t> tiles;
};

/// Which CTAs of the grid stand for all of them.
class Planner {
public:
  Planner(const KernelLaunch &launch, const Sizes &sizes, int64_t tileQ)
      : launch(launch), sizes(sizes), tileQ(tileQ) {}

  Result<Plan> plan(const AttentionSpec &spec, const SliceOptions &options) {
    Result<LaunchShape> whole = computeLaunchShape(launch, sizes);
    if (!whole)
      return whole.error();
    Sizes head = sizes;
    head.b = head.hq = head.hkv = 1;
    Result<LaunchShape> oneHead = computeLaunchShape(launch, head);
    head.sq = std::min(tileQ, sizes.sq);
    Result<LaunchShape> oneTile = computeLaunchShape(launch, head);
    if (!oneHead || !oneTile)
      return oneHead ? oneTile.error() : oneHead.error();
    grid = whole->grid;
    int64_t tiles = (sizes.sq + tileQ - 1) / tileQ;
    uint64_t heads = product(grid) / product(oneHead->grid);
    Plan plan;
    if (options.wholeGrid) {
      plan.groups.push_back({allOf(grid, -1, {}), 1});
      for (int64_t tile = 0; tile < tiles; ++tile)
        plan.tiles.push_back(tile);
      return plan;
    }
    // The axis that grows with the queries; slices of dv go fastest on it.
    int axis = -1;
    for (int i = 0; i < 3; ++i)
      if (uint64_t(oneTile->grid[i]) * uint64_t(tiles) == oneHead->grid[i] &&
          (axis < 0 || oneHead->grid[i] > oneHead->grid[axis]))
        axis = i;
    if (axis < 0)
      return Error{"kernel '" + launch.entry +
                   "': expected one axis of the grid to count tiles of " +
                   std::to_string(tileQ) + " queries, got (" + launch.grid[0] +
                   "; " + launch.grid[1] + "; " + launch.grid[2] + ")"};
    slices = oneTile->grid[axis];
    if (isMasked(spec)) {
      int64_t count = std::min<int64_t>(tiles, options.maxTiles);
      plan.exact = count == tiles;
      for (int64_t i = 0; i < count; ++i)
        plan.tiles.push_back((2 * i + 1) * tiles / (2 * count));
      // Weights of evenly spaced tiles differ by rounding only.
      for (size_t i = 0; i < plan.tiles.size(); ++i) {
        uint64_t from = uint64_t(i * tiles / count),
                 to = uint64_t((i + 1) * tiles / count);
        plan.groups.push_back(
            {allOf(oneHead->grid, axis, {plan.tiles[i]}), heads * (to - from)});
      }
      return plan;
    }
    bool tail = sizes.sq % tileQ != 0;
    uint64_t equal = uint64_t(tiles - (tail ? 1 : 0));
    if (equal) {
      plan.tiles.push_back(0);
      plan.groups.push_back({allOf(oneHead->grid, axis, {0}), heads * equal});
    }
    if (tail) {
      plan.tiles.push_back(tiles - 1);
      plan.groups.push_back({allOf(oneHead->grid, axis, {tiles - 1}), heads});
    }
    return plan;
  }

private:
  /// Numbers, in the whole grid, of the CTAs inside `extents` whose coordinate
  /// on `axis` is one of `tiles`; any coordinate for axis -1.
  std::vector<uint64_t> allOf(const std::array<uint32_t, 3> &extents, int axis,
                              const std::vector<int64_t> &tiles) const {
    std::vector<uint64_t> numbers;
    std::array<uint32_t, 3> at;
    for (at[2] = 0; at[2] < extents[2]; ++at[2])
      for (at[1] = 0; at[1] < extents[1]; ++at[1])
        for (at[0] = 0; at[0] < extents[0]; ++at[0])
          if (axis < 0 || std::find(tiles.begin(), tiles.end(),
                                    int64_t(at[axis] / slices)) != tiles.end())
            numbers.push_back(at[0] + uint64_t(grid[0]) *
                                          (at[1] + uint64_t(grid[1]) * at[2]));
    return numbers;
  }

  const KernelLaunch &launch;
  const Sizes &sizes;
  int64_t tileQ;
  std::array<uint32_t, 3> grid = {};
  uint32_t slices = 1;
};

/// Rows [first, first + count) of head 0 of a [B, H, S, D] or [B, H, S] array,
/// dense.
StridedArray headRows(const StridedArray &array, int64_t first, int64_t count) {
  std::vector<int64_t> shape = array.shape;
  shape[0] = shape[1] = 1;
  shape[2] = count;
  StridedArray rows = StridedArray::contiguous(array.dtype, shape);
  StridedArray view;
  view.dtype = array.dtype;
  view.shape = shape;
  view.strides = array.strides;
  view.offset = array.offset + first * array.strides[2];
  size_t width = byteWidth(array.dtype);
  std::byte *to = rows.storage.data();
  forEachIndex(view, [&](int64_t index) {
    std::copy_n(array.bytesAt(index), width, to);
    to += width;
  });
  return rows;
}

/// The operands on the emulator's device. Only head 0 is executed, so where
/// heads lie apart only head 0 has memory.
class Operands {
public:
  Operands(const AttentionSpec &spec, const Sizes &sizes, bool allHeads)
      : spec(spec), sizes(sizes) {
    held = sizes;
    if (!allHeads) {
      held.b = 1;
      if (spec.layout == Layout::BHSD)
        held.hq = held.hkv = 1;
    }
  }

  Status place(const Manifest &manifest, uint64_t seed) {
    InputOptions options;
    options.seed = seed;
    Result<ProblemArrays> made = makeInputs(spec, held, options);
    if (!made)
      return made.error();
    arrays["q"] = std::move(made->q);
    arrays["k"] = std::move(made->k);
    arrays["v"] = std::move(made->v);
    arrays["o"] = std::move(made->o);
    arrays["lse"] = std::move(made->lse);
    const std::pair<const char *, std::optional<StridedArray> *> scales[] = {
        {"q_descale", &made->qDescale},
        {"k_descale", &made->kDescale},
        {"v_descale", &made->vDescale}};
    for (auto [name, array] : scales)
      if (*array)
        arrays[name] = std::move(**array);
    arguments.sizes = sizes;
    arguments.scale = spec.effectiveScale();
    for (const Parameter &parameter : manifest.parameters) {
      auto it = arrays.find(parameter.name);
      if (parameter.kind != ParameterKind::Pointer)
        continue;
      if (it == arrays.end())
        return Error{"parameter '" + parameter.name +
                     "': expected one of q, k, v, o, lse or a descale"};
      const StridedArray &array = it->second;
      uint64_t address = device.allocate(parameter.name, array.storage.size(),
                                         emu::Contents::Zero);
      device.write(address, array.storage.data(), array.storage.size());
      addresses[parameter.name] = address;
      std::vector<int64_t> shape = array.shape;
      shape[0] = sizes.b;
      bool isKey = parameter.name[0] == 'k' || parameter.name[0] == 'v';
      shape[1] = isKey ? sizes.hkv : sizes.hq;
      arguments.buffers[parameter.name] = {
          address + uint64_t(array.offset) * byteWidth(array.dtype),
          // To a kernel tf32 is f32.
          array.dtype == DType::TF32 ? DType::F32 : array.dtype, shape,
          array.strides};
    }
    return Success{};
  }

  void readBack() {
    for (const auto &[name, address] : addresses)
      if (name == "o" || name == "lse")
        device.read(address, arrays[name].storage.data(),
                    arrays[name].storage.size());
  }

  /// Tiles of `tileQ` rows of head 0 that something was written to.
  std::vector<int64_t> writtenTiles(int64_t tileQ) const {
    std::vector<int64_t> tiles;
    const StridedArray &o = arrays.at("o");
    for (int64_t row = 0; row < sizes.sq; row += tileQ)
      if (!std::isnan(o.get(std::array<int64_t, 4>{0, 0, row, 0})))
        tiles.push_back(row / tileQ);
    return tiles;
  }

  /// Compares rows [first, first + count) of head 0 with the reference.
  CheckReport check(int64_t first, int64_t count) {
    StridedArray q = headRows(arrays["q"], first, count),
                 k = headRows(arrays["k"], 0, sizes.sk),
                 v = headRows(arrays["v"], 0, sizes.sk),
                 o = headRows(arrays["o"], first, count);
    ReferenceProblem problem = problemAt(first, count);
    ReferenceResult reference = computeReference(problem, q, k, v);
    ReferenceResult low =
        computeLowReference(problem, q, k, v, {v.dtype, o.dtype});
    StridedArray lse;
    if (addresses.count("lse")) {
      lse = headRows(arrays["lse"], first, count);
    } else {
      lse = StridedArray::contiguous(DType::F32, {1, 1, count});
      for (int64_t i = 0; i < count; ++i)
        storeElement(DType::F32, lse.bytesAt(i), reference.lse[size_t(i)]);
    }
    return checkAttention(o, lse, reference, low, q.dtype);
  }

  emu::Device device;
  LaunchArguments arguments;

private:
  /// What head 0 of 8-bit operands is multiplied by; empty for other types.
  std::vector<double> scaleOfHead(const char *name) const {
    auto it = arrays.find(name);
    if (it == arrays.end())
      return {};
    return {it->second.loadIndex(it->second.offset)};
  }

  /// The whole problem's meaning for some rows of head 0: masks and biases see
  /// the rows' own numbers.
  ReferenceProblem problemAt(int64_t first, int64_t count) const {
    ReferenceProblem whole = ReferenceProblem::fromSpec(spec, sizes);
    ReferenceProblem part;
    part.sizes = sizes;
    part.sizes.b = part.sizes.hq = part.sizes.hkv = 1;
    part.sizes.sq = count;
    part.scale = whole.scale;
    part.softcap = whole.softcap;
    part.queryScales = scaleOfHead("q_descale");
    part.keyScales = scaleOfHead("k_descale");
    part.valueScales = scaleOfHead("v_descale");
    if (spec.alibi) {
      double slope = alibiSlopes(sizes.hq).front();
      int64_t shift = first + sizes.sk - sizes.sq;
      part.score = [slope, shift](int64_t, int64_t, int64_t q, int64_t k0,
                                  std::span<double> s) {
        for (size_t i = 0; i < s.size(); ++i)
          s[i] += slope * double(k0 + int64_t(i) - (q + shift));
      };
    }
    part.mask = [whole, first](int64_t, int64_t, int64_t q, int64_t k0,
                               std::span<uint8_t> live) {
      for (size_t i = 0; i < live.size(); ++i)
        if (!whole.isLive(first + q, k0 + int64_t(i)))
          live[i] = 0;
    };
    return part;
  }

  const AttentionSpec &spec;
  const Sizes &sizes;
  Sizes held;
  std::map<std::string, StridedArray> arrays;
  std::map<std::string, uint64_t> addresses;
};

void multiply(emu::CounterSet &set, uint64_t by) {
  set.issued *= by;
  for (uint64_t &count : set.pipes)
    count *= by;
  set.tensorFlops *= by;
  set.sharedWavefronts *= by;
  set.sharedWavefrontsIdeal *= by;
  set.globalSectors *= by;
  set.globalSectorsIdeal *= by;
  for (uint64_t &count : set.bytesLoaded)
    count *= by;
  for (uint64_t &count : set.bytesStored)
    count *= by;
}

/// Sums weighted counters.
class CounterSum {
public:
  void add(const emu::Counters &counters, uint64_t weight) {
    emu::CounterSet total = counters.total;
    multiply(total, weight);
    sum.total.add(total);
    for (const emu::LineCounters &line : counters.lines) {
      emu::LineCounters scaled = line;
      multiply(scaled.counts, weight);
      auto [it, isNew] = lines.emplace(line.line, scaled);
      if (!isNew)
        it->second.counts.add(scaled.counts);
    }
    for (const auto &[opcode, count] : counters.opcodes)
      opcodes[opcode] += count * weight;
  }

  emu::Counters take() {
    for (auto &[number, line] : lines)
      sum.lines.push_back(std::move(line));
    sum.opcodes.assign(opcodes.begin(), opcodes.end());
    return std::move(sum);
  }

private:
  emu::Counters sum;
  std::map<unsigned, emu::LineCounters> lines;
  std::map<std::string, uint64_t> opcodes;
};

/// The tiles whose rows are compared: first, middle and last of the written.
std::vector<int64_t> checkedTiles(const std::vector<int64_t> &tiles) {
  std::vector<int64_t> some = {tiles.front(), tiles[tiles.size() / 2],
                               tiles.back()};
  some.erase(std::unique(some.begin(), some.end()), some.end());
  return some;
}

} // namespace

Result<SliceResult> flash::ladder::runSlice(const std::string &ptx,
                                            const Manifest &manifest,
                                            const AttentionSpec &spec,
                                            const Sizes &sizes,
                                            const SliceOptions &options) {
  if (!manifest.before.empty())
    return Error{"kernel '" + manifest.entry +
                 "': launches before it are not counted"};
  emu::Diagnostic diagnostic;
  std::unique_ptr<emu::Module> module =
      emu::Module::parse(ptx, diagnostic, manifest.entry);
  if (!module)
    return Error{"PTX " + diagnostic.str()};
  auto tile = manifest.schedule.find("tile_q");
  if (tile == manifest.schedule.end())
    return Error{"manifest: schedule: expected a tile_q, got none"};
  int64_t tileQ = std::stoll(tile->second);
  KernelLaunch launch = manifest.launches().back();
  Result<Plan> plan = Planner(launch, sizes, tileQ).plan(spec, options);
  if (!plan)
    return plan.error();
  Operands operands(spec, sizes, options.wholeGrid);
  if (Status status = operands.place(manifest, options.seed); !status)
    return status.error();
  Result<std::vector<std::byte>> parameters =
      packArguments(manifest, launch, operands.arguments);
  if (!parameters)
    return parameters.error();
  Result<LaunchShape> shape = computeLaunchShape(launch, sizes);
  if (!shape)
    return shape.error();

  emu::LaunchConfig config;
  config.grid = shape->grid;
  config.block = shape->block;
  config.cluster = shape->cluster;
  config.dynamicSharedBytes = shape->dynamicSharedBytes;
  config.chip = *emu::parseChip(options.chip);
  config.counters = true;
  SliceResult result;
  result.ctas = product(shape->grid);
  result.exact = plan->exact;
  CounterSum sum;
  for (const Group &group : plan->groups) {
    config.only = group.ctas;
    emu::Report report = emu::launch(*module, launch.entry, *parameters,
                                     operands.device, config);
    for (const emu::Issue &issue : report.issues)
      result.errors.push_back(issue.str());
    if (!report.ok)
      return result;
    result.executedCtas += group.ctas.size();
    result.seconds += report.seconds;
    sum.add(report.counters, group.weight);
  }
  result.counters = sum.take();
  operands.readBack();
  std::vector<int64_t> written = operands.writtenTiles(tileQ);
  if (written.size() != plan->tiles.size()) {
    result.errors.push_back("expected the rows of " +
                            std::to_string(plan->tiles.size()) +
                            " tiles of queries to be written, got those of " +
                            std::to_string(written.size()));
    return result;
  }
  for (int64_t number : checkedTiles(written)) {
    int64_t first = number * tileQ, count = std::min(tileQ, sizes.sq - first);
    CheckReport check = operands.check(first, count);
    for (const std::string &error : check.errors)
      result.errors.push_back("rows from " + std::to_string(first) + ": " +
                              error);
    result.checkedRows += uint64_t(count);
    result.maxAbsErr = std::max(result.maxAbsErr, check.maxAbsErr);
    result.tolerance = std::max(result.tolerance, check.tolerance);
  }
  return result;
}

double flash::ladder::livePairs(const AttentionSpec &spec, const Sizes &sizes) {
  double pairs = double(sizes.sq) * double(sizes.sk);
  if (isMasked(spec)) {
    ReferenceProblem problem = ReferenceProblem::fromSpec(spec, sizes);
    uint64_t live = 0;
    for (int64_t q = 0; q < sizes.sq; ++q)
      for (int64_t k = 0; k < sizes.sk; ++k)
        live += problem.isLive(q, k);
    pairs = double(live);
  }
  return pairs * double(sizes.b) * double(sizes.hq);
}

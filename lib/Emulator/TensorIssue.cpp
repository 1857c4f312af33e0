//===- TensorIssue.cpp - Issuing tensor copies ------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BulkIssuer.h"

#include <algorithm>

using namespace flash::emu;

/// Reads the tensor map (PTX ISA: in .param, .const or .global memory) and the
/// coordinates.
bool BulkIssuer::mapAndCoordinates(const BulkAddress &address) {
  uint64_t at = addressOf(address);
  if (at % 64)
    return fail(IssueKind::Misaligned,
                "tensor map: expected a multiple of 64, got address " +
                    std::to_string(at));
  if (at - kSharedWindow < kWindowBytes || at - kLocalWindow < kWindowBytes)
    return fail(IssueKind::OutOfBounds,
                "tensor map: expected an address in parameter, constant or "
                "global memory");
  Access access;
  access.mask = 1u << lane;
  access.bytes = 64;
  const std::byte *bytes = nullptr;
  for (unsigned half : {1, 0}) {
    access.address[lane] = at + half * 64;
    if (!resolve(warp, inst, StateSpace::Generic, access))
      return false;
    bytes = access.at[lane];
  }
  std::string error;
  auto decoded = decodeTensorMap(bytes, error);
  if (!decoded)
    return fail(IssueKind::Launch, error);
  spec = *decoded;
  if (spec.rank != form.rank)
    return fail(IssueKind::Launch,
                "tensor map: expected rank " + std::to_string(form.rank) +
                    " as the instruction, got " + std::to_string(spec.rank));
  for (unsigned i = 0; i < spec.rank; ++i)
    coordinates[i] = int32_t(value(form.coordinates[i]));
  return true;
}

/// Finds the box's segments and checks its shared side.
bool BulkIssuer::box(const BulkAddress &address, bool isWrite,
                     SharedRange &range) {
  if (hasUnknownPitch(spec))
    return fail(IssueKind::Unsupported,
                "tensor map: expected rows of " +
                    std::to_string(swizzleSpan(spec.swizzle)) +
                    " bytes, the swizzle's span, got " +
                    std::to_string(elementBytes(spec.type) * spec.box[0]) +
                    " (how narrower rows lie is not documented)");
  // A single narrow row may go anywhere in its line of 128 bytes.
  uint64_t bytes = spec.boxBytes();
  uint64_t needed = spec.swizzle == TensorMapSwizzle::None
                        ? bytes
                        : std::max<uint64_t>(bytes, swizzleSpan(spec.swizzle));
  if (!shared(address, "shared address", needed, 128, isWrite, range.offset))
    return false;
  range.bytes = uint32_t(needed);
  op.bytes = bytes;
  // Offsets in the cluster agree with addresses in the bits of a swizzle.
  boxSegments(spec, coordinates, range.offset, segments);
  return true;
}

/// Makes the moves of the box's segments. What is adjacent in global memory,
/// such as a row that a swizzle has cut up, is checked at once.
bool BulkIssuer::boxMoves(bool isWrite) {
  std::byte *base = cluster.shared.get();
  op.moves.reserve(segments.size());
  for (size_t i = 0; i < segments.size();) {
    if (!segments[i].inside) {
      // Filled by a load, left alone by a store.
      if (!isWrite)
        op.moves.push_back(
            {base + segments[i].shared, nullptr, segments[i].bytes, nullptr});
      ++i;
      continue;
    }
    uint64_t first = segments[i].global;
    uint32_t bytes = 0;
    size_t end = i;
    while (end < segments.size() && segments[end].inside &&
           segments[end].global == first + bytes)
      bytes += segments[end++].bytes;
    BulkMove run;
    if (!global(first, bytes, isWrite, run))
      return false;
    for (; i < end; ++i) {
      uint64_t at = segments[i].global - first;
      std::byte *shared = base + segments[i].shared;
      uint32_t count = segments[i].bytes;
      if (isWrite)
        op.moves.push_back({run.to + at, shared, count,
                            run.unread ? run.unread + at : nullptr});
      else
        op.moves.push_back({shared, run.from + at, count, nullptr});
    }
  }
  return true;
}

bool BulkIssuer::tensorLoad() {
  SharedRange to;
  uint32_t at;
  if (!mapAndCoordinates(form.from) || !box(form.to, true, to) || !barrier(at))
    return false;
  op.fill = fillPattern(spec);
  op.fillBytes = uint8_t(elementBytes(spec.type));
  op.loadedAs = spec.type;
  if (!boxMoves(false))
    return false;
  countGlobal(false);
  countShared(op.bytes, true);
  return multicast(to, at);
}

/// Reductions take the element type of the map.
bool BulkIssuer::typeOfMap() {
  static constexpr std::pair<TensorMapType, BulkType> types[] = {
      {TensorMapType::U32, BulkType::U32},
      {TensorMapType::S32, BulkType::S32},
      {TensorMapType::U64, BulkType::U64},
      {TensorMapType::S64, BulkType::S64},
      {TensorMapType::F16, BulkType::F16},
      {TensorMapType::BF16, BulkType::BF16},
      {TensorMapType::F32, BulkType::F32},
      {TensorMapType::F32Ftz, BulkType::F32},
      {TensorMapType::F64, BulkType::F64}};
  for (auto [mapType, type] : types)
    if (mapType == spec.type) {
      op.type = type;
      if (bulkReduceExists(op.reduce, type))
        return true;
    }
  return fail(IssueKind::Unsupported,
              "tensor map: the reduction does not exist for elements of type " +
                  std::string(tensorMapTypeName(spec.type)));
}

bool BulkIssuer::tensorStore() {
  SharedRange from;
  if (!mapAndCoordinates(form.to) || !box(form.from, false, from))
    return false;
  if (op.reduce != BulkReduce::None && !typeOfMap())
    return false;
  if (!boxMoves(true))
    return false;
  // What lies outside the tensor is not read.
  SharedSet set(from.offset, from.bytes);
  uint64_t bytes = 0;
  for (const BoxSegment &segment : segments)
    if (segment.inside) {
      set.add(segment.shared, segment.bytes);
      bytes += segment.bytes;
    }
  op.bytes = bytes;
  countGlobal(true);
  countShared(bytes, false);
  issueToGlobal(std::move(set));
  return true;
}

bool BulkIssuer::tensorPrefetch() { return mapAndCoordinates(form.from); }

void flash::emu::runTensorLoad(Warp &warp, const Inst &inst, uint32_t mask) {
  issueByLane<&BulkIssuer::tensorLoad>(warp, inst, mask);
}

void flash::emu::runTensorStore(Warp &warp, const Inst &inst, uint32_t mask) {
  issueByLane<&BulkIssuer::tensorStore>(warp, inst, mask);
}

void flash::emu::runTensorPrefetch(Warp &warp, const Inst &inst,
                                   uint32_t mask) {
  issueByLane<&BulkIssuer::tensorPrefetch>(warp, inst, mask);
}

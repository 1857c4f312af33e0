//===- TensorMap.cpp - Tensor maps and their boxes --------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Emulator/TensorMap.h"
#include "TensorBox.h"

#include <algorithm>
#include <cstring>

using namespace flash::emu;

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

namespace {

constexpr std::string_view kTypeNames[] = {
    "u8",  "u16", "u32",  "s32",     "u64",  "s64",     "f16",
    "f32", "f64", "bf16", "f32_ftz", "tf32", "tf32_ftz"};
constexpr uint8_t kTypeBytes[] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4};

constexpr std::string_view kSwizzleNames[] = {
    "none",         "32B",           "64B",
    "128B",         "128B_atom_32B", "128B_atom_32B_flip_8B",
    "128B_atom_64B"};

template <typename E, size_t N>
std::optional<E> parseName(const std::string_view (&names)[N],
                           std::string_view name) {
  for (size_t i = 0; i < N; ++i)
    if (names[i] == name)
      return E(i);
  return std::nullopt;
}

} // namespace

std::optional<TensorMapType>
flash::emu::parseTensorMapType(std::string_view name) {
  return parseName<TensorMapType>(kTypeNames, name);
}

std::string_view flash::emu::tensorMapTypeName(TensorMapType type) {
  return kTypeNames[unsigned(type)];
}

std::optional<TensorMapSwizzle>
flash::emu::parseTensorMapSwizzle(std::string_view name) {
  return parseName<TensorMapSwizzle>(kSwizzleNames, name);
}

std::string_view flash::emu::tensorMapSwizzleName(TensorMapSwizzle swizzle) {
  return kSwizzleNames[unsigned(swizzle)];
}

unsigned flash::emu::elementBytes(TensorMapType type) {
  return kTypeBytes[unsigned(type)];
}

unsigned flash::emu::swizzleSpan(TensorMapSwizzle swizzle) {
  switch (swizzle) {
  case TensorMapSwizzle::None:
    return 0;
  case TensorMapSwizzle::B32:
    return 32;
  case TensorMapSwizzle::B64:
    return 64;
  default:
    return 128;
  }
}

//===----------------------------------------------------------------------===//
// TensorMapSpec
//===----------------------------------------------------------------------===//

void TensorMapSpec::setDenseStrides() {
  uint64_t stride = elementBytes(type);
  for (unsigned i = 0; i + 1 < kMaxTensorRank; ++i) {
    stride *= dims[i];
    strides[i] = i + 1 < rank ? stride : 0;
  }
}

uint32_t TensorMapSpec::boxCount(unsigned i) const {
  uint32_t step = i == 0 ? 1 : elementStrides[i];
  return (box[i] + step - 1) / step;
}

uint64_t TensorMapSpec::boxBytes() const {
  uint64_t bytes = elementBytes(type);
  for (unsigned i = 0; i < rank; ++i)
    bytes *= boxCount(i);
  return bytes;
}

std::string flash::emu::checkTensorMap(const TensorMapSpec &spec) {
  auto refuse = [](std::string role, std::string expected, uint64_t got) {
    return role + ": expected " + expected + ", got " + std::to_string(got);
  };
  auto at = [](std::string_view role, unsigned i) {
    return std::string(role) + " of dimension " + std::to_string(i);
  };
  if (unsigned(spec.type) >= std::size(kTypeNames))
    return refuse("element type", "a number from 0 to 12", unsigned(spec.type));
  if (spec.rank < 1 || spec.rank > kMaxTensorRank)
    return refuse("rank", "1 to 5", spec.rank);
  if (spec.interleave != TensorMapInterleave::None)
    return std::string("interleave: expected none (the interleaved layouts "
                       "are not supported), got ") +
           (spec.interleave == TensorMapInterleave::B16   ? "16B"
            : spec.interleave == TensorMapInterleave::B32 ? "32B"
                                                          : "an unknown one");
  if (unsigned(spec.swizzle) >= std::size(kSwizzleNames))
    return refuse("swizzle", "a number from 0 to 6", unsigned(spec.swizzle));
  if (unsigned(spec.fill) > 1)
    return refuse("fill", "zero or nan", unsigned(spec.fill));
  if (spec.fill == TensorMapFill::NaN && spec.type < TensorMapType::F16)
    return "fill: expected zero for the integer type " +
           std::string(tensorMapTypeName(spec.type)) + ", got nan";
  if (spec.address % 16)
    return refuse("global address", "a multiple of 16", spec.address);
  for (unsigned i = 0; i < spec.rank; ++i)
    if (spec.dims[i] < 1 || spec.dims[i] > uint64_t(1) << 32)
      return refuse(at("extent", i), "1 to 4294967296 elements", spec.dims[i]);
  for (unsigned i = 0; i + 1 < spec.rank; ++i)
    if (spec.strides[i] % 16 || spec.strides[i] >= uint64_t(1) << 40)
      return refuse(at("stride", i + 1),
                    "a multiple of 16 bytes below 1099511627776",
                    spec.strides[i]);
  for (unsigned i = 0; i < spec.rank; ++i)
    if (spec.box[i] < 1 || spec.box[i] > 256)
      return refuse(at("box", i), "1 to 256 elements", spec.box[i]);
  for (unsigned i = 0; i < spec.rank; ++i)
    if (spec.elementStrides[i] < 1 || spec.elementStrides[i] > 8)
      return refuse(at("element stride", i), "1 to 8", spec.elementStrides[i]);
  uint32_t inner = spec.box[0] * elementBytes(spec.type);
  if (inner % 16)
    return refuse("box of dimension 0", "a multiple of 16 bytes", inner);
  unsigned span = swizzleSpan(spec.swizzle);
  if (span && inner > span)
    return refuse("box of dimension 0",
                  "at most " + std::to_string(span) + " bytes for swizzle " +
                      std::string(tensorMapSwizzleName(spec.swizzle)),
                  inner);
  return "";
}

std::optional<TensorMap> flash::emu::encodeTensorMap(const TensorMapSpec &spec,
                                                     std::string &error) {
  error = checkTensorMap(spec);
  if (!error.empty())
    return std::nullopt;
  TensorMap map;
  map.address = spec.address;
  map.type = uint8_t(spec.type);
  map.rank = uint8_t(spec.rank);
  map.interleave = uint8_t(spec.interleave);
  map.swizzle = uint8_t(spec.swizzle);
  map.atomicity = uint8_t(map.swizzle > 3 ? map.swizzle - 3 : 0);
  map.fill = uint8_t(spec.fill);
  for (unsigned i = 0; i < spec.rank; ++i) {
    if (i + 1 < spec.rank)
      map.strides[i] = spec.strides[i];
    map.lastElements[i] = uint32_t(spec.dims[i] - 1);
    map.box[i] = uint16_t(spec.box[i]);
    map.elementStrides[i] = uint8_t(spec.elementStrides[i]);
  }
  return map;
}

std::optional<TensorMapSpec> flash::emu::decodeTensorMap(const void *bytes,
                                                         std::string &error) {
  TensorMap map;
  std::memcpy(&map, bytes, sizeof(map));
  if (map.magic != TensorMap::kMagic) {
    error = "tensor map: expected 128 bytes made by encodeTensorMap, got "
            "something else";
    return std::nullopt;
  }
  TensorMapSpec spec;
  spec.address = map.address;
  spec.type = TensorMapType(map.type);
  spec.rank = map.rank;
  spec.interleave = TensorMapInterleave(map.interleave);
  spec.swizzle = TensorMapSwizzle(map.swizzle);
  spec.fill = TensorMapFill(map.fill);
  for (unsigned i = 0; i < std::min<unsigned>(map.rank, kMaxTensorRank); ++i) {
    if (i + 1u < map.rank && i + 1 < kMaxTensorRank)
      spec.strides[i] = map.strides[i];
    spec.dims[i] = uint64_t(map.lastElements[i]) + 1;
    spec.box[i] = map.box[i];
    spec.elementStrides[i] = map.elementStrides[i];
  }
  error = checkTensorMap(spec);
  if (!error.empty()) {
    error = "tensor map: " + error;
    return std::nullopt;
  }
  return spec;
}

//===----------------------------------------------------------------------===//
// Boxes
//===----------------------------------------------------------------------===//

uint32_t flash::emu::swizzleAddress(TensorMapSwizzle swizzle,
                                    uint32_t address) {
  switch (swizzle) {
  case TensorMapSwizzle::None:
    return address;
  case TensorMapSwizzle::B32:
    return address ^ (address >> 3 & 0x10);
  case TensorMapSwizzle::B64:
    return address ^ (address >> 3 & 0x30);
  case TensorMapSwizzle::B128:
    return address ^ (address >> 3 & 0x70);
  case TensorMapSwizzle::B128Atom32:
    return address ^ (address >> 2 & 0x60);
  case TensorMapSwizzle::B128Atom32Flip:
    return address ^ (address >> 2 & 0x60) ^ (address >> 4 & 0x08);
  case TensorMapSwizzle::B128Atom64:
    return address ^ (address >> 1 & 0x40);
  }
  return address;
}

namespace {

/// Largest run of bytes that a swizzle leaves adjacent.
uint32_t swizzleUnit(TensorMapSwizzle swizzle) {
  switch (swizzle) {
  case TensorMapSwizzle::None:
    return ~0u;
  case TensorMapSwizzle::B128Atom32Flip:
    return 8;
  case TensorMapSwizzle::B128Atom32:
    return 32;
  case TensorMapSwizzle::B128Atom64:
    return 64;
  default:
    return 16;
  }
}

void append(std::vector<BoxSegment> &segments, size_t first,
            const BoxSegment &next) {
  if (segments.size() > first) {
    BoxSegment &last = segments.back();
    if (last.inside == next.inside && last.shared + last.bytes == next.shared &&
        (!next.inside || last.global + last.bytes == next.global)) {
      last.bytes += next.bytes;
      return;
    }
  }
  segments.push_back(next);
}

} // namespace

void flash::emu::boxSegments(const TensorMapSpec &spec,
                             const int32_t *coordinates, uint32_t shared,
                             std::vector<BoxSegment> &segments) {
  size_t first = segments.size();
  int64_t element = elementBytes(spec.type);
  uint32_t rowBytes = uint32_t(element * spec.boxCount(0));
  // Bytes [lo, hi) of every row lie inside dimension 0.
  auto clamp = [&](int64_t bytes) {
    return uint32_t(std::clamp<int64_t>(bytes, 0, rowBytes));
  };
  uint32_t lo = clamp(-int64_t(coordinates[0]) * element);
  uint32_t hi = clamp((int64_t(spec.dims[0]) - coordinates[0]) * element);
  uint32_t unit = swizzleUnit(spec.swizzle);
  std::array<uint32_t, kMaxTensorRank> index = {};
  while (true) {
    bool inside = true;
    uint64_t global =
        spec.address + uint64_t(int64_t(coordinates[0])) * element;
    for (unsigned i = 1; i < spec.rank; ++i) {
      int64_t at =
          int64_t(coordinates[i]) + int64_t(index[i]) * spec.elementStrides[i];
      inside &= at >= 0 && at < int64_t(spec.dims[i]);
      global += uint64_t(at) * spec.strides[i - 1];
    }
    for (uint32_t at = 0; at < rowBytes;) {
      bool exists = inside && at >= lo && at < hi;
      uint32_t end = !inside || at >= hi ? rowBytes : at < lo ? lo : hi;
      uint32_t place = shared + at;
      if (unit != ~0u)
        end = std::min(end, at + (unit - place % unit));
      append(segments, first,
             {exists ? global + at : 0, swizzleAddress(spec.swizzle, place),
              end - at, exists});
      at = end;
    }
    shared += rowBytes;
    unsigned i = 1;
    while (i < spec.rank && ++index[i] == spec.boxCount(i))
      index[i++] = 0;
    if (i >= spec.rank)
      return;
  }
}

bool flash::emu::hasUnknownPitch(const TensorMapSpec &spec) {
  unsigned span = swizzleSpan(spec.swizzle);
  uint64_t row = uint64_t(elementBytes(spec.type)) * spec.boxCount(0);
  return span && row < span && spec.boxBytes() != row;
}

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

uint64_t flash::emu::fillPattern(const TensorMapSpec &spec) {
  if (spec.fill == TensorMapFill::Zero)
    return 0;
  // Quiet NaNs. That of the 16-bit formats is the "OOB NaN" which
  // fma.rn.oob takes for zero.
  switch (elementBytes(spec.type)) {
  case 2:
    return 0x7eff;
  case 4:
    return 0x7fffffff;
  default:
    return 0x7fffffffffffffff;
  }
}

void flash::emu::convertLoaded(TensorMapType type, void *elements,
                               uint32_t bytes) {
  bool flush = type == TensorMapType::F32Ftz || type == TensorMapType::TF32Ftz;
  bool round = type == TensorMapType::TF32 || type == TensorMapType::TF32Ftz;
  if (!flush && !round)
    return;
  auto *at = static_cast<unsigned char *>(elements);
  for (uint32_t i = 0; i + 4 <= bytes; i += 4) {
    uint32_t bits;
    std::memcpy(&bits, at + i, 4);
    uint32_t exponent = bits >> 23 & 0xff;
    if (flush && exponent == 0)
      bits &= 0x80000000;
    // Infinities and NaNs stay as they are.
    if (round && exponent != 0xff)
      bits = (bits + 0xfff + (bits >> 13 & 1)) & ~0x1fffu;
    std::memcpy(at + i, &bits, 4);
  }
}

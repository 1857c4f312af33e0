//===- TensorMapTests.cpp - Tensor maps and their boxes ---------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TensorBox.h"
#include "flash/Emulator/TensorMap.h"

#include "gtest/gtest.h"

#include <bit>
#include <cstring>
#include <map>
#include <random>

using namespace flash::emu;

namespace {

/// A valid map to change one thing of.
TensorMapSpec matrix() {
  TensorMapSpec spec;
  spec.type = TensorMapType::F16;
  spec.rank = 2;
  spec.address = 0x1000;
  spec.dims = {128, 100, 1, 1, 1};
  spec.setDenseStrides();
  spec.box = {64, 16, 1, 1, 1};
  return spec;
}

TEST(TensorMap, RoundTrip) {
  TensorMapSpec spec = matrix();
  spec.dims[1] = uint64_t(1) << 32;
  spec.strides[0] = (uint64_t(1) << 40) - 16;
  spec.elementStrides[1] = 8;
  spec.swizzle = TensorMapSwizzle::B128;
  spec.fill = TensorMapFill::NaN;
  std::string error;
  auto map = encodeTensorMap(spec, error);
  ASSERT_TRUE(map) << error;
  auto back = decodeTensorMap(&*map, error);
  ASSERT_TRUE(back) << error;
  EXPECT_EQ(back->address, spec.address);
  EXPECT_EQ(back->type, spec.type);
  EXPECT_EQ(back->rank, 2u);
  EXPECT_EQ(back->dims, spec.dims);
  EXPECT_EQ(back->strides, spec.strides);
  EXPECT_EQ(back->box, spec.box);
  EXPECT_EQ(back->elementStrides, spec.elementStrides);
  EXPECT_EQ(back->swizzle, spec.swizzle);
  EXPECT_EQ(back->fill, spec.fill);
  EXPECT_EQ(back->boxBytes(), 64u * 2 * 2);
}

TEST(TensorMap, DenseStrides) {
  TensorMapSpec spec;
  spec.type = TensorMapType::F32;
  spec.rank = 4;
  spec.dims = {8, 3, 5, 7};
  spec.setDenseStrides();
  EXPECT_EQ(spec.strides[0], 32u);
  EXPECT_EQ(spec.strides[1], 96u);
  EXPECT_EQ(spec.strides[2], 480u);
  EXPECT_EQ(spec.strides[3], 0u);
}

TEST(TensorMap, Refusals) {
  using Change = void (*)(TensorMapSpec &);
  static const std::pair<Change, std::string_view> cases[] = {
      {[](TensorMapSpec &s) { s.rank = 0; }, "rank: expected 1 to 5, got 0"},
      {[](TensorMapSpec &s) { s.rank = 6; }, "rank: expected 1 to 5, got 6"},
      {[](TensorMapSpec &s) { s.type = TensorMapType(13); },
       "element type: expected a number from 0 to 12, got 13"},
      {[](TensorMapSpec &s) { s.interleave = TensorMapInterleave::B16; },
       "interleave: expected none (the interleaved layouts are not supported), "
       "got 16B"},
      {[](TensorMapSpec &s) { s.swizzle = TensorMapSwizzle(7); },
       "swizzle: expected a number from 0 to 6, got 7"},
      {[](TensorMapSpec &s) {
         s.type = TensorMapType::S32;
         s.fill = TensorMapFill::NaN;
       },
       "fill: expected zero for the integer type s32, got nan"},
      {[](TensorMapSpec &s) { s.address = 0x1008; },
       "global address: expected a multiple of 16, got 4104"},
      {[](TensorMapSpec &s) { s.dims[1] = 0; },
       "extent of dimension 1: expected 1 to 4294967296 elements, got 0"},
      {[](TensorMapSpec &s) { s.dims[0] = (uint64_t(1) << 32) + 1; },
       "extent of dimension 0: expected 1 to 4294967296 elements, got "
       "4294967297"},
      {[](TensorMapSpec &s) { s.strides[0] = 250; },
       "stride of dimension 1: expected a multiple of 16 bytes below "
       "1099511627776, got 250"},
      {[](TensorMapSpec &s) { s.strides[0] = uint64_t(1) << 40; },
       "stride of dimension 1: expected a multiple of 16 bytes below "
       "1099511627776, got 1099511627776"},
      {[](TensorMapSpec &s) { s.box[1] = 257; },
       "box of dimension 1: expected 1 to 256 elements, got 257"},
      {[](TensorMapSpec &s) { s.box[0] = 0; },
       "box of dimension 0: expected 1 to 256 elements, got 0"},
      {[](TensorMapSpec &s) { s.box[0] = 12; },
       "box of dimension 0: expected a multiple of 16 bytes, got 24"},
      {[](TensorMapSpec &s) { s.elementStrides[1] = 9; },
       "element stride of dimension 1: expected 1 to 8, got 9"},
      {[](TensorMapSpec &s) { s.elementStrides[0] = 0; },
       "element stride of dimension 0: expected 1 to 8, got 0"},
      {[](TensorMapSpec &s) {
         s.box[0] = 128;
         s.swizzle = TensorMapSwizzle::B128;
       },
       "box of dimension 0: expected at most 128 bytes for swizzle 128B, got "
       "256"},
      {[](TensorMapSpec &s) { s.swizzle = TensorMapSwizzle::B32; },
       "box of dimension 0: expected at most 32 bytes for swizzle 32B, got "
       "128"},
  };
  EXPECT_EQ(checkTensorMap(matrix()), "");
  for (auto &[change, message] : cases) {
    TensorMapSpec spec = matrix();
    change(spec);
    std::string error;
    EXPECT_FALSE(encodeTensorMap(spec, error));
    EXPECT_EQ(error, message);
  }
}

TEST(TensorMap, GarbageIsDiagnosed) {
  std::string error;
  unsigned char bytes[128] = {1, 2, 3};
  EXPECT_FALSE(decodeTensorMap(bytes, error));
  EXPECT_EQ(error, "tensor map: expected 128 bytes made by encodeTensorMap, "
                   "got something else");
  auto map = encodeTensorMap(matrix(), error);
  ASSERT_TRUE(map);
  map->rank = 77;
  EXPECT_FALSE(decodeTensorMap(&*map, error));
  EXPECT_EQ(error, "tensor map: rank: expected 1 to 5, got 77");
}

TEST(TensorMap, Names) {
  for (unsigned i = 0; i < 13; ++i)
    EXPECT_EQ(parseTensorMapType(tensorMapTypeName(TensorMapType(i))),
              TensorMapType(i));
  for (unsigned i = 0; i < 7; ++i)
    EXPECT_EQ(parseTensorMapSwizzle(tensorMapSwizzleName(TensorMapSwizzle(i))),
              TensorMapSwizzle(i));
  EXPECT_FALSE(parseTensorMapType("f8"));
  EXPECT_FALSE(parseTensorMapSwizzle("256B"));
}

//===----------------------------------------------------------------------===//
// Boxes against one element at a time
//===----------------------------------------------------------------------===//

/// The swizzle in words: lines of 128 bytes, in each of which units change
/// places by the number of the line.
uint32_t placeOf(TensorMapSwizzle swizzle, uint32_t address) {
  auto move = [&](uint32_t unit, uint32_t units) {
    uint32_t line = address / 128, in = address % 128;
    uint32_t number = in / unit, group = number / units * units;
    uint32_t to = group + ((number - group) ^ (line % units));
    return line * 128 + to * unit + in % unit;
  };
  switch (swizzle) {
  case TensorMapSwizzle::None:
    return address;
  case TensorMapSwizzle::B32:
    return move(16, 2);
  case TensorMapSwizzle::B64:
    return move(16, 4);
  case TensorMapSwizzle::B128:
    return move(16, 8);
  case TensorMapSwizzle::B128Atom32:
    return move(32, 4);
  case TensorMapSwizzle::B128Atom32Flip: {
    uint32_t to = move(32, 4);
    if (address / 128 % 2 == 0)
      return to;
    return to % 16 < 8 ? to + 8 : to - 8;
  }
  case TensorMapSwizzle::B128Atom64:
    return move(64, 2);
  }
  return address;
}

/// Compares boxSegments with the definition, byte by byte.
void expectBox(const TensorMapSpec &spec, const int32_t *coordinates,
               uint32_t shared) {
  ASSERT_EQ(checkTensorMap(spec), "");
  std::vector<BoxSegment> segments;
  boxSegments(spec, coordinates, shared, segments);
  // Shared byte -> global byte, 0 for the fill.
  std::map<uint32_t, uint64_t> got;
  for (const BoxSegment &s : segments) {
    ASSERT_NE(s.bytes, 0u);
    for (uint32_t i = 0; i < s.bytes; ++i)
      ASSERT_TRUE(got.emplace(s.shared + i, s.inside ? s.global + i : 0).second)
          << "shared byte " << s.shared + i << " twice";
  }
  uint32_t element = elementBytes(spec.type);
  uint32_t linear = 0;
  uint32_t counts[5];
  for (unsigned i = 0; i < 5; ++i) {
    uint32_t step = i == 0 || i >= spec.rank ? 1 : spec.elementStrides[i];
    counts[i] = i < spec.rank ? (spec.box[i] + step - 1) / step : 1;
  }
  for (uint32_t e = 0; e < counts[4]; ++e)
    for (uint32_t d = 0; d < counts[3]; ++d)
      for (uint32_t c = 0; c < counts[2]; ++c)
        for (uint32_t b = 0; b < counts[1]; ++b)
          for (uint32_t a = 0; a < counts[0]; ++a, ++linear) {
            uint32_t index[5] = {a, b, c, d, e};
            bool inside = true;
            uint64_t global = spec.address;
            for (unsigned i = 0; i < spec.rank; ++i) {
              int64_t at = coordinates[i] +
                           int64_t(index[i]) *
                               (i == 0 ? 1 : int64_t(spec.elementStrides[i]));
              inside = inside && at >= 0 && at < int64_t(spec.dims[i]);
              global += at * int64_t(i == 0 ? element : spec.strides[i - 1]);
            }
            for (uint32_t byte = 0; byte < element; ++byte) {
              uint32_t place =
                  placeOf(spec.swizzle, shared + linear * element + byte);
              auto it = got.find(place);
              ASSERT_NE(it, got.end()) << "shared byte " << place;
              ASSERT_EQ(it->second, inside ? global + byte : 0)
                  << "element " << a << " " << b << " " << c << " " << d << " "
                  << e;
              got.erase(it);
            }
          }
  EXPECT_TRUE(got.empty());
}

TEST(TensorBox, EverySwizzle) {
  for (unsigned i = 0; i < 7; ++i) {
    TensorMapSpec spec = matrix();
    spec.swizzle = TensorMapSwizzle(i);
    unsigned span = swizzleSpan(spec.swizzle);
    spec.box[0] = (span ? span : 128) / 2;
    spec.box[1] = 40;
    int32_t inside[] = {16, 8}, before[] = {-9, -3}, after[] = {101, 77},
            beyond[] = {128, 100}, far[] = {INT32_MIN, INT32_MAX};
    // The pattern follows the address, wherever the box starts in it.
    for (uint32_t shared : {0u, 128u, 384u, 1024u, 0x3000280u})
      for (const int32_t *at : {inside, before, after, beyond, far}) {
        SCOPED_TRACE(testing::Message()
                     << tensorMapSwizzleName(spec.swizzle) << " at " << at[0]
                     << ", " << at[1] << " to " << shared);
        expectBox(spec, at, shared);
      }
  }
}

TEST(TensorBox, SwizzleStaysInItsLine) {
  for (unsigned i = 0; i < 7; ++i)
    for (uint32_t address = 0; address < 4096; ++address) {
      uint32_t to = swizzleAddress(TensorMapSwizzle(i), address);
      EXPECT_EQ(to / 128, address / 128);
      EXPECT_EQ(to, placeOf(TensorMapSwizzle(i), address));
      // An involution, hence a permutation.
      EXPECT_EQ(swizzleAddress(TensorMapSwizzle(i), to), address);
    }
}

TEST(TensorBox, RandomMaps) {
  std::mt19937 random(7);
  auto pick = [&](uint32_t least, uint32_t most) {
    return least + random() % (most - least + 1);
  };
  unsigned partial = 0;
  for (unsigned trial = 0; trial < 400; ++trial) {
    TensorMapSpec spec;
    spec.type = TensorMapType(pick(0, 12));
    spec.rank = pick(1, 5);
    spec.address = 16 * pick(1, 1000);
    spec.swizzle = TensorMapSwizzle(pick(0, 6));
    uint32_t element = elementBytes(spec.type);
    unsigned span = swizzleSpan(spec.swizzle);
    for (unsigned i = 0; i < spec.rank; ++i) {
      spec.dims[i] = pick(1, i ? 9 : 90);
      spec.box[i] = pick(1, i ? 6 : 64);
      spec.elementStrides[i] = pick(1, 3);
    }
    spec.box[0] = span ? span / element : 16 * pick(1, 4);
    spec.setDenseStrides();
    for (unsigned i = 0; i + 1 < spec.rank; ++i)
      spec.strides[i] = (spec.strides[i] + 16 * pick(0, 3)) / 16 * 16;
    int32_t coordinates[5];
    for (unsigned i = 0; i < spec.rank; ++i)
      coordinates[i] = int32_t(pick(0, uint32_t(spec.dims[i]) + 3)) - 3;
    SCOPED_TRACE(trial);
    expectBox(spec, coordinates, 128 * pick(0, 20));
    std::vector<BoxSegment> segments;
    boxSegments(spec, coordinates, 0, segments);
    bool in = false, out = false;
    for (const BoxSegment &s : segments)
      (s.inside ? in : out) = true;
    partial += in && out;
  }
  // The trials are worth something only if many boxes cross an edge.
  EXPECT_GT(partial, 100u);
}

TEST(TensorBox, DenseBoxesAreFewSegments) {
  TensorMapSpec spec = matrix();
  spec.box = {128, 16};
  int32_t coordinates[] = {0, 4};
  std::vector<BoxSegment> segments;
  boxSegments(spec, coordinates, 0, segments);
  ASSERT_EQ(segments.size(), 1u);
  EXPECT_EQ(segments[0].bytes, 128u * 16 * 2);
  EXPECT_EQ(segments[0].global, 0x1000u + 4 * 256);
}

TEST(TensorBox, PitchOfNarrowSwizzledRows) {
  TensorMapSpec spec = matrix();
  EXPECT_FALSE(hasUnknownPitch(spec));
  spec.swizzle = TensorMapSwizzle::B128;
  EXPECT_FALSE(hasUnknownPitch(spec));
  spec.box[0] = 32;
  EXPECT_TRUE(hasUnknownPitch(spec));
  spec.box[1] = 1;
  EXPECT_FALSE(hasUnknownPitch(spec));
}

TEST(TensorBox, FillAndConversion) {
  TensorMapSpec spec = matrix();
  EXPECT_EQ(fillPattern(spec), 0u);
  spec.fill = TensorMapFill::NaN;
  EXPECT_GT(fillPattern(spec) & 0x7fff, 0x7c00u);
  spec.type = TensorMapType::F32;
  EXPECT_TRUE(std::isnan(std::bit_cast<float>(uint32_t(fillPattern(spec)))));
  spec.type = TensorMapType::F64;
  EXPECT_TRUE(std::isnan(std::bit_cast<double>(fillPattern(spec))));

  // tf32: ties to even, carries into the exponent, infinities and NaNs kept.
  auto convert = [](TensorMapType type, uint32_t bits) {
    convertLoaded(type, &bits, 4);
    return bits;
  };
  EXPECT_EQ(convert(TensorMapType::TF32, 0x3f801000), 0x3f800000u);
  EXPECT_EQ(convert(TensorMapType::TF32, 0x3f803000), 0x3f804000u);
  EXPECT_EQ(convert(TensorMapType::TF32, 0x3f801001), 0x3f802000u);
  EXPECT_EQ(convert(TensorMapType::TF32, 0xbfffffff), 0xc0000000u);
  EXPECT_EQ(convert(TensorMapType::TF32, 0x7f800000), 0x7f800000u);
  EXPECT_EQ(convert(TensorMapType::TF32, 0x7f800001), 0x7f800001u);
  EXPECT_EQ(convert(TensorMapType::TF32, 0x00012000), 0x00012000u);
  EXPECT_EQ(convert(TensorMapType::TF32Ftz, 0x00012000), 0u);
  EXPECT_EQ(convert(TensorMapType::F32Ftz, 0x807fffff), 0x80000000u);
  EXPECT_EQ(convert(TensorMapType::F32Ftz, 0x00800001), 0x00800001u);
  EXPECT_EQ(convert(TensorMapType::F32, 0x007fffff), 0x007fffffu);
}

} // namespace

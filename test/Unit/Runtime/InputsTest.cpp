//===- InputsTest.cpp -----------------------------------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Runtime/Inputs.h"
#include "flash/Runtime/Reference.h"

#include <cmath>
#include <gtest/gtest.h>
#include <set>

using namespace flash::runtime;

namespace {

const StrideStyle kStyles[] = {StrideStyle::Contiguous, StrideStyle::Padded,
                               StrideStyle::Transposed, StrideStyle::Innermost,
                               StrideStyle::Unaligned,  StrideStyle::Align4,
                               StrideStyle::Align8,     StrideStyle::Huge};

AttentionSpec parseSpec(const std::string &text) {
  Result<AttentionSpec> spec = AttentionSpec::parse(text);
  EXPECT_TRUE(spec.succeeded()) << text;
  return *spec;
}

ProblemArrays make(const std::string &text, const InputOptions &options) {
  AttentionSpec spec = parseSpec(text);
  Result<ProblemArrays> arrays =
      makeInputs(spec, *spec.resolveSizes(""), options);
  EXPECT_TRUE(arrays.succeeded()) << arrays.error().message;
  return std::move(*arrays);
}

/// Values of an independent Philox4x32-10 and Box-Muller with libm.
TEST(Inputs, KnownNormals) {
  auto first = [](uint64_t seed, uint64_t stream, int64_t element) {
    StridedArray array = StridedArray::contiguous(DType::F64, {element + 1});
    fillNormal(array, seed, stream);
    return array.loadIndex(element);
  };
  EXPECT_NEAR(first(0, 0, 0), -0.12151797595308224, 1e-14);
  EXPECT_NEAR(first(0, 0, 1), -0.08187420991589162, 1e-14);
  EXPECT_NEAR(first(1, 2, 3), -0.5249057783837429, 1e-14);
  EXPECT_NEAR(first(123456789012345, 1, 1 << 20), 0.07764143217061259, 1e-14);
}

/// 8-bit inputs are N(0, 1) once they are multiplied by their scales, which take
/// every head's largest magnitude to the end of the format.
TEST(Inputs, NarrowTypesAreScaledPerHead) {
  for (auto [dtype, largest, step] :
       {std::tuple("e4m3", 448.0, 0x1p-4), {"e5m2", 57344.0, 0x1p-3}}) {
    std::string sizes = "b=2,hq=4,hkv=2,sq=50,sk=70,d=32,dv=48,dtype=";
    ProblemArrays narrow = make(sizes + dtype, {});
    ProblemArrays wide = make(sizes + "f32", {});
    EXPECT_EQ(narrow.o.dtype, DType::BF16);
    EXPECT_FALSE(wide.qDescale);
    for (auto [got, scales, expected] :
         {std::tuple(&narrow.q, &narrow.qDescale, &wide.q),
          {&narrow.k, &narrow.kDescale, &wide.k},
          {&narrow.v, &narrow.vDescale, &wide.v}}) {
      ASSERT_TRUE(*scales);
      ASSERT_EQ((*scales)->shape,
                (std::vector<int64_t>{2, expected->shape[1]}));
      for (int64_t b = 0; b < 2; ++b)
        for (int64_t h = 0; h < expected->shape[1]; ++h) {
          double scale = (*scales)->get(std::array{b, h}), top = 0;
          for (int64_t s = 0; s < expected->shape[2]; ++s)
            for (int64_t d = 0; d < expected->shape[3]; ++d) {
              std::array<int64_t, 4> at = {b, h, s, d};
              double value = got->get(at);
              top = std::max(top, std::fabs(value));
              // Half a unit in the last place, or of the least subnormal.
              EXPECT_NEAR(value * scale, expected->get(at),
                          step * std::fabs(expected->get(at)) + 0x1p-10 * scale);
            }
          EXPECT_EQ(top, largest);
        }
    }
  }
  AttentionSpec spec = parseSpec("sq=8,sk=8,d=16,dtype=e4m3");
  InputOptions jumps;
  jumps.init.kind = InitKind::Jump;
  Result<ProblemArrays> refused =
      makeInputs(spec, *spec.resolveSizes(""), jumps);
  ASSERT_FALSE(refused.succeeded());
  EXPECT_EQ(refused.error().message,
            "--init=jump: expected a dtype of 16 bits or more, got e4m3");
}

TEST(Inputs, NormalMoments) {
  StridedArray array = StridedArray::contiguous(DType::F64, {200000});
  fillNormal(array, 7, 0);
  double sum = 0, squares = 0, fourths = 0;
  forEachIndex(array, [&](int64_t index) {
    double x = array.loadIndex(index);
    sum += x;
    squares += x * x;
    fourths += x * x * x * x;
  });
  EXPECT_NEAR(sum / 200000, 0, 0.01);
  EXPECT_NEAR(squares / 200000, 1, 0.02);
  EXPECT_NEAR(fourths / 200000, 3, 0.15);
}

TEST(Inputs, SeedsAndTensorsDiffer) {
  InputOptions options;
  ProblemArrays zero = make("sq=8,sk=8,d=8,dtype=f16", options);
  options.seed = 1;
  ProblemArrays one = make("sq=8,sk=8,d=8,dtype=f16", options);
  std::set<std::vector<std::byte>> distinct;
  for (const ProblemArrays *arrays : {&zero, &one})
    for (const StridedArray *array : {&arrays->q, &arrays->k, &arrays->v})
      distinct.insert(array->logicalBytes());
  EXPECT_EQ(distinct.size(), 6u);
}

/// No style lets two logical elements share storage or lie outside it, and all
/// hold the same values.
TEST(Inputs, StrideStyles) {
  std::string text = "b=2,hq=4,hkv=2,sq=5,sk=7,d=16,dv=24,dtype=bf16";
  ProblemArrays plain = make(text, {});
  for (const char *layout : {"bhsd", "bshd"})
    for (StrideStyle style : kStyles)
      for (bool poison : {false, true}) {
        InputOptions options;
        options.strides = style;
        options.poisonNaN = poison;
        ProblemArrays arrays = make(text + ",layout=" + layout, options);
        std::string what = std::string(name(style)) + " " + layout;
        EXPECT_EQ(arrays.q.logicalBytes(), plain.q.logicalBytes()) << what;
        EXPECT_EQ(arrays.k.logicalBytes(), plain.k.logicalBytes()) << what;
        EXPECT_EQ(arrays.v.logicalBytes(), plain.v.logicalBytes()) << what;
        for (const StridedArray *array :
             {&arrays.q, &arrays.k, &arrays.v, &arrays.o, &arrays.lse}) {
          std::set<int64_t> seen;
          int64_t size =
              int64_t(array->storage.size()) / byteWidth(array->dtype);
          forEachIndex(*array, [&](int64_t index) {
            EXPECT_TRUE(index >= 0 && index < size) << what;
            EXPECT_TRUE(seen.insert(index).second) << what;
          });
        }
      }
}

TEST(Inputs, Strides) {
  auto strides = [](StrideStyle style, Layout layout = Layout::BHSD) {
    Result<StridedArray> array =
        allocateArray(DType::F16, {1, 3, 5, 40}, layout, style, false);
    EXPECT_TRUE(array.succeeded());
    return std::pair(array->strides, array->offset);
  };
  using Expected = std::pair<std::vector<int64_t>, int64_t>;
  EXPECT_EQ(strides(StrideStyle::Contiguous), Expected({600, 200, 40, 1}, 0));
  EXPECT_EQ(strides(StrideStyle::Transposed), Expected({600, 40, 120, 1}, 0));
  EXPECT_EQ(strides(StrideStyle::Contiguous, Layout::BSHD),
            Expected({600, 40, 120, 1}, 0));
  EXPECT_EQ(strides(StrideStyle::Transposed, Layout::BSHD),
            Expected({600, 200, 40, 1}, 0));
  EXPECT_EQ(strides(StrideStyle::Innermost), Expected({600, 200, 1, 5}, 0));
  EXPECT_EQ(strides(StrideStyle::Padded), Expected({1536, 384, 48, 1}, 8));
  EXPECT_EQ(strides(StrideStyle::Unaligned), Expected({615, 205, 41, 1}, 1));
  EXPECT_EQ(strides(StrideStyle::Align4), Expected({630, 210, 42, 1}, 2));
  EXPECT_EQ(strides(StrideStyle::Align8), Expected({660, 220, 44, 1}, 4));
  EXPECT_EQ(strides(StrideStyle::Huge),
            Expected({int64_t(1) << 40, 200, 40, 1}, 0));
}

TEST(Inputs, PoisonSurroundsTheElements) {
  for (StrideStyle style : kStyles) {
    InputOptions options;
    options.strides = style;
    options.poisonNaN = true;
    ProblemArrays arrays = make("hq=2,sq=5,sk=7,d=16,dtype=f16", options);
    for (const StridedArray *array : {&arrays.q, &arrays.k, &arrays.v}) {
      std::vector<bool> padding = array->paddingMask();
      int64_t last = 0, first = INT64_MAX;
      for (size_t i = 0; i < padding.size(); ++i) {
        EXPECT_EQ(std::isnan(array->loadIndex(int64_t(i))), padding[i]);
        if (!padding[i]) {
          last = int64_t(i);
          first = std::min(first, int64_t(i));
        }
      }
      EXPECT_GE(int64_t(padding.size()) - last, kPoisonTailRows * 16);
      EXPECT_GE(first, 16);
    }
    // Outputs have no poison to read, but NaN everywhere until written.
    forEachIndex(arrays.o, [&](int64_t index) {
      EXPECT_TRUE(std::isnan(arrays.o.loadIndex(index)));
    });
  }
}

TEST(Inputs, CountPaddingWrites) {
  InputOptions options;
  options.strides = StrideStyle::Padded;
  ProblemArrays before = make("sq=3,sk=3,d=8,dtype=f16", options);
  StridedArray after = before.o;
  forEachIndex(after, [&](int64_t index) {
    storeElement(after.dtype, after.bytesAt(index), 1);
  });
  EXPECT_EQ(countPaddingWrites(before.o, after), 0);
  storeElement(after.dtype, after.bytesAt(after.offset + 8), 1);
  storeElement(after.dtype, after.bytesAt(0), 0);
  EXPECT_EQ(countPaddingWrites(before.o, after), 2);
}

/// Row maxima per tile, in log2 units, are where --init=jump says.
TEST(Inputs, JumpsAreExact) {
  struct Case {
    const char *spec;
    double jump;
    int64_t tile;
  };
  for (const Case &c :
       {Case{"sq=4,sk=2000,d=128,dtype=bf16", 7.9, 64},
        Case{"sq=4,sk=700,d=64,dtype=f16", 9.0, 64},
        Case{"sq=4,sk=1000,d=40,dtype=bf16,scale=0.01", 8.5, 128},
        Case{"sq=4,sk=300,d=8,dtype=f16,scale=-1", 30, 32}}) {
    InputOptions options;
    options.init.kind = InitKind::Jump;
    options.init.value = c.jump;
    options.init.tile = c.tile;
    ProblemArrays arrays = make(c.spec, options);
    AttentionSpec spec = parseSpec(c.spec);
    int64_t tiles = (spec.sk + c.tile - 1) / c.tile;
    for (int64_t q = 0; q < spec.sq; ++q) {
      double previous = 0;
      for (int64_t tile = 0; tile < tiles; ++tile) {
        double maximum = -1e300, minimum = 1e300;
        for (int64_t k = tile * c.tile;
             k < std::min((tile + 1) * c.tile, spec.sk); ++k) {
          double s = 0;
          for (int64_t d = 0; d < spec.d; ++d)
            s += arrays.q.get(std::array<int64_t, 4>{0, 0, q, d}) *
                 arrays.k.get(std::array<int64_t, 4>{0, 0, k, d});
          s *= spec.effectiveScale() * std::log2(std::exp(1.0));
          maximum = std::max(maximum, s);
          minimum = std::min(minimum, s);
        }
        if (tile > 0) {
          EXPECT_NEAR(maximum - previous, q % 2 ? -c.jump : c.jump, 0.01)
              << c.spec << " row " << q << " tile " << tile;
        }
        EXPECT_LT(minimum, maximum - 1) << "scores within a tile vary";
        previous = maximum;
      }
    }
  }
}

TEST(Inputs, InitAndStylesFromText) {
  EXPECT_EQ(InitSpec::parse("normal")->kind, InitKind::Normal);
  EXPECT_EQ(InitSpec::parse("const")->value, 1);
  EXPECT_EQ(InitSpec::parse("const:-2.5")->value, -2.5);
  EXPECT_EQ(InitSpec::parse("jump:7.9")->value, 7.9);
  EXPECT_EQ(InitSpec::parse("jump:7.9")->tile, 64);
  EXPECT_EQ(InitSpec::parse("jump:9:128")->tile, 128);
  for (const char *bad :
       {"", "jump", "jump:", "jump:x", "jump:1:0", "jump:1:", "jump:1:2.5",
        "jump:inf", "const:nan", "normal:1", "uniform"}) {
    Result<InitSpec> init = InitSpec::parse(bad);
    ASSERT_TRUE(init.failed()) << bad;
    EXPECT_NE(init.error().message.find("jump:X:TILE"), std::string::npos);
  }
  for (StrideStyle style : kStyles)
    EXPECT_EQ(*parseStrideStyle(name(style)), style);
  Result<StrideStyle> bad = parseStrideStyle("diagonal");
  ASSERT_TRUE(bad.failed());
  EXPECT_NE(bad.error().message.find("innermost"), std::string::npos);
}

TEST(Inputs, QScaleAndConst) {
  InputOptions options;
  options.init = *InitSpec::parse("const:3");
  options.qScale = 0.5;
  ProblemArrays arrays = make("sq=2,sk=2,d=8,dtype=f16", options);
  EXPECT_EQ(arrays.q.get(std::array<int64_t, 4>{0, 0, 1, 7}), 1.5);
  EXPECT_EQ(arrays.k.get(std::array<int64_t, 4>{0, 0, 1, 7}), 3);
}

TEST(Inputs, Refusals) {
  AttentionSpec spec =
      parseSpec("b=65535,hq=65535,sq=65535,sk=1,d=256,dtype=f16");
  Result<ProblemArrays> huge = makeInputs(spec, *spec.resolveSizes(""), {});
  ASSERT_TRUE(huge.failed());
  EXPECT_NE(huge.error().message.find("exceeds 4 GiB"), std::string::npos);

  InputOptions options;
  options.init = *InitSpec::parse("jump:8");
  spec = parseSpec("sq=1,sk=99999,d=8,dtype=f16,scale=1e-30");
  Result<ProblemArrays> jump =
      makeInputs(spec, *spec.resolveSizes(""), options);
  ASSERT_TRUE(jump.failed());
  EXPECT_NE(jump.error().message.find("f16 cannot represent"),
            std::string::npos);
}

} // namespace

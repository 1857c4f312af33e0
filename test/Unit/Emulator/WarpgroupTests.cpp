//===- WarpgroupTests.cpp - wgmma through kernels ---------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The host lays operands out in an image of shared memory by rules of its own;
// the kernel copies the image, multiplies, and returns its accumulators. What
// it must return comes from dotStep(), element by element.
//
//===----------------------------------------------------------------------===//

#include "Float.h"
#include "Harness.h"
#include "TensorCore.h"

#include <bit>
#include <random>

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

std::string list(const std::string &prefix, unsigned count) {
  std::string text = "{";
  for (unsigned i = 0; i < count; ++i)
    text += (i ? ", " : "") + prefix + std::to_string(i);
  return text + "}";
}

/// What a test kernel is made of. The text between the copy of the image and
/// the store of the accumulators is `body`.
struct Kernel {
  unsigned accumulators = 32;
  unsigned imageBytes = 16384;
  bool aInRegisters = false;
  std::string type = "b32"; ///< Of accumulator registers.
  std::string body;

  /// Registers: %d<n> accumulators, %a<4> fragments of A, %da, %db, %keep.
  std::string text() const {
    std::string n = std::to_string(accumulators);
    std::string ptx =
        ".version 8.4\n.target sm_90a\n.address_size 64\n"
        ".extern .shared .align 1024 .b8 sm[];\n"
        ".visible .entry k(.param .u64 image, .param .u64 a, .param .u64 c,\n"
        ".param .u64 out, .param .u64 da, .param .u64 db, .param .u32 keep)\n"
        ".maxntid 128, 1, 1\n{\n.reg ." +
        type + " %d<" + n +
        ">;\n.reg .b32 %a<4>, %r<20>;\n.reg .b64 %rd<20>, %da, %db, %t;\n"
        ".reg .pred %p<4>, %keep;\n"
        "mov.u32 %r0, %tid.x;\nmov.u32 %r1, sm;\n"
        "ld.param.u64 %rd0, [image];\nld.param.u64 %da, [da];\n"
        "ld.param.u64 %db, [db];\nld.param.u32 %r2, [keep];\n"
        "setp.ne.s32 %keep, %r2, 0;\nshl.b32 %r3, %r0, 4;\nCOPY:\n"
        "cvt.u64.u32 %rd1, %r3;\nadd.s64 %rd1, %rd0, %rd1;\n"
        "ld.global.v4.b32 {%r4, %r5, %r6, %r7}, [%rd1];\n"
        "add.s32 %r8, %r1, %r3;\nst.shared.v4.b32 [%r8], {%r4, %r5, %r6, "
        "%r7};\nadd.s32 %r3, %r3, 2048;\nsetp.lt.u32 %p0, %r3, " +
        std::to_string(imageBytes) +
        ";\n@%p0 bra COPY;\nfence.proxy.async.shared::cta;\nbar.sync 0;\n"
        "ld.param.u64 %rd2, [c];\nmul.wide.u32 %rd3, %r0, " +
        std::to_string(accumulators * 4) +
        ";\nadd.s64 %rd2, %rd2, %rd3;\n"
        "ld.param.u64 %rd5, [out];\nadd.s64 %rd5, %rd5, %rd3;\n";
    for (unsigned i = 0; i < accumulators; ++i)
      ptx += "ld.global." + type + " %d" + std::to_string(i) + ", [%rd2+" +
             std::to_string(4 * i) + "];\n";
    if (aInRegisters)
      ptx += "ld.param.u64 %rd6, [a];\nmul.wide.u32 %rd7, %r0, 16;\n"
             "add.s64 %rd6, %rd6, %rd7;\n"
             "ld.global.v4.b32 {%a0, %a1, %a2, %a3}, [%rd6];\n";
    ptx += body;
    for (unsigned i = 0; i < accumulators; ++i)
      ptx += "st.global." + type + " [%rd5+" + std::to_string(4 * i) + "], %d" +
             std::to_string(i) + ";\n";
    return ptx + "ret;\n}\n";
  }
};

const std::string kFence = "wgmma.fence.sync.aligned;\n";
const std::string kCommit = "wgmma.commit_group.sync.aligned;\n";
std::string waitFor(unsigned groups) {
  return "wgmma.wait_group.sync.aligned " + std::to_string(groups) + ";\n";
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

struct Format {
  const char *name;
  unsigned bits;
  MmaInput input = MmaInput::F16;
  bool integer = false, isSigned = false;
};
constexpr Format kF16Type{"f16", 16, MmaInput::F16};
constexpr Format kBF16Type{"bf16", 16, MmaInput::BF16};
constexpr Format kTF32Type{"tf32", 32, MmaInput::TF32};
constexpr Format kE4M3Type{"e4m3", 8, MmaInput::E4M3};
constexpr Format kE5M2Type{"e5m2", 8, MmaInput::E5M2};
constexpr Format kS8Type{"s8", 8, MmaInput::F16, true, true};
constexpr Format kB1Type{"b1", 1, MmaInput::F16, true, false};
constexpr Format kU8Type{"u8", 8, MmaInput::F16, true, false};

/// Swizzle mode by its bytes; 16 is none.
struct Layout {
  unsigned span = 128;
  bool mnMajor = false;
};

/// Where an operand of `rows` by 32 bytes of k goes: an image of its own, whose
/// first byte lies at `start`, and the descriptor.
struct Placed {
  std::vector<uint8_t> image;
  uint64_t descriptor;
};

/// The bytes of element (row, k) before swizzling, tile by tile: K-major tiles
/// are `span` bytes of k wide and 8 rows high; MN-major ones `span` bytes of
/// rows wide and 8 ks high. Tiles follow each other along rows, then along k.
Placed place(const Layout &layout, unsigned bits, unsigned rows, uint32_t start,
             const std::vector<uint32_t> &elements) {
  unsigned ks = 256 / bits, bytes = bits / 8, span = layout.span;
  Placed result;
  uint32_t tileBytes = span * 8;
  uint64_t leading = 16, stride;
  auto offset = [&](unsigned row, unsigned k) -> uint32_t {
    unsigned major = layout.mnMajor ? row : k, minor = layout.mnMajor ? k : row;
    unsigned inTile = minor % 8 * span + major * bytes % span;
    unsigned across = major * bytes / span, down = minor / 8;
    if (layout.mnMajor)
      return (down * (rows * bytes / span) + across) * tileBytes + inTile;
    return (across * (rows / 8) + down) * tileBytes + inTile;
  };
  if (layout.mnMajor) {
    // Without a swizzle the two offsets change their roles.
    uint64_t rowStep = tileBytes, kStep = rows * bytes / span * tileBytes;
    leading = span == 16 ? kStep : rowStep;
    stride = span == 16 ? rowStep : kStep;
  } else {
    stride = tileBytes;
    if (span == 16)
      leading = rows / 8 * tileBytes;
  }
  for (unsigned row = 0; row < rows; ++row)
    for (unsigned k = 0; k < ks; ++k) {
      uint32_t at = start + offset(row, k);
      for (uint32_t width = 32, bit = 16; width <= span; width *= 2, bit *= 2)
        at ^= (at / 8) & bit; // Bit 4 + i by bit 7 + i.
      at -= start;
      if (result.image.size() < at + bytes)
        result.image.resize(at + bytes);
      for (unsigned i = 0; i < bytes; ++i)
        result.image[at + i] = uint8_t(elements[row * ks + k] >> (8 * i));
    }
  uint64_t mode = span == 16 ? 0 : span == 128 ? 1 : span == 64 ? 2 : 3;
  result.descriptor =
      start >> 4 | leading >> 4 << 16 | stride >> 4 << 32 | mode << 62;
  return result;
}

/// One multiplication: everything that can be varied.
struct Case {
  Format a, b;
  unsigned n = 64;
  std::string dType = "f32";
  Layout aLayout, bLayout;
  bool aInRegisters = false, aNegated = false, bNegated = false;
  bool keep = true, saturate = false;
  bool smallIntegers = false; ///< Values whose products are exact.
  unsigned steps = 1;         ///< Chained wgmmas on the same operands.
};

uint32_t randomElement(std::mt19937 &random, const Format &format, bool small) {
  if (format.integer)
    return random() & 0xff;
  float value = small ? float(int(random() % 9) - 4)
                      : std::ldexp(float(int(random() % 4001) - 2000) / 2000,
                                   int(random() % 9) - 6);
  switch (format.input) {
  case MmaInput::F16:
    return floatToF16(value);
  case MmaInput::BF16:
    return floatToBf16(value);
  case MmaInput::TF32:
    return std::bit_cast<uint32_t>(value);
  case MmaInput::E4M3:
    return uint32_t(encodeFloat(kE4M3, value, Round::NearestEven));
  default:
    return floatToF16(value) >> 8;
  }
}

void check(const Case &test, AsyncMode mode, uint64_t seed) {
  std::mt19937 random(unsigned(seed * 7 + test.n));
  // Bits lie and count eight by eight.
  bool single = test.a.bits == 1;
  unsigned bits = single ? 8 : test.a.bits, ks = 256 / bits, n = test.n;
  bool half = test.dType == "f16";
  std::vector<uint32_t> a(64 * ks), b(n * ks), c(64 * n);
  for (uint32_t &element : a)
    element = randomElement(random, test.a, test.smallIntegers);
  for (uint32_t &element : b)
    element = randomElement(random, test.b, test.smallIntegers);
  for (uint32_t &element : c) {
    int value = int(random() % 41) - 20;
    element = test.a.integer
                  ? uint32_t(value) + (test.saturate ? uint32_t(0x7fffff00) : 0)
              : half ? floatToF16(float(value))
                     : std::bit_cast<uint32_t>(float(value));
  }
  // A at 1024, B behind it at a multiple of 1024.
  constexpr uint32_t aStart = 1024;
  Placed pa = place(test.aLayout, bits, 64, aStart, a);
  uint32_t bStart = aStart + uint32_t(pa.image.size() + 1023) / 1024 * 1024;
  Placed pb = place(test.bLayout, bits, n, bStart, b);
  std::vector<uint8_t> image(bStart + pb.image.size());
  image.resize((image.size() + 2047) / 2048 * 2048);
  std::copy(pa.image.begin(), pa.image.end(), image.begin() + aStart);
  std::copy(pb.image.begin(), pb.image.end(), image.begin() + bStart);

  std::string shape =
      "m64n" + std::to_string(n) + "k" + std::to_string(256 / test.a.bits);
  Kernel kernel;
  kernel.accumulators = n / (half ? 4 : 2);
  kernel.imageBytes = unsigned(image.size());
  kernel.aInRegisters = test.aInRegisters;
  kernel.type = test.dType == "f32" && n % 16 ? "f32" : "b32";
  kernel.body = kFence;
  for (unsigned i = 0; i < test.steps; ++i) {
    kernel.body += "wgmma.mma_async.sync.aligned." + shape +
                   (test.saturate ? ".satfinite." : ".") + test.dType + "." +
                   test.a.name + "." + test.b.name +
                   (single ? ".and.popc " : " ") +
                   list("%d", kernel.accumulators) + ", " +
                   (test.aInRegisters ? list("%a", 4) : "%da") + ", %db, %keep";
    if (!test.a.integer)
      kernel.body += std::string(test.aNegated ? ", -1" : ", 1") +
                     (test.bNegated ? ", -1" : ", 1");
    if (bits == 16) {
      if (!test.aInRegisters)
        kernel.body += test.aLayout.mnMajor ? ", 1" : ", 0";
      kernel.body += test.bLayout.mnMajor ? ", 1" : ", 0";
    }
    kernel.body += ";\n";
  }
  kernel.body += kCommit + waitFor(0);

  // Thread t of the warpgroup, accumulator i: PTX ISA, fragment layout of D.
  auto place = [&](unsigned thread, unsigned i, unsigned &row, unsigned &col) {
    row = thread / 32 * 16 + thread % 32 / 4 + i / 2 % 2 * 8;
    col = i / 4 * 8 + thread % 4 * 2 + i % 2;
  };
  unsigned perThread = n / 2;
  std::vector<uint32_t> fragments(128 * kernel.accumulators);
  auto forElements = [&](auto visit) {
    for (unsigned thread = 0; thread < 128; ++thread)
      for (unsigned i = 0; i < perThread; ++i) {
        unsigned row, col;
        place(thread, i, row, col);
        unsigned reg = thread * kernel.accumulators + (half ? i / 2 : i);
        visit(row * n + col, reg, half ? i % 2 * 16 : 0);
      }
  };
  forElements([&](unsigned element, unsigned reg, unsigned shift) {
    fragments[reg] |= c[element] << shift;
  });
  std::vector<uint32_t> aFragments(128 * 4);
  for (unsigned row = 0; row < 64; ++row)
    for (unsigned k = 0; k < ks; ++k) {
      // Four bytes of k to a thread, rows 8 apart in the next register, k 16
      // bytes apart in the one after.
      unsigned byte = k * bits / 8;
      unsigned thread = row / 16 * 32 + row % 8 * 4 + byte % 16 / 4;
      unsigned reg = row / 8 % 2 + byte / 16 * 2;
      aFragments[thread * 4 + reg] |= a[row * ks + k] << (byte % 4 * 8);
    }

  auto module = parse(kernel.text());
  ASSERT_TRUE(module);
  KernelRun run(*module, "k");
  run.in(image).in(aFragments).in(fragments);
  run.out<uint32_t>(fragments.size());
  run.value(pa.descriptor).value(pb.descriptor).value(uint32_t(test.keep));
  run.config.chip = Chip::SM90;
  run.config.async = mode;
  run.config.seed = seed;
  run.config.dynamicSharedBytes = uint32_t(image.size());
  Report report = run.go(1, 128);
  ASSERT_TRUE(report.ok) << issues(report);
  std::vector<uint32_t> got = run.result<uint32_t>();
  EXPECT_EQ(report.counters.total.tensorFlops,
            uint64_t(2) * 64 * n * (256 / test.a.bits) * test.steps);

  DotSpec spec = wgmmaSpec(test.a.input, half);
  auto left = std::make_unique<MmaOperand>(),
       right = std::make_unique<MmaOperand>();
  unsigned wrong = 0;
  forElements([&](unsigned element, unsigned reg, unsigned shift) {
    unsigned row = element / n, col = element % n;
    uint32_t result = half ? got[reg] >> shift & 0xffff : got[reg];
    uint32_t expected;
    if (test.a.integer) {
      int64_t sum = test.keep ? int32_t(c[element]) : 0;
      for (unsigned step = 0; step < test.steps; ++step) {
        for (unsigned k = 0; k < ks; ++k) {
          uint32_t x = a[row * ks + k], y = b[col * ks + k];
          sum += single ? std::popcount(x & y)
                        : (test.a.isSigned ? int(int8_t(x)) : int(x)) *
                              (test.b.isSigned ? int(int8_t(y)) : int(y));
        }
        if (test.saturate)
          sum = std::clamp<int64_t>(sum, INT32_MIN, INT32_MAX);
      }
      expected = uint32_t(sum);
    } else {
      left->set(test.a.input, &a[row * ks], ks);
      right->set(test.b.input, &b[col * ks], ks);
      for (unsigned k = 0; k < ks; ++k)
        if (test.aNegated != test.bNegated)
          left->value[k] = -left->value[k];
      float sum = !test.keep ? 0
                  : half     ? f16ToFloat(c[element])
                             : std::bit_cast<float>(c[element]);
      double exact = sum;
      for (unsigned step = 0; step < test.steps; ++step) {
        if (!test.keep)
          sum = 0, exact = 0;
        sum = dotStep(spec, ks, left->value, left->exponent, 1, right->value,
                      right->exponent, 1, sum);
        for (unsigned k = 0; k < ks; ++k)
          exact += double(left->value[k]) * right->value[k];
      }
      if (test.smallIntegers) {
        EXPECT_EQ(double(sum), exact);
      }
      expected = half ? floatToF16(sum) : std::bit_cast<uint32_t>(sum);
    }
    if (result != expected && wrong++ < 4)
      ADD_FAILURE() << shape << " " << test.a.name << " " << test.b.name
                    << " at " << row << "," << col << ": expected " << std::hex
                    << expected << ", got " << result;
  });
  EXPECT_EQ(wrong, 0u);
}

void checkAllModes(const Case &test) {
  check(test, AsyncMode::Eager, 1);
  check(test, AsyncMode::Lazy, 2);
  check(test, AsyncMode::Random, 3);
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

TEST(Warpgroup, Bf16) {
  checkAllModes({kBF16Type, kBF16Type});
  checkAllModes({.a = kBF16Type, .b = kBF16Type, .smallIntegers = true});
}

TEST(Warpgroup, EveryLayout) {
  for (unsigned span : {16u, 32u, 64u, 128u})
    for (bool aMajor : {false, true})
      for (bool bMajor : {false, true}) {
        // A tile of 64 rows and 128 columns fills every pattern.
        check({.a = kF16Type,
               .b = kF16Type,
               .n = 128,
               .aLayout = {span, aMajor},
               .bLayout = {span, bMajor},
               .smallIntegers = true},
              AsyncMode::Lazy, span);
      }
  for (unsigned span : {16u, 32u})
    for (const Format &format : {kTF32Type, kE4M3Type})
      check({.a = format, .b = format, .aLayout = {span}, .bLayout = {span}},
            AsyncMode::Lazy, span);
}

TEST(Warpgroup, EveryWidth) {
  for (unsigned n = 8; n <= 256; n += 8)
    check({.a = kBF16Type, .b = kBF16Type, .n = n, .bLayout = {32}},
          n % 16 ? AsyncMode::Lazy : AsyncMode::Eager, n);
}

TEST(Warpgroup, FloatTypes) {
  for (bool inRegisters : {false, true}) {
    checkAllModes({.a = kF16Type, .b = kF16Type, .aInRegisters = inRegisters});
    checkAllModes({.a = kF16Type,
                   .b = kF16Type,
                   .dType = "f16",
                   .aInRegisters = inRegisters});
    checkAllModes(
        {.a = kTF32Type, .b = kTF32Type, .aInRegisters = inRegisters});
    for (const Format &a : {kE4M3Type, kE5M2Type})
      for (const Format &b : {kE4M3Type, kE5M2Type})
        for (const char *d : {"f32", "f16"})
          check({.a = a, .b = b, .dType = d, .aInRegisters = inRegisters},
                AsyncMode::Lazy, 5);
  }
}

TEST(Warpgroup, IntegerTypes) {
  for (bool inRegisters : {false, true})
    for (const Format &a : {kS8Type, kU8Type})
      for (const Format &b : {kS8Type, kU8Type})
        for (bool saturate : {false, true})
          check({.a = a,
                 .b = b,
                 .n = 96,
                 .dType = "s32",
                 .aInRegisters = inRegisters,
                 .saturate = saturate},
                AsyncMode::Lazy, 6);
}

TEST(Warpgroup, Bits) {
  for (bool inRegisters : {false, true})
    checkAllModes({.a = kB1Type,
                   .b = kB1Type,
                   .n = 48,
                   .dType = "s32",
                   .bLayout = {64},
                   .aInRegisters = inRegisters,
                   .steps = 2});
}

TEST(Warpgroup, ScalesAndChains) {
  Case test{kBF16Type, kBF16Type};
  test.aInRegisters = true;
  for (bool aNegated : {false, true})
    for (bool bNegated : {false, true})
      for (bool keep : {false, true}) {
        test.aNegated = aNegated;
        test.bNegated = bNegated;
        test.keep = keep;
        check(test, AsyncMode::Lazy, 8);
      }
  test.keep = true;
  test.steps = 5;
  checkAllModes(test);
}

} // namespace

//===- AttentionSpecTest.cpp ----------------------------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Runtime/AttentionSpec.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace flash::runtime;

namespace {

AttentionSpec parseOk(const std::string &text) {
  Result<AttentionSpec> spec = AttentionSpec::parse(text);
  EXPECT_TRUE(spec.succeeded())
      << text << ": " << (spec ? "" : spec.error().str());
  return spec ? *spec : AttentionSpec();
}

/// Expects a refusal at `column` whose message contains every one of `parts`.
void refused(const std::string &text, unsigned column,
             std::initializer_list<const char *> parts) {
  Result<AttentionSpec> spec = AttentionSpec::parse(text);
  ASSERT_TRUE(spec.failed()) << text;
  EXPECT_EQ(spec.error().column.value_or(0), column)
      << text << ": " << spec.error().str();
  for (const char *part : parts)
    EXPECT_NE(spec.error().message.find(part), std::string::npos)
        << text << ": '" << spec.error().message << "' lacks '" << part << "'";
}

TEST(AttentionSpec, Defaults) {
  AttentionSpec spec = parseOk("sq=5,sk=7,d=64,dtype=bf16");
  EXPECT_EQ(spec.b, 1);
  EXPECT_EQ(spec.hq, 1);
  EXPECT_EQ(spec.hkv, 1);
  EXPECT_EQ(spec.group, 1);
  EXPECT_EQ(spec.sq, 5);
  EXPECT_EQ(spec.sk, 7);
  EXPECT_EQ(spec.d, 64);
  EXPECT_EQ(spec.dv, 64);
  EXPECT_EQ(spec.dtype, DType::BF16);
  EXPECT_EQ(spec.causal, Causal::None);
  EXPECT_FALSE(spec.window || spec.prefix || spec.chunk || spec.sink ||
               spec.softcap || spec.scale || spec.alibi || spec.lse);
  EXPECT_EQ(spec.layout, Layout::BHSD);
  EXPECT_DOUBLE_EQ(spec.effectiveScale(), 0.125);
  EXPECT_FALSE(spec.isDynamic());
}

TEST(AttentionSpec, EveryKey) {
  AttentionSpec spec = parseOk(
      "b=2,hq=12,hkv=2,sq=113,sk=203,d=192,dv=128,dtype=f16,mask=causal_tl,"
      "window=128:-1,prefix=4,chunk=64,sink=3,softcap=15.5,scale=-2e-3,alibi,"
      "layout=bshd,lse");
  EXPECT_EQ(spec.group, 6);
  EXPECT_EQ(spec.dv, 128);
  EXPECT_EQ(spec.causal, Causal::TopLeft);
  EXPECT_EQ(spec.window, (Window{128, -1}));
  EXPECT_EQ(spec.prefix, 4);
  EXPECT_EQ(spec.chunk, 64);
  EXPECT_EQ(spec.sink, 3);
  EXPECT_EQ(spec.softcap, 15.5);
  EXPECT_EQ(spec.scale, -2e-3);
  EXPECT_TRUE(spec.alibi && spec.lse);
  EXPECT_EQ(spec.layout, Layout::BSHD);
}

TEST(AttentionSpec, RoundTrip) {
  for (const char *text :
       {"sq=5,sk=7,d=64,dtype=bf16", "b=?,hq=?,sq=?,sk=?,d=40,dtype=f16",
        "hq=?,hkv=hq/4,sq=1,sk=1,d=16,dtype=e4m3",
        "hq=8,hkv=hq/4,sq=1,sk=?,d=8,dtype=tf32",
        "b=2,hq=12,hkv=2,sq=3,sk=9,d=192,dv=128,dtype=f32,mask=causal,"
        "window=0:0,prefix=0,chunk=1,sink=0,softcap=0.1,scale=0."
        "3333333333333333,"
        "alibi,layout=bshd,lse",
        " sq = 5 , sk=7,d=64 ,dtype= e5m2"}) {
    AttentionSpec spec = parseOk(text);
    EXPECT_EQ(parseOk(spec.toString()), spec) << spec.toString();
    EXPECT_EQ(parseOk(spec.toString()).toString(), spec.toString());
  }
}

TEST(AttentionSpec, DynamicHeads) {
  EXPECT_EQ(parseOk("hq=?,sq=1,sk=1,d=8,dtype=f16").group, 1);
  AttentionSpec spec = parseOk("hkv=hq/4,hq=?,sq=1,sk=1,d=8,dtype=f16");
  EXPECT_EQ(spec.group, 4);
  EXPECT_EQ(spec.hkv, kDynamic);
  EXPECT_EQ(parseOk("hkv=hq/4,hq=8,sq=1,sk=1,d=8,dtype=f16").hkv, 2);
  refused("hq=?,hkv=2,sq=1,sk=1,d=8,dtype=f16", 10, {"hkv", "hq/N", "'2'"});
  refused("hq=?,hkv=?,sq=1,sk=1,d=8,dtype=f16", 10, {"hkv", "hq/N", "'?'"});
  refused("hq=6,hkv=hq/4,sq=1,sk=1,d=8,dtype=f16", 10, {"divisor of hq = 6"});
  refused("hq=?,hkv=hq/0,sq=1,sk=1,d=8,dtype=f16", 10, {"'hq/0'"});
  refused("hq=?,hkv=hq/,sq=1,sk=1,d=8,dtype=f16", 10, {"'hq/'"});
}

TEST(AttentionSpec, OutputTypes) {
  for (auto [dtype, output, scaled] :
       {std::tuple("f16", DType::F16, false), {"bf16", DType::BF16, false},
        {"f32", DType::F32, false}, {"tf32", DType::F32, false},
        {"e4m3", DType::BF16, true}, {"e5m2", DType::BF16, true}}) {
    AttentionSpec spec =
        parseOk(std::string("sq=1,sk=1,d=16,dtype=") + dtype);
    EXPECT_EQ(spec.outputDType(), output) << dtype;
    EXPECT_EQ(spec.hasDescales(), scaled) << dtype;
  }
}

TEST(AttentionSpec, Refusals) {
  std::string tail = "sq=1,sk=1,d=64,dtype=f16";
  refused("", 1, {"missing key 'sq'"});
  refused("  ", 3, {"missing key 'sq'"});
  refused("sq=1,sk=1,d=64", 15, {"missing key 'dtype'"});
  refused(tail + ",", 26, {"expected a key"});
  refused("," + tail, 1, {"expected a key"});
  refused("=3," + tail, 1, {"expected a key"});
  refused(tail + ",heads=3", 26, {"unknown key 'heads'", "hq", "alibi"});
  refused(tail + ",sq=2", 26, {"duplicate key 'sq'", "column 1"});
  refused("b=0," + tail, 3, {"b:", "'0'", "2147483647"});
  refused("b=-4," + tail, 3, {"'-4'"});
  refused("b=2147483648," + tail, 3, {"'2147483648'"});
  refused("b=99999999999999999999," + tail, 3, {"b:"});
  refused("b=1x," + tail, 3, {"'1x'"});
  refused("b=," + tail, 3, {"got ''"});
  refused("b," + tail, 1, {"got no value"});
  refused("sq=1,sk=1,d=65,dtype=f16", 13, {"d:", "multiple of 8", "'65'"});
  refused("sq=1,sk=1,d=264,dtype=f16", 13, {"256"});
  refused("sq=1,sk=1,d=?,dtype=f16", 13, {"'?'"});
  refused(tail + ",dv=12", 29, {"dv:"});
  refused("sq=1,sk=1,d=40,dtype=e4m3", 13, {"d:", "multiple of 16 for e4m3"});
  refused("sq=1,sk=1,d=64,dv=8,dtype=e5m2", 19, {"dv:", "16 for e5m2", "'8'"});
  refused("sq=1,sk=1,d=64,dtype=f64", 22, {"dtype", "bf16", "'f64'"});
  refused("sq=1,sk=1,d=64,dtype=i32", 22, {"dtype"});
  refused("hq=6,hkv=4," + tail, 10, {"hkv", "divisor of hq = 6", "'4'"});
  refused("hkv=4," + tail, 5, {"divisor of hq = 1"});
  refused(tail + ",mask=casual", 31, {"causal_tl", "'casual'"});
  refused(tail + ",window=3", 33, {"L:R"});
  refused(tail + ",window=3:-2", 33, {"-1 (unbounded)"});
  refused(tail + ",window=:", 33, {"L:R"});
  refused(tail + ",softcap=0", 34, {"greater than 0"});
  refused(tail + ",softcap=1e-50", 34, {"f32"});
  refused(tail + ",softcap=inf", 34, {"finite"});
  refused(tail + ",scale=nan", 32, {"finite"});
  refused(tail + ",scale=1e39", 32, {"f32"});
  refused(tail + ",scale=1e999", 32, {"finite"});
  refused(tail + ",chunk=0", 32, {"1 to"});
  refused(tail + ",prefix=-1", 33, {"0 to"});
  refused(tail + ",alibi=1", 32, {"no value"});
  refused(tail + ",lse=", 30, {"no value"});
  refused(tail + ",layout=sbhd", 33, {"bhsd, bshd"});
  refused(tail + ",\x1b[31m=3", 26, {"unknown key '?[31m'"});
}

TEST(AttentionSpec, ResolveSizes) {
  AttentionSpec spec = parseOk("b=?,hq=?,hkv=hq/4,sq=?,sk=77,d=64,dtype=f16");
  Result<Sizes> sizes = spec.resolveSizes("b=2,hq=8,sq=5");
  ASSERT_TRUE(sizes.succeeded()) << sizes.error().str();
  EXPECT_EQ(*sizes, (Sizes{2, 8, 2, 5, 77, 64, 64}));
  EXPECT_TRUE(spec.resolveSizes("b=2,hq=8,hkv=2,sq=5,sk=77").succeeded());

  auto refusedSizes = [&](const char *text, unsigned column, const char *part) {
    Result<Sizes> result = spec.resolveSizes(text);
    ASSERT_TRUE(result.failed()) << text;
    EXPECT_EQ(result.error().column.value_or(0), column) << text;
    EXPECT_NE(result.error().message.find(part), std::string::npos)
        << result.error().message;
  };
  refusedSizes("b=2,hq=8", 9, "missing size 'sq'");
  refusedSizes("b=2,hq=6,sq=1", 5, "multiple of 4");
  refusedSizes("b=2,hq=8,hkv=4,sq=1", 10, "hkv: expected 2");
  refusedSizes("b=2,hq=8,sq=1,sk=78", 18, "77, which is static");
  refusedSizes("b=2,hq=8,sq=?", 13, "'?'");
  refusedSizes("b=2,d=64", 5, "unknown key");
  refusedSizes("b=2,b=2", 5, "duplicate");
  EXPECT_TRUE(parseOk("sq=1,sk=2,d=8,dtype=f16").resolveSizes("").succeeded());
}

/// Any text is either refused with a column inside it or survives a round trip.
TEST(AttentionSpec, MutatedText) {
  const std::string seed =
      "b=?,hq=12,hkv=hq/2,sq=113,sk=?,d=192,dv=128,dtype=f16,mask=causal,"
      "window=-1:128,softcap=15.5,scale=0.1,alibi,lse";
  const std::string letters = "=,:?/.-+ 0123456789ehqsbkdv\x80";
  uint64_t state = 1;
  auto random = [&](size_t bound) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return size_t(state >> 33) % bound;
  };
  int accepted = 0;
  for (int i = 0; i < 40000; ++i) {
    std::string text = seed;
    for (size_t edits = 1 + random(2); edits > 0; --edits) {
      size_t at = random(text.size());
      switch (random(3)) {
      case 0:
        text[at] = letters[random(letters.size())];
        break;
      case 1:
        text.erase(at, 1 + random(3));
        break;
      default:
        text.insert(at, 1, letters[random(letters.size())]);
      }
    }
    Result<AttentionSpec> spec = AttentionSpec::parse(text);
    if (spec) {
      ++accepted;
      EXPECT_EQ(parseOk(spec->toString()), *spec) << text;
    } else {
      ASSERT_TRUE(spec.error().column.has_value()) << text;
      EXPECT_GE(*spec.error().column, 1u);
      EXPECT_LE(*spec.error().column, text.size() + 1) << text;
    }
  }
  EXPECT_GT(accepted, 1500);
}

} // namespace

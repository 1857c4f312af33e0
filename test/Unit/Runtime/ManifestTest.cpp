//===- ManifestTest.cpp ---------------------------------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Runtime/Manifest.h"
#include "flash/Runtime/Expression.h"

#include <cstring>
#include <gtest/gtest.h>

using namespace flash::runtime;

namespace {

const Sizes kSizes{2, 8, 4, 239, 77, 64, 48};

Manifest example() {
  Manifest manifest;
  manifest.entry = "attention";
  manifest.chip = "sm_80";
  manifest.ptxIsa = "7.0";
  manifest.attention = "b=?,hq=?,hkv=hq/2,sq=?,sk=?,d=64,dv=48,dtype=bf16,lse";
  manifest.parameters =
      attentionParameters(DType::BF16, DType::BF16, /*lse=*/true);
  appendCapture(manifest.parameters, "bias", DType::F32, 2);
  manifest.grid = {"ceildiv(sq, 128)", "hq", "b"};
  manifest.block = {"128", "1", "1"};
  manifest.dynamicSharedBytes = 65536;
  manifest.sharedFits = {"sm_80", "sm_86"};
  manifest.workspaceBytes = "b * hq * sq * 4";
  manifest.schedule = {{"bm", "128"}, {"bn", "64"}, {"stages", "2"}};
  manifest.versions = {{"flash", "0.1.0"}, {"llvm", "22.1.8"}};
  return manifest;
}

/// The launch of the kernel itself.
Result<LaunchShape> shapeOf(const Manifest &manifest) {
  return computeLaunchShape(manifest.launches().back(), kSizes);
}
Result<std::vector<std::byte>> pack(const Manifest &manifest,
                                    const LaunchArguments &arguments) {
  return packArguments(manifest, manifest.launches().back(), arguments);
}

LaunchArguments exampleArguments() {
  LaunchArguments arguments;
  arguments.sizes = kSizes;
  arguments.scale = 0.125;
  uint64_t address = 0x700000000000;
  auto add = [&](const char *name, DType type, std::vector<int64_t> shape,
                 std::vector<int64_t> strides) {
    arguments.buffers[name] = {address, type, shape, strides};
    address += 0x1000000;
  };
  add("q", DType::BF16, {2, 8, 239, 64}, {1, 2, 3, 4});
  add("k", DType::BF16, {2, 4, 77, 64}, {5, 6, 7, 8});
  add("v", DType::BF16, {2, 4, 77, 48}, {9, 10, 11, 12});
  add("o", DType::BF16, {2, 8, 239, 48}, {13, 14, 15, 16});
  add("lse", DType::F32, {2, 8, 239}, {17, 18, int64_t(1) << 40});
  add("bias", DType::F32, {239, 77}, {77, 1});
  return arguments;
}

TEST(Expression, Values) {
  struct Case {
    const char *text;
    int64_t value;
  };
  for (const Case &c : {
           Case{"1", 1},
           Case{"ceildiv(sq,128)", 2},
           Case{"ceildiv(sq, 239)", 1},
           Case{"floordiv(sq,128)", 1},
           Case{"hq", 8},
           Case{"b*hkv", 8},
           Case{"b + hq * hkv - 1", 33},
           Case{"(b + hq) * hkv", 40},
           Case{"10 - 3 - 2", 5},
           Case{"min(sq, sk) + max(d, dv)", 141},
           Case{"ceildiv(-7, 2)", -3},
           Case{"floordiv(-7, 2)", -4},
           Case{"floordiv(7, 2)", 3},
           Case{"--3", 3},
           Case{"ceildiv(sq, min(64, 128)) * hq", 32},
           Case{"9223372036854775807", INT64_MAX},
       }) {
    Result<int64_t> value = evaluateExpression(c.text, kSizes);
    ASSERT_TRUE(value.succeeded()) << c.text << ": " << value.error().str();
    EXPECT_EQ(*value, c.value) << c.text;
    EXPECT_TRUE(verifyExpression(c.text).succeeded()) << c.text;
  }
}

TEST(Expression, Refusals) {
  struct Case {
    std::string text;
    unsigned column;
  };
  for (const Case &c :
       {Case{"", 1}, Case{"sq +", 5}, Case{"sq sk", 4}, Case{"foo", 1},
        Case{"ceildiv(sq)", 11}, Case{"ceildiv sq", 9}, Case{"(sq", 4},
        Case{"sq / 2", 4}, Case{"12x", 1}, Case{"9223372036854775808", 1},
        Case{std::string(100, '('), 65}}) {
    Result<int64_t> value = evaluateExpression(c.text, kSizes);
    ASSERT_TRUE(value.failed()) << c.text;
    EXPECT_EQ(value.error().column.value_or(0), c.column) << c.text;
    EXPECT_TRUE(verifyExpression(c.text).failed()) << c.text;
  }
  for (const char *text :
       {"9223372036854775807 + sq", "0-9223372036854775807-2",
        "9223372036854775807 * sq", "ceildiv(1, sq - 239)", "floordiv(1, 0-1)"})
    EXPECT_TRUE(evaluateExpression(text, kSizes).failed()) << text;
}

TEST(Manifest, RoundTrip) {
  Manifest manifest = example();
  Result<Manifest> read = Manifest::parse(manifest.toJson());
  ASSERT_TRUE(read.succeeded()) << read.error().message;
  EXPECT_EQ(*read, manifest);
  EXPECT_EQ(read->toJson(), manifest.toJson());
}

TEST(Manifest, ParameterOrder) {
  std::string order;
  for (const Parameter &parameter :
       attentionParameters(DType::F16, DType::F16, true))
    order += parameter.name + " ";
  EXPECT_EQ(order, "q k v o lse b hq hkv sq sk "
                   "q_stride_b q_stride_h q_stride_s q_stride_d "
                   "k_stride_b k_stride_h k_stride_s k_stride_d "
                   "v_stride_b v_stride_h v_stride_s v_stride_d "
                   "o_stride_b o_stride_h o_stride_s o_stride_d "
                   "lse_stride_b lse_stride_h lse_stride_s scale ");
  EXPECT_EQ(attentionParameters(DType::F16, DType::F16, false).size(), 26u);

  // Scales of heads are pointers behind lse, their strides behind lse's.
  order.clear();
  constexpr ParameterRole roles[] = {ParameterRole::QueryDescale,
                                     ParameterRole::KeyDescale,
                                     ParameterRole::ValueDescale};
  std::vector<Parameter> scaled =
      attentionParameters(DType::E4M3, DType::BF16, true, roles);
  for (size_t i = 4; i < scaled.size(); ++i)
    if (scaled[i].role != ParameterRole::Stride || scaled[i].of.size() > 1)
      order += scaled[i].name + " ";
  EXPECT_EQ(order, "lse q_descale k_descale v_descale b hq hkv sq sk "
                   "lse_stride_b lse_stride_h lse_stride_s "
                   "q_descale_stride_b q_descale_stride_h "
                   "k_descale_stride_b k_descale_stride_h "
                   "v_descale_stride_b v_descale_stride_h scale ");
  EXPECT_EQ(scaled[0].dtype, DType::E4M3);
  EXPECT_EQ(scaled[3].dtype, DType::BF16);
  EXPECT_EQ(scaled[5].dtype, DType::F32);
  EXPECT_EQ(scaled[5].rank, 2u);
  EXPECT_EQ(name(scaled[5].role), "q_descale");
}

TEST(Manifest, Refusals) {
  std::string good = example().toJson();
  auto refused = [&](const std::string &from, const std::string &to,
                     const char *part) {
    std::string text = good;
    size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    Result<Manifest> manifest = Manifest::parse(text);
    ASSERT_TRUE(manifest.failed()) << to;
    EXPECT_NE(manifest.error().message.find(part), std::string::npos)
        << manifest.error().message;
  };
  refused("{", "[", "well-formed");
  refused("\"version\": 1", "\"version\": 3",
          "version: expected an integer from 1 to 2, got 3");
  refused("\"version\": 1", "\"version\": 18446744073709551615", "version");
  refused("\"entry\"", "\"enter\"", "missing member 'entry'");
  refused("\"entry\": \"attention\"", "\"entry\": 3",
          "entry: expected a string, got 3");
  refused("d=64,", "d=65,", "attention: column");
  refused("\"kind\": \"i64\"", "\"kind\": \"i16\"",
          "kind: expected one of pointer");
  refused("\"kind\": \"i64\"", "\"kind\": \"i32\"",
          "expected i64 for role stride");
  refused("\"role\": \"query\"", "\"role\": \"queries\"",
          "role: expected one of query");
  refused("\"name\": \"k\"", "\"name\": \"q\"", "unique");
  refused("\"of\": \"q\"", "\"of\": \"sq\"", "the name of a pointer, got 'sq'");
  refused("\"dim\": 3", "\"dim\": 4", "less than the rank");
  refused("\"dim\": 3", "\"dim\": -1", "dim: expected an integer");
  refused("\"dtype\": \"bf16\"", "\"dtype\": \"half\"", "dtype");
  refused("\"ceildiv(sq, 128)\",", "", "expected three expressions, got 2");
  refused("ceildiv(sq, 128)", "ceildiv(sq, n)", "grid: column 13");
  refused("\"bn\": \"64\"", "\"bn\": 64", "an object of strings");
  refused("\"name\": \"hkv\"", "\"name\": \"heads\"",
          "one of b, hq, hkv, sq, sk");
  for (const char *text :
       {"", "3", "[]", "null", "{}", "\"x\"", "{\"version\":1}"})
    EXPECT_TRUE(Manifest::parse(text).failed()) << text;
  // Members of later versions of the tools are not in the way.
  std::string extended = good;
  extended.replace(0, 1, "{\"added\": [1, {}],");
  EXPECT_TRUE(Manifest::parse(extended).succeeded());
}

TEST(Manifest, LaunchShape) {
  Result<LaunchShape> shape = shapeOf(example());
  ASSERT_TRUE(shape.succeeded()) << shape.error().message;
  EXPECT_EQ(shape->grid, (std::array<uint32_t, 3>{2, 8, 2}));
  EXPECT_EQ(shape->block, (std::array<uint32_t, 3>{128, 1, 1}));
  EXPECT_EQ(shape->cluster, (std::array<uint32_t, 3>{1, 1, 1}));
  EXPECT_EQ(shape->dynamicSharedBytes, 65536u);
  EXPECT_EQ(*computeWorkspaceBytes(example(), kSizes), 2 * 8 * 239 * 4);
  Manifest manifest = example();
  manifest.grid[1] = "b * 65535";
  EXPECT_EQ(shapeOf(manifest).error().message,
            "grid y: expected 1 to 65535, got 131070 from 'b * 65535'");
  manifest = example();
  manifest.block = {"64", "32", "1"};
  EXPECT_TRUE(shapeOf(manifest).failed());
}

template <typename T> T readAt(const std::vector<std::byte> &bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

TEST(Manifest, PackArguments) {
  LaunchArguments arguments = exampleArguments();
  Result<std::vector<std::byte>> packed = pack(example(), arguments);
  ASSERT_TRUE(packed.succeeded()) << packed.error().message;
  // 5 pointers, 5 i32, 4 bytes of padding, 19 i64, f32, 4 of padding, then a
  // pointer and 2 i64.
  ASSERT_EQ(packed->size(), 5u * 8 + 5 * 4 + 4 + 19 * 8 + 4 + 4 + 3 * 8);
  EXPECT_EQ(readAt<uint64_t>(*packed, 0), arguments.buffers["q"].address);
  EXPECT_EQ(readAt<uint64_t>(*packed, 32), arguments.buffers["lse"].address);
  const int32_t sizes[] = {2, 8, 4, 239, 77};
  for (size_t i = 0; i < 5; ++i)
    EXPECT_EQ(readAt<int32_t>(*packed, 40 + 4 * i), sizes[i]);
  for (size_t i = 0; i < 18; ++i)
    EXPECT_EQ(readAt<int64_t>(*packed, 64 + 8 * i), int64_t(i + 1));
  EXPECT_EQ(readAt<int64_t>(*packed, 64 + 8 * 18), int64_t(1) << 40);
  EXPECT_EQ(readAt<float>(*packed, 216), 0.125f);
  EXPECT_EQ(readAt<uint64_t>(*packed, 224), arguments.buffers["bias"].address);
  EXPECT_EQ(readAt<int64_t>(*packed, 232), 77);
  EXPECT_EQ(readAt<int64_t>(*packed, 240), 1);
}

/// A block map written by one kernel and read by another.
Manifest exampleWithMap() {
  Manifest manifest = example();
  Parameter map;
  map.name = "map";
  map.role = ParameterRole::Workspace;
  map.dtype = DType::I32;
  map.rank = 1;
  map.align = 16;
  manifest.parameters.push_back(map);
  for (Parameter &parameter : manifest.parameters)
    if (parameter.name == "bias")
      parameter.shape = {"sq", "?"};
  for (const Parameter &parameter : manifest.parameters)
    if (parameter.name.substr(0, 4) != "bias")
      manifest.entryParameters.push_back(parameter.name);
  KernelLaunch first;
  first.entry = "block_map";
  first.parameters = {"sq", "sk", "bias", "map"};
  first.grid = {"ceildiv(sq, 128)", "b", "1"};
  first.block = {"32", "1", "1"};
  first.dynamicSharedBytes = 64;
  manifest.before.push_back(first);
  manifest.files = {{"ptx", "kernel.ptx"}};
  return manifest;
}

TEST(Manifest, LaunchesBefore) {
  Manifest manifest = exampleWithMap();
  std::string text = manifest.toJson();
  Result<Manifest> read = Manifest::parse(text);
  ASSERT_TRUE(read.succeeded()) << read.error().message;
  EXPECT_EQ(*read, manifest);
  EXPECT_NE(text.find("\"version\": 2"), std::string::npos);

  std::vector<KernelLaunch> launches = read->launches();
  ASSERT_EQ(launches.size(), 2u);
  EXPECT_EQ(launches[0].entry, "block_map");
  EXPECT_EQ(launches[1].entry, "attention");
  EXPECT_EQ(computeLaunchShape(launches[0], kSizes)->grid,
            (std::array<uint32_t, 3>{2, 2, 1}));

  LaunchArguments arguments = exampleArguments();
  EXPECT_EQ(packArguments(manifest, launches[0], arguments).error().message,
            "workspace 'map': expected one, got none");
  arguments.workspace = 0x700000000008;
  EXPECT_EQ(packArguments(manifest, launches[0], arguments).error().message,
            "workspace 'map': expected a base aligned to 16 bytes");
  arguments.workspace = 0x700000000100;
  Result<std::vector<std::byte>> packed =
      packArguments(manifest, launches[0], arguments);
  ASSERT_TRUE(packed.succeeded()) << packed.error().message;
  ASSERT_EQ(packed->size(), 24u);
  EXPECT_EQ(readAt<int32_t>(*packed, 0), 239);
  EXPECT_EQ(readAt<uint64_t>(*packed, 8), arguments.buffers["bias"].address);
  EXPECT_EQ(readAt<uint64_t>(*packed, 16), 0x700000000100u);
  // The kernel itself takes the map, and no bias.
  EXPECT_EQ(pack(manifest, arguments)->size(), 224u + 8);

  arguments.buffers["bias"].shape[0] = 238;
  EXPECT_EQ(packArguments(manifest, launches[0], arguments).error().message,
            "buffer 'bias': expected dimension 0 of 239, got 238");
}

TEST(Manifest, RefusesLaunchesAndFiles) {
  auto refused = [](auto change, const char *part) {
    Manifest manifest = exampleWithMap();
    change(manifest);
    Result<Manifest> read = Manifest::parse(manifest.toJson());
    ASSERT_TRUE(read.failed()) << part;
    EXPECT_NE(read.error().message.find(part), std::string::npos)
        << read.error().message;
  };
  refused([](Manifest &m) { m.before[0].parameters[0] = "sv"; },
          "manifest launch of 'block_map': parameters: expected names of "
          "parameters, got 'sv'");
  refused([](Manifest &m) { m.entryParameters[0] = "qq"; },
          "manifest launch of 'attention'");
  refused([](Manifest &m) { m.before[0].grid[1] = "b /"; },
          "manifest launch 0: grid: column 3");
  refused([](Manifest &m) { m.parameters[30].shape = {"sq"}; },
          "shape: expected 2 extents, as the rank, got 1");
  for (const char *file : {"../kernel.ptx", "", "..", "/etc/passwd"})
    refused([&](Manifest &m) { m.files["ptx"] = file; },
            "expected the name of a file beside the manifest");
  refused([](Manifest &m) { m.files["fatbin"] = "k"; },
          "files: expected ptx or cubin, got 'fatbin'");
}

TEST(Manifest, ScalarCaptures) {
  Manifest manifest = example();
  for (ParameterKind kind :
       {ParameterKind::I32, ParameterKind::F32, ParameterKind::I64}) {
    Parameter parameter;
    parameter.name = "scalar_" + std::string(name(kind));
    parameter.kind = kind;
    parameter.role = ParameterRole::Capture;
    manifest.parameters.push_back(parameter);
  }
  Result<Manifest> read = Manifest::parse(manifest.toJson());
  ASSERT_TRUE(read.succeeded()) << read.error().message;
  EXPECT_EQ(*read, manifest);
  LaunchArguments arguments = exampleArguments();
  EXPECT_EQ(pack(manifest, arguments).error().message,
            "scalar 'scalar_i32': expected one, got none");
  constexpr int64_t kWide = (int64_t(1) << 60) + 1;
  arguments.scalars = {
      {"scalar_i32", -3}, {"scalar_f32", 0.5}, {"scalar_i64", kWide}};
  Result<std::vector<std::byte>> packed = pack(manifest, arguments);
  ASSERT_TRUE(packed.succeeded()) << packed.error().message;
  ASSERT_EQ(packed->size(), 248u + 16);
  EXPECT_EQ(readAt<int32_t>(*packed, 248), -3);
  EXPECT_EQ(readAt<float>(*packed, 252), 0.5f);
  EXPECT_EQ(readAt<int64_t>(*packed, 256), kWide);
  arguments.scalars["scalar_i32"] = kWide;
  EXPECT_EQ(pack(manifest, arguments).error().message,
            "scalar 'scalar_i32': expected 32 bits, got 1152921504606846977");
  arguments.scalars["scalar_i32"] = 2.5;
  EXPECT_EQ(pack(manifest, arguments).error().message,
            "scalar 'scalar_i32': expected an integer, got 2.500000");
}

TEST(Manifest, PackRefusals) {
  auto refused = [](auto change, const char *message) {
    Manifest manifest = example();
    LaunchArguments arguments = exampleArguments();
    change(manifest, arguments);
    Result<std::vector<std::byte>> packed = pack(manifest, arguments);
    ASSERT_TRUE(packed.failed()) << message;
    EXPECT_EQ(packed.error().message, message);
  };
  refused([](Manifest &, LaunchArguments &a) { a.buffers.erase("lse"); },
          "buffer 'lse': expected one, got none");
  refused(
      [](Manifest &, LaunchArguments &a) { a.buffers["v"].dtype = DType::F16; },
      "buffer 'v': expected elements of type bf16, got f16");
  refused(
      [](Manifest &, LaunchArguments &a) {
        a.buffers["bias"].shape = {77};
        a.buffers["bias"].strides = {1};
      },
      "buffer 'bias': expected rank 2, got 1");
  refused([](Manifest &, LaunchArguments &a) { a.buffers["q"].address += 1; },
          "buffer 'q': expected a base aligned to 2 bytes");
  refused([](Manifest &m, LaunchArguments &) { m.parameters[1].rowAlign = 16; },
          "buffer 'k': expected the stride of dimension 0 to be a multiple of "
          "16 bytes, got 5 elements");
  refused([](Manifest &m,
             LaunchArguments &) { m.parameters[2].unitInnerStride = true; },
          "buffer 'v': expected an innermost stride of 1, got 12");
  refused(
      [](Manifest &m, LaunchArguments &a) {
        for (Parameter &parameter : m.parameters)
          parameter.positive = parameter.role == ParameterRole::Scale;
        a.scale = -1;
      },
      "scale: expected a positive number, which is folded into the kernel's "
      "exponent, got -1.000000");
  refused([](Manifest &, LaunchArguments &a) { a.sizes.d = 72; },
          "size 'd': expected 64, for which the kernel was compiled, got 72");
  refused([](Manifest &, LaunchArguments &a) { a.sizes.hkv = 8; },
          "size 'hq': expected 2 times hkv = 8, got 8");
  refused([](Manifest &, LaunchArguments &a) { a.sizes.sq = int64_t(1) << 31; },
          "size 'sq': expected 1 to 2147483647, got 2147483648");
  // Strides of size-1 dimensions are never used.
  Manifest manifest = example();
  manifest.attention = "";
  manifest.parameters[0].rowAlign = 16;
  LaunchArguments arguments = exampleArguments();
  arguments.buffers["q"].shape = {1, 1, 1, 64};
  EXPECT_TRUE(pack(manifest, arguments).succeeded());
}

} // namespace

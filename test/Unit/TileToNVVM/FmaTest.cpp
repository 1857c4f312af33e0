//===- FmaTest.cpp - Products on FMA units and trees, executed ------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Inputs are small integers, so that every type holds them and every sum is
// exact in any order.
//
//===----------------------------------------------------------------------===//

#include "RunKernel.h"

#include "flash/Dialect/FlashTile/IR/FlashTile.h"
#include "flash/Dialect/FlashTile/IR/Layout.h"

#include <random>

using namespace mlir;
using namespace mlir::flash_tile;
using ::flash::runtime::DType;

namespace {

std::string print(const Layout &layout) {
  MLIRContext context;
  context.loadDialect<FlashTileDialect>();
  std::string text;
  llvm::raw_string_ostream os(text);
  Attribute(layout.toAttr(&context)).print(os);
  return text;
}

std::string shaped(int64_t rows, int64_t cols, const std::string &type) {
  return std::to_string(rows) + "x" + std::to_string(cols) + "x" + type;
}

/// A kernel of `warps` warps over memrefs of those shapes, named %m0, %m1, ...
std::string kernel(ArrayRef<std::string> shapes, int64_t warps,
                   const std::string &body) {
  std::string text = "gpu.module @m {\n  gpu.func @k(";
  for (auto [i, shape] : llvm::enumerate(shapes))
    text += (i ? ", %m" : "%m") + std::to_string(i) + ": memref<" + shape +
            "> {flash_tile.dims = [\"x" + std::to_string(i) + "\", \"y" +
            std::to_string(i) + "\"]}";
  return text + ") kernel attributes {known_block_size = array<i32: " +
         std::to_string(32 * warps) +
         ", 1, 1>, flash_tile.sizes = []} {\n"
         "    %c0 = arith.constant 0 : index\n" +
         body + "    gpu.return\n  }\n}\n";
}

void fill(Matrix &matrix) {
  std::mt19937 random(7);
  for (double &value : matrix.values)
    value = double(random() % 7) - 3;
}

void expectProduct(Matrix &a, Matrix &b, Matrix &o, bool transposeB) {
  unsigned wrong = 0;
  for (int64_t m = 0; m < o.rows; ++m)
    for (int64_t n = 0; n < o.cols; ++n) {
      double expected = 0;
      for (int64_t k = 0; k < a.cols; ++k)
        expected += a.at(m, k) * (transposeB ? b.at(n, k) : b.at(k, n));
      if (expected != o.at(m, n) && wrong++ < 5)
        ADD_FAILURE() << "(" << m << ", " << n << "): expected " << expected
                      << ", got " << o.at(m, n);
    }
  EXPECT_EQ(wrong, 0u);
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

struct Case {
  DType dtype;
  bool transposeB;
  int64_t swizzle;
  int64_t rows, cols, depth, warps;
};

class FmaDot : public ::testing::TestWithParam<Case> {};

TEST_P(FmaDot, SharedOperands) {
  const Case &c = GetParam();
  const std::string type = Matrix::mlirName(c.dtype);
  const int64_t bytes = c.dtype == DType::F32 ? 4 : 2;
  Matrix a(c.dtype, c.rows, c.depth);
  Matrix b(c.dtype, c.transposeB ? c.cols : c.depth,
           c.transposeB ? c.depth : c.cols);
  Matrix o(DType::F32, c.rows, c.cols);
  fill(a);
  fill(b);
  const std::string shapes[] = {shaped(a.rows, a.cols, type),
                                shaped(b.rows, b.cols, type),
                                shaped(o.rows, o.cols, "f32")};
  const std::string swizzle =
      c.swizzle ? ", #flash_tile.swizzle<bits = " + std::to_string(c.swizzle) +
                      ", shift = " + std::to_string(3 - c.swizzle) + ">"
                : "";
  std::string body;
  for (int i : {0, 1}) {
    const std::string n = std::to_string(i);
    const std::string buffer =
        "!flash_tile.buffer<1x" + shapes[i] + swizzle + ">";
    const std::string view = "!flash_tile.view<" + shapes[i] + swizzle + ">";
    const Matrix &matrix = i ? b : a;
    const std::string tile = "tensor<" + shapes[i] + ", " +
                             print(*Layout::blocked({matrix.rows, matrix.cols},
                                                    bytes, 16, c.warps)) +
                             ">";
    body += "    %b" + n +
            " = flash_tile.alloc {offset = " + std::to_string(i * 32768) +
            " : i64} : " + buffer + "\n    %v" + n + " = flash_tile.stage %b" +
            n + "[%c0] : " + buffer + " -> " + view + "\n    %t" + n +
            " = flash_tile.load %m" + n + "[%c0, %c0] : memref<" + shapes[i] +
            "> -> " + tile + "\n    flash_tile.local_store %t" + n + ", %v" +
            n + " : " + tile + ", " + view + "\n";
  }
  const std::string acc =
      "tensor<" + shapes[2] + ", " +
      print(*Layout::fmaAccumulator(c.rows, c.cols, c.warps,
                                    c.transposeB ? 1 : 16 / bytes)) +
      ">";
  body += "    gpu.barrier\n    %zero = arith.constant dense<0.0> : " + acc +
          "\n    %r = flash_tile.dot %v0, %v1, %zero on fma" +
          (c.transposeB ? " {transpose_b}" : "") + " : !flash_tile.view<" +
          shapes[0] + swizzle + ">, !flash_tile.view<" + shapes[1] + swizzle +
          ">, " + acc + "\n    flash_tile.store %r, %m2[%c0, %c0] : " + acc +
          ", memref<" + shapes[2] + ">\n";
  KernelRun run = runKernel(kernel(shapes, c.warps, body),
                            unsigned(32 * c.warps), 98304, {&a, &b, &o});
  EXPECT_NE(run.ptx.find("ld.global.v4"), std::string::npos);
  expectProduct(a, b, o, c.transposeB);
}

std::vector<Case> allCases() {
  std::vector<Case> cases;
  for (DType dtype : {DType::F16, DType::BF16, DType::F32})
    for (bool transposeB : {false, true}) {
      for (int64_t swizzle : {0, 1, 2, 3})
        cases.push_back({dtype, transposeB, swizzle, 16, 64, 64, 2});
      cases.push_back({dtype, transposeB, 0, 24, 48, 48, 3});
    }
  return cases;
}

std::string caseName(const ::testing::TestParamInfo<Case> &info) {
  const Case &c = info.param;
  return std::string(name(c.dtype)) + (c.transposeB ? "_nk" : "_kn") +
         "_swizzle" + std::to_string(c.swizzle) + "_" + std::to_string(c.rows);
}

INSTANTIATE_TEST_SUITE_P(All, FmaDot, ::testing::ValuesIn(allCases()),
                         caseName);

/// Both products of level 0: the first reads both operands in global memory,
/// the second has A in registers, as the first left it.
TEST(FmaDotInPlace, TwoProducts) {
  Matrix q(DType::F16, 32, 24), k(DType::F16, 16, 24), v(DType::F16, 16, 40),
      s(DType::F32, 32, 16), o(DType::F32, 32, 40);
  fill(q);
  fill(k);
  fill(v);
  const std::string scores =
      "tensor<32x16xf32, " + print(*Layout::threadRows(32, 16, 4, false)) + ">";
  const std::string output =
      "tensor<32x40xf32, " + print(*Layout::threadRows(32, 40, 4, true)) + ">";
  std::string rounded = scores;
  rounded.replace(rounded.find("f32"), 3, "f16");
  const std::string body =
      "    %q = flash_tile.global_tile %m0[%c0, %c0] : memref<32x24xf16> -> "
      "!flash_tile.global_tile<32x24xf16>\n"
      "    %k = flash_tile.global_tile %m1[%c0, %c0] : memref<16x24xf16> -> "
      "!flash_tile.global_tile<16x24xf16>\n"
      "    %v = flash_tile.global_tile %m2[%c0, %c0] : memref<16x40xf16> -> "
      "!flash_tile.global_tile<16x40xf16>\n"
      "    %zero = arith.constant dense<0.0> : " +
      scores + "\n    %acc = arith.constant dense<0.0> : " + output +
      "\n    %s = flash_tile.dot %q, %k, %zero on fma {transpose_b} : "
      "!flash_tile.global_tile<32x24xf16>, "
      "!flash_tile.global_tile<16x24xf16>, " +
      scores + "\n    %p = arith.truncf %s : " + scores + " to " + rounded +
      "\n    %o = flash_tile.dot %p, %v, %acc on fma : " + rounded +
      ", !flash_tile.global_tile<16x40xf16>, " + output +
      "\n    flash_tile.store %s, %m3[%c0, %c0] : " + scores +
      ", memref<32x16xf32>\n    flash_tile.store %o, %m4[%c0, %c0] : " +
      output + ", memref<32x40xf32>\n";
  KernelRun run = runKernel(
      kernel({"32x24xf16", "16x24xf16", "16x40xf16", "32x16xf32", "32x40xf32"},
             4, body),
      128, 0, {&q, &k, &v, &s, &o});
  EXPECT_EQ(run.ptx.find(".shared"), std::string::npos);
  expectProduct(q, k, s, /*transposeB=*/true);
  expectProduct(s, v, o, /*transposeB=*/false);
}

//===----------------------------------------------------------------------===//
// Trees
//===----------------------------------------------------------------------===//

struct TreeCase {
  const char *name;
  Layout layout;
  int64_t rows, cols, warps;
};

class Tree : public ::testing::TestWithParam<TreeCase> {};

TEST_P(Tree, CombinesAllParts) {
  const TreeCase &c = GetParam();
  const int64_t parts = c.layout.countParts(1);
  Matrix x(DType::F32, c.rows, c.cols), sum(DType::F32, c.rows, 8),
      max(DType::F32, c.rows, 8);
  fill(x);
  // The result of a row is expanded over eight columns of the tile, of which
  // every thread of the row has it.
  const std::string tile =
      "tensor<" + shaped(c.rows, c.cols, "f32") + ", " + print(c.layout) + ">";
  const std::string rows = "tensor<" + std::to_string(c.rows) + "xf32, " +
                           print(c.layout.slice(1)) + ">";
  const std::string buffer =
      "!flash_tile.buffer<1x" + shaped(c.rows, parts, "f32") + ">";
  const std::string view =
      "!flash_tile.view<" + shaped(c.rows, parts, "f32") + ">";
  std::string body =
      "    %b = flash_tile.alloc {offset = 0 : i64} : " + buffer +
      "\n    %v = flash_tile.stage %b[%c0] : " + buffer + " -> " + view +
      "\n    %x = flash_tile.load %m0[%c0, %c0] : memref<" +
      shaped(c.rows, c.cols, "f32") + "> -> " + tile + "\n";
  for (const char *kind : {"add", "max"}) {
    const std::string k = kind, m = k == "add" ? "1" : "2";
    body += "    %" + k + " = flash_tile.reduce " + k +
            " %x axis 1 through (%v : " + view + ") : " + tile + " -> " + rows +
            "\n    %e" + k + " = flash_tile.expand %" + k +
            " axis 1 : " + rows + " -> " + tile + "\n    flash_tile.store %e" +
            k + ", %m" + m + "[%c0, %c0] : " + tile + ", memref<" +
            shaped(c.rows, 8, "f32") + ">\n";
  }
  KernelRun run =
      runKernel(kernel({shaped(c.rows, c.cols, "f32"), shaped(c.rows, 8, "f32"),
                        shaped(c.rows, 8, "f32")},
                       c.warps, body),
                unsigned(32 * c.warps), 65536, {&x, &sum, &max});
  EXPECT_EQ(run.ptx.find("shfl"), std::string::npos);
  for (int64_t r = 0; r < c.rows; ++r) {
    double all = 0, most = x.at(r, 0);
    for (int64_t n = 0; n < c.cols; ++n) {
      all += x.at(r, n);
      most = std::max(most, x.at(r, n));
    }
    for (int64_t n = 0; n < 8; ++n) {
      EXPECT_EQ(sum.at(r, n), all) << "row " << r;
      EXPECT_EQ(max.at(r, n), most) << "row " << r;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, Tree,
    ::testing::Values(
        TreeCase{"eight_lanes", *Layout::fmaAccumulator(32, 32, 2, 1), 32, 32,
                 2},
        TreeCase{"quads", *Layout::mmaAccumulator(32, 16, 2), 32, 16, 2},
        TreeCase{"two_warps_of_quads", *Layout::mmaAccumulator(32, 32, 4, 2),
                 32, 32, 4},
        TreeCase{"three_warps_of_quads", *Layout::mmaAccumulator(16, 48, 3, 3),
                 16, 48, 3}),
    [](const auto &info) { return std::string(info.param.name); });

} // namespace

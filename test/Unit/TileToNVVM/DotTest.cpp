//===- DotTest.cpp - Products on tensor cores, executed -------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every way to read fragments, for every element type, against the product
// computed here. Inputs are small integers, so that every type holds them and
// every sum is exact.
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

struct Case {
  DType dtype;
  bool transposeB;
  bool plainLoads;
  /// Bits of the swizzle of both views.
  int64_t swizzle = 0;
  int64_t rows = 32, cols = 32, depth = 64;
  int64_t warps = 1, warpCols = 1;
  /// A comes in registers, in the accumulator's layout as far as it can: the
  /// contraction is summed in another order.
  bool registers = false;
  /// How far apart the columns of one instruction are.
  int64_t columnStep = 1;

  /// What products of this type are summed in.
  DType sums() const { return dtype == DType::I8 ? DType::I32 : DType::F32; }
  /// ldmatrix reads B's fragments: rows of bytes as pairs of columns only.
  bool readsMatricesOfB() const {
    if (plainLoads)
      return false;
    return transposeB || byteWidth(dtype) == 2 ||
           (byteWidth(dtype) == 1 && columnStep == 2);
  }
};

/// In which slot which element of the contraction has to be, so that operand A
/// is held as an accumulator holds it.
std::vector<int64_t> contractionOrder(DType dtype) {
  if (byteWidth(dtype) == 4)
    return {0, 2, 4, 6, 1, 3, 5, 7};
  if (byteWidth(dtype) == 2)
    return {};
  return {0,  1,  8,  9,  2,  3,  10, 11, 4,  5,  12, 13, 6,  7,  14, 15,
          16, 17, 24, 25, 18, 19, 26, 27, 20, 21, 28, 29, 22, 23, 30, 31};
}

/// Where B is in shared memory; at most 64 KiB long, behind at most 32 of A.
constexpr int64_t kBufferB = 32768;

std::string print(Attribute attribute) {
  std::string text;
  llvm::raw_string_ostream os(text);
  attribute.print(os);
  return text;
}

std::string kernelText(const Case &c) {
  MLIRContext context;
  context.loadDialect<FlashTileDialect>();
  FailureOr<Layout> layout =
      Layout::mmaAccumulator(c.rows, c.cols, c.warps, c.warpCols, c.columnStep);
  std::string type = Matrix::mlirName(c.dtype);
  std::string swizzle =
      c.swizzle ? ", #flash_tile.swizzle<bits = " + std::to_string(c.swizzle) +
                      ", shift = " + std::to_string(3 - c.swizzle) + ">"
                : "";
  auto shape = [](int64_t rows, int64_t cols) {
    return std::to_string(rows) + "x" + std::to_string(cols) + "x";
  };
  std::string a = shape(c.rows, c.depth) + type;
  std::string b =
      (c.transposeB ? shape(c.cols, c.depth) : shape(c.depth, c.cols)) + type;
  std::string o = shape(c.rows, c.cols) + Matrix::mlirName(c.sums());
  std::string acc =
      "tensor<" + o + ", " + print(layout->toAttr(&context)) + ">";
  std::string attributes = c.transposeB ? "transpose_b" : "";
  if (c.plainLoads)
    attributes += attributes.empty() ? "plain_loads" : ", plain_loads";
  std::vector<int64_t> order = contractionOrder(c.dtype);
  FailureOr<Layout> held = Layout::mmaOperandA(
      c.rows, c.depth, c.warps, c.warpCols, 8 * byteWidth(c.dtype));
  if (!order.empty())
    held = held->permuted(1, order);
  if (c.registers && !order.empty()) {
    attributes += attributes.empty() ? "contraction_order = array<i64"
                                     : ", contraction_order = array<i64";
    for (size_t i = 0; i < order.size(); ++i)
      attributes += (i ? ", " : ": ") + std::to_string(order[i]);
    attributes += ">";
  }
  std::string tileA =
      "tensor<" + a + ", " + print(held->toAttr(&context)) + ">";
  auto memref = [](const std::string &shape) {
    return "memref<" + shape + ">";
  };
  auto view = [&](const std::string &shape) {
    return "!flash_tile.view<" + shape + swizzle + ">";
  };
  auto staged = [&](const std::string &name, const std::string &shape,
                    int64_t offset) {
    std::string buffer = "!flash_tile.buffer<1x" + shape + swizzle + ">";
    return "    %" + name +
           "b = flash_tile.alloc {offset = " + std::to_string(offset) +
           " : i64} : " + buffer + "\n    %" + name + "s = flash_tile.stage %" +
           name + "b[%c0] : " + buffer + " -> " + view(shape) + "\n    %" +
           name + "f = flash_tile.copy_async %" + name + "[%c0, %c0] to %" +
           name + "s {in_bounds, alignment = 16 : i64} : " + memref(shape) +
           " to " + view(shape) + " -> !flash_tile.future<" + view(shape) +
           ">\n    %" + name + "v = flash_tile.wait %" + name +
           "f : !flash_tile.future<" + view(shape) + ">\n";
  };
  return "gpu.module @m {\n  gpu.func @dot(%a: " + memref(a) +
         " {flash_tile.dims = [\"m\", \"k\"]}, %b: " + memref(b) +
         " {flash_tile.dims = [\"x\", \"y\"]}, %o: " + memref(o) +
         " {flash_tile.dims = [\"m\", \"n\"]}) kernel attributes "
         "{known_block_size = array<i32: " +
         std::to_string(32 * c.warps) +
         ", 1, 1>, flash_tile.sizes = []} {\n"
         "    %c0 = arith.constant 0 : index\n" +
         (c.registers ? "    %av = flash_tile.load %a[%c0, %c0] : " +
                            memref(a) + " -> " + tileA + "\n"
                      : staged("a", a, 0)) +
         staged("b", b, kBufferB) +
         "    gpu.barrier\n    %zero = arith.constant dense<" +
         (c.dtype == DType::I8 ? "0" : "0.0") + "> : " + acc +
         "\n    %r = flash_tile.dot %av, %bv, %zero {" + attributes +
         "} : " + (c.registers ? tileA : view(a)) + ", " + view(b) + ", " +
         acc + "\n    flash_tile.store %r, %o[%c0, %c0] : " + acc + ", " +
         memref(o) + "\n    gpu.return\n  }\n}\n";
}

class Dot : public ::testing::TestWithParam<Case> {};

TEST_P(Dot, IsTheProduct) {
  const Case &c = GetParam();
  std::mt19937 random(7);
  auto fill = [&](Matrix &matrix) {
    for (double &value : matrix.values)
      value = c.dtype == DType::I8 ? double(random() % 256) - 128
                                   : double(random() % 7) - 3;
  };
  Matrix a(c.dtype, c.rows, c.depth);
  Matrix b(c.dtype, c.transposeB ? c.cols : c.depth,
           c.transposeB ? c.depth : c.cols);
  Matrix o(c.sums(), c.rows, c.cols);
  fill(a);
  fill(b);
  KernelRun run =
      runKernel(kernelText(c), unsigned(32 * c.warps), 98304, {&a, &b, &o});
  const bool matrices = c.readsMatricesOfB() || (!c.registers && !c.plainLoads);
  EXPECT_EQ(run.ptx.find("ldmatrix") != std::string::npos, matrices);
  if (c.readsMatricesOfB() && matrices)
    EXPECT_EQ(run.ptx.find("ld.shared"), std::string::npos);
  unsigned wrong = 0;
  for (int64_t m = 0; m < c.rows; ++m)
    for (int64_t n = 0; n < c.cols; ++n) {
      double expected = 0;
      for (int64_t k = 0; k < c.depth; ++k)
        expected += a.at(m, k) * (c.transposeB ? b.at(n, k) : b.at(k, n));
      if (expected != o.at(m, n) && wrong++ < 5)
        ADD_FAILURE() << "(" << m << ", " << n << "): expected " << expected
                      << ", got " << o.at(m, n);
    }
  EXPECT_EQ(wrong, 0u);
}

std::vector<Case> allCases() {
  std::vector<Case> cases;
  const DType types[] = {DType::F16,  DType::BF16, DType::TF32,
                         DType::E4M3, DType::E5M2, DType::I8};
  for (DType dtype : types)
    for (bool transposeB : {false, true})
      for (bool plainLoads : {false, true})
        for (int64_t swizzle : {0, 1, 2, 3}) {
          cases.push_back({dtype, transposeB, plainLoads, swizzle});
          // At least 128 bytes per row, so that all chunk bits are used.
          if (swizzle >= 2)
            cases.back().cols = cases.back().depth = 128;
        }
  for (DType dtype : {DType::BF16, DType::TF32, DType::E4M3})
    for (bool transposeB : {false, true})
      for (bool plainLoads : {false, true})
        for (int64_t warpCols : {1, 2, 4}) {
          // Two warps by columns leave three atoms each, the last one alone.
          int64_t cols = warpCols == 2 ? 48 : 96;
          if (dtype == DType::E4M3) // warps are whole chunks apart
            cols = 32 * warpCols;
          cases.push_back(
              {dtype, transposeB, plainLoads, 1, 64, cols, 64, 4, warpCols});
        }
  for (DType dtype : types)
    for (bool plainLoads : {false, true})
      for (int64_t swizzle : {0, 3}) {
        Case c{dtype, /*transposeB=*/false, plainLoads, swizzle, 64, 128, 128,
               2};
        c.registers = true;
        // An odd number of column atoms where a row of them is whole chunks.
        if (swizzle == 0)
          c.cols = byteWidth(dtype) == 1 ? 48 : 24;
        cases.push_back(c);
      }
  // Bytes K x N: each instruction takes every other column, of one, two or four
  // warps' share of them; A in shared memory is in natural order.
  for (DType dtype : {DType::E4M3, DType::E5M2, DType::I8})
    for (bool plainLoads : {false, true})
      for (bool registers : {false, true})
        for (int64_t swizzle : {0, 1, 2, 3})
          for (int64_t warpCols : {1, 2, 4}) {
            Case c{dtype,      /*transposeB=*/false,
                   plainLoads, swizzle,
                   64,         128,
                   128,        4,
                   warpCols};
            // Rows of three chunks, an odd number of pairs of atoms.
            if (swizzle == 0)
              c.cols = 48 * warpCols;
            c.registers = registers;
            c.columnStep = 2;
            cases.push_back(c);
          }
  return cases;
}

std::string caseName(const ::testing::TestParamInfo<Case> &info) {
  const Case &c = info.param;
  return std::string(name(c.dtype)) + (c.transposeB ? "_nk" : "_kn") +
         (c.registers ? "_registers" : "") +
         (c.columnStep == 2 ? "_everyother" : "") +
         (c.plainLoads ? "_plain" : "_matrix") + "_swizzle" +
         std::to_string(c.swizzle) + "_warps" + std::to_string(c.warps) + "x" +
         std::to_string(c.warpCols) + "_" + std::to_string(c.cols);
}

INSTANTIATE_TEST_SUITE_P(All, Dot, ::testing::ValuesIn(allCases()), caseName);

} // namespace

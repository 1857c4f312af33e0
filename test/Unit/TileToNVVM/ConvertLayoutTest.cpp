//===- ConvertLayoutTest.cpp - Layout conversions, executed ---------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A tile is read under one layout, converted, and written under another one:
// it must arrive as it was. Products over keys in another order must be what
// they are in the natural one, and coordinates must be logical ones.
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

/// Prints layouts and types of tiles.
class Printer {
public:
  Printer() { context.loadDialect<FlashTileDialect>(); }
  std::string tile(const std::string &shape, const Layout &layout) {
    std::string text;
    llvm::raw_string_ostream os(text);
    Attribute(layout.toAttr(&context)).print(os);
    return "tensor<" + shape + ", " + text + ">";
  }

private:
  MLIRContext context;
};

std::string shapeOf(int64_t rows, int64_t cols, const std::string &type) {
  return std::to_string(rows) + "x" + std::to_string(cols) + "x" + type;
}

/// A kernel over memrefs of the given shapes, named a, b, ...
std::string kernel(int64_t warps, ArrayRef<std::string> shapes,
                   const std::string &body) {
  std::string arguments;
  for (auto [i, shape] : llvm::enumerate(shapes))
    arguments += std::string(i ? ", " : "") + "%" + char('a' + i) +
                 ": memref<" + shape + "> {flash_tile.dims = [\"x\", \"y\"]}";
  return "gpu.module @m {\n  gpu.func @kernel(" + arguments +
         ") kernel attributes {known_block_size = array<i32: " +
         std::to_string(32 * warps) +
         ", 1, 1>, flash_tile.sizes = []} {\n"
         "    %c0 = arith.constant 0 : index\n" +
         body + "    gpu.return\n  }\n}\n";
}

Matrix integers(DType dtype, int64_t rows, int64_t cols, unsigned seed) {
  Matrix matrix(dtype, rows, cols);
  std::mt19937 random(seed);
  for (double &value : matrix.values)
    value = double(random() % 15) - 7;
  return matrix;
}

struct Conversion {
  const char *name;
  DType dtype;
  int64_t rows, cols, warps;
  FailureOr<Layout> from, to;
  /// What the PTX must hold; without a value either will do.
  std::optional<bool> shuffles, shared;
};

std::vector<Conversion> conversions() {
  auto permutedRows = [](const Layout &layout) {
    return *layout.permuted(0, {0, 4, 2, 6, 1, 5, 3, 7});
  };
  return {
      {"wgmma e4m3 in order", DType::E4M3, 64, 64, 4,
       Layout::wgmmaAccumulator(64, 64, 4), Layout::wgmmaOperandA(64, 64, 4, 8),
       true, false},
      {"wgmma e5m2, three groups", DType::E5M2, 192, 96, 12,
       Layout::wgmmaAccumulator(192, 96, 12),
       Layout::wgmmaOperandA(192, 96, 12, 8), true, false},
      {"mma e4m3, three warps of two atoms", DType::E4M3, 96, 224, 3,
       Layout::mmaAccumulator(96, 224, 3),
       Layout::mmaOperandA(96, 224, 3, 1, 8), true, false},
      {"mma tf32 in order", DType::F32, 32, 40, 2,
       Layout::mmaAccumulator(32, 40, 2), Layout::mmaOperandA(32, 40, 2, 1, 32),
       true, false},
      {"rows of 16-bit accumulators", DType::F16, 32, 48, 1,
       Layout::mmaAccumulator(32, 48, 1),
       permutedRows(*Layout::mmaAccumulator(32, 48, 1)), true, false},
      {"f32 accumulator to wide rows", DType::F32, 64, 80, 4,
       Layout::mmaAccumulator(64, 80, 4), Layout::blocked({64, 80}, 4, 16, 4),
       false, true},
      {"16-bit wide rows to accumulator", DType::BF16, 48, 80, 3,
       Layout::blocked({48, 80}, 2, 16, 3), Layout::mmaAccumulator(48, 80, 3),
       false, true},
      {"e4m3 wide rows to operand", DType::E4M3, 64, 96, 2,
       Layout::blocked({64, 96}, 1, 16, 2),
       Layout::mmaOperandA(64, 96, 2, 1, 8), false, true},
      // Integers have a register each, and exchange them.
      {"mma s8 in order", DType::I8, 64, 96, 2,
       Layout::mmaAccumulator(64, 96, 2), Layout::mmaOperandA(64, 96, 2, 1, 8),
       true, false},
      {"wgmma s8 in order", DType::I8, 64, 64, 4,
       Layout::wgmmaAccumulator(64, 64, 4), Layout::wgmmaOperandA(64, 64, 4, 8),
       true, false},
      {"s8 wide rows to operand", DType::I8, 64, 96, 2,
       Layout::blocked({64, 96}, 1, 16, 2),
       Layout::mmaOperandA(64, 96, 2, 1, 8), false, true},
      {"s8 operand to wide rows below the tile", DType::I8, 40, 32, 4,
       Layout::mmaOperandA(64, 32, 4, 1, 8),
       Layout::blocked({40, 32}, 1, 16, 4), false, true},
      {"s8 every other column to wide rows", DType::I8, 64, 48, 4,
       Layout::mmaAccumulator(64, 48, 4, 1, /*columnStep=*/2),
       Layout::blocked({64, 48}, 1, 16, 4), false, true},
      {"every other column to a row per thread", DType::F32, 64, 64, 2,
       Layout::mmaAccumulator(64, 64, 2, 1, /*columnStep=*/2),
       Layout::tcgen05Accumulator(64, 64, 2), false, true},
      {"copies in every warp",
       DType::F32,
       32,
       32,
       4,
       Layout::mmaOperandB(32, 32, 4, 1, false, 32),
       Layout::mmaAccumulator(32, 32, 4, 2),
       {},
       {}},
      {"rows below the tile", DType::F16, 40, 16, 4,
       Layout::blocked({40, 16}, 2, 16, 4),
       Layout::tcgen05Accumulator(128, 16, 4), false, true},
  };
}

TEST(ConvertLayout, TilesArriveAsTheyWere) {
  Printer printer;
  for (const Conversion &c : conversions()) {
    SCOPED_TRACE(c.name);
    ASSERT_TRUE(succeeded(c.from) && succeeded(c.to));
    const std::string shape =
        shapeOf(c.rows, c.cols, Matrix::mlirName(c.dtype));
    const std::string from = printer.tile(shape, *c.from);
    const std::string to = printer.tile(shape, *c.to);
    Matrix in = integers(c.dtype, c.rows, c.cols, 3);
    Matrix out(c.dtype, c.rows, c.cols);
    KernelRun run = runKernel(
        kernel(c.warps, {shape, shape},
               "    %t = flash_tile.load %a[%c0, %c0] : memref<" + shape +
                   "> -> " + from +
                   "\n    %r = flash_tile.convert_layout %t : " + from +
                   " -> " + to + "\n    flash_tile.store %r, %b[%c0, %c0] : " +
                   to + ", memref<" + shape + ">\n"),
        unsigned(32 * c.warps), 98304, {&in, &out}, "sm_89",
        /*decide=*/true);
    EXPECT_EQ(in.values, out.values);
    const bool shuffles = run.ptx.find("shfl.sync.idx") != std::string::npos;
    const bool shared = run.ptx.find("st.shared") != std::string::npos;
    EXPECT_NE(shuffles, shared);
    EXPECT_EQ(shuffles, c.shuffles.value_or(shuffles));
    EXPECT_EQ(shared, c.shared.value_or(shared));
  }
}

// One barrier per trip, and one that keeps the iterations of a loop apart.
TEST(ConvertLayout, TripsInALoop) {
  Printer printer;
  const int64_t warps = 4;
  const std::string shape = shapeOf(64, 32, "f32");
  const std::string from =
      printer.tile(shape, *Layout::mmaAccumulator(64, 32, warps));
  const std::string to =
      printer.tile(shape, *Layout::blocked({64, 32}, 4, 16, warps));
  Matrix in = integers(DType::F32, 64, 32, 5), out(DType::F32, 64, 32);
  KernelRun run = runKernel(
      kernel(
          warps, {shape, shape},
          "    %c1 = arith.constant 1 : index\n"
          "    %c5 = arith.constant 5 : index\n"
          "    %two = arith.constant dense<2.0> : " +
              to + "\n" + "    %t = flash_tile.load %a[%c0, %c0] : memref<" +
              shape + "> -> " + from +
              "\n    %f = scf.for %i = %c0 to %c5 step %c1 iter_args(%x = %t)"
              " -> (" +
              from +
              ") {\n"
              "      %r = flash_tile.convert_layout %x : " +
              from + " -> " + to + "\n      %d = arith.mulf %r, %two : " + to +
              "\n      %s = flash_tile.convert_layout %d : " + to + " -> " +
              from + "\n      scf.yield %s : " + from + "\n    }\n" +
              "    flash_tile.store %f, %b[%c0, %c0] : " + from + ", memref<" +
              shape + ">\n"),
      unsigned(32 * warps), 98304, {&in, &out}, "sm_89", /*decide=*/true);
  for (double &value : in.values)
    value *= 32;
  EXPECT_EQ(in.values, out.values);
  // Each trip's barrier keeps the other's iterations apart.
  unsigned barriers = 0;
  for (size_t at = 0; (at = run.ptx.find("bar.sync", at)) != std::string::npos;
       ++at)
    ++barriers;
  EXPECT_EQ(barriers, 2u);
}

// A row statistic is held by several lanes; one of them writes it.
TEST(ConvertLayout, RowStatistics) {
  Printer printer;
  const int64_t warps = 2;
  const std::string shape = shapeOf(64, 16, "f32");
  const Layout acc = *Layout::mmaAccumulator(64, 16, warps);
  const Layout wide = *Layout::blocked({64, 16}, 4, 16, warps);
  const std::string from = printer.tile(shape, acc);
  const std::string to = printer.tile(shape, wide);
  const std::string rowsFrom = printer.tile("64xf32", acc.slice(1));
  const std::string rowsTo = printer.tile("64xf32", wide.slice(1));
  Matrix in = integers(DType::F32, 64, 16, 9), out(DType::F32, 64, 16);
  runKernel(
      kernel(
          warps, {shape, shape},
          "    %t = flash_tile.load %a[%c0, %c0] : memref<" + shape + "> -> " +
              from + "\n    %m = flash_tile.reduce add %t axis 1 : " + from +
              " -> " + rowsFrom +
              "\n    %r = flash_tile.convert_layout %m : " + rowsFrom + " -> " +
              rowsTo + "\n    %e = flash_tile.expand %r axis 1 : " + rowsTo +
              " -> " + to + "\n    flash_tile.store %e, %b[%c0, %c0] : " + to +
              ", memref<" + shape + ">\n"),
      unsigned(32 * warps), 98304, {&in, &out}, "sm_89",
      /*decide=*/true);
  for (int64_t row = 0; row < 64; ++row) {
    double sum = 0;
    for (int64_t col = 0; col < 16; ++col)
      sum += in.at(row, col);
    for (int64_t col = 0; col < 16; ++col)
      EXPECT_EQ(out.at(row, col), sum) << row;
  }
}

// P V with P in the accumulator's layout, keys from a bound on masked: the mask
// compares logical keys, and the product sums them in another order.
TEST(ConvertLayout, ProductsInAnotherOrder) {
  Printer printer;
  struct Product {
    DType dtype;
    int64_t columnStep;
  };
  for (auto [dtype, columnStep] :
       {Product{DType::TF32, 1}, Product{DType::E4M3, 1},
        Product{DType::E4M3, 2}, Product{DType::E5M2, 2}, Product{DType::I8, 1},
        Product{DType::I8, 2}}) {
    const bool narrow = byteWidth(dtype) == 1;
    const DType sums = dtype == DType::I8 ? DType::I32 : DType::F32;
    const std::string type = Matrix::mlirName(dtype);
    SCOPED_TRACE(type + ", columns " + std::to_string(columnStep) + " apart");
    const int64_t warps = 2, rows = 64, keys = 96, cols = 32;
    const std::string wide = shapeOf(rows, keys, Matrix::mlirName(sums));
    const std::string v = shapeOf(keys, cols, type);
    const std::string o = shapeOf(rows, cols, Matrix::mlirName(sums));
    const std::string none = sums == DType::I32 ? "0" : "0.0";
    const Layout acc = *Layout::mmaAccumulator(rows, keys, warps);
    const std::string s = printer.tile(wide, acc);
    const std::string p = printer.tile(shapeOf(rows, keys, type), acc);
    const std::string a = printer.tile(
        shapeOf(rows, keys, type),
        *Layout::mmaOperandA(rows, keys, warps, 1, narrow ? 8 : 32));
    const std::string r = printer.tile(
        o, *Layout::mmaAccumulator(rows, cols, warps, 1, columnStep));
    const std::string key = printer.tile(shapeOf(rows, keys, "i32"), acc);
    const std::string view = "!flash_tile.view<" + v + ">";
    const std::string buffer = "!flash_tile.buffer<1x" + v + ">";
    Matrix in = integers(sums, rows, keys, 11);
    Matrix values = integers(dtype, keys, cols, 12);
    Matrix out(sums, rows, cols);
    KernelRun run = runKernel(
        kernel(
            warps, {wide, v, o},
            "    %buffer = flash_tile.alloc : " + buffer +
                "\n    %stage = flash_tile.stage %buffer[%c0] : " + buffer +
                " -> " + view +
                "\n    %copy = flash_tile.copy_async %b[%c0, %c0] to %stage "
                "{in_bounds, alignment = 16 : i64} : memref<" +
                v + "> to " + view + " -> !flash_tile.future<" + view +
                ">\n    %v = flash_tile.wait %copy : !flash_tile.future<" +
                view +
                ">\n    gpu.barrier\n"
                "    %s = flash_tile.load %a[%c0, %c0] : memref<" +
                wide + "> -> " + s + "\n    %key = flash_tile.index axis 1 : " +
                key + "\n    %bound = arith.constant dense<77> : " + key +
                "\n    %zero = arith.constant dense<" + none + "> : " + s +
                "\n    %live = arith.cmpi ult, %key, %bound : " + key +
                "\n    %masked = arith.select %live, %s, %zero : " +
                printer.tile(shapeOf(rows, keys, "i1"), acc) + ", " + s + "\n" +
                (narrow ? "    %p = arith.trunc" +
                              std::string(sums == DType::I32 ? "i" : "f") +
                              " %masked : " + s + " to " + p + "\n"
                        : "") +
                "    %x = flash_tile.convert_layout " +
                (narrow ? "%p" : "%masked") + " : " + p + " -> " + a +
                "\n    %none = arith.constant dense<" + none + "> : " + r +
                "\n    %o = flash_tile.dot %x, %v, %none : " + a + ", " + view +
                ", " + r + "\n    flash_tile.store %o, %c[%c0, %c0] : " + r +
                ", memref<" + o + ">\n"),
        unsigned(32 * warps), 98304, {&in, &values, &out}, "sm_89",
        /*decide=*/true);
    EXPECT_EQ(run.ptx.find("shfl"), std::string::npos);
    EXPECT_EQ(run.ptx.find("st.shared"), std::string::npos);
    EXPECT_EQ(run.ptx.find("ld.shared") == std::string::npos, columnStep == 2);
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t col = 0; col < cols; ++col) {
        double sum = 0;
        for (int64_t k = 0; k < 77; ++k)
          sum += in.at(row, k) * values.at(k, col);
        ASSERT_EQ(out.at(row, col), sum) << row << ", " << col;
      }
  }
}

// Behind the conversion, too, a coordinate is the logical one.
TEST(ConvertLayout, CoordinatesUnderAnOrderAreLogical) {
  Printer printer;
  const std::string shape = shapeOf(32, 24, "f32");
  const SmallVector<int64_t> order{0, 2, 4, 6, 1, 3, 5, 7};
  const Layout operand = *Layout::mmaOperandA(32, 24, 2, 1, 32);
  const Layout layout = *operand.permuted(1, order);
  const std::string tile = printer.tile(shape, layout);
  const std::string index = printer.tile(shapeOf(32, 24, "i32"), layout);
  Matrix out(DType::F32, 32, 24);
  runKernel(kernel(2, {shape},
                   "    %k = flash_tile.index axis 1 : " + index +
                       "\n    %f = arith.sitofp %k : " + index + " to " + tile +
                       "\n    flash_tile.store %f, %a[%c0, %c0] : " + tile +
                       ", memref<" + shape + ">\n"),
            64, 0, {&out});
  for (int64_t row = 0; row < 32; ++row)
    for (int64_t col = 0; col < 24; ++col)
      ASSERT_EQ(out.at(row, col), col);
}

} // namespace

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
      // Integers have a register each, and are packed to be exchanged where
      // that is cheaper.
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
       Layout::blocked({40, 32}, 1, 16, 4), true, false},
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

// Elements of every width, through every way that moves them; predicates are
// compared with zero on this side and widened on the other.
TEST(ConvertLayout, ElementsOfEveryWidth) {
  Printer printer;
  struct Way {
    const char *name;
    int64_t cols, warps;
    Layout from, to;
    bool shuffles;
  };
  const int64_t rows = 64;
  // The tail of 80 columns ends in the middle of the operand's last step of 32.
  const std::vector<Way> ways = {
      {"accumulator to operand", 80, 4, *Layout::wgmmaAccumulator(64, 80, 4),
       *Layout::wgmmaOperandA(64, 96, 4, 8), true},
      {"operand to accumulator", 80, 2, *Layout::mmaOperandA(64, 96, 2, 1, 8),
       *Layout::mmaAccumulator(64, 80, 2), true},
      {"wide rows to operand", 96, 2, *Layout::blocked({64, 96}, 1, 16, 2),
       *Layout::mmaOperandA(64, 96, 2, 1, 8), false},
      {"operand to rows of another warp", 96, 2,
       *Layout::mmaOperandA(64, 96, 2, 1, 8),
       *Layout::blocked({64, 96}, 2, 16, 2), false},
  };
  for (const Way &way : ways)
    for (DType dtype : {DType::E4M3, DType::E5M2, DType::F16, DType::BF16,
                        DType::F32, DType::F64, DType::I8, DType::I16,
                        DType::I32, DType::I64, DType::Bool}) {
      const bool isPredicate = dtype == DType::Bool;
      const DType stored = isPredicate ? DType::I8 : dtype;
      SCOPED_TRACE(std::string(way.name) + ", " + std::string(name(dtype)));
      const std::string shape =
          shapeOf(rows, way.cols, Matrix::mlirName(stored));
      const std::string held =
          isPredicate ? shapeOf(rows, way.cols, "i1") : shape;
      const std::string memory = printer.tile(shape, way.from);
      const std::string from = printer.tile(held, way.from);
      const std::string to = printer.tile(held, way.to);
      const std::string last = printer.tile(shape, way.to);
      Matrix in = integers(stored, rows, way.cols, 3);
      if (isPredicate)
        for (double &value : in.values)
          value = value > 0;
      Matrix out(stored, rows, way.cols);
      std::string body = "    %t = flash_tile.load %a[%c0, %c0] : memref<" +
                         shape + "> -> " + memory + "\n";
      if (isPredicate)
        body += "    %zero = arith.constant dense<0> : " + memory +
                "\n    %p = arith.cmpi ne, %t, %zero : " + memory + "\n";
      body += std::string("    %r = flash_tile.convert_layout ") +
              (isPredicate ? "%p" : "%t") + " : " + from + " -> " + to + "\n";
      if (isPredicate)
        body += "    %w = arith.extui %r : " + to + " to " + last + "\n";
      body += std::string("    flash_tile.store ") +
              (isPredicate ? "%w" : "%r") + ", %b[%c0, %c0] : " + last +
              ", memref<" + shape + ">\n";
      KernelRun run = runKernel(kernel(way.warps, {shape, shape}, body),
                                unsigned(32 * way.warps), 98304, {&in, &out},
                                "sm_89", /*decide=*/true);
      EXPECT_EQ(in.values, out.values);
      const bool shuffles = run.ptx.find("shfl.sync.idx") != std::string::npos;
      const bool shared = run.ptx.find("st.shared") != std::string::npos;
      EXPECT_NE(shuffles, shared);
      // Bytes for certain; what is wider where it is the cheaper way.
      if (!way.shuffles || byteWidth(stored) == 1)
        EXPECT_EQ(shuffles, way.shuffles);
    }
}

/// A layout of two axes from its vectors.
Layout layoutOf(ArrayRef<int64_t> registers, ArrayRef<int64_t> lanes,
                ArrayRef<int64_t> warps = {}, ArrayRef<int64_t> repeats = {},
                ArrayRef<int64_t> warpRepeats = {}) {
  static MLIRContext *context = [] {
    auto *result = new MLIRContext;
    result->loadDialect<FlashTileDialect>();
    return result;
  }();
  return Layout::fromAttr(LayoutAttr::get(context, 2, registers, lanes, warps,
                                          repeats, warpRepeats));
}

// Vectors that share bits are XORed, wherever they are: lanes, warps and
// registers, before repeats, alone and behind runs of registers.
TEST(ConvertLayout, VectorsThatShareBits) {
  Printer printer;
  struct Case {
    const char *name;
    DType dtype;
    int64_t rows, cols, warps;
    Layout layout;
  };
  const std::vector<Case> cases = {
      {"lane over register", DType::F32, 8, 8, 1,
       layoutOf({0, 1}, {0, 3, 0, 4, 1, 0, 2, 0, 4, 0})},
      {"register over a run", DType::F32, 16, 8, 1,
       layoutOf({0, 1, 0, 3}, {0, 4, 1, 0, 2, 0, 4, 0, 8, 0})},
      {"warp over lanes and registers", DType::F32, 16, 16, 2,
       layoutOf({0, 1, 0, 2}, {0, 4, 0, 8, 1, 0, 2, 0, 4, 1}, {12, 7})},
      {"both axes at once, runs of four", DType::F16, 16, 32, 2,
       layoutOf({0, 1, 0, 2, 0, 4}, {1, 8, 2, 12, 4, 16, 3, 24, 9, 0}, {8, 4})},
      {"under repeats", DType::F32, 24, 24, 1,
       layoutOf({0, 1}, {0, 3, 0, 4, 1, 0, 2, 4, 4, 0}, {},
                {3, 0, 8, 3, 8, 0})},
      {"under repeats of warps", DType::BF16, 24, 16, 3,
       layoutOf({0, 1, 1, 1}, {0, 2, 0, 4, 3, 8, 2, 0, 4, 3}, {}, {},
                {3, 8, 0})},
      {"steps that break the runs", DType::F32, 8, 20, 1,
       layoutOf({0, 1, 0, 2}, {0, 0, 0, 0, 1, 0, 2, 0, 4, 0}, {}, {9, 0, 2})},
      {"beyond the tile", DType::F32, 6, 7, 1,
       layoutOf({0, 1}, {0, 3, 0, 4, 1, 0, 3, 0, 4, 0})},
      {"held twice in different registers", DType::F32, 8, 8, 2,
       layoutOf({0, 1, 0, 4}, {0, 3, 0, 1, 1, 0, 2, 0, 4, 0}, {0, 4})},
  };
  for (const Case &c : cases) {
    SCOPED_TRACE(c.name);
    ASSERT_TRUE(c.layout.covers({c.rows, c.cols}));
    const std::string type = Matrix::mlirName(c.dtype);
    const std::string shape = shapeOf(c.rows, c.cols, type);
    const std::string tile = printer.tile(shape, c.layout);
    const std::string wide =
        printer.tile(shapeOf(c.rows, c.cols, "f32"), c.layout);
    const std::string index =
        printer.tile(shapeOf(c.rows, c.cols, "i32"), c.layout);
    const std::string buffer = "!flash_tile.buffer<1x" + shape + ">";
    const std::string view = "!flash_tile.view<" + shape + ">";
    const std::string result = shapeOf(c.rows, c.cols, "f32");
    Matrix in = integers(c.dtype, c.rows, c.cols, 3);
    Matrix out(c.dtype, c.rows, c.cols), through(c.dtype, c.rows, c.cols);
    Matrix numbers(DType::F32, c.rows, c.cols);
    // A copy, a copy through shared memory, and the elements' numbers.
    runKernel(
        kernel(
            c.warps, {shape, shape, shape, result},
            "    %t = flash_tile.load %a[%c0, %c0] : memref<" + shape +
                "> -> " + tile + "\n    flash_tile.store %t, %b[%c0, %c0] : " +
                tile + ", memref<" + shape + ">\n    %m = flash_tile.alloc : " +
                buffer + "\n    %v = flash_tile.stage %m[%c0] : " + buffer +
                " -> " + view +
                "\n    flash_tile.local_store %t, %v : " + tile + ", " + view +
                "\n    gpu.barrier\n    %l = flash_tile.local_load %v : " +
                view + " -> " + tile +
                "\n    flash_tile.store %l, %c[%c0, %c0] : " + tile +
                ", memref<" + shape + ">\n    %i = flash_tile.index axis 0 : " +
                index + "\n    %j = flash_tile.index axis 1 : " + index +
                "\n    %hundred = arith.constant dense<100> : " + index +
                "\n    %h = arith.muli %i, %hundred : " + index +
                "\n    %n = arith.addi %h, %j : " + index +
                "\n    %f = arith.sitofp %n : " + index + " to " + wide +
                "\n    flash_tile.store %f, %d[%c0, %c0] : " + wide +
                ", memref<" + result + ">\n"),
        unsigned(32 * c.warps), 16384, {&in, &out, &through, &numbers}, "sm_89",
        /*decide=*/true);
    EXPECT_EQ(in.values, out.values);
    EXPECT_EQ(in.values, through.values);
    for (int64_t row = 0; row < c.rows; ++row)
      for (int64_t col = 0; col < c.cols; ++col)
        ASSERT_EQ(numbers.at(row, col), 100 * row + col);
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

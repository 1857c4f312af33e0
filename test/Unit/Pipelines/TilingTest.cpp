//===- TilingTest.cpp - Tiled attention means the same --------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tiles the op in every way its interfaces offer, runs the result and compares
// it with the reference of the untiled problem: a tile that forgets where it
// is, or what it is part of, shows in a mask or a slope.
//
//===----------------------------------------------------------------------===//

#include "CpuProblem.h"

#include "flash/Dialect/Flash/IR/Flash.h"
#include "flash/Dialect/Flash/Transforms/TilingInterfaceImpl.h"
#include "flash/Dialect/Flash/Transforms/ValueBoundsOpInterfaceImpl.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/TileUsingInterface.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Interfaces/ValueBoundsOpInterface.h"

using namespace mlir;
using namespace mlir::flash;
using namespace ::flash::runtime;
using LoopType = scf::SCFTilingOptions::LoopType;

namespace {
class Tiling : public ::testing::Test {
protected:
  Tiling() {
    DialectRegistry registry;
    registerTilingInterfaceExternalModels(registry);
    registerValueBoundsOpInterfaceExternalModels(registry);
    registry.insert<scf::SCFDialect>();
    context.appendDialectRegistry(registry);
    context.loadAllAvailableDialects();
  }

  AttentionOp build(const char *text) {
    auto parsed = AttentionSpec::parse(text);
    EXPECT_TRUE(bool(parsed)) << text;
    spec = *parsed;
    module = buildAttention(&context, spec, AttentionForm::Tensors);
    AttentionOp found;
    module->walk([&](AttentionOp op) { found = op; });
    return found;
  }

  void tile(AttentionOp op, const scf::SCFTilingOptions &options) {
    IRRewriter rewriter(op);
    FailureOr<scf::SCFTilingResult> result = scf::tileUsingSCF(
        rewriter, cast<TilingInterface>(op.getOperation()), options);
    ASSERT_TRUE(succeeded(result));
    rewriter.replaceOp(op, result->replacements);
    ASSERT_TRUE(succeeded(verify(*module)));
  }

  /// Loops B, Hkv, Sq, Dv, Sk.
  void tile(AttentionOp op, ArrayRef<int64_t> sizes, LoopType loop) {
    tile(op, scf::SCFTilingOptions()
                 .setTileSizes(getAsIndexOpFoldResult(&context, sizes))
                 .setLoopType(loop));
  }

  void splitKeys(AttentionOp op, int64_t parts) {
    tile(op, scf::SCFTilingOptions()
                 .setNumThreads(
                     getAsIndexOpFoldResult(&context, {0, 0, 0, 0, parts}))
                 .setLoopType(LoopType::ForallOp)
                 .setReductionTilingStrategy(
                     ReductionTilingStrategy::PartialReductionOuterParallel)
                 .setReductionDims({4}));
  }

  void check(const char *sizes = "") {
    auto resolved = spec.resolveSizes(sizes);
    ASSERT_TRUE(bool(resolved));
    runAndCheck(*module, spec, *resolved, StrideStyle::Contiguous);
  }

  MLIRContext context;
  AttentionSpec spec;
  OwningOpRef<ModuleOp> module;
};
} // namespace

TEST_F(Tiling, QueriesKnowTheirPlace) {
  // Window and ALiBi move with the query, ragged last tile.
  tile(build("hq=2,sq=50,sk=70,d=16,dtype=f16,window=9:3,alibi,lse"),
       {0, 0, 16, 0, 0}, LoopType::ForOp);
  check();
}

TEST_F(Tiling, HeadsKnowHowManyThereAre) {
  // 12 query heads, three to a key head; slopes depend on all twelve.
  tile(build("b=2,hq=12,hkv=4,sq=9,sk=20,d=16,dtype=f16,alibi,lse"),
       {1, 1, 0, 0, 0}, LoopType::ForallOp);
  check();
}

TEST_F(Tiling, DynamicSizesAndDeadRows) {
  tile(build("b=?,hq=?,hkv=hq/2,sq=?,sk=?,d=16,dtype=bf16,mask=causal,lse"),
       {1, 2, 8, 0, 0}, LoopType::ForOp);
  check("b=2,hq=6,sq=21,sk=13");
}

TEST_F(Tiling, TilesOfTiles) {
  AttentionOp outer =
      build("hq=4,sq=40,sk=56,d=16,dtype=f16,mask=causal,alibi,lse");
  tile(outer, {0, 2, 16, 0, 0}, LoopType::ForOp);
  AttentionOp inner;
  module->walk([&](AttentionOp op) { inner = op; });
  tile(inner, {0, 1, 4, 0, 0}, LoopType::ForOp);
  check();
}

TEST_F(Tiling, KeysInParts) {
  splitKeys(build("hq=4,hkv=2,sq=24,sk=40,d=16,dtype=f16,mask=causal,lse"), 3);
  check();
}

TEST_F(Tiling, PartsWithoutALiveKey) {
  // The window sees one part of four; five rows see no key at all.
  splitKeys(build("sq=13,sk=8,d=16,dtype=f16,window=1:0,lse"), 4);
  check();
}

TEST_F(Tiling, MoreKeysThanPartsDivide) {
  splitKeys(build("sq=5,sk=?,d=16,dtype=bf16,softcap=3,lse"), 4);
  check("sk=10");
}

TEST_F(Tiling, ResultSizesAreThoseOfTheInputs) {
  AttentionOp op = build("b=?,hq=2,sq=?,sk=?,d=16,dv=32,dtype=f16,lse");
  auto sameSize = [](Value a, int64_t dimA, Value b, int64_t dimB) {
    FailureOr<bool> same = ValueBoundsConstraintSet::areEqual(
        ValueBoundsConstraintSet::Variable(a, dimA),
        ValueBoundsConstraintSet::Variable(b, dimB));
    return succeeded(same) && *same;
  };
  for (Value result : op.getResultTensors()) {
    EXPECT_TRUE(sameSize(result, 0, op.getQuery(), 0));
    EXPECT_TRUE(sameSize(result, 2, op.getQuery(), 2));
    EXPECT_FALSE(sameSize(result, 2, op.getKey(), 2));
  }
}

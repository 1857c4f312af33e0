//===- BuildAttentionTest.cpp - Modules from specs ------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Pipelines/BuildAttention.h"
#include "flash/Dialect/Flash/IR/Flash.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace mlir::flash;
using ::flash::runtime::AttentionSpec;

namespace {
class BuildAttention : public ::testing::Test {
protected:
  AttentionOp build(const char *text, AttentionForm form) {
    auto spec = AttentionSpec::parse(text);
    EXPECT_TRUE(bool(spec)) << text;
    module = buildAttention(&context, *spec, form);
    EXPECT_TRUE(succeeded(verify(*module)));
    AttentionOp found;
    module->walk([&](AttentionOp op) { found = op; });
    return found;
  }
  FunctionType getFunctionType() {
    return module->lookupSymbol<func::FuncOp>(kAttentionFunction)
        .getFunctionType();
  }
  static std::string print(Type type) {
    std::string text;
    llvm::raw_string_ostream(text) << type;
    return text;
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
};
} // namespace

TEST_F(BuildAttention, Tensors) {
  AttentionOp op =
      build("b=2,hq=8,hkv=2,sq=16,sk=32,d=64,dv=128,dtype=bf16,lse",
            AttentionForm::Tensors);
  EXPECT_EQ(print(op.getQuery().getType()), "tensor<2x8x16x64xbf16>");
  EXPECT_EQ(print(op.getKey().getType()), "tensor<2x2x32x64xbf16>");
  EXPECT_EQ(print(op.getValue().getType()), "tensor<2x2x32x128xbf16>");
  EXPECT_EQ(print(op.getLse().getType()), "tensor<2x8x16xf32>");
  EXPECT_EQ(op.getGroupSize(), 4);
  EXPECT_FALSE(op.hasModifiers());
  EXPECT_EQ(getFunctionType().getNumInputs(), 5u);
  EXPECT_EQ(getFunctionType().getNumResults(), 2u);
}

TEST_F(BuildAttention, DynamicStrides) {
  AttentionOp op = build("b=?,hq=?,hkv=hq/4,sq=?,sk=?,d=64,dtype=f16",
                         AttentionForm::StridedMemRefs);
  EXPECT_EQ(print(op.getQuery().getType()),
            "memref<?x?x?x64xf16, strided<[?, ?, ?, ?], offset: ?>>");
  EXPECT_EQ(op.getGroupSize(), 4);
  EXPECT_FALSE(op.getLse());
  EXPECT_EQ(getFunctionType().getNumResults(), 0u);
}

TEST_F(BuildAttention, DenseStorageOrder) {
  AttentionOp op = build("hq=2,sq=?,sk=32,d=64,dtype=f16,layout=bshd,lse",
                         AttentionForm::DenseMemRefs);
  EXPECT_EQ(print(op.getQuery().getType()),
            "memref<1x2x?x64xf16, strided<[?, 64, 128, 1]>>");
  EXPECT_EQ(print(op.getKey().getType()),
            "memref<1x2x32x64xf16, strided<[4096, 64, 128, 1]>>");
  EXPECT_EQ(print(op.getLse().getType()),
            "memref<1x2x?xf32, strided<[?, 1, 2]>>");
  op = build("hq=2,sq=?,sk=32,d=64,dtype=f16", AttentionForm::DenseMemRefs);
  EXPECT_EQ(print(op.getQuery().getType()), "memref<1x2x?x64xf16>");
}

TEST_F(BuildAttention, Modifiers) {
  AttentionOp op =
      build("sq=16,sk=32,d=64,dtype=f16,mask=causal_tl,window=128:-1,prefix=3,"
            "chunk=8,sink=2,softcap=15,scale=0.5,alibi",
            AttentionForm::Tensors);
  EXPECT_EQ(op.getCausal(), CausalKind::top_left);
  EXPECT_EQ(ArrayRef<int64_t>(*op.getWindow()), ArrayRef<int64_t>({128, -1}));
  EXPECT_EQ(op.getPrefix(), 3u);
  EXPECT_EQ(op.getChunk(), 8u);
  EXPECT_EQ(op.getSinkTokens(), 2u);
  EXPECT_EQ(op.getSoftcap()->convertToFloat(), 15.0f);
  EXPECT_EQ(op.getScaleOrDefault(), 0.5f);
  EXPECT_TRUE(op.getAlibi());
}

TEST_F(BuildAttention, LocationNamesTheSpec) {
  AttentionOp op = build("sq=16,sk=32,d=64,dtype=f16", AttentionForm::Tensors);
  auto loc = dyn_cast<FileLineColLoc>(op.getLoc());
  ASSERT_TRUE(loc);
  EXPECT_NE(loc.getFilename().getValue().find("sq=16"), StringRef::npos);
}

//===- CpuPipelineTest.cpp - The decomposition against the reference ------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The linalg decomposition, executed, must agree with the float64 reference,
// which shares no code with it.
//
//===----------------------------------------------------------------------===//

#include "CpuProblem.h"

#include "flash/Dialect/Flash/IR/Flash.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace mlir::flash;
using namespace ::flash::runtime;

namespace {
struct Problem {
  const char *spec;
  const char *sizes = "";
  StrideStyle strides = StrideStyle::Contiguous;
  AttentionForm form = AttentionForm::StridedMemRefs;
};

class CpuPipeline : public ::testing::TestWithParam<Problem> {};
} // namespace

TEST_P(CpuPipeline, AgreesWithReference) {
  const Problem &problem = GetParam();
  auto spec = AttentionSpec::parse(problem.spec);
  ASSERT_TRUE(bool(spec)) << problem.spec;
  auto sizes = spec->resolveSizes(problem.sizes);
  ASSERT_TRUE(bool(sizes));
  MLIRContext context;
  OwningOpRef<ModuleOp> module = buildAttention(&context, *spec, problem.form);
  runAndCheck(*module, *spec, *sizes, problem.strides);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, CpuPipeline,
    ::testing::Values(
        Problem{"hq=2,sq=256,sk=256,d=64,dtype=f16,lse"},
        Problem{"hq=2,sq=65,sk=65,d=64,dtype=bf16,mask=causal,lse"},
        Problem{"hq=2,sq=33,sk=65,d=40,dtype=f32,lse"},
        // Dead rows.
        Problem{"sq=5,sk=2,d=64,dtype=f16,mask=causal,lse"},
        Problem{"sq=5,sk=9,d=64,dtype=f16,mask=causal_tl,lse"},
        // Grouped heads, another value dim, sizes at run time.
        Problem{"b=?,hq=?,hkv=hq/3,sq=?,sk=?,d=64,dv=128,dtype=f16,"
                "mask=causal,lse",
                "b=2,hq=6,sq=17,sk=31"},
        Problem{"hq=4,hkv=2,sq=24,sk=40,d=64,dtype=bf16,window=5:3,lse", "",
                StrideStyle::Padded},
        Problem{"hq=2,sq=24,sk=40,d=64,dtype=f16,window=5:-1,sink=2,lse", "",
                StrideStyle::Transposed},
        Problem{"sq=24,sk=40,d=64,dtype=f16,prefix=20,lse"},
        Problem{"sq=24,sk=40,d=64,dtype=f16,chunk=7,lse", "",
                StrideStyle::Huge},
        Problem{"hq=2,sq=24,sk=40,d=64,dtype=f16,softcap=2,scale=0.5,lse", "",
                StrideStyle::Innermost},
        // ALiBi with static, dynamic, and other than 2^n heads.
        Problem{"hq=8,sq=24,sk=40,d=64,dtype=f16,alibi,lse"},
        Problem{"hq=12,sq=24,sk=40,d=64,dtype=f16,alibi,mask=causal,lse"},
        Problem{"hq=?,sq=24,sk=40,d=64,dtype=f16,alibi,lse", "hq=12"},
        Problem{"hq=?,sq=24,sk=40,d=64,dtype=f16,alibi,lse", "hq=16"},
        // Tensors.
        Problem{"hq=2,sq=24,sk=?,d=64,dtype=bf16,mask=causal,lse", "sk=40",
                StrideStyle::Unaligned, AttentionForm::Tensors},
        Problem{"hq=2,sq=24,sk=40,d=64,dtype=f16,layout=bshd,lse", "",
                StrideStyle::Contiguous, AttentionForm::DenseMemRefs}));

namespace {
/// Runs functions written in MLIR.
class CpuRun : public ::testing::Test {
protected:
  CpuRun() {
    context.loadDialect<FlashDialect, func::FuncDialect, arith::ArithDialect,
                        memref::MemRefDialect>();
  }
  OwningOpRef<ModuleOp> parse(const char *source) {
    return parseSourceString<ModuleOp>(source, &context);
  }
  MLIRContext context;
};
} // namespace

TEST_F(CpuRun, RegionsWithCaptures) {
  // Query q sees the keys of its own document; scores are shifted by a table
  // and a scalar.
  OwningOpRef<ModuleOp> module = parse(R"mlir(
    func.func @f(%q: memref<1x1x4x8xf32>, %k: memref<1x1x4x8xf32>,
                 %v: memref<1x1x4x8xf32>, %table: memref<4x4xf32>,
                 %documents: memref<4xi32>, %shift: f32,
                 %o: memref<1x1x4x8xf32>) {
      flash.attention
        ins(query = %q, key = %k, value = %v : memref<1x1x4x8xf32>,
            memref<1x1x4x8xf32>, memref<1x1x4x8xf32>)
        captures(%table, %documents, %shift
                 : memref<4x4xf32>, memref<4xi32>, f32)
        outs(output = %o : memref<1x1x4x8xf32>) {scale = 1.0 : f32}
        score {
        ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index,
             %t: memref<4x4xf32>, %d: memref<4xi32>, %c: f32):
          %bias = memref.load %t[%i, %j] : memref<4x4xf32>
          %0 = arith.addf %s, %bias : f32
          %1 = arith.addf %0, %c : f32
          flash.yield %1 : f32
        }
        mask {
        ^bb0(%b: index, %h: index, %i: index, %j: index,
             %t: memref<4x4xf32>, %d: memref<4xi32>, %c: f32):
          %0 = memref.load %d[%i] : memref<4xi32>
          %1 = memref.load %d[%j] : memref<4xi32>
          %2 = arith.cmpi eq, %0, %1 : i32
          flash.yield %2 : i1
        }
      return
    })mlir");
  ASSERT_TRUE(module);

  // With Q = 0 the scores are the table; V holds the key's number.
  float q[32] = {}, k[32] = {}, v[32], o[32], shift = 3.0f;
  for (int i = 0; i < 32; ++i)
    v[i] = float(i / 8);
  float table[16] = {};
  table[0 * 4 + 1] = std::log(3.0f);
  int32_t documents[4] = {0, 0, 1, 1};
  SmallVector<int64_t, 4> shape{1, 1, 4, 8}, strides{32, 32, 8, 1};
  SmallVector<CpuArgument> arguments{
      {q, DType::F32, shape, strides},   {k, DType::F32, shape, strides},
      {v, DType::F32, shape, strides},   {table, DType::F32, {4, 4}, {4, 1}},
      {documents, DType::I32, {4}, {1}}, {&shift, DType::F32, {}, {}},
      {o, DType::F32, shape, strides}};
  llvm::Error error = runOnCpu(*module, "f", arguments);
  ASSERT_FALSE(bool(error)) << message(std::move(error));
  EXPECT_FLOAT_EQ(o[0], 0.75f); // (0 + 3 * 1) / 4
  EXPECT_FLOAT_EQ(o[8], 0.5f);
  EXPECT_FLOAT_EQ(o[16], 2.5f);
}

TEST_F(CpuRun, RefusesWhatDoesNotFit) {
  auto spec = AttentionSpec::parse("sq=4,sk=8,d=16,dtype=f16");
  OwningOpRef<ModuleOp> module =
      buildAttention(&context, *spec, AttentionForm::Tensors);
  StridedArray q = StridedArray::contiguous(DType::F16, {1, 1, 4, 16});
  StridedArray k = StridedArray::contiguous(DType::F16, {1, 1, 8, 16});
  StridedArray other = StridedArray::contiguous(DType::BF16, {1, 1, 8, 16});
  EXPECT_EQ(message(runOnCpu(*module, "g", {})),
            "function: expected one with a body named @g, got none");
  EXPECT_EQ(message(runOnCpu(*module, kAttentionFunction, {})),
            "arguments of @attention: expected 4, got 0");
  EXPECT_EQ(message(runOnCpu(*module, kAttentionFunction,
                             {toArgument(q), toArgument(k), toArgument(other),
                              toArgument(q)})),
            "argument 2 element type: expected f16, got bf16");
  EXPECT_EQ(message(runOnCpu(
                *module, kAttentionFunction,
                {toArgument(q), toArgument(q), toArgument(k), toArgument(q)})),
            "argument 1 size of dimension 2: expected 8, got 4");
}

TEST_F(CpuRun, RepeatsTheFirstDiagnostic) {
  OwningOpRef<ModuleOp> module = parse(R"mlir(
    func.func @f(%q: memref<1x1x4x8xf32>, %k: memref<1x1x4x8xf32>,
                 %sinks: memref<1xf32>, %o: memref<1x1x4x8xf32>) {
      flash.attention
        ins(query = %q, key = %k, value = %k : memref<1x1x4x8xf32>,
            memref<1x1x4x8xf32>, memref<1x1x4x8xf32>)
        sinks(%sinks : memref<1xf32>)
        outs(output = %o : memref<1x1x4x8xf32>)
      return
    })mlir");
  ASSERT_TRUE(module);
  StridedArray q = StridedArray::contiguous(DType::F32, {1, 1, 4, 8});
  StridedArray sinks = StridedArray::contiguous(DType::F32, {1});
  std::string text = message(runOnCpu(
      *module, "f",
      {toArgument(q), toArgument(q), toArgument(sinks), toArgument(q)}));
  EXPECT_NE(text.find("sinks: not yet lowered"), std::string::npos) << text;
  EXPECT_NE(text.find(":4:7"), std::string::npos) << text;
}

//===- ParserTests.cpp - PTX text, accepted and refused ---------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Harness.h"

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

/// Parsing must fail at the line that holds `where` with `message` inside.
void refused(const std::string &ptx, const std::string &where,
             const std::string &message) {
  Diagnostic error;
  EXPECT_FALSE(Module::parse(ptx, error)) << where;
  EXPECT_NE(error.message.find(message), std::string::npos) << error.str();
  EXPECT_NE(error.text.find(where), std::string::npos) << error.str();
  EXPECT_GT(error.line, 0u);
}

TEST(Parser, KernelInfo) {
  auto module = parse(R"(
.version 8.0
.target sm_80, debug
.address_size 64
.extern .shared .align 16 .b8 dyn[];
.shared .align 8 .b8 fixed[24];
.visible .entry k(
  .param .u64 .ptr .global .align 16 a,
  .param .align 8 .b8 b[20],
  .param .f32 c
)
.maxntid 128, 1, 1
.minnctapersm 2
{
  .reg .b32 %r<4>;
  mov.u32 %r1, fixed;
  mov.u32 %r2, dyn;
  st.shared.b32 [fixed+4], %r1;
  ret;
}
)");
  ASSERT_TRUE(module);
  EXPECT_EQ(module->target(), "sm_80");
  const KernelInfo *kernel = module->kernel("k");
  ASSERT_TRUE(kernel);
  ASSERT_EQ(kernel->params.size(), 3u);
  EXPECT_EQ(kernel->params[1].offset, 8u);
  EXPECT_EQ(kernel->params[1].size, 20u);
  EXPECT_EQ(kernel->params[2].offset, 28u);
  EXPECT_EQ(kernel->paramBytes, 32u);
  EXPECT_EQ(kernel->staticSharedBytes, 24u);
  EXPECT_EQ(kernel->dynamicSharedAlign, 16u);
  EXPECT_EQ(kernel->maxntid[0], 128u);
  EXPECT_EQ(kernel->minnctapersm, 2u);
  EXPECT_EQ(module->kernel("nosuch"), nullptr);
}

TEST(Parser, BlocksScopeNames) {
  // The same register and label names in two blocks, as LLVM makes of inline
  // PTX, do not meet.
  auto module = parse(kernelText(R"(
mov.u32 %r1, 0;
{
.reg .pred P;
.reg .b32 t;
mov.b32 t, 5;
setp.eq.u32 P, %r1, 0;
@P bra DONE;
mov.b32 t, 100;
DONE:
add.s32 %r1, %r1, t;
}
{
.reg .pred P;
.reg .b32 t;
mov.b32 t, 7;
setp.ne.u32 P, %r1, 0;
@!P bra DONE;
add.s32 t, t, 1;
DONE:
add.s32 %r1, %r1, t;
}
ld.param.u64 %rd1, [out];
st.global.b32 [%rd1], %r1;
ret;)"));
  ASSERT_TRUE(module);
  KernelRun run(*module, "k");
  run.out<uint32_t>(1);
  Report report = run.go(1, 1);
  EXPECT_TRUE(report.ok) << issues(report);
  EXPECT_EQ(run.result<uint32_t>()[0], 13u);
}

TEST(Parser, RefusalsNameLineAndText) {
  refused(kernelText("frobnicate.b32 %r1, %r2;"), "frobnicate.b32",
          "unknown instruction 'frobnicate.b32'");
  refused(kernelText("add.s32.fast %r1, %r2, %r3;"), "add.s32.fast",
          "unknown modifier '.fast'");
  refused(kernelText("add.s32 %r1, %r2;"), "add.s32 %r1, %r2", "operands");
  refused(kernelText("add.s64 %r1, %rd2, %rd3;"), "add.s64", "64 bits");
  refused(kernelText("add.s32 %r1, %nosuch, 1;"), "%nosuch",
          "expected a register");
  refused(kernelText("bra NOWHERE;"), "bra NOWHERE", "unknown name 'NOWHERE'");
  refused(kernelText("@%r1 bra L;\nL:"), "@%r1", ".pred");
  refused(kernelText("wgmma.mma_async.sp.sync.aligned.m64n8k32.f32.f16.f16 "
                     "{%f0, %f1, %f2, %f3}, %rd0, %rd1, %r0, 0, 1, 1, 1, 0, "
                     "0;"),
          "wgmma.mma_async.sp", "sparse operands");
  refused(kernelText("call nosuch;"), "call nosuch", "unknown function");
  refused(kernelText("ret ret;"), "ret ret", "unknown name 'ret'");
  refused(kernelText("ret"), "}", "expected an operand");
  refused(kernelText("mov.u32 %r1, %nosuchspecial;"), "%nosuchspecial",
          "unknown special register");
  refused(kernelText(".reg .b32 %r1;"), ".reg .b32 %r1", "declared twice");
  refused(kernelText("L:\nL:\nret;"), "L:", "defined twice");
  refused(kernelText("mma.sync.aligned.m16n8k16.row.col.f32.f16.bf16.f32 "
                     "{%f1,%f2,%f3,%f4}, {%r1,%r2,%r3,%r4}, {%r5,%r6}, "
                     "{%f1,%f2,%f3,%f4};"),
          "mma.sync", "do not go together");
  refused(kernelText("ld.global.v4.b64 {%rd1,%rd2}, [%rd3];"), "ld.global",
          "expected 4 elements, got 2");
  refused("garbage", "garbage", "unknown directive");
  refused(".version 8.0\n.target sm_80\n.visible .entry k(.param .u64 a)\n{\n",
          "", "expected '}'");
}

TEST(Parser, OneKernelOfMany) {
  std::string text = kernelText("ret;") + R"(
.visible .entry other()
{
frobnicate.b32 %r1;
}
)";
  Diagnostic error;
  EXPECT_FALSE(Module::parse(text, error));
  EXPECT_EQ(error.text, "frobnicate.b32 %r1;");
  EXPECT_FALSE(Module::parse(text, error, "other"));
  auto module = Module::parse(text, error, "k");
  ASSERT_TRUE(module) << error.str();
  EXPECT_TRUE(module->kernel("k"));
  EXPECT_FALSE(module->kernel("other"));
  EXPECT_EQ(module->kernelNames(), (std::vector<std::string>{"k", "other"}));
}

TEST(Parser, CallsAreInlined) {
  std::string before = R"(
.func (.param .b32 res) square(.param .b32 x)
{
.reg .b32 %a<3>;
.reg .pred %q;
ld.param.b32 %a1, [x];
setp.gt.s32 %q, %a1, 10;
@%q bra BIG;
mul.lo.s32 %a2, %a1, %a1;
st.param.b32 [res], %a2;
ret;
BIG:
st.param.b32 [res], 1000;
ret;
}
)";
  std::string body = R"(
mov.u32 %r1, %tid.x;
{
.param .b32 p0;
.param .b32 r0;
st.param.b32 [p0], %r1;
call.uni (r0), square, (p0);
ld.param.b32 %r2, [r0];
}
ld.param.u64 %rd1, [out];
mul.wide.u32 %rd2, %r1, 4;
add.s64 %rd1, %rd1, %rd2;
st.global.b32 [%rd1], %r2;
ret;)";
  auto module = parse(kernelText(body, ".param .u64 out", before));
  ASSERT_TRUE(module);
  KernelRun run(*module, "k");
  run.out<uint32_t>(32);
  Report report = run.go(1, 32);
  ASSERT_TRUE(report.ok) << issues(report);
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(run.result<uint32_t>()[i], i > 10 ? 1000 : i * i);
  refused(kernelText("call again;\nret;", "",
                     ".func again()\n{\ncall again;\nret;\n}\n"),
          "call again", "recursion");
}

TEST(Parser, ModuleVariables) {
  auto module =
      parse(kernelText(R"(
ld.const.b32 %r1, [table+4];
ld.global.b32 %r2, [counter];
add.s32 %r1, %r1, %r2;
mov.u64 %rd2, text;
ld.global.u8 %r3, [%rd2+1];
add.s32 %r1, %r1, %r3;
ld.param.u64 %rd1, [out];
st.global.b32 [%rd1], %r1;
ret;)",
                       ".param .u64 out",
                       ".const .align 4 .u32 table[3] = {1, 20, 3};\n"
                       ".global .align 4 .u32 counter = 300;\n"
                       ".global .align 1 .b8 text[3] = {65, 5, 0};\n"));
  ASSERT_TRUE(module);
  KernelRun run(*module, "k");
  run.out<uint32_t>(1);
  Report report = run.go(1, 1);
  ASSERT_TRUE(report.ok) << issues(report);
  EXPECT_EQ(run.result<uint32_t>()[0], 325u);
}

TEST(Parser, IndexedBranch) {
  auto module = parse(kernelText(R"(
mov.u32 %r1, %tid.x;
and.b32 %r2, %r1, 3;
TABLE: .branchtargets A, B, C, A;
brx.idx %r2, TABLE;
A:
mov.u32 %r3, 10;
bra END;
B:
mov.u32 %r3, 20;
bra END;
C:
mov.u32 %r3, 30;
END:
ld.param.u64 %rd1, [out];
mul.wide.u32 %rd2, %r1, 4;
add.s64 %rd1, %rd1, %rd2;
st.global.b32 [%rd1], %r3;
bar.sync 0;
ret;)"));
  ASSERT_TRUE(module);
  KernelRun run(*module, "k");
  run.out<uint32_t>(32);
  Report report = run.go(1, 32);
  ASSERT_TRUE(report.ok) << issues(report);
  static constexpr uint32_t expected[] = {10, 20, 30, 10};
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(run.result<uint32_t>()[i], expected[i & 3]);
}

} // namespace

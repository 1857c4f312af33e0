//===- PtxLoopsTests.cpp - Loops and classes of PTX -----------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/CostModel/PtxLoops.h"

#include <gtest/gtest.h>

using namespace flash;

namespace {

// A loop whose latch LLVM has placed before its header, with a block that a
// trip may leave out and an inner loop, and a second loop without products.
constexpr const char *kText = R"(
.version 8.0
.target sm_80
.visible .entry other()
{
	ret;
}
.visible .entry k(
	.param .u64 p
)
.maxntid 128
{
	.reg .b32 	%r<9>;
// %bb.0:
	mov.b32 	%r1, 0;
	bra.uni 	$header;
$latch:
	add.s32 	%r1, %r1, 1;
$header:
	setp.ge.s32 	%p1, %r1, 8;
	@%p1 bra 	$after;
	// begin inline asm
	mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
		{%f1, %f2, %f3, %f4},
		{%r1, %r2, %r3, %r4},
		{%r5, %r6},
		{%f1, %f2, %f3, %f4};
	// end inline asm
	@%p2 bra 	$latch;
	bar.sync 	0;
$inner:
	ld.shared.v4.b32 	{%r1, %r2, %r3, %r4}, [%r5];
	@%p3 bra 	$inner;
	bra.uni 	$latch;
$after:
	st.global.b32 	[%rd1], %r1;
	@%p4 bra 	$after;
	ret;
}
)";

uint64_t of(const PtxClassCounts &counts, PtxClass kind) {
  return counts[unsigned(kind)];
}

TEST(PtxLoops, FindsNaturalLoops) {
  PtxKernel kernel = PtxKernel::parse(kText, "k");
  ASSERT_EQ(kernel.loops.size(), 3u);
  std::vector<const PtxLoop *> kv = kernel.kvLoops();
  ASSERT_EQ(kv.size(), 1u);
  EXPECT_EQ(kv[0]->latches.size(), 1u);
  PtxClassCounts all = kernel.count(kv[0]->blocks),
                 always = kernel.count(kv[0]->always);
  EXPECT_EQ(of(all, PtxClass::Mma), 1u);
  EXPECT_EQ(of(all, PtxClass::Barrier), 1u);
  EXPECT_EQ(of(all, PtxClass::SharedLoad), 1u);
  EXPECT_EQ(of(all, PtxClass::GlobalStore), 0u);
  EXPECT_EQ(of(all, PtxClass::Other), 0u) << "operands are no instructions";
  EXPECT_EQ(of(always, PtxClass::Mma), 1u);
  EXPECT_EQ(of(always, PtxClass::Barrier), 0u);
  EXPECT_EQ(of(always, PtxClass::Integer), 1u);
  unsigned inner = 0;
  for (const PtxLoop &loop : kernel.loops)
    inner += loop.depth == 1;
  EXPECT_EQ(inner, 1u);
}

/// A loop over bands: two loops with products, and arithmetic on indices.
constexpr char kBands[] = R"(
.visible .entry k()
{
	mov.b32 	%r1, 0;
$L0:
	add.s32 	%r2, %r1, 1;
$L1:
	mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%r3}, {%r4}, {%r5}, {%r3};
	@%p1 bra 	$L1;
$L2:
	mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%r3}, {%r4}, {%r5}, {%r3};
	@%p2 bra 	$L2;
	OP
	@%p3 bra 	$L0;
	ret;
}
)";

TEST(PtxLoops, LooksIntoALoopOverBands) {
  auto countLoops = [](std::string_view op) {
    std::string text = kBands;
    text.replace(text.find("OP"), 2, op);
    return PtxKernel::parse(text, "k").kvLoops().size();
  };
  EXPECT_EQ(countLoops("setp.lt.s32 %p3, %r2, 3;"), 2u);
  EXPECT_EQ(countLoops("max.f32 %f1, %f2, %f3;"), 1u)
      << "a loop that computes on tiles is a KV loop itself";
  EXPECT_EQ(countLoops("bar.sync 0;"), 1u);
}

TEST(PtxLoops, BlocksComeInExecutionOrder) {
  PtxKernel kernel = PtxKernel::parse(kText, "k");
  const PtxLoop &loop = *kernel.kvLoops().front();
  EXPECT_EQ(loop.blocks.front(), loop.header);
  EXPECT_EQ(loop.blocks.back(), loop.latches.front());
}

TEST(PtxLoops, ReadsTheKernelAskedFor) {
  EXPECT_TRUE(PtxKernel::parse(kText, "absent").blocks.empty());
  EXPECT_TRUE(PtxKernel::parse(kText, "other").loops.empty());
}

TEST(PtxLoops, Classes) {
  const std::pair<const char *, PtxClass> cases[] = {
      {"mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32", PtxClass::Mma},
      {"fma.rn.f32", PtxClass::Fma},
      {"mul.rn.f32", PtxClass::Float},
      {"max.f32", PtxClass::Float},
      {"ex2.approx.ftz.f32", PtxClass::Exponential},
      {"div.full.f32", PtxClass::Exponential},
      {"mad.lo.s32", PtxClass::Integer},
      {"and.b32", PtxClass::Integer},
      {"and.pred", PtxClass::Predicate},
      {"selp.b32", PtxClass::Predicate},
      {"cvt.rn.bf16x2.f32", PtxClass::Convert},
      {"mov.b32", PtxClass::Convert},
      {"ld.shared.v4.b32", PtxClass::SharedLoad},
      {"st.shared.b16", PtxClass::SharedStore},
      {"ldmatrix.sync.aligned.m8n8.x4.shared.b16", PtxClass::Ldmatrix},
      {"cp.async.cg.shared.global", PtxClass::AsyncCopy},
      {"ld.global.v4.b32", PtxClass::GlobalLoad},
      {"st.global.b16", PtxClass::GlobalStore},
      {"ld.param.b64", PtxClass::Other},
      {"shfl.sync.bfly.b32", PtxClass::Shuffle},
      {"bar.sync", PtxClass::Barrier},
      {"bra.uni", PtxClass::Control},
  };
  for (auto [opcode, kind] : cases)
    EXPECT_EQ(classify(opcode), kind)
        << opcode << ": " << name(classify(opcode));
}

} // namespace

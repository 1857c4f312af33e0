//===- Tcgen05Text.h - PTX of tests of tensor memory ------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Pieces of kernels for sm_100a. ptxas takes what they make up.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_TEST_UNIT_EMULATOR_TCGEN05TEXT_H
#define FLASH_TEST_UNIT_EMULATOR_TCGEN05TEXT_H

#include "Harness.h"

namespace flash::emu::test {

inline constexpr AsyncMode kModes[] = {AsyncMode::Eager, AsyncMode::Lazy,
                                       AsyncMode::Random};

/// A kernel `k` over `body` in a CTA with `shared` bytes of shared memory at
/// `buf`, mbarriers at `bars`, a place for an address at `slot`; %r0 is the
/// thread, %r1 its warp.
inline std::string tensorKernel(const std::string &body,
                                const std::string &params,
                                unsigned shared = 32768,
                                const std::string &directives = "") {
  return ".version 8.7\n.target sm_100a\n.address_size 64\n"
         ".visible .entry k(" +
         params + ")" + directives +
         "\n{\n.reg .pred %p<10>;\n.reg .b16 %h<10>;\n.reg .b32 %r<200>;\n"
         ".reg .b64 %rd<40>;\n"
         ".shared .align 1024 .b8 buf[" +
         std::to_string(shared) +
         "];\n.shared .align 8 .b64 bars[8];\n.shared .align 4 .b32 slot;\n"
         "mov.u32 %r0, %tid.x;\nshr.u32 %r1, %r0, 5;\n" +
         body + "ret;\n}\n";
}

/// %r2 becomes the address of `columns` new columns.
inline std::string allocate(unsigned columns, unsigned group = 1) {
  std::string g = std::to_string(group);
  return "setp.ne.u32 %p0, %r1, 0;\n@%p0 bra allocated;\nmov.u32 %r3, slot;\n"
         "tcgen05.alloc.cta_group::" +
         g + ".sync.aligned.shared::cta.b32 [%r3], " + std::to_string(columns) +
         ";\ntcgen05.relinquish_alloc_permit.cta_group::" + g +
         ".sync.aligned;\nallocated:\nbar.sync 0;\nld.shared.b32 %r2, "
         "[slot];\n";
}

inline std::string release(unsigned columns, unsigned group = 1) {
  return "tcgen05.fence::before_thread_sync;\nbar.sync 0;\n@%p0 bra released;\n"
         "tcgen05.dealloc.cta_group::" +
         std::to_string(group) + ".sync.aligned.b32 %r2, " +
         std::to_string(columns) + ";\nreleased:\n";
}

/// "{%r<first>, ...}", `count` of them.
inline std::string list(unsigned first, unsigned count) {
  std::string text = "{";
  for (unsigned i = 0; i < count; ++i)
    text += (i ? ", %r" : "%r") + std::to_string(first + i);
  return text + "}";
}

/// out[thread * count + i] = registers %r<first> + i.
inline std::string writeRegisters(unsigned first, unsigned count) {
  std::string text = "ld.param.u64 %rd1, [out];\nmul.lo.u32 %r5, %r0, " +
                     std::to_string(count * 4) +
                     ";\ncvt.u64.u32 %rd2, %r5;\nadd.s64 %rd1, %rd1, %rd2;\n";
  for (unsigned i = 0; i < count; ++i)
    text += "st.global.b32 [%rd1+" + std::to_string(4 * i) + "], %r" +
            std::to_string(first + i) + ";\n";
  return text;
}

inline const char *const kAddress =
    "shl.b32 %r4, %r1, 21;\nadd.u32 %r4, %r4, %r2;\n";
inline const char *const kWaitStore = "tcgen05.wait::st.sync.aligned;\n";
inline const char *const kWaitLoad = "tcgen05.wait::ld.sync.aligned;\n";

inline const char *const kInitBarrier =
    "setp.ne.u32 %p1, %r0, 0;\nmov.u32 %r7, bars;\n"
    "@!%p1 mbarrier.init.shared::cta.b64 [%r7], 1;\n";
/// Waits for phase 0 of the mbarrier at %r7.
inline std::string waitFor(const char *name = "wait") {
  std::string label(name);
  return label +
         ":\nmbarrier.try_wait.parity.shared::cta.b64 %p3, [%r7], 0;\n"
         "@!%p3 bra " +
         label + ";\ntcgen05.fence::after_thread_sync;\n";
}

} // namespace flash::emu::test

#endif // FLASH_TEST_UNIT_EMULATOR_TCGEN05TEXT_H

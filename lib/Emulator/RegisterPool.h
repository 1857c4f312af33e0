//===- RegisterPool.h - Registers that warps give and take ------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// setmaxnreg (PTX ISA 9.7.19.5) moves registers between the warps of a CTA: a
// warp that lowers its count leaves the rest in the CTA's pool, one that raises
// it takes them from there and waits until they are in. What all warps own
// together never grows beyond what the launch gave them. The register file
// holds 65,536; ptxas divides it by the threads that .maxntid (or .reqntid) and
// .minnctapersm ask for, unless .maxnreg says how many a thread has. Without
// any of them setmaxnreg has no effect, which is what the PTX ISA allows.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_REGISTERPOOL_H
#define FLASH_LIB_EMULATOR_REGISTERPOOL_H

#include "flash/Emulator/Emulator.h"

#include <string>
#include <vector>

namespace flash::emu {

struct Cta;
struct Inst;
struct Warp;

class RegisterPool {
public:
  /// The registers of a thread of `kernel` at its launch, 0 if unknown.
  static uint32_t atLaunch(const KernelInfo &kernel);

  /// A CTA of `warps` warps starts.
  void reset(uint32_t warps, uint32_t perThread);
  /// `warp` wants `count` registers per thread. False if it must wait for
  /// them. Misuse is reported against `inst`.
  bool change(Warp &warp, const Inst &inst, uint32_t count, bool increases);
  /// The CTA has ended: reports warpgroups whose warps did not execute the
  /// same instructions.
  void finish(Cta &cta);
  /// Who owns what, for reports of deadlocks; "" where nobody changed it.
  std::string describe() const;

private:
  struct Owner {
    uint32_t count = 0;   ///< Registers per thread.
    uint32_t changes = 0; ///< Instructions executed.
    uint64_t history = 0; ///< Hash of their places.
    const Inst *last = nullptr;
  };
  std::vector<Owner> owners; ///< By warp.
  uint32_t available = 0;    ///< Registers per thread, summed over warps.
  bool known = false;
};

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_REGISTERPOOL_H

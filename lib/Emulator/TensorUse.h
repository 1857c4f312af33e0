//===- TensorUse.h - Checked uses of tensor memory --------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the instructions that touch tensor memory share: finding it, checking a
// rectangle of it, and writing what was found as issues.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_TENSORUSE_H
#define FLASH_LIB_EMULATOR_TENSORUSE_H

#include "Decoder.h"
#include "Machine.h"
#include "TensorMemory.h"

namespace flash::emu {

/// The tensor memory of `cta`, made when first asked for.
TensorMemory &tensorMemory(Cta &cta);

/// Whether the chip has tensor memory and all instructions of the CTA agree on
/// `group` (PTX ISA: one .cta_group per kernel). False after a fatal report.
bool checkTensorGroup(Warp &warp, const Inst &inst, uint32_t lanes,
                      unsigned group);

/// Whether `range` lies inside the tensor memory of `cta` and inside what is
/// allocated there. False after a fatal report; `what` names the operand.
bool checkTensorRange(Warp &warp, const Inst &inst, uint32_t lanes, Cta &cta,
                      const TensorRange &range, const char *what);

/// "lane 3, column 5 of tensor memory".
std::string describeTensorCell(uint32_t address);

/// Reports cells of `range` that nobody has written.
void checkTensorWritten(Warp &warp, const Inst &inst, uint32_t lanes, Cta &cta,
                        const TensorRange &range, const char *what);

/// Records that `warp`, or the tensor core for lane `lane` of it where
/// `operation` is one of the checker, reads (writes) `range`; reports what
/// nothing orders. Warps are to wait for theirs (tcgen05.wait).
void noteTensorAccess(Warp &warp, const Inst &inst, uint32_t lanes, Cta &cta,
                      const TensorRange &range, bool isWrite,
                      uint32_t operation = 0, bool needsFences = true);
/// The warp executes wait::ld or wait::st.
void settleTensorAccesses(Warp &warp, bool isWrite);
/// tcgen05.fence::before_thread_sync or ::after_thread_sync by `lanes`.
void fenceTensorAccesses(Warp &warp, uint32_t lanes, bool isBefore);
/// The warp gives `range` back: whatever accessed it must be over.
void noteTensorRelease(Warp &warp, const Inst &inst, uint32_t lanes,
                       const TensorRange &range);

/// Before an instruction with kTensorLoad: keeps track of registers that a
/// tcgen05.ld is still to write, and reports who touches one.
void trackTensorLoads(Warp &warp, const Inst &inst, uint32_t mask);

/// All threads of `cta`, `warp` last, have ended: reports what it has not given
/// back (PTX ISA, "tcgen05.alloc": all of it must be deallocated).
void checkTensorLeak(Cta &cta, const Warp &warp);

/// The value that all `lanes` hold in a 32-bit operand; false after a report
/// that they differ.
bool uniformOperand(Warp &warp, const Inst &inst, uint32_t lanes,
                    const uint32_t *row, const char *what, uint32_t &value);

/// Reads .cta_group::1 or ::2 into `group`; an error if there is neither.
bool takeCtaGroup(Decoder &d, unsigned &group);

//===--- Decode functions by the second word of the opcode ----------------===//

bool decodeTensorAlloc(Decoder &d);
bool decodeTensorDealloc(Decoder &d);
bool decodeTensorRelinquish(Decoder &d);
bool decodeTensorLoad(Decoder &d);
bool decodeTensorStore(Decoder &d);
bool decodeTensorWaitLoad(Decoder &d);
bool decodeTensorWaitStore(Decoder &d);
bool decodeTensorFenceBefore(Decoder &d);
bool decodeTensorFenceAfter(Decoder &d);
bool decodeTensorCopy(Decoder &d);
bool decodeTensorShift(Decoder &d);

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_TENSORUSE_H

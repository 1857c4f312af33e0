//===- MemoryAccess.h - Checked accesses of a warp --------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every instruction that touches memory goes through here: addresses of the
// active lanes become host pointers after bounds and alignment are checked;
// then races and initialisation are checked, and counters advanced.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_MEMORYACCESS_H
#define FLASH_LIB_EMULATOR_MEMORYACCESS_H

#include "Decoder.h"
#include "Machine.h"

#include <cstring>
#include <type_traits>

namespace flash::emu {

/// An access of `bytes` bytes by each active lane.
struct Access {
  // In.
  uint32_t mask = 0;
  uint32_t bytes = 0;
  bool isWrite = false;
  bool strong = false; ///< Atomic, volatile or with a memory order.
  /// Of a load: rows that take `elements` equal parts of the data. Unwritten
  /// shared bytes then mark those instead of being reported; see Unwritten.h.
  const uint32_t *targets = nullptr;
  unsigned elements = 0;
  uint64_t address[32];
  // Out.
  std::byte *at[32];
  uint8_t *unread[32]; ///< Flags of global bytes, null where none are kept.
  Buffer *buffer[32];  ///< Of global addresses.
  uint32_t sharedMask = 0, globalMask = 0;
  uint32_t remoteMask = 0; ///< Shared memory of other CTAs.
};

/// Calls `f` with the number of bytes that one lane accesses, as a constant
/// where that saves a library call.
template <typename F> inline auto withSize(uint32_t bytes, F f) {
  switch (bytes) {
  case 4:
    return f(std::integral_constant<size_t, 4>());
  case 8:
    return f(std::integral_constant<size_t, 8>());
  case 16:
    return f(std::integral_constant<size_t, 16>());
  default:
    return f(size_t(bytes));
  }
}
/// memcpy.
inline void copyBytes(void *to, const void *from, uint32_t bytes) {
  withSize(bytes, [&](auto size) { std::memcpy(to, from, size); });
}
/// memcmp() == 0.
inline bool sameBytes(const void *a, const void *b, uint32_t bytes) {
  return withSize(bytes,
                  [&](auto size) { return std::memcmp(a, b, size) == 0; });
}

/// Turns addresses into pointers, and shared ones into offsets in
/// Cluster::shared. `space` Generic looks at each address. False after a fatal
/// report.
bool resolve(Warp &warp, const Inst &inst, StateSpace space, Access &access);

/// Races, poison and initialisation of a resolved load; also the clocks that a
/// strong access passes on.
void checkLoad(Warp &warp, const Inst &inst, const Access &access);
/// The same for one lane of a store of `data`, before it is written.
void checkStore(Warp &warp, const Inst &inst, const Access &access,
                unsigned lane, const std::byte *data);
/// The same for the lowest lane of `rest`, and for others where the checker
/// takes several at once. Lane i stores what lies at `data` + i * `stride`.
/// Returns the lanes that were checked.
uint32_t checkStores(Warp &warp, const Inst &inst, const Access &access,
                     uint32_t rest, const std::byte *data, size_t stride);
/// Global accesses of CTAs that nothing orders: two may read the same bytes,
/// and no more than that. `access` may have any number of bytes; its buffer
/// must keep marks.
void checkCtas(Warp &warp, const Inst &inst, const Access &access,
               unsigned lane);
/// What a strong access releases to (acquires from) its address.
void strongRelease(Warp &warp, const Access &access, unsigned lane);
void strongAcquire(Warp &warp, const Access &access, unsigned lane);
/// Writes a checker's finding as an issue.
void reportFinding(Warp &warp, const Inst &inst, unsigned lane,
                   const Finding &finding, bool isWrite, bool isGlobal = false);

/// Counts a resolved access, if counters are kept: bytes of every space,
/// wavefronts, sectors.
void countAccess(Warp &warp, const Inst &inst, const Access &access);
/// Shared-memory wavefronts of `bytes` per lane at `offset[lane]`.
void countShared(Warp &warp, const Inst &inst, uint32_t mask,
                 const uint32_t *offset, unsigned bytes, bool isWrite);
void countGlobal(Warp &warp, const Inst &inst, uint32_t mask,
                 const uint64_t *address, unsigned bytes, bool isWrite);

/// Addresses of an address operand: ops[`op`] + inst.imm, or inst.imm alone.
/// Decoded by decodeAddress below.
void laneAddresses(const Warp &warp, const Inst &inst, unsigned op,
                   uint64_t *address);

/// Sets ops[`op`] and inst.imm from address operand `i`. Afterwards
/// laneAddresses finds them.
AddressOperand decodeAddress(Decoder &d, size_t i, unsigned op);

/// inst.sub bits that the memory instructions share.
enum : uint8_t {
  kSpaceMask = 7,     ///< StateSpace.
  kNarrowAddress = 8, ///< The base is a 32-bit register.
  kStrong = 16,
  kSignedElement = 32,
};

/// Reads the state space of ld, st, atom, red ...; also consumes memory order,
/// scope and cache modifiers. `strong` tells whether there was an order.
StateSpace takeMemoryModifiers(Decoder &d, bool &strong);

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_MEMORYACCESS_H

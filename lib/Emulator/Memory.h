//===- Memory.h - Address spaces of the emulator ----------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Where the spaces lie in the 64-bit generic address space:
//
//   window            generic base        address inside the space
//   shared            kSharedWindow       byte offset in the CTA's block, with
//                                         its rank in the cluster in bits 24..
//   local             kLocalWindow        byte offset in the thread's block
//   param             kParamWindow        byte offset in the parameter buffer
//   const             kConstWindow        byte offset in the constant image
//   module variables  kGlobalVariables    the address itself
//   device buffers    kFirstBuffer        the address itself
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_MEMORY_H
#define FLASH_LIB_EMULATOR_MEMORY_H

#include "Program.h"
#include "flash/Emulator/Emulator.h"

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace flash::emu {

constexpr uint64_t kWindowBytes = uint64_t(1) << 32;
constexpr uint64_t kSharedWindow = 0x7f0100000000;
constexpr uint32_t kRankShift = 24;
constexpr uint64_t kLocalWindow = 0x7f0200000000;
constexpr uint64_t kParamWindow = 0x7f0300000000;
constexpr uint64_t kConstWindow = 0x7f0400000000;
constexpr uint64_t kGlobalVariables = 0x600000000000;
constexpr uint64_t kFirstBuffer = 0x700000000000;
/// Unmapped bytes kept free after every buffer.
constexpr uint64_t kGuardBytes = uint64_t(1) << 20;

/// One allocation of global memory.
struct Buffer {
  std::string name;
  uint64_t address = 0;
  uint64_t size = 0;
  AlignedBytes data;
  /// One byte per byte: not 0 where a read before a write is an error. Null
  /// where everything counts as initialised.
  std::unique_ptr<uint8_t[]> unread;
  /// During a launch whose CTAs cannot order each other: per 4 bytes the last
  /// CTA (its number plus one, over a mask of the bytes) that wrote (read)
  /// them. Null otherwise.
  std::unique_ptr<std::atomic<uint32_t>[]> writers, readers;
};

/// The buffers of one device, found by address.
class BufferMap {
public:
  /// The buffer that contains `address`, or the nearest one below it, or null
  /// if there is none below.
  Buffer *below(uint64_t address);
  /// The buffer that contains [address, address + size), or null.
  Buffer *containing(uint64_t address, uint64_t size);
  Buffer *named(std::string_view name);
  /// Starts (ends) keeping Buffer::writers and readers.
  void watchCtas(bool on);
  /// Adds a buffer at `address`, above every other one.
  Buffer &add(std::string_view name, uint64_t address, uint64_t size,
              Contents contents);
  /// Removes the buffer that starts at `address`; false if none does.
  bool remove(uint64_t address);

private:
  std::deque<Buffer> buffers; ///< By rising address.
};

class Device::Impl {
public:
  BufferMap buffers;
  uint64_t nextAddress = kFirstBuffer;
};

/// "byte 12 of buffer 'x' (1024 bytes)", "16 bytes past the end of ...": where
/// a global address lies, for reports.
std::string describeGlobal(BufferMap &buffers, BufferMap &variables,
                           uint64_t address);

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_MEMORY_H

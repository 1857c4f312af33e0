//===- Arguments.h - Buffers and arguments of flash-emulate -----*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What --buffer and --arg say:
//
//   in:FILE.npy  inout:FILE.npy  out:DTYPE[d0,d1,...]:FILE.npy   a buffer
//   i32:N  i64:N  f32:X  f64:X                                   a number
//   @NAME+OFFSET                                                 a pointer
//   bytes:FILE[,OFFSET=@NAME+OFFSET]...     a by-value struct, pointers patched
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_TOOLS_FLASH_EMULATE_ARGUMENTS_H
#define FLASH_TOOLS_FLASH_EMULATE_ARGUMENTS_H

#include "flash/Emulator/Emulator.h"
#include "flash/Runtime/Npy.h"

#include <string>
#include <string_view>
#include <vector>

namespace flash::tool {

/// Device buffers made from files, and where they go when the kernel is done.
class Buffers {
public:
  explicit Buffers(emu::Device &device) : device(device) {}

  /// Makes the buffer that `spec` ("in:...", "out:...", "inout:...") asks for
  /// under `name` and returns its device address.
  runtime::Result<uint64_t> add(std::string_view name, std::string_view spec);
  /// The address of "@NAME" or "@NAME+OFFSET".
  runtime::Result<uint64_t> pointer(std::string_view text) const;
  /// Writes every out and inout buffer to its file.
  runtime::Status save() const;

private:
  struct Output {
    uint64_t address;
    std::string path;
    runtime::StridedArray array;
  };
  emu::Device &device;
  std::vector<Output> outputs;
};

/// Sets parameter `index` of the kernel from `spec`.
runtime::Status setArgument(emu::ArgumentBuffer &arguments,
                            const emu::ParamInfo &param, unsigned index,
                            std::string_view spec, Buffers &buffers);

/// A whole decimal or 0x number; nothing otherwise.
std::optional<int64_t> parseInteger(std::string_view text);

} // namespace flash::tool

#endif // FLASH_TOOLS_FLASH_EMULATE_ARGUMENTS_H

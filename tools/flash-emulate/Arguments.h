//===- Arguments.h - Buffers and arguments of flash-emulate -----*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What --buffer and --arg say:
//
//   in:FILE.npy[,OFFSET=PATCH]...  inout:FILE.npy[,OFFSET=PATCH]...  a buffer
//   out:DTYPE[d0,d1,...]:FILE.npy                                     a buffer
//   i32:N  i64:N  f32:X  f64:X                                        a number
//   @NAME+OFFSET                                                     a pointer
//   bytes:FILE[,OFFSET=PATCH]...                            a by-value struct
//   tensormap:MAP                                                   128 bytes
//
// PATCH replaces bytes of what the file holds, in a struct or where a buffer
// holds pointers or tensor maps: @NAME+OFFSET (8 bytes) or tensormap(MAP) (128
// bytes). In a buffer it names buffers given further left.
//
// MAP describes a tensor as cuTensorMapEncodeTiled has it, dimensions innermost
// first and separated by 'x', strides in bytes (those of dimension 1 and on):
//
//   @NAME+OFFSET,DTYPE,dims=64x4096,box=64x128[,strides=128][,swizzle=128B]
//   [,fill=zero|nan][,elementstrides=1x1][,interleave=none]
//
// DTYPE is u8 u16 u32 s32 u64 s64 f16 bf16 f32 f32_ftz tf32 tf32_ftz f64;
// without strides= the tensor is dense.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_TOOLS_FLASH_EMULATE_ARGUMENTS_H
#define FLASH_TOOLS_FLASH_EMULATE_ARGUMENTS_H

#include "flash/Emulator/Emulator.h"
#include "flash/Emulator/TensorMap.h"
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

/// Reads MAP (see above). An error says which key is wrong, what was expected
/// and what was found.
runtime::Result<emu::TensorMap> parseTensorMap(std::string_view text,
                                               const Buffers &buffers);

/// Sets parameter `index` of the kernel from `spec`.
runtime::Status setArgument(emu::ArgumentBuffer &arguments,
                            const emu::ParamInfo &param, unsigned index,
                            std::string_view spec, Buffers &buffers);

/// A whole decimal or 0x number; nothing otherwise.
std::optional<int64_t> parseInteger(std::string_view text);

} // namespace flash::tool

#endif // FLASH_TOOLS_FLASH_EMULATE_ARGUMENTS_H

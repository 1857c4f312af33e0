//===- TensorBox.h - Which bytes a box of a tensor is -----------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The address arithmetic of a tensor copy, apart from copying: a box at some
// coordinates becomes a list of byte ranges. In shared memory a box is dense,
// dimension 0 innermost, and then swizzled; in global memory it follows the
// strides. Coordinates may be negative or past the end.
//
// Swizzling XORs bits of the *shared address* (PTX ISA, "Swizzling modes"):
//
//   mode                     bits changed   by bits    pattern repeats after
//   32B                      4              7          256 bytes
//   64B                      4-5            7-8        512 bytes
//   128B                     4-6            7-9        1024 bytes
//   128B, atoms of 32B       5-6            7-8        512 bytes
//   ... with 8-byte flip     5-6 and 3      7-8 and 7  512 bytes
//   128B, atoms of 64B       6              7          256 bytes
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_TENSORBOX_H
#define FLASH_LIB_EMULATOR_TENSORBOX_H

#include "flash/Emulator/TensorMap.h"

#include <vector>

namespace flash::emu {

/// Bytes that are adjacent on both sides.
struct BoxSegment {
  uint64_t global = 0; ///< Address, if `inside`.
  uint32_t shared = 0; ///< Address after swizzling.
  uint32_t bytes = 0;
  bool inside = true; ///< The elements exist; otherwise a load fills them.
};

/// Where the byte at `address` of shared memory goes under `swizzle`.
uint32_t swizzleAddress(TensorMapSwizzle swizzle, uint32_t address);

/// The segments of the box of `spec` at `coordinates` (spec.rank of them), in
/// the order of the box. `shared` is the address of the box, a multiple of 128.
void boxSegments(const TensorMapSpec &spec, const int32_t *coordinates,
                 uint32_t shared, std::vector<BoxSegment> &segments);

/// Whether the rows of a box are narrower than the swizzle's span while there
/// is more than one: their distance in shared memory is not documented.
bool hasUnknownPitch(const TensorMapSpec &spec);

/// Bit pattern of `spec.fill` for one element.
uint64_t fillPattern(const TensorMapSpec &spec);

/// What a load of the type does to elements on their way: flushes subnormals,
/// rounds to tf32. Nothing for most types.
void convertLoaded(TensorMapType type, void *elements, uint32_t bytes);

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_TENSORBOX_H

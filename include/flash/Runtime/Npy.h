//===- Npy.h - NumPy's array files ------------------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// .npy format versions 1.0 and 2.0 (and 3.0 on reading, which differs only in
// the header's text encoding). Little-endian f2, f4, f8, i1..i8, u1..u8 and
// bool. NumPy has no bf16: those travel as u2 with the same bits, 8-bit floats
// as u1.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_RUNTIME_NPY_H
#define FLASH_RUNTIME_NPY_H

#include "flash/Runtime/Result.h"
#include "flash/Runtime/StridedArray.h"

#include <string>

namespace flash::runtime {

/// Reads a .npy file's bytes. The result is row-major and dense even where the
/// file is in Fortran order. A malformed file is an error that says what was
/// expected; nothing is allocated on the word of the header alone.
Result<StridedArray> parseNpy(std::span<const std::byte> bytes);
Result<StridedArray> readNpy(const std::string &path);

/// The bytes of a .npy file of `array`'s logical elements.
std::vector<std::byte> formatNpy(const StridedArray &array);
Status writeNpy(const std::string &path, const StridedArray &array);

/// Copies `source`'s logical elements into `target`, whose shape must be equal
/// and whose strides may be anything. Same dtype, or u16 into bf16, or u8 into
/// an 8-bit float: bits are kept. f16, f32 and f64 into another float type are
/// rounded. Anything else is refused. `what` names the target in errors.
Status assignArray(StridedArray &target, const StridedArray &source,
                   std::string_view what);

/// Writes a file so that readers see the old content or the whole new one: into
/// a temporary file beside it, which is then renamed. Nothing is left behind on
/// failure. A path that names a device or a pipe is written directly.
Status writeFileAtomically(const std::string &path,
                           std::span<const std::byte> bytes);

/// The whole content of a file.
Result<std::vector<std::byte>> readFile(const std::string &path);

} // namespace flash::runtime

#endif // FLASH_RUNTIME_NPY_H

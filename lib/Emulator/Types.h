//===- Types.h - From PTX types to C++ types --------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_TYPES_H
#define FLASH_LIB_EMULATOR_TYPES_H

#include "Lanes.h"

namespace flash::emu {

/// make.template operator()<T>() for the C++ integer type of a 16-, 32- or
/// 64-bit PTX type (untyped ones count as unsigned); no handlers for others.
template <typename M> Handlers forInteger(Type type, M make) {
  switch (type) {
  case Type::B16:
  case Type::U16:
    return make.template operator()<uint16_t>();
  case Type::S16:
    return make.template operator()<int16_t>();
  case Type::B32:
  case Type::U32:
    return make.template operator()<uint32_t>();
  case Type::S32:
    return make.template operator()<int32_t>();
  case Type::B64:
  case Type::U64:
    return make.template operator()<uint64_t>();
  case Type::S64:
    return make.template operator()<int64_t>();
  default:
    return {};
  }
}

/// As forInteger, by width alone.
template <typename M> Handlers forBits(Type type, M make) {
  switch (bitsOf(type)) {
  case 16:
    return make.template operator()<uint16_t>();
  case 32:
    return make.template operator()<uint32_t>();
  case 64:
    return make.template operator()<uint64_t>();
  default:
    return {};
  }
}

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_TYPES_H

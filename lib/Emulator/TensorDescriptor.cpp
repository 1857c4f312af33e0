//===- TensorDescriptor.cpp - Instruction descriptor of tcgen05 -*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TensorDescriptor.h"

using namespace flash::emu;

namespace {

/// Types of A and B by their three bits; false for those that mean nothing.
bool operandType(TensorKind kind, uint32_t bits, TensorType &type) {
  switch (kind) {
  case TensorKind::F16:
    type = bits ? TensorType::BF16 : TensorType::F16;
    return bits <= 1;
  case TensorKind::TF32:
    type = TensorType::TF32;
    return bits == 2;
  case TensorKind::I8:
    type = bits ? TensorType::S8 : TensorType::U8;
    return bits <= 1;
  case TensorKind::F8F6F4:
    switch (bits) {
    case 0:
      type = TensorType::E4M3;
      return true;
    case 1:
      type = TensorType::E5M2;
      return true;
    case 3:
      type = TensorType::E2M3;
      return true;
    case 4:
      type = TensorType::E3M2;
      return true;
    case 5:
      type = TensorType::E2M1;
      return true;
    default:
      return false;
    }
  }
  return false;
}

} // namespace

bool TensorShape::decode(TensorKind kind, unsigned group, uint32_t bits,
                         std::string &message) {
  auto refuse = [&](std::string text) {
    message = "instruction descriptor: " + std::move(text);
    return false;
  };
  auto field = [&](unsigned first, unsigned width) {
    return bits >> first & ((1u << width) - 1);
  };
  if (field(2, 1))
    return refuse("expected bit 2 (sparse) to be 0");
  if (field(0, 2) || field(6, 1) || field(23, 1) || field(29, 1))
    return refuse("expected bits 0, 1, 6, 23 and 29 to be 0");
  if (field(30, 2))
    return refuse("expected bits 30 and 31 (shift of .ws) to be 0");
  if (!operandType(kind, field(7, 3), a) || !operandType(kind, field(10, 3), b))
    return refuse("types of A and B, " + std::to_string(field(7, 3)) + " and " +
                  std::to_string(field(10, 3)) + ", do not fit the .kind");
  if (kind == TensorKind::F16 && a != b)
    return refuse("expected A and B of one type");
  switch (field(4, 2)) {
  case 0:
    d = F16;
    break;
  case 1:
    d = F32;
    break;
  case 2:
    d = S32;
    break;
  default:
    return refuse("unknown type of D, 3");
  }
  bool halfAllowed = kind == TensorKind::F8F6F4 ||
                     (kind == TensorKind::F16 && a == TensorType::F16);
  if ((d == S32) != (kind == TensorKind::I8) || (d == F16 && !halfAllowed))
    return refuse("the type of D does not fit that of A and B");
  saturate = field(3, 1);
  negateA = field(13, 1);
  negateB = field(14, 1);
  if (kind == TensorKind::I8 ? negateA || negateB : saturate)
    return refuse(kind == TensorKind::I8 ? "integers cannot be negated"
                                         : "only integers saturate");
  aMajorMN = field(15, 1);
  bMajorMN = field(16, 1);
  auto subByte = [](TensorType type) {
    return type == TensorType::E2M3 || type == TensorType::E3M2 ||
           type == TensorType::E2M1;
  };
  if ((aMajorMN && subByte(a)) || (bMajorMN && subByte(b)))
    return refuse("operands of 4 and 6 bits have to be K-major");
  n = field(17, 6) * 8;
  m = field(24, 5) * 16;
  k = kind == TensorKind::F16 ? 16 : kind == TensorKind::TF32 ? 8 : 32;
  if (m != 64 * group && m != 128 * group)
    return refuse("M is " + std::to_string(m) + ": expected " +
                  std::to_string(64 * group) + " or " +
                  std::to_string(128 * group) +
                  " for .cta_group::" + std::to_string(group));
  // Integers take N = 8 and 24, then steps of 16 (32 by a pair of CTAs).
  bool integer = kind == TensorKind::I8;
  unsigned step = integer ? 16 * group : 8 * group;
  bool odd = integer && group == 1 && (n == 8 || n == 24);
  if (n == 0 || n > 256 || (n % step != 0 && !odd))
    return refuse("N is " + std::to_string(n) + ": expected a multiple of " +
                  std::to_string(step) + " up to 256" +
                  (integer && group == 1 ? ", or 8 or 24" : ""));
  return true;
}

unsigned TensorShape::containerBits() const {
  switch (a) {
  case TensorType::TF32:
    return 32;
  case TensorType::F16:
  case TensorType::BF16:
    return 16;
  default:
    return 8;
  }
}

std::vector<TensorRange> DataPath::blocks(uint32_t address,
                                          unsigned width) const {
  if (!spread)
    return {TensorRange::at(address, halves ? 128 : rows, width)};
  std::vector<TensorRange> result;
  for (unsigned quarter = 0; quarter < 4; ++quarter)
    result.push_back(
        TensorRange::at(address + (32 * quarter << 16), 16, width));
  return result;
}

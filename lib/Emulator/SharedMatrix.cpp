//===- SharedMatrix.cpp - Matrix operands in shared memory ------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SharedMatrix.h"

#include <array>
#include <cstdio>
#include <utility>

using namespace flash::emu;

namespace {

/// Bytes over which a swizzle permutes units.
uint32_t swizzleBytes(MatrixSwizzle swizzle) {
  switch (swizzle) {
  case MatrixSwizzle::None:
    return 16;
  case MatrixSwizzle::B32:
    return 32;
  case MatrixSwizzle::B64:
    return 64;
  case MatrixSwizzle::B128:
  case MatrixSwizzle::B128Atom32:
    return 128;
  }
  return 16;
}

uint32_t field(uint64_t bits, unsigned first, unsigned count) {
  return uint32_t(bits >> first & ((uint64_t(1) << count) - 1));
}

/// start, leading and stride, which both formats share.
void readOffsets(uint64_t bits, MatrixDescriptor &out) {
  out.start = field(bits, 0, 14) << 4;
  out.leading = field(bits, 16, 14) << 4;
  out.stride = field(bits, 32, 14) << 4;
  out.baseOffset = uint8_t(field(bits, 49, 3));
}

std::string expectBits(uint64_t bits, unsigned first, unsigned count,
                       uint32_t value) {
  uint32_t got = field(bits, first, count);
  if (got == value)
    return "";
  char text[128];
  std::snprintf(text, sizeof(text),
                "matrix descriptor 0x%016llx: expected bits %u..%u to be %u, "
                "got %u",
                (unsigned long long)bits, first, first + count - 1, value, got);
  return text;
}

} // namespace

std::string flash::emu::readWgmmaDescriptor(uint64_t bits,
                                            MatrixDescriptor &out) {
  readOffsets(bits, out);
  out.absoluteLeading = false;
  static constexpr MatrixSwizzle modes[] = {
      MatrixSwizzle::None, MatrixSwizzle::B128, MatrixSwizzle::B64,
      MatrixSwizzle::B32};
  out.swizzle = modes[field(bits, 62, 2)];
  // Set bits here mean that a field was not cut to its width.
  for (auto [first, count] :
       {std::pair{14u, 2u}, {30u, 2u}, {46u, 3u}, {52u, 10u}})
    if (std::string wrong = expectBits(bits, first, count, 0); !wrong.empty())
      return wrong;
  return "";
}

std::string flash::emu::readTcgen05Descriptor(uint64_t bits,
                                              MatrixDescriptor &out) {
  readOffsets(bits, out);
  out.absoluteLeading = field(bits, 52, 1);
  uint32_t mode = field(bits, 61, 3);
  switch (mode) {
  case 0:
    out.swizzle = MatrixSwizzle::None;
    break;
  case 1:
    out.swizzle = MatrixSwizzle::B128Atom32;
    break;
  case 2:
    out.swizzle = MatrixSwizzle::B128;
    break;
  case 4:
    out.swizzle = MatrixSwizzle::B64;
    break;
  case 6:
    out.swizzle = MatrixSwizzle::B32;
    break;
  default:
    return "matrix descriptor: expected swizzling mode 0, 1, 2, 4 or 6 in bits "
           "61..63, got " +
           std::to_string(mode);
  }
  for (auto [first, count, value] :
       {std::array{14u, 2u, 0u}, {30u, 2u, 0u}, {46u, 3u, 1u}, {53u, 8u, 0u}})
    if (std::string wrong = expectBits(bits, first, count, value);
        !wrong.empty())
      return wrong;
  return "";
}

uint32_t SharedMatrix::unitAddress(uint32_t line, uint32_t unit) const {
  const MatrixDescriptor &d = descriptor;
  bool swizzled = d.swizzle != MatrixSwizzle::None;
  uint32_t width = swizzleBytes(d.swizzle);
  // Lines of a pattern.
  uint32_t depth = d.swizzle == MatrixSwizzle::B128Atom32 ? 4 : 8;
  uint32_t at = line % depth * width;
  if (!mnMajor) {
    at += line / depth * d.stride;
    if (swizzled)
      at += unit * 16;
    else
      at += unit * d.leading;
  } else if (swizzled) {
    uint32_t perPattern = width / 16;
    at += line / depth * d.stride + unit % perPattern * 16 +
          unit / perPattern * d.leading;
  } else {
    at += line / depth * d.leading + unit * d.stride;
  }
  at += d.start;
  if (!swizzled)
    return at;
  uint32_t phase = (at >> 7) - d.baseOffset;
  if (d.swizzle == MatrixSwizzle::B128Atom32)
    return at ^ (phase & 3) << 5;
  return at ^ (phase & (width / 16 - 1)) << 4;
}

uint32_t SharedMatrix::address(uint32_t row, uint32_t col) const {
  uint32_t line = mnMajor ? col : row, along = mnMajor ? row : col;
  uint32_t offset = along * bits / 8;
  return unitAddress(line, offset / 16) + offset % 16;
}

std::string SharedMatrix::problem(uint32_t sharedBytes) const {
  if (descriptor.absoluteLeading)
    return "matrix descriptor: an absolute leading dimension offset is not "
           "supported";
  if (descriptor.swizzle == MatrixSwizzle::B128Atom32 && !mnMajor)
    return "matrix descriptor: 128-byte swizzling in atoms of 32 bytes: "
           "expected an MN-major operand";
  if (descriptor.baseOffset && descriptor.swizzle == MatrixSwizzle::None)
    return "matrix descriptor: expected base offset 0 without swizzling, got " +
           std::to_string(descriptor.baseOffset);
  uint32_t highest = 0;
  forUnits([&](uint32_t, uint32_t, uint32_t address) {
    highest = address > highest ? address : highest;
  });
  if (uint64_t(highest) + 16 > sharedBytes)
    return "matrix operand (" + describe(descriptor) + ") reaches byte " +
           std::to_string(highest + 15) + " of " + std::to_string(sharedBytes) +
           " bytes of shared memory";
  return "";
}

std::string flash::emu::describe(const MatrixDescriptor &descriptor) {
  static constexpr const char *names[] = {"no swizzle", "32-byte swizzle",
                                          "64-byte swizzle", "128-byte swizzle",
                                          "128-byte swizzle in atoms of 32"};
  char text[160];
  std::snprintf(text, sizeof(text),
                "start 0x%x, leading %u, stride %u bytes, base offset %u, %s",
                descriptor.start, descriptor.leading, descriptor.stride,
                descriptor.baseOffset, names[unsigned(descriptor.swizzle)]);
  return text;
}

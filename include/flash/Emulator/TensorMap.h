//===- TensorMap.h - Tensor maps of the emulator ----------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What cp.async.bulk.tensor reads its shape from. CUDA's CUtensorMap is opaque,
// so the emulator has its own 128 bytes: a host program passes them where it
// would pass a CUtensorMap (as a `__grid_constant__` parameter, inside a
// by-value struct, in constant or in global memory).
//
//   TensorMapSpec spec;
//   spec.type = TensorMapType::F16;
//   spec.address = device.address("k");
//   spec.rank = 2;
//   spec.dims = {128, 4096};          // Innermost first, as everywhere here.
//   spec.setDenseStrides();
//   spec.box = {64, 128};
//   spec.swizzle = TensorMapSwizzle::B128;
//   std::string error;
//   std::optional<TensorMap> map = encodeTensorMap(spec, error);
//
// The fields and their limits are those of cuTensorMapEncodeTiled. L2 promotion
// is left out: caches are not modelled.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_EMULATOR_TENSORMAP_H
#define FLASH_EMULATOR_TENSORMAP_H

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace flash::emu {

constexpr unsigned kMaxTensorRank = 5;

/// Element types, in the order of CUtensorMapDataType. Loads flush subnormals
/// to zero for the Ftz types and round to nearest even at 10 mantissa bits for
/// the TF32 types; stores and all other types move bytes.
enum class TensorMapType : uint8_t {
  U8,
  U16,
  U32,
  S32,
  U64,
  S64,
  F16,
  F32,
  F64,
  BF16,
  F32Ftz,
  TF32,
  TF32Ftz,
};

/// Only None is supported: encodeTensorMap refuses the others by name.
enum class TensorMapInterleave : uint8_t { None, B16, B32 };

/// How the 16-byte chunks of a box are permuted in shared memory, in the order
/// of CUtensorMapSwizzle. The permutation is a function of the shared address,
/// not of the place in the box.
enum class TensorMapSwizzle : uint8_t {
  None,
  B32,            ///< 16-byte chunks within 32 bytes.
  B64,            ///< 16-byte chunks within 64 bytes.
  B128,           ///< 16-byte chunks within 128 bytes.
  B128Atom32,     ///< 32-byte chunks within 128 bytes.
  B128Atom32Flip, ///< The same, and 8-byte halves swapped on odd lines.
  B128Atom64,     ///< 64-byte chunks within 128 bytes.
};

/// What a load writes for elements outside the tensor.
enum class TensorMapFill : uint8_t { Zero, NaN };

/// Reads "u8", "f16", "bf16", "f32_ftz", "tf32", ...; nothing for other names.
std::optional<TensorMapType> parseTensorMapType(std::string_view name);
std::string_view tensorMapTypeName(TensorMapType type);
/// Reads "none", "32B", "64B", "128B", "128B_atom_32B", "128B_atom_32B_flip_8B"
/// or "128B_atom_64B".
std::optional<TensorMapSwizzle> parseTensorMapSwizzle(std::string_view name);
std::string_view tensorMapSwizzleName(TensorMapSwizzle swizzle);
/// Bytes of one element in memory: 1, 2, 4 or 8.
unsigned elementBytes(TensorMapType type);
/// Bytes that a swizzle permutes among: 32, 64 or 128; 0 for None.
unsigned swizzleSpan(TensorMapSwizzle swizzle);

/// A tensor and the boxes that are copied from and to it. Dimension 0 is the
/// innermost, whose elements are adjacent in memory. Entries of dimensions
/// beyond the rank mean nothing.
struct TensorMapSpec {
  TensorMapType type = TensorMapType::U8;
  unsigned rank = 0;    ///< 1 to 5.
  uint64_t address = 0; ///< Generic address of element 0; multiple of 16.
  /// Elements per dimension: 1 to 2^32.
  std::array<uint64_t, kMaxTensorRank> dims = {1, 1, 1, 1, 1};
  /// Bytes from one element of dimension i + 1 to the next: multiples of 16
  /// below 2^40. Dimension 0 has none.
  std::array<uint64_t, kMaxTensorRank - 1> strides = {};
  /// Elements that a box spans: 1 to 256 per dimension; those of dimension 0
  /// take a multiple of 16 bytes, and at most swizzleSpan().
  std::array<uint32_t, kMaxTensorRank> box = {1, 1, 1, 1, 1};
  /// Every n-th element of the span is copied: 1 to 8. That of dimension 0 is
  /// ignored, as on hardware without interleave.
  std::array<uint32_t, kMaxTensorRank> elementStrides = {1, 1, 1, 1, 1};
  TensorMapInterleave interleave = TensorMapInterleave::None;
  TensorMapSwizzle swizzle = TensorMapSwizzle::None;
  TensorMapFill fill = TensorMapFill::Zero;

  /// Strides of a tensor without padding between its dimensions.
  void setDenseStrides();
  /// Elements of a box along dimension `i`: box[i] / elementStrides[i], rounded
  /// up.
  uint32_t boxCount(unsigned i) const;
  /// Bytes of a box in shared memory, which is what its load adds to the
  /// completed bytes of an mbarrier, whether or not elements lie outside.
  uint64_t boxBytes() const;
};

/// A tensor map as kernels get it.
struct alignas(64) TensorMap {
  static constexpr uint64_t kMagic = 0x70614d7254687346; ///< "FshTrMap"

  uint64_t magic = kMagic;
  uint64_t address = 0;
  std::array<uint64_t, kMaxTensorRank - 1> strides = {};
  std::array<uint32_t, kMaxTensorRank> lastElements = {}; ///< dims - 1.
  std::array<uint16_t, kMaxTensorRank> box = {};
  std::array<uint8_t, kMaxTensorRank> elementStrides = {};
  uint8_t type = 0, rank = 0, interleave = 0, swizzle = 0, fill = 0;
  uint8_t atomicity = 0; ///< What tensormap.replace gave, for 128B.
  std::array<uint8_t, 39> reserved = {};
};
static_assert(sizeof(TensorMap) == 128);

/// What is wrong with `spec`, "" if nothing: the limits above, each refusal as
/// "role: expected ..., got ...".
std::string checkTensorMap(const TensorMapSpec &spec);

/// The tensor map of `spec`; nothing, and `error` says why, if checkTensorMap
/// refuses it.
std::optional<TensorMap> encodeTensorMap(const TensorMapSpec &spec,
                                         std::string &error);

/// Reads a tensor map back. Nothing if the 128 bytes at `bytes` are none (a
/// CUtensorMap of the driver, say) or hold what checkTensorMap refuses.
std::optional<TensorMapSpec> decodeTensorMap(const void *bytes,
                                             std::string &error);

} // namespace flash::emu

#endif // FLASH_EMULATOR_TENSORMAP_H

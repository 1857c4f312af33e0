//===- StridedArray.h - Host tensors with any strides -----------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_RUNTIME_STRIDEDARRAY_H
#define FLASH_RUNTIME_STRIDEDARRAY_H

#include "flash/Runtime/DType.h"

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace flash::runtime {

/// A tensor inside a larger allocation. Element (i0, i1, ...) is at
///   offset + i0 * strides[0] + i1 * strides[1] + ...
/// counted in elements from the start of `storage`. Whatever part of storage
/// no logical element reaches is padding, see `paddingMask`. A dimension of
/// size 1 may have any stride.
struct StridedArray {
  DType dtype = DType::F32;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;
  int64_t offset = 0;
  std::vector<std::byte> storage;

  /// Row-major and dense, zero-filled.
  static StridedArray contiguous(DType dtype, std::vector<int64_t> shape);

  unsigned rank() const { return unsigned(shape.size()); }
  int64_t numElements() const;

  /// Position in storage, in elements. `at` has one index per dimension.
  int64_t indexOf(std::span<const int64_t> at) const {
    assert(at.size() == shape.size() && "one index per dimension");
    int64_t index = offset;
    for (size_t i = 0; i < at.size(); ++i)
      index += at[i] * strides[i];
    return index;
  }

  double get(std::span<const int64_t> at) const {
    return loadIndex(indexOf(at));
  }
  void set(std::span<const int64_t> at, double value) {
    storeElement(dtype, bytesAt(indexOf(at)), value);
  }

  /// Access by position in storage.
  double loadIndex(int64_t index) const {
    return loadElement(dtype, bytesAt(index));
  }
  /// Of an array of integers.
  int64_t loadIntegerIndex(int64_t index) const {
    return loadInteger(dtype, bytesAt(index));
  }
  std::byte *bytesAt(int64_t index) {
    return storage.data() + index * byteWidth(dtype);
  }
  const std::byte *bytesAt(int64_t index) const {
    return storage.data() + index * byteWidth(dtype);
  }

  /// The logical elements, row-major, each as stored.
  std::vector<std::byte> logicalBytes() const;

  /// Inverse of `logicalBytes`; `bytes` has one element per logical element.
  void setLogicalBytes(std::span<const std::byte> bytes);

  /// One entry per element of storage: true where no logical element lies.
  std::vector<bool> paddingMask() const;
};

/// Calls `fn(index)` with the position in storage of every logical element, in
/// row-major order.
template <typename Fn> void forEachIndex(const StridedArray &array, Fn &&fn) {
  if (array.numElements() == 0)
    return;
  std::vector<int64_t> at(array.rank(), 0);
  int64_t index = array.offset;
  while (true) {
    fn(index);
    size_t dim = at.size();
    while (dim-- > 0) {
      index += array.strides[dim];
      if (++at[dim] < array.shape[dim])
        break;
      index -= at[dim] * array.strides[dim];
      at[dim] = 0;
    }
    if (dim == size_t(-1))
      return;
  }
}

} // namespace flash::runtime

#endif // FLASH_RUNTIME_STRIDEDARRAY_H

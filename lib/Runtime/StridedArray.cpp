//===- StridedArray.cpp - Host tensors with any strides -------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Runtime/StridedArray.h"

#include <cstring>

using namespace flash::runtime;

StridedArray StridedArray::contiguous(DType dtype, std::vector<int64_t> shape) {
  StridedArray array;
  array.dtype = dtype;
  array.strides.resize(shape.size());
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    array.strides[i] = stride;
    stride *= shape[i];
  }
  array.shape = std::move(shape);
  array.storage.resize(size_t(stride) * byteWidth(dtype));
  return array;
}

int64_t StridedArray::numElements() const {
  int64_t count = 1;
  for (int64_t extent : shape)
    count *= extent;
  return count;
}

std::vector<std::byte> StridedArray::logicalBytes() const {
  size_t width = byteWidth(dtype);
  std::vector<std::byte> out(size_t(numElements()) * width);
  std::byte *to = out.data();
  forEachIndex(*this, [&](int64_t index) {
    std::memcpy(to, bytesAt(index), width);
    to += width;
  });
  return out;
}

void StridedArray::setLogicalBytes(std::span<const std::byte> bytes) {
  size_t width = byteWidth(dtype);
  assert(bytes.size() == size_t(numElements()) * width && "one per element");
  const std::byte *from = bytes.data();
  forEachIndex(*this, [&](int64_t index) {
    std::memcpy(bytesAt(index), from, width);
    from += width;
  });
}

std::vector<bool> StridedArray::paddingMask() const {
  std::vector<bool> padding(storage.size() / byteWidth(dtype), true);
  forEachIndex(*this, [&](int64_t index) { padding[size_t(index)] = false; });
  return padding;
}

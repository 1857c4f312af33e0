//===- Memory.cpp - Device memory -----------------------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Driver.h"

#include <cstring>
#include <vector>

using namespace flash;
using namespace flash::emulated;
using namespace flash::runtime::cuda;

namespace {

CUresult copyToDevice(CUdeviceptr to, const void *from, size_t bytes) {
  Call call;
  if (call.code != kSuccess)
    return call.code;
  return call.state.device.write(to, from, bytes) ? kSuccess : kInvalidValue;
}

CUresult copyFromDevice(void *to, CUdeviceptr from, size_t bytes) {
  Call call;
  if (call.code != kSuccess)
    return call.code;
  return call.state.device.read(from, to, bytes) ? kSuccess : kInvalidValue;
}

CUresult copyOnDevice(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  std::vector<std::byte> copy(bytes);
  CUresult code = copyFromDevice(copy.data(), from, bytes);
  return code == kSuccess ? copyToDevice(to, copy.data(), bytes) : code;
}

template <typename T> CUresult fill(CUdeviceptr to, T value, size_t count) {
  std::vector<T> copy(count, value);
  return copyToDevice(to, copy.data(), count * sizeof(T));
}

} // namespace

FLASH_DRIVER_EXPORT cuMemAlloc_v2(CUdeviceptr *address, size_t bytes) {
  Call call;
  if (call.code != kSuccess || bytes == 0)
    return call.code ? call.code : kInvalidValue;
  State &state = call.state;
  if (bytes > state.totalBytes - state.allocatedBytes)
    return kOutOfMemory;
  *address = state.device.allocate("allocation " +
                                       std::to_string(state.numAllocations++),
                                   bytes, emu::Contents::Uninitialised);
  state.allocatedBytes += bytes;
  return kSuccess;
}

FLASH_DRIVER_EXPORT cuMemFree_v2(CUdeviceptr address) {
  Call call;
  if (call.code != kSuccess || address == 0)
    return call.code;
  size_t bytes = call.state.device.bytes(address).size();
  if (!call.state.device.release(address))
    return kInvalidValue;
  call.state.allocatedBytes -= bytes;
  return kSuccess;
}

FLASH_DRIVER_EXPORT cuMemGetInfo_v2(size_t *free, size_t *total) {
  Call call;
  *total = call.state.totalBytes;
  *free = call.state.totalBytes - call.state.allocatedBytes;
  return call.code;
}

FLASH_DRIVER_EXPORT cuMemcpyHtoD_v2(CUdeviceptr to, const void *from,
                                    size_t bytes) {
  return copyToDevice(to, from, bytes);
}
FLASH_DRIVER_EXPORT cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from,
                                         size_t bytes, CUstream) {
  return copyToDevice(to, from, bytes);
}
FLASH_DRIVER_EXPORT cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t bytes) {
  return copyFromDevice(to, from, bytes);
}
FLASH_DRIVER_EXPORT cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from,
                                         size_t bytes, CUstream) {
  return copyFromDevice(to, from, bytes);
}
FLASH_DRIVER_EXPORT cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from,
                                    size_t bytes) {
  return copyOnDevice(to, from, bytes);
}
FLASH_DRIVER_EXPORT cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from,
                                         size_t bytes, CUstream) {
  return copyOnDevice(to, from, bytes);
}
FLASH_DRIVER_EXPORT cuMemsetD8_v2(CUdeviceptr to, unsigned char value,
                                  size_t count) {
  return fill(to, value, count);
}
FLASH_DRIVER_EXPORT cuMemsetD8Async(CUdeviceptr to, unsigned char value,
                                    size_t count, CUstream) {
  return fill(to, value, count);
}
FLASH_DRIVER_EXPORT cuMemsetD32_v2(CUdeviceptr to, unsigned value,
                                   size_t count) {
  return fill(to, value, count);
}

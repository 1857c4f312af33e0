//===- CudaDriver.h - The CUDA driver, as much as Flash calls ---*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Flash builds without CUDA's headers and starts without its libraries: the
// driver is opened by name at the first use. Types and numbers below are those
// of the CUDA Driver API Reference; handles are opaque pointers there too.
//
// Names end in _v2 where the API changed an entry point's types long ago and
// cuda.h renames it: the plain names are the 32-bit ones.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_RUNTIME_CUDADRIVER_H
#define FLASH_RUNTIME_CUDADRIVER_H

#include "flash/Runtime/Result.h"

#include <cstddef>
#include <cstdint>

namespace flash::runtime::cuda {

using CUresult = int;
using CUdevice = int;
using CUdeviceptr = uint64_t;
using CUcontext = void *;
using CUmodule = void *;
using CUfunction = void *;
using CUstream = void *;
using CUevent = void *;

enum : CUresult {
  kSuccess = 0,
  kInvalidValue = 1,
  kOutOfMemory = 2,
  kNotInitialised = 3,
  kNoDevice = 100,
  kInvalidDevice = 101,
  kInvalidImage = 200,
  kInvalidContext = 201,
  kNoBinaryForGpu = 209,
  kInvalidPtx = 218,
  kInvalidHandle = 400,
  kNotFound = 500,
  kIllegalAddress = 700,
  kLaunchOutOfResources = 701,
  kLaunchTimeout = 702,
  kMisalignedAddress = 716,
  kLaunchFailed = 719,
  kNotSupported = 801,
};

enum DeviceAttribute : int {
  kMultiprocessorCount = 16,
  kL2CacheSize = 38,
  kComputeCapabilityMajor = 75,
  kComputeCapabilityMinor = 76,
  kMaxSharedMemoryPerBlockOptin = 97,
};

enum FunctionAttribute : int { kMaxDynamicSharedSizeBytes = 8 };

enum JitOption : int { kJitErrorLogBuffer = 5, kJitErrorLogBufferBytes = 6 };

/// Ways of passing arguments as one buffer ("extra" of cuLaunchKernel): the
/// address follows the first, that of the size the second.
inline void *const kLaunchEnd = nullptr;
inline void *const kLaunchBufferPointer = reinterpret_cast<void *>(1);
inline void *const kLaunchBufferSize = reinterpret_cast<void *>(2);

/// CUlaunchAttribute: an id, padding, and a value of 64 bytes.
struct LaunchAttribute {
  int id;
  int padding;
  union {
    unsigned clusterDim[3];
    char bytes[64];
  };
};
enum : int { kLaunchAttributeClusterDimension = 4 };

/// CUlaunchConfig.
struct LaunchConfig {
  unsigned gridX, gridY, gridZ;
  unsigned blockX, blockY, blockZ;
  unsigned sharedBytes;
  CUstream stream;
  LaunchAttribute *attributes;
  unsigned numAttributes;
};

/// Every entry point that Flash calls: member, symbol, parameters. The emulated
/// driver (lib/EmulatedDriver) is checked against the same list.
#define FLASH_CUDA_DRIVER_FUNCTIONS(FUNCTION)                                  \
  FUNCTION(init, cuInit, (unsigned flags))                                     \
  FUNCTION(driverGetVersion, cuDriverGetVersion, (int *version))               \
  FUNCTION(getErrorName, cuGetErrorName, (CUresult code, const char **text))   \
  FUNCTION(getErrorString, cuGetErrorString,                                   \
           (CUresult code, const char **text))                                 \
  FUNCTION(deviceGetCount, cuDeviceGetCount, (int *count))                     \
  FUNCTION(deviceGet, cuDeviceGet, (CUdevice * device, int ordinal))           \
  FUNCTION(deviceGetName, cuDeviceGetName,                                     \
           (char *name, int size, CUdevice device))                            \
  FUNCTION(deviceGetAttribute, cuDeviceGetAttribute,                           \
           (int *value, int attribute, CUdevice device))                       \
  FUNCTION(primaryCtxRetain, cuDevicePrimaryCtxRetain,                         \
           (CUcontext * context, CUdevice device))                             \
  FUNCTION(primaryCtxRelease, cuDevicePrimaryCtxRelease_v2, (CUdevice device)) \
  FUNCTION(ctxSetCurrent, cuCtxSetCurrent, (CUcontext context))                \
  FUNCTION(ctxSynchronize, cuCtxSynchronize, ())                               \
  FUNCTION(moduleLoadDataEx, cuModuleLoadDataEx,                               \
           (CUmodule * module, const void *image, unsigned numOptions,         \
            int *options, void **values))                                      \
  FUNCTION(moduleUnload, cuModuleUnload, (CUmodule module))                    \
  FUNCTION(moduleGetFunction, cuModuleGetFunction,                             \
           (CUfunction * function, CUmodule module, const char *name))         \
  FUNCTION(funcSetAttribute, cuFuncSetAttribute,                               \
           (CUfunction function, int attribute, int value))                    \
  FUNCTION(memAlloc, cuMemAlloc_v2, (CUdeviceptr * address, size_t bytes))     \
  FUNCTION(memFree, cuMemFree_v2, (CUdeviceptr address))                       \
  FUNCTION(memcpyHtoD, cuMemcpyHtoD_v2,                                        \
           (CUdeviceptr to, const void *from, size_t bytes))                   \
  FUNCTION(memcpyDtoH, cuMemcpyDtoH_v2,                                        \
           (void *to, CUdeviceptr from, size_t bytes))                         \
  FUNCTION(launchKernel, cuLaunchKernel,                                       \
           (CUfunction function, unsigned gridX, unsigned gridY,               \
            unsigned gridZ, unsigned blockX, unsigned blockY, unsigned blockZ, \
            unsigned sharedBytes, CUstream stream, void **parameters,          \
            void **extra))                                                     \
  FUNCTION(eventCreate, cuEventCreate, (CUevent * event, unsigned flags))      \
  FUNCTION(eventDestroy, cuEventDestroy_v2, (CUevent event))                   \
  FUNCTION(eventRecord, cuEventRecord, (CUevent event, CUstream stream))       \
  FUNCTION(eventSynchronize, cuEventSynchronize, (CUevent event))              \
  FUNCTION(eventElapsedTime, cuEventElapsedTime,                               \
           (float *milliseconds, CUevent start, CUevent end))

/// Entry points that an older driver may lack: null then.
#define FLASH_CUDA_DRIVER_OPTIONAL_FUNCTIONS(FUNCTION)                         \
  FUNCTION(launchKernelEx, cuLaunchKernelEx,                                   \
           (const LaunchConfig *config, CUfunction function,                   \
            void **parameters, void **extra))                                  \
  FUNCTION(emulatedDriver, flashEmulatedDriver, ())

/// The opened driver. Its functions live as long as the process.
struct Driver {
#define FUNCTION(member, symbol, parameters) CUresult(*member) parameters;
  FLASH_CUDA_DRIVER_FUNCTIONS(FUNCTION)
  FLASH_CUDA_DRIVER_OPTIONAL_FUNCTIONS(FUNCTION)
#undef FUNCTION

  /// Opens the driver at the first call: the library that FLASH_CUDA_DRIVER
  /// names or, where that is not set, libcuda.so.1, libcuda.so, or the one of
  /// Windows Subsystem for Linux. The error says what was looked for and where.
  static Result<const Driver *> open();

  /// Whether this is Flash's emulated driver and not a GPU's.
  bool isEmulated() const { return emulatedDriver != nullptr; }

  /// "cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY (out of memory)", or success.
  Status check(const char *call, CUresult code) const;
};

} // namespace flash::runtime::cuda

#endif // FLASH_RUNTIME_CUDADRIVER_H

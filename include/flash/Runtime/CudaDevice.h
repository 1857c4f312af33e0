//===- CudaDevice.h - Launching packages on a GPU ---------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   Result<CudaDevice> device = CudaDevice::open();
//   Result<CudaKernels> kernels = CudaKernels::load(*device, package);
//   Result<uint64_t> q = device->allocate(bytes);
//   ...
//   Status done = kernels->launch(arguments);
//   done = device->synchronize();
//
// Everything runs on the legacy default stream of the device's primary context.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_RUNTIME_CUDADEVICE_H
#define FLASH_RUNTIME_CUDADEVICE_H

#include "flash/Runtime/CudaDriver.h"
#include "flash/Runtime/Package.h"

#include <functional>
#include <vector>

namespace flash::runtime {

/// Device 0 and what was allocated on it; all of it is freed at the end.
class CudaDevice {
public:
  static Result<CudaDevice> open();
  ~CudaDevice();
  CudaDevice(CudaDevice &&) noexcept;
  CudaDevice &operator=(CudaDevice &&) = delete;

  const std::string &name() const { return deviceName; }
  bool isEmulated() const { return driver->isEmulated(); }
  /// 10 * major + minor: 90 is 9.0.
  int capability() const { return computeCapability; }
  /// Most shared memory that a CTA can opt in to, in bytes.
  int sharedLimit() const { return maxSharedBytes; }

  Result<uint64_t> allocate(size_t bytes);
  Status write(uint64_t address, const void *from, size_t bytes);
  Status read(uint64_t address, void *to, size_t bytes);
  Status synchronize();

  /// Milliseconds, by events, that each of `repeats` calls of `work` takes, one
  /// behind the other, after `warmUp` calls that are not measured.
  Result<std::vector<double>> time(const std::function<Status()> &work,
                                   unsigned warmUp, unsigned repeats);

private:
  friend class CudaKernels;
  CudaDevice() = default;

  const cuda::Driver *driver = nullptr;
  cuda::CUdevice device = 0;
  bool retained = false;
  std::string deviceName;
  int computeCapability = 0;
  int maxSharedBytes = 0;
  std::vector<uint64_t> allocations;
};

/// Whether code for `chip` ("sm_80", "sm_90a") runs on a device of compute
/// capability `capability` (10 * major + minor). As machine code it needs the
/// same major and no lower minor, as PTX no lower capability; code for an
/// architecture's own features ("a") runs on exactly that one.
bool runsAsCubin(std::string_view chip, int capability);
bool runsAsPtx(std::string_view chip, int capability);

/// The loaded kernels of one package.
class CudaKernels {
public:
  /// Loads the cubin where it fits the device, else the PTX. Refuses a device
  /// of too low a compute capability or with too little shared memory.
  static Result<CudaKernels> load(CudaDevice &device, const Package &package);
  ~CudaKernels();
  CudaKernels(CudaKernels &&) noexcept;
  CudaKernels &operator=(CudaKernels &&) = delete;

  /// "cubin" or "PTX": which was loaded.
  const char *source() const { return loadedFrom; }

  /// Starts all launches of the package; see packArguments for refusals.
  Status launch(const LaunchArguments &arguments);

private:
  CudaKernels(CudaDevice &device, const Manifest &manifest)
      : device(&device), manifest(manifest) {}
  Status loadModule(const Package &package);
  Status launchOne(const KernelLaunch &launch, cuda::CUfunction function,
                   const LaunchArguments &arguments);

  CudaDevice *device;
  Manifest manifest;
  cuda::CUmodule module = nullptr;
  const char *loadedFrom = "";
  std::vector<cuda::CUfunction> functions;
};

} // namespace flash::runtime

#endif // FLASH_RUNTIME_CUDADEVICE_H

//===- CudaDevice.cpp - Launching packages on a GPU -----------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Runtime/CudaDevice.h"

#include <charconv>
#include <utility>

using namespace flash::runtime;
using namespace flash::runtime::cuda;

namespace {

/// "sm_90a": 90, and whether it is for that architecture alone.
struct ChipName {
  int capability = 0;
  bool exact = false;
};

ChipName parseChip(std::string_view chip) {
  ChipName name;
  if (chip.substr(0, 3) != "sm_")
    return name;
  const char *end = chip.data() + chip.size();
  auto [rest, error] = std::from_chars(chip.data() + 3, end, name.capability);
  if (error != std::errc())
    name.capability = 0;
  name.exact = rest != end;
  return name;
}

std::string capabilityText(int capability) {
  return std::to_string(capability / 10) + "." +
         std::to_string(capability % 10);
}

} // namespace

bool flash::runtime::runsAsCubin(std::string_view chip, int capability) {
  ChipName name = parseChip(chip);
  if (name.exact)
    return name.capability == capability;
  return name.capability / 10 == capability / 10 &&
         name.capability <= capability;
}

bool flash::runtime::runsAsPtx(std::string_view chip, int capability) {
  ChipName name = parseChip(chip);
  return name.exact ? name.capability == capability
                    : name.capability != 0 && name.capability <= capability;
}

//===----------------------------------------------------------------------===//
// CudaDevice
//===----------------------------------------------------------------------===//

Result<CudaDevice> CudaDevice::open() {
  Result<const Driver *> opened = Driver::open();
  if (!opened)
    return opened.error();
  CudaDevice device;
  device.driver = *opened;
  const Driver &driver = **opened;
  if (Status status = driver.check("cuInit", driver.init(0)); !status)
    return status.error();
  int count = 0;
  if (Status status =
          driver.check("cuDeviceGetCount", driver.deviceGetCount(&count));
      !status)
    return status.error();
  if (count < 1)
    return Error{"CUDA driver: expected a device, found none (is "
                 "CUDA_VISIBLE_DEVICES empty?)"};
  if (Status status =
          driver.check("cuDeviceGet", driver.deviceGet(&device.device, 0));
      !status)
    return status.error();
  char name[256] = "";
  int major = 0, minor = 0;
  for (CUresult code : {driver.deviceGetName(name, sizeof(name), device.device),
                        driver.deviceGetAttribute(
                            &major, kComputeCapabilityMajor, device.device),
                        driver.deviceGetAttribute(
                            &minor, kComputeCapabilityMinor, device.device),
                        driver.deviceGetAttribute(&device.maxSharedBytes,
                                                  kMaxSharedMemoryPerBlockOptin,
                                                  device.device)})
    if (Status status = driver.check("cuDeviceGetAttribute", code); !status)
      return status.error();
  device.deviceName = name;
  device.computeCapability = 10 * major + minor;
  CUcontext context = nullptr;
  if (Status status =
          driver.check("cuDevicePrimaryCtxRetain",
                       driver.primaryCtxRetain(&context, device.device));
      !status)
    return status.error();
  device.retained = true;
  if (Status status =
          driver.check("cuCtxSetCurrent", driver.ctxSetCurrent(context));
      !status)
    return status.error();
  return device;
}

CudaDevice::CudaDevice(CudaDevice &&other) noexcept
    : driver(other.driver), device(other.device),
      retained(std::exchange(other.retained, false)),
      deviceName(std::move(other.deviceName)),
      computeCapability(other.computeCapability),
      maxSharedBytes(other.maxSharedBytes),
      allocations(std::exchange(other.allocations, {})) {}

CudaDevice::~CudaDevice() {
  // Nobody is left to hear of errors here.
  for (uint64_t address : allocations)
    (void)driver->memFree(address);
  if (retained)
    (void)driver->primaryCtxRelease(device);
}

Result<uint64_t> CudaDevice::allocate(size_t bytes) {
  CUdeviceptr address = 0;
  // The driver refuses empty allocations.
  if (Status status = driver->check(
          "cuMemAlloc", driver->memAlloc(&address, bytes ? bytes : 1));
      !status)
    return Error{status.error().message + ": " + std::to_string(bytes) +
                 " bytes"};
  allocations.push_back(address);
  return address;
}

Status CudaDevice::write(uint64_t address, const void *from, size_t bytes) {
  return driver->check("cuMemcpyHtoD",
                       driver->memcpyHtoD(address, from, bytes));
}

Status CudaDevice::read(uint64_t address, void *to, size_t bytes) {
  return driver->check("cuMemcpyDtoH", driver->memcpyDtoH(to, address, bytes));
}

Status CudaDevice::synchronize() {
  return driver->check("cuCtxSynchronize", driver->ctxSynchronize());
}

Result<std::vector<double>>
CudaDevice::time(const std::function<Status()> &work, unsigned warmUp,
                 unsigned repeats) {
  for (unsigned i = 0; i < warmUp; ++i)
    if (Status status = work(); !status)
      return status.error();
  // Calls queue up behind each other, with an event between them: the time of
  // starting one from the host is hidden behind the one before.
  struct Events {
    const Driver &driver;
    std::vector<CUevent> handles;
    ~Events() {
      for (CUevent event : handles)
        (void)driver.eventDestroy(event);
    }
  } events{*driver, {}};
  for (unsigned i = 0; i <= repeats; ++i) {
    CUevent event = nullptr;
    if (Status status =
            driver->check("cuEventCreate", driver->eventCreate(&event, 0));
        !status)
      return status.error();
    events.handles.push_back(event);
  }
  for (unsigned i = 0; i <= repeats; ++i) {
    if (i > 0)
      if (Status status = work(); !status)
        return status.error();
    if (Status status = driver->check(
            "cuEventRecord", driver->eventRecord(events.handles[i], nullptr));
        !status)
      return status.error();
  }
  if (Status status =
          driver->check("cuEventSynchronize",
                        driver->eventSynchronize(events.handles.back()));
      !status)
    return status.error();
  std::vector<double> milliseconds;
  for (unsigned i = 0; i < repeats; ++i) {
    float elapsed = 0;
    if (Status status =
            driver->check("cuEventElapsedTime",
                          driver->eventElapsedTime(&elapsed, events.handles[i],
                                                   events.handles[i + 1]));
        !status)
      return status.error();
    milliseconds.push_back(elapsed);
  }
  return milliseconds;
}

//===----------------------------------------------------------------------===//
// CudaKernels
//===----------------------------------------------------------------------===//

Status CudaKernels::loadModule(const Package &package) {
  const Driver &driver = *device->driver;
  Status refusedCubin = Success{};
  if (!package.cubin.empty() &&
      runsAsCubin(manifest.chip, device->capability())) {
    CUresult code = driver.moduleLoadDataEx(&module, package.cubin.data(), 0,
                                            nullptr, nullptr);
    if (code == kSuccess) {
      loadedFrom = "cubin";
      return Success{};
    }
    refusedCubin = driver.check("cuModuleLoadDataEx of the cubin", code);
    // Another driver may know the PTX all the same; anything else is final.
    if (code != kInvalidImage && code != kNoBinaryForGpu)
      return refusedCubin;
  }
  std::vector<char> log(8192);
  int options[] = {kJitErrorLogBuffer, kJitErrorLogBufferBytes};
  void *values[] = {log.data(), reinterpret_cast<void *>(log.size())};
  Status status =
      driver.check("cuModuleLoadDataEx",
                   driver.moduleLoadDataEx(&module, package.ptx.c_str(), 2,
                                           options, values));
  log.back() = 0;
  loadedFrom = "PTX";
  if (status)
    return status;
  std::string message = status.error().message;
  if (log[0])
    message += ": " + std::string(log.data());
  return Error{message};
}

Result<CudaKernels> CudaKernels::load(CudaDevice &device,
                                      const Package &package) {
  CudaKernels kernels(device, package.manifest);
  const Manifest &manifest = package.manifest;
  if (!runsAsPtx(manifest.chip, device.capability())) {
    ChipName chip = parseChip(manifest.chip);
    return Error{
        "compute capability: expected " + capabilityText(chip.capability) +
        (chip.exact ? " exactly" : " or higher") + ", as the package is for " +
        manifest.chip + ", got " + capabilityText(device.capability()) + " (" +
        device.name() + ")"};
  }
  for (const KernelLaunch &launch : manifest.launches())
    if (launch.dynamicSharedBytes > device.sharedLimit())
      return Error{"shared memory: kernel '" + launch.entry + "' takes " +
                   std::to_string(launch.dynamicSharedBytes) +
                   " bytes per CTA, got a device with " +
                   std::to_string(device.sharedLimit()) + " (" + device.name() +
                   ")"};
  if (Status status = kernels.loadModule(package); !status)
    return status.error();
  const Driver &driver = *device.driver;
  for (const KernelLaunch &launch : manifest.launches()) {
    CUfunction function = nullptr;
    if (Status status =
            driver.check("cuModuleGetFunction",
                         driver.moduleGetFunction(&function, kernels.module,
                                                  launch.entry.c_str()));
        !status)
      return Error{"kernel '" + launch.entry + "': " + status.error().message};
    if (Status status = driver.check(
            "cuFuncSetAttribute",
            driver.funcSetAttribute(function, kMaxDynamicSharedSizeBytes,
                                    int(launch.dynamicSharedBytes)));
        !status)
      return Error{"kernel '" + launch.entry + "': " + status.error().message};
    kernels.functions.push_back(function);
  }
  return kernels;
}

CudaKernels::CudaKernels(CudaKernels &&other) noexcept
    : device(other.device), manifest(std::move(other.manifest)),
      module(std::exchange(other.module, nullptr)),
      loadedFrom(other.loadedFrom), functions(std::move(other.functions)) {}

CudaKernels::~CudaKernels() {
  if (module)
    (void)device->driver->moduleUnload(module);
}

Status CudaKernels::launchOne(const KernelLaunch &launch, CUfunction function,
                              const LaunchArguments &arguments) {
  Result<LaunchShape> shape = computeLaunchShape(launch, arguments.sizes);
  if (!shape)
    return shape.error();
  Result<std::vector<std::byte>> parameters =
      packArguments(manifest, launch, arguments);
  if (!parameters)
    return parameters.error();
  size_t size = parameters->size();
  void *extra[] = {kLaunchBufferPointer, parameters->data(), kLaunchBufferSize,
                   &size, kLaunchEnd};
  const Driver &driver = *device->driver;
  auto [gridX, gridY, gridZ] = shape->grid;
  auto [blockX, blockY, blockZ] = shape->block;
  auto [clusterX, clusterY, clusterZ] = shape->cluster;
  if (clusterX * clusterY * clusterZ == 1)
    return driver.check("cuLaunchKernel",
                        driver.launchKernel(function, gridX, gridY, gridZ,
                                            blockX, blockY, blockZ,
                                            shape->dynamicSharedBytes, nullptr,
                                            nullptr, extra));
  if (!driver.launchKernelEx)
    return Error{"CUDA driver: expected the entry point cuLaunchKernelEx for a "
                 "kernel with clusters, got a library without it"};
  LaunchAttribute attribute{};
  attribute.id = kLaunchAttributeClusterDimension;
  attribute.clusterDim[0] = clusterX;
  attribute.clusterDim[1] = clusterY;
  attribute.clusterDim[2] = clusterZ;
  LaunchConfig config{gridX,
                      gridY,
                      gridZ,
                      blockX,
                      blockY,
                      blockZ,
                      shape->dynamicSharedBytes,
                      nullptr,
                      &attribute,
                      1};
  return driver.check("cuLaunchKernelEx",
                      driver.launchKernelEx(&config, function, nullptr, extra));
}

Status CudaKernels::launch(const LaunchArguments &arguments) {
  std::vector<KernelLaunch> launches = manifest.launches();
  for (size_t i = 0; i < launches.size(); ++i)
    if (Status status = launchOne(launches[i], functions[i], arguments);
        !status)
      return status;
  return Success{};
}

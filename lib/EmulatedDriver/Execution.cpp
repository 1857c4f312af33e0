//===- Execution.cpp - Modules, launches, streams and events --------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Driver.h"

#include "flash/Runtime/CudaDevice.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

using namespace flash;
using namespace flash::emulated;
using namespace flash::runtime::cuda;

namespace {

/// ELF files are cubins; the other number begins a fatbin (fatbinary.h).
bool isMachineCode(const void *image) {
  uint32_t magic;
  std::memcpy(&magic, image, sizeof(magic));
  return magic == 0x464c457fu || magic == 0xba55ed50u;
}

/// Puts `message` where the options ask for the log of errors.
void writeLog(const std::string &message, unsigned numOptions,
              const int *options, void *const *values) {
  char *buffer = nullptr;
  size_t size = 0;
  for (unsigned i = 0; i < numOptions; ++i) {
    if (options[i] == kJitErrorLogBuffer)
      buffer = static_cast<char *>(values[i]);
    if (options[i] == kJitErrorLogBufferBytes)
      size = size_t(uint32_t(reinterpret_cast<uintptr_t>(values[i])));
  }
  if (buffer && size)
    std::snprintf(buffer, size, "%s", message.c_str());
}

/// What a GPU would say of the first thing that the emulator found; a GPU says
/// nothing of races.
CUresult errorOf(const emu::Report &report) {
  switch (report.issues.empty() ? emu::IssueKind::Race
                                : report.issues.front().kind) {
  case emu::IssueKind::OutOfBounds:
    return kIllegalAddress;
  case emu::IssueKind::Misaligned:
    return kMisalignedAddress;
  case emu::IssueKind::Deadlock:
  case emu::IssueKind::Budget:
    return kLaunchTimeout;
  case emu::IssueKind::Launch:
    return kInvalidValue;
  default:
    return kLaunchFailed;
  }
}

struct LaunchRequest {
  std::array<uint32_t, 3> grid, block, cluster = {1, 1, 1};
  unsigned sharedBytes = 0;
};

/// The parameter buffer from either way of passing arguments; false where
/// neither was used as it must be.
bool gatherArguments(const emu::KernelInfo &kernel, void **parameters,
                     void **extra, std::vector<std::byte> &bytes) {
  if (extra) {
    const void *buffer = nullptr;
    size_t size = 0;
    for (; *extra != kLaunchEnd; extra += 2) {
      if (*extra == kLaunchBufferPointer)
        buffer = extra[1];
      else if (*extra == kLaunchBufferSize)
        size = *static_cast<size_t *>(extra[1]);
      else
        return false;
    }
    const auto *first = static_cast<const std::byte *>(buffer);
    bytes.assign(first, first + size);
    return true;
  }
  if (!parameters && !kernel.params.empty())
    return false;
  emu::ArgumentBuffer arguments(kernel);
  for (unsigned i = 0; i < kernel.params.size(); ++i)
    arguments.setBytes(i, parameters[i], kernel.params[i].size);
  bytes = arguments.bytes();
  return true;
}

CUresult launch(CUfunction handle, const LaunchRequest &request,
                void **parameters, void **extra) {
  Call call;
  if (call.code != kSuccess)
    return call.code;
  State &state = call.state;
  auto *function = static_cast<Function *>(handle);
  if (!function || !state.modules.find(function->module))
    return kInvalidHandle;
  // As on a GPU, more than 48 KiB need cuFuncSetAttribute first.
  if (request.sharedBytes > unsigned(function->maxDynamicShared)) {
    std::fprintf(stderr,
                 "flash emulated driver: kernel '%s': expected at most %d "
                 "bytes of dynamic shared memory, as "
                 "CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES says, got "
                 "%u\n",
                 function->name.c_str(), function->maxDynamicShared,
                 request.sharedBytes);
    return kInvalidValue;
  }
  const emu::Module &module = *function->module->code;
  std::vector<std::byte> arguments;
  if (!gatherArguments(*module.kernel(function->name), parameters, extra,
                       arguments))
    return kInvalidValue;
  emu::LaunchConfig config;
  config.grid = request.grid;
  config.block = request.block;
  config.cluster = request.cluster;
  config.dynamicSharedBytes = request.sharedBytes;
  config.chip = state.chip;
  config.async = state.async;
  config.seed = state.seed;
  emu::Report report =
      emu::launch(module, function->name, arguments, state.device, config);
  if (report.ok)
    return kSuccess;
  for (const emu::Issue &issue : report.issues)
    std::fprintf(stderr, "flash emulated driver: %s\n", issue.str().c_str());
  return errorOf(report);
}

} // namespace

//===----------------------------------------------------------------------===//
// Modules
//===----------------------------------------------------------------------===//

FLASH_DRIVER_EXPORT cuModuleLoadDataEx(CUmodule *handle, const void *image,
                                       unsigned numOptions, int *options,
                                       void **values) {
  Call call;
  if (call.code != kSuccess || !image)
    return call.code ? call.code : kInvalidValue;
  if (isMachineCode(image))
    return kNoBinaryForGpu;
  emu::Diagnostic diagnostic;
  std::unique_ptr<emu::Module> code =
      emu::Module::parse(static_cast<const char *>(image), diagnostic);
  State &state = call.state;
  if (code && !runtime::runsAsPtx(code->target(),
                                  std::atoi(state.chipText.c_str() + 3))) {
    diagnostic.message = "expected a .target that runs on " + state.chipText +
                         ", got " + std::string(code->target());
    code.reset();
  }
  if (!code) {
    writeLog(diagnostic.str(), numOptions, options, values);
    return kInvalidPtx;
  }
  Module *module = state.modules.make();
  for (const emu::KernelInfo &kernel : code->kernels())
    module->functions[kernel.name] = {module, kernel.name};
  module->code = std::move(code);
  *handle = module;
  return kSuccess;
}

FLASH_DRIVER_EXPORT cuModuleLoadData(CUmodule *handle, const void *image) {
  return cuModuleLoadDataEx(handle, image, 0, nullptr, nullptr);
}

FLASH_DRIVER_EXPORT cuModuleUnload(CUmodule handle) {
  Call call;
  if (call.code != kSuccess)
    return call.code;
  return call.state.modules.erase(handle) ? kSuccess : kInvalidHandle;
}

FLASH_DRIVER_EXPORT cuModuleGetFunction(CUfunction *function, CUmodule handle,
                                        const char *name) {
  Call call;
  if (call.code != kSuccess)
    return call.code;
  Module *module = call.state.modules.find(handle);
  if (!module)
    return kInvalidHandle;
  auto it = module->functions.find(std::string_view(name));
  if (it == module->functions.end())
    return kNotFound;
  *function = &it->second;
  return kSuccess;
}

FLASH_DRIVER_EXPORT cuFuncSetAttribute(CUfunction handle, int attribute,
                                       int value) {
  int most = 0;
  if (CUresult code =
          cuDeviceGetAttribute(&most, kMaxSharedMemoryPerBlockOptin, 0))
    return code;
  Call call;
  auto *function = static_cast<Function *>(handle);
  if (call.code != kSuccess || !function)
    return call.code ? call.code : kInvalidHandle;
  if (attribute != kMaxDynamicSharedSizeBytes || value < 0 || value > most)
    return kInvalidValue;
  function->maxDynamicShared = std::max(value, 48 * 1024);
  return kSuccess;
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

FLASH_DRIVER_EXPORT cuLaunchKernel(CUfunction function, unsigned gridX,
                                   unsigned gridY, unsigned gridZ,
                                   unsigned blockX, unsigned blockY,
                                   unsigned blockZ, unsigned sharedBytes,
                                   CUstream, void **parameters, void **extra) {
  LaunchRequest request;
  request.grid = {gridX, gridY, gridZ};
  request.block = {blockX, blockY, blockZ};
  request.sharedBytes = sharedBytes;
  return launch(function, request, parameters, extra);
}

FLASH_DRIVER_EXPORT cuLaunchKernelEx(const LaunchConfig *config,
                                     CUfunction function, void **parameters,
                                     void **extra) {
  LaunchRequest request;
  request.grid = {config->gridX, config->gridY, config->gridZ};
  request.block = {config->blockX, config->blockY, config->blockZ};
  request.sharedBytes = config->sharedBytes;
  for (unsigned i = 0; i < config->numAttributes; ++i) {
    if (config->attributes[i].id != kLaunchAttributeClusterDimension)
      return kNotSupported;
    const unsigned (&extents)[3] = config->attributes[i].clusterDim;
    request.cluster = {extents[0], extents[1], extents[2]};
  }
  return launch(function, request, parameters, extra);
}

//===----------------------------------------------------------------------===//
// Streams and events: every call is done when it returns
//===----------------------------------------------------------------------===//

FLASH_DRIVER_EXPORT cuStreamCreate(CUstream *stream, unsigned) {
  Call call;
  *stream = call.code == kSuccess ? call.state.streams.make() : nullptr;
  return call.code;
}

FLASH_DRIVER_EXPORT cuStreamDestroy_v2(CUstream stream) {
  Call call;
  if (call.code != kSuccess)
    return call.code;
  return call.state.streams.erase(stream) ? kSuccess : kInvalidHandle;
}

FLASH_DRIVER_EXPORT cuStreamSynchronize(CUstream) { return Call().code; }
FLASH_DRIVER_EXPORT cuStreamQuery(CUstream) { return Call().code; }
FLASH_DRIVER_EXPORT cuStreamWaitEvent(CUstream, CUevent, unsigned) {
  return Call().code;
}

FLASH_DRIVER_EXPORT cuEventCreate(CUevent *event, unsigned) {
  Call call;
  *event = call.code == kSuccess ? call.state.events.make() : nullptr;
  return call.code;
}

FLASH_DRIVER_EXPORT cuEventDestroy_v2(CUevent event) {
  Call call;
  if (call.code != kSuccess)
    return call.code;
  return call.state.events.erase(event) ? kSuccess : kInvalidHandle;
}

FLASH_DRIVER_EXPORT cuEventRecord(CUevent handle, CUstream) {
  Call call;
  Event *event = call.state.events.find(handle);
  if (call.code != kSuccess || !event)
    return call.code ? call.code : kInvalidHandle;
  event->recorded = std::chrono::steady_clock::now();
  event->isRecorded = true;
  return kSuccess;
}

FLASH_DRIVER_EXPORT cuEventSynchronize(CUevent handle) {
  Call call;
  if (call.code != kSuccess)
    return call.code;
  return call.state.events.find(handle) ? kSuccess : kInvalidHandle;
}

FLASH_DRIVER_EXPORT cuEventQuery(CUevent handle) {
  return cuEventSynchronize(handle);
}

/// How long the emulator took, not how long a GPU would.
FLASH_DRIVER_EXPORT cuEventElapsedTime(float *milliseconds, CUevent start,
                                       CUevent end) {
  Call call;
  Event *from = call.state.events.find(start);
  Event *to = call.state.events.find(end);
  if (call.code != kSuccess || !from || !to || !from->isRecorded ||
      !to->isRecorded)
    return call.code ? call.code : kInvalidHandle;
  *milliseconds =
      std::chrono::duration<float, std::milli>(to->recorded - from->recorded)
          .count();
  return kSuccess;
}

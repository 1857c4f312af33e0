//===- Device.cpp - Device, contexts and errors ---------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Driver.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

using namespace flash;
using namespace flash::emulated;
using namespace flash::runtime::cuda;

thread_local bool flash::emulated::contextIsCurrent = false;

namespace {

/// The one context: any address that is not null.
int contextTag;
CUcontext theContext() { return &contextTag; }

struct ErrorText {
  CUresult code;
  const char *name, *text;
};
constexpr ErrorText kErrors[] = {
    {kSuccess, "CUDA_SUCCESS", "no error"},
    {kInvalidValue, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {kOutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {kNotInitialised, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {kNoDevice, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {kInvalidDevice, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {kInvalidImage, "CUDA_ERROR_INVALID_IMAGE",
     "device kernel image is invalid"},
    {kInvalidContext, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {kNoBinaryForGpu, "CUDA_ERROR_NO_BINARY_FOR_GPU",
     "no kernel image is available for execution on the device"},
    {kInvalidPtx, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    {kInvalidHandle, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {kNotFound, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {kIllegalAddress, "CUDA_ERROR_ILLEGAL_ADDRESS",
     "an illegal memory access was encountered"},
    {kLaunchOutOfResources, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES",
     "too many resources requested for launch"},
    {kLaunchTimeout, "CUDA_ERROR_LAUNCH_TIMEOUT",
     "the launch timed out and was terminated"},
    {kMisalignedAddress, "CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"},
    {kLaunchFailed, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {kNotSupported, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
};

const ErrorText *findError(CUresult code) {
  for (const ErrorText &error : kErrors)
    if (error.code == code)
      return &error;
  return nullptr;
}

const char *environment(const char *name) {
  const char *value = std::getenv(name);
  return value && *value ? value : nullptr;
}

/// Reads the settings; false after a message about one that is wrong.
bool readSettings(State &state) {
  auto refuse = [](const char *name, const char *expected, const char *got) {
    std::fprintf(stderr, "flash emulated driver: %s: expected %s, got '%s'\n",
                 name, expected, got);
    return false;
  };
  if (const char *text = environment("FLASH_EMULATED_CHIP")) {
    std::optional<emu::Chip> chip = emu::parseChip(text);
    if (!chip)
      return refuse("FLASH_EMULATED_CHIP", "a chip such as sm_80", text);
    state.chip = *chip;
    state.chipText = text;
  }
  if (const char *text = environment("FLASH_EMULATED_ASYNC")) {
    std::optional<emu::AsyncMode> async = emu::parseAsyncMode(text);
    if (!async)
      return refuse("FLASH_EMULATED_ASYNC", "eager, lazy or random", text);
    state.async = *async;
  }
  struct Number {
    const char *name;
    uint64_t &value;
  };
  for (const Number &number :
       {Number{"FLASH_EMULATED_SEED", state.seed},
        Number{"FLASH_EMULATED_MEMORY", state.totalBytes}})
    if (const char *text = environment(number.name)) {
      char *end = nullptr;
      number.value = std::strtoull(text, &end, 10);
      if (*end)
        return refuse(number.name, "an integer", text);
    }
  return true;
}

/// The limits that kernels of these chips are compiled for.
int sharedLimit(emu::Chip chip) {
  switch (chip) {
  case emu::Chip::SM80:
    return 163 * 1024;
  case emu::Chip::SM86:
  case emu::Chip::SM89:
  case emu::Chip::SM120:
    return 99 * 1024;
  default:
    return 227 * 1024;
  }
}

} // namespace

State &State::get() {
  // Never destroyed: callers may use it from destructors of their own.
  static State *state = new State;
  return *state;
}

Call::Call(Needs needs) : state(State::get()), lock(state.mutex) {
  code = !state.initialised                      ? kNotInitialised
         : needs == Context && !contextIsCurrent ? kInvalidContext
                                                 : kSuccess;
}

/// Only this driver has it: callers know by it that times are the emulator's.
FLASH_DRIVER_EXPORT flashEmulatedDriver() { return kSuccess; }

FLASH_DRIVER_EXPORT cuInit(unsigned flags) {
  State &state = State::get();
  std::lock_guard<std::mutex> lock(state.mutex);
  if (flags != 0 || !readSettings(state))
    return kInvalidValue;
  state.initialised = true;
  return kSuccess;
}

FLASH_DRIVER_EXPORT cuDriverGetVersion(int *version) {
  // The version of the interface that the entry points follow.
  *version = 12000;
  return kSuccess;
}

FLASH_DRIVER_EXPORT cuGetErrorName(CUresult code, const char **text) {
  const ErrorText *error = findError(code);
  *text = error ? error->name : nullptr;
  return error ? kSuccess : kInvalidValue;
}

FLASH_DRIVER_EXPORT cuGetErrorString(CUresult code, const char **text) {
  const ErrorText *error = findError(code);
  *text = error ? error->text : nullptr;
  return error ? kSuccess : kInvalidValue;
}

FLASH_DRIVER_EXPORT cuDeviceGetCount(int *count) {
  Call call(Call::Initialised);
  *count = 1;
  return call.code;
}

FLASH_DRIVER_EXPORT cuDeviceGet(CUdevice *device, int ordinal) {
  Call call(Call::Initialised);
  *device = 0;
  return call.code == kSuccess && ordinal != 0 ? kInvalidDevice : call.code;
}

FLASH_DRIVER_EXPORT cuDeviceGetName(char *name, int size, CUdevice device) {
  Call call(Call::Initialised);
  if (call.code != kSuccess || device != 0 || size < 1)
    return call.code ? call.code : kInvalidValue;
  std::snprintf(name, size_t(size), "Flash emulator of %s",
                call.state.chipText.c_str());
  return kSuccess;
}

FLASH_DRIVER_EXPORT cuDeviceGetAttribute(int *value, int attribute,
                                         CUdevice device) {
  Call call(Call::Initialised);
  if (call.code != kSuccess || device != 0)
    return call.code ? call.code : kInvalidDevice;
  int capability = std::atoi(call.state.chipText.c_str() + 3);
  switch (attribute) {
  case kMultiprocessorCount:
    *value = 1;
    return kSuccess;
  case kL2CacheSize:
    *value = 0;
    return kSuccess;
  case kComputeCapabilityMajor:
    *value = capability / 10;
    return kSuccess;
  case kComputeCapabilityMinor:
    *value = capability % 10;
    return kSuccess;
  case kMaxSharedMemoryPerBlockOptin:
    *value = sharedLimit(call.state.chip);
    return kSuccess;
  default:
    return kInvalidValue;
  }
}

FLASH_DRIVER_EXPORT cuDevicePrimaryCtxRetain(CUcontext *context,
                                             CUdevice device) {
  Call call(Call::Initialised);
  if (call.code != kSuccess || device != 0)
    return call.code ? call.code : kInvalidDevice;
  ++call.state.contextUsers;
  *context = theContext();
  return kSuccess;
}

FLASH_DRIVER_EXPORT cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  Call call(Call::Initialised);
  if (call.code != kSuccess || device != 0 || call.state.contextUsers == 0)
    return call.code ? call.code : kInvalidContext;
  --call.state.contextUsers;
  return kSuccess;
}

FLASH_DRIVER_EXPORT cuCtxSetCurrent(CUcontext context) {
  Call call(Call::Initialised);
  if (call.code != kSuccess || (context && context != theContext()))
    return call.code ? call.code : kInvalidContext;
  contextIsCurrent = context != nullptr;
  return kSuccess;
}

FLASH_DRIVER_EXPORT cuCtxGetCurrent(CUcontext *context) {
  Call call(Call::Initialised);
  *context = contextIsCurrent ? theContext() : nullptr;
  return call.code;
}

FLASH_DRIVER_EXPORT cuCtxGetDevice(CUdevice *device) {
  Call call;
  *device = 0;
  return call.code;
}

FLASH_DRIVER_EXPORT cuCtxSynchronize() { return Call().code; }

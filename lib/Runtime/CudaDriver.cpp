//===- CudaDriver.cpp - Opening the CUDA driver ---------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Runtime/CudaDriver.h"

#include <cstdlib>
#include <cstring>
#include <dlfcn.h>

using namespace flash::runtime;
using namespace flash::runtime::cuda;

namespace {

/// Where CUDA drivers are: the loader's own search finds the usual one.
constexpr const char *kUsual[] = {"libcuda.so.1", "libcuda.so",
                                  "/usr/lib/wsl/lib/libcuda.so.1"};

Result<void *> openLibrary() {
  if (const char *path = std::getenv("FLASH_CUDA_DRIVER"); path && *path) {
    if (void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL))
      return library;
    return Error{"CUDA driver: cannot open the one that FLASH_CUDA_DRIVER "
                 "names: " +
                 std::string(dlerror())};
  }
  for (const char *path : kUsual)
    if (void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL))
      return library;
  return Error{"CUDA driver: expected one, found none: looked for "
               "FLASH_CUDA_DRIVER (not set), then libcuda.so.1 and libcuda.so "
               "where the loader searches (LD_LIBRARY_PATH, /etc/ld.so.cache, "
               "/lib, /usr/lib), then /usr/lib/wsl/lib/libcuda.so.1"};
}

Result<Driver> load() {
  Result<void *> library = openLibrary();
  if (!library)
    return library.error();
  Driver driver;
#define FUNCTION(member, symbol, parameters)                                   \
  driver.member =                                                              \
      reinterpret_cast<decltype(driver.member)>(dlsym(*library, #symbol));
  FLASH_CUDA_DRIVER_FUNCTIONS(FUNCTION)
  FLASH_CUDA_DRIVER_OPTIONAL_FUNCTIONS(FUNCTION)
#undef FUNCTION
#define FUNCTION(member, symbol, parameters)                                   \
  if (!driver.member)                                                          \
    return Error{"CUDA driver: expected the entry point " #symbol              \
                 ", got a library without it"};
  FLASH_CUDA_DRIVER_FUNCTIONS(FUNCTION)
#undef FUNCTION
  return driver;
}

} // namespace

Result<const Driver *> Driver::open() {
  static const Result<Driver> driver = load();
  if (!driver)
    return driver.error();
  return &*driver;
}

Status Driver::check(const char *call, CUresult code) const {
  if (code == kSuccess)
    return Success{};
  const char *name = nullptr, *text = nullptr;
  if (getErrorName(code, &name) != kSuccess || !name)
    return Error{std::string(call) + ": error " + std::to_string(code)};
  std::string message = std::string(call) + ": " + name;
  if (getErrorString(code, &text) == kSuccess && text)
    message += std::string(" (") + text + ")";
  return Error{message};
}

//===- Driver.h - State of the emulated CUDA driver -------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A shared library with the entry points of the CUDA driver, on top of the PTX
// emulator: whatever launches PTX through the driver runs on a machine without
// a GPU, with the emulator's checks. One device; streams and events exist, and
// everything is done when a call returns. Environment:
//
//   FLASH_EMULATED_CHIP   sm_80, ..., the chip to be (sm_90)
//   FLASH_EMULATED_ASYNC  eager (default), lazy or random asynchronous copies
//   FLASH_EMULATED_MEMORY bytes of device memory (2^32); the host needs twice
//                         what is allocated, as every byte has a mark
//   FLASH_EMULATED_SEED   of random and of the order of warps (0)
//
// A launch in which the emulator finds something (a race, a deadlock, an access
// out of bounds, ...) fails; its report goes to stderr.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATEDDRIVER_DRIVER_H
#define FLASH_LIB_EMULATEDDRIVER_DRIVER_H

#include "flash/Emulator/Emulator.h"
#include "flash/Runtime/CudaDriver.h"

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <set>

/// In front of every entry point.
#define FLASH_DRIVER_EXPORT                                                    \
  extern "C"                                                                   \
      __attribute__((visibility("default"))) flash::runtime::cuda::CUresult

// Declared here, so that no definition can differ from what Flash calls.
#define FUNCTION(member, symbol, parameters)                                   \
  namespace flash::runtime::cuda {                                             \
  extern "C" CUresult symbol parameters;                                       \
  }
FLASH_CUDA_DRIVER_FUNCTIONS(FUNCTION)
FLASH_CUDA_DRIVER_OPTIONAL_FUNCTIONS(FUNCTION)
#undef FUNCTION

namespace flash::emulated {

struct Module;

struct Function {
  Module *module = nullptr;
  std::string name;
  int maxDynamicShared = 48 * 1024;
};

struct Module {
  std::unique_ptr<emu::Module> code;
  std::map<std::string, Function, std::less<>> functions;
};

struct Event {
  std::chrono::steady_clock::time_point recorded;
  bool isRecorded = false;
};

struct Stream {};

/// The objects of one kind that callers hold handles of.
template <typename T> class Handles {
public:
  T *make() {
    auto object = std::make_unique<T>();
    T *handle = object.get();
    objects[handle] = std::move(object);
    return handle;
  }
  T *find(void *handle) const {
    auto it = objects.find(handle);
    return it == objects.end() ? nullptr : it->second.get();
  }
  bool erase(void *handle) { return objects.erase(handle) > 0; }

private:
  std::map<void *, std::unique_ptr<T>> objects;
};

/// Everything, behind one lock.
struct State {
  std::mutex mutex;
  bool initialised = false;
  emu::Chip chip = emu::Chip::SM90;
  std::string chipText = "sm_90";
  emu::AsyncMode async = emu::AsyncMode::Eager;
  uint64_t seed = 0;
  uint64_t totalBytes = uint64_t(4) << 30;
  int contextUsers = 0;

  emu::Device device;
  uint64_t numAllocations = 0, allocatedBytes = 0;
  Handles<Module> modules;
  Handles<Event> events;
  Handles<Stream> streams;

  static State &get();
};

/// Holds the lock; `code` is why a call cannot be served, if it cannot.
struct Call {
  enum Needs { Initialised, Context };
  explicit Call(Needs needs = Context);
  State &state;
  std::lock_guard<std::mutex> lock;
  runtime::cuda::CUresult code;
};

/// The context that is current in this thread; there is only one to be.
extern thread_local bool contextIsCurrent;

} // namespace flash::emulated

#endif // FLASH_LIB_EMULATEDDRIVER_DRIVER_H

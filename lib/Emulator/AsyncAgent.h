//===- AsyncAgent.h - Who completes work later ------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a cluster asks of an engine that has operations in flight (bulk and
// tensor copies, tcgen05 pipelines, arrivals of cp.async).
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_ASYNCAGENT_H
#define FLASH_LIB_EMULATOR_ASYNCAGENT_H

#include <cstdint>
#include <string>

namespace flash::emu {

struct Cta;
struct Random;

class AsyncAgent {
public:
  virtual ~AsyncAgent() = default;
  /// A new cluster starts: nothing is in flight.
  virtual void reset() = 0;
  /// Somebody waits at the mbarrier at `offset` of Cluster::shared: completes
  /// the oldest operation in flight that arrives or delivers bytes there.
  /// False if there is none.
  virtual bool demand(uint32_t offset) = 0;
  /// Random mode: completes some operations, or none.
  virtual void step(Random &random) = 0;
  /// All threads of `cta` have ended: what it issued still takes effect.
  virtual void drain(Cta &cta) = 0;
  /// What is in flight, a line of text each, for reports of deadlocks; each
  /// begins with a newline and two spaces.
  virtual std::string pending() const = 0;
};

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_ASYNCAGENT_H

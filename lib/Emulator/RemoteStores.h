//===- RemoteStores.h - st.async and red.async ------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Stores and reductions into the shared memory of a cluster that deliver their
// bytes to an mbarrier of the CTA they write to.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_REMOTESTORES_H
#define FLASH_LIB_EMULATOR_REMOTESTORES_H

#include "AsyncAgent.h"
#include "Program.h"

#include <array>
#include <cstddef>
#include <deque>

namespace flash::emu {

class Decoder;
struct Cluster;
struct Warp;

class RemoteStores : public AsyncAgent {
public:
  /// One lane's operation.
  struct Store {
    Warp *warp;
    const Inst *inst;
    unsigned lane;
    uint32_t serial; ///< Names it to the checker.
    uint32_t to;     ///< Offset in Cluster::shared.
    uint32_t mbarrier;
    uint32_t bytes; ///< 4, 8 or 16.
    std::array<std::byte, 16> data;
  };

  explicit RemoteStores(Cluster &cluster) : cluster(cluster) {}
  void issue(Store store);

  void reset() override { stores.clear(); }
  bool demand(uint32_t offset) override;
  void step(Random &random) override;
  void drain(Cta &cta) override;
  std::string pending() const override;

private:
  void complete(const Store &store);

  Cluster &cluster;
  std::deque<Store> stores;
};

/// Decode st.async and red.async; the root and "async" are consumed.
bool decodeStoreAsync(Decoder &d);
bool decodeReduceAsync(Decoder &d);

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_REMOTESTORES_H

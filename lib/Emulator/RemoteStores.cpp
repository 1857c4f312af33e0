//===- RemoteStores.cpp - st.async and red.async ----------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RemoteStores.h"
#include "Cluster.h"
#include "Lanes.h"
#include "MemoryAccess.h"

#include <algorithm>
#include <cstring>

using namespace flash::emu;
using syntax::Operand;

namespace {

enum ReduceOp : uint8_t { Store, Add, Min, Max, And, Or, Xor, Inc, Dec };

template <typename T> T reduced(ReduceOp op, T old, T value) {
  using U = std::make_unsigned_t<T>;
  switch (op) {
  case Store:
    return value;
  case Add:
    return T(U(old) + U(value));
  case Min:
    return std::min(old, value);
  case Max:
    return std::max(old, value);
  case And:
    return T(old & value);
  case Or:
    return T(old | value);
  case Xor:
    return T(old ^ value);
  case Inc:
    return U(old) >= U(value) ? T(0) : T(old + 1);
  case Dec:
    return old == 0 || U(old) > U(value) ? value : T(old - 1);
  }
  return old;
}

template <typename T>
void reduce(ReduceOp op, std::byte *at, const std::byte *data) {
  T old, value;
  std::memcpy(&old, at, sizeof(T));
  std::memcpy(&value, data, sizeof(T));
  value = reduced(op, old, value);
  std::memcpy(at, &value, sizeof(T));
}

/// inst.sub: how the elements of a red.async are read.
constexpr uint8_t kSigned = 64;

} // namespace

void RemoteStores::issue(Store store) {
  Warp &warp = *store.warp;
  if (Checker *checker = cluster.checker.get()) {
    // Reductions of several lanes may meet.
    bool strong = store.inst->n != ReduceOp::Store;
    Accessor who{uint16_t(warp.agent), uint8_t(store.lane), strong,
                 warp.pcOf(*store.inst)};
    store.serial = cluster.nextCopy++;
    Finding finding =
        checker->beginCopy(who, store.serial, store.to, store.bytes);
    if (finding.kind != Finding::None)
      reportFinding(warp, *store.inst, store.lane, finding, true);
  }
  if (cluster.launch.config->async == AsyncMode::Eager) {
    complete(store);
    return;
  }
  // A reduction reads what is there; a store owns its bytes until it lands.
  if (store.inst->n == ReduceOp::Store)
    std::memset(cluster.shared.get() + store.to, 0xff, store.bytes);
  stores.push_back(store);
}

void RemoteStores::complete(const Store &store) {
  std::byte *at = cluster.shared.get() + store.to;
  auto op = ReduceOp(store.inst->n);
  bool isSigned = store.inst->sub & kSigned;
  if (op == ReduceOp::Store)
    std::memcpy(at, store.data.data(), store.bytes);
  else if (store.bytes == 8)
    reduce<uint64_t>(op, at, store.data.data());
  else if (isSigned)
    reduce<int32_t>(op, at, store.data.data());
  else
    reduce<uint32_t>(op, at, store.data.data());
  if (cluster.checker) {
    MbarrierTicket ticket = cluster.mbarriers.ticket(store.mbarrier);
    Accessor who{uint16_t(store.warp->agent), uint8_t(store.lane), false,
                 store.warp->pcOf(*store.inst)};
    cluster.checker->endCopy(who, store.serial, store.to, store.bytes,
                             ticket.slot, ticket.phase);
  }
  cluster.mbarriers.completeBytes(*store.warp, *store.inst, store.mbarrier,
                                  store.bytes);
}

bool RemoteStores::demand(uint32_t offset) {
  auto it = std::find_if(stores.begin(), stores.end(),
                         [&](const Store &s) { return s.mbarrier == offset; });
  if (it == stores.end())
    return false;
  Store store = *it;
  stores.erase(it);
  complete(store);
  return true;
}

void RemoteStores::step(Random &random) {
  std::deque<Store> rest;
  std::swap(rest, stores);
  for (Store &store : rest)
    if (random.below(2) && !cluster.launch.stop)
      complete(store);
    else
      stores.push_back(store);
}

void RemoteStores::drain(Cta &cta) {
  std::deque<Store> rest;
  std::swap(rest, stores);
  for (Store &store : rest)
    if (store.warp->cta == &cta && !cluster.launch.stop)
      complete(store);
    else
      stores.push_back(store);
}

std::string RemoteStores::pending() const {
  std::string text;
  for (const Store &store : stores) {
    const Program &program = *store.warp->program;
    text += "\n  " + cluster.describeWarp(store.warp->agent) + ", line " +
            std::to_string(program.meta[store.warp->pcOf(*store.inst)].line) +
            ": " + std::to_string(store.bytes) + " bytes on their way to " +
            cluster.describeShared(store.to);
  }
  return text;
}

//===----------------------------------------------------------------------===//
// Instructions
//===----------------------------------------------------------------------===//

namespace {

/// Addresses of operand rows `base` + constant `offset`.
void rowAddresses(const Warp &warp, uint32_t base, uint32_t offset, bool narrow,
                  uint64_t *address) {
  for (unsigned i = 0; i < 32; ++i)
    address[i] = narrow ? uint32_t(sourceRow<uint32_t>(warp, base)[i] + offset)
                        : sourceRow<uint64_t>(warp, base)[i] +
                              uint64_t(int64_t(int32_t(offset)));
}

/// extra: destination base, offset, narrow; mbarrier base, offset, narrow;
/// number of elements, bytes of one, then their rows.
void runStoreAsync(Warp &warp, const Inst &inst, uint32_t mask) {
  Cluster &cluster = warp.cta->cluster;
  const uint32_t *extra = &warp.program->extra[inst.extra];
  Access to, mbarrier;
  to.mask = mbarrier.mask = mask;
  to.isWrite = mbarrier.isWrite = true;
  unsigned count = extra[6], bytes = extra[7];
  to.bytes = count * bytes;
  mbarrier.bytes = 8;
  rowAddresses(warp, extra[0], extra[1], extra[2], to.address);
  rowAddresses(warp, extra[3], extra[4], extra[5], mbarrier.address);
  if (!resolve(warp, inst, StateSpace::Shared, to) ||
      !resolve(warp, inst, StateSpace::Shared, mbarrier))
    return;
  if (warp.memory) {
    uint32_t offset[32];
    for (unsigned i = 0; i < 32; ++i)
      offset[i] = uint32_t(to.address[i]);
    countShared(warp, inst, mask, offset, to.bytes, true);
  }
  for (uint32_t rest = mask; rest && !cluster.launch.stop; rest &= rest - 1) {
    unsigned lane = std::countr_zero(rest);
    RemoteStores::Store store;
    store.warp = &warp;
    store.inst = &inst;
    store.lane = lane;
    store.to = uint32_t(to.address[lane]);
    store.mbarrier = uint32_t(mbarrier.address[lane]);
    store.bytes = to.bytes;
    if (cluster.rankOf(store.to) != cluster.rankOf(store.mbarrier)) {
      warp.cta->fatal(IssueKind::Barrier, warp, &inst, 1u << lane,
                      "the mbarrier at " +
                          cluster.describeShared(store.mbarrier) +
                          ": expected it in the CTA that " +
                          cluster.describeShared(store.to) + " belongs to");
      return;
    }
    if (!cluster.mbarriers.check(warp, inst, 1u << lane, store.mbarrier))
      return;
    for (unsigned e = 0; e < count; ++e) {
      if (bytes == 8)
        std::memcpy(&store.data[e * 8],
                    &sourceRow<uint64_t>(warp, extra[8 + e])[lane], 8);
      else
        std::memcpy(&store.data[e * 4],
                    &sourceRow<uint32_t>(warp, extra[8 + e])[lane], 4);
    }
    cluster.remoteStores->issue(store);
  }
}

bool decodeCommon(Decoder &d, unsigned count, Type type) {
  unsigned bytes = bitsOf(type) / 8;
  if ((bytes != 4 && bytes != 8) || count * bytes > 16)
    return d.unsupported("expected elements of 4 or 8 bytes, 16 in all");
  if (!d.expectOperands(3, 3))
    return false;
  AddressOperand to = d.address(0), mbarrier = d.address(2);
  std::vector<uint32_t> rows;
  const Operand &data = d.operand(1);
  if (count == 1) {
    rows.push_back(d.source(data, type));
  } else {
    if (data.kind != Operand::Vector || data.elements.size() != count)
      return d.fail("data: expected a vector of " + std::to_string(count) +
                    " elements");
    for (const Operand &element : data.elements)
      rows.push_back(d.source(element, type));
  }
  d.meta.pipe = Pipe::LSU;
  d.inst.kind = Kind::Memory;
  d.inst.extra = d.extraSize();
  for (const AddressOperand &address : {to, mbarrier}) {
    d.pushExtra(address.hasBase ? address.base : d.constant64(0));
    d.pushExtra(uint32_t(address.offset));
    d.pushExtra(address.hasBase && !address.base64);
  }
  d.pushExtra(count);
  d.pushExtra(bytes);
  for (uint32_t row : rows)
    d.pushExtra(row);
  d.setHandler(runStoreAsync);
  return !d.failed();
}

/// Consumes what every form has; false where a part is missing.
bool takeCommon(Decoder &d) {
  for (std::string_view name : {"weak", "relaxed", "cluster"})
    d.take(name);
  d.take("shared::cluster");
  return d.take("mbarrier::complete_tx::bytes") ||
         d.unsupported("expected .mbarrier::complete_tx::bytes");
}

} // namespace

bool flash::emu::decodeStoreAsync(Decoder &d) {
  d.setCountName("st.async");
  if (!takeCommon(d))
    return false;
  unsigned count = d.take("v2") ? 2 : d.take("v4") ? 4 : 1;
  d.inst.n = ReduceOp::Store;
  return decodeCommon(d, count, d.takeType());
}

bool flash::emu::decodeReduceAsync(Decoder &d) {
  d.setCountName("red.async");
  if (!takeCommon(d))
    return false;
  static constexpr std::pair<std::string_view, ReduceOp> names[] = {
      {"add", Add}, {"min", Min}, {"max", Max}, {"and", And},
      {"or", Or},   {"xor", Xor}, {"inc", Inc}, {"dec", Dec}};
  for (auto [name, op] : names)
    if (d.take(name))
      d.inst.n = op;
  if (!d.inst.n)
    return d.unsupported("expected an operation");
  Type type = d.takeType();
  if (isFloat(type) || (bitsOf(type) == 64 && d.inst.n != Add))
    return d.unsupported("expected an integer of 32 bits, or .add.u64");
  if (isSigned(type))
    d.inst.sub |= kSigned;
  return decodeCommon(d, 1, type);
}

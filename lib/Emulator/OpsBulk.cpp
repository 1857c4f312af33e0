//===- OpsBulk.cpp - cp.async.bulk and its relatives ------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Decoding of bulk and tensor copies (PTX ISA, "Data Movement and Conversion
// Instructions: Bulk copy", "... Tensor copy"). The operands become a BulkForm;
// BulkIssue.cpp runs it.
//
//===----------------------------------------------------------------------===//

#include "AsyncBulk.h"
#include "BulkIssue.h"
#include "Memory.h"
#include "Ops.h"

#include <cstring>

using namespace flash::emu;
using syntax::Operand;

namespace {

void pushForm(Decoder &d, const BulkForm &form) {
  static_assert(sizeof(BulkForm) % 4 == 0);
  uint32_t words[sizeof(BulkForm) / 4];
  std::memcpy(words, &form, sizeof(form));
  d.inst.extra = d.extraSize();
  for (uint32_t word : words)
    d.pushExtra(word);
}

/// An address operand, of a tensor with `isTensor`: its variables get their
/// window's address then.
BulkAddress address(Decoder &d, size_t i, bool isTensor = false) {
  BulkAddress result;
  AddressOperand operand = isTensor ? d.address(d.operand(i)) : d.address(i);
  if (isTensor && operand.symbolSpace == StateSpace::Const)
    operand.offset += kConstWindow;
  else if (isTensor && operand.symbolSpace == StateSpace::Param)
    operand.offset += kParamWindow;
  result.narrow = operand.hasBase && !operand.base64;
  result.base = operand.hasBase ? operand.base : d.constant64(0);
  result.offset = result.narrow ? d.constant32(uint32_t(operand.offset))
                                : d.constant64(operand.offset);
  return result;
}

/// [map, {c0, c1, ...}]
bool tensorOperand(Decoder &d, size_t i, BulkAddress &map, BulkForm &form) {
  if (i >= d.operandCount() || d.operand(i).kind != Operand::Address ||
      d.operand(i).elements.size() != 2 ||
      d.operand(i).elements[1].kind != Operand::Vector)
    return d.fail("operand " + std::to_string(i + 1) +
                  ": expected a tensor [map, {coordinates}]");
  const std::vector<Operand> &coordinates = d.operand(i).elements[1].elements;
  if (coordinates.size() != form.rank)
    return d.fail("coordinates: expected " + std::to_string(form.rank) +
                  ", got " + std::to_string(coordinates.size()));
  if (d.operand(i).value)
    return d.fail("tensor map: expected an address without an offset");
  map = address(d, i, true);
  if (map.narrow)
    return d.fail("tensor map: expected a 64-bit address");
  for (uint32_t c = 0; c < form.rank; ++c)
    form.coordinates[c] = d.source(coordinates[c], Type::S32);
  return !d.failed();
}

bool takeRank(Decoder &d, BulkForm &form) {
  static constexpr std::string_view names[] = {"1d", "2d", "3d", "4d", "5d"};
  for (uint32_t i = 0; i < 5; ++i)
    if (d.take(names[i])) {
      form.rank = i + 1;
      return true;
    }
  return d.fail("tensor copy: expected .1d, .2d, .3d, .4d or .5d");
}

/// Tile mode, which is also the default; the others are refused by name.
bool takeTile(Decoder &d) {
  for (std::string_view mode :
       {"im2col", "im2col::w", "im2col::w::128", "im2col_no_offs",
        "tile::gather4", "tile::scatter4"})
    if (d.take(mode))
      return d.unsupported("only .tile tensor copies are supported, not ." +
                           std::string(mode));
  d.take("tile");
  return true;
}

bool expectCount(Decoder &d, size_t expected, bool hint) {
  return d.expectOperands(expected + hint, expected + hint);
}

void readHint(Decoder &d, bool hint, size_t at) {
  if (hint)
    d.source(at, Type::B64);
}

void finish(Decoder &d, const BulkForm &form, Handler handler,
            std::string name) {
  pushForm(d, form);
  d.setHandler(handler);
  d.setCountName(std::move(name));
}

bool takeBulkGroup(Decoder &d) {
  return d.take("bulk_group") || d.fail("completion: expected .bulk_group");
}

bool takeOnBarrier(Decoder &d) {
  return d.take("mbarrier::complete_tx::bytes") ||
         d.fail("completion: expected .mbarrier::complete_tx::bytes");
}

/// .multicast::cluster and .cta_group of a load.
void takeTargets(Decoder &d, BulkForm &form) {
  if (d.take("multicast::cluster"))
    form.flags |= BulkForm::kMulticast;
  if (d.take("cta_group::2"))
    form.flags |= BulkForm::kPair;
  else
    d.take("cta_group::1");
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

bool takeReduce(Decoder &d) {
  static constexpr std::pair<std::string_view, BulkReduce> names[] = {
      {"add", BulkReduce::Add}, {"min", BulkReduce::Min},
      {"max", BulkReduce::Max}, {"inc", BulkReduce::Inc},
      {"dec", BulkReduce::Dec}, {"and", BulkReduce::And},
      {"or", BulkReduce::Or},   {"xor", BulkReduce::Xor}};
  for (auto [name, op] : names)
    if (d.take(name)) {
      d.inst.n = uint8_t(op);
      return true;
    }
  return d.fail("reduction: expected .add, .min, .max, .inc, .dec, .and, .or "
                "or .xor");
}

/// The element type of a reduction that names it.
bool takeReduceType(Decoder &d, bool toShared) {
  auto op = BulkReduce(d.inst.n);
  bool noftz = d.take("noftz");
  Type type = d.takeType();
  if (d.failed())
    return false;
  BulkType as = BulkType::U32;
  bool bits = false;
  switch (type) {
  case Type::B32:
    bits = true;
    break;
  case Type::B64:
    bits = true;
    as = BulkType::U64;
    break;
  case Type::U32:
    break;
  case Type::S32:
    as = BulkType::S32;
    break;
  case Type::U64:
    as = BulkType::U64;
    break;
  case Type::S64:
    as = BulkType::S64;
    break;
  case Type::F16:
    as = BulkType::F16;
    break;
  case Type::BF16:
    as = BulkType::BF16;
    break;
  case Type::F32:
    as = BulkType::F32;
    break;
  case Type::F64:
    as = BulkType::F64;
    break;
  default:
    return d.unsupported("this type");
  }
  bool logic = op >= BulkReduce::And;
  bool half = as == BulkType::F16 || as == BulkType::BF16;
  bool exists = bulkReduceExists(op, as) && bits == logic &&
                noftz == (half && op == BulkReduce::Add) &&
                !(op == BulkReduce::Add && type == Type::S64);
  // To shared memory there are fewer (PTX ISA, cp.reduce.async.bulk).
  if (toShared &&
      (bulkTypeBytes(as) == 8 ? type != Type::U64 || op != BulkReduce::Add
                              : half || isFloat(type)))
    exists = false;
  if (!exists)
    return d.unsupported("this operation does not exist for this type");
  d.inst.sub = uint8_t(as);
  return true;
}

//===----------------------------------------------------------------------===//
// Linear copies
//===----------------------------------------------------------------------===//

/// Whether `name` is the shared memory of the cluster or of the CTA.
bool isShared(std::string_view name) {
  return name == "shared::cluster" || name == "shared::cta";
}

bool decodeToShared(Decoder &d, BulkForm &form, bool fromShared, bool reduces) {
  if (!takeOnBarrier(d))
    return false;
  takeTargets(d, form);
  if (fromShared && form.flags)
    return d.unsupported("a copy between shared memories has one target");
  if (reduces && (!takeReduce(d) || !takeReduceType(d, true)))
    return false;
  bool hint = d.take("L2::cache_hint");
  bool multicast = form.flags & BulkForm::kMulticast;
  if (!expectCount(d, multicast ? 5 : 4, hint))
    return false;
  form.to = address(d, 0);
  form.from = address(d, 1);
  form.size = d.source(2, Type::U32);
  form.barrier = address(d, 3);
  if (multicast)
    form.ctaMask = d.source(4, Type::U16);
  readHint(d, hint, multicast ? 5 : 4);
  if (!fromShared && form.from.narrow)
    return d.fail("source: expected a 64-bit address");
  d.noteAsyncProxy();
  std::string name = reduces ? "cp.reduce.async.bulk" : "cp.async.bulk";
  finish(d, form, fromShared ? runBulkPush : runBulkLoad, name + ".shared");
  return true;
}

bool decodeToGlobal(Decoder &d, BulkForm &form, bool reduces) {
  if (!takeBulkGroup(d) ||
      (reduces && (!takeReduce(d) || !takeReduceType(d, false))))
    return false;
  bool masked = !reduces && d.take("cp_mask");
  bool hint = d.take("L2::cache_hint");
  if (!expectCount(d, masked ? 4 : 3, hint))
    return false;
  form.to = address(d, 0);
  form.from = address(d, 1);
  form.size = d.source(2, Type::U32);
  readHint(d, hint, 3);
  if (masked) {
    form.flags |= BulkForm::kByteMask;
    form.byteMask = d.source(hint ? 4 : 3, Type::U16);
  }
  if (form.to.narrow)
    return d.fail("destination: expected a 64-bit address");
  d.noteAsyncProxy();
  std::string name = reduces ? "cp.reduce.async.bulk" : "cp.async.bulk";
  finish(d, form, runBulkStore, name + ".global");
  return true;
}

bool decodePrefetch(Decoder &d, BulkForm &form) {
  bool tensor = d.take("tensor");
  if (tensor && (!takeRank(d, form) || !takeTile(d)))
    return false;
  if (!d.take("L2") || !d.take("global"))
    return d.unsupported("expected .L2.global");
  bool hint = d.take("L2::cache_hint");
  if (!expectCount(d, tensor ? 1 : 2, hint))
    return false;
  if (tensor) {
    if (!tensorOperand(d, 0, form.from, form))
      return false;
  } else {
    form.from = address(d, 0);
    form.size = d.source(1, Type::U32);
    if (form.from.narrow)
      return d.fail("source: expected a 64-bit address");
  }
  readHint(d, hint, tensor ? 1 : 2);
  finish(d, form, tensor ? runTensorPrefetch : runBulkPrefetch,
         "cp.async.bulk.prefetch");
  return true;
}

bool decodeWait(Decoder &d) {
  d.inst.n = d.take("read");
  d.setCountName("cp.async.bulk.wait_group");
  d.setHandler(runBulkWait);
  return d.expectOperands(1, 1) && d.immediate(0, d.inst.imm);
}

//===----------------------------------------------------------------------===//
// Tensor copies
//===----------------------------------------------------------------------===//

bool decodeTensor(Decoder &d, BulkForm &form, bool reduces) {
  // cta_group may stand before the state spaces.
  takeTargets(d, form);
  if (!takeRank(d, form) || !takeTile(d))
    return false;
  std::string_view to = d.takeNext(), from = d.takeNext();
  bool hint = d.take("L2::cache_hint");
  d.noteAsyncProxy();
  if (isShared(to) && from == "global" && !reduces) {
    if (!takeOnBarrier(d))
      return false;
    bool multicast = form.flags & BulkForm::kMulticast;
    if (!expectCount(d, multicast ? 4 : 3, hint))
      return false;
    form.to = address(d, 0);
    if (!tensorOperand(d, 1, form.from, form))
      return false;
    form.barrier = address(d, 2);
    if (multicast)
      form.ctaMask = d.source(3, Type::U16);
    readHint(d, hint, multicast ? 4 : 3);
    finish(d, form, runTensorLoad, "cp.async.bulk.tensor.shared");
    return true;
  }
  if (to == "global" && from == "shared::cta" && !form.flags) {
    if (!takeBulkGroup(d) || (reduces && !takeReduce(d)) ||
        !expectCount(d, 2, hint) || !tensorOperand(d, 0, form.to, form))
      return false;
    form.from = address(d, 1);
    readHint(d, hint, 2);
    finish(d, form, runTensorStore,
           reduces ? "cp.reduce.async.bulk.tensor.global"
                   : "cp.async.bulk.tensor.global");
    return true;
  }
  return d.unsupported(reduces ? "expected .global.shared::cta"
                               : "expected .shared::cluster.global, "
                                 ".shared::cta.global or .global.shared::cta");
}

} // namespace

bool flash::emu::decodeBulk(Decoder &d, bool reduces) {
  d.meta.pipe = Pipe::LSU;
  d.inst.kind = Kind::Memory;
  BulkForm form;
  if (!reduces && d.take("commit_group")) {
    d.setCountName("cp.async.bulk.commit_group");
    d.setHandler(runBulkCommit);
    return d.expectOperands(0, 0);
  }
  if (!reduces && d.take("wait_group"))
    return decodeWait(d);
  if (!reduces && d.take("prefetch"))
    return decodePrefetch(d, form);
  if (d.take("tensor"))
    return decodeTensor(d, form, reduces);
  std::string_view to = d.takeNext(), from = d.takeNext();
  if (isShared(to) && from == "global" && !reduces)
    return decodeToShared(d, form, false, false);
  if (to == "shared::cluster" && from == "shared::cta")
    return decodeToShared(d, form, true, reduces);
  if (to == "global" && from == "shared::cta")
    return decodeToGlobal(d, form, reduces);
  return d.unsupported("expected .shared::cluster.global, .shared::cta.global, "
                       ".shared::cluster.shared::cta or .global.shared::cta");
}

//===- FlashTileBarriers.cpp - Barriers and roles -----------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "OpVerifiers.h"
#include "flash/Dialect/FlashTile/IR/FlashTile.h"
#include "flash/Dialect/FlashTile/IR/Program.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::flash_tile;
using namespace mlir::flash_tile::detail;

//===----------------------------------------------------------------------===//
// Barriers
//===----------------------------------------------------------------------===//

LogicalResult SlotOp::verify() {
  if (static_cast<int64_t>(getStages()) < 1)
    return emitOpError() << "stages: expected >= 1, got "
                         << static_cast<int64_t>(getStages());
  return success();
}

/// The count fields of an mbarrier, of arrivals and of bytes, have 20 bits.
static constexpr int64_t mbarrierCountLimit = (int64_t{1} << 20) - 1;

LogicalResult BarrierInitOp::verify() {
  const int64_t arrivals = static_cast<int64_t>(getArrivals());
  if (arrivals < 1 || arrivals > mbarrierCountLimit)
    return emitOpError() << "arrivals: expected 1 to " << mbarrierCountLimit
                         << ", got " << arrivals;
  return success();
}

LogicalResult BarrierArriveOp::verify() {
  return verifyStage(*this, getStage(), getBarrier().getType().getStages());
}

LogicalResult BarrierExpectOp::verify() {
  const int64_t bytes = static_cast<int64_t>(getBytes());
  if (bytes < 1 || bytes > mbarrierCountLimit)
    return emitOpError() << "bytes: expected 1 to " << mbarrierCountLimit
                         << ", got " << bytes;
  return verifyStage(*this, getStage(), getBarrier().getType().getStages());
}

LogicalResult BarrierWaitOp::verify() {
  return verifyStage(*this, getStage(), getBarrier().getType().getStages());
}

template <typename Op> static LogicalResult verifyNamedBarrier(Op op) {
  const int64_t id = static_cast<int64_t>(op.getId());
  const int64_t threads = static_cast<int64_t>(op.getThreads());
  if (id < 1 || id > 15)
    return op.emitOpError() << "id: expected 1 to 15, got " << id;
  if (threads < 32 || threads > 1024 || threads % 32 != 0)
    return op.emitOpError()
           << "threads: expected a multiple of 32 up to 1024, got " << threads;
  return success();
}

LogicalResult NamedBarrierArriveOp::verify() {
  return verifyNamedBarrier(*this);
}

LogicalResult NamedBarrierSyncOp::verify() { return verifyNamedBarrier(*this); }

//===----------------------------------------------------------------------===//
// WarpGroupsOp: assembly
//===----------------------------------------------------------------------===//

ParseResult WarpGroupsOp::parse(OpAsmParser &parser, OperationState &result) {
  if (parser.parseOptionalAttrDictWithKeyword(result.attributes))
    return failure();
  Builder &builder = parser.getBuilder();
  SmallVector<Attribute> roles;
  SmallVector<int64_t> warps, registers;
  while (succeeded(parser.parseOptionalKeyword("role"))) {
    StringAttr name;
    if (parser.parseAttribute(name) || parser.parseKeyword("warps") ||
        parser.parseInteger(warps.emplace_back()))
      return failure();
    roles.push_back(name);
    registers.push_back(0);
    if (succeeded(parser.parseOptionalKeyword("registers")) &&
        parser.parseInteger(registers.back()))
      return failure();
    Region *body = result.addRegion();
    if (parser.parseRegion(*body))
      return failure();
    ensureTerminator(*body, builder, result.location);
  }
  Properties &properties = result.getOrAddProperties<Properties>();
  properties.roles = builder.getArrayAttr(roles);
  properties.warps = builder.getDenseI64ArrayAttr(warps);
  properties.registers = builder.getDenseI64ArrayAttr(registers);
  return success();
}

void WarpGroupsOp::print(OpAsmPrinter &printer) {
  printer.printOptionalAttrDictWithKeyword(
      (*this)->getDiscardableAttrDictionary().getValue());
  for (auto [i, body] : llvm::enumerate(getBodies())) {
    printer.printNewline();
    printer << "role " << getRoles()[i] << " warps " << getWarps()[i] << " ";
    if (getRegisters()[i] != 0)
      printer << "registers " << getRegisters()[i] << " ";
    printer.printRegion(body, /*printEntryBlockArgs=*/false,
                        /*printBlockTerminators=*/false);
  }
}

//===----------------------------------------------------------------------===//
// WarpGroupsOp: verification
//===----------------------------------------------------------------------===//

std::optional<unsigned> WarpGroupsOp::getRoleOf(Operation *op) {
  for (auto [i, body] : llvm::enumerate(getBodies()))
    if (body.findAncestorOpInRegion(*op))
      return i;
  return std::nullopt;
}

/// T34: what `setmaxnreg` and the register file allow.
static LogicalResult verifyRegisters(WarpGroupsOp op) {
  ArrayRef<int64_t> budgets = op.getRegisters();
  if (llvm::all_of(budgets, [](int64_t budget) { return budget == 0; }))
    return success();
  SmallVector<unsigned> roleOfWarp;
  int64_t total = 0;
  for (auto [i, budget] : llvm::enumerate(budgets)) {
    if (budget < 24 || budget > 256 || budget % 8 != 0)
      return op.emitOpError()
             << "registers of role " << op.getRoleName(i)
             << ": expected a multiple of 8 from 24 to 256, got " << budget;
    roleOfWarp.append(op.getWarps()[i], i);
    total += budget * 32 * op.getWarps()[i];
  }
  if (roleOfWarp.size() % 4 != 0)
    return op.emitOpError() << "warps of all roles: expected whole warp groups "
                               "of 4 (register budgets), got "
                            << roleOfWarp.size();
  // setmaxnreg is executed by a whole warp group, with one value.
  for (auto [warp, role] : llvm::enumerate(roleOfWarp))
    if (unsigned first = roleOfWarp[warp / 4 * 4];
        budgets[first] != budgets[role])
      return op.emitOpError()
             << "registers of role " << op.getRoleName(role) << ": expected "
             << budgets[first] << " (as " << op.getRoleName(first)
             << ", in the same warp group), got " << budgets[role];
  if (total > 65536)
    return op.emitOpError()
           << "registers of all roles: expected at most 65536, got " << total;
  return success();
}

LogicalResult WarpGroupsOp::verify() {
  const size_t regions = getBodies().size();
  if (regions == 0)
    return emitOpError() << "roles: expected at least one, got none";
  if (getRoles().size() != regions || getWarps().size() != regions ||
      getRegisters().size() != regions)
    return emitOpError() << "roles: expected a name, warps and registers for "
                            "each of "
                         << regions << " regions, got " << getRoles().size()
                         << ", " << getWarps().size() << " and "
                         << getRegisters().size();
  llvm::StringSet<> names;
  int64_t warps = 0;
  for (unsigned i = 0; i < regions; ++i) {
    if (!names.insert(getRoleName(i)).second)
      return emitOpError() << "role names: expected distinct ones, got "
                           << getRoleName(i) << " twice";
    if (getWarps()[i] < 1 || getWarps()[i] > 32)
      return emitOpError() << "warps of role " << getRoleName(i)
                           << ": expected 1 to 32, got " << getWarps()[i];
    warps += getWarps()[i];
  }
  if (warps > 32)
    return emitOpError() << "warps of all roles: expected at most 32, got "
                         << warps;
  return verifyRegisters(*this);
}

/// A scalar that differs between the threads of a CTA: computed from the
/// thread's own number.
static Operation *findThreadNumber(Value scalar) {
  SmallVector<Value> pending{scalar};
  DenseSet<Value> seen;
  while (!pending.empty()) {
    Value value = pending.pop_back_val();
    if (!seen.insert(value).second)
      continue;
    Operation *op = value.getDefiningOp();
    if (!op)
      continue;
    if (isa<gpu::ThreadIdOp, gpu::LaneIdOp, gpu::SubgroupIdOp, gpu::GlobalIdOp>(
            op))
      return op;
    llvm::append_range(pending, op->getOperands());
  }
  return nullptr;
}

/// T35: what a role may use from outside.
static LogicalResult verifyCrossing(WarpGroupsOp op, unsigned role) {
  Region &body = op.getBodies()[role];
  WalkResult result = body.walk([&](Operation *user) {
    for (Value operand : user->getOperands()) {
      if (body.isAncestor(operand.getParentRegion()))
        continue;
      Type type = operand.getType();
      if (isa<BufferType, TmemType, BarrierType, TensorMapType, BaseMemRefType>(
              type))
        continue;
      if (!type.isIntOrIndexOrFloat()) {
        user->emitError() << "value from outside role " << op.getRoleName(role)
                          << ": expected a buffer, tensor memory, barrier, "
                             "tensor map, memref or scalar, got "
                          << type;
        return WalkResult::interrupt();
      }
      if (Operation *thread = findThreadNumber(operand)) {
        InFlightDiagnostic diag = user->emitError()
                                  << "scalar from outside role "
                                  << op.getRoleName(role)
                                  << ": expected the same in every thread";
        diag.attachNote(thread->getLoc()) << "computed from this";
        return WalkResult::interrupt();
      }
    }
    return WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

LogicalResult WarpGroupsOp::verifyRegions() {
  for (unsigned role = 0; role < getBodies().size(); ++role)
    if (failed(verifyCrossing(*this, role)))
      return failure();
  // The program around the roles takes part: barriers are made there. What
  // follows this op has not been verified yet; if it is malformed, its own
  // verification will say so, and nothing can be said about the program.
  Operation *program = (*this)->getParentOfType<FunctionOpInterface>();
  if (!program)
    program = (*this)->getParentOp();
  {
    ScopedDiagnosticHandler silence(getContext(),
                                    [](Diagnostic &) { return success(); });
    WalkResult result = program->walk([&](Operation *op) -> WalkResult {
      if (!isa_and_nonnull<FlashTileDialect>(op->getDialect()))
        return WalkResult::advance();
      return op->getName().verifyInvariants(op);
    });
    if (result.wasInterrupted())
      return success();
  }
  return verifyProgram(program);
}

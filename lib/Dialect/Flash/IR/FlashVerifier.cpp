//===- FlashVerifier.cpp - Constraints of flash.attention -----------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The numbers C1, C2, ... are those of the op's description in FlashOps.td.
// C1, the element type and rank of each operand, is checked by the type
// constraints there.
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/Flash/IR/Flash.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"

#include <limits>

using namespace mlir;
using namespace mlir::flash;

namespace {
/// Verifies one op; every member checks the constraints it is named after.
class Verifier {
public:
  explicit Verifier(AttentionOp op) : op(op) {}

  LogicalResult verifyForm();
  LogicalResult verifyShapes();
  LogicalResult verifyModifiers();
  LogicalResult verifyVarlen();
  LogicalResult verifyPaged();

private:
  /// Fails if two sizes are both static and differ.
  LogicalResult checkSize(StringRef role, int64_t expected, StringRef asWhat,
                          int64_t got) {
    if (ShapedType::isDynamic(expected) || ShapedType::isDynamic(got) ||
        expected == got)
      return success();
    return op.emitOpError() << role << ": expected " << expected << " (as "
                            << asWhat << "), got " << got;
  }

  /// Fails unless a number that counts keys or heads is in [low, 2^31 - 1].
  LogicalResult checkCount(StringRef role, std::optional<int64_t> value,
                           int64_t low) {
    if (!value || (*value >= low && *value <= kMaxCount))
      return success();
    return op.emitOpError() << role << ": expected between " << low << " and "
                            << kMaxCount << ", got " << *value;
  }
  static constexpr int64_t kMaxCount = std::numeric_limits<int32_t>::max();

  LogicalResult verifyHeads();
  LogicalResult verifyScales();

  AttentionOp op;
};
} // namespace

/// C2 and C3: one form for all operands, results as the destinations, key as
/// query.
LogicalResult Verifier::verifyForm() {
  bool onBuffers = op.isOnBuffers();
  StringRef form = onBuffers ? "memref" : "tensor";
  auto checkForm = [&](StringRef role, Value value) -> LogicalResult {
    if (!value || !isa<ShapedType>(value.getType()) ||
        isa<MemRefType>(value.getType()) == onBuffers)
      return success();
    return op.emitOpError() << role << ": expected a " << form
                            << " (as query), got " << value.getType();
  };
  if (failed(checkForm("key", op.getKey())) ||
      failed(checkForm("value", op.getValue())) ||
      failed(checkForm("output", op.getOutput())) ||
      failed(checkForm("lse", op.getLse())) ||
      failed(checkForm("cu_seqlens_q", op.getCuSeqlensQ())) ||
      failed(checkForm("cu_seqlens_k", op.getCuSeqlensK())) ||
      failed(checkForm("block_table", op.getBlockTable())) ||
      failed(checkForm("sinks", op.getSinks())) ||
      failed(checkForm("q_descale", op.getQDescale())) ||
      failed(checkForm("k_descale", op.getKDescale())) ||
      failed(checkForm("v_descale", op.getVDescale())))
    return failure();
  for (auto [index, capture] : llvm::enumerate(op.getCaptures()))
    if (failed(checkForm(("capture " + Twine(index)).str(), capture)))
      return failure();

  size_t expected = onBuffers ? 0 : op.getDpsInits().size();
  if (op.getNumResults() != expected)
    return op.emitOpError()
           << "results: expected " << expected << " ("
           << (onBuffers ? "none on memrefs" : "one per destination")
           << "), got " << op.getNumResults();
  for (auto [result, init] : llvm::zip(op.getResultTensors(), op.getDpsInits()))
    if (result.getType() != init.getType())
      return op.emitOpError()
             << "result " << result.getResultNumber() << ": expected "
             << init.getType() << " (as its destination), got "
             << result.getType();

  // C3
  if (op.getQueryType().getElementType() != op.getKeyType().getElementType())
    return op.emitOpError()
           << "key element type: expected "
           << op.getQueryType().getElementType() << " (as query), got "
           << op.getKeyType().getElementType();
  return success();
}

/// C6: heads, and how many query heads share a key head.
LogicalResult Verifier::verifyHeads() {
  int64_t queryHeads = op.getQueryType().getDimSize(1);
  int64_t keyHeads = op.getKeyType().getDimSize(1);
  if (failed(checkSize("value heads", keyHeads, "key",
                       op.getValueType().getDimSize(1))) ||
      failed(checkSize("output heads", queryHeads, "query",
                       op.getOutputType().getDimSize(1))) ||
      failed(checkCount("group", op.getGroup(), 1)))
    return failure();

  bool isStatic =
      !ShapedType::isDynamic(queryHeads) && !ShapedType::isDynamic(keyHeads);
  if (isStatic && (keyHeads == 0 || queryHeads % keyHeads != 0))
    return op.emitOpError() << "query heads: expected a multiple of "
                            << keyHeads << " (key heads), got " << queryHeads;
  if (!isStatic && !op.getGroup())
    return op.emitOpError() << "group: expected the attribute, since the "
                               "number of heads is dynamic, got none";
  if (!op.getGroup())
    return success();
  int64_t group = *op.getGroup();
  if (isStatic)
    return checkSize("group", queryHeads / keyHeads, "query heads / key heads",
                     group);
  if (!ShapedType::isDynamic(queryHeads) && queryHeads % group != 0)
    return op.emitOpError() << "query heads: expected a multiple of " << group
                            << " (group), got " << queryHeads;
  return success();
}

/// C4 to C8: sizes that must agree; a paged key has its own (C17).
LogicalResult Verifier::verifyShapes() {
  ShapedType query = op.getQueryType(), key = op.getKeyType();
  ShapedType value = op.getValueType(), output = op.getOutputType();

  // C4
  for (auto [role, size] :
       {std::pair<StringRef, int64_t>{"query head dim", query.getDimSize(3)},
        {"value head dim", value.getDimSize(3)},
        {"key head dim", key.getDimSize(3)},
        {"output head dim", output.getDimSize(3)}})
    if (ShapedType::isDynamic(size) || size == 0)
      return op.emitOpError()
             << role << ": expected a static size above 0, got "
             << (size == 0 ? "0" : "a dynamic one");
  if (failed(checkSize("key head dim", query.getDimSize(3), "query",
                       key.getDimSize(3))) ||
      failed(checkSize("output head dim", value.getDimSize(3), "value",
                       output.getDimSize(3))))
    return failure();

  // C5
  if (failed(checkSize("value batch", key.getDimSize(0), "key",
                       value.getDimSize(0))) ||
      failed(checkSize("output batch", query.getDimSize(0), "query",
                       output.getDimSize(0))))
    return failure();
  if (!op.isPaged() && failed(checkSize("key batch", query.getDimSize(0),
                                        "query", key.getDimSize(0))))
    return failure();

  if (failed(verifyHeads()))
    return failure();

  // C7
  if (failed(checkSize("value length", key.getDimSize(2), "key",
                       value.getDimSize(2))) ||
      failed(checkSize("output length", query.getDimSize(2), "query",
                       output.getDimSize(2))))
    return failure();

  // C8
  if (Value lse = op.getLse()) {
    auto type = cast<ShapedType>(lse.getType());
    if (failed(checkSize("lse batch", query.getDimSize(0), "query",
                         type.getDimSize(0))) ||
        failed(checkSize("lse heads", query.getDimSize(1), "query",
                         type.getDimSize(1))) ||
        failed(checkSize("lse length", query.getDimSize(2), "query",
                         type.getDimSize(2))))
      return failure();
  }

  // C18
  if (Value sinks = op.getSinks())
    if (failed(checkSize("sinks length", query.getDimSize(1), "query heads",
                         cast<ShapedType>(sinks.getType()).getDimSize(0))))
      return failure();
  return verifyScales();
}

/// C19: a scale per batch entry and head.
LogicalResult Verifier::verifyScales() {
  for (auto [role, value, like, likeRole] :
       {std::tuple<StringRef, Value, ShapedType, StringRef>{
            "q_descale", op.getQDescale(), op.getQueryType(), "query"},
        {"k_descale", op.getKDescale(), op.getKeyType(), "key"},
        {"v_descale", op.getVDescale(), op.getValueType(), "value"}}) {
    if (!value)
      continue;
    if (op.isVarlen())
      return op.emitOpError()
             << role << ": expected none with cumulative lengths, got one";
    auto type = cast<ShapedType>(value.getType());
    if (failed(checkSize((role + " batch").str(), like.getDimSize(0), likeRole,
                         type.getDimSize(0))) ||
        failed(checkSize((role + " heads").str(), like.getDimSize(1), likeRole,
                         type.getDimSize(1))))
      return failure();
  }
  return success();
}

/// C9 to C11: values of the attributes.
LogicalResult Verifier::verifyModifiers() {
  // C9
  if (std::optional<APFloat> scale = op.getScale(); scale && !scale->isFinite())
    return op.emitOpError() << "scale: expected a finite number, got "
                            << scale->convertToFloat();
  if (std::optional<APFloat> cap = op.getSoftcap();
      cap && !(cap->isFiniteNonZero() && !cap->isNegative()))
    return op.emitOpError()
           << "softcap: expected a positive finite number, got "
           << cap->convertToFloat();

  // C10
  if (std::optional<ArrayRef<int64_t>> window = op.getWindow()) {
    if (window->size() != 2)
      return op.emitOpError()
             << "window: expected 2 numbers (left, right), got "
             << window->size();
    constexpr StringLiteral kSides[] = {"left", "right"};
    // -1 is unbounded.
    if (failed(checkCount("window left", window->front(), -1)) ||
        failed(checkCount("window right", window->back(), -1)))
      return failure();
  }

  // C11
  if (failed(checkCount("prefix", op.getPrefix(), 0)) ||
      failed(checkCount("chunk", op.getChunk(), 1)) ||
      failed(checkCount("sink_tokens", op.getSinkTokens(), 0)))
    return failure();
  return success();
}

/// C15 and C16: sequences packed one after another.
LogicalResult Verifier::verifyVarlen() {
  if (!op.isVarlen())
    return success();
  if (!op.getCuSeqlensK())
    return op.emitOpError()
           << "cu_seqlens_k: expected beside cu_seqlens_q, got none";
  if (!op.getCuSeqlensQ() && !op.isPaged())
    return op.emitOpError() << "cu_seqlens_q: expected beside cu_seqlens_k "
                               "without a block table, got none";
  auto checkPacked = [&](StringRef role, ShapedType type) -> LogicalResult {
    int64_t batch = type.getDimSize(0);
    if (batch == 1)
      return success();
    InFlightDiagnostic diag = op.emitOpError()
                              << role
                              << " batch: expected 1 (sequences are packed), "
                                 "got ";
    return ShapedType::isDynamic(batch) ? diag << "a dynamic size"
                                        : diag << batch;
  };
  if (op.getCuSeqlensQ()) {
    if (failed(checkPacked("query", op.getQueryType())) ||
        failed(checkSize(
            "cu_seqlens_q length",
            cast<ShapedType>(op.getCuSeqlensK().getType()).getDimSize(0),
            "cu_seqlens_k",
            cast<ShapedType>(op.getCuSeqlensQ().getType()).getDimSize(0))))
      return failure();
  }
  if (!op.isPaged() && failed(checkPacked("key", op.getKeyType())))
    return failure();
  for (auto [role, value] :
       {std::pair<StringRef, Value>{"alignment", op.getAlignment()},
        {"offset_b", op.getOffsetB()},
        {"offset_q", op.getOffsetQ()},
        {"offset_k", op.getOffsetK()}})
    if (value)
      return op.emitOpError() << role
                              << ": expected none with cumulative lengths "
                                 "(each sequence has its own), got one";
  return success();
}

/// C17: keys and values in pages.
LogicalResult Verifier::verifyPaged() {
  if (!op.isPaged())
    return success();
  if (!op.getCuSeqlensK())
    return op.emitOpError()
           << "cu_seqlens_k: expected beside block_table, got none";
  int64_t page = op.getKeyType().getDimSize(2);
  if (ShapedType::isDynamic(page) || page < 16 || !llvm::isPowerOf2_64(page)) {
    InFlightDiagnostic diag =
        op.emitOpError() << "key page size: expected a static power of two, at "
                            "least 16, got ";
    return ShapedType::isDynamic(page) ? diag << "a dynamic size"
                                       : diag << page;
  }
  int64_t sequences =
      cast<ShapedType>(op.getBlockTable().getType()).getDimSize(0);
  int64_t lengths =
      cast<ShapedType>(op.getCuSeqlensK().getType()).getDimSize(0);
  if (!ShapedType::isDynamic(sequences) &&
      failed(checkSize("cu_seqlens_k length", sequences + 1,
                       "block table rows + 1", lengths)))
    return failure();
  if (op.getCuSeqlensQ())
    return success();
  return checkSize("block_table rows", op.getQueryType().getDimSize(0),
                   "query batch", sequences);
}

LogicalResult AttentionOp::verify() {
  Verifier verifier(*this);
  if (failed(verifier.verifyForm()) || failed(verifier.verifyShapes()) ||
      failed(verifier.verifyModifiers()) || failed(verifier.verifyVarlen()) ||
      failed(verifier.verifyPaged()))
    return failure();
  return success();
}

//===----------------------------------------------------------------------===//
// Regions
//===----------------------------------------------------------------------===//

/// True if a block argument of type `got` can stand for `expected`: equal, or
/// a tensor that only says more or less about its sizes. Folding a cast into
/// the operand must not invalidate the region.
static bool isCompatibleArgument(Type expected, Type got) {
  if (expected == got)
    return true;
  auto expectedTensor = dyn_cast<RankedTensorType>(expected);
  auto gotTensor = dyn_cast<RankedTensorType>(got);
  return expectedTensor && gotTensor &&
         expectedTensor.getElementType() == gotTensor.getElementType() &&
         succeeded(verifyCompatibleShape(expectedTensor, gotTensor));
}

/// C12: the block arguments of a region.
static LogicalResult verifyArguments(AttentionOp op, StringRef role,
                                     Block &block, ArrayRef<Type> expected) {
  if (block.getNumArguments() != expected.size())
    return op.emitOpError()
           << role << " region arguments: expected " << expected.size() << " ("
           << expected.size() - op.getCaptures().size() << " and "
           << op.getCaptures().size() << " captures), got "
           << block.getNumArguments();
  for (auto [argument, type] : llvm::zip(block.getArguments(), expected))
    if (!isCompatibleArgument(type, argument.getType()))
      return op.emitOpError()
             << role << " region argument " << argument.getArgNumber()
             << ": expected " << type << ", got " << argument.getType();
  return success();
}

/// C14: what a region may hold: ops whose only effects are reads; scf.if is the
/// one op with regions.
static LogicalResult verifyBodyOp(StringRef role, Operation &nested) {
  auto refuse = [&](StringRef got) {
    return nested.emitOpError()
           << role
           << " region: expected ops free of side effects (reads of captures "
              "allowed), got "
           << got;
  };
  if (auto branch = dyn_cast<scf::IfOp>(nested)) {
    for (Region &region : branch->getRegions())
      for (Operation &op : region.getOps())
        if (failed(verifyBodyOp(role, op)))
          return failure();
    return success();
  }
  if (nested.getNumRegions() != 0)
    return refuse("an op with regions other than scf.if");
  if (isMemoryEffectFree(&nested))
    return success();
  auto interface = dyn_cast<MemoryEffectOpInterface>(nested);
  if (!interface)
    return refuse("an op of unknown effects");
  SmallVector<MemoryEffects::EffectInstance> effects;
  interface.getEffects(effects);
  for (const MemoryEffects::EffectInstance &effect : effects)
    if (!isa<MemoryEffects::Read>(effect.getEffect()))
      return refuse("one that writes, allocates or frees");
  return success();
}

static LogicalResult verifyRegion(AttentionOp op, StringRef role,
                                  Region &region, ArrayRef<Type> arguments,
                                  Type yielded) {
  if (region.empty())
    return success();
  Block &block = region.front();
  if (failed(verifyArguments(op, role, block, arguments)))
    return failure();

  // C13
  auto yield = block.empty() ? YieldOp() : dyn_cast<YieldOp>(block.back());
  if (!yield)
    return op.emitOpError()
           << role << " region: expected to end in flash.yield";
  if (yield.getValue().getType() != yielded)
    return yield.emitOpError() << role << " region result: expected " << yielded
                               << ", got " << yield.getValue().getType();

  for (Operation &nested : block)
    if (failed(verifyBodyOp(role, nested)))
      return failure();
  return success();
}

LogicalResult AttentionOp::verifyRegions() {
  Builder builder(getContext());
  if (failed(verifyRegion(*this, "score", getScore(), getScoreArgumentTypes(),
                          builder.getF32Type())) ||
      failed(verifyRegion(*this, "mask", getMask(), getMaskArgumentTypes(),
                          builder.getI1Type())))
    return failure();
  return success();
}

//===- ModuleInput.cpp - The attention of a .mlir file --------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ModuleInput.h"

#include "flash/Pipelines/ElementTypes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Support/FileUtilities.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;
using namespace mlir::flash;
using namespace ::flash::run;
using ::flash::runtime::AttentionSpec;
using ::flash::runtime::Causal;
using ::flash::runtime::DType;
using ::flash::runtime::kDynamic;
using ::flash::runtime::Layout;
using ::flash::runtime::StridedArray;

/// What queries, keys and values may be made of.
static std::optional<DType> getFloat(Type type) {
  if (!isa<FloatType>(type) || type.isF64())
    return std::nullopt;
  return getDType(type);
}

namespace {

class Reader {
public:
  Reader(ModuleInput &input, llvm::SourceMgr &sources)
      : input(input), sources(sources) {}

  LogicalResult run() {
    if (failed(findOp()) || failed(verifySupported()) || failed(ensureLse()))
      return failure();
    return failure(failed(readSpec()) || failed(readCaptures()) ||
                   failed(readArguments()));
  }

private:
  LogicalResult findOp();
  LogicalResult verifySupported();
  LogicalResult ensureLse();
  LogicalResult readSpec();
  LogicalResult readCaptures();
  LogicalResult readArguments();
  LogicalResult bind(StringRef role, Value operand, StringRef name);
  std::string nameInSource(BlockArgument argument);

  ModuleInput &input;
  llvm::SourceMgr &sources;
};

} // namespace

LogicalResult Reader::findOp() {
  SmallVector<AttentionOp> ops;
  input.module->walk([&](AttentionOp op) { ops.push_back(op); });
  if (ops.size() != 1) {
    InFlightDiagnostic diagnostic =
        (ops.empty() ? input.module->emitError() : ops[1].emitError())
        << "expected one flash.attention in the module, got " << ops.size();
    return diagnostic;
  }
  input.op = ops.front();
  input.function = dyn_cast<func::FuncOp>(input.op->getParentOp());
  if (!input.function || !llvm::hasSingleElement(input.function.getBody()))
    return input.op.emitError("expected directly in a func.func of one block");
  return success();
}

LogicalResult Reader::verifySupported() {
  AttentionOp op = input.op;
  for (auto [role, operand] :
       {std::pair<StringRef, Value>{"cu_seqlens_q", op.getCuSeqlensQ()},
        {"cu_seqlens_k", op.getCuSeqlensK()},
        {"block_table", op.getBlockTable()},
        {"sinks", op.getSinks()}})
    if (operand)
      return op.emitError() << role << ": not yet lowered";
  bool isNarrow =
      op.getQueryType().getElementType().getIntOrFloatBitWidth() == 8;
  for (auto [role, operand] :
       {std::pair<StringRef, Value>{"q_descale", op.getQDescale()},
        {"k_descale", op.getKDescale()},
        {"v_descale", op.getVDescale()}})
    if (operand && !isNarrow)
      return op.emitError()
             << role << ": expected 8-bit operands, whose scales are made with "
             << "them, got " << op.getQueryType().getElementType();
  // The arrays are the whole problem.
  for (auto [role, operand] :
       {std::pair<StringRef, Value>{"offset_b", op.getOffsetB()},
        {"offset_h", op.getOffsetH()},
        {"offset_q", op.getOffsetQ()},
        {"offset_k", op.getOffsetK()},
        {"alignment", op.getAlignment()},
        {"heads", op.getHeads()}})
    if (operand)
      return op.emitError()
             << role << ": expected none on a whole problem, got one";
  return success();
}

/// The check needs lse: an op without one gets it, as the last argument (and
/// result) of the function.
LogicalResult Reader::ensureLse() {
  AttentionOp op = input.op;
  if (op.getLse())
    return success();
  func::FuncOp function = input.function;
  OpBuilder builder(op);
  ArrayRef<int64_t> sizes = op.getQueryType().getShape().take_front(3);
  Type type;
  if (op.isOnBuffers()) {
    SmallVector<int64_t> strides(3, ShapedType::kDynamic);
    type =
        MemRefType::get(sizes, builder.getF32Type(),
                        StridedLayoutAttr::get(builder.getContext(),
                                               ShapedType::kDynamic, strides));
  } else {
    type = RankedTensorType::get(sizes, builder.getF32Type());
  }
  unsigned index = function.getNumArguments();
  if (failed(function.insertArgument(index, type, {}, op.getLoc())))
    return op.emitError("lse: cannot add an argument to the function");
  op.getLseMutable().assign(function.getArgument(index));
  if (op.isOnBuffers())
    return success();

  // A new result means a new op.
  OperationState state(op.getLoc(), op->getName());
  state.addOperands(op->getOperands());
  state.addTypes(op->getResultTypes());
  state.addTypes(type);
  state.attributes = op->getAttrDictionary();
  for (Region &region : op->getRegions())
    state.addRegion()->takeBody(region);
  auto replacement = cast<AttentionOp>(builder.create(state));
  op->replaceAllUsesWith(replacement->getResults().drop_back());
  op->erase();
  input.op = replacement;
  auto returned =
      cast<func::ReturnOp>(function.getBody().front().getTerminator());
  returned.getOperandsMutable().append(replacement->getResults().back());
  SmallVector<Type> results(function.getResultTypes());
  results.push_back(type);
  function.setFunctionType(
      builder.getFunctionType(function.getArgumentTypes(), results));
  return success();
}

/// The storage order that static strides show; BHSD where they say nothing.
static Layout getLayout(ShapedType type) {
  auto memref = dyn_cast<MemRefType>(type);
  SmallVector<int64_t> strides;
  int64_t offset;
  if (!memref || failed(memref.getStridesAndOffset(strides, offset)) ||
      ShapedType::isDynamic(strides[1]) || ShapedType::isDynamic(strides[2]))
    return Layout::BHSD;
  return strides[1] < strides[2] ? Layout::BSHD : Layout::BHSD;
}

LogicalResult Reader::readSpec() {
  AttentionOp op = input.op;
  AttentionSpec &spec = input.spec;
  auto size = [](ShapedType type, unsigned dim) {
    return type.isDynamicDim(dim) ? kDynamic : type.getDimSize(dim);
  };
  // A size that one operand leaves open may be known from another.
  auto known = [&](std::initializer_list<int64_t> sizes) {
    for (int64_t value : sizes)
      if (value != kDynamic)
        return value;
    return kDynamic;
  };
  ShapedType q = op.getQueryType(), k = op.getKeyType(), v = op.getValueType(),
             o = op.getOutputType();
  spec.b = known({size(q, 0), size(k, 0), size(v, 0), size(o, 0)});
  spec.group = op.getGroupSize();
  spec.hq = known({size(q, 1), size(o, 1)});
  spec.hkv = known({size(k, 1), size(v, 1)});
  if (spec.hq == kDynamic && spec.hkv != kDynamic)
    spec.hq = spec.hkv * spec.group;
  spec.hkv = spec.hq == kDynamic ? kDynamic : spec.hq / spec.group;
  spec.sq = known({size(q, 2), size(o, 2)});
  spec.sk = known({size(k, 2), size(v, 2)});
  spec.d = op.getHeadDim();
  spec.dv = op.getValueDim();
  for (auto [role, dim] : {std::pair("query", spec.d), {"value", spec.dv}})
    if (dim < 8 || dim > 256 || dim % 8 != 0)
      return op.emitError() << role
                            << " head dim: expected a multiple of 8 from 8 to "
                               "256, got "
                            << dim;
  for (auto [role, type] :
       {std::pair("query", q), {"key", k}, {"value", v}, {"output", o}})
    for (int64_t dim : type.getShape())
      if (dim == 0)
        return op.emitError() << role << " shape: expected sizes of at least 1";
  std::optional<DType> dtype = getFloat(q.getElementType());
  if (!dtype)
    return op.emitError() << "query element type: expected f16, bf16, f32, "
                             "tf32, f8E4M3FN or f8E5M2, got "
                          << q.getElementType();
  spec.dtype = *dtype;
  for (auto [role, type] : {std::pair("key", k), {"value", v}})
    if (type.getElementType() != q.getElementType())
      return op.emitError()
             << role << " element type: expected " << q.getElementType()
             << " (as query), got " << type.getElementType();
  std::optional<DType> output = getFloat(o.getElementType());
  if (output != spec.outputDType() && output != spec.dtype)
    return op.emitError() << "output element type: expected "
                          << ::flash::runtime::name(spec.outputDType()).data()
                          << ", got " << o.getElementType();
  spec.layout = getLayout(q);
  spec.lse = true;

  if (op.getScale())
    spec.scale = op.getScaleOrDefault();
  if (std::optional<CausalKind> kind = op.getCausal())
    spec.causal =
        *kind == CausalKind::top_left ? Causal::TopLeft : Causal::BottomRight;
  if (std::optional<ArrayRef<int64_t>> window = op.getWindow())
    spec.window = ::flash::runtime::Window{(*window)[0], (*window)[1]};
  if (op.getPrefix())
    spec.prefix = int64_t(*op.getPrefix());
  if (op.getChunk())
    spec.chunk = int64_t(*op.getChunk());
  if (op.getSinkTokens())
    spec.sink = int64_t(*op.getSinkTokens());
  if (op.getSoftcap())
    spec.softcap = op.getSoftcap()->convertToFloat();
  spec.alibi = op.getAlibi();
  return success();
}

/// The name an argument has in the file: its location is that name's.
std::string Reader::nameInSource(BlockArgument argument) {
  if (auto name = dyn_cast<NameLoc>(argument.getLoc()))
    return name.getName().str();
  auto loc = dyn_cast<FileLineColLoc>(argument.getLoc());
  if (!loc)
    return "";
  llvm::SMLoc at = sources.FindLocForLineAndColumn(
      sources.getMainFileID(), loc.getLine(), loc.getColumn());
  if (!at.isValid())
    return "";
  const llvm::MemoryBuffer *buffer =
      sources.getMemoryBuffer(sources.getMainFileID());
  StringRef text(at.getPointer(), buffer->getBufferEnd() - at.getPointer());
  if (!text.consume_front("%"))
    return "";
  return text
      .take_while([](char c) {
        return llvm::isAlnum(c) || c == '_' || c == '.' || c == '-';
      })
      .str();
}

LogicalResult Reader::readCaptures() {
  llvm::StringSet<> taken;
  for (const char *name :
       {"q", "k", "v", "o", "lse", "q_descale", "k_descale", "v_descale"})
    taken.insert(name);
  for (auto [i, value] : llvm::enumerate(input.op.getCaptures())) {
    CaptureInput capture;
    capture.type = value.getType();
    std::optional<DType> dtype = getDType(getElementTypeOrSelf(value));
    if (!dtype)
      return input.op.emitError()
             << "capture " << i
             << " element type: expected f16, bf16, f32, f64, index or an "
                "integer, got "
             << getElementTypeOrSelf(value);
    capture.dtype = *dtype;
    Attribute constant;
    if (auto argument = dyn_cast<BlockArgument>(value))
      capture.name = nameInSource(argument);
    else if (!isa<ShapedType>(value.getType()) &&
             matchPattern(value, m_Constant(&constant))) {
      if (auto integer = dyn_cast<IntegerAttr>(constant))
        capture.constant = integer.getValue().getSExtValue();
      else if (auto real = dyn_cast<FloatAttr>(constant))
        capture.constant = real.getValueAsDouble();
    }
    if (capture.name.empty() || !taken.insert(capture.name).second)
      capture.name = "capture" + std::to_string(i);
    input.captures.push_back(capture);
  }
  return success();
}

/// Notes that the function's argument behind `operand` is array `name`.
LogicalResult Reader::bind(StringRef role, Value operand, StringRef name) {
  auto argument = dyn_cast<BlockArgument>(operand);
  if (!argument)
    return input.op.emitError()
           << role
           << ": expected an argument of the function, got a value "
              "computed in it";
  std::string &slot = input.arguments[argument.getArgNumber()];
  if (!slot.empty())
    return input.op.emitError()
           << role << ": expected an argument of its own, got that of '" << slot
           << "'";
  slot = name.str();
  return success();
}

LogicalResult Reader::readArguments() {
  AttentionOp op = input.op;
  input.arguments.resize(input.function.getNumArguments());
  for (auto [role, operand, name] :
       {std::tuple<StringRef, Value, StringRef>{"query", op.getQuery(), "q"},
        {"key", op.getKey(), "k"},
        {"value", op.getValue(), "v"},
        {"output", op.getOutput(), "o"},
        {"lse", op.getLse(), "lse"},
        {"q_descale", op.getQDescale(), "q_descale"},
        {"k_descale", op.getKDescale(), "k_descale"},
        {"v_descale", op.getVDescale(), "v_descale"}})
    if (operand && failed(bind(role, operand, name)))
      return failure();
  for (auto [value, capture] : llvm::zip(op.getCaptures(), input.captures))
    if (!capture.constant && failed(bind("capture", value, capture.name)))
      return failure();
  // What the kernel's manifest calls the captures.
  for (auto [i, name] : llvm::enumerate(input.arguments))
    if (!name.empty())
      input.function.setArgAttr(i, "flash.name",
                                StringAttr::get(op.getContext(), name));
  for (auto [i, name] : llvm::enumerate(input.arguments))
    if (name.empty())
      return input.function.emitError()
             << "argument " << i
             << ": expected an operand of flash.attention, got one that it "
                "does not use";
  // The arrays of the outputs must be where the results end up.
  auto returned = dyn_cast<func::ReturnOp>(
      input.function.getBody().front().getTerminator());
  if (!op.isOnBuffers() &&
      (!returned || !llvm::equal(returned.getOperands(), op->getResults())))
    return op.emitError("expected the function to return the results of "
                        "flash.attention, in order, and nothing else");
  return success();
}

namespace flash::run {

FailureOr<ModuleInput> readModule(MLIRContext *context,
                                  const std::string &path) {
  context->loadDialect<FlashDialect>();
  std::string message;
  auto sources = std::make_shared<llvm::SourceMgr>();
  std::unique_ptr<llvm::MemoryBuffer> buffer = openInputFile(path, &message);
  if (!buffer) {
    emitError(FileLineColLoc::get(context, path, 0, 0)) << message;
    return failure();
  }
  sources->AddNewSourceBuffer(std::move(buffer), llvm::SMLoc());
  ModuleInput input;
  input.module = parseSourceFile<ModuleOp>(sources, context);
  if (!input.module || failed(Reader(input, *sources).run()))
    return failure();
  return std::move(input);
}

LogicalResult verifyArray(func::FuncOp function, unsigned argument,
                          StringRef name, const StridedArray &array) {
  auto memref = dyn_cast<MemRefType>(function.getArgument(argument).getType());
  if (!memref)
    return success();
  SmallVector<int64_t> strides;
  int64_t offset;
  if (failed(memref.getStridesAndOffset(strides, offset)))
    return function.emitError()
           << name << ": expected a strided layout, got " << memref;
  for (auto [dim, stride] : llvm::enumerate(strides))
    if (!ShapedType::isDynamic(stride) && array.shape[dim] != 1 &&
        stride != array.strides[dim])
      return function.emitError()
             << name << " stride of dimension " << dim << ": expected "
             << stride << " (static in the function's type), got "
             << array.strides[dim] << " from --strides";
  return success();
}

} // namespace flash::run

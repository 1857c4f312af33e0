//===- FlashToTile.cpp - Attention to a tile program ----------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Conversion/FlashToTile.h"

#include "BlockMap.h"

#include "flash/Conversion/Passes.h"
#include "flash/Dialect/Flash/IR/Flash.h"

#include "mlir/IR/Dominance.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/CSE.h"

#include <limits>

namespace mlir::flash_tile {
#define GEN_PASS_DEF_FLASHTOTILE
#include "flash/Conversion/Passes.h.inc"
} // namespace mlir::flash_tile

using namespace mlir;
using namespace mlir::flash;

//===----------------------------------------------------------------------===//
// What is refused
//===----------------------------------------------------------------------===//

static LogicalResult checkModifiers(AttentionOp op) {
  if (op.hasModifiers())
    return op.emitOpError("modifiers: expected none (run "
                          "--flash-expand-modifiers first), got ")
           << (op.getCausal()       ? "causal"
               : op.getWindow()     ? "window"
               : op.getPrefix()     ? "prefix"
               : op.getChunk()      ? "chunk"
               : op.getSinkTokens() ? "sink_tokens"
               : op.getSoftcap()    ? "softcap"
                                    : "alibi");
  return success();
}

static LogicalResult checkOperands(AttentionOp op) {
  for (auto [role, value] :
       {std::pair<StringRef, Value>{"cu_seqlens_q", op.getCuSeqlensQ()},
        {"cu_seqlens_k", op.getCuSeqlensK()},
        {"block_table", op.getBlockTable()},
        {"sinks", op.getSinks()}})
    if (value)
      return op.emitOpError() << role << ": not yet lowered";
  if (!op.isOnBuffers())
    return op.emitOpError(
        "query: expected a memref (bufferize first), got a tensor");
  for (auto [role, value] :
       {std::pair<StringRef, Value>{"query", op.getQuery()},
        {"key", op.getKey()},
        {"value", op.getValue()},
        {"output", op.getOutput()},
        {"lse", op.getLse()},
        {"q_descale", op.getQDescale()},
        {"k_descale", op.getKDescale()},
        {"v_descale", op.getVDescale()}}) {
    if (value && !isa<BlockArgument>(value))
      return op.emitOpError()
             << role
             << ": expected an argument of the function, got the result "
             << "of '" << value.getDefiningOp()->getName() << "'";
  }
  for (auto [role, value] :
       {std::pair<StringRef, Value>{"query", op.getQuery()},
        {"key", op.getKey()}}) {
    int64_t length = cast<ShapedType>(value.getType()).getDimSize(2);
    if (length > std::numeric_limits<int32_t>::max())
      return op.emitOpError() << role << " length: expected at most "
                              << std::numeric_limits<int32_t>::max()
                              << " (sizes have 32 bits), got " << length;
  }
  for (auto [role, value] :
       {std::pair<StringRef, Value>{"query", op.getQuery()},
        {"value", op.getValue()}}) {
    auto type = cast<ShapedType>(value.getType());
    ScheduleAttr schedule = op.getScheduleAttr();
    const bool onFma = schedule && schedule.getQk() == MathUnit::fma &&
                       schedule.getPv() == MathUnit::fma;
    if (type.getElementType().isF32() && schedule && !onFma)
      return op.emitOpError()
             << role
             << " element type: expected one that tensor cores multiply "
             << "(f16, bf16, tf32, f8E4M3FN, f8E5M2), got f32";
    // Rows are copied in chunks of 16 bytes.
    int64_t dim = type.getDimSize(3);
    int64_t granule = type.getElementTypeBitWidth() == 8 ? 16 : 8;
    if (dim % granule != 0 || dim > 256)
      return op.emitOpError() << role << " head dim: expected a multiple of "
                              << granule << ", at most 256, got " << dim;
  }
  Type input = op.getQueryType().getElementType();
  if (Type element = op.getValueType().getElementType(); element != input)
    return op.emitOpError()
           << "value element type: expected " << input
           << " (as query; others are not yet lowered), got " << element;
  Type element = op.getOutputType().getElementType();
  if (input.getIntOrFloatBitWidth() == 8) {
    if (!isa<BFloat16Type, Float16Type, Float32Type>(element))
      return op.emitOpError()
             << "output element type: expected bf16, f16 or f32 for 8-bit "
                "inputs (8-bit outputs are not yet lowered), got "
             << element;
  } else if (!element.isF32() && element != input) {
    return op.emitOpError() << "output element type: expected " << input
                            << " (as query) or f32, got " << element;
  }
  ScheduleAttr schedule = op.getScheduleAttr();
  if (!schedule)
    return op.emitOpError("schedule: expected one (run --flash-select-schedule "
                          "first), got none");
  if (schedule.getTileV() && op.getValueDim() % schedule.getTileV())
    return op.emitOpError()
           << "tile_v: expected a divisor of the value head "
           << "dim " << op.getValueDim() << ", got " << schedule.getTileV();
  return success();
}

//===----------------------------------------------------------------------===//
// Signature
//===----------------------------------------------------------------------===//

namespace {

/// Collects the kernel's arguments in ABI order, then moves the scalars that
/// the op takes from the function into the kernel.
class KernelSignature {
public:
  KernelSignature(OpBuilder &builder, AttentionOp op, func::FuncOp function)
      : builder(builder), op(op), function(function) {}

  /// Collects the arguments; with a workspace, it comes last.
  LogicalResult collect(bool hasWorkspace);
  /// Creates a kernel with these arguments. `grid` holds expressions.
  gpu::GPUFuncOp create(StringRef name, ArrayRef<std::string> grid);
  /// The operands of the body of the kernel created last, for a builder in its
  /// entry block.
  ForwardOperands getOperands(OpBuilder &body);

private:
  /// `source`: the function's value that the argument stands for, if any.
  void add(Value source, Type type, StringRef role, ArrayRef<StringRef> dims);
  StringAttr getCaptureName(unsigned argument);
  LogicalResult addCapture(StringRef role, Value value);
  /// Adds the scalar arguments of the function that `value` is computed from.
  LogicalResult addScalar(StringRef role, Value value);
  Value getScalar(OpBuilder &body, Value value);
  ArrayAttr strings(ArrayRef<StringRef> names) {
    return builder.getStrArrayAttr(names);
  }

  OpBuilder &builder;
  AttentionOp op;
  func::FuncOp function;
  gpu::GPUFuncOp kernel;
  SmallVector<Type> types;
  SmallVector<DictionaryAttr> attributes;
  /// Number of the kernel's argument, per scalar or memref of the function.
  llvm::DenseMap<Value, unsigned> scalars, memrefs;
  unsigned scale = 0;
  /// Numbers of the arguments that hold the scales of heads, by role.
  llvm::StringMap<unsigned> headScales;
  std::optional<unsigned> workspace;
  IRMapping mapping;
};

} // namespace

void KernelSignature::add(Value source, Type type, StringRef role,
                          ArrayRef<StringRef> dims) {
  SmallVector<NamedAttribute> named{
      builder.getNamedAttr("flash_tile.role", builder.getStringAttr(role))};
  if (!dims.empty())
    named.push_back(builder.getNamedAttr("flash_tile.dims", strings(dims)));
  // Numbers of tf32 are f32 in memory, and products on tensor cores round them.
  if (auto memref = dyn_cast<MemRefType>(type);
      memref && memref.getElementType().isTF32())
    type = MemRefType::get(memref.getShape(), builder.getF32Type(),
                           memref.getLayout(), memref.getMemorySpace());
  if (source)
    (isa<MemRefType>(type) ? memrefs : scalars)
        .try_emplace(source, types.size());
  if (auto argument = dyn_cast_if_present<BlockArgument>(source);
      argument && role == "capture")
    named.push_back(builder.getNamedAttr(
        "flash_tile.name", getCaptureName(argument.getArgNumber())));
  types.push_back(type);
  attributes.push_back(builder.getDictionaryAttr(named));
}

/// What launchers call the parameter of a capture: the name that the function
/// gives its argument, or one made of the argument's number.
StringAttr KernelSignature::getCaptureName(unsigned argument) {
  if (auto name = function.getArgAttrOfType<StringAttr>(argument, "flash.name"))
    return name;
  return builder.getStringAttr("argument" + Twine(argument));
}

/// The type that a scalar has in the ABI, or null: indices are passed as i64.
static Type getParameterType(Type type) {
  if (type.isIndex())
    return IntegerType::get(type.getContext(), 64);
  if (type.isF32() || type.isInteger(32) || type.isInteger(64))
    return type;
  return Type();
}

LogicalResult KernelSignature::addScalar(StringRef role, Value value) {
  if (!value || scalars.contains(value))
    return success();
  if (isa<BlockArgument>(value)) {
    Type type = getParameterType(value.getType());
    if (!type)
      return op.emitOpError()
             << role
             << " type: expected index, i32, i64 or f32 (others are not "
             << "yet lowered), got " << value.getType();
    add(value, type, "capture", {});
    return success();
  }
  // Computed in front of the op: computed again in the kernel.
  Operation *producer = value.getDefiningOp();
  if (auto dim = dyn_cast<memref::DimOp>(producer);
      dim && memrefs.contains(dim.getSource()))
    return addScalar(role, dim.getIndex());
  bool isScalar = llvm::all_of(producer->getOperandTypes(), [](Type type) {
    return type.isIntOrIndexOrFloat();
  });
  if (!isPure(producer) || producer->getNumRegions() != 0 || !isScalar)
    return op.emitOpError()
           << role
           << ": expected a function argument, a constant or a scalar computed "
              "from them, got the result of '"
           << producer->getName() << "'";
  for (Value operand : producer->getOperands())
    if (failed(addScalar(role, operand)))
      return failure();
  return success();
}

LogicalResult KernelSignature::addCapture(StringRef role, Value value) {
  auto type = dyn_cast<MemRefType>(value.getType());
  if (!type)
    return addScalar(role, value);
  if (!isa<BlockArgument>(value))
    return op.emitOpError()
           << role << ": expected an argument of the function, got the result "
           << "of '" << value.getDefiningOp()->getName() << "'";
  Type element = type.getElementType();
  bool isInteger =
      llvm::any_of(ArrayRef<unsigned>{1, 8, 16, 32, 64}, [&](unsigned width) {
        return element.isSignlessInteger(width);
      });
  if (!isInteger && !element.isF32() && !element.isF16() && !element.isBF16())
    return op.emitOpError() << role
                            << " element type: expected f32, f16, bf16, i1, "
                               "i8, i16, i32 or i64, got "
                            << element;
  if (!memrefs.contains(value))
    add(value, type, "capture", {});
  return success();
}

LogicalResult KernelSignature::collect(bool hasWorkspace) {
  add(op.getQuery(), op.getQuery().getType(), "q", {"b", "hq", "sq", "d"});
  add(op.getKey(), op.getKey().getType(), "k", {"b", "hkv", "sk", "d"});
  add(op.getValue(), op.getValue().getType(), "v", {"b", "hkv", "sk", "dv"});
  add(op.getOutput(), op.getOutput().getType(), "o", {"b", "hq", "sq", "dv"});
  if (op.getLse())
    add(op.getLse(), op.getLse().getType(), "lse", {"b", "hq", "sq"});
  for (auto [role, scales, heads] : {std::tuple<StringRef, Value, StringRef>{
                                         "q_descale", op.getQDescale(), "hq"},
                                     {"k_descale", op.getKDescale(), "hkv"},
                                     {"v_descale", op.getVDescale(), "hkv"}}) {
    if (!scales)
      continue;
    headScales[role] = types.size();
    add(scales, scales.getType(), role, {"b", heads});
  }
  scale = types.size();
  add(Value(), builder.getF32Type(), "scale", {});
  for (auto [number, capture] : llvm::enumerate(op.getCaptures()))
    if (failed(addCapture(("capture " + Twine(number)).str(), capture)))
      return failure();
  for (auto [role, value] :
       {std::pair<StringRef, Value>{"offset_b", op.getOffsetB()},
        {"offset_h", op.getOffsetH()},
        {"offset_q", op.getOffsetQ()},
        {"offset_k", op.getOffsetK()},
        {"alignment", op.getAlignment()},
        {"heads", op.getHeads()}})
    if (failed(addScalar(role, value)))
      return failure();

  if (hasWorkspace) {
    workspace = types.size();
    add(Value(), MemRefType::get({ShapedType::kDynamic}, builder.getI32Type()),
        "workspace", {});
  }
  return success();
}

gpu::GPUFuncOp KernelSignature::create(StringRef name,
                                       ArrayRef<std::string> grid) {
  mapping.clear();
  kernel = gpu::GPUFuncOp::create(
      builder, function.getLoc(), name,
      FunctionType::get(builder.getContext(), types, {}));
  for (auto [number, dictionary] : llvm::enumerate(attributes))
    kernel.setArgAttrs(number, dictionary);
  ScheduleAttr schedule = op.getScheduleAttr();
  kernel->setAttr(gpu::GPUDialect::getKernelFuncAttrName(),
                  builder.getUnitAttr());
  kernel.setKnownBlockSizeAttr(builder.getDenseI32ArrayAttr(
      {static_cast<int32_t>(32 * schedule.getWarps()), 1, 1}));
  auto set = [&](StringRef name, Attribute value) {
    kernel->setAttr(("flash_tile." + name).str(), value);
  };
  set("sizes", strings({"b", "hq", "hkv", "sq", "sk"}));
  set("grid", strings(llvm::to_vector_of<StringRef>(grid)));
  set("scale", builder.getF32FloatAttr(op.getScaleOrDefault()));
  set("group", builder.getI64IntegerAttr(op.getGroupSize()));
  set("schedule", schedule);
  return kernel;
}

Value KernelSignature::getScalar(OpBuilder &body, Value value) {
  if (!value)
    return Value();
  if (Value known = mapping.lookupOrNull(value))
    return known;
  if (auto found = scalars.find(value); found != scalars.end()) {
    Value argument = kernel.getArgument(found->second);
    if (value.getType().isIndex())
      argument = arith::IndexCastOp::create(body, value.getLoc(),
                                            body.getIndexType(), argument);
    mapping.map(value, argument);
    return argument;
  }
  for (Value operand : value.getDefiningOp()->getOperands()) {
    if (auto found = memrefs.find(operand); found != memrefs.end())
      mapping.map(operand, kernel.getArgument(found->second));
    else
      getScalar(body, operand);
  }
  body.clone(*value.getDefiningOp(), mapping);
  return mapping.lookup(value);
}

ForwardOperands KernelSignature::getOperands(OpBuilder &body) {
  ForwardOperands operands;
  // By position: the same memref may be passed in two roles.
  operands.query = kernel.getArgument(0);
  operands.key = kernel.getArgument(1);
  operands.value = kernel.getArgument(2);
  operands.output = kernel.getArgument(3);
  if (op.getLse())
    operands.lse = kernel.getArgument(4);
  operands.scale = kernel.getArgument(scale);
  for (auto [role, operand] :
       {std::pair<StringRef, Value *>{"q_descale", &operands.queryScale},
        {"k_descale", &operands.keyScale},
        {"v_descale", &operands.valueScale}})
    if (auto found = headScales.find(role); found != headScales.end())
      *operand = kernel.getArgument(found->second);
  for (Value capture : op.getCaptures())
    operands.captures.push_back(
        isa<MemRefType>(capture.getType())
            ? Value(kernel.getArgument(memrefs.lookup(capture)))
            : getScalar(body, capture));
  operands.offsetB = getScalar(body, op.getOffsetB());
  operands.offsetH = getScalar(body, op.getOffsetH());
  operands.offsetQ = getScalar(body, op.getOffsetQ());
  operands.offsetK = getScalar(body, op.getOffsetK());
  operands.alignment = getScalar(body, op.getAlignment());
  operands.heads = getScalar(body, op.getHeads());
  if (workspace)
    operands.workspace = kernel.getArgument(*workspace);
  return operands;
}

//===----------------------------------------------------------------------===//
// Kernel
//===----------------------------------------------------------------------===//

/// Moves the constants to the top and merges what is computed twice, so that
/// the kernel reads well without another pass.
static void tidy(gpu::GPUFuncOp kernel) {
  Block &entry = kernel.getBody().front();
  SmallVector<Operation *> constants;
  kernel.walk([&](Operation *op) {
    if (op->hasTrait<OpTrait::ConstantLike>())
      constants.push_back(op);
  });
  for (Operation *op : llvm::reverse(constants))
    op->moveBefore(&entry, entry.begin());
  IRRewriter rewriter(kernel.getContext());
  DominanceInfo dominance(kernel);
  eliminateCommonSubExpressions(rewriter, dominance, kernel);
}

FailureOr<gpu::GPUFuncOp> mlir::flash::buildTileKernel(OpBuilder &builder,
                                                       func::FuncOp function) {
  SmallVector<AttentionOp> ops;
  function.walk([&](AttentionOp op) { ops.push_back(op); });
  if (ops.size() != 1)
    return function.emitOpError()
           << "attention ops: expected 1 per function, got " << ops.size();
  AttentionOp op = ops.front();
  if (function.getNumResults() != 0)
    return function.emitOpError()
           << "results: expected none (the output is an argument), got "
           << function.getNumResults();
  if (!SymbolTable::symbolKnownUseEmpty(function, function->getParentOp()))
    return function.emitOpError(
        "uses: expected none (a kernel is launched, not called), got some");
  if (op->getBlock() != &function.getBody().front())
    return op.emitOpError(
        "position: expected the function's body, got a nested region");
  if (failed(checkModifiers(op)) || failed(checkOperands(op)))
    return failure();
  for (Operation &other : function.getBody().front())
    if (&other != op && !other.hasTrait<OpTrait::IsTerminator>() &&
        !isMemoryEffectFree(&other))
      return other.emitError()
             << "'" << other.getName() << "' beside flash.attention: expected "
             << "ops free of side effects only";

  MaskRanges ranges = analyzeMask(op.getMask(), getMaskTiling(op));
  for (const auto &[loc, text] : ranges.remarks)
    emitRemark(loc) << text;
  bool isMapped = needsBlockMap(op, ranges);

  OpBuilder::InsertionGuard guard(builder);
  KernelSignature signature(builder, op, function);
  if (failed(signature.collect(isMapped)))
    return failure();
  auto build =
      [&](StringRef name, ArrayRef<std::string> grid,
          llvm::function_ref<LogicalResult(const ForwardOperands &)> body)
      -> gpu::GPUFuncOp {
    OpBuilder::InsertionGuard guard(builder);
    gpu::GPUFuncOp kernel = signature.create(name, grid);
    builder.setInsertionPointToEnd(&kernel.getBody().front());
    if (failed(body(signature.getOperands(builder)))) {
      kernel.erase();
      return nullptr;
    }
    tidy(kernel);
    return kernel;
  };

  std::string name = function.getName().str();
  gpu::GPUFuncOp mapKernel;
  if (isMapped) {
    BlockMap map(op);
    std::string mapName = name + "_block_map";
    emitRemark(op.getMask().front().getTerminator()->getLoc())
        << "mask: its live tiles are found at run time, by the kernel '"
        << mapName << "' in front of '" << name << "'";
    mapKernel =
        build(mapName, map.getGrid(), [&](const ForwardOperands &operands) {
          return buildBlockMapKernel(builder, op, ranges, operands);
        });
    if (!mapKernel)
      return failure();
    mapKernel->setAttr("flash_tile.before", builder.getStringAttr(name));
  }
  std::string rows =
      "ceildiv(sq, " + std::to_string(op.getScheduleAttr().getTileQ()) + ")";
  if (int64_t slices = getNumValueSlices(op); slices > 1)
    rows += " * " + std::to_string(slices);
  gpu::GPUFuncOp kernel =
      build(name, {rows, "hq", "b"}, [&](const ForwardOperands &operands) {
        return buildForwardKernel(builder, op, ranges, operands);
      });
  if (!kernel) {
    if (mapKernel)
      mapKernel.erase();
    return failure();
  }
  if (isMapped)
    kernel->setAttr("flash_tile.workspace_bytes",
                    builder.getStringAttr(BlockMap(op).getBytes()));
  return kernel;
}

namespace {
struct FlashToTilePass : flash_tile::impl::FlashToTileBase<FlashToTilePass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    SmallVector<func::FuncOp> functions;
    module.walk([&](func::FuncOp function) {
      bool holdsAttention =
          function.walk([](AttentionOp) { return WalkResult::interrupt(); })
              .wasInterrupted();
      if (holdsAttention)
        functions.push_back(function);
    });
    if (functions.empty())
      return;
    OpBuilder builder(&getContext());
    auto kernels = module.lookupSymbol<gpu::GPUModuleOp>(kKernelModule);
    if (!kernels) {
      builder.setInsertionPoint(functions.front());
      kernels =
          gpu::GPUModuleOp::create(builder, module.getLoc(), kKernelModule);
    }
    for (func::FuncOp function : functions) {
      builder.setInsertionPointToEnd(kernels.getBody());
      if (failed(buildTileKernel(builder, function)))
        return signalPassFailure();
      function.erase();
    }
  }
};
} // namespace

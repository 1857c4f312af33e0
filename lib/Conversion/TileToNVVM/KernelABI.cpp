//===- KernelABI.cpp - From memref arguments to the kernel ABI ------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A kernel is launched with bare pointers, then its sizes (i32, in the order of
// the function's `flash_tile.sizes`), then every memref's strides (i64, in
// elements), then scalars and captures in argument order. A captured memref is
// its pointer, its strides and, unless `flash_tile.dims` names them, its
// dynamic extents (i64). Sizes that several memrefs share are passed once:
// `flash_tile.dims` names each dimension of an argument. The workspace is a
// pointer alone: what lies in it where is the kernels' own agreement.
//
//===----------------------------------------------------------------------===//

#include "TileLowering.h"

namespace mlir::flash_tile {
namespace {

/// The names in an array attribute of strings.
FailureOr<SmallVector<StringRef>> getNames(Operation *op, Attribute attr,
                                           const Twine &what) {
  SmallVector<StringRef> names;
  auto array = dyn_cast_or_null<ArrayAttr>(attr);
  if (!array)
    return op->emitOpError(what) << ": expected an array of names, got none";
  for (Attribute name : array) {
    auto string = dyn_cast<StringAttr>(name);
    if (!string)
      return op->emitOpError(what) << ": expected names, got " << name;
    names.push_back(string.getValue());
  }
  return names;
}

} // namespace

LogicalResult lowerKernelABI(gpu::GPUFuncOp func) {
  MLIRContext *context = func.getContext();
  Block &entry = func.getBody().front();
  OpBuilder b = OpBuilder::atBlockBegin(&entry);
  Location loc = func.getLoc();
  FailureOr<SmallVector<StringRef>> sizes =
      getNames(func, func->getAttr("flash_tile.sizes"), "flash_tile.sizes");
  if (failed(sizes))
    return failure();

  unsigned oldCount = func.getNumArguments();
  SmallVector<BlockArgument> oldArguments(func.getArguments());
  SmallVector<Type> types;
  SmallVector<Attribute> attributes;
  auto add = [&](Type type, Location at) {
    types.push_back(type);
    attributes.push_back(DictionaryAttr::get(context));
    return entry.addArgument(type, at);
  };

  struct Parts {
    Value pointer;
    SmallVector<Value> extents, strides;
  };
  SmallVector<Parts> parts(oldCount);
  Type pointerType = LLVM::LLVMPointerType::get(context, kGlobalSpace);
  // Problem operands before captures.
  SmallVector<unsigned> operands, trailing;
  for (auto [i, argument] : llvm::enumerate(oldArguments)) {
    auto role = func.getArgAttrOfType<StringAttr>(i, "flash_tile.role");
    bool isOperand = isa<MemRefType>(argument.getType()) &&
                     !(role && (role.getValue() == "capture" ||
                                role.getValue() == "workspace"));
    (isOperand ? operands : trailing).push_back(i);
  }
  for (unsigned i : operands)
    parts[i].pointer = add(pointerType, oldArguments[i].getLoc());

  llvm::StringMap<Value> sizeValues;
  for (StringRef name : *sizes) {
    Value size = add(b.getI32Type(), loc);
    sizeValues[name] =
        arith::IndexCastOp::create(b, loc, b.getIndexType(), size);
  }
  auto addShape = [&](unsigned i) -> LogicalResult {
    BlockArgument argument = oldArguments[i];
    auto type = cast<MemRefType>(argument.getType());
    Attribute dims = func.getArgAttr(i, "flash_tile.dims");
    bool ownExtents = !dims && llvm::is_contained(trailing, i);
    FailureOr<SmallVector<StringRef>> names;
    if (ownExtents)
      names = SmallVector<StringRef>(type.getRank());
    else
      names = getNames(func, dims, "flash_tile.dims of argument " + Twine(i));
    if (failed(names))
      return failure();
    auto [strides, offset] = type.getStridesAndOffset();
    if (int64_t(names->size()) != type.getRank())
      return func.emitOpError("flash_tile.dims of argument ")
             << i << ": expected " << type.getRank() << " names, got "
             << names->size();
    for (int64_t d = 0; d < type.getRank(); ++d) {
      Value stride = add(b.getI64Type(), argument.getLoc());
      parts[i].strides.push_back(
          ShapedType::isStatic(strides[d])
              ? indexConstant(b, loc, strides[d])
              : arith::IndexCastOp::create(b, loc, b.getIndexType(), stride));
    }
    for (int64_t d = 0; d < type.getRank(); ++d) {
      Value extent;
      if (!type.isDynamicDim(d))
        extent = indexConstant(b, loc, type.getDimSize(d));
      else if (ownExtents)
        extent = arith::IndexCastOp::create(
            b, loc, b.getIndexType(), add(b.getI64Type(), argument.getLoc()));
      else
        extent = sizeValues.lookup((*names)[d]);
      if (!extent)
        return func.emitOpError("flash_tile.dims of argument ")
               << i << ": expected a name in flash_tile.sizes, got '"
               << (*names)[d] << "'";
      parts[i].extents.push_back(extent);
    }
    return success();
  };
  for (unsigned i : operands)
    if (failed(addShape(i)))
      return failure();
  SmallVector<Value> replacements(oldCount);
  for (unsigned i : trailing) {
    BlockArgument argument = oldArguments[i];
    Type type = argument.getType();
    if (isa<MemRefType>(type)) {
      parts[i].pointer = add(pointerType, argument.getLoc());
      auto role = func.getArgAttrOfType<StringAttr>(i, "flash_tile.role");
      if (role && role.getValue() == "workspace") {
        // No access is found to be out of bounds.
        parts[i].extents = {indexConstant(b, loc, int64_t(1) << 62)};
        parts[i].strides = {indexConstant(b, loc, 1)};
      } else if (failed(addShape(i))) {
        return failure();
      }
      continue;
    }
    if (!type.isIntOrIndexOrFloat())
      return func.emitOpError("argument ")
             << i << ": expected a memref or a scalar, got " << type;
    // index has no fixed width in an ABI; it travels as i64.
    Value scalar =
        add(type.isIndex() ? Type(b.getI64Type()) : type, argument.getLoc());
    replacements[i] = type.isIndex()
                          ? arith::IndexCastOp::create(b, loc, type, scalar)
                          : scalar;
  }
  // The pointer is to the first logical element: the offset is the caller's.
  for (unsigned i : llvm::concat<unsigned>(operands, trailing)) {
    if (!parts[i].pointer)
      continue;
    SmallVector<Value> values{parts[i].pointer};
    llvm::append_range(values, parts[i].extents);
    llvm::append_range(values, parts[i].strides);
    replacements[i] = UnrealizedConversionCastOp::create(
                          b, loc, oldArguments[i].getType(), values)
                          .getResult(0);
  }
  for (auto [argument, value] : llvm::zip(oldArguments, replacements))
    argument.replaceAllUsesWith(value);
  entry.eraseArguments(0, oldCount);
  func.setFunctionType(FunctionType::get(context, types, {}));
  func.setAllArgAttrs(attributes);
  return success();
}

} // namespace mlir::flash_tile

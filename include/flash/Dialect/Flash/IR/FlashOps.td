//===- FlashOps.td - Operations of the flash dialect -------*- tablegen -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASH_IR_FLASHOPS_TD
#define FLASH_DIALECT_FLASH_IR_FLASHOPS_TD

include "flash/Dialect/Flash/IR/FlashAttributes.td"
include "mlir/Interfaces/DestinationStyleOpInterface.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Flash_Op<string mnemonic, list<Trait> traits = []>
    : Op<Flash_Dialect, mnemonic, traits>;

//===----------------------------------------------------------------------===//
// Operand types
//===----------------------------------------------------------------------===//

// What Q, K, V and O are stored in; scores and sums are always f32.
def Flash_Element : AnyTypeOf<[
    F16, BF16, F32, TF32, F8E4M3FN, F8E5M2
  ], "f16, bf16, f32, tf32, f8E4M3FN or f8E5M2">;

class Flash_ShapedOf<Type element, int rank, string summary>
    : AnyTypeOf<[TensorRankOf<[element], [rank]>,
                 StridedMemRefRankOf<[element], [rank]>], summary>;

def Flash_Matrix : Flash_ShapedOf<Flash_Element, 4,
    "4-D tensor or strided memref of f16, bf16, f32, tf32, f8E4M3FN or f8E5M2">;
def Flash_Statistics : Flash_ShapedOf<F32, 3,
    "3-D tensor or strided memref of f32">;
def Flash_Lengths : Flash_ShapedOf<I32, 1,
    "1-D tensor or strided memref of i32">;
def Flash_BlockTable : Flash_ShapedOf<I32, 2,
    "2-D tensor or strided memref of i32">;
def Flash_Sinks : Flash_ShapedOf<F32, 1,
    "1-D tensor or strided memref of f32">;
def Flash_Capture : AnyTypeOf<[
    AnyRankedTensor, AnyStridedMemRef, Index, AnySignlessInteger, AnyFloat
  ], "ranked tensor, strided memref, index, integer or float">;

//===----------------------------------------------------------------------===//
// flash.attention
//===----------------------------------------------------------------------===//

def Flash_AttentionOp : Flash_Op<"attention", [
    AttrSizedOperandSegments,
    IsolatedFromAbove,
    DestinationStyleOpInterface,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
    DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, [
      "reifyResultShapes"
    ]>
  ]> {
  let summary = "scaled dot-product attention";
  let arguments = (ins
    Arg<Flash_Matrix, "queries, [B, Hq, Sq, D]">:$query,
    Arg<Flash_Matrix, "keys, [B, Hkv, Sk, D]">:$key,
    Arg<Flash_Matrix, "values, [B, Hkv, Sk, Dv]">:$value,
    Arg<Variadic<Flash_Capture>, "what the regions read">:$captures,
    Arg<Optional<Index>, "batch index of the first batch entry">:$offset_b,
    Arg<Optional<Index>, "query head index of the first head">:$offset_h,
    Arg<Optional<Index>, "query index of the first query">:$offset_q,
    Arg<Optional<Index>, "key index of the first key">:$offset_k,
    Arg<Optional<Index>, "Sk - Sq of the whole problem">:$alignment,
    Arg<Optional<Index>, "query heads of the whole problem">:$heads,
    Arg<Optional<Flash_Lengths>, "cumulative query lengths">:$cu_seqlens_q,
    Arg<Optional<Flash_Lengths>, "cumulative key lengths">:$cu_seqlens_k,
    Arg<Optional<Flash_BlockTable>, "page of each block of keys">:$block_table,
    Arg<Optional<Flash_Sinks>, "logit of each head's sink">:$sinks,
    Arg<Flash_Matrix, "destination, [B, Hq, Sq, Dv]">:$output,
    Arg<Optional<Flash_Statistics>, "log-sum-exp, [B, Hq, Sq]">:$lse,
    OptionalAttr<F32Attr>:$scale,
    OptionalAttr<I64Attr>:$group,
    OptionalAttr<Flash_CausalAttr>:$causal,
    OptionalAttr<DenseI64ArrayAttr>:$window,
    OptionalAttr<I64Attr>:$prefix,
    OptionalAttr<I64Attr>:$chunk,
    OptionalAttr<I64Attr>:$sink_tokens,
    OptionalAttr<F32Attr>:$softcap,
    UnitAttr:$alibi,
    OptionalAttr<Flash_ScheduleAttr>:$schedule
  );
  let results = (outs Variadic<AnyRankedTensor>:$result_tensors);
  let regions = (region MaxSizedRegion<1>:$score, MaxSizedRegion<1>:$mask);

  let assemblyFormat = [{
    `ins` `(` `query` `=` $query `,` `key` `=` $key `,` `value` `=` $value `:`
          type($query) `,` type($key) `,` type($value) `)`
    oilist(
        `captures` `(` $captures `:` type($captures) `)`
      | `offset_b` `(` $offset_b `)`
      | `offset_h` `(` $offset_h `)`
      | `offset_q` `(` $offset_q `)`
      | `offset_k` `(` $offset_k `)`
      | `alignment` `(` $alignment `)`
      | `heads` `(` $heads `)`
      | `cu_seqlens_q` `(` $cu_seqlens_q `:` type($cu_seqlens_q) `)`
      | `cu_seqlens_k` `(` $cu_seqlens_k `:` type($cu_seqlens_k) `)`
      | `block_table` `(` $block_table `:` type($block_table) `)`
      | `sinks` `(` $sinks `:` type($sinks) `)`
    )
    `outs` `(` `output` `=` $output (`,` `lse` `=` $lse^)? `:`
           type($output) (`,` type($lse)^)? `)`
    attr-dict
    (`score` $score^)?
    (`mask` $mask^)?
    (`->` type($result_tensors)^)?
  }];

  let builders = [
    // Plain attention without regions or attributes; the results, if any, are
    // typed as the destinations.
    OpBuilder<(ins "::mlir::Value":$query, "::mlir::Value":$key,
                   "::mlir::Value":$value, "::mlir::Value":$output,
                   CArg<"::mlir::Value", "{}">:$lse,
                   CArg<"::mlir::ValueRange", "{}">:$captures)>
  ];

  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let hasCanonicalizer = 1;

  let extraClassDeclaration = [{
    /// Arguments of the regions before the captures: the score region takes
    /// (s, b, h, q, k), the mask region (b, h, q, k).
    static constexpr unsigned kNumScoreArgs = 5;
    static constexpr unsigned kNumMaskArgs = 4;
    /// Position of `output` among the operand groups.
    static constexpr unsigned kOutputIndex = 14;

    ::mlir::MutableOperandRange getDpsInitsMutable();

    ::mlir::ShapedType getQueryType() {
      return ::llvm::cast<::mlir::ShapedType>(getQuery().getType());
    }
    ::mlir::ShapedType getKeyType() {
      return ::llvm::cast<::mlir::ShapedType>(getKey().getType());
    }
    ::mlir::ShapedType getValueType() {
      return ::llvm::cast<::mlir::ShapedType>(getValue().getType());
    }
    ::mlir::ShapedType getOutputType() {
      return ::llvm::cast<::mlir::ShapedType>(getOutput().getType());
    }

    /// Elements of a query or key row (D), and of a value row (Dv).
    int64_t getHeadDim() { return getQueryType().getDimSize(3); }
    int64_t getValueDim() { return getValueType().getDimSize(3); }

    /// Query heads per key head: the `group` attribute, or Hq / Hkv.
    int64_t getGroupSize();

    /// The scale, with its default of 1 / sqrt(D), rounded once to f32.
    float getScaleOrDefault();

    /// True for the memref form, which has no results.
    bool isOnBuffers() {
      return ::llvm::isa<::mlir::MemRefType>(getQuery().getType());
    }
    /// True where cumulative lengths or a block table index the operands.
    bool isVarlen() { return getCuSeqlensQ() || getCuSeqlensK(); }
    bool isPaged() { return static_cast<bool>(getBlockTable()); }
    bool hasScoreRegion() { return !getScore().empty(); }
    bool hasMaskRegion() { return !getMask().empty(); }
    /// True where an attribute, not a region, says part of the score or of
    /// the mask; `--flash-expand-modifiers` leaves none.
    bool hasModifiers() {
      return getCausal() || getWindow() || getPrefix() || getChunk() ||
             getSinkTokens() || getSoftcap() || getAlibi();
    }

    /// What `flash.alignment` and `flash.heads` yield in the regions, as
    /// constants where they are known statically (never for varlen).
    std::optional<int64_t> getStaticAlignment();
    std::optional<int64_t> getStaticHeads();
    /// The same as values of this op's surroundings, built where `builder`
    /// stands if neither an operand nor a static shape gives them.
    /// Precondition: not varlen.
    ::mlir::OpFoldResult getMixedAlignment(::mlir::OpBuilder &builder);
    ::mlir::OpFoldResult getMixedHeads(::mlir::OpBuilder &builder);

    /// Types of the block arguments that the regions must have.
    ::llvm::SmallVector<::mlir::Type> getScoreArgumentTypes();
    ::llvm::SmallVector<::mlir::Type> getMaskArgumentTypes();
  }];
}

//===----------------------------------------------------------------------===//
// Operations inside the regions
//===----------------------------------------------------------------------===//

def Flash_YieldOp : Flash_Op<"yield", [
    Pure, Terminator, HasParent<"AttentionOp">
  ]> {
  let summary = "ends a score or mask region with its value";
  let arguments = (ins AnyTypeOf<[F32, I1]>:$value);
  let assemblyFormat = "$value attr-dict `:` type($value)";
}

class Flash_ProblemSizeOp<string mnemonic>
    : Flash_Op<mnemonic, [Pure, HasParent<"AttentionOp">]> {
  let results = (outs Index:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
  let hasFolder = 1;
}

def Flash_AlignmentOp : Flash_ProblemSizeOp<"alignment"> {
  let summary = "Sk - Sq of the whole problem";
}

def Flash_HeadsOp : Flash_ProblemSizeOp<"heads"> {
  let summary = "number of query heads of the whole problem";
}

#endif // FLASH_DIALECT_FLASH_IR_FLASHOPS_TD

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
def Flash_Descale : Flash_ShapedOf<F32, 2,
    "2-D tensor or strided memref of f32">;
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
  let description = [{
    Computes, for every batch entry `b`, query head `h` and query `q`,

    ```
    s[k] = scale * sum_d Q[b, h, q, d] * K[b, h floordiv group, k, d]
    s[k] = s[k] * q_descale[b, h] * k_descale[b, h floordiv group]   if given
    s[k] = score(s[k], b, h, q, k)               the score region
    s[k] = s[k] + slope[h] * (k - (q + align))   if alibi
    s[k] = softcap * tanh(s[k] / softcap)        if softcap
    s[k] = -inf   where not mask(b, h, q, k)     the mask region and attributes
    m = max_k s[k];   p[k] = exp(s[k] - m);   l = sum_k p[k]
    O[b, h, q, v] = sum_k p[k] * V[b, h floordiv group, k, v] / l
                    * v_descale[b, h floordiv group]                 if given
    LSE[b, h, q] = m + log(l)
    ```

    where `align` is the value of `flash.alignment`, Sk - Sq of the whole
    problem: query `q` stands at key `q + align`, the last query at the last
    key. A row that sees no key gives O = 0 and LSE = -inf.

    **Numerics.** Scores, softmax and sums are f32. P is rounded to the element
    type of V before the second product, O to its own at the end. LSE is a
    natural logarithm. How terms are ordered in a sum is not specified.

    `tf32` is stored as f32. Its elements are rounded to tf32 where they are
    multiplied, P among them; an output of tf32 is not rounded further. f32
    elements are multiplied as f32.

    8-bit P would flush to zero early and use few of its codes. So with p the
    probability that has its row's maximum at 1, p * 2^8 is rounded for f8E4M3FN
    (largest number 448) and p * 2^15 for f8E5M2 (57344), saturating; the factor
    is taken out again in O. It is not seen in LSE.

    **Scales.** What stands in 8-bit operands is a number divided by a scale of
    its head. `q_descale`, `k_descale` and `v_descale` are those scales, above 0;
    any element type may have them.

    **Form.** The op is in destination style. On tensors its results are O and,
    if there is an `lse` destination, LSE. On strided memrefs it has no result
    and writes its destinations, which it never reads; they must not overlap
    an input. BSHD storage and packed QKV are strided memrefs, not other ops.
    Any size but D and Dv may be dynamic.

    **Heads.** `group` query heads share a key head. It is Hq / Hkv; where one
    of those is dynamic the attribute says it.

    **Regions.** `score` maps a score and its place to a score, `mask` says
    whether a query sees a key. An empty region stands for the identity and for
    true. They see nothing of their surroundings: what they read comes in as
    `captures`, which are block arguments behind the indices of both regions.
    They hold ops without side effects; loads from captures are allowed.
    Indices are absolute: those of the loop plus `offset_b`, `offset_h`,
    `offset_q`, `offset_k`. So a tile of a problem means what it means within
    the whole, as long as `alignment` and `heads`, if the regions or attributes
    read them, are those of the whole.

    **Modifiers.** The usual masks and score modifications can be written as
    attributes. They mean what `--flash-expand-modifiers` makes of them:

    | attribute | meaning |
    |---|---|
    | `causal = #flash.causal<bottom_right>` | `k <= q + align` |
    | `causal = #flash.causal<top_left>` | `k <= q` |
    | `window = array<i64: L, R>` | `q + align - L <= k <= q + align + R`; -1: unbounded |
    | `prefix = N` | `k < N` or `k <= q + align` |
    | `chunk = N` | `(q + align) floordiv N = k floordiv N` |
    | `sink_tokens = N` | keys `k < N` are exempt from the window's left edge |
    | `alibi` | adds `slope[h] * (k - (q + align))`; see below |
    | `softcap = c` | `c * tanh(s / c)` |

    Masks given together, region included, are and-ed. ALiBi's slopes are
    2^(-8 (h + 1) / H) for H = `flash.heads` a power of two. Otherwise, with P
    the largest power of two below H, the first P heads have the slopes for P
    and the others 2^(-4 (2 (h - P) + 1) / P), every second one for 2 P.

    **Packed and paged operands.** With `cu_seqlens_q` and `cu_seqlens_k`,
    [N + 1], sequences lie one after another along Sq and Sk and B is 1;
    sequence `n` has queries `cu_seqlens_q[n]` to `cu_seqlens_q[n + 1]`. With
    `block_table`, [N, pages], K and V are [pages, Hkv, page size, D] and page
    `j` of sequence `n` is `block_table[n, j]`; the number of keys of a sequence
    comes from `cu_seqlens_k`, entries of the table past it are never read.
    `b` in the regions is then the sequence, `q` and `k` count within it, and
    `flash.alignment` is that of the sequence. `sinks`, [Hq], adds exp(sinks[h]
    - m) to `l`, with `m` not below `sinks[h]`: a logit without a value.

    **Constraints.**
    - C1: query, key, value and output are 4-D of a supported element type, lse
      is 3-D of f32.
    - C2: all of them are tensors and the results are typed as the
      destinations, or all are strided memrefs and there is no result. Tensor
      or memref captures are of the same kind.
    - C3: key has the element type of query.
    - C4: D and Dv are static and above 0; D of key is that of query, Dv of
      output that of value.
    - C5: the batch of value is that of key, that of output that of query, and,
      unless paged, that of key that of query.
    - C6: the heads of value are those of key, those of output those of query;
      query heads are a multiple of key heads, and `group`, at least 1, is
      their ratio. `group` is present if a head count is dynamic.
    - C7: the length of value is that of key, that of output that of query.
    - C8: lse is [B, Hq, Sq] of query.
    - C9: `scale` is finite, `softcap` finite and above 0.
    - C10: `window` is two numbers in [-1, 2^31).
    - C11: `prefix` and `sink_tokens` are in [0, 2^31), `chunk` in [1, 2^31).
    - C12: the score region takes (f32, index, index, index, index) and the
      captures, the mask region the same without the f32. A tensor argument may
      be more or less static than its capture.
    - C13: the score region yields f32, the mask region i1, by `flash.yield`.
    - C14: ops in the regions have no effect but reads, and no regions, except
      scf.if.
    - C15: `cu_seqlens_q` needs `cu_seqlens_k`, which needs `cu_seqlens_q` or
      `block_table`; both have one length.
    - C16: with cumulative lengths, packed operands have B = 1, and there is no
      `alignment`, `offset_b`, `offset_q` or `offset_k`.
    - C17: `block_table` needs `cu_seqlens_k` of one entry more than it has
      rows, a row per batch entry of query unless query is packed, and a static
      page size, a power of two of at least 16.
    - C18: `sinks` has an entry per query head.
    - C19: `q_descale` is [B, Hq] of query, `k_descale` and `v_descale` are [B,
      Hkv] of key; there is none of them with cumulative lengths.

    **Example.** Grouped causal attention with LSE, on tensors:

    ```mlir
    func.func @prefill(
        %q: tensor<1x32x?x128xbf16>, %k: tensor<1x8x?x128xbf16>,
        %v: tensor<1x8x?x128xbf16>, %o: tensor<1x32x?x128xbf16>,
        %l: tensor<1x32x?xf32>)
        -> (tensor<1x32x?x128xbf16>, tensor<1x32x?xf32>) {
      %0:2 = flash.attention
        ins(query = %q, key = %k, value = %v : tensor<1x32x?x128xbf16>,
            tensor<1x8x?x128xbf16>, tensor<1x8x?x128xbf16>)
        outs(output = %o, lse = %l : tensor<1x32x?x128xbf16>,
             tensor<1x32x?xf32>)
        {causal = #flash.causal<bottom_right>}
        -> tensor<1x32x?x128xbf16>, tensor<1x32x?xf32>
      return %0#0, %0#1 : tensor<1x32x?x128xbf16>, tensor<1x32x?xf32>
    }
    ```

    8-bit operands with a scale per head, and a wider output:

    ```mlir
    func.func @quantised(
        %q: tensor<1x32x?x128xf8E4M3FN>, %k: tensor<1x8x?x128xf8E4M3FN>,
        %v: tensor<1x8x?x128xf8E4M3FN>, %qs: tensor<1x32xf32>,
        %ks: tensor<1x8xf32>, %vs: tensor<1x8xf32>,
        %o: tensor<1x32x?x128xbf16>) -> tensor<1x32x?x128xbf16> {
      %0 = flash.attention
        ins(query = %q, key = %k, value = %v : tensor<1x32x?x128xf8E4M3FN>,
            tensor<1x8x?x128xf8E4M3FN>, tensor<1x8x?x128xf8E4M3FN>)
        q_descale(%qs : tensor<1x32xf32>) k_descale(%ks : tensor<1x8xf32>)
        v_descale(%vs : tensor<1x8xf32>)
        outs(output = %o : tensor<1x32x?x128xbf16>)
        -> tensor<1x32x?x128xbf16>
      return %0 : tensor<1x32x?x128xbf16>
    }
    ```

    A relative bias from a table and a document mask, on memrefs:

    ```mlir
    func.func @documents(
        %q: memref<?x?x?x64xf16, strided<[?, ?, ?, ?], offset: ?>>,
        %k: memref<?x?x?x64xf16, strided<[?, ?, ?, ?], offset: ?>>,
        %v: memref<?x?x?x64xf16, strided<[?, ?, ?, ?], offset: ?>>,
        %bias: memref<?x?x?xf32>, %document: memref<?xi32>,
        %o: memref<?x?x?x64xf16, strided<[?, ?, ?, ?], offset: ?>>) {
      flash.attention
        ins(query = %q, key = %k, value = %v
            : memref<?x?x?x64xf16, strided<[?, ?, ?, ?], offset: ?>>,
              memref<?x?x?x64xf16, strided<[?, ?, ?, ?], offset: ?>>,
              memref<?x?x?x64xf16, strided<[?, ?, ?, ?], offset: ?>>)
        captures(%bias, %document : memref<?x?x?xf32>, memref<?xi32>)
        outs(output = %o
             : memref<?x?x?x64xf16, strided<[?, ?, ?, ?], offset: ?>>)
        {group = 1}
        score {
        ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index,
             %table: memref<?x?x?xf32>, %docs: memref<?xi32>):
          %x = memref.load %table[%h, %i, %j] : memref<?x?x?xf32>
          %y = arith.addf %s, %x : f32
          flash.yield %y : f32
        }
        mask {
        ^bb0(%b: index, %h: index, %i: index, %j: index,
             %table: memref<?x?x?xf32>, %docs: memref<?xi32>):
          %x = memref.load %docs[%i] : memref<?xi32>
          %y = memref.load %docs[%j] : memref<?xi32>
          %same = arith.cmpi eq, %x, %y : i32
          flash.yield %same : i1
        }
      return
    }
    ```
  }];
  let arguments = (ins
    Arg<Flash_Matrix, "queries, [B, Hq, Sq, D] (since 1.0)">:$query,
    Arg<Flash_Matrix, "keys, [B, Hkv, Sk, D], or pages (since 1.0)">:$key,
    Arg<Flash_Matrix, "values, [B, Hkv, Sk, Dv], or pages (since 1.0)">:$value,
    Arg<Variadic<Flash_Capture>,
        "arrays and scalars that the regions read (since 1.0)">:$captures,
    Arg<Optional<Index>,
        "index of the first batch entry, default 0 (since 1.0)">:$offset_b,
    Arg<Optional<Index>,
        "index of the first query head, default 0 (since 1.0)">:$offset_h,
    Arg<Optional<Index>,
        "index of the first query, default 0 (since 1.0)">:$offset_q,
    Arg<Optional<Index>,
        "index of the first key, default 0 (since 1.0)">:$offset_k,
    Arg<Optional<Index>,
        "Sk - Sq of the whole problem, default that of the operands "
        "(since 1.0)">:$alignment,
    Arg<Optional<Index>,
        "query heads of the whole problem, default that of query "
        "(since 1.0)">:$heads,
    Arg<Optional<Flash_Lengths>,
        "where each sequence's queries start, [N + 1] (since 1.0)"
        >:$cu_seqlens_q,
    Arg<Optional<Flash_Lengths>,
        "where each sequence's keys start, [N + 1] (since 1.0)">:$cu_seqlens_k,
    Arg<Optional<Flash_BlockTable>,
        "pages of each sequence's keys, [N, pages] (since 1.0)">:$block_table,
    Arg<Optional<Flash_Sinks>,
        "logit of each head's sink, [Hq] (since 1.0)">:$sinks,
    Arg<Flash_Matrix,
        "where O is written, [B, Hq, Sq, Dv] (since 1.0)">:$output,
    Arg<Optional<Flash_Statistics>,
        "where LSE is written, [B, Hq, Sq] (since 1.0)">:$lse,
    // Behind the destinations: bytecode of before 1.2 has no segments for them.
    Arg<Optional<Flash_Descale>,
        "what Q is multiplied by, [B, Hq] (since 1.2)">:$q_descale,
    Arg<Optional<Flash_Descale>,
        "what K is multiplied by, [B, Hkv] (since 1.2)">:$k_descale,
    Arg<Optional<Flash_Descale>,
        "what V is multiplied by, [B, Hkv] (since 1.2)">:$v_descale,
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
      | `q_descale` `(` $q_descale `:` type($q_descale) `)`
      | `k_descale` `(` $k_descale `:` type($k_descale) `)`
      | `v_descale` `(` $v_descale `:` type($v_descale) `)`
    )
    `outs` `(` `output` `=` $output (`,` `lse` `=` $lse^)? `:`
           type($output) (`,` type($lse)^)? `)`
    attr-dict
    (`score` custom<IsolatedRegion>($score)^)?
    (`mask` custom<IsolatedRegion>($mask)^)?
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

    /// The factor that P is multiplied by before it is rounded to 8 bits, as a
    /// power of two; 0 for other types.
    static int getProbabilityExponent(::mlir::Type valueElement);

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
  let description = [{
    Yields the new score (f32) of a score region, or whether the query sees the
    key (i1) of a mask region; which one is checked by `flash.attention` (C13).

    ```mlir
    func.func @halved(%q: tensor<1x8x?x64xf16>, %k: tensor<1x8x?x64xf16>,
                    %o: tensor<1x8x?x64xf16>) -> tensor<1x8x?x64xf16> {
      %0 = flash.attention
        ins(query = %q, key = %k, value = %k : tensor<1x8x?x64xf16>,
            tensor<1x8x?x64xf16>, tensor<1x8x?x64xf16>)
        outs(output = %o : tensor<1x8x?x64xf16>)
        score {
        ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
          %half = arith.constant 0.5 : f32
          %0 = arith.mulf %s, %half : f32
          flash.yield %0 : f32
        }
        -> tensor<1x8x?x64xf16>
      return %0 : tensor<1x8x?x64xf16>
    }
    ```
  }];
  let arguments = (ins
    Arg<AnyTypeOf<[F32, I1]>, "the score, or the mask (since 1.0)">:$value);
  let assemblyFormat = "$value attr-dict `:` type($value)";
}

/// A size of the whole problem, as the regions of a tile need it.
class Flash_ProblemSizeOp<string mnemonic>
    : Flash_Op<mnemonic, [Pure, HasParent<"AttentionOp">]> {
  let results = (outs Index:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
  let hasFolder = 1;
}

def Flash_AlignmentOp : Flash_ProblemSizeOp<"alignment"> {
  let summary = "Sk - Sq of the whole problem (since 1.0)";
  let description = [{
    The `alignment` operand of the `flash.attention` around it, or, without
    one, keys - queries of its operands; with cumulative lengths, that of the
    sequence. Query `q` stands at key `q + alignment`. A constant where it is
    known.

    ```mlir
    func.func @causal(%q: tensor<1x8x?x64xf16>, %k: tensor<1x8x?x64xf16>,
                    %o: tensor<1x8x?x64xf16>) -> tensor<1x8x?x64xf16> {
      %0 = flash.attention
        ins(query = %q, key = %k, value = %k : tensor<1x8x?x64xf16>,
            tensor<1x8x?x64xf16>, tensor<1x8x?x64xf16>)
        outs(output = %o : tensor<1x8x?x64xf16>)
        mask {
        ^bb0(%b: index, %h: index, %i: index, %j: index):
          %align = flash.alignment : index
          %last = arith.addi %i, %align : index
          %0 = arith.cmpi sle, %j, %last : index
          flash.yield %0 : i1
        }
        -> tensor<1x8x?x64xf16>
      return %0 : tensor<1x8x?x64xf16>
    }
    ```
  }];
}

def Flash_HeadsOp : Flash_ProblemSizeOp<"heads"> {
  let summary = "number of query heads of the whole problem (since 1.0)";
  let description = [{
    The `heads` operand of the `flash.attention` around it, or, without one,
    the query heads of its operands. What ALiBi's slopes depend on. A constant
    where it is known.

    ```mlir
    func.func @first_half_sees_all(%q: tensor<1x8x?x64xf16>, %k: tensor<1x8x?x64xf16>,
                    %o: tensor<1x8x?x64xf16>) -> tensor<1x8x?x64xf16> {
      %0 = flash.attention
        ins(query = %q, key = %k, value = %k : tensor<1x8x?x64xf16>,
            tensor<1x8x?x64xf16>, tensor<1x8x?x64xf16>)
        outs(output = %o : tensor<1x8x?x64xf16>)
        mask {
        ^bb0(%b: index, %h: index, %i: index, %j: index):
          %heads = flash.heads : index
          %c2 = arith.constant 2 : index
          %half = arith.divui %heads, %c2 : index
          %first = arith.cmpi ult, %h, %half : index
          %past = arith.cmpi ule, %j, %i : index
          %0 = arith.ori %first, %past : i1
          flash.yield %0 : i1
        }
        -> tensor<1x8x?x64xf16>
      return %0 : tensor<1x8x?x64xf16>
    }
    ```
  }];
}

#endif // FLASH_DIALECT_FLASH_IR_FLASHOPS_TD

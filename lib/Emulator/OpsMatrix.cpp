//===- OpsMatrix.cpp - mma, ldmatrix, stmatrix, movmatrix -------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Fragment maps, with g = lane >> 2 and t = lane & 3; register r of a fragment
// holds `per` elements of `bits` bits, numbered e from the lowest:
//
//   A   row g + 8 (r & 1)   k = per t + e + 4 per (r >> 1)
//   B   k = per t + e + 4 per r          n = g
//   C   row g + 8 (v >> 1)               n = 2 t + (v & 1)
//
// with per = 32 / bits. They cover 16-bit m16n8k8 and m16n8k16, tf32 m16n8k4
// and m16n8k8, 8-bit m16n8k16 and m16n8k32 alike.
//
//===----------------------------------------------------------------------===//

#include "OpsMatrix.h"
#include "Lanes.h"
#include "MemoryAccess.h"
#include "Ops.h"
#include "TensorCore.h"

#include <algorithm>
#include <cstring>
#include <immintrin.h>

using namespace flash::emu;
using syntax::Operand;

bool flash::emu::pushMatrixRegisters(Decoder &d, size_t i, unsigned count,
                                     bool isTarget, Type type,
                                     std::vector<uint32_t> &into) {
  const Operand &op = d.operand(i);
  size_t have = op.kind == Operand::Vector ? op.elements.size() : 1;
  if (have != count)
    return d.fail("operand " + std::to_string(i + 1) + ": expected " +
                  std::to_string(count) + " registers, got " +
                  std::to_string(have));
  for (unsigned k = 0; k < count; ++k) {
    const Operand &element = op.kind == Operand::Vector ? op.elements[k] : op;
    into.push_back(isTarget ? d.target(element, type)
                            : d.source(element, type));
  }
  return !d.failed();
}

namespace {

//===----------------------------------------------------------------------===//
// mma
//===----------------------------------------------------------------------===//

/// inst.imm of a matrix product. Registers of D, A, B, C follow each other in
/// Program::extra.
struct MmaForm {
  uint8_t k, dRegs, aRegs, bRegs, cRegs;
  MmaInput a, b;
  bool integer = false, aSigned = false, bSigned = false, saturate = false;

  static MmaForm of(const Inst &inst) {
    MmaForm form;
    std::memcpy(&form, &inst.imm, std::min(sizeof(form), sizeof(inst.imm)));
    form.aSigned = inst.sub & 1;
    form.bSigned = inst.sub & 2;
    form.saturate = inst.sub & 4;
    form.integer = inst.sub & 8;
    return form;
  }
};
constexpr size_t kFormBytes = 7;

template <unsigned Bits>
using Element =
    std::conditional_t<Bits == 8, uint8_t,
                       std::conditional_t<Bits == 16, uint16_t, uint32_t>>;

/// Element bit patterns of A as a row-major 16 x k matrix, zero-extended.
/// Register r of a whole fragment row is itself the row-major 8-row block of
/// the matrix at rows 8 (r & 1), columns 4 per (r >> 1).
template <unsigned Bits>
void gatherA(const Warp &warp, const uint32_t *regs, unsigned count, unsigned k,
             uint32_t *out) {
  constexpr unsigned width = 128 / Bits;
  for (unsigned r = 0; r < count; ++r) {
    Element<Bits> elements[8 * width];
    std::memcpy(elements, sourceRow<uint32_t>(warp, regs[r]), 128);
    uint32_t *block = out + 8 * (r & 1) * k + width * (r >> 1);
    for (unsigned g = 0; g < 8; ++g)
      for (unsigned i = 0; i < width; ++i)
        block[g * k + i] = elements[g * width + i];
  }
}

/// The same of B as a row-major k x 8 matrix.
template <unsigned Bits>
void gatherB(const Warp &warp, const uint32_t *regs, unsigned count,
             uint32_t *out) {
  constexpr unsigned per = 32 / Bits;
  const __m256i keep = _mm256_set1_epi32(int((uint64_t(1) << Bits) - 1));
  const __m256i even = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  for (unsigned r = 0; r < count; ++r) {
    // Lane 4 g + t holds column g: an 8 x 4 matrix to transpose.
    const auto *in = sourceRow<__m256i>(warp, regs[r]);
    __m256i g01 = _mm256_loadu_si256(in), g23 = _mm256_loadu_si256(in + 1),
            g45 = _mm256_loadu_si256(in + 2), g67 = _mm256_loadu_si256(in + 3);
    __m256i low = _mm256_unpacklo_epi32(g01, g23),
            high = _mm256_unpackhi_epi32(g01, g23),
            low4 = _mm256_unpacklo_epi32(g45, g67),
            high4 = _mm256_unpackhi_epi32(g45, g67);
    const __m256i byT[4] = {
        _mm256_unpacklo_epi64(low, low4), _mm256_unpackhi_epi64(low, low4),
        _mm256_unpacklo_epi64(high, high4), _mm256_unpackhi_epi64(high, high4)};
    auto *block = reinterpret_cast<__m256i *>(out + 4 * per * r * 8);
    for (unsigned t = 0; t < 4; ++t) {
      __m256i column = _mm256_permutevar8x32_epi32(byT[t], even);
      for (unsigned e = 0; e < per; ++e)
        _mm256_storeu_si256(
            block + per * t + e,
            _mm256_and_si256(_mm256_srli_epi32(column, int(e * Bits)), keep));
    }
  }
}

void gather(const Warp &warp, unsigned bits, const uint32_t *aRegs,
            unsigned aCount, unsigned k, uint32_t *a, const uint32_t *bRegs,
            unsigned bCount, uint32_t *b) {
  switch (bits) {
  case 8:
    gatherA<8>(warp, aRegs, aCount, k, a);
    gatherB<8>(warp, bRegs, bCount, b);
    break;
  case 16:
    gatherA<16>(warp, aRegs, aCount, k, a);
    gatherB<16>(warp, bRegs, bCount, b);
    break;
  default:
    gatherA<32>(warp, aRegs, aCount, k, a);
    gatherB<32>(warp, bRegs, bCount, b);
    break;
  }
}

unsigned inputBits(MmaInput input) {
  switch (input) {
  case MmaInput::TF32:
    return 32;
  case MmaInput::E4M3:
  case MmaInput::E5M2:
    return 8;
  default:
    return 16;
  }
}

void runMma(Warp &warp, const Inst &inst, uint32_t) {
  MmaForm form = MmaForm::of(inst);
  const uint32_t *regs = &warp.program->extra[inst.extra];
  const uint32_t *dRegs = regs, *aRegs = dRegs + form.dRegs,
                 *bRegs = aRegs + form.aRegs, *cRegs = bRegs + form.bRegs;
  if (warp.unwritten.any())
    spreadThroughMma(warp, dRegs, form.dRegs, aRegs, form.aRegs, bRegs,
                     form.bRegs, cRegs);
  alignas(32) uint32_t aBits[16 * 32], bBits[32 * 8];
  gather(warp, inputBits(form.a), aRegs, form.aRegs, form.k, aBits, bRegs,
         form.bRegs, bBits);
  MmaOperand a, b;
  a.set(form.a, aBits, 16 * form.k);
  b.set(form.b, bBits, 8 * form.k);
  alignas(32) float c[16 * 8];
  bool halfC = form.cRegs == 2, halfD = form.dRegs == 2;
  // Rows 8 h to 8 h + 7: two neighbouring columns of every lane.
  for (unsigned h = 0; h < 2; ++h) {
    const uint32_t *left = sourceRow<uint32_t>(warp, cRegs[halfC ? h : 2 * h]);
    const uint32_t *right =
        halfC ? left : sourceRow<uint32_t>(warp, cRegs[2 * h + 1]);
    float *out = c + 64 * h;
    for (unsigned lane = 0; lane < 32; ++lane) {
      out[2 * lane] = halfC ? f16ToFloat(left[lane] & 0xffff)
                            : std::bit_cast<float>(left[lane]);
      out[2 * lane + 1] = halfC ? f16ToFloat(right[lane] >> 16)
                                : std::bit_cast<float>(right[lane]);
    }
  }
  DotSpec spec = dotSpec(warp.cta->launch.config->chip, form.a, halfD);
  multiplyTile(spec, form.k, a, b, c);
  for (unsigned h = 0; h < 2; ++h) {
    const float *in = c + 64 * h;
    uint32_t *left = targetRow<uint32_t>(warp, dRegs[halfD ? h : 2 * h]);
    if (halfD) {
      for (unsigned lane = 0; lane < 32; ++lane)
        left[lane] = floatToF16(in[2 * lane]) | floatToF16(in[2 * lane + 1])
                                                    << 16;
      continue;
    }
    uint32_t *right = targetRow<uint32_t>(warp, dRegs[2 * h + 1]);
    for (unsigned lane = 0; lane < 32; ++lane) {
      left[lane] = std::bit_cast<uint32_t>(in[2 * lane]);
      right[lane] = std::bit_cast<uint32_t>(in[2 * lane + 1]);
    }
  }
}

/// 8-bit integers: exact, wrapping or saturating at 32 bits.
void runMmaInteger(Warp &warp, const Inst &inst, uint32_t) {
  MmaForm form = MmaForm::of(inst);
  const uint32_t *regs = &warp.program->extra[inst.extra];
  const uint32_t *dRegs = regs, *aRegs = dRegs + form.dRegs,
                 *bRegs = aRegs + form.aRegs, *cRegs = bRegs + form.bRegs;
  if (warp.unwritten.any())
    spreadThroughMma(warp, dRegs, form.dRegs, aRegs, form.aRegs, bRegs,
                     form.bRegs, cRegs);
  uint32_t a[16 * 32], b[32 * 8];
  gather(warp, 8, aRegs, form.aRegs, form.k, a, bRegs, form.bRegs, b);
  auto value = [](uint32_t byte, bool isS) {
    return isS ? int32_t(int8_t(byte)) : int32_t(byte);
  };
  uint32_t out[4][32];
  for (unsigned v = 0; v < 4; ++v) {
    const uint32_t *c = sourceRow<uint32_t>(warp, cRegs[v]);
    for (unsigned lane = 0; lane < 32; ++lane) {
      unsigned row = (lane >> 2) + 8 * (v >> 1), n = 2 * (lane & 3) + (v & 1);
      int64_t sum = int32_t(c[lane]);
      for (unsigned k = 0; k < form.k; ++k)
        sum += int64_t(value(a[row * form.k + k], form.aSigned)) *
               value(b[k * 8 + n], form.bSigned);
      if (form.saturate)
        sum = std::clamp<int64_t>(sum, INT32_MIN, INT32_MAX);
      out[v][lane] = uint32_t(sum);
    }
  }
  for (unsigned v = 0; v < 4; ++v)
    std::memcpy(targetRow<uint32_t>(warp, dRegs[v]), out[v], 128);
}

bool decodeMma(Decoder &d) {
  if (d.take("sp") || d.has("sp::ordered_metadata"))
    return d.unsupported("sparse matrices");
  if (!d.take("sync") || !d.take("aligned"))
    return d.unsupported("expected .sync.aligned");
  if (d.has("block_scale"))
    return d.unsupported("block scaling");
  if (bool handled = false, ok = decodeExactMma(d, handled); handled)
    return ok;
  static constexpr std::pair<std::string_view, unsigned> shapes[] = {
      {"m16n8k4", 4}, {"m16n8k8", 8}, {"m16n8k16", 16}, {"m16n8k32", 32}};
  unsigned k = 0;
  for (auto [name, value] : shapes)
    if (d.take(name))
      k = value;
  if (!k)
    return d.unsupported("shape: expected m16n8k4, m16n8k8, m16n8k16 or "
                         "m16n8k32");
  if (!d.take("row") || !d.take("col"))
    return d.unsupported("expected .row.col");
  bool saturate = d.take("satfinite");
  d.take("kind::f8f6f4");
  Type dType = d.takeType(), aType = d.takeType(), bType = d.takeType(),
       cType = d.takeType();
  if (d.failed() || !d.expectOperands(4, 4))
    return false;
  MmaForm form{};
  form.k = uint8_t(k);
  bool integer = aType == Type::S8 || aType == Type::U8;
  unsigned bits;
  if (integer) {
    if ((bType != Type::S8 && bType != Type::U8) || dType != Type::S32 ||
        cType != Type::S32 || (k != 16 && k != 32))
      return d.unsupported("8-bit integers: expected s32 accumulators and "
                           "m16n8k16 or m16n8k32");
    bits = 8;
  } else {
    std::optional<MmaInput> a = mmaInputOf(aType), b = mmaInputOf(bType);
    if (saturate || !a || !b)
      return d.unsupported("input types");
    form.a = *a;
    form.b = *b;
    bits = inputBits(form.a);
    bool isFp8 = bits == 8;
    if ((!isFp8 && form.a != form.b) || inputBits(form.b) != bits ||
        k * bits > 256 || k * bits < 128)
      return d.unsupported("shape and input types do not go together");
    bool half = dType == Type::F16;
    if ((dType != Type::F32 && !half) ||
        (cType != Type::F32 && cType != Type::F16) || cType != dType ||
        (half && aType != Type::F16 && !isFp8))
      return d.unsupported("accumulator types");
  }
  form.aRegs = uint8_t(16 * k * bits / 1024);
  form.bRegs = uint8_t(8 * k * bits / 1024);
  form.dRegs = dType == Type::F16 ? 2 : 4;
  form.cRegs = cType == Type::F16 ? 2 : 4;
  std::vector<uint32_t> regs;
  if (!pushMatrixRegisters(d, 0, form.dRegs, true, Type::B32, regs) ||
      !pushMatrixRegisters(d, 1, form.aRegs, false, Type::B32, regs) ||
      !pushMatrixRegisters(d, 2, form.bRegs, false, Type::B32, regs) ||
      !pushMatrixRegisters(d, 3, form.cRegs, false, Type::B32, regs))
    return false;
  std::memcpy(&d.inst.imm, &form, kFormBytes);
  d.inst.sub = (aType == Type::S8) | (bType == Type::S8) << 1 | saturate << 2 |
               integer << 3;
  d.inst.extra = d.extraSize();
  for (uint32_t reg : regs)
    d.pushExtra(reg);
  d.inst.kind = Kind::Sync;
  d.inst.flags |= kAligned;
  d.meta.pipe = Pipe::Tensor;
  d.meta.tensorFlops = 2 * 16 * 8 * k;
  d.meta.marksItself = true;
  d.setHandler(integer ? runMmaInteger : runMma);
  return true;
}

//===----------------------------------------------------------------------===//
// ldmatrix, stmatrix
//===----------------------------------------------------------------------===//

/// Where lane `lane` keeps elements of an 8x8 matrix of 16-bit elements: rows
/// and columns of its low and high half.
struct Half {
  unsigned row, column;
};
Half matrixElement(unsigned lane, unsigned half, bool transposed) {
  unsigned a = lane >> 2, b = 2 * (lane & 3) + half;
  return transposed ? Half{b, a} : Half{a, b};
}

bool matrixAddresses(Warp &warp, const Inst &inst, bool isWrite,
                     Access &access) {
  access.mask = inst.n == 4 ? ~0u : (1u << (8 * inst.n)) - 1;
  access.bytes = 16;
  access.isWrite = isWrite;
  laneAddresses(warp, inst, 0, access.address);
  if (!resolve(warp, inst, StateSpace(inst.sub & kSpaceMask), access))
    return false;
  if (access.sharedMask != access.mask) {
    warp.cta->fatal(IssueKind::OutOfBounds, warp, &inst,
                    access.mask & ~access.sharedMask,
                    "row addresses: expected shared memory");
    return false;
  }
  if (warp.memory) {
    uint32_t offset[32];
    forLanes(access.mask,
             [&](unsigned i) { offset[i] = uint32_t(access.address[i]); });
    countShared(warp, inst, access.mask, offset, 16, isWrite);
  }
  return true;
}

/// Calls check(matrix, first lane, lanes, shared offset) for each row: memory
/// is ordered by thread, and each of these lanes receives or gives its part of
/// the row, not the lane that passed the address.
template <typename Check>
void checkMatrix(const Access &access, unsigned matrices, bool transposed,
                 Check check) {
  for (unsigned m = 0; m < matrices; ++m)
    for (unsigned row = 0; row < 8; ++row) {
      uint32_t lanes = transposed ? 0x11111111u << (row / 2) : 0xfu << 4 * row;
      check(m, uint8_t(std::countr_zero(lanes)), lanes,
            uint32_t(access.address[8 * m + row]));
    }
}

constexpr uint8_t kTransposed = 64;

/// Marks the lanes that take unwritten bytes of a row at `offset`.
void markUnwritten(Warp &warp, const Inst &inst, uint32_t target,
                   uint32_t lanes, bool transposed, uint32_t offset) {
  uint32_t bytes = warp.cta->checker->unwritten(offset, 16);
  forLanes(lanes, [&](unsigned lane) {
    unsigned first = transposed ? 2 * (lane >> 2) : 4 * (lane & 3);
    if (uint32_t here = bytes >> first & (transposed ? 3 : 15))
      warp.unwritten.mark(target, 1u << lane,
                          {warp.pcOf(inst), lane,
                           offset + first + unsigned(std::countr_zero(here))});
  });
}

void runLoadMatrix(Warp &warp, const Inst &inst, uint32_t) {
  Access access;
  if (!matrixAddresses(warp, inst, false, access))
    return;
  Cta &cta = *warp.cta;
  bool transposed = inst.sub & kTransposed;
  const uint32_t *targets = &warp.program->extra[inst.extra];
  if (cta.checker)
    checkMatrix(
        access, inst.n, transposed,
        [&](unsigned m, uint8_t first, uint32_t lanes, uint32_t offset) {
          Accessor who{uint16_t(warp.agent), first, false, warp.pcOf(inst)};
          Finding finding = cta.checker->readSpread(who, lanes, offset,
                                                    cta.checkUninitialised);
          if (finding.kind == Finding::Uninitialised)
            markUnwritten(warp, inst, targets[m], lanes, transposed, offset);
          else if (finding.kind != Finding::None)
            reportFinding(warp, inst, finding.lane, finding, false);
        });
  for (unsigned m = 0; m < inst.n; ++m) {
    uint16_t matrix[8][8];
    for (unsigned row = 0; row < 8; ++row)
      std::memcpy(matrix[row], access.at[8 * m + row], 16);
    uint32_t *out = targetRow<uint32_t>(warp, targets[m]);
    if (!transposed) {
      std::memcpy(out, matrix, sizeof(matrix));
      continue;
    }
    for (unsigned lane = 0; lane < 32; ++lane) {
      Half low = matrixElement(lane, 0, true),
           high = matrixElement(lane, 1, true);
      out[lane] = matrix[low.row][low.column] |
                  uint32_t(matrix[high.row][high.column]) << 16;
    }
  }
}

void runStoreMatrix(Warp &warp, const Inst &inst, uint32_t) {
  Access access;
  if (!matrixAddresses(warp, inst, true, access))
    return;
  Cta &cta = *warp.cta;
  bool transposed = inst.sub & kTransposed;
  if (cta.checker)
    checkMatrix(
        access, inst.n, transposed,
        [&](unsigned, uint8_t first, uint32_t lanes, uint32_t offset) {
          Accessor who{uint16_t(warp.agent), first, false, warp.pcOf(inst)};
          Finding finding = cta.checker->writeSpread(who, lanes, offset, false);
          if (finding.kind != Finding::None)
            reportFinding(warp, inst, finding.lane, finding, true);
        });
  const uint32_t *sources = &warp.program->extra[inst.extra];
  for (unsigned m = 0; m < inst.n; ++m) {
    const uint32_t *in = sourceRow<uint32_t>(warp, sources[m]);
    for (unsigned lane = 0; lane < 32; ++lane)
      for (unsigned half = 0; half < 2; ++half) {
        Half at = matrixElement(lane, half, transposed);
        uint16_t value = uint16_t(in[lane] >> (16 * half));
        std::memcpy(access.at[8 * m + at.row] + 2 * at.column, &value, 2);
      }
  }
}

bool decodeMatrixAccess(Decoder &d, bool isLoad) {
  if (!d.take("sync") || !d.take("aligned") || !d.take("m8n8"))
    return d.unsupported("expected .sync.aligned.m8n8");
  unsigned count = d.take("x1") ? 1 : d.take("x2") ? 2 : d.take("x4") ? 4 : 0;
  bool transposed = d.take("trans");
  bool shared = d.take("shared") || d.take("shared::cta");
  if (!count || d.takeType() != Type::B16)
    return d.unsupported("expected .x1, .x2 or .x4 and .b16");
  if (!d.expectOperands(2, 2))
    return false;
  std::vector<uint32_t> regs;
  if (!pushMatrixRegisters(d, isLoad ? 0 : 1, count, isLoad, Type::B32, regs))
    return false;
  d.inst.n = uint8_t(count);
  AddressOperand address = decodeAddress(d, isLoad ? 1 : 0, 0);
  // A 32-bit or symbolic address can only mean shared memory.
  if (!address.base64 || address.symbolSpace == StateSpace::Shared)
    shared = true;
  d.inst.sub |= uint8_t(shared ? StateSpace::Shared : StateSpace::Generic) |
                (transposed ? kTransposed : 0);
  d.inst.extra = d.extraSize();
  for (uint32_t reg : regs)
    d.pushExtra(reg);
  d.inst.kind = Kind::Sync;
  d.inst.flags |= kAligned;
  d.meta.pipe = Pipe::LSU;
  d.setHandler(isLoad ? runLoadMatrix : runStoreMatrix);
  return true;
}

bool decodeLdmatrix(Decoder &d) { return decodeMatrixAccess(d, true); }
bool decodeStmatrix(Decoder &d) { return decodeMatrixAccess(d, false); }

void runMoveMatrix(Warp &warp, const Inst &inst, uint32_t) {
  const uint32_t *in = sourceRow<uint32_t>(warp, inst.ops[1]);
  uint16_t matrix[8][8];
  std::memcpy(matrix, in, sizeof(matrix));
  uint32_t *out = targetRow<uint32_t>(warp, inst.ops[0]);
  for (unsigned lane = 0; lane < 32; ++lane) {
    Half low = matrixElement(lane, 0, true),
         high = matrixElement(lane, 1, true);
    out[lane] = matrix[low.row][low.column] |
                uint32_t(matrix[high.row][high.column]) << 16;
  }
}

bool decodeMovmatrix(Decoder &d) {
  if (!d.take("sync") || !d.take("aligned") || !d.take("m8n8") ||
      !d.take("trans") || d.takeType() != Type::B16)
    return false;
  d.inst.ops[0] = d.target(0, Type::B32);
  d.inst.ops[1] = d.source(1, Type::B32);
  d.inst.kind = Kind::Sync;
  d.inst.flags |= kAligned;
  d.setHandler(runMoveMatrix);
  return d.expectOperands(2, 2);
}

constexpr OpRow kOps[] = {
    {"mma", decodeMma},
    {"ldmatrix", decodeLdmatrix},
    {"stmatrix", decodeStmatrix},
    {"movmatrix", decodeMovmatrix},
};

} // namespace

std::span<const OpRow> flash::emu::matrixOps() { return kOps; }

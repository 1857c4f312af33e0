//===- OpsCompare.cpp - setp, set, selp, slct -------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FloatOps.h"
#include "Ops.h"
#include "Types.h"

using namespace flash::emu;

namespace {

enum Comparison : uint8_t {
  Eq,
  Ne,
  Lt,
  Le,
  Gt,
  Ge, // Ordered, and integers.
  Equ,
  Neu,
  Ltu,
  Leu,
  Gtu,
  Geu, // Or unordered.
  Num,
  Nan
};

template <Comparison C, typename T> bool compare(T a, T b) {
  bool unordered = a != a || b != b;
  switch (C) {
  case Eq:
    return a == b;
  case Ne:
    return a != b && !unordered;
  case Lt:
    return a < b;
  case Le:
    return a <= b;
  case Gt:
    return a > b;
  case Ge:
    return a >= b;
  case Equ:
    return a == b || unordered;
  case Neu:
    return a != b;
  case Ltu:
    return a < b || unordered;
  case Leu:
    return a <= b || unordered;
  case Gtu:
    return a > b || unordered;
  case Geu:
    return a >= b || unordered;
  case Num:
    return !unordered;
  case Nan:
    return unordered;
  }
}

/// A float that is flushed before it is compared.
struct Flushed {
  float value;
};
struct HalfBits {};
struct BHalfBits {};

/// Mask of lanes where the comparison holds. Vectorises for 32-bit types.
template <typename T, Comparison C>
uint32_t compareRows(const Warp &warp, const Inst &inst) {
  uint32_t a = inst.ops[2], b = inst.ops[3];
  if constexpr (std::is_same_v<T, Flushed>)
    return compareLanes<float>(warp, a, b, [](float x, float y) {
      return compare<C>(flush(x), flush(y));
    });
  else if constexpr (std::is_same_v<T, HalfBits>)
    return compareLanes<uint32_t>(warp, a, b, [](uint32_t x, uint32_t y) {
      return compare<C>(f16ToFloat(x & 0xffff), f16ToFloat(y & 0xffff));
    });
  else if constexpr (std::is_same_v<T, BHalfBits>)
    return compareLanes<uint32_t>(warp, a, b, [](uint32_t x, uint32_t y) {
      return compare<C>(bf16ToFloat(x & 0xffff), bf16ToFloat(y & 0xffff));
    });
  else
    return compareLanes<T>(warp, a, b,
                           [](T x, T y) { return compare<C>(x, y); });
}

using RowCompare = uint32_t (*)(const Warp &, const Inst &);

/// inst.sub: boolean operation with predicate ops[4] (0 none, 1 and, 2 or,
/// 3 xor), 4 = that predicate is negated. ops[0] = p, ops[1] = q.
template <typename T, Comparison C>
void runSetp(Warp &warp, const Inst &inst, uint32_t mask) {
  uint32_t value = compareRows<T, C>(warp, inst);
  uint32_t other = ~value;
  if (unsigned op = inst.sub & 3) {
    uint32_t c = predicateOf(warp, inst.ops[4]) ^ (inst.sub & 4 ? ~0u : 0u);
    auto join = [&](uint32_t v) {
      return op == 1 ? v & c : op == 2 ? v | c : v ^ c;
    };
    value = join(value);
    other = join(other);
  }
  uint32_t &p = predicateOf(warp, inst.ops[0]);
  uint32_t &q = predicateOf(warp, inst.ops[1]);
  uint32_t newQ = (q & ~mask) | (other & mask);
  p = (p & ~mask) | (value & mask);
  if (inst.ops[1] != inst.ops[0])
    q = newQ;
}

/// set: all ones (1.0 for .f32) where it holds, else 0. imm: the value.
template <typename T, Comparison C>
void runSet(Warp &warp, const Inst &inst, uint32_t mask) {
  uint32_t value = compareRows<T, C>(warp, inst);
  if (unsigned op = inst.sub & 3) {
    uint32_t c = predicateOf(warp, inst.ops[4]) ^ (inst.sub & 4 ? ~0u : 0u);
    value = op == 1 ? value & c : op == 2 ? value | c : value ^ c;
  }
  uint32_t *out = targetRow<uint32_t>(warp, inst.ops[0]);
  forLanes(mask, [&](unsigned i) {
    out[i] = value >> i & 1 ? uint32_t(inst.imm) : 0;
  });
}

/// Comparison of both halves: setp.f16x2 gives p for the low, q for the high
/// one; set.f16x2 one result in each half.
template <bool BF, Comparison C>
void runSetpPacked(Warp &warp, const Inst &inst, uint32_t mask) {
  auto load = [](uint32_t bits) {
    return BF ? bf16ToFloat(bits & 0xffff) : f16ToFloat(bits & 0xffff);
  };
  uint32_t low = compareLanes<uint32_t>(
      warp, inst.ops[2], inst.ops[3],
      [&](uint32_t x, uint32_t y) { return compare<C>(load(x), load(y)); });
  uint32_t high = compareLanes<uint32_t>(
      warp, inst.ops[2], inst.ops[3], [&](uint32_t x, uint32_t y) {
        return compare<C>(load(x >> 16), load(y >> 16));
      });
  if (unsigned op = inst.sub & 3) {
    uint32_t c = predicateOf(warp, inst.ops[4]) ^ (inst.sub & 4 ? ~0u : 0u);
    low = op == 1 ? low & c : op == 2 ? low | c : low ^ c;
    high = op == 1 ? high & c : op == 2 ? high | c : high ^ c;
  }
  if (inst.n) { // set
    uint32_t one = uint32_t(inst.imm);
    uint32_t *out = targetRow<uint32_t>(warp, inst.ops[0]);
    forLanes(mask, [&](unsigned i) {
      out[i] = (low >> i & 1 ? one : 0) | (high >> i & 1 ? one << 16 : 0);
    });
    return;
  }
  uint32_t &p = predicateOf(warp, inst.ops[0]);
  p = (p & ~mask) | (low & mask);
  uint32_t &q = predicateOf(warp, inst.ops[1]);
  q = (q & ~mask) | (high & mask);
}

//===----------------------------------------------------------------------===//
// Decoding
//===----------------------------------------------------------------------===//

/// make.operator()<C>() for comparison `c`.
template <typename Make> Handler byComparison(Comparison c, Make make) {
  switch (c) {
#define FLASH_CASE(name)                                                       \
  case name:                                                                   \
    return make.template operator()<name>();
    FLASH_CASE(Eq)
    FLASH_CASE(Ne)
    FLASH_CASE(Lt)
    FLASH_CASE(Le)
    FLASH_CASE(Gt)
    FLASH_CASE(Ge)
    FLASH_CASE(Equ) FLASH_CASE(Neu) FLASH_CASE(Ltu) FLASH_CASE(Leu)
        FLASH_CASE(Gtu) FLASH_CASE(Geu) FLASH_CASE(Num) FLASH_CASE(Nan)
#undef FLASH_CASE
  }
  return nullptr;
}

template <typename Make> Handler byIntComparison(Comparison c, Make make) {
  switch (c) {
  case Eq:
    return make.template operator()<Eq>();
  case Ne:
    return make.template operator()<Ne>();
  case Lt:
    return make.template operator()<Lt>();
  case Le:
    return make.template operator()<Le>();
  case Gt:
    return make.template operator()<Gt>();
  case Ge:
    return make.template operator()<Ge>();
  default:
    return nullptr;
  }
}

bool takeComparison(Decoder &d, Comparison &c, bool &isUnsignedAlias) {
  static constexpr std::pair<std::string_view, Comparison> names[] = {
      {"eq", Eq},
      {"ne", Ne},
      {"lt", Lt},
      {"le", Le},
      {"gt", Gt},
      {"ge", Ge},
      {"equ", Equ},
      {"neu", Neu},
      {"ltu", Ltu},
      {"leu", Leu},
      {"gtu", Gtu},
      {"geu", Geu},
      {"num", Num},
      {"nan", Nan},
      // Unsigned integers.
      {"lo", Lt},
      {"ls", Le},
      {"hi", Gt},
      {"hs", Ge}};
  std::string_view name = d.takeNext();
  for (auto [text, value] : names)
    if (text == name) {
      c = value;
      isUnsignedAlias =
          name == "lo" || name == "ls" || name == "hi" || name == "hs";
      return true;
    }
  return false;
}

template <bool IsSet, typename T> struct Run {
  template <Comparison C> static constexpr Handler handler() {
    if constexpr (IsSet)
      return runSet<T, C>;
    else
      return runSetp<T, C>;
  }
};

template <bool IsSet> Handler chooseCompare(Type type, Comparison c, bool ftz) {
  auto ints = [&]<typename T>() {
    return byIntComparison(
        c, []<Comparison C>() { return Run<IsSet, T>::template handler<C>(); });
  };
  auto floats = [&]<typename T>() {
    return byComparison(
        c, []<Comparison C>() { return Run<IsSet, T>::template handler<C>(); });
  };
  switch (type) {
  case Type::B16:
  case Type::U16:
    return ints.template operator()<uint16_t>();
  case Type::S16:
    return ints.template operator()<int16_t>();
  case Type::B32:
  case Type::U32:
    return ints.template operator()<uint32_t>();
  case Type::S32:
    return ints.template operator()<int32_t>();
  case Type::B64:
  case Type::U64:
    return ints.template operator()<uint64_t>();
  case Type::S64:
    return ints.template operator()<int64_t>();
  case Type::F32:
    return ftz ? floats.template operator()<Flushed>()
               : floats.template operator()<float>();
  case Type::F64:
    return floats.template operator()<double>();
  case Type::F16:
    return floats.template operator()<HalfBits>();
  case Type::BF16:
    return floats.template operator()<BHalfBits>();
  default:
    return nullptr;
  }
}

bool decodeCompare(Decoder &d, bool isSet) {
  Comparison c;
  bool unsignedAlias;
  if (!takeComparison(d, c, unsignedAlias))
    return d.unsupported("expected a comparison");
  unsigned op = d.take("and") ? 1 : d.take("or") ? 2 : d.take("xor") ? 3 : 0;
  bool ftz = d.take("ftz");
  Type result = isSet ? d.takeType() : Type::None;
  Type type = d.takeType();
  if (unsignedAlias && type != Type::U16 && type != Type::U32 &&
      type != Type::U64)
    return d.unsupported("expected an unsigned type");
  bool isPacked = type == Type::F16x2 || type == Type::BF16x2;
  Handler handler;
  if (isPacked)
    handler = byComparison(c, [&]<Comparison C>() -> Handler {
      return type == Type::BF16x2 ? runSetpPacked<true, C>
                                  : runSetpPacked<false, C>;
    });
  else
    handler = isSet ? chooseCompare<true>(type, c, ftz)
                    : chooseCompare<false>(type, c, ftz);
  if (!handler)
    return d.unsupported("comparison and type do not go together");
  d.setHandler(handler);
  if (!d.expectOperands(op ? 4 : 3, op ? 4 : 3))
    return false;
  const syntax::Operand &target = d.operand(0);
  if (isSet) {
    bool wideResult = bitsOf(result) == 32;
    if (!wideResult && bitsOf(result) != 16)
      return d.unsupported("expected a 16- or 32-bit result type");
    d.inst.n = 1;
    d.inst.imm = result == Type::F32      ? 0x3f800000
                 : result == Type::F16    ? 0x3c00
                 : result == Type::F16x2  ? 0x3c00
                 : result == Type::BF16   ? 0x3f80
                 : result == Type::BF16x2 ? 0x3f80
                 : isPacked               ? 0xffff
                 : wideResult             ? 0xffffffff
                                          : 0xffff;
    d.inst.ops[0] = d.target(0, result);
  } else {
    syntax::Operand first = target;
    first.second = -1;
    d.inst.ops[0] = d.predicateTarget(first);
    d.inst.ops[1] =
        target.second == -1 ? kScratchRow : d.secondTarget(target, true);
  }
  d.inst.ops[2] = d.source(1, type);
  d.inst.ops[3] = d.source(2, type);
  if (op) {
    uint32_t negated;
    d.inst.ops[4] = d.predicate(3, negated);
    d.inst.sub = op | (negated ? 4 : 0);
  }
  return true;
}

bool decodeSetp(Decoder &d) { return decodeCompare(d, false); }
bool decodeSet(Decoder &d) { return decodeCompare(d, true); }

//===----------------------------------------------------------------------===//
// selp, slct
//===----------------------------------------------------------------------===//

template <typename T, bool Full>
void runSelect(Warp &warp, const Inst &inst, uint32_t mask) {
  uint32_t choice = predicateOf(warp, inst.ops[3]) ^ uint32_t(inst.imm);
  const T *a = sourceRow<T>(warp, inst.ops[1]);
  const T *b = sourceRow<T>(warp, inst.ops[2]);
  T *out = targetRow<T>(warp, inst.ops[0]);
  FLASH_LANE_LOOP
  for (unsigned i = 0; i < 32; ++i) {
    // Not `? a[i] : b[i]`, of which the compiler makes a choice of addresses.
    T value = b[i] ^ ((a[i] ^ b[i]) & (T(0) - T(choice >> i & 1)));
    if constexpr (Full)
      out[i] = value;
    else
      out[i] = (mask >> i & 1) ? value : out[i];
  }
}

bool decodeSelp(Decoder &d) {
  Type type = d.takeType();
  unsigned bits = bitsOf(type);
  if (bits == 64)
    d.setHandlers({runSelect<uint64_t, true>, runSelect<uint64_t, false>});
  else if (bits == 32 || bits == 16)
    d.setHandlers({runSelect<uint32_t, true>, runSelect<uint32_t, false>});
  else
    return false;
  uint32_t negated;
  d.inst.ops[0] = d.target(0, type);
  d.inst.ops[1] = d.source(1, type);
  d.inst.ops[2] = d.source(2, type);
  d.inst.ops[3] = d.predicate(3, negated);
  d.inst.imm = negated;
  d.meta.select = true;
  return d.expectOperands(4, 4);
}

bool decodeSlct(Decoder &d) {
  bool ftz = d.take("ftz");
  Type type = d.takeType(), chooser = d.takeType();
  if (chooser != Type::S32 && chooser != Type::F32)
    return false;
  auto make = [&]<typename T>() {
    // NaN is not >= 0; -0 is, and so is a flushed negative subnormal.
    return chooser == Type::S32
               ? elementwise<T, T, T, int32_t>(
                     [](T a, T b, int32_t c) { return c >= 0 ? a : b; })
           : ftz ? elementwise<T, T, T, float>(
                       [](T a, T b, float c) { return flush(c) >= 0 ? a : b; })
                 : elementwise<T, T, T, float>(
                       [](T a, T b, float c) { return c >= 0 ? a : b; });
  };
  d.setHandlers(forBits(type, make));
  d.inst.ops[0] = d.target(0, type);
  d.inst.ops[1] = d.source(1, type);
  d.inst.ops[2] = d.source(2, type);
  d.inst.ops[3] = d.source(3, chooser);
  return d.expectOperands(4, 4);
}

constexpr OpRow kOps[] = {
    {"setp", decodeSetp},
    {"set", decodeSet},
    {"selp", decodeSelp},
    {"slct", decodeSlct},
};

} // namespace

std::span<const OpRow> flash::emu::compareOps() { return kOps; }

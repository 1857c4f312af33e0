//===- Inputs.cpp - Seeded inputs in awkward memory -----------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Runtime/Inputs.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

// A fused multiply-add rounds once where a multiply and an add round twice; the
// same seed must give the same bits with and without FMA hardware.
#pragma clang fp contract(off)

using namespace flash::runtime;

namespace {

constexpr int64_t kMaxBytes = int64_t(1) << 32;
constexpr int64_t kHugeStride = int64_t(1) << 40;
/// Rows of poison before the first element, beside those past the last.
constexpr int64_t kPoisonHeadRows = 4;

//===----------------------------------------------------------------------===//
// Random numbers
//===----------------------------------------------------------------------===//

/// Philox4x32-10 (Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3):
/// a bijection of the counter under a key, so any element is drawn alone.
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter,
                               std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    uint64_t product0 = uint64_t(0xD2511F53u) * counter[0];
    uint64_t product1 = uint64_t(0xCD9E8D57u) * counter[2];
    counter = {
        uint32_t(product1 >> 32) ^ counter[1] ^ key[0], uint32_t(product1),
        uint32_t(product0 >> 32) ^ counter[3] ^ key[1], uint32_t(product0)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

/// Natural log of a normal number > 0, from + - * / alone: libm's may differ
/// between systems in the last bit. Good to a few ulp.
double portableLog(double x) {
  int exponent;
  double mantissa = std::frexp(x, &exponent); // exact, in [0.5, 1)
  if (mantissa < 0.70710678118654752) {
    mantissa *= 2;
    --exponent;
  }
  // log m = 2 atanh(t), t = (m - 1) / (m + 1), |t| < 0.172: t^25 < 2^-63.
  double t = (mantissa - 1) / (mantissa + 1), square = t * t, sum = 0;
  for (int power = 23; power >= 1; power -= 2)
    sum = sum * square + 1.0 / power;
  return 2 * t * sum + exponent * 0.69314718055994530942;
}

/// cos(2 pi turns) for turns in [0, 1), likewise.
double portableCosTurns(double turns) {
  // Fold to a quarter turn around 0; these subtractions are exact.
  double folded = turns > 0.5 ? 1 - turns : turns;
  bool negative = folded > 0.25;
  if (negative)
    folded = 0.5 - folded;
  double angle = folded * 6.28318530717958647693, square = angle * angle;
  // Taylor to x^24 / 24!: the next term is below 2^-70 at pi / 2.
  double sum = 0;
  for (int n = 24; n >= 2; n -= 2)
    sum = (1 + sum) * (-square / double(n * (n - 1)));
  return negative ? -(1 + sum) : 1 + sum;
}

/// Box-Muller on one Philox block.
double normalAt(uint64_t seed, uint64_t stream, uint64_t element) {
  std::array<uint32_t, 4> bits =
      philox({uint32_t(element), uint32_t(element >> 32), uint32_t(stream),
              uint32_t(stream >> 32)},
             {uint32_t(seed), uint32_t(seed >> 32)});
  uint64_t wide0 = (uint64_t(bits[0]) << 32) | bits[1];
  uint64_t wide1 = (uint64_t(bits[2]) << 32) | bits[3];
  double radius = (double(wide0 >> 11) + 1) * 0x1p-53; // (0, 1]
  double turns = double(wide1 >> 11) * 0x1p-53;        // [0, 1)
  return std::sqrt(-2 * portableLog(radius)) * portableCosTurns(turns);
}

//===----------------------------------------------------------------------===//
// Layouts
//===----------------------------------------------------------------------===//

/// How many elements to leave after a row, sequence and head, and before the
/// first one.
struct Padding {
  int64_t row = 0, sequence = 0, head = 0, base = 0;
};

Padding paddingOf(StrideStyle style, int64_t width) {
  switch (style) {
  case StrideStyle::Padded:
    // 16 bytes after each row; 3 rows after each sequence are added below.
    return {16 / width, 3, 1, 16 / width};
  case StrideStyle::Unaligned:
    return {1, 0, 0, 1};
  case StrideStyle::Align4:
    return {4 / width, 0, 0, 4 / width};
  case StrideStyle::Align8:
    return {8 / width, 0, 0, 8 / width};
  default:
    return {};
  }
}

std::string sizeText(const std::vector<int64_t> &shape) {
  std::string out;
  for (size_t i = 0; i < shape.size(); ++i)
    out += (i ? "x" : "") + std::to_string(shape[i]);
  return out;
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

/// Divides what a head holds by a scale that takes its largest magnitude to the
/// largest number of `array`'s type, and returns the scales.
/// `value(element)` is what element number `element` in row-major order is.
template <typename Fn> StridedArray quantise(StridedArray &array, Fn &&value) {
  int64_t batches = array.shape[0], heads = array.shape[1];
  int64_t perHead = array.shape[2] * array.shape[3];
  StridedArray scales = StridedArray::contiguous(DType::F32, {batches, heads});
  double largest = largestFinite(array.dtype);
  for (int64_t b = 0; b < batches; ++b)
    for (int64_t h = 0; h < heads; ++h) {
      uint64_t first = uint64_t((b * heads + h) * perHead);
      double magnitude = 0;
      for (int64_t i = 0; i < perHead; ++i)
        magnitude = std::max(magnitude, std::fabs(value(first + uint64_t(i))));
      float scale = float(magnitude / largest);
      if (!(scale > 0))
        scale = 1;
      scales.set(std::array{b, h}, scale);
      for (int64_t i = 0; i < perHead; ++i) {
        double scaled = value(first + uint64_t(i)) / double(scale);
        // The scale was rounded: the largest magnitude may lie above.
        array.set(std::array{b, h, i / array.shape[3], i % array.shape[3]},
                  std::clamp(scaled, -largest, largest));
      }
    }
  return scales;
}

void fillConst(StridedArray &array, double value) {
  forEachIndex(array, [&](int64_t index) {
    storeElement(array.dtype, array.bytesAt(index), value);
  });
}

/// Scores of +-jump per tile, exact enough that 7.9 stays below 8 at any tile.
///
/// Score of key k in row q, in log2 units: sign(q) * jump * tile(k) - dip(k),
/// with sign +1 in even rows, -1 in odd ones, and dip 0 for a tile's first key.
/// One bf16 holds 8 bits, too few for jump * tile, so the product is spread
/// over three head dims that all meet the same q: k = high + middle + low.
Status fillJump(StridedArray &q, StridedArray &k, const AttentionSpec &spec,
                const Sizes &sizes, const InputOptions &options) {
  constexpr int kParts = 3;
  double scale = spec.effectiveScale();
  // s = scale * q . k in natural units; times log2(e) in log2 units.
  double unit = options.init.value / (scale * 1.44269504088896340736);
  int64_t tiles = (sizes.sk + options.init.tile - 1) / options.init.tile;
  double largest = std::fabs(unit) * double(tiles);
  // A power of two moved from k to q keeps k near the middle of f16's range.
  double qValue = 1;
  while (largest / qValue > 1024 && qValue < 0x1p100)
    qValue *= 2;
  double qLargest = qValue * std::fabs(options.qScale);
  if (!std::isfinite(largest) || !std::isfinite(roundTo(q.dtype, qLargest)))
    return Error{"--init=jump: " + std::string(name(q.dtype)) +
                 " cannot represent a jump of " +
                 std::to_string(options.init.value) + " at each of " +
                 std::to_string(tiles) + " tiles with scale " +
                 std::to_string(scale)};
  fillConst(q, 0);
  fillConst(k, 0);
  for (int64_t b = 0; b < sizes.b; ++b) {
    for (int64_t h = 0; h < sizes.hq; ++h)
      for (int64_t s = 0; s < sizes.sq; ++s) {
        double sign = s % 2 == 0 ? 1 : -1;
        for (int64_t part = 0; part < kParts; ++part)
          q.set(std::array{b, h, s, part}, sign * qValue * options.qScale);
        q.set(std::array{b, h, s, int64_t(kParts)}, options.qScale);
      }
    for (int64_t h = 0; h < sizes.hkv; ++h)
      for (int64_t s = 0; s < sizes.sk; ++s) {
        double rest = unit * double(s / options.init.tile) / qValue;
        for (int64_t part = 0; part < kParts; ++part) {
          double piece = roundTo(k.dtype, rest);
          k.set(std::array{b, h, s, part}, piece);
          rest -= piece;
        }
        uint64_t element = uint64_t((b * sizes.hkv + h) * sizes.sk + s);
        double dip = s % options.init.tile == 0
                         ? 0
                         : std::fabs(normalAt(options.seed, 1, element));
        k.set(std::array{b, h, s, int64_t(kParts)},
              scale > 0 ? -dip / scale : dip / -scale);
      }
  }
  return Success{};
}

std::optional<double> parseNumber(std::string_view text) {
  double value = 0;
  auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() ||
      !std::isfinite(value))
    return std::nullopt;
  return value;
}

constexpr std::pair<StrideStyle, std::string_view> kStyles[] = {
    {StrideStyle::Contiguous, "contiguous"},
    {StrideStyle::Padded, "padded"},
    {StrideStyle::Transposed, "transposed"},
    {StrideStyle::Innermost, "innermost"},
    {StrideStyle::Unaligned, "unaligned"},
    {StrideStyle::Align4, "align4"},
    {StrideStyle::Align8, "align8"},
    {StrideStyle::Huge, "huge"},
};

} // namespace

Result<InitSpec> InitSpec::parse(std::string_view text) {
  auto refuse = [&]() {
    return Error{"--init: expected normal, const, const:X, jump:X or "
                 "jump:X:TILE with finite X and TILE from 1 to 2147483647, "
                 "got '" +
                 std::string(text.substr(0, 40)) + "'"};
  };
  InitSpec init;
  if (text == "normal")
    return init;
  if (text == "const") {
    init.kind = InitKind::Const;
    return init;
  }
  size_t colon = text.find(':');
  if (colon == std::string_view::npos)
    return refuse();
  std::string_view kind = text.substr(0, colon);
  std::string_view rest = text.substr(colon + 1);
  if (kind == "jump") {
    init.kind = InitKind::Jump;
    size_t second = rest.find(':');
    if (second != std::string_view::npos) {
      std::optional<double> tile = parseNumber(rest.substr(second + 1));
      if (!tile || *tile < 1 || *tile > 2147483647 ||
          *tile != std::floor(*tile))
        return refuse();
      init.tile = int64_t(*tile);
      rest = rest.substr(0, second);
    }
  } else if (kind == "const") {
    init.kind = InitKind::Const;
  } else {
    return refuse();
  }
  std::optional<double> value = parseNumber(rest);
  if (!value)
    return refuse();
  init.value = *value;
  return init;
}

Result<StrideStyle> flash::runtime::parseStrideStyle(std::string_view text) {
  std::string known;
  for (auto [style, styleName] : kStyles) {
    if (styleName == text)
      return style;
    known += (known.empty() ? "" : ", ") + std::string(styleName);
  }
  return Error{"--strides: expected one of " + known + ", got '" +
               std::string(text.substr(0, 40)) + "'"};
}

std::string_view flash::runtime::name(StrideStyle style) {
  return kStyles[unsigned(style)].second;
}

Result<StridedArray> flash::runtime::allocateArray(DType dtype,
                                                   std::vector<int64_t> shape,
                                                   Layout layout,
                                                   StrideStyle style,
                                                   bool poisonTail) {
  StridedArray array;
  array.dtype = dtype;
  int64_t width = byteWidth(dtype);
  int64_t dim = shape.size() == 4 ? shape[3] : 1;
  Padding padding = paddingOf(style, width);
  bool sequenceOutside =
      (layout == Layout::BSHD) != (style == StrideStyle::Transposed);

  // From the innermost dimension out. "Innermost" swaps the head dim with the
  // sequence, so that the head dim is the strided one.
  int64_t b, h, s, element = 1, rows, total;
  bool overflow = false;
  auto multiply = [&](int64_t x, int64_t y) {
    int64_t product = 0;
    overflow |= __builtin_mul_overflow(x, y, &product);
    overflow |= product > kMaxBytes;
    return product;
  };
  if (style == StrideStyle::Innermost && shape.size() == 4) {
    s = 1;
    element = shape[2] + padding.row;
    h = multiply(element, dim);
    b = multiply(h, shape[1]);
    rows = std::max(element, dim);
  } else {
    rows = dim + padding.row;
    if (sequenceOutside) {
      h = rows;
      s = multiply(h, shape[1] + padding.head);
      b = multiply(s, shape[2] + padding.sequence);
    } else {
      s = rows;
      h = multiply(s, shape[2] + padding.sequence);
      b = multiply(h, shape[1] + padding.head);
    }
  }
  total = multiply(b, shape[0]);
  int64_t headRows = poisonTail ? kPoisonHeadRows : 0;
  int64_t tailRows = poisonTail ? kPoisonTailRows : 0;
  // The rows of poison before the start are rounded to 16 bytes, so that they
  // change no alignment.
  int64_t head = multiply(rows, headRows);
  head = (head * width + 15) / 16 * 16 / width;
  array.offset = head + padding.base;
  total += array.offset + multiply(rows, tailRows);
  if (overflow || total > kMaxBytes / width)
    return Error{"an array of " + sizeText(shape) + " " +
                 std::string(name(dtype)) + " in " + std::string(name(style)) +
                 " strides exceeds 4 GiB"};

  array.strides = {b, h, s};
  if (shape.size() == 4)
    array.strides.push_back(element);
  if (style == StrideStyle::Huge)
    for (size_t i = 0; i < shape.size(); ++i)
      if (shape[i] == 1)
        array.strides[i] = kHugeStride;
  array.shape = std::move(shape);
  array.storage.resize(size_t(total * width));
  for (int64_t i = 0; i < total; ++i)
    storeNaN(dtype, array.bytesAt(i));
  return array;
}

Result<StridedArray> flash::runtime::allocateCapture(DType dtype,
                                                     std::vector<int64_t> shape,
                                                     StrideStyle style) {
  StridedArray array;
  array.dtype = dtype;
  int64_t width = byteWidth(dtype);
  Padding padding = paddingOf(style, std::min<int64_t>(width, 4));
  // From the innermost dimension out; other orders of storage for two styles.
  std::vector<size_t> order(shape.size());
  for (size_t i = 0; i < order.size(); ++i)
    order[i] = order.size() - 1 - i;
  if (style == StrideStyle::Transposed)
    std::reverse(order.begin(), order.end());
  else if (style == StrideStyle::Innermost && order.size() > 1)
    std::swap(order[0], order[1]);
  array.strides.resize(shape.size());
  int64_t stride = 1;
  bool overflow = false;
  for (size_t i = 0; i < order.size(); ++i) {
    array.strides[order[i]] = stride;
    overflow |= __builtin_mul_overflow(
        stride, std::max<int64_t>(shape[order[i]], 1), &stride);
    // After rows, then after every further dimension.
    stride += i == 0 ? padding.row : padding.sequence;
    overflow |= stride > kMaxBytes / width;
    if (overflow)
      return Error{"an array of " + sizeText(shape) + " " +
                   std::string(name(dtype)) + " in " +
                   std::string(name(style)) + " strides exceeds 4 GiB"};
  }
  if (style == StrideStyle::Huge)
    for (size_t i = 0; i < shape.size(); ++i)
      if (shape[i] == 1)
        array.strides[i] = kHugeStride;
  array.offset = padding.base;
  array.shape = std::move(shape);
  array.storage.resize(size_t((array.offset + stride) * width));
  if (isFloat(dtype))
    for (int64_t i = 0; i < array.offset + stride; ++i)
      storeNaN(dtype, array.bytesAt(i));
  return array;
}

void flash::runtime::fillNormal(StridedArray &array, uint64_t seed,
                                uint64_t stream, double factor) {
  uint64_t element = 0;
  forEachIndex(array, [&](int64_t index) {
    storeElement(array.dtype, array.bytesAt(index),
                 normalAt(seed, stream, element++) * factor);
  });
}

Result<ProblemArrays> flash::runtime::makeInputs(const AttentionSpec &spec,
                                                 const Sizes &sizes,
                                                 const InputOptions &options) {
  auto allocate = [&](DType dtype, std::vector<int64_t> shape, bool isInput) {
    return allocateArray(dtype, std::move(shape), spec.layout, options.strides,
                         options.poisonNaN && isInput);
  };
  Result<StridedArray> q =
      allocate(spec.dtype, {sizes.b, sizes.hq, sizes.sq, sizes.d}, true);
  Result<StridedArray> k =
      allocate(spec.dtype, {sizes.b, sizes.hkv, sizes.sk, sizes.d}, true);
  Result<StridedArray> v =
      allocate(spec.dtype, {sizes.b, sizes.hkv, sizes.sk, sizes.dv}, true);
  Result<StridedArray> o = allocate(
      spec.outputDType(), {sizes.b, sizes.hq, sizes.sq, sizes.dv}, false);
  Result<StridedArray> lse =
      allocate(DType::F32, {sizes.b, sizes.hq, sizes.sq}, false);
  for (const Result<StridedArray> *array : {&q, &k, &v, &o, &lse})
    if (!*array)
      return array->error();

  // Without poison the gaps of the inputs hold zeros: the mildest content, so
  // that only --poison makes a leak visible, and on purpose.
  if (!options.poisonNaN)
    for (Result<StridedArray> *array : {&q, &k, &v})
      std::fill((*array)->storage.begin(), (*array)->storage.end(),
                std::byte(0));

  if (spec.hasDescales()) {
    if (options.init.kind == InitKind::Jump)
      return Error{"--init=jump: expected a dtype of 16 bits or more, got " +
                   std::string(name(spec.dtype))};
    bool isConst = options.init.kind == InitKind::Const;
    auto draw = [&](StridedArray &array, uint64_t stream,
                    double factor) -> std::optional<StridedArray> {
      auto value = [&](uint64_t element) {
        return factor * (isConst ? options.init.value
                                 : normalAt(options.seed, stream, element));
      };
      if (options.hasDescale[stream])
        return quantise(array, value);
      uint64_t element = 0;
      forEachIndex(array, [&](int64_t index) {
        storeElement(array.dtype, array.bytesAt(index), value(element++));
      });
      return std::nullopt;
    };
    ProblemArrays arrays{std::move(*q),
                         std::move(*k),
                         std::move(*v),
                         std::move(*o),
                         std::move(*lse),
                         {},
                         {},
                         {}};
    arrays.qDescale = draw(arrays.q, 0, options.qScale);
    arrays.kDescale = draw(arrays.k, 1, 1.0);
    arrays.vDescale = draw(arrays.v, 2, 1.0);
    return arrays;
  }

  switch (options.init.kind) {
  case InitKind::Normal:
    fillNormal(*q, options.seed, 0, options.qScale);
    fillNormal(*k, options.seed, 1);
    fillNormal(*v, options.seed, 2);
    break;
  case InitKind::Const:
    fillConst(*q, options.init.value * options.qScale);
    fillConst(*k, options.init.value);
    fillConst(*v, options.init.value);
    break;
  case InitKind::Jump:
    if (Status status = fillJump(*q, *k, spec, sizes, options); !status)
      return status.error();
    fillNormal(*v, options.seed, 2);
    break;
  }
  return ProblemArrays{std::move(*q),
                       std::move(*k),
                       std::move(*v),
                       std::move(*o),
                       std::move(*lse),
                       {},
                       {},
                       {}};
}

int64_t flash::runtime::countPaddingWrites(const StridedArray &before,
                                           const StridedArray &after) {
  size_t width = byteWidth(before.dtype);
  std::vector<bool> padding = before.paddingMask();
  int64_t count = 0;
  for (size_t i = 0; i < padding.size(); ++i)
    count += padding[i] && std::memcmp(before.bytesAt(int64_t(i)),
                                       after.bytesAt(int64_t(i)), width) != 0;
  return count;
}

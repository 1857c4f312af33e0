//===- AttentionSpec.cpp - One attention problem as a line of text --------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Runtime/AttentionSpec.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <vector>

using namespace flash::runtime;

namespace {

constexpr int64_t kMaxSize = std::numeric_limits<int32_t>::max();
constexpr int64_t kMaxHeadDim = 256;
constexpr std::string_view kAllKeys =
    "b, hq, hkv, sq, sk, d, dv, dtype, mask, window, prefix, chunk, sink, "
    "softcap, scale, alibi, layout, lse";
constexpr std::string_view kDTypes = "f16, bf16, f32, tf32, e4m3, e5m2";

/// One `key=value` or bare `key`, with the columns of both.
struct Item {
  std::string_view key;
  std::string_view value;
  bool hasValue = false;
  unsigned keyColumn = 0;
  unsigned valueColumn = 0;
};

/// Text for a message: control bytes and absurd lengths must not reach a
/// terminal or a log through an error.
std::string quote(std::string_view text) {
  constexpr size_t kMax = 40;
  std::string out = "'";
  for (char c : text.substr(0, kMax))
    out += (c >= 0x20 && c < 0x7f) ? c : '?';
  return out + (text.size() > kMax ? "...'" : "'");
}

/// Splits at commas. Spaces around an item, a key or a value are ignored.
Result<std::vector<Item>> split(std::string_view text) {
  auto trim = [&](size_t begin, size_t end) {
    while (begin < end && text[begin] == ' ')
      ++begin;
    while (end > begin && text[end - 1] == ' ')
      --end;
    return std::pair(begin, end);
  };
  std::vector<Item> items;
  if (trim(0, text.size()).first == text.size())
    return items;
  for (size_t begin = 0;;) {
    size_t end = std::min(text.find(',', begin), text.size());
    size_t equals = std::min(text.find('=', begin), end);
    auto [keyBegin, keyEnd] = trim(begin, equals);
    if (keyBegin == keyEnd)
      return Error{"expected a key, got " +
                       quote(text.substr(begin, end - begin)),
                   unsigned(begin) + 1};
    Item item;
    item.key = text.substr(keyBegin, keyEnd - keyBegin);
    item.keyColumn = unsigned(keyBegin) + 1;
    item.hasValue = equals < end;
    if (item.hasValue) {
      auto [valueBegin, valueEnd] = trim(equals + 1, end);
      item.value = text.substr(valueBegin, valueEnd - valueBegin);
      item.valueColumn = unsigned(valueBegin) + 1;
    }
    items.push_back(item);
    if (end == text.size())
      return items;
    begin = end + 1;
  }
}

Error refuse(const Item &item, std::string_view expected) {
  std::string got = item.hasValue ? quote(item.value) : "no value";
  return Error{std::string(item.key) + ": expected " + std::string(expected) +
                   ", got " + got,
               item.hasValue ? item.valueColumn : item.keyColumn};
}

std::optional<int64_t> parseInteger(std::string_view text) {
  int64_t value = 0;
  auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    return std::nullopt;
  return value;
}

Result<int64_t> integerIn(const Item &item, int64_t low, int64_t high) {
  std::optional<int64_t> value = parseInteger(item.value);
  if (!value || *value < low || *value > high)
    return refuse(item, "an integer from " + std::to_string(low) + " to " +
                            std::to_string(high));
  return *value;
}

/// A size, or `?` if the key may be dynamic.
Result<int64_t> size(const Item &item) {
  if (item.hasValue && item.value == "?")
    return kDynamic;
  std::optional<int64_t> value = parseInteger(item.value);
  if (!value || *value < 1 || *value > kMaxSize)
    return refuse(item, "an integer from 1 to 2147483647, or ?");
  return *value;
}

Result<int64_t> headDim(const Item &item) {
  std::optional<int64_t> value = parseInteger(item.value);
  if (!value || *value < 8 || *value > kMaxHeadDim || *value % 8 != 0)
    return refuse(item, "a multiple of 8 from 8 to 256");
  return *value;
}

/// A number that f32 holds: kernels take it in f32.
Result<double> real(const Item &item, bool positive) {
  double value = 0;
  const char *end = item.value.data() + item.value.size();
  auto [stop, error] = std::from_chars(item.value.data(), end, value);
  bool parsed = item.hasValue && error == std::errc() && stop == end;
  float low = std::numeric_limits<float>::min();
  float high = std::numeric_limits<float>::max();
  if (positive && !(parsed && value >= low && value <= high))
    return refuse(item, "a finite number greater than 0 that f32 holds");
  if (!parsed || !(std::fabs(value) <= high))
    return refuse(item, "a finite number that f32 holds");
  return value;
}

Result<Window> window(const Item &item) {
  std::string expected =
      "L:R, each an integer from -1 (unbounded) to 2147483647";
  size_t colon = item.value.find(':');
  if (!item.hasValue || colon == std::string_view::npos)
    return refuse(item, expected);
  std::optional<int64_t> left = parseInteger(item.value.substr(0, colon));
  std::optional<int64_t> right = parseInteger(item.value.substr(colon + 1));
  if (!left || !right || *left < -1 || *right < -1 || *left > kMaxSize ||
      *right > kMaxSize)
    return refuse(item, expected);
  return Window{*left, *right};
}

/// The keys seen so far and what the parser learns from them that is not in
/// the spec itself.
struct ParseState {
  AttentionSpec spec;
  std::map<std::string_view, Item> seen;
  /// hkv as written: a number, or hq divided by one.
  std::optional<int64_t> hkvNumber;
  std::optional<int64_t> hkvShare;
};

template <typename T, typename U> Status assign(T &to, Result<U> value) {
  if (!value)
    return value.error();
  to = *value;
  return Success{};
}

Status parseHkv(ParseState &state, const Item &item) {
  std::string_view text = item.value;
  if (item.hasValue && text.substr(0, 2) == "hq") {
    if (text == "hq")
      return assign(state.hkvShare, Result<int64_t>(1));
    std::optional<int64_t> share = text.size() > 3 && text[2] == '/'
                                       ? parseInteger(text.substr(3))
                                       : std::nullopt;
    if (!share || *share < 1 || *share > kMaxSize)
      return refuse(item, "hq or hq/N with N from 1 to 2147483647");
    return assign(state.hkvShare, Result<int64_t>(*share));
  }
  std::optional<int64_t> value = parseInteger(text);
  if (!value || *value < 1 || *value > kMaxSize)
    return refuse(item, "an integer from 1 to 2147483647, or hq/N (the ratio "
                        "of hq to hkv is always static)");
  return assign(state.hkvNumber, Result<int64_t>(*value));
}

Status parseItem(ParseState &state, const Item &item) {
  AttentionSpec &spec = state.spec;
  std::string_view key = item.key;
  if (key == "b")
    return assign(spec.b, size(item));
  if (key == "hq")
    return assign(spec.hq, size(item));
  if (key == "hkv")
    return parseHkv(state, item);
  if (key == "sq")
    return assign(spec.sq, size(item));
  if (key == "sk")
    return assign(spec.sk, size(item));
  if (key == "d")
    return assign(spec.d, headDim(item));
  if (key == "dv")
    return assign(spec.dv, headDim(item));
  if (key == "dtype") {
    std::optional<DType> type = parseDType(item.value);
    if (!type || !isFloat(*type) || *type == DType::F64)
      return refuse(item, "one of " + std::string(kDTypes));
    return assign(spec.dtype, Result<DType>(*type));
  }
  if (key == "mask") {
    if (item.value == "none")
      spec.causal = Causal::None;
    else if (item.value == "causal")
      spec.causal = Causal::BottomRight;
    else if (item.value == "causal_tl")
      spec.causal = Causal::TopLeft;
    else
      return refuse(item, "one of none, causal, causal_tl");
    return Success{};
  }
  if (key == "window")
    return assign(spec.window, window(item));
  if (key == "prefix")
    return assign(spec.prefix, integerIn(item, 0, kMaxSize));
  if (key == "chunk")
    return assign(spec.chunk, integerIn(item, 1, kMaxSize));
  if (key == "sink")
    return assign(spec.sink, integerIn(item, 0, kMaxSize));
  if (key == "softcap")
    return assign(spec.softcap, real(item, /*positive=*/true));
  if (key == "scale")
    return assign(spec.scale, real(item, /*positive=*/false));
  if (key == "alibi" || key == "lse") {
    if (item.hasValue)
      return refuse(item, "no value after this key");
    (key == "alibi" ? spec.alibi : spec.lse) = true;
    return Success{};
  }
  if (key == "layout") {
    if (item.value == "bhsd")
      spec.layout = Layout::BHSD;
    else if (item.value == "bshd")
      spec.layout = Layout::BSHD;
    else
      return refuse(item, "one of bhsd, bshd");
    return Success{};
  }
  return Error{"unknown key " + quote(key) + ": expected one of " +
                   std::string(kAllKeys),
               item.keyColumn};
}

/// Fills hkv and group from hq and what hkv was written as.
Status resolveHeads(ParseState &state) {
  AttentionSpec &spec = state.spec;
  if (!state.seen.count("hkv"))
    state.hkvShare = 1;
  auto failure = [&](const std::string &expected) -> Status {
    const Item &item = state.seen.find("hkv")->second;
    return refuse(item, expected);
  };
  if (spec.hq == kDynamic) {
    if (!state.hkvShare)
      return failure("hq/N beside hq=? (the ratio of hq to hkv is static)");
    spec.hkv = kDynamic;
    spec.group = *state.hkvShare;
    return Success{};
  }
  if (state.hkvShare) {
    if (spec.hq % *state.hkvShare != 0)
      return failure("hq/N with N a divisor of hq = " +
                     std::to_string(spec.hq));
    spec.hkv = spec.hq / *state.hkvShare;
  } else {
    if (spec.hq % *state.hkvNumber != 0)
      return failure("a divisor of hq = " + std::to_string(spec.hq));
    spec.hkv = *state.hkvNumber;
  }
  spec.group = spec.hq / spec.hkv;
  return Success{};
}

std::string printSize(int64_t value) {
  return value == kDynamic ? "?" : std::to_string(value);
}

/// Shortest decimal that reads back as the same double.
std::string printReal(double value) {
  char buffer[32];
  auto [end, error] = std::to_chars(buffer, buffer + sizeof(buffer), value);
  return std::string(buffer, end);
}

} // namespace

Result<AttentionSpec> AttentionSpec::parse(std::string_view text) {
  Result<std::vector<Item>> items = split(text);
  if (!items)
    return items.error();
  ParseState state;
  for (const Item &item : *items) {
    auto [it, inserted] = state.seen.emplace(item.key, item);
    if (!inserted)
      return Error{"duplicate key " + quote(item.key) +
                       ": expected each key at most once, first given at "
                       "column " +
                       std::to_string(it->second.keyColumn),
                   item.keyColumn};
    if (Status status = parseItem(state, item); !status)
      return status.error();
  }
  for (std::string_view key : {"sq", "sk", "d", "dtype"})
    if (!state.seen.count(key))
      return Error{"missing key '" + std::string(key) +
                       "': sq, sk, d and dtype are required",
                   unsigned(text.size()) + 1};
  if (Status status = resolveHeads(state); !status)
    return status.error();
  if (!state.seen.count("dv"))
    state.spec.dv = state.spec.d;
  if (state.spec.hasDescales())
    for (auto [key, dim] :
         {std::pair("d", state.spec.d), std::pair("dv", state.spec.dv)})
      if (auto it = state.seen.find(key);
          it != state.seen.end() && dim % 16 != 0)
        return refuse(it->second, "a multiple of 16 for " +
                                      std::string(name(state.spec.dtype)) +
                                      " (rows are copied 16 bytes at a time)");
  return state.spec;
}

std::string AttentionSpec::toString() const {
  std::string out = "b=" + printSize(b) + ",hq=" + printSize(hq) + ",hkv=";
  if (hkv != kDynamic)
    out += printSize(hkv);
  else
    out += group == 1 ? "hq" : "hq/" + std::to_string(group);
  out += ",sq=" + printSize(sq) + ",sk=" + printSize(sk) +
         ",d=" + std::to_string(d);
  if (dv != d)
    out += ",dv=" + std::to_string(dv);
  out += ",dtype=" + std::string(name(dtype));
  if (causal != Causal::None)
    out += causal == Causal::TopLeft ? ",mask=causal_tl" : ",mask=causal";
  if (window)
    out += ",window=" + std::to_string(window->left) + ":" +
           std::to_string(window->right);
  if (prefix)
    out += ",prefix=" + std::to_string(*prefix);
  if (chunk)
    out += ",chunk=" + std::to_string(*chunk);
  if (sink)
    out += ",sink=" + std::to_string(*sink);
  if (softcap)
    out += ",softcap=" + printReal(*softcap);
  if (scale)
    out += ",scale=" + printReal(*scale);
  if (alibi)
    out += ",alibi";
  if (layout == Layout::BSHD)
    out += ",layout=bshd";
  if (lse)
    out += ",lse";
  return out;
}

DType AttentionSpec::outputDType() const {
  if (hasDescales())
    return DType::BF16;
  return dtype == DType::TF32 ? DType::F32 : dtype;
}

bool AttentionSpec::hasDescales() const {
  return dtype == DType::E4M3 || dtype == DType::E5M2;
}

double AttentionSpec::effectiveScale() const {
  return scale ? *scale : 1.0 / std::sqrt(double(d));
}

bool AttentionSpec::isDynamic() const {
  return b == kDynamic || hq == kDynamic || sq == kDynamic || sk == kDynamic;
}

Result<Sizes> AttentionSpec::resolveSizes(std::string_view text) const {
  Result<std::vector<Item>> items = split(text);
  if (!items)
    return items.error();
  Sizes sizes{b, hq, hkv, sq, sk, d, dv};
  std::map<std::string_view, unsigned> seen;
  for (const Item &item : *items) {
    int64_t *slot = item.key == "b"     ? &sizes.b
                    : item.key == "hq"  ? &sizes.hq
                    : item.key == "hkv" ? &sizes.hkv
                    : item.key == "sq"  ? &sizes.sq
                    : item.key == "sk"  ? &sizes.sk
                                        : nullptr;
    if (!slot)
      return Error{"unknown key " + quote(item.key) +
                       ": expected one of b, hq, hkv, sq, sk",
                   item.keyColumn};
    if (!seen.emplace(item.key, item.keyColumn).second)
      return Error{"duplicate key " + quote(item.key) +
                       ": expected each key at most once",
                   item.keyColumn};
    Result<int64_t> value = integerIn(item, 1, kMaxSize);
    if (!value)
      return value.error();
    if (*slot != kDynamic && *slot != *value)
      return refuse(item, std::to_string(*slot) + ", which is static");
    *slot = *value;
  }
  for (auto [key, value] :
       {std::pair("b", sizes.b), std::pair("hq", sizes.hq),
        std::pair("sq", sizes.sq), std::pair("sk", sizes.sk)})
    if (value == kDynamic)
      return Error{"missing size '" + std::string(key) +
                       "': every size written as ? must be given",
                   unsigned(text.size()) + 1};
  if (sizes.hq % group != 0)
    return Error{"hq: expected a multiple of " + std::to_string(group) +
                     " (the static ratio of hq to hkv), got " +
                     std::to_string(sizes.hq),
                 seen.count("hq") ? seen["hq"] : 1};
  if (sizes.hkv != kDynamic && sizes.hkv != sizes.hq / group)
    return Error{"hkv: expected " + std::to_string(sizes.hq / group) +
                     " (hq divided by the static ratio), got " +
                     std::to_string(sizes.hkv),
                 seen.count("hkv") ? seen["hkv"] : 1};
  sizes.hkv = sizes.hq / group;
  return sizes;
}

//===- Mutator.cpp - Seeded mutations of programs and SPECs ---------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Mutator.h"

#include <cctype>

using namespace flash::fuzz;

namespace {

//===----------------------------------------------------------------------===//
// What to put in
//===----------------------------------------------------------------------===//

// Sizes at and around the limits that verifiers, tiles and i32 have.
constexpr std::string_view kNumbers[] = {
    "0",   "1",   "2",    "3",    "4",          "5",
    "7",   "8",   "9",    "16",   "17",         "24",
    "31",  "32",  "33",   "40",   "48",         "64",
    "72",  "96",  "100",  "112",  "120",        "127",
    "128", "129", "136",  "160",  "192",        "200",
    "248", "256", "257",  "264",  "512",        "1000",
    "-1",  "-2",  "4096", "8192", "2147483647", "2147483648",
    "-8",  "15",  "63",   "65536", "4294967296", "9223372036854775807"};

constexpr std::string_view kFloats[] = {
    "0.0",     "-0.0",     "1.0",        "-1.0",  "0.125",  "1.0e-30",
    "1.0e+38", "3.4e+38",  "1.0e+300",   "50.0",  "-50.0",  "0x7F800000",
    "0xFF800000", "0x7FC00000", "1.44269504", "0.08838834764"};

constexpr std::string_view kElementTypes[] = {
    "f16", "bf16", "f32",   "f64",  "tf32", "f8E4M3FN",
    "f8E5M2", "i1", "i8", "i32", "i64", "index"};

// Groups of names of which one may stand where another does; whether it then
// verifies and lowers is what is to be found out.
constexpr std::string_view kFloatBinary[] = {
    "arith.addf",     "arith.subf",     "arith.mulf",    "arith.divf",
    "arith.maximumf", "arith.minimumf", "arith.maxnumf", "arith.minnumf",
    "arith.remf",     "math.atan2",     "math.copysign", "math.powf"};
constexpr std::string_view kFloatUnary[] = {
    "arith.negf", "math.exp",  "math.exp2",  "math.log",   "math.log2",
    "math.tanh",  "math.sqrt", "math.rsqrt", "math.absf",  "math.sin",
    "math.floor", "math.ceil", "math.erf",   "math.log1p", "math.expm1"};
constexpr std::string_view kIntegerBinary[] = {
    "arith.addi",      "arith.subi",     "arith.muli",     "arith.divsi",
    "arith.divui",     "arith.remsi",    "arith.remui",    "arith.andi",
    "arith.ori",       "arith.xori",     "arith.shli",     "arith.shrsi",
    "arith.minsi",     "arith.maxsi",    "arith.floordivsi",
    "arith.ceildivsi", "arith.minui",    "arith.maxui"};
constexpr std::string_view kPredicates[] = {
    "eq",  "ne",  "slt", "sle", "sgt", "sge", "ult", "ule", "ugt", "uge",
    "oeq", "ogt", "oge", "olt", "ole", "one", "ord", "ueq", "une", "uno"};
constexpr std::string_view kCasts[] = {
    "arith.sitofp", "arith.uitofp",     "arith.fptosi", "arith.index_cast",
    "arith.extf",   "arith.index_castui", "arith.truncf", "arith.bitcast",
    "arith.extsi",  "arith.trunci"};
constexpr std::string_view kCausal[] = {"bottom_right", "top_left", "middle"};
constexpr std::string_view kChips[] = {
    "sm_80",   "sm_86",   "sm_89",  "sm_90", "sm_90a", "sm_100a",
    "sm_120",  "sm_9999", "x86-64", "",      "gfx90a"};

// Entries for an attribute dictionary.
constexpr std::string_view kEntries[] = {
    "causal = #flash.causal<bottom_right>",
    "causal = #flash.causal<top_left>",
    "window = array<i64: 64, 0>",
    "window = array<i64: -1, -1>",
    "window = array<i64: 3>",
    "window = array<i64: -2, 9223372036854775807>",
    "prefix = 5 : i64",
    "chunk = 64 : i64",
    "chunk = 0 : i64",
    "sink_tokens = 4 : i64",
    "softcap = 30.0 : f32",
    "softcap = -1.0 : f32",
    "alibi",
    "group = 4 : i64",
    "group = 0 : i64",
    "scale = 0.5 : f32",
    "scale = 0x7FC00000 : f32",
    "scale = 2.0 : f64",
    "unknown = unit"};

constexpr std::string_view kSpecKeys[] = {
    "b",     "hq",   "hkv",    "sq",   "sk",    "d",     "dv",      "dtype",
    "mask",  "window", "prefix", "chunk", "sink", "softcap", "scale", "alibi",
    "layout", "lse", "head",   "",     "SQ"};
constexpr std::string_view kSpecValues[] = {
    "?",     "f16",  "bf16",  "f32",       "tf32",      "e4m3",  "e5m2",
    "fp16",  "none", "causal", "causal_tl", "64:0",     "-1:-1", "3:",
    ":",     "-5:2", "bshd",  "bhsd",      "0.5",       "1e-3",  "nan",
    "inf",   "-0.0", "1e999", "hq",        "hq/4",      "hq/0",  "0x10",
    "",      " 8",   "8 ",    "+8",        "8.0",       "--1",
    "99999999999999999999"};

//===----------------------------------------------------------------------===//
// Finding things in text
//===----------------------------------------------------------------------===//

struct Span {
  size_t begin;
  size_t end;
};

bool isWord(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.';
}
bool isDigit(char c) { return std::isdigit(static_cast<unsigned char>(c)); }

/// Decimal integers that are not part of a name or of a float. In shapes
/// (`1x8x?x128xbf16`) the `x` between sizes is no part of a name.
std::vector<Span> findNumbers(std::string_view text) {
  std::vector<Span> found;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!isDigit(text[i]))
      continue;
    size_t end = i;
    while (end < text.size() && isDigit(text[end]))
      ++end;
    bool afterName = i > 0 && (isWord(text[i - 1]) || text[i - 1] == '%') &&
                     !(text[i - 1] == 'x' && (i < 2 || !std::isalpha(text[i - 2])));
    bool inFloat = end < text.size() && text[end] == '.';
    if (!afterName && !inFloat)
      found.push_back({i, end});
    i = end;
  }
  return found;
}

/// Occurrences of `word` that are not part of a longer word, except that a
/// type may follow the `x` of a shape.
std::vector<Span> findWord(std::string_view text, std::string_view word) {
  std::vector<Span> found;
  for (size_t i = text.find(word); i != std::string_view::npos;
       i = text.find(word, i + 1)) {
    size_t end = i + word.size();
    bool starts = i == 0 || !isWord(text[i - 1]) || text[i - 1] == 'x';
    if (starts && (end == text.size() || !isWord(text[end])))
      found.push_back({i, end});
  }
  return found;
}

/// Uses and definitions of SSA values.
std::vector<Span> findValues(std::string_view text) {
  std::vector<Span> found;
  for (size_t i = text.find('%'); i != std::string_view::npos;
       i = text.find('%', i + 1)) {
    size_t end = i + 1;
    while (end < text.size() && isWord(text[end]))
      ++end;
    found.push_back({i, end});
  }
  return found;
}

std::vector<Span> findLines(std::string_view text) {
  std::vector<Span> found;
  for (size_t i = 0; i < text.size();) {
    size_t end = text.find('\n', i);
    end = end == std::string_view::npos ? text.size() : end + 1;
    found.push_back({i, end});
    i = end;
  }
  return found;
}

std::string at(const std::string &text, Span span) {
  return text.substr(span.begin, span.end - span.begin);
}

void put(std::string &text, Span span, std::string_view with) {
  text.replace(span.begin, span.end - span.begin, with);
}

//===----------------------------------------------------------------------===//
// Mutations
//===----------------------------------------------------------------------===//

/// Another number: near the old one, or one from the list.
std::string otherNumber(const std::string &number, Random &random) {
  if (number.size() < 10 && random.oneIn(2)) {
    long value = std::stol(number);
    constexpr long kSteps[] = {-8, -1, 1, 8};
    switch (random.below(3)) {
    case 0:
      return std::to_string(value + random.pick(kSteps));
    case 1:
      return std::to_string(value * 2);
    default:
      return std::to_string(value / 2);
    }
  }
  return std::string(random.pick(kNumbers));
}

/// One number, or every occurrence of its value: the latter keeps shapes that
/// belong together equal, which the verifier asks for.
void mutateNumber(std::string &text, Random &random) {
  std::vector<Span> numbers = findNumbers(text);
  if (numbers.empty())
    return;
  Span chosen = random.pick(numbers);
  std::string old = at(text, chosen);
  std::string with = otherNumber(old, random);
  if (random.oneIn(3))
    return put(text, chosen, with);
  for (size_t i = numbers.size(); i-- > 0;)
    if (at(text, numbers[i]) == old)
      put(text, numbers[i], with);
}

/// Static to dynamic sizes, or back, at every place where this size stands.
void mutateDynamic(std::string &text, Random &random) {
  bool toDynamic = random.oneIn(2);
  std::string from = "?x", with = "64x";
  if (toDynamic) {
    std::vector<Span> numbers = findNumbers(text);
    if (numbers.empty())
      return;
    from = at(text, random.pick(numbers)) + "x";
    with = "?x";
  }
  for (size_t i = text.find(from); i != std::string::npos;
       i = text.find(from, i + with.size()))
    text.replace(i, from.size(), with);
}

void mutateFloat(std::string &text, Random &random) {
  std::vector<Span> floats;
  for (size_t i = text.find('.'); i != std::string::npos;
       i = text.find('.', i + 1)) {
    size_t begin = i, end = i + 1;
    while (begin > 0 && isDigit(text[begin - 1]))
      --begin;
    while (end < text.size() && (isWord(text[end])))
      ++end;
    if (begin < i && (begin == 0 || !isWord(text[begin - 1])))
      floats.push_back({begin, end});
  }
  if (!floats.empty())
    put(text, random.pick(floats), random.pick(kFloats));
}

/// Replaces one name of `group` by another of it, everywhere or in one place.
template <typename Group>
void mutateName(std::string &text, const Group &group, bool everywhere,
                Random &random) {
  std::vector<std::string_view> present;
  for (std::string_view name : group)
    if (!name.empty() && !findWord(text, name).empty())
      present.push_back(name);
  if (present.empty())
    return;
  std::string_view old = random.pick(present);
  std::string_view with = random.pick(group);
  std::vector<Span> places = findWord(text, old);
  if (!everywhere)
    return put(text, random.pick(places), with);
  for (size_t i = places.size(); i-- > 0;)
    put(text, places[i], with);
}

void swapOperands(std::string &text, Random &random) {
  std::vector<Span> values = findValues(text);
  if (values.size() < 2)
    return;
  size_t first = random.below(values.size() - 1);
  Span a = values[first], b = values[first + 1];
  std::string left = at(text, a), right = at(text, b);
  put(text, b, left);
  put(text, a, right);
}

void replaceOperand(std::string &text, Random &random) {
  std::vector<Span> values = findValues(text);
  if (!values.empty())
    put(text, random.pick(values), at(text, random.pick(values)));
}

void mutateLine(std::string &text, const std::vector<std::string> &corpus,
                Random &random) {
  std::vector<Span> lines = findLines(text);
  if (lines.empty())
    return;
  Span line = random.pick(lines);
  switch (random.below(4)) {
  case 0:
    return put(text, line, "");
  case 1: {
    std::string copy = at(text, line);
    text.insert(line.end, copy);
    return;
  }
  case 2: {
    std::string moved = at(text, line);
    put(text, line, "");
    lines = findLines(text);
    text.insert(lines.empty() ? 0 : random.pick(lines).begin, moved);
    return;
  }
  default: {
    const std::string &other = random.pick(corpus);
    std::vector<Span> others = findLines(other);
    if (!others.empty())
      text.insert(line.begin, at(other, random.pick(others)));
  }
  }
}

/// Adds an entry to an attribute dictionary, or takes one away.
void mutateDictionary(std::string &text, Random &random) {
  std::vector<size_t> opens;
  for (size_t i = text.find('{'); i != std::string::npos;
       i = text.find('{', i + 1)) {
    size_t next = text.find_first_not_of(" \n", i + 1);
    // A region starts with a block label or an operation; a dictionary with
    // `name =` or a bare name.
    if (next != std::string::npos && std::isalpha(text[next]) &&
        text.find('}', i) < text.find('%', i))
      opens.push_back(i);
  }
  if (opens.empty()) {
    size_t outs = text.find("outs(");
    size_t close = outs == std::string::npos ? outs : text.find(')', outs);
    if (close != std::string::npos)
      text.insert(close + 1, " {" + std::string(random.pick(kEntries)) + "}");
    return;
  }
  size_t open = random.pick(opens);
  if (random.oneIn(2)) {
    text.insert(open + 1, std::string(random.pick(kEntries)) + ", ");
    return;
  }
  size_t close = text.find('}', open);
  size_t comma = text.find(',', open);
  if (close == std::string::npos)
    return;
  put(text, {open + 1, comma < close ? comma + 1 : close}, "");
}

/// Damage below the level of tokens: what a lexer and a parser have to bear.
void mutateBytes(std::string &text, Random &random) {
  if (text.empty())
    return;
  size_t i = random.below(text.size());
  switch (random.below(4)) {
  case 0:
    text[i] = static_cast<char>(random.next());
    return;
  case 1:
    text.erase(i, 1 + random.below(8));
    return;
  case 2:
    text.insert(i, 1, "(){}[]<>,:=%#!@\"?-x"[random.below(19)]);
    return;
  default:
    text.resize(i);
  }
}

} // namespace

//===----------------------------------------------------------------------===//
// Programs and SPECs
//===----------------------------------------------------------------------===//

std::string flash::fuzz::mutateProgram(std::string program,
                                       const std::vector<std::string> &corpus,
                                       Random &random) {
  for (size_t count = 1 + random.below(3); count > 0; --count) {
    switch (random.below(20)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
      mutateNumber(program, random);
      break;
    case 5:
      mutateDynamic(program, random);
      break;
    case 6:
    case 7:
      mutateFloat(program, random);
      break;
    case 8:
      mutateName(program, kElementTypes, /*everywhere=*/!random.oneIn(4),
                 random);
      break;
    case 9:
      mutateName(program, kFloatBinary, /*everywhere=*/false, random);
      break;
    case 10:
      mutateName(program, kFloatUnary, /*everywhere=*/false, random);
      break;
    case 11:
      mutateName(program, kIntegerBinary, /*everywhere=*/false, random);
      break;
    case 12:
      mutateName(program, kPredicates, /*everywhere=*/false, random);
      break;
    case 13:
      mutateName(program, kCasts, /*everywhere=*/false, random);
      mutateName(program, kCausal, /*everywhere=*/false, random);
      break;
    case 14:
      swapOperands(program, random);
      break;
    case 15:
      replaceOperand(program, random);
      break;
    case 16:
    case 17:
      mutateDictionary(program, random);
      mutateName(program, kChips, /*everywhere=*/false, random);
      break;
    case 18:
      mutateLine(program, corpus, random);
      break;
    default:
      mutateBytes(program, random);
    }
  }
  return program;
}

std::string flash::fuzz::mutateSpec(std::string spec, Random &random) {
  for (size_t count = 1 + random.below(3); count > 0; --count) {
    std::vector<std::string> items;
    for (size_t i = 0; i <= spec.size();) {
      size_t end = std::min(spec.find(',', i), spec.size());
      items.push_back(spec.substr(i, end - i));
      i = end + 1;
    }
    size_t chosen = random.below(items.size());
    std::string &item = items[chosen];
    size_t equals = std::min(item.find('='), item.size());
    switch (random.below(9)) {
    case 0:
    case 1:
    case 2:
      item = item.substr(0, equals) + "=" + std::string(random.pick(kNumbers));
      break;
    case 3:
    case 4:
      item =
          item.substr(0, equals) + "=" + std::string(random.pick(kSpecValues));
      break;
    case 5:
      item = std::string(random.pick(kSpecKeys)) + item.substr(equals);
      break;
    case 6:
      items.erase(items.begin() + static_cast<std::ptrdiff_t>(chosen));
      break;
    case 7:
      items.push_back(std::string(random.pick(kSpecKeys)) + "=" +
                      std::string(random.oneIn(2) ? random.pick(kNumbers)
                                                  : random.pick(kSpecValues)));
      break;
    default:
      mutateBytes(item, random);
    }
    spec.clear();
    for (const std::string &entry : items)
      spec += (spec.empty() ? "" : ",") + entry;
  }
  return spec;
}

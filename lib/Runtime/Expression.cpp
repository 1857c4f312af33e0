//===- Expression.cpp - Sizes as formulas ---------------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Runtime/Expression.h"

#include <algorithm>
#include <charconv>

using namespace flash::runtime;

namespace {

/// Parentheses and signs nest by recursion; text from a file must not choose
/// how deep.
constexpr int kMaxDepth = 64;

/// Recursive descent that evaluates while it parses. Without sizes it only
/// parses.
class Evaluator {
public:
  Evaluator(std::string_view text, const Sizes *sizes)
      : text(text), sizes(sizes) {}

  Result<int64_t> run() {
    std::optional<int64_t> value = sum();
    skipSpace();
    if (value && at != text.size())
      fail("an operator or the end");
    if (error)
      return *error;
    return *value;
  }

private:
  using Value = std::optional<int64_t>;

  Value fail(const std::string &expected) {
    return failWith("expected " + expected + " in '" +
                    std::string(text.substr(0, 80)) + "'");
  }

  Value failWith(const std::string &message) {
    if (!error)
      error = Error{message, unsigned(at) + 1};
    return std::nullopt;
  }

  void skipSpace() {
    while (at < text.size() && text[at] == ' ')
      ++at;
  }

  bool take(char c) {
    skipSpace();
    if (at == text.size() || text[at] != c)
      return false;
    ++at;
    return true;
  }

  Value sum() {
    Value left = product();
    while (left) {
      bool isPlus = take('+');
      if (!isPlus && !take('-'))
        return left;
      Value right = product();
      if (!right)
        return right;
      int64_t result = 0;
      bool overflow = isPlus ? __builtin_add_overflow(*left, *right, &result)
                             : __builtin_sub_overflow(*left, *right, &result);
      if (overflow)
        return failWith("64-bit overflow");
      left = result;
    }
    return left;
  }

  Value product() {
    Value left = factor();
    while (left && take('*')) {
      Value right = factor();
      if (!right)
        return right;
      int64_t result = 0;
      if (__builtin_mul_overflow(*left, *right, &result))
        return failWith("64-bit overflow");
      left = result;
    }
    return left;
  }

  Value factor() {
    if (++depth > kMaxDepth)
      return failWith("expected at most 64 levels of nesting");
    Value value = factorInside();
    --depth;
    return value;
  }

  Value factorInside() {
    if (take('(')) {
      Value value = sum();
      if (value && !take(')'))
        return fail("')'");
      return value;
    }
    if (take('-')) {
      Value value = factor();
      int64_t result = 0;
      if (value && __builtin_sub_overflow(int64_t(0), *value, &result))
        return failWith("64-bit overflow");
      return value ? Value(result) : value;
    }
    skipSpace();
    size_t end = at;
    while (end < text.size() && isalnum(static_cast<unsigned char>(text[end])))
      ++end;
    std::string_view word = text.substr(at, end - at);
    if (word.empty())
      return fail("a number, a name or '('");
    if (word[0] >= '0' && word[0] <= '9') {
      int64_t value = 0;
      auto [stop, failure] =
          std::from_chars(word.data(), word.data() + word.size(), value);
      if (failure != std::errc() || stop != word.data() + word.size())
        return fail("an integer of 64 bits");
      at = end;
      return value;
    }
    if (word == "ceildiv" || word == "floordiv" || word == "min" ||
        word == "max") {
      at = end;
      return call(word);
    }
    Value value = variable(word);
    if (value)
      at = end;
    return value;
  }

  Value call(std::string_view function) {
    if (!take('('))
      return fail("'('");
    Value left = sum();
    if (!left)
      return left;
    if (!take(','))
      return fail("','");
    Value right = sum();
    if (!right)
      return right;
    if (!take(')'))
      return fail("')'");
    if (function == "min")
      return std::min(*left, *right);
    if (function == "max")
      return std::max(*left, *right);
    if (*right < 1) {
      // Without sizes every name reads as 1, which says nothing of divisors.
      if (!sizes)
        return 1;
      return failWith(std::string(function) +
                      ": expected a divisor of at least 1, got " +
                      std::to_string(*right));
    }
    int64_t quotient = *left / *right, remainder = *left % *right;
    if (function == "ceildiv")
      return quotient + (remainder > 0);
    return quotient - (remainder < 0);
  }

  Value variable(std::string_view word) {
    constexpr std::pair<std::string_view, int64_t Sizes::*> kNames[] = {
        {"b", &Sizes::b},   {"hq", &Sizes::hq}, {"hkv", &Sizes::hkv},
        {"sq", &Sizes::sq}, {"sk", &Sizes::sk}, {"d", &Sizes::d},
        {"dv", &Sizes::dv}};
    for (auto [name, member] : kNames)
      if (name == word)
        return sizes ? sizes->*member : 1;
    return fail("one of b, hq, hkv, sq, sk, d, dv, ceildiv, floordiv, min, "
                "max");
  }

  std::string_view text;
  const Sizes *sizes;
  size_t at = 0;
  int depth = 0;
  std::optional<Error> error;
};

} // namespace

Result<int64_t> flash::runtime::evaluateExpression(std::string_view text,
                                                   const Sizes &sizes) {
  return Evaluator(text, &sizes).run();
}

Status flash::runtime::verifyExpression(std::string_view text) {
  Result<int64_t> value = Evaluator(text, nullptr).run();
  if (!value)
    return value.error();
  return Success{};
}

//===- MaskAnalysisRandomTest.cpp - Random masks --------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MaskAnalysisFixture.h"

#include <random>

using namespace mlir;
using namespace mlir::flash;
using namespace mlir::flash::test;

namespace {

/// A conjunction of inequalities c[0] q + c[1] k + c[2] >= 0.
struct Conjunction {
  std::vector<std::array<int, 3>> rows;

  bool operator()(int64_t q, int64_t k) const {
    return llvm::all_of(rows, [&](const std::array<int, 3> &row) {
      return row[0] * q + row[1] * k + row[2] >= 0;
    });
  }

  std::string text() const {
    std::string body = "%t0 = arith.constant true\n"
                       "%zero = arith.constant 0 : index\n";
    for (auto [i, row] : llvm::enumerate(rows)) {
      std::string n = std::to_string(i);
      body += "%cq" + n + " = arith.constant " + std::to_string(row[0]) +
              " : index\n%ck" + n + " = arith.constant " +
              std::to_string(row[1]) + " : index\n%cc" + n +
              " = arith.constant " + std::to_string(row[2]) + " : index\n%q" +
              n + " = arith.muli %q, %cq" + n + " : index\n%k" + n +
              " = arith.muli %ck" + n + ", %k : index\n%s" + n +
              " = arith.addi %q" + n + ", %k" + n + " : index\n%u" + n +
              " = arith.addi %s" + n + ", %cc" + n + " : index\n%x" + n +
              " = arith.cmpi sge, %u" + n + ", %zero : index\n%t" +
              std::to_string(i + 1) + " = arith.andi %t" + n + ", %x" + n +
              " : i1\n";
    }
    return body + "%tt = arith.constant true\n%r = arith.andi %t" +
           std::to_string(rows.size()) + ", %tt : i1\n";
  }
};

class MaskAnalysisRandomTest : public MaskAnalysisTest {
protected:
  /// Checks every tile of 8 queries by 4 keys, of static and dynamic sizes.
  void checkSizes(const Conjunction &conjunction, bool tight) {
    Region &mask = parse(conjunction.text());
    for (int64_t sq : {1, 11, 24})
      for (int64_t sk : {2, 16, 29})
        for (bool isStatic : {false, true})
          check(
              mask, {sq, sk, 8, 4},
              [&](int64_t q, int64_t k, int64_t, int64_t) {
                return conjunction(q, k);
              },
              tight, isStatic);
  }
};

} // namespace

TEST_F(MaskAnalysisRandomTest, Conjunctions) {
  std::mt19937 random(7);
  auto draw = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  for (int round = 0; round < 60; ++round) {
    Conjunction conjunction;
    int count = draw(1, 3);
    for (int i = 0; i < count; ++i)
      conjunction.rows.push_back({draw(-3, 3), draw(-3, 3), draw(-20, 30)});
    checkSizes(conjunction, /*tight=*/false);
    if (HasFatalFailure())
      return;
  }
  // With factors of 2 and 3 a rational point need not have an integer near by.
  // Where a remark says so, few tiles are visited in vain, and none is masked
  // in vain; all others are exact, which is checked tile by tile.
  EXPECT_LE(deadVisited * 100, examined);
  EXPECT_EQ(fullMasked, 0);
  EXPECT_LE(inexact * 2, analyses) << analyses;
}

// Of differences of q and k, and of bounds of either, every tile is known
// exactly: their polyhedra have integer corners.
TEST_F(MaskAnalysisRandomTest, DifferencesAreTight) {
  std::mt19937 random(11);
  auto draw = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  constexpr std::array<std::array<int, 2>, 6> factors = {
      {{1, -1}, {-1, 1}, {0, 1}, {0, -1}, {1, 0}, {-1, 0}}};
  for (int round = 0; round < 60; ++round) {
    Conjunction conjunction;
    int count = draw(1, 4);
    for (int i = 0; i < count; ++i) {
      auto [q, k] = factors[draw(0, 5)];
      conjunction.rows.push_back({q, k, draw(-20, 30)});
    }
    checkSizes(conjunction, /*tight=*/true);
    if (HasFatalFailure())
      return;
  }
}

namespace {

/// A random condition over q, k, the alignment and %c, as text and as function.
class RandomMask {
public:
  explicit RandomMask(unsigned seed) : random(seed) {}

  std::string body;
  Predicate generate() {
    auto [name, predicate] = condition(3);
    body += "%true_ = arith.constant true\n%r = arith.andi " + name +
            ", %true_ : i1\n";
    return predicate;
  }

private:
  using Number = std::function<int64_t(int64_t, int64_t, int64_t, int64_t)>;

  int64_t draw(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  }
  std::string op(const std::string &text) {
    std::string name = "%x" + std::to_string(++count);
    body += name + " = " + text + "\n";
    return name;
  }
  std::string literal(int64_t value) {
    return op("arith.constant " + std::to_string(value) + " : index");
  }
  static int64_t floorDiv(int64_t a, int64_t b) {
    return a / b - (a % b < 0 ? 1 : 0);
  }

  std::pair<std::string, Number> number(int depth) {
    switch (draw(0, depth > 0 ? 9 : 4)) {
    case 0:
      return {"%q", [](int64_t q, auto...) { return q; }};
    case 1:
      return {"%k", [](int64_t, int64_t k, auto...) { return k; }};
    case 2: {
      std::string a = op("flash.alignment : index");
      return {op("arith.addi %q, " + a + " : index"),
              [](int64_t q, int64_t, int64_t a, int64_t) { return q + a; }};
    }
    case 3:
      return {"%c", [](int64_t, int64_t, int64_t, int64_t c) { return c; }};
    case 4: {
      int64_t value = draw(-10, 30);
      return {literal(value), [=](auto...) { return value; }};
    }
    case 5:
    case 6: {
      auto [left, f] = number(depth - 1);
      auto [right, g] = number(depth - 1);
      int64_t factor = draw(-2, 2);
      right = op("arith.muli " + right + ", " + literal(factor) + " : index");
      return {op("arith.addi " + left + ", " + right + " : index"),
              [=](int64_t q, int64_t k, int64_t a, int64_t c) {
                return f(q, k, a, c) + factor * g(q, k, a, c);
              }};
    }
    case 7: {
      auto [left, f] = number(depth - 1);
      int64_t by = draw(1, 12), kind = draw(0, 2);
      static constexpr const char *names[] = {"floordivsi", "remsi", "divsi"};
      return {
          op(std::string("arith.") + names[kind] + " " + left + ", " +
             literal(by) + " : index"),
          [=](int64_t q, int64_t k, int64_t a, int64_t c) {
            int64_t n = f(q, k, a, c);
            return kind == 0 ? floorDiv(n, by) : kind == 1 ? n % by : n / by;
          }};
    }
    case 8: {
      auto [left, f] = number(depth - 1);
      auto [right, g] = number(depth - 1);
      bool isMax = draw(0, 1);
      return {op((isMax ? "arith.maxsi " : "arith.minsi ") + left + ", " +
                 right + " : index"),
              [=](int64_t q, int64_t k, int64_t a, int64_t c) {
                int64_t m = f(q, k, a, c), n = g(q, k, a, c);
                return isMax ? std::max(m, n) : std::min(m, n);
              }};
    }
    default: {
      auto [choice, p] = condition(0);
      auto [left, f] = number(depth - 1);
      auto [right, g] = number(depth - 1);
      return {op("arith.select " + choice + ", " + left + ", " + right +
                 " : index"),
              [=](int64_t q, int64_t k, int64_t a, int64_t c) {
                return p(q, k, a, c) ? f(q, k, a, c) : g(q, k, a, c);
              }};
    }
    }
  }

  std::pair<std::string, Predicate> condition(int depth) {
    int64_t kind = depth > 0 ? draw(0, 6) : 0;
    if (kind <= 1) {
      static constexpr const char *names[] = {"sle", "slt", "sge", "sgt",
                                              "eq",  "ne",  "ult", "uge"};
      auto [left, f] = number(depth > 0 ? 2 : 1);
      auto [right, g] = number(1);
      int64_t predicate = draw(0, 7);
      return {
          op(std::string("arith.cmpi ") + names[predicate] + ", " + left +
             ", " + right + " : index"),
          [=](int64_t q, int64_t k, int64_t a, int64_t c) {
            int64_t m = f(q, k, a, c), n = g(q, k, a, c);
            bool results[] = {
                m <= n, m<n, m >= n, m> n,         m == n,
                m != n, uint64_t(m) < uint64_t(n), uint64_t(m) >= uint64_t(n)};
            return results[predicate];
          }};
    }
    auto [left, f] = condition(depth - 1);
    if (kind == 2) {
      std::string one = op("arith.constant true");
      return {op("arith.xori " + left + ", " + one + " : i1"),
              [=](auto... at) { return !f(at...); }};
    }
    auto [right, g] = condition(depth - 1);
    if (kind == 3) {
      auto [last, h] = condition(0);
      return {op("arith.select " + left + ", " + right + ", " + last + " : i1"),
              [=](auto... at) { return f(at...) ? g(at...) : h(at...); }};
    }
    if (kind == 4)
      return {op("arith.xori " + left + ", " + right + " : i1"),
              [=](auto... at) { return f(at...) != g(at...); }};
    bool isAnd = kind == 5;
    return {op((isAnd ? "arith.andi " : "arith.ori ") + left + ", " + right +
               " : i1"),
            [=](auto... at) {
              return isAnd ? f(at...) && g(at...) : f(at...) || g(at...);
            }};
  }

  std::mt19937 random;
  int count = 0;
};

} // namespace

TEST_F(MaskAnalysisTest, RandomConditions) {
  for (unsigned seed = 0; seed < 160; ++seed) {
    RandomMask mask(seed);
    Predicate predicate = mask.generate();
    Region &region = parse(mask.body);
    for (int64_t sq : {1, 11, 24})
      for (int64_t sk : {2, 16, 29})
        check(region, {sq, sk, 8, 4}, predicate, /*tight=*/false,
              /*isStatic=*/seed % 2 == 0, std::nullopt,
              /*capture=*/int64_t(seed % 23) - 5);
    ASSERT_FALSE(HasFatalFailure()) << "seed " << seed << "\n" << mask.body;
  }
  // Exact ones were compared tile by tile; they are no small part.
  EXPECT_LE(inexact * 4, analyses * 3) << inexact << " of " << analyses;
}

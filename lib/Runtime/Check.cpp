//===- Check.cpp - The tolerance contract ---------------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Runtime/Check.h"

#include <cmath>
#include <cstdio>
#include <limits>

using namespace flash::runtime;

namespace {

std::string number(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof(buffer), "%.6g", value);
  return buffer;
}

/// Failures of one kind: the worst one and how many there are.
struct Failures {
  int64_t count = 0;
  double worst = -1;
  std::string text;

  /// `describe` is only called for a failure worse than all before it: a
  /// kernel that writes nothing fails at every element.
  template <typename Fn> void add(double severity, Fn &&describe) {
    ++count;
    // NaN is as bad as it gets and the first one found is named.
    if (std::isnan(severity))
      severity = std::numeric_limits<double>::infinity();
    if (severity > worst) {
      worst = severity;
      text = describe();
    }
  }

  void report(CheckReport &report, const std::string &what,
              const std::string &unit) const {
    if (count == 0)
      return;
    report.pass = false;
    report.errors.push_back(what + ": " + text + " (" + std::to_string(count) +
                            " " + unit + (count == 1 ? "" : "s") + " in all)");
  }
};

/// Greater, where a NaN beats every number and stays.
void raise(double &maximum, double value) {
  if (std::isnan(value) || value > maximum)
    maximum = std::isnan(maximum) ? maximum : value;
}

class Checker {
public:
  Checker(const StridedArray &o, const StridedArray &lse,
          const ReferenceResult &reference, const ReferenceResult &low,
          DType dtype)
      : o(o), lse(lse), reference(reference), low(low), sizes(reference.sizes) {
    report.rowTolerance = rowTolerance(dtype);
  }

  CheckReport run() {
    if (!verifyShapes())
      return report;
    computeTolerance();
    for (int64_t b = 0, row = 0; b < sizes.b; ++b)
      for (int64_t h = 0; h < sizes.hq; ++h)
        for (int64_t q = 0; q < sizes.sq; ++q, ++row)
          checkRow(b, h, q, row);
    nonFinite.report(report, "output not finite", "element");
    deadRows.report(report, "dead row", "row");
    if (!(report.maxAbsErr <= report.tolerance)) {
      report.pass = false;
      if (std::isfinite(report.maxAbsErr))
        report.errors.push_back("global bound: " + worstElement +
                                ", tolerance " + number(report.tolerance));
    }
    rows.report(report, "row bound", "row");
    lseFailures.report(report, "lse", "row");
    return report;
  }

private:
  bool verifyShapes() {
    auto verify = [&](const StridedArray &array, std::vector<int64_t> expected,
                      const char *what) {
      if (array.shape == expected)
        return true;
      report.pass = false;
      report.errors.push_back(std::string(what) +
                              ": shape differs from the reference's");
      return false;
    };
    return verify(o, {sizes.b, sizes.hq, sizes.sq, sizes.dv}, "o") &&
           verify(lse, {sizes.b, sizes.hq, sizes.sq}, "lse");
  }

  void computeTolerance() {
    double lowError = 0, resolution = 0;
    for (size_t i = 0; i < reference.o.size(); ++i) {
      double ref = reference.o[i];
      if (!std::isfinite(ref))
        continue;
      lowError = std::max(lowError, std::fabs(low.o[i] - ref));
      double there = roundTo(o.dtype, ref + 0.3);
      double back = roundTo(o.dtype, there - 0.3);
      resolution = std::max(resolution, std::fabs(back - ref));
    }
    report.tolerance = 2 * lowError + 2 * resolution;
    if (o.dtype == DType::F32)
      report.tolerance += std::ldexp(reference.largestValue, -21);
  }

  static std::string place(int64_t b, int64_t h, int64_t q) {
    return "(b,h,q) = (" + std::to_string(b) + "," + std::to_string(h) + "," +
           std::to_string(q) + ")";
  }

  void checkRow(int64_t b, int64_t h, int64_t q, int64_t row) {
    const double *ref = reference.o.data() + row * sizes.dv;
    double refLse = reference.lse[size_t(row)];
    bool dead = std::isinf(refLse) && refLse < 0;
    double errorSquares = 0, refSquares = 0;
    int64_t nonZero = -1;
    for (int64_t d = 0; d < sizes.dv; ++d) {
      double got = o.get(std::array{b, h, q, d});
      auto describe = [&] {
        return place(b, h, q) + " d = " + std::to_string(d) + ": expected " +
               number(ref[d]) + ", got " + number(got);
      };
      // Where the reference itself is NaN or infinite (inputs were), the
      // output must be the same.
      if (!std::isfinite(ref[d])) {
        if (!(std::isnan(ref[d]) ? std::isnan(got) : got == ref[d]))
          nonFinite.add(0, describe);
        continue;
      }
      double error = std::fabs(got - ref[d]);
      if (!std::isfinite(got))
        nonFinite.add(0, describe);
      if (dead && got != 0 && nonZero < 0)
        nonZero = d;
      if (error > report.maxAbsErr)
        worstElement = describe() + ", error " + number(error);
      raise(report.maxAbsErr, error);
      errorSquares += error * error;
      refSquares += ref[d] * ref[d];
    }
    checkRowNorm(b, h, q, std::sqrt(errorSquares), std::sqrt(refSquares));
    double gotLse = lse.get(std::array{b, h, q});
    if (dead)
      checkDeadRow(b, h, q, nonZero, gotLse);
    else
      checkLse(b, h, q, refLse, gotLse);
  }

  void checkRowNorm(int64_t b, int64_t h, int64_t q, double error,
                    double norm) {
    double floor = std::ldexp(std::sqrt(double(sizes.dv)), -24);
    if (error <= floor)
      return;
    double relative = error / norm;
    raise(report.maxRowRelErr, relative);
    if (!(relative <= report.rowTolerance))
      rows.add(relative, [&] {
        return place(b, h, q) +
               ": ||o - ref|| / ||ref|| = " + number(relative) + ", at most " +
               number(report.rowTolerance) + " expected";
      });
  }

  void checkDeadRow(int64_t b, int64_t h, int64_t q, int64_t nonZero,
                    double gotLse) {
    bool lseIsRight = std::isinf(gotLse) && gotLse < 0;
    if (nonZero >= 0)
      deadRows.add(0, [&] {
        return place(b, h, q) + ": expected o = 0, got " +
               number(o.get(std::array{b, h, q, nonZero})) +
               " at d = " + std::to_string(nonZero);
      });
    else if (!lseIsRight)
      deadRows.add(0, [&] {
        return place(b, h, q) + ": expected lse = -inf, got " + number(gotLse);
      });
    if (!lseIsRight)
      raise(report.lseMaxAbsErr, std::isnan(gotLse)
                                     ? gotLse
                                     : std::numeric_limits<double>::infinity());
  }

  void checkLse(int64_t b, int64_t h, int64_t q, double ref, double got) {
    bool same = std::isnan(ref) ? std::isnan(got) : got == ref;
    double error = same ? 0 : std::fabs(got - ref);
    raise(report.lseMaxAbsErr, error);
    if (!(error <= kLseTolerance))
      lseFailures.add(error, [&] {
        return place(b, h, q) + ": expected " + number(ref) + ", got " +
               number(got) + ", at most " + number(kLseTolerance) +
               " apart expected";
      });
  }

  const StridedArray &o, &lse;
  const ReferenceResult &reference, &low;
  const Sizes sizes;
  CheckReport report;
  Failures nonFinite, deadRows, rows, lseFailures;
  std::string worstElement;
};

} // namespace

double flash::runtime::rowTolerance(DType dtype) {
  switch (dtype) {
  case DType::BF16:
    return 0.01;
  case DType::F16:
  case DType::TF32:
    return 0.002;
  case DType::E4M3:
    return 0.06;
  case DType::E5M2:
    return 0.12;
  default:
    return 1e-5;
  }
}

CheckReport flash::runtime::checkAttention(const StridedArray &o,
                                           const StridedArray &lse,
                                           const ReferenceResult &reference,
                                           const ReferenceResult &low,
                                           DType dtype) {
  return Checker(o, lse, reference, low, dtype).run();
}

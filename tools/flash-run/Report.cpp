//===- Report.cpp - What flash-run says -----------------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Report.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"

#include <cmath>

using namespace flash::run;
using namespace flash::runtime;

namespace {

/// JSON has no infinities and no NaN.
llvm::json::Value number(double value) {
  if (std::isnan(value))
    return "nan";
  if (std::isinf(value))
    return value < 0 ? "-inf" : "inf";
  return value;
}

llvm::json::Value checked(const Report &report, double CheckReport::*member) {
  if (!report.check)
    return nullptr;
  return number((*report.check).*member);
}

llvm::json::Value counters(const Report &report) {
  if (!report.run || report.run->jsonMembers.empty())
    return llvm::json::Object();
  llvm::Expected<llvm::json::Value> parsed =
      llvm::json::parse("{" + report.run->jsonMembers + "}");
  if (!parsed) {
    llvm::consumeError(parsed.takeError());
    return llvm::json::Object();
  }
  llvm::json::Object *object = parsed->getAsObject();
  llvm::json::Value *member = object ? object->get("counters") : nullptr;
  return member ? std::move(*member) : llvm::json::Object();
}

} // namespace

void flash::run::printJson(const Report &report, const Options &options,
                           llvm::raw_ostream &os) {
  llvm::json::Array errors;
  for (const std::string &error : report.errors)
    errors.push_back(llvm::json::fixUTF8(error));
  llvm::json::Object object{
      {"pass", report.pass},
      {"max_abs_err", checked(report, &CheckReport::maxAbsErr)},
      {"tolerance", checked(report, &CheckReport::tolerance)},
      {"max_row_rel_err", checked(report, &CheckReport::maxRowRelErr)},
      {"row_tolerance", checked(report, &CheckReport::rowTolerance)},
      {"lse_max_abs_err",
       report.hasLse ? checked(report, &CheckReport::lseMaxAbsErr) : nullptr},
      {"races", report.run ? report.run->races : 0},
      {"deadlock", report.run && report.run->deadlock},
      {"errors", std::move(errors)},
      {"counters", counters(report)},
      {"attention", report.attention},
      {"device", report.device}};
  if (options.bench && report.run) {
    object["seconds"] = report.run->seconds;
    object["warp_instructions"] = int64_t(report.run->instructions);
  }
  if (report.run && !report.run->board.empty())
    object["board"] = report.run->board;
  if (report.run && report.run->timing) {
    const Timing &timing = *report.run->timing;
    object["median_ms"] = timing.median;
    object["min_ms"] = timing.minimum;
    object["tflops"] = timing.teraflops;
    object["emulated"] = timing.emulated;
  }
  os << llvm::formatv("{0:2}", llvm::json::Value(std::move(object))) << "\n";
}

void flash::run::printText(const Report &report, const Options &options,
                           llvm::raw_ostream &os, llvm::raw_ostream &errs) {
  if (!report.attention.empty())
    os << "attention  " << report.attention << "\n"
       << "device     " << report.device << "\n";
  if (report.run && !report.run->board.empty())
    os << "board      " << report.run->board << "\n";
  if (report.run && report.run->timing) {
    const Timing &timing = *report.run->timing;
    os << "time       "
       << llvm::format("%.4f ms median, %.4f ms minimum of %u calls, "
                       "%.2f TFLOP/s%s\n",
                       timing.median, timing.minimum, timing.repeats,
                       timing.teraflops,
                       timing.emulated ? " (emulated: not a GPU's)" : "");
  } else if (report.run && options.bench) {
    os << "time       " << llvm::format("%.3f s", report.run->seconds);
    if (report.run->instructions > 0)
      os << ", " << report.run->instructions << " warp instructions, "
         << llvm::format("%.1f M/s", double(report.run->instructions) /
                                         report.run->seconds / 1e6);
    os << "\n";
  }
  if (report.run && options.counters)
    os << "counters   " << llvm::formatv("{0:2}", counters(report)) << "\n";
  if (report.check) {
    const CheckReport &check = *report.check;
    os << "check      " << (report.pass ? "pass" : "fail") << "\n"
       << llvm::format("  max |o - ref|            %.3g, at most %.3g\n",
                       check.maxAbsErr, check.tolerance)
       << llvm::format("  max ||o - ref|| / ||ref|| %.3g, at most %.3g\n",
                       check.maxRowRelErr, check.rowTolerance);
    if (report.hasLse)
      os << llvm::format("  max |lse - ref|          %.3g, at most %.3g\n",
                         check.lseMaxAbsErr, kLseTolerance);
  }
  os.flush();
  // What has a location of its own is printed as compilers do.
  for (const std::string &error : report.errors)
    errs << (llvm::StringRef(error).contains(": error: ")
                 ? ""
                 : "flash-run: error: ")
         << error << "\n";
}

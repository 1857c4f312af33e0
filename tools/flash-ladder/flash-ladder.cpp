//===- flash-ladder.cpp - All levels of one attention, compared -----------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Problem -> per level: kernel, slice on the emulator, model -> table, JSON,
// picture.
//
//===----------------------------------------------------------------------===//

#include "Report.h"

#include "flash/Pipelines/Compile.h"
#include "flash/Target/ChipInfo.h"

#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/InitLLVM.h"

using namespace flash;
using namespace flash::ladder;
using namespace flash::runtime;

namespace {

namespace cl = llvm::cl;
cl::OptionCategory category("flash-ladder options");
cl::opt<std::string>
    attention("attention", cl::value_desc("SPEC"), cl::cat(category),
              cl::init("hq=32,sq=4096,sk=4096,d=128,dtype=bf16"),
              cl::desc("the attention; every size static"));
cl::opt<std::string> chip("chip", cl::init("sm_80"), cl::cat(category),
                          cl::desc("a chip with a lowering and a cost model"));
cl::opt<std::string> levelsText("levels", cl::init("0-9"), cl::cat(category),
                                cl::value_desc("N,N-M,..."),
                                cl::desc("levels to compare"));
cl::opt<std::string> schedule("schedule", cl::value_desc("k=v,..."),
                              cl::cat(category),
                              cl::desc("overrides for every level"));
cl::opt<std::string> execute("execute", cl::init("slice"), cl::cat(category),
                             cl::value_desc("slice|grid"),
                             cl::desc("run CTAs that stand for the others, or "
                                      "all"));
cl::opt<unsigned> maxTiles("max-tiles", cl::init(16), cl::cat(category),
                           cl::desc("most tiles of queries to execute under a "
                                    "mask"));
cl::opt<std::string> jsonPath("json", cl::value_desc("PATH"), cl::cat(category),
                              cl::desc("write everything as JSON"));
cl::opt<std::string> svgPath("svg", cl::value_desc("PATH"), cl::cat(category),
                             cl::desc("draw energy over time"));
cl::opt<std::string> markdownPath("markdown", cl::value_desc("PATH"),
                                  cl::cat(category),
                                  cl::desc("write the table as Markdown"));
cl::opt<std::string> measured("measured", cl::value_desc("FILE.json"),
                              cl::cat(category),
                              cl::desc("times and energies that python -m "
                                       "flash.bench measured, shown instead of "
                                       "modelled ones"));
cl::opt<std::string> device("device", cl::init("none"), cl::cat(category),
                            cl::value_desc("none|cuda"),
                            cl::desc("time the levels on the GPU at hand"));
cl::opt<bool> withoutPtxas("without-ptxas", cl::cat(category),
                           cl::desc("leave out what ptxas has a part in"));

int refuse(const llvm::Twine &message) {
  llvm::errs() << "flash-ladder: error: " << message << "\n";
  return 1;
}

/// Reads "0-9" or "5,7-9"; empty if it is malformed.
std::vector<unsigned> parseLevels(llvm::StringRef text) {
  std::vector<unsigned> numbers;
  llvm::SmallVector<llvm::StringRef> parts;
  text.split(parts, ',');
  for (llvm::StringRef part : parts) {
    auto [first, last] = part.split('-');
    unsigned from = 0, to = 0;
    if (first.getAsInteger(10, from))
      return {};
    to = from;
    if (part.contains('-') && last.getAsInteger(10, to))
      return {};
    if (to < from || to > 12)
      return {};
    for (unsigned number = from; number <= to; ++number)
      if (!llvm::is_contained(numbers, number))
        numbers.push_back(number);
  }
  return numbers;
}

/// Checks the command line; returns what is wrong with it.
std::string makeProblem(Problem &problem) {
  Result<AttentionSpec> spec = AttentionSpec::parse(attention.getValue());
  if (!spec)
    return "--attention: " + spec.error().str();
  problem.spec = *spec;
  if (spec->isDynamic())
    return "--attention: expected static sizes, got '?'";
  Result<Sizes> sizes = spec->resolveSizes("");
  if (!sizes)
    return "--attention: " + sizes.error().str();
  problem.sizes = *sizes;
  const ChipInfo *info = findChip(chip.getValue());
  if (!info || !info->lowered || !findRates(chip.getValue())) {
    std::string known;
    for (const ChipInfo &other : kChips)
      if (other.lowered && findRates(other.name))
        known += " " + std::string(other.name);
    return "--chip: expected one of" + known + ", got '" + chip + "'";
  }
  problem.chip = chip;
  if (std::optional<std::string> message = mlir::flash::checkSchedule(schedule))
    return "--schedule: " + *message;
  problem.schedule = schedule;
  if (execute != "slice" && execute != "grid")
    return "--execute: expected slice or grid, got '" + execute + "'";
  if (device != "none" && device != "cuda")
    return "--device: expected none or cuda, got '" + device + "'";
  if (device == "cuda" && !measured.empty())
    return "--measured: expected no --device=cuda beside it";
  if (maxTiles == 0)
    return "--max-tiles: expected 1 or more, got 0";
  problem.slice.chip = chip;
  problem.slice.wholeGrid = execute == "grid";
  problem.slice.maxTiles = maxTiles;
  problem.livePairs = livePairs(problem.spec, problem.sizes);
  return "";
}

/// Writes one output; returns what went wrong.
std::string write(llvm::StringRef path,
                  llvm::function_ref<void(llvm::raw_ostream &)> print) {
  llvm::Error error =
      llvm::writeToOutput(path, [&](llvm::raw_ostream &os) -> llvm::Error {
        print(os);
        return llvm::Error::success();
      });
  if (error)
    return "cannot write '" + path.str() +
           "': " + llvm::toString(std::move(error));
  return "";
}

} // namespace

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  cl::HideUnrelatedOptions(category);
  cl::ParseCommandLineOptions(
      argc, argv,
      "Flash: what each level of the optimisation ladder does and costs\n");
  Problem problem;
  if (std::string message = makeProblem(problem); !message.empty())
    return refuse(message);
  std::vector<unsigned> numbers = parseLevels(levelsText);
  if (numbers.empty())
    return refuse("--levels: expected levels and ranges of 0 to 12 such as "
                  "0-9 or 5,7-9, got '" +
                  levelsText + "'");
  std::vector<Level> levels;
  for (unsigned number : numbers)
    levels.push_back(runLevel(problem, number));
  if (device == "cuda")
    if (std::string message = measureOnCuda(problem, levels); !message.empty())
      return refuse(message);
  if (!measured.empty())
    if (std::string message = readMeasured(measured, problem, levels);
        !message.empty())
      return refuse(message);

  llvm::outs() << problem.spec.toString() << ", " << problem.chip << "\n\n";
  printTable(problem, levels, TableStyle::Text, withoutPtxas, llvm::outs());
  std::vector<std::string> failures;
  if (!jsonPath.empty())
    failures.push_back(write(jsonPath, [&](llvm::raw_ostream &os) {
      printJson(problem, levels, os);
    }));
  if (!svgPath.empty())
    failures.push_back(write(svgPath, [&](llvm::raw_ostream &os) {
      printSvg(problem, levels, os);
    }));
  if (!markdownPath.empty())
    failures.push_back(write(markdownPath, [&](llvm::raw_ostream &os) {
      printTable(problem, levels, TableStyle::Markdown, withoutPtxas, os);
    }));
  for (const std::string &failure : failures)
    if (!failure.empty())
      return refuse(failure);
  bool wrong = false, any = false;
  for (const Level &level : levels) {
    wrong |= !level.slice.errors.empty();
    any |= level.ran();
  }
  if (wrong)
    return refuse("a level computes wrong results");
  if (!any)
    return refuse("no level has a kernel for this problem");
  return 0;
}

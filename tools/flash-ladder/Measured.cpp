//===- Measured.cpp - Time and energy of levels, and their front ----------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Report.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace flash::ladder;

double flash::ladder::timeOf(const Level &level) {
  return level.measured ? level.measured->milliseconds
                        : level.cost.seconds * 1e3;
}

double flash::ladder::energyOf(const Level &level) {
  if (level.measured)
    return level.measured->joules.value_or(0) * 1e3;
  return level.cost.joules * 1e3;
}

bool flash::ladder::isMeasured(const std::vector<Level> &levels) {
  return llvm::any_of(
      levels, [](const Level &level) { return level.measured.has_value(); });
}

std::vector<const Level *>
flash::ladder::paretoFront(const std::vector<Level> &levels) {
  std::vector<const Level *> front;
  for (const Level &level : levels)
    if (level.ran() && energyOf(level) > 0)
      front.push_back(&level);
  llvm::sort(front, [](const Level *a, const Level *b) {
    return std::pair(timeOf(*a), energyOf(*a)) <
           std::pair(timeOf(*b), energyOf(*b));
  });
  double least = 0;
  llvm::erase_if(front, [&](const Level *level) {
    bool beaten = least > 0 && energyOf(*level) >= least;
    if (!beaten)
      least = energyOf(*level);
    return beaten;
  });
  return front;
}

namespace {

/// Whether an entry that names its problem names this one; the entry's sizes
/// stand for what its SPEC leaves open.
bool concerns(const llvm::json::Object &kernel, const Problem &problem) {
  std::optional<llvm::StringRef> text = kernel.getString("spec");
  if (!text)
    return true;
  auto spec = flash::runtime::AttentionSpec::parse(text->str());
  if (!spec)
    return false;
  const std::pair<const char *, int64_t *> open[] = {{"b", &spec->b},
                                                     {"hq", &spec->hq},
                                                     {"hkv", &spec->hkv},
                                                     {"sq", &spec->sq},
                                                     {"sk", &spec->sk}};
  const llvm::json::Object *sizes = kernel.getObject("sizes");
  for (auto [name, field] : open)
    if (std::optional<int64_t> size =
            sizes ? sizes->getInteger(name) : std::nullopt)
      *field = *size;
  // The LSE is a matter of the launch, not of the problem.
  spec->lse = problem.spec.lse;
  return *spec == problem.spec;
}

} // namespace

std::string flash::ladder::readMeasured(llvm::StringRef path,
                                        const Problem &problem,
                                        std::vector<Level> &levels) {
  std::string where = "--measured: '" + path.str() + "': ";
  auto buffer = llvm::MemoryBuffer::getFile(path);
  if (!buffer)
    return where + buffer.getError().message();
  llvm::Expected<llvm::json::Value> value =
      llvm::json::parse((*buffer)->getBuffer());
  if (!value)
    return where + llvm::toString(value.takeError());
  const llvm::json::Object *object = value->getAsObject();
  const llvm::json::Array *kernels =
      object ? object->getArray("kernels") : nullptr;
  std::optional<llvm::StringRef> board =
      object ? object->getString("board") : std::nullopt;
  if (!kernels || !board)
    return where + "expected an object with a string 'board' and an array "
                   "'kernels'";
  for (const llvm::json::Value &entry : *kernels) {
    const llvm::json::Object *kernel = entry.getAsObject();
    if (kernel && !concerns(*kernel, problem))
      continue;
    std::optional<int64_t> number =
        kernel ? kernel->getInteger("level") : std::nullopt;
    std::optional<double> median =
        kernel ? kernel->getNumber("median_ms") : std::nullopt;
    if (!number || !median || *median <= 0)
      return where + "kernels: expected objects with an integer 'level' and a "
                     "positive 'median_ms'";
    for (Level &level : levels)
      if (level.number == uint64_t(*number))
        level.measured =
            Measured{board->str(), *median, kernel->getNumber("energy_j")};
  }
  for (const Level &level : levels)
    if (level.ran() && !level.measured)
      return where + "kernels: expected " + problem.spec.toString() +
             " at every level that is shown, got none at level " +
             std::to_string(level.number);
  return "";
}

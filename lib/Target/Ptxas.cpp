//===- Ptxas.cpp - What ptxas says of a kernel ----------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Target/Ptxas.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"

namespace flash {
namespace {

/// The number in front of `unit` in `line`, or 0.
unsigned numberBefore(llvm::StringRef line, llvm::StringRef unit) {
  size_t at = line.find(unit);
  if (at == llvm::StringRef::npos)
    return 0;
  llvm::StringRef head = line.take_front(at).rtrim();
  head =
      head.take_back(head.size() - (head.find_last_not_of("0123456789") + 1));
  unsigned value = 0;
  return head.getAsInteger(10, value) ? 0 : value;
}

PtxasReport parseReport(llvm::StringRef text) {
  PtxasReport report;
  llvm::SmallVector<llvm::StringRef> lines;
  text.split(lines, '\n');
  for (llvm::StringRef line : lines) {
    if (line.contains("stack frame")) {
      report.stackBytes += numberBefore(line, " bytes stack frame");
      report.spillStoreBytes += numberBefore(line, " bytes spill stores");
      report.spillLoadBytes += numberBefore(line, " bytes spill loads");
    } else if (line.contains("Used ")) {
      report.registers =
          std::max(report.registers, numberBefore(line, " registers"));
    } else if (line.contains("warning")) {
      report.warnings.push_back(line.trim().str());
    }
  }
  return report;
}

} // namespace

std::optional<std::string> findPtxas() {
  std::vector<std::string> directories;
  if (std::optional<std::string> home = llvm::sys::Process::GetEnv("CUDA_HOME"))
    directories.push_back(*home + "/bin");
  for (const std::string &directory : directories)
    if (llvm::sys::fs::can_execute(directory + "/ptxas"))
      return directory + "/ptxas";
  if (llvm::ErrorOr<std::string> found = llvm::sys::findProgramByName("ptxas"))
    return *found;
  if (llvm::sys::fs::can_execute("/usr/local/cuda/bin/ptxas"))
    return std::string("/usr/local/cuda/bin/ptxas");
  return std::nullopt;
}

std::string ptxasVersion(const std::string &ptxas) {
  llvm::SmallString<128> log;
  if (llvm::sys::fs::createTemporaryFile("flashc", "log", log))
    return "unknown";
  llvm::FileRemover remover(log);
  std::optional<llvm::StringRef> redirects[] = {
      std::nullopt, llvm::StringRef(log), llvm::StringRef(log)};
  int code = llvm::sys::ExecuteAndWait(ptxas, {ptxas, "--version"},
                                       std::nullopt, redirects,
                                       /*SecondsToWait=*/30);
  auto text = llvm::MemoryBuffer::getFile(log);
  if (code != 0 || !text)
    return "unknown";
  // "Cuda compilation tools, release 13.0, V13.0.88"
  llvm::StringRef version = (*text)->getBuffer().split(", V").second;
  version =
      version.take_while([](char c) { return c == '.' || llvm::isDigit(c); });
  return version.empty() ? "unknown" : version.str();
}

llvm::Expected<PtxasReport> runPtxas(const std::string &ptxas,
                                     const std::string &ptx,
                                     const std::string &chip,
                                     std::string *cubin) {
  llvm::SmallString<128> directory;
  if (std::error_code error =
          llvm::sys::fs::createUniqueDirectory("flashc", directory))
    return llvm::createStringError(error, "temporary directory: cannot create");
  std::string base = directory.str().str();
  std::string input = base + "/kernel.ptx", output = base + "/kernel.cubin",
              log = base + "/log";
  std::vector<std::string> paths = {input, output, log, base};
  struct Cleanup {
    std::vector<std::string> &paths;
    ~Cleanup() {
      for (const std::string &path : paths)
        llvm::sys::fs::remove(path);
    }
  } cleanup{paths};

  if (llvm::Error error =
          llvm::writeToOutput(input, [&](llvm::raw_ostream &os) -> llvm::Error {
            os << ptx;
            return llvm::Error::success();
          }))
    return std::move(error);
  std::string arch = "-arch=" + chip;
  llvm::StringRef arguments[] = {ptxas, "-v", arch, input, "-o", output};
  std::optional<llvm::StringRef> redirects[] = {
      std::nullopt, llvm::StringRef(log), llvm::StringRef(log)};
  std::string message;
  int code = llvm::sys::ExecuteAndWait(ptxas, arguments, std::nullopt,
                                       redirects, /*SecondsToWait=*/120,
                                       /*MemoryLimit=*/0, &message);
  auto text = llvm::MemoryBuffer::getFile(log);
  std::string words = text ? (*text)->getBuffer().str() : message;
  if (code != 0)
    return llvm::createStringError(llvm::inconvertibleErrorCode(),
                                   "ptxas: " + words);
  if (cubin) {
    auto binary = llvm::MemoryBuffer::getFile(output);
    if (!binary)
      return llvm::createStringError(binary.getError(), "ptxas: left no cubin");
    *cubin = (*binary)->getBuffer().str();
  }
  return parseReport(words);
}

} // namespace flash

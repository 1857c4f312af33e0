//===- flashc.cpp - The attention compiler --------------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/CostModel/CostModel.h"
#include "flash/Pipelines/Compile.h"
#include "flash/Pipelines/LoadAttention.h"
#include "flash/Runtime/Package.h"
#include "flash/Target/ChipInfo.h"
#include "flash/Target/Ptxas.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/ToolOutputFile.h"
#include <chrono>

using namespace mlir;
using namespace mlir::flash;

namespace {

namespace cl = llvm::cl;
cl::OptionCategory category("flashc options");
cl::opt<std::string> inputPath(cl::Positional, cl::desc("INPUT.mlir"),
                               cl::cat(category));
cl::opt<std::string>
    attention("attention", cl::value_desc("SPEC"), cl::cat(category),
              cl::desc("the attention to compile, for example "
                       "sq=?,sk=?,d=128,hq=32,hkv=8,dtype=bf16,mask=causal"));
cl::opt<std::string> chipName("chip", cl::init("sm_80"), cl::cat(category),
                              cl::desc("sm_80, sm_86, sm_89 or sm_90"));
cl::opt<std::string> emit("emit", cl::init("ptx"), cl::cat(category),
                          cl::desc("flash, tile, nvvm, llvm, ptx or cubin"));
cl::opt<std::string> level("level", cl::cat(category),
                           cl::desc("ladder level, by number or name"));
cl::opt<std::string> schedule("schedule", cl::value_desc("k=v,..."),
                              cl::cat(category),
                              cl::desc("fields of #flash.schedule, such as "
                                       "tile_q=64,copies=vector"));
cl::opt<std::string> outputPath("o", cl::init("-"), cl::value_desc("PATH"),
                                cl::cat(category),
                                cl::desc("output; k.ptx also writes the "
                                         "manifest k.json; the directory of "
                                         "--emit=package"));
cl::opt<bool> report("report", cl::cat(category),
                     cl::desc("print tiles, stages, shared memory and, where "
                              "ptxas is found, registers and spills"));
cl::opt<bool> timing("timing", cl::cat(category),
                     cl::desc("print what each step took"));

/// Prints an error that concerns the command line.
int refuse(const llvm::Twine &message) {
  llvm::errs() << "flashc: error: " << message << "\n";
  return 1;
}

int writeFile(StringRef path, StringRef content) {
  llvm::Error error =
      llvm::writeToOutput(path, [&](llvm::raw_ostream &os) -> llvm::Error {
        os << content;
        return llvm::Error::success();
      });
  if (error)
    return refuse("cannot write '" + path +
                  "': " + llvm::toString(std::move(error)));
  return 0;
}

std::string print(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream);
  return text;
}

/// Instructions of one KV loop by class: those of every trip, and in brackets
/// those of blocks that a trip may leave out, such as copies of rows that are
/// less aligned than they should be.
void printLoop(const ::flash::PtxKernel &kernel, const ::flash::PtxLoop &loop,
               llvm::raw_ostream &os) {
  auto every = kernel.count(loop.always), all = kernel.count(loop.blocks);
  uint64_t total = 0, some = 0;
  for (unsigned i = 0; i < ::flash::kNumPtxClasses; ++i) {
    total += every[i];
    some += all[i] - every[i];
  }
  os << llvm::formatv("KV loop       {0} instructions", total);
  if (some)
    os << llvm::formatv(" (+ {0} conditional)", some);
  const char *separator = ": ";
  for (unsigned i = 0; i < ::flash::kNumPtxClasses; ++i) {
    if (!all[i])
      continue;
    os << separator << every[i];
    if (all[i] != every[i])
      os << " (+ " << all[i] - every[i] << ")";
    os << " " << name(::flash::PtxClass(i));
    separator = ", ";
  }
  os << "\n";
}

void printAssembled(const ::flash::runtime::Manifest &manifest,
                    const ::flash::PtxasReport &assembled,
                    llvm::raw_ostream &os) {
  os << llvm::formatv("ptxas         {0} registers, {1} bytes spill stores, "
                      "{2} bytes spill loads, {3} bytes stack\n",
                      assembled.registers, assembled.spillStoreBytes,
                      assembled.spillLoadBytes, assembled.stackBytes);
  const ::flash::ChipInfo *chip = ::flash::findChip(manifest.chip);
  unsigned threads = 0;
  if (chip && assembled.registers &&
      !StringRef(manifest.block[0]).getAsInteger(10, threads) && threads)
    os << llvm::formatv("occupancy     {0} CTAs per SM\n",
                        ::flash::residentCtas(assembled.registers, threads,
                                              manifest.dynamicSharedBytes,
                                              *chip));
  for (const std::string &warning : assembled.warnings)
    os << "ptxas         " << warning << "\n";
}

void printReport(const CompiledKernel &kernel) {
  llvm::raw_ostream &os = llvm::errs();
  const auto &m = kernel.manifest;
  os << llvm::formatv("kernel        {0} for {1}, PTX ISA {2}\n", m.entry,
                      m.chip, m.ptxIsa);
  os << "schedule     ";
  for (const auto &[key, value] : m.schedule)
    os << " " << key << "=" << value;
  os << llvm::formatv("\nlaunch        grid ({0}; {1}; {2}), {3} threads, {4} "
                      "bytes of shared memory\n",
                      m.grid[0], m.grid[1], m.grid[2], m.block[0],
                      m.dynamicSharedBytes);
  ::flash::PtxKernel control = ::flash::PtxKernel::parse(kernel.ptx, m.entry);
  for (const ::flash::PtxLoop *loop : control.kvLoops())
    printLoop(control, *loop, os);
  std::optional<std::string> ptxas = ::flash::findPtxas();
  if (!ptxas) {
    os << "ptxas         not found (CUDA_HOME, PATH, /usr/local/cuda): no "
          "registers or spills to report\n";
    return;
  }
  auto assembled = ::flash::runPtxas(*ptxas, kernel.ptx, m.chip);
  if (assembled)
    printAssembled(m, *assembled, os);
  else
    os << llvm::toString(assembled.takeError()) << "\n";
}

void printTiming(const std::vector<CompileStep> &steps) {
  double total = 0;
  for (const CompileStep &step : steps) {
    llvm::errs() << llvm::formatv("{0,8:f1} ms  {1}\n", step.milliseconds,
                                  step.name);
    total += step.milliseconds;
  }
  llvm::errs() << llvm::formatv("{0,8:f1} ms  total\n", total);
}

/// Writes the kernel as a package to -o, machine code included where `ptxas` is
/// there, and says what was written.
int emitPackage(const CompiledKernel &kernel,
                const std::optional<std::string> &ptxas) {
  ::flash::runtime::Package package;
  package.manifest = kernel.manifest;
  package.ptx = kernel.ptx;
  if (ptxas) {
    auto result = ::flash::runPtxas(*ptxas, kernel.ptx, kernel.manifest.chip,
                                    &package.cubin);
    if (!result)
      return refuse(llvm::toString(result.takeError()));
    package.manifest.versions["ptxas"] = ::flash::ptxasVersion(*ptxas);
  }
  if (auto status = ::flash::runtime::writePackage(package, outputPath);
      !status)
    return refuse(status.error().message);
  llvm::errs() << llvm::formatv("package       {0}: manifest.json, kernel.ptx "
                                "({1} bytes)",
                                outputPath.getValue(), package.ptx.size());
  if (ptxas)
    llvm::errs() << llvm::formatv(", kernel.cubin ({0} bytes, ptxas {1})\n",
                                  package.cubin.size(),
                                  package.manifest.versions["ptxas"]);
  else
    llvm::errs() << "; no kernel.cubin: ptxas not found (CUDA_HOME, PATH, "
                    "/usr/local/cuda), the driver will assemble the PTX\n";
  return 0;
}

/// Compiles and writes; the module's diagnostics have been printed already
/// where this fails.
int compile(MLIRContext &context, llvm::SourceMgr &sources) {
  std::vector<CompileStep> steps;
  auto start = std::chrono::steady_clock::now();
  FailureOr<LoadedAttention> loaded =
      attention.empty() ? loadAttentionFile(&context, inputPath, sources)
                        : loadAttentionSpec(&context, attention);
  if (failed(loaded))
    return 1;
  steps.push_back(
      {"parse and verify", std::chrono::duration<double, std::milli>(
                               std::chrono::steady_clock::now() - start)
                               .count()});
  ModuleOp module = *loaded->module;
  CompileOptions options;
  options.chip = chipName;
  options.level = level;
  options.schedule = schedule;

  static const std::pair<StringRef, CompileStage> stages[] = {
      {"flash", CompileStage::Flash},
      {"tile", CompileStage::Tile},
      {"nvvm", CompileStage::Nvvm},
      {"llvm", CompileStage::Llvm}};
  for (auto [name, stage] : stages) {
    if (emit != name)
      continue;
    if (failed(lowerTo(module, stage, options, &steps)))
      return 1;
    if (timing)
      printTiming(steps);
    return writeFile(outputPath, print(module));
  }

  std::string spec = loaded->spec ? loaded->spec->toString() : "";
  FailureOr<CompiledKernel> kernel =
      compileToPTX(module, options, spec, &steps);
  if (failed(kernel))
    return 1;
  std::optional<std::string> ptxas;
  if (emit == "cubin" || emit == "package")
    ptxas = ::flash::findPtxas();
  if (emit == "package") {
    if (int code = emitPackage(*kernel, ptxas))
      return code;
    if (report)
      printReport(*kernel);
    if (timing)
      printTiming(steps);
    return 0;
  }
  std::string output = kernel->ptx;
  if (emit == "cubin") {
    if (!ptxas)
      return refuse("--emit=cubin: ptxas: expected in CUDA_HOME, PATH or "
                    "/usr/local/cuda/bin, found in none");
    auto result = ::flash::runPtxas(*ptxas, kernel->ptx, chipName, &output);
    if (!result)
      return refuse(llvm::toString(result.takeError()));
  }
  if (int code = writeFile(outputPath, output))
    return code;
  if (outputPath != "-") {
    llvm::SmallString<128> manifest(outputPath.getValue());
    llvm::sys::path::replace_extension(manifest, "json");
    if (emit == "ptx")
      kernel->manifest.files["ptx"] = llvm::sys::path::filename(outputPath);
    if (int code = writeFile(manifest, kernel->manifest.toJson())) {
      llvm::sys::fs::remove(outputPath.getValue());
      return code;
    }
  }
  if (report)
    printReport(*kernel);
  if (timing)
    printTiming(steps);
  return 0;
}

/// Checks what needs no module; returns false after one message.
bool checkCommandLine() {
  if (inputPath.empty() == attention.empty()) {
    refuse("expected either INPUT.mlir or --attention=SPEC");
    return false;
  }
  const ::flash::ChipInfo *chip = ::flash::findChip(chipName);
  if (!chip || !chip->lowered) {
    std::string known;
    for (const ::flash::ChipInfo &other : ::flash::kChips)
      if (other.lowered)
        known += " " + std::string(other.name);
    refuse("--chip: expected one of" + llvm::Twine(known) +
           (chip ? ", no lowering yet for '" : ", got unknown chip '") +
           chipName + "'");
    return false;
  }
  if (!llvm::is_contained(
          {"flash", "tile", "nvvm", "llvm", "ptx", "cubin", "package"}, emit)) {
    refuse("--emit: expected flash, tile, nvvm, llvm, ptx, cubin or package, "
           "got '" +
           emit + "'");
    return false;
  }
  if (emit == "package" && outputPath == "-") {
    refuse("--emit=package: expected -o DIR, got none");
    return false;
  }
  if (!level.empty())
    if (std::optional<std::string> message = checkLevel(level)) {
      refuse("--level: " + *message);
      return false;
    }
  if (std::optional<std::string> message = checkSchedule(schedule)) {
    refuse("--schedule: " + *message);
    return false;
  }
  return true;
}

} // namespace

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  cl::HideUnrelatedOptions(category);
  cl::ParseCommandLineOptions(argc, argv, "Flash: attention to PTX\n");
  if (!checkCommandLine())
    return 1;

  DialectRegistry registry;
  registerCompileDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  llvm::SourceMgr sources;
  SourceMgrDiagnosticHandler handler(sources, &context, llvm::errs());
  context.printOpOnDiagnostic(false);
  // Remarks explain decisions; they are shown on request only.
  context.getDiagEngine().registerHandler([](Diagnostic &diagnostic) {
    bool hide =
        diagnostic.getSeverity() == DiagnosticSeverity::Remark && !report;
    return success(hide);
  });
  return compile(context, sources);
}

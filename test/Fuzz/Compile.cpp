//===- Compile.cpp - One fuzz case through the compiler -------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Compile.h"

#include "flash/Dialect/Flash/Transforms/Passes.h"
#include "flash/Pipelines/BuildAttention.h"
#include "flash/Pipelines/Compile.h"
#include "flash/Runtime/AttentionSpec.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/Regex.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace ::flash::fuzz;

/// Collects the errors of one case, and what is wrong with them.
struct Compiler::Errors {
  explicit Errors(MLIRContext &context)
      : handler(&context, [this](Diagnostic &diagnostic) {
          take(diagnostic);
          return success();
        }) {}

  void take(Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
      return;
    ++count;
    std::string message = diagnostic.str();
    if (message.empty())
      complaint = "an error without a message";
    if (!diagnostic.getLocation()->findInstanceOf<FileLineColLoc>())
      complaint = "an error without a place: " + message;
  }

  size_t count = 0;
  std::string complaint;
  ScopedDiagnosticHandler handler;
};

static DialectRegistry makeRegistry() {
  DialectRegistry registry;
  mlir::flash::registerCompileDialects(registry);
  return registry;
}

Compiler::Compiler(Counts &counts)
    : counts(counts),
      context(makeRegistry(), MLIRContext::Threading::DISABLED) {
  // Diagnostics show their operation otherwise, which is slow and not looked at.
  context.printOpOnDiagnostic(false);
}

std::string Compiler::refused(const Errors &errors) {
  ++counts.refused;
  counts.diagnostics += errors.count;
  if (errors.count == 0)
    return "refused without an error";
  return errors.complaint;
}

// Chips with a lowering, chips that are only known, and others.
constexpr StringRef kChips[] = {"sm_80", "sm_80", "sm_80",   "sm_86",
                                "sm_86", "sm_89", "sm_89",   "sm_90",
                                "sm_90", "sm_90", "sm_100a", "sm_0x"};
constexpr StringRef kSchedules[] = {
    "",
    "",
    "",
    "",
    "tile_q=64",
    "tile_q=128,tile_k=128,warps=8",
    "tile_q=16,tile_k=16,warps=1",
    "tile_q=256,tile_k=256",
    "tile_q=48,warps=4",
    "stages_k=3,stages_v=3",
    "stages_k=9",
    "query_in_registers=true",
    "query_in_registers=1,tile_q=128,warps=4",
    "tile_k=24",
    "warps=33",
    "warps=0",
    "tile_q",
    "depth=2",
    "=,=",
    "tile_q=99999999999"};

std::string Compiler::lower(OwningOpRef<ModuleOp> module, Errors &errors,
                            Random &random) {
  if (random.oneIn(4)) {
    OwningOpRef<ModuleOp> reference = module->clone();
    PassManager manager(&context);
    manager.addPass(mlir::flash::createFlashDecompose());
    if (failed(manager.run(*reference)))
      return refused(errors);
  }

  mlir::flash::CompileOptions options;
  options.chip = random.pick(kChips).str();
  options.schedule = random.pick(kSchedules).str();
  if (std::optional<std::string> message =
          mlir::flash::checkSchedule(options.schedule)) {
    if (message->empty())
      return "a schedule is refused without a message: " + options.schedule;
    options.schedule.clear();
  }
  // Code generation takes a hundred times as long as what comes before it.
  if (random.oneIn(16)) {
    ++counts.compileTried;
    FailureOr<mlir::flash::CompiledKernel> kernel =
        mlir::flash::compileToPTX(*module, options);
    if (failed(kernel))
      return refused(errors);
    ++counts.compiled;
    if (kernel->ptx.empty())
      return "compiled to no PTX";
    return errors.complaint;
  }
  ++counts.tileTried;
  if (failed(mlir::flash::lowerTo(*module, mlir::flash::CompileStage::Tile,
                                  options)))
    return refused(errors);
  ++counts.tiled;
  if (failed(verify(*module)))
    return "the tile program does not verify";
  return errors.complaint;
}

/// MLIR 22.1's own parser crashes on these, before any code of Flash sees them
/// (stock mlir-opt does too): a dense array of a type that has no width, and a
/// result number so large that its forward references do not fit into memory.
static bool crashesParserOfMLIR(StringRef text) {
  static const llvm::Regex denseArray("array<[ \n]*(index|none|tf32|!|#|[a-z]*<)");
  static const llvm::Regex resultNumber("%[A-Za-z0-9_.$-]+#[0-9]{6,}");
  return denseArray.match(text) || resultNumber.match(text);
}

std::string Compiler::runProgram(const std::string &text, Random &random) {
  if (crashesParserOfMLIR(text)) {
    ++counts.leftOut;
    return "";
  }
  Errors errors(context);
  ParserConfig config(&context, /*verifyAfterParse=*/false);
  OwningOpRef<ModuleOp> module =
      parseSourceString<ModuleOp>(text, config, "case.mlir");
  if (!module)
    return refused(errors);
  ++counts.parsed;
  if (failed(verify(*module)))
    return refused(errors);
  ++counts.verified;

  if (random.oneIn(4)) {
    std::string printed;
    llvm::raw_string_ostream(printed) << *module;
    OwningOpRef<ModuleOp> again =
        parseSourceString<ModuleOp>(printed, config, "printed.mlir");
    if (!again)
      return "its own printed form is refused:\n" + printed;
  }
  return lower(std::move(module), errors, random);
}

std::string Compiler::runSpec(const std::string &text, Random &random) {
  auto spec = ::flash::runtime::AttentionSpec::parse(text);
  if (!spec) {
    ++counts.refused;
    ++counts.diagnostics;
    if (spec.error().message.empty())
      return "refused without a message";
    if (!spec.error().column)
      return "an error without a column: " + spec.error().message;
    return "";
  }
  ++counts.parsed;
  auto again = ::flash::runtime::AttentionSpec::parse(spec->toString());
  if (!again || !(*again == *spec))
    return "its canonical form means something else: " + spec->toString();

  Errors errors(context);
  constexpr mlir::flash::AttentionForm kForms[] = {
      mlir::flash::AttentionForm::Tensors,
      mlir::flash::AttentionForm::StridedMemRefs,
      mlir::flash::AttentionForm::DenseMemRefs};
  OwningOpRef<ModuleOp> module =
      mlir::flash::buildAttention(&context, *spec, random.pick(kForms));
  if (!module || failed(verify(*module)))
    return refused(errors);
  ++counts.verified;
  return lower(std::move(module), errors, random);
}

//===- Problem.cpp - What flash-run runs ----------------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Problem.h"

#include "DiagnosticCollector.h"
#include "ModuleInput.h"
#include "RegionInterpreter.h"

#include "flash/Pipelines/BuildAttention.h"
#include "flash/Runtime/Npy.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace flash::run;
using namespace flash::runtime;

namespace {

/// A SPEC error as "--attention:1:COLUMN: error: ...".
Error specError(const char *option, const Error &error) {
  return Error{std::string(option) +
               ":1:" + std::to_string(error.column.value_or(1)) +
               ": error: " + error.message};
}

/// Column of the item of a parsed SPEC that begins with `key`.
unsigned columnOf(const std::string &text, const std::string &key) {
  for (size_t at = text.find(key); at != std::string::npos;
       at = text.find(key, at + 1))
    if (at == 0 || text[at - 1] == ',' || text[at - 1] == ' ')
      return unsigned(at) + 1;
  return 1;
}

/// Refuses what SPEC can say and the device's pipeline does not lower.
Status verifySupported(const char *option, const std::string &text,
                       const AttentionSpec &spec, Device device) {
  bool isNarrow = spec.hasDescales() || spec.dtype == DType::TF32;
  if (isNarrow && device == Device::Cpu)
    return specError(
        option, Error{"dtype=" + std::string(name(spec.dtype)) +
                          " is not yet supported by --device=cpu: expected "
                          "f16, bf16 or f32 (the host has no conversions)",
                      columnOf(text, "dtype")});
  return Success{};
}

Result<AttentionSpec> parseSpec(const char *option, const std::string &text,
                                Device device) {
  Result<AttentionSpec> spec = AttentionSpec::parse(text);
  if (!spec)
    return specError(option, spec.error());
  if (Status status = verifySupported(option, text, *spec, device); !status)
    return status.error();
  return spec;
}

Result<Sizes> resolveSizes(const AttentionSpec &spec, const std::string &text) {
  Result<Sizes> sizes = spec.resolveSizes(text);
  if (!sizes)
    return specError("--sizes", sizes.error());
  return sizes;
}

constexpr std::array<const char *, 3> kDescaleNames = {
    "q_descale", "k_descale", "v_descale"};

/// Fills q, k, v, o and lse, then puts files over them.
Status makeOperands(Problem &problem, const Options &options,
                    std::array<bool, 3> hasDescale = {true, true, true}) {
  InputOptions inputOptions = options.inputs;
  inputOptions.hasDescale = hasDescale;
  Result<ProblemArrays> made =
      makeInputs(problem.spec, problem.sizes, inputOptions);
  if (!made)
    return made.error();
  problem.arrays["q"] = std::move(made->q);
  problem.arrays["k"] = std::move(made->k);
  problem.arrays["v"] = std::move(made->v);
  problem.arrays["o"] = std::move(made->o);
  problem.arrays["lse"] = std::move(made->lse);
  std::vector<std::string> inputs = {"q", "k", "v"};
  for (auto [name, scales] : {std::pair("q_descale", &made->qDescale),
                              {"k_descale", &made->kDescale},
                              {"v_descale", &made->vDescale}})
    if (*scales) {
      problem.arrays[name] = std::move(**scales);
      inputs.push_back(name);
    }
  for (const auto &[name, path] : options.files) {
    bool isCapture = std::find(problem.captures.begin(), problem.captures.end(),
                               name) != problem.captures.end();
    if (isCapture)
      continue;
    if (std::find(inputs.begin(), inputs.end(), name) == inputs.end()) {
      inputs.insert(inputs.end(), problem.captures.begin(),
                    problem.captures.end());
      std::string known;
      for (const std::string &input : inputs)
        known += (known.empty() ? "" : ", ") + input;
      return Error{"--input: expected one of " + known + ", got '" + name +
                   "'"};
    }
    Result<StridedArray> array = readNpy(path);
    if (!array)
      return Error{"--input: " + array.error().message};
    if (Status status = assignArray(problem.arrays[name], *array, name);
        !status)
      return Error{"--input: " + status.error().message};
  }
  return Success{};
}

/// Tells the reference what the elements of each head are multiplied by.
void takeScales(Problem &problem) {
  for (auto [name, scales] :
       {std::pair("q_descale", &problem.reference.queryScales),
        {"k_descale", &problem.reference.keyScales},
        {"v_descale", &problem.reference.valueScales}})
    if (auto found = problem.arrays.find(name); found != problem.arrays.end())
      forEachIndex(found->second, [&, scales = scales](int64_t index) {
        scales->push_back(found->second.loadIndex(index));
      });
}

/// Fills a capture: a constant, a file, or N(0, 1) for floats of known shape.
Result<StridedArray> makeCapture(const CaptureInput &capture, size_t index,
                                 const Options &options) {
  if (capture.constant) {
    StridedArray array = StridedArray::contiguous(capture.dtype, {});
    if (const auto *real = std::get_if<double>(&*capture.constant))
      array.set({}, *real);
    else
      storeInteger(array.dtype, array.bytesAt(array.offset),
                   std::get<int64_t>(*capture.constant));
    return array;
  }
  auto shaped = mlir::dyn_cast<mlir::ShapedType>(capture.type);
  std::vector<int64_t> shape;
  bool isStatic = true;
  if (shaped) {
    shape = shaped.getShape().vec();
    isStatic = shaped.hasStaticShape();
  }
  auto file = options.files.find(capture.name);
  if (file == options.files.end()) {
    if (!isFloat(capture.dtype) || !isStatic || !shaped)
      return Error{"capture '" + capture.name +
                   "': expected --input=" + capture.name +
                   "=FILE.npy (only floats of static shape have a default)"};
    Result<StridedArray> array =
        allocateCapture(capture.dtype, shape, options.inputs.strides);
    // Streams 0 to 2 are q, k and v.
    if (array)
      fillNormal(*array, options.inputs.seed, 16 + index);
    return array;
  }
  Result<StridedArray> read = readNpy(file->second);
  if (!read)
    return Error{"--input: " + read.error().message};
  if (shape.size() != read->shape.size())
    return Error{"--input: " + capture.name + ": expected rank " +
                 std::to_string(shape.size()) + ", got " +
                 std::to_string(read->shape.size())};
  for (size_t dim = 0; dim < shape.size(); ++dim)
    if (mlir::ShapedType::isDynamic(shape[dim]))
      shape[dim] = read->shape[dim];
  Result<StridedArray> array =
      allocateCapture(capture.dtype, shape, options.inputs.strides);
  if (!array)
    return array;
  if (Status status = assignArray(*array, *read, capture.name); !status)
    return Error{"--input: " + status.error().message};
  return array;
}

/// The problem of a .mlir file, regions included.
Result<Problem> fromModule(mlir::MLIRContext *context, const Options &options) {
  DiagnosticCollector diagnostics(context);
  mlir::FailureOr<ModuleInput> input = readModule(context, options.input);
  if (failed(input))
    return diagnostics.error();
  Problem problem;
  problem.spec = input->spec;
  for (const CaptureInput &capture : input->captures)
    problem.captures.push_back(capture.name);
  Result<Sizes> sizes = resolveSizes(problem.spec, options.sizes);
  if (!sizes)
    return sizes.error();
  problem.sizes = *sizes;
  // An op may do without.
  std::array<bool, 3> hasDescale = {};
  for (auto [index, name] : llvm::enumerate(kDescaleNames))
    hasDescale[index] = llvm::is_contained(input->arguments, name);
  if (Status status = makeOperands(problem, options, hasDescale); !status)
    return status.error();
  for (auto [index, capture] : llvm::enumerate(input->captures)) {
    Result<StridedArray> array = makeCapture(capture, index, options);
    if (!array)
      return array.error();
    problem.arrays[capture.name] = std::move(*array);
  }
  for (auto [index, name] : llvm::enumerate(input->arguments))
    if (failed(verifyArray(input->function, unsigned(index), name,
                           problem.arrays[name])))
      return diagnostics.error();

  problem.reference = ReferenceProblem::fromSpec(problem.spec, problem.sizes);
  // The op rounds its scale to f32, whether written or the default.
  problem.reference.scale = double(input->op.getScaleOrDefault());
  takeScales(problem);
  mlir::flash::RegionProgram::Environment environment;
  environment.alignment = sizes->sk - sizes->sq;
  environment.heads = sizes->hq;
  // Elements of a std::map do not move.
  for (const std::string &name : problem.captures)
    environment.captures.push_back(&problem.arrays[name]);
  if (input->op.hasScoreRegion()) {
    mlir::FailureOr<mlir::flash::RegionProgram> score =
        mlir::flash::RegionProgram::compile(input->op.getScore(), environment);
    if (failed(score))
      return diagnostics.error();
    problem.reference.score =
        mlir::flash::RegionProgram::asScore(std::move(*score));
  }
  if (input->op.hasMaskRegion()) {
    mlir::FailureOr<mlir::flash::RegionProgram> mask =
        mlir::flash::RegionProgram::compile(input->op.getMask(), environment);
    if (failed(mask))
      return diagnostics.error();
    problem.reference.mask =
        mlir::flash::RegionProgram::asMask(std::move(*mask));
  }
  problem.function = input->function.getName().str();
  problem.arguments = input->arguments;
  problem.module = std::move(input->module);
  return problem;
}

/// The problem that a spec states, without a way to run it yet.
Result<Problem> fromSpec(AttentionSpec spec, const Options &options) {
  Problem problem;
  problem.spec = std::move(spec);
  problem.spec.lse = true;
  Result<Sizes> sizes = resolveSizes(problem.spec, options.sizes);
  if (!sizes)
    return sizes.error();
  problem.sizes = *sizes;
  if (Status status = makeOperands(problem, options); !status)
    return status.error();
  problem.reference = ReferenceProblem::fromSpec(problem.spec, problem.sizes);
  takeScales(problem);
  return problem;
}

/// The files of a kernel that was compiled earlier: of a package, or k.ptx with
/// k.json or --manifest.
Result<Package> readKernel(const Options &options) {
  if (llvm::sys::path::extension(options.input) != ".ptx")
    return readPackage(options.input);
  llvm::SmallString<128> beside(options.input);
  llvm::sys::path::replace_extension(beside, "json");
  Result<Manifest> manifest = readManifest(
      options.manifest.empty() ? std::string(beside) : options.manifest);
  if (!manifest)
    return Error{"--manifest: " + manifest.error().message};
  Result<std::vector<std::byte>> ptx = readFile(options.input);
  if (!ptx)
    return ptx.error();
  Package package;
  package.manifest = std::move(*manifest);
  package.ptx.assign(reinterpret_cast<const char *>(ptx->data()), ptx->size());
  return package;
}

/// --level and --schedule are for the compiler.
Status verifyNothingToCompile(const std::string &path, const Options &options) {
  for (const auto &[option, given] :
       {std::pair{"--level", !options.level.empty()},
        {"--schedule", !options.schedule.empty()}})
    if (given)
      return Error{"'" + path + "': " + option +
                   ": expected a .mlir file or a SPEC to compile, got a "
                   "compiled kernel"};
  return Success{};
}

/// The package that was compiled earlier from a .mlir input.
Status usePackage(Problem &problem, const Options &options) {
  if (Status status = verifyNothingToCompile(options.package, options); !status)
    return status;
  if (options.device == Device::Cpu)
    return Error{"--device: expected emulator or cuda for a compiled kernel, "
                 "got cpu"};
  Result<Package> package = readPackage(options.package);
  if (!package)
    return Error{"--package: " + package.error().message};
  problem.package = std::move(*package);
  return Success{};
}

/// What it computes is what its manifest says or, where that has no SPEC,
/// --against.
Result<Problem> fromKernel(const Options &options) {
  Result<Package> package = readKernel(options);
  if (!package)
    return package.error();
  const Manifest &manifest = package->manifest;
  std::string where = "'" + options.input + "': ";
  if (Status status = verifyNothingToCompile(options.input, options); !status)
    return status.error();
  std::string attention =
      manifest.attention.empty() ? options.against : manifest.attention;
  if (attention.empty())
    return Error{where + "attention: expected a SPEC, in the manifest or as "
                         "--against, got none"};
  Result<AttentionSpec> spec =
      parseSpec("attention", attention, options.device);
  if (!spec)
    return spec.error();
  for (const Parameter &parameter : manifest.parameters)
    if (parameter.role == ParameterRole::Capture)
      return Error{
          where + "parameter '" + parameter.name +
          "': captures need the .mlir input, with --package=" + options.input};
  Result<Problem> problem = fromSpec(*spec, options);
  if (!problem)
    return problem;
  problem->package = std::move(*package);
  return problem;
}

/// Replaces what the result is compared with.
Status applyAgainst(Problem &problem, const Options &options) {
  Result<AttentionSpec> spec =
      parseSpec("--against", options.against, options.device);
  if (!spec)
    return spec.error();
  Result<Sizes> sizes =
      spec->resolveSizes(spec->isDynamic() ? options.sizes : "");
  if (!sizes)
    return specError("--against", sizes.error());
  if (!(*sizes == problem.sizes) || spec->dtype != problem.spec.dtype)
    return Error{"--against:1:1: error: expected the sizes and dtype of the "
                 "input, got others"};
  problem.reference = ReferenceProblem::fromSpec(*spec, *sizes);
  takeScales(problem);
  return Success{};
}

} // namespace

Result<Problem> flash::run::makeProblem(mlir::MLIRContext *context,
                                        const Options &options) {
  auto make = [&]() -> Result<Problem> {
    if (!options.attention.empty()) {
      Result<AttentionSpec> spec =
          parseSpec("--attention", options.attention, options.device);
      if (!spec)
        return spec.error();
      if (!options.package.empty())
        return Error{"--package: expected together with a .mlir input"};
      Result<Problem> problem = fromSpec(*spec, options);
      if (!problem)
        return problem;
      problem->module = mlir::flash::buildAttention(
          context, problem->spec, mlir::flash::AttentionForm::StridedMemRefs);
      problem->function = mlir::flash::kAttentionFunction.str();
      for (llvm::StringRef name : mlir::flash::getArgumentNames(problem->spec))
        problem->arguments.push_back(name.str());
      return problem;
    }
    llvm::StringRef extension = llvm::sys::path::extension(options.input);
    bool isKernel = llvm::sys::fs::is_directory(options.input) ||
                    extension == ".json" || extension == ".ptx";
    if (isKernel && options.device == Device::Cpu)
      return Error{"--device: expected emulator or cuda for a compiled kernel, "
                   "got cpu"};
    if (!options.manifest.empty() && extension != ".ptx")
      return Error{"--manifest: expected together with a .ptx input"};
    if (isKernel && !options.package.empty())
      return Error{"--package: expected together with a .mlir input"};
    if (isKernel)
      return fromKernel(options);
    Result<Problem> problem = fromModule(context, options);
    if (problem && !options.package.empty())
      if (Status status = usePackage(*problem, options); !status)
        return status.error();
    return problem;
  };
  Result<Problem> problem = make();
  if (problem && !options.against.empty())
    if (Status status = applyAgainst(*problem, options); !status)
      return status.error();
  return problem;
}

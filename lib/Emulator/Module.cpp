//===- Module.cpp - A parsed and decoded PTX text ---------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Module.h"
#include "Decoder.h"
#include "Parser.h"

using namespace flash::emu;

std::string Diagnostic::str() const {
  std::string result;
  if (line)
    result += "line " + std::to_string(line) + ": ";
  result += message;
  if (!text.empty())
    result += ": `" + text + "`";
  return result;
}

Module::Module(std::unique_ptr<ModuleImpl> impl) : body(std::move(impl)) {}
Module::~Module() = default;

static bool isKernel(const syntax::Function &function) {
  return function.isKernel && function.hasBody;
}

std::unique_ptr<Module> Module::parse(std::string_view ptx, Diagnostic &error,
                                      std::string_view only) {
  error = Diagnostic();
  auto impl = std::make_unique<ModuleImpl>();
  impl->syntax.text = ptx;
  if (!parsePtx(impl->syntax, error))
    return nullptr;
  for (const syntax::Function &function : impl->syntax.functions) {
    if (!isKernel(function) || (!only.empty() && function.name != only))
      continue;
    auto program = std::make_unique<Program>();
    Decoder decoder(impl->syntax, error);
    if (!decoder.decodeKernel(function, *program))
      return nullptr;
    impl->kernels.push_back(program->info);
    impl->programs.push_back(std::move(program));
  }
  return std::unique_ptr<Module>(new Module(std::move(impl)));
}

const std::vector<KernelInfo> &Module::kernels() const { return body->kernels; }

std::vector<std::string> Module::kernelNames() const {
  std::vector<std::string> names;
  for (const syntax::Function &function : body->syntax.functions)
    if (isKernel(function))
      names.emplace_back(function.name);
  return names;
}

const KernelInfo *Module::kernel(std::string_view name) const {
  for (const KernelInfo &kernel : body->kernels)
    if (kernel.name == name)
      return &kernel;
  return nullptr;
}

std::string_view Module::lineText(unsigned line) const {
  return body->syntax.lineText(line);
}

std::string_view Module::target() const { return body->syntax.target; }

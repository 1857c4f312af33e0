//===- consumer.cpp - A program that embeds Flash -------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/Flash/IR/Flash.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

static constexpr llvm::StringLiteral kSource = R"mlir(
  func.func @prefill(%q: tensor<1x8x?x128xbf16>, %k: tensor<1x2x?x128xbf16>,
                     %v: tensor<1x2x?x64xbf16>, %o: tensor<1x8x?x64xbf16>)
      -> tensor<1x8x?x64xbf16> {
    %r = flash.attention
      ins(query = %q, key = %k, value = %v
          : tensor<1x8x?x128xbf16>, tensor<1x2x?x128xbf16>,
            tensor<1x2x?x64xbf16>)
      outs(output = %o : tensor<1x8x?x64xbf16>)
      -> tensor<1x8x?x64xbf16>
    return %r : tensor<1x8x?x64xbf16>
  }
)mlir";

int main() {
  DialectRegistry registry;
  registry.insert<flash::FlashDialect, func::FuncDialect>();
  MLIRContext context(registry);
  OwningOpRef<ModuleOp> module =
      parseSourceString<ModuleOp>(kSource, ParserConfig(&context));
  if (!module)
    return 1;
  module->walk([](flash::AttentionOp op) {
    llvm::outs() << "head dim " << op.getHeadDim() << ", value dim "
                 << op.getValueDim() << ", group " << op.getGroupSize() << "\n";
  });
  return 0;
}

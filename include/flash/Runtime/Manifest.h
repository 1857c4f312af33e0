//===- Manifest.h - How to launch a kernel ----------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The manifest is written beside every PTX (k.ptx, k.json) and in every package
// (see Package.h), and is all that a launcher needs. Format, one JSON object:
//
//   version                1, or 2 where there is a launch before the kernel's
//                          own (`before`, below): whoever reads only version 1
//                          would leave it out
//   entry                  name of the kernel in the PTX
//   chip                   "sm_80", ...
//   ptx_isa                "7.0", ...
//   attention              canonical SPEC (AttentionSpec::toString), or "" for
//                          an op that has no SPEC (own score or mask region)
//   parameters             in kernel order, each an object:
//     name                 unique
//     kind                 "pointer" (u64) | "i32" | "i64" | "f32"
//     role                 pointer: "query" "key" "value" "output" "lse"
//                          "capture" "workspace" "q_descale" "k_descale"
//                          "v_descale" (f32, what each head of q, k or v is
//                          multiplied by: [b, hq] or [b, hkv]); i32: "size";
//                          i64: "stride" "extent"; f32: "scale"; a capture may
//                          also be a scalar of any kind
//     dtype, rank          pointers only
//     align                pointers only: bytes the base is a multiple of
//     row_align            pointers only: bytes that every stride except the
//                          innermost dimension's is a multiple of
//     unit_inner_stride    pointers only: the innermost stride must be 1
//     shape                pointers, may be absent: per dimension the extent
//                          it must have, an expression of the sizes, or "?"
//                          where any will do
//     of, dim              strides and extents only: name of the pointer,
//                          dimension
//     value                scale only: what the problem was compiled with
//     positive             scale only: a launch must pass a value above 0 (it
//                          is folded into the exponent of the softmax)
//   launch                 grid, block, cluster: three expressions each (see
//                          Expression.h), in CTAs, threads, CTAs per cluster;
//                          parameters: which of the above the kernel takes, by
//                          name in its order (absent: all of them)
//   dynamic_shared_bytes   integer, per CTA
//   before                 version 2: launches that come first, in order, on
//                          the same stream; each an object with entry, grid,
//                          block, cluster, parameters, dynamic_shared_bytes.
//                          They share parameters and workspace with the kernel
//   shared_fits            chips whose opt-in limit holds the shared memory of
//                          every launch
//   workspace_bytes        expression; what every parameter of role "workspace"
//                          points at. Nothing is promised of its contents
//                          before the first launch
//   files                  object, may be absent: "ptx" and, where ptxas was
//                          found, "cubin": names of the files beside this one
//   schedule               object of strings, what the compiler chose
//   versions               object of strings: flash, llvm, and ptxas where it
//                          was used
//
// Order of parameters, by contract: pointers q, k, v, o (, lse) (, q_descale,
// k_descale, v_descale: all three for 8-bit SPECs), then i32 sizes b, hq, hkv,
// sq, sk, then i64 strides in elements (q, k, v, o by b, h, s, d; lse by b, h,
// s; descales by b, h), then f32 scale, then captures: per capture its pointer,
// its strides and the extents of those dimensions that its shape leaves open.
// All are parameters even where the kernel is compiled for fixed values; a
// launcher must then pass those.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_RUNTIME_MANIFEST_H
#define FLASH_RUNTIME_MANIFEST_H

#include "flash/Runtime/AttentionSpec.h"

#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace flash::runtime {

enum class ParameterKind : uint8_t { Pointer, I32, I64, F32 };

enum class ParameterRole : uint8_t {
  Query,
  Key,
  Value,
  Output,
  Lse,
  Capture,
  Workspace,
  Size,
  Stride,
  Extent,
  Scale,
  QueryDescale,
  KeyDescale,
  ValueDescale
};

/// One kernel parameter; see the format above for the meaning of the fields.
struct Parameter {
  std::string name;
  ParameterKind kind = ParameterKind::Pointer;
  ParameterRole role = ParameterRole::Query;
  DType dtype = DType::F16;
  unsigned rank = 0;
  int64_t align = 1;
  int64_t rowAlign = 1;
  bool unitInnerStride = false;
  double value = 1.0;
  bool positive = false;
  std::vector<std::string> shape;
  std::string of;
  unsigned dim = 0;

  bool operator==(const Parameter &) const = default;
};

/// One kernel of a package and the shape of its launch.
struct KernelLaunch {
  std::string entry;
  /// Names of the manifest's parameters that the kernel takes, in its order.
  std::vector<std::string> parameters;
  std::array<std::string, 3> grid = {"1", "1", "1"};
  std::array<std::string, 3> block = {"1", "1", "1"};
  std::array<std::string, 3> cluster = {"1", "1", "1"};
  int64_t dynamicSharedBytes = 0;

  bool operator==(const KernelLaunch &) const = default;
};

struct Manifest {
  /// The newest format; toJson writes the oldest that says it all.
  static constexpr int64_t kVersion = 2;

  std::string entry;
  std::string chip;
  std::string ptxIsa;
  std::string attention;
  std::vector<Parameter> parameters;
  std::array<std::string, 3> grid = {"1", "1", "1"};
  std::array<std::string, 3> block = {"1", "1", "1"};
  std::array<std::string, 3> cluster = {"1", "1", "1"};
  /// Of the kernel `entry`; empty for all of `parameters`.
  std::vector<std::string> entryParameters;
  int64_t dynamicSharedBytes = 0;
  /// Launched before `entry`, in order.
  std::vector<KernelLaunch> before;
  std::vector<std::string> sharedFits;
  std::string workspaceBytes = "0";
  std::map<std::string, std::string> files;
  std::map<std::string, std::string> schedule;
  std::map<std::string, std::string> versions;

  /// JSON text, members in the order above, two spaces of indentation.
  std::string toJson() const;

  /// Reads and verifies a manifest. Unknown members are ignored, so that later
  /// versions may add some; a version above kVersion is refused.
  static Result<Manifest> parse(std::string_view json);

  /// The parameter named `name`, or null.
  const Parameter *find(std::string_view name) const;

  /// Everything to launch, in order; the last one is the kernel `entry`.
  std::vector<KernelLaunch> launches() const;

  bool operator==(const Manifest &) const = default;
};

/// The kernel parameters that the contract fixes, for q, k and v of `dtype` and
/// o of `outDType`; `descales` are the roles, in order, of the scales per head
/// that the kernel takes. Pointers need no more than their element's alignment;
/// raise `align` and `rowAlign` where the kernel wants wider copies.
std::vector<Parameter> attentionParameters(DType dtype, DType outDType,
                                           bool lse,
                                           std::span<const ParameterRole>
                                               descales = {});

/// Appends a captured tensor's pointer, strides and open extents. `shape` as in
/// the format above; empty: any, and the kernel takes no extents.
void appendCapture(std::vector<Parameter> &parameters, std::string name,
                   DType dtype, unsigned rank,
                   std::vector<std::string> shape = {});

/// A buffer that a launch passes: where it is on the device and how it lies.
struct BufferArgument {
  uint64_t address = 0;
  DType dtype = DType::F16;
  std::vector<int64_t> shape;
  /// In elements.
  std::vector<int64_t> strides;
};

/// The value of a capture that is no pointer.
using ScalarArgument = std::variant<int64_t, double>;

/// Everything a launch passes, by parameter name.
struct LaunchArguments {
  Sizes sizes;
  double scale = 1.0;
  std::map<std::string, BufferArgument> buffers;
  /// Address of computeWorkspaceBytes() bytes, for kernels that take some.
  std::optional<uint64_t> workspace;
  /// Captures that are no pointers.
  std::map<std::string, ScalarArgument> scalars;
};

/// A launch's shape at given sizes.
struct LaunchShape {
  std::array<uint32_t, 3> grid, block, cluster;
  uint32_t dynamicSharedBytes = 0;
};

/// Evaluates the expressions; refuses what CUDA's limits do (grid x up to
/// 2^31 - 1, y and z up to 65535, 1024 threads per block).
Result<LaunchShape> computeLaunchShape(const KernelLaunch &launch,
                                       const Sizes &sizes);

/// Bytes of workspace that the launches share.
Result<int64_t> computeWorkspaceBytes(const Manifest &manifest,
                                      const Sizes &sizes);

/// Lays out the parameter buffer of one launch: every parameter at its natural
/// alignment, in order, as a .param space of scalars does. Refuses, by
/// parameter: a missing buffer, another dtype, rank or shape, a base or stride
/// less aligned than the manifest asks for (strides of size-1 dimensions are
/// never used and exempt), and sizes that differ from those the kernel was
/// compiled for.
Result<std::vector<std::byte>> packArguments(const Manifest &manifest,
                                             const KernelLaunch &launch,
                                             const LaunchArguments &arguments);

std::string_view name(ParameterKind kind);
std::string_view name(ParameterRole role);

} // namespace flash::runtime

#endif // FLASH_RUNTIME_MANIFEST_H

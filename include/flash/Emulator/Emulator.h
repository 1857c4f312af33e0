//===- Emulator.h - Run PTX on the CPU with checks --------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The public interface of the PTX emulator. It takes any PTX text, runs one
// kernel over a grid, and reports both what the kernel computed and what a GPU
// would not have said: races, deadlocks, out-of-bounds or misaligned accesses,
// uninitialised or poisoned data, diverged `.aligned` instructions.
//
//   Diagnostic error;
//   std::unique_ptr<Module> module = Module::parse(ptx, error);
//   Device device;
//   uint64_t x = device.allocate("x", 1024, Contents::Zero);
//   ArgumentBuffer args(*module->kernel("scale"));
//   args.set(0, x);
//   args.set(1, 2.0f);
//   LaunchConfig config;
//   config.block = {128, 1, 1};
//   Report report = launch(*module, "scale", args.bytes(), device, config);
//
// Nothing here throws and nothing here needs LLVM, MLIR, CUDA or a GPU.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_EMULATOR_EMULATOR_H
#define FLASH_EMULATOR_EMULATOR_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iosfwd>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace flash::emu {

//===----------------------------------------------------------------------===//
// Chips and modes
//===----------------------------------------------------------------------===//

/// The chip whose numerics and limits a launch follows. It is independent of
/// the `.target` of the PTX: sm_80 code run as sm_90 rounds as Hopper does.
enum class Chip { SM80, SM86, SM89, SM90, SM100, SM120 };

/// Reads "sm_80", "sm_90a", "sm_100a", ...; nothing for an unknown name.
std::optional<Chip> parseChip(std::string_view name);
std::string_view chipName(Chip chip);

/// When an asynchronous operation (cp.async, bulk and tensor copies, wgmma,
/// tcgen05) takes effect.
enum class AsyncMode {
  Eager,  ///< At issue.
  Lazy,   ///< Only when some wait demands it; until then its destination is
          ///< poisoned, and its source is sampled at completion.
  Random, ///< At a point between issue and wait drawn from the seed.
};

/// Reads "eager", "lazy" or "random".
std::optional<AsyncMode> parseAsyncMode(std::string_view name);

//===----------------------------------------------------------------------===//
// Modules
//===----------------------------------------------------------------------===//

/// Why a PTX text was refused.
struct Diagnostic {
  unsigned line = 0;   ///< 1-based line of the PTX text, 0 if none applies.
  std::string text;    ///< That line, trimmed.
  std::string message; ///< What was expected and what was found.

  /// "line 12: unknown instruction 'foo.b32': `foo.b32 %r1, %r2;`".
  std::string str() const;
};

/// One parameter of a kernel, in declaration order.
struct ParamInfo {
  std::string name;
  uint32_t size = 0;   ///< Bytes; arrays (by-value structs) count whole.
  uint32_t align = 0;  ///< Bytes.
  uint32_t offset = 0; ///< Byte offset in the parameter buffer.
};

/// What is known of a kernel without running it.
struct KernelInfo {
  std::string name;
  unsigned line = 0;
  std::vector<ParamInfo> params;
  uint32_t paramBytes = 0;         ///< Size of the whole parameter buffer.
  uint32_t staticSharedBytes = 0;  ///< `.shared` variables it may reach.
  uint32_t dynamicSharedAlign = 1; ///< Of `extern .shared`, 1 if none.
  uint32_t localBytes = 0;         ///< `.local` bytes per thread.
  std::array<uint32_t, 3> maxntid = {0, 0, 0}; ///< 0 where not given.
  std::array<uint32_t, 3> reqntid = {0, 0, 0}; ///< 0 where not given.
  /// CTAs of a cluster (`.reqnctapercluster`), 0 where not given.
  std::array<uint32_t, 3> reqnctapercluster = {0, 0, 0};
  uint32_t minnctapersm = 0;
  uint32_t maxnreg = 0;
};

class ModuleImpl;

/// A parsed and decoded PTX text. Immutable; any number of launches may share
/// it, also concurrently.
class Module {
public:
  /// Parses `ptx` and decodes its kernels, or `only` the one of that name:
  /// what another kernel of the text needs is then no matter, and a large text
  /// is ready sooner. On failure returns null and fills `error`; an instruction
  /// that the emulator does not know is such a failure.
  static std::unique_ptr<Module> parse(std::string_view ptx, Diagnostic &error,
                                       std::string_view only = {});
  ~Module();
  Module(const Module &) = delete;
  Module &operator=(const Module &) = delete;

  /// The kernels that were decoded.
  const std::vector<KernelInfo> &kernels() const;
  /// The names of all kernels of the text, decoded or not.
  std::vector<std::string> kernelNames() const;
  /// The kernel of that name, or null.
  const KernelInfo *kernel(std::string_view name) const;
  /// Line `line` (1-based) of the PTX text, trimmed.
  std::string_view lineText(unsigned line) const;
  /// The `.target` chip text, e.g. "sm_80".
  std::string_view target() const;

  const ModuleImpl &impl() const { return *body; }

private:
  explicit Module(std::unique_ptr<ModuleImpl> impl);
  std::unique_ptr<ModuleImpl> body;
};

//===----------------------------------------------------------------------===//
// Device memory
//===----------------------------------------------------------------------===//

/// What a fresh buffer holds.
enum class Contents {
  Zero,          ///< Zeros that count as initialised.
  Uninitialised, ///< A read before a write is reported.
};

/// Global memory: named buffers, each with its own 64-bit device address and
/// with unmapped guard zones around it, so that an access one byte past its
/// end is reported even where another buffer would have caught it. Buffers
/// are never merged or moved. Addresses are aligned to 256 bytes, like those
/// of cudaMalloc.
class Device {
public:
  Device();
  ~Device();
  Device(const Device &) = delete;
  Device &operator=(const Device &) = delete;

  /// Makes a buffer of exactly `bytes` bytes (0 allowed) and returns its
  /// device address. `name` appears in reports; it must not be taken yet
  /// (returns 0 then).
  uint64_t allocate(std::string_view name, size_t bytes, Contents contents);

  /// Forgets the buffer that starts at `address`; its addresses are not used
  /// again. False if none starts there.
  bool release(uint64_t address);

  /// Device address of the buffer `name`, 0 if there is none.
  uint64_t address(std::string_view name) const;

  /// The host's view of the buffer that starts at `address`; empty if none
  /// starts there. Writing through it does not change which bytes count as
  /// initialised: see write().
  std::span<std::byte> bytes(uint64_t address);

  /// Copies to device memory and marks the bytes initialised. False if
  /// [address, address + size) is not inside one buffer.
  bool write(uint64_t address, const void *source, size_t size);

  /// Copies from device memory. False if the range is not inside one buffer.
  bool read(uint64_t address, void *destination, size_t size) const;

  /// Marks bytes as never to be read by a kernel before it writes them
  /// (padding, rows that a mask hides). False if out of range.
  bool poison(uint64_t address, size_t size);

  /// Bytes of [address, address + size) still marked uninitialised or
  /// poisoned: what a kernel should have written and did not.
  size_t uninitialisedBytes(uint64_t address, size_t size) const;

  class Impl;
  Impl &impl() const { return *body; }

private:
  std::unique_ptr<Impl> body;
};

//===----------------------------------------------------------------------===//
// Launching
//===----------------------------------------------------------------------===//

/// Lays the arguments of one kernel out as its parameter buffer.
class ArgumentBuffer {
public:
  explicit ArgumentBuffer(const KernelInfo &kernel);

  /// Sets parameter `index`. False if there is no such parameter or its size
  /// is not `size`.
  bool setBytes(unsigned index, const void *data, size_t size);
  template <typename T> bool set(unsigned index, T value) {
    return setBytes(index, &value, sizeof(value));
  }
  const std::vector<std::byte> &bytes() const { return storage; }

private:
  std::vector<ParamInfo> params;
  std::vector<std::byte> storage;
};

/// The checks a launch makes; all on unless speed alone is wanted.
struct Checks {
  bool races = true;
  bool uninitialised = true; ///< Registers, shared and marked global bytes.
};

struct LaunchConfig {
  std::array<uint32_t, 3> grid = {1, 1, 1};  ///< CTAs.
  std::array<uint32_t, 3> block = {1, 1, 1}; ///< Threads.
  /// CTAs per cluster, at most 16 (1 before sm_90); each extent divides the
  /// grid's. 1x1x1 stands for the kernel's `.reqnctapercluster` if it has one.
  std::array<uint32_t, 3> cluster = {1, 1, 1};
  uint32_t dynamicSharedBytes = 0;
  /// The CTAs that run, by x + grid.x * (y + grid.y * z), or clusters likewise
  /// where they have more than one CTA; empty for the whole grid. The others
  /// are as if they had not been scheduled yet.
  std::vector<uint64_t> only;
  Chip chip = Chip::SM80;
  AsyncMode async = AsyncMode::Eager;
  uint64_t seed = 0; ///< Orders warps and random completions.
  /// Warp instructions one CTA may execute before it counts as endless.
  uint64_t instructionBudget = 4'000'000'000;
  unsigned threads = 0; ///< Host threads for CTAs; 0 = all cores.
  Checks checks;
  bool counters = false;   ///< Gather memory counters (see Counters).
  unsigned maxIssues = 32; ///< Distinct issues kept; more are only counted.
  /// Adds a seeded error of at most 2 ulp to ex2, lg2, rcp, rsqrt, sqrt, sin
  /// and cos .approx instead of rounding them correctly.
  bool adversarialApprox = false;
};

enum class IssueKind {
  Race,
  Deadlock,
  OutOfBounds,
  Misaligned,
  Uninitialised,
  Poisoned,     ///< Data of an asynchronous operation still in flight.
  Divergence,   ///< An `.aligned` or `.sync` instruction without its lanes.
  Barrier,      ///< Misuse of a barrier (count, id).
  TensorMemory, ///< Misuse of tensor memory: allocation, descriptors, waits.
  Budget,       ///< The instruction budget ran out.
  Trap,         ///< trap, brkpt or a failed device assertion.
  Launch,       ///< The launch itself is wrong (block size, shared bytes, ...).
  Unsupported,
  /// A register of a wgmma in flight was touched, or wgmma.fence is missing.
  RegisterHazard,
  Registers, ///< Misuse of setmaxnreg.
};

/// "race", "deadlock", "out-of-bounds", ...
std::string_view issueKindName(IssueKind kind);

/// One thing that went wrong. Repetitions by other lanes, warps, CTAs or loop
/// trips are folded into `count`.
struct Issue {
  IssueKind kind = IssueKind::Race;
  std::string kernel;
  unsigned line = 0;      ///< PTX line, 0 if none applies.
  std::string text;       ///< That line.
  unsigned otherLine = 0; ///< PTX line of the other access of a race.
  std::string source;     ///< "file:line" where the PTX has .loc, else "".
  std::array<uint32_t, 3> cta = {0, 0, 0};
  uint32_t warp = 0;
  uint32_t lanes = 0; ///< Mask of the lanes concerned.
  uint64_t count = 1;
  std::string message; ///< Complete sentence, with addresses and lanes.

  /// The whole report as one text, over several lines.
  std::string str() const;
};

/// Where an instruction issues.
enum class Pipe { ALU, FMA, FP64, MUFU, Tensor, LSU, Control };
constexpr unsigned kNumPipes = 7;
std::string_view pipeName(Pipe pipe);

/// Memory of one kind, for byte counts.
enum class Space { Global, Shared, Local, Param, Const };
constexpr unsigned kNumSpaces = 5;
std::string_view spaceName(Space space);

/// Counts of one PTX line or of a whole launch. `issued` and what derives from
/// it are always there; the memory counters need LaunchConfig::counters.
struct CounterSet {
  uint64_t issued = 0; ///< Warp instructions.
  std::array<uint64_t, kNumPipes> pipes = {};
  uint64_t tensorFlops = 0; ///< 2 per multiply-add.
  /// Shared-memory wavefronts: what the bank conflicts made them, and what
  /// the same bytes take without any.
  uint64_t sharedWavefronts = 0, sharedWavefrontsIdeal = 0;
  /// 32-byte sectors of global memory: touched, and needed by the bytes.
  uint64_t globalSectors = 0, globalSectorsIdeal = 0;
  std::array<uint64_t, kNumSpaces> bytesLoaded = {}, bytesStored = {};

  void add(const CounterSet &other);
};

struct LineCounters {
  unsigned line = 0;
  std::string text;
  std::string source; ///< "file:line" where the PTX has .loc, else "".
  CounterSet counts;
};

struct Counters {
  CounterSet total;
  std::vector<LineCounters> lines; ///< By line; only lines that ran.
  /// Warp instructions by opcode ("mma", "ld.shared", ...), by name.
  std::vector<std::pair<std::string, uint64_t>> opcodes;
};

struct Report {
  bool ok = true;            ///< No issue of any kind.
  std::vector<Issue> issues; ///< Distinct ones, in order of discovery.
  uint64_t races = 0;        ///< Distinct races, kept or not.
  bool deadlock = false;
  Counters counters;
  uint64_t warpInstructions = 0;
  double seconds = 0; ///< Wall clock.
};

/// Runs `kernel` of `module`. `params` is its parameter buffer (see
/// ArgumentBuffer). After an issue that makes going on meaningless (deadlock,
/// out of bounds, trap, budget) the launch stops; buffers then hold what had
/// been written.
Report launch(const Module &module, std::string_view kernel,
              std::span<const std::byte> params, Device &device,
              const LaunchConfig &config);

/// Prints counters as tables for people: totals, what was issued where, bytes,
/// the lines that were executed most, and those that waste most wavefronts of
/// shared memory and sectors of global memory.
void printCounters(std::ostream &os, const Report &report);

/// The report as the JSON members that flash-emulate and flash-run share
/// (`races`, `deadlock`, `errors`, `counters`), without enclosing braces, so
/// that a tool can put its own members beside them.
std::string reportJsonMembers(const Report &report);

} // namespace flash::emu

#endif // FLASH_EMULATOR_EMULATOR_H

//===- FlashPtxFuzz.cpp - Mutated PTX through the emulator ----------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Feeds mutated kernels to the emulator, runs those that it accepts on mutated
// arguments (buffers, structs by value, tensor maps) with a small instruction
// budget, and asks of every one:
// - no crash, no sanitizer report, no hang;
// - what is refused is refused with a message, a line and that line's text;
// - a report is either without issues or not ok, and prints as JSON and table.
//
// Cases run in forked children, a batch in each, so that a crash costs one case
// and leaves its text in --work-dir. The seed decides everything but how many
// cases --seconds leaves time for.
//
//===----------------------------------------------------------------------===//

#include "PtxMutator.h"
#include "flash/Emulator/Emulator.h"
#include "flash/Emulator/TensorMap.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <new>
#include <sstream>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace flash;
using namespace flash::fuzz;

extern "C" const char *__asan_default_options() {
  return "abort_on_error=1:handle_abort=1:allocator_may_return_null=1";
}
extern "C" const char *__ubsan_default_options() {
  return "print_stacktrace=1:halt_on_error=1:abort_on_error=1";
}

namespace {

struct Options {
  size_t cases = 2000;
  uint64_t seed = 1;
  unsigned minParsed = 30; ///< Per cent of all cases.
  unsigned timeout = 60;   ///< Seconds after which one case hangs.
  unsigned seconds = 0;    ///< No new case after that; 0 = no limit.
  size_t minCases = 0;     ///< Fewer done in --seconds are a failure.
  std::vector<std::string> inputs;
  std::string workDir = ".";
};

/// What a child tells its parent, in memory that both see.
struct Board {
  size_t cases, parsed, refused, launched, clean, failures;
  size_t kinds[32]; ///< Launches by the kind of their first issue.
  size_t index, length;
  char text[size_t(1) << 20];
};

//===----------------------------------------------------------------------===//
// One case
//===----------------------------------------------------------------------===//

constexpr size_t kBufferBytes = 256 * 1024;

/// Some tensor map over the buffer at `address`, often a wrong one.
emu::TensorMap makeTensorMap(uint64_t address, Random &random) {
  emu::TensorMapSpec spec;
  spec.type = emu::TensorMapType(random.below(13));
  spec.rank = 1 + unsigned(random.below(emu::kMaxTensorRank));
  spec.address = address + 16 * random.below(3);
  for (unsigned i = 0; i < spec.rank; ++i) {
    spec.dims[i] = 1 + random.below(i < 2 ? 64 : 4);
    spec.box[i] = uint32_t(1 + random.below(i < 2 ? 32 : 2));
    spec.elementStrides[i] = uint32_t(1 + random.below(2));
  }
  // Dimension 0 of a box takes a multiple of 16 bytes.
  spec.box[0] = std::max(1u, 16 / emu::elementBytes(spec.type)) *
                uint32_t(1 + random.below(4));
  spec.setDenseStrides();
  for (uint64_t &stride : spec.strides)
    stride = (stride + 15) / 16 * 16;
  spec.swizzle = emu::TensorMapSwizzle(random.below(7));
  spec.fill = emu::TensorMapFill(random.below(2));
  std::string error;
  std::optional<emu::TensorMap> map = emu::encodeTensorMap(spec, error);
  emu::TensorMap result = map ? *map : emu::TensorMap();
  if (!map || random.oneIn(4)) {
    auto *bytes = reinterpret_cast<unsigned char *>(&result);
    for (size_t i = 1 + random.below(8); i > 0; --i)
      bytes[random.below(sizeof(result))] = uint8_t(random.next());
  }
  return result;
}

/// Fills the parameter buffer of `kernel`.
void setArguments(const emu::KernelInfo &kernel, emu::Device &device,
                  emu::ArgumentBuffer &args, Random &random) {
  for (unsigned p = 0; p < kernel.params.size(); ++p) {
    const emu::ParamInfo &param = kernel.params[p];
    std::vector<std::byte> bytes(param.size);
    auto put = [&](size_t at, const void *data, size_t size) {
      std::memcpy(bytes.data() + at, data,
                  std::min(size, bytes.size() - std::min(at, bytes.size())));
    };
    uint64_t buffer = device.allocate(
        param.name + std::to_string(p),
        random.oneIn(12) ? random.below(512) : kBufferBytes,
        random.oneIn(8) ? emu::Contents::Uninitialised : emu::Contents::Zero);
    if (param.size == 128 && param.align >= 64) {
      emu::TensorMap map = makeTensorMap(buffer, random);
      put(0, &map, sizeof(map));
    } else if (param.size >= 8) {
      // A pointer, or a struct that may hold pointers and counts.
      for (size_t at = 0; at + 8 <= param.size; at += 8) {
        uint64_t word = random.oneIn(8) ? random.next()
                        : at && random.oneIn(2)
                            ? random.below(64) | random.below(64) << 32
                            : buffer + (random.oneIn(8) ? random.below(64) : 0);
        put(at, &word, 8);
      }
    } else {
      static constexpr uint64_t values[] = {0, 1, 2, 16, 64, 100, 0x3f800000};
      uint64_t word = random.oneIn(8) ? random.next() : random.pick(values);
      put(0, &word, 8);
    }
    args.setBytes(p, bytes.data(), bytes.size());
  }
}

emu::LaunchConfig makeConfig(const emu::Module &module,
                             const emu::KernelInfo &kernel, Random &random) {
  emu::LaunchConfig config;
  static constexpr uint32_t blocks[] = {1, 31, 32, 64, 96, 128, 256, 384};
  config.block = {random.pick(blocks), 1, 1};
  if (kernel.reqntid[0] && !random.oneIn(16))
    config.block = kernel.reqntid;
  else if (kernel.maxntid[0] && !random.oneIn(16))
    config.block = kernel.maxntid;
  config.chip = emu::parseChip(module.target()).value_or(emu::Chip::SM80);
  if (random.oneIn(16))
    config.chip = emu::Chip(random.below(6));
  uint32_t cluster = 1;
  for (uint32_t extent : kernel.reqnctapercluster)
    cluster *= std::max(1u, std::min(extent, 16u));
  config.grid = {cluster * uint32_t(1 + random.below(3)), 1, 1};
  if (random.oneIn(16))
    config.cluster = {2, 1, 1};
  static constexpr uint32_t shared[] = {0, 1024, 16384, 65536};
  config.dynamicSharedBytes = random.pick(shared);
  if (random.oneIn(16))
    config.dynamicSharedBytes = uint32_t(random.below(256 * 1024));
  config.async = emu::AsyncMode(random.below(3));
  config.seed = random.next();
  config.instructionBudget = 1000 + random.below(20'000);
  config.threads = random.oneIn(16) ? 2 : 1;
  config.counters = random.oneIn(2);
  config.checks.races = !random.oneIn(8);
  config.checks.uninitialised = !random.oneIn(8);
  config.adversarialApprox = random.oneIn(8);
  return config;
}

/// What is wrong with how the emulator took `text`, "" if nothing.
std::string runCase(const std::string &text, Random &random, Board &board) {
  emu::Diagnostic error;
  std::unique_ptr<emu::Module> module = emu::Module::parse(text, error);
  if (!module) {
    ++board.refused;
    if (error.message.empty())
      return "refused without a message";
    if (error.line && error.str().find(error.text) == std::string::npos)
      return "refused without the text of the line";
    return "";
  }
  ++board.parsed;
  for (const emu::KernelInfo &kernel : module->kernels()) {
    emu::Device device;
    emu::ArgumentBuffer args(kernel);
    setArguments(kernel, device, args, random);
    emu::LaunchConfig config = makeConfig(*module, kernel, random);
    emu::Report report =
        emu::launch(*module, kernel.name, args.bytes(), device, config);
    ++board.launched;
    board.clean += report.ok;
    if (report.ok != report.issues.empty())
      return "report: ok does not agree with its issues";
    for (const emu::Issue &issue : report.issues)
      if (issue.message.empty() || issue.str().empty())
        return "issue without a message";
    if (!report.ok)
      ++board.kinds[unsigned(report.issues[0].kind) % std::size(board.kinds)];
    std::ostringstream table;
    emu::printCounters(table, report);
    if (table.str().empty() || emu::reportJsonMembers(report).empty())
      return "report prints nothing";
  }
  return "";
}

//===----------------------------------------------------------------------===//
// Batches in children
//===----------------------------------------------------------------------===//

void save(const std::string &path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// Each case has a generator of its own, so that one case can be repeated
/// without those before it.
void runBatch(const Options &options, const PtxCorpus &corpus, size_t begin,
              size_t end, Board &board) {
  for (size_t index = begin; index < end; ++index) {
    Random random(options.seed * 0x100000001b3ull + index);
    const std::string &kernel = random.pick(corpus.kernels);
    // Some run as they are: only their arguments are wrong then.
    std::string text =
        random.oneIn(16) ? kernel : mutatePtx(kernel, corpus, random);
    text.resize(std::min(text.size(), sizeof(board.text)));
    board.index = index;
    board.length = text.size();
    std::memcpy(board.text, text.data(), text.size());
    alarm(options.timeout);
    std::string complaint = runCase(text, random, board);
    alarm(0);
    ++board.cases;
    if (!complaint.empty()) {
      ++board.failures;
      std::string path =
          options.workDir + "/bad-" + std::to_string(index) + ".ptx";
      save(path, text);
      std::cerr << path << ": " << complaint << "\n";
    }
  }
}

/// Runs [begin, end) in a child; returns the first case not yet run.
size_t runInChild(const Options &options, const PtxCorpus &corpus, size_t begin,
                  size_t end, Board &board) {
  std::cout.flush();
  std::cerr.flush();
  board.index = begin;
  board.length = 0;
  pid_t child = fork();
  if (child < 0) {
    std::cerr << "flash-ptx-fuzz: fork: " << std::strerror(errno) << "\n";
    std::exit(1);
  }
  if (child == 0) {
    runBatch(options, corpus, begin, end, board);
    std::_Exit(0);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR)
    ;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
    return end;
  bool hung = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
  ++board.cases;
  ++board.failures;
  std::string path = options.workDir + "/" + (hung ? "hang-" : "crash-") +
                     std::to_string(board.index) + ".ptx";
  save(path, {board.text, board.length});
  std::cerr << path << ": "
            << (hung ? "no end within " + std::to_string(options.timeout) + " s"
                     : "crash")
            << "\n";
  return board.index + 1;
}

//===----------------------------------------------------------------------===//
// Command line
//===----------------------------------------------------------------------===//

bool readOptions(int argc, char **argv, Options &options) {
  for (int i = 1; i < argc; ++i) {
    std::string_view argument = argv[i];
    size_t equals = argument.find('=');
    std::string_view name = argument.substr(0, equals);
    std::string_view value =
        equals == std::string_view::npos ? "" : argument.substr(equals + 1);
    bool ok = true;
    auto number = [&](auto &into) {
      auto [end, problem] =
          std::from_chars(value.data(), value.data() + value.size(), into);
      ok = problem == std::errc() && end == value.data() + value.size();
    };
    if (name == "--cases")
      number(options.cases);
    else if (name == "--seed")
      number(options.seed);
    else if (name == "--min-parsed")
      number(options.minParsed);
    else if (name == "--min-cases")
      number(options.minCases);
    else if (name == "--timeout")
      number(options.timeout);
    else if (name == "--seconds")
      number(options.seconds);
    else if (name == "--inputs" && !value.empty())
      options.inputs.emplace_back(value);
    else if (name == "--work-dir" && !value.empty())
      options.workDir = value;
    else
      ok = false;
    if (!ok) {
      std::cerr << "flash-ptx-fuzz: unknown or malformed argument '" << argument
                << "': expected --cases=N, --seed=N, --min-parsed=PERCENT, "
                   "--min-cases=N, --timeout=SECONDS, --seconds=SECONDS, "
                   "--inputs=DIR or --work-dir=DIR\n";
      return false;
    }
  }
  return true;
}

bool readCorpus(const Options &options, PtxCorpus &corpus) {
  std::vector<std::string> names;
  for (const std::string &directory : options.inputs) {
    std::error_code problem;
    for (const auto &entry :
         std::filesystem::directory_iterator(directory, problem))
      if (entry.path().extension() == ".ptx")
        names.push_back(entry.path());
  }
  // The order of a directory differs between file systems; a seed must not.
  std::sort(names.begin(), names.end());
  for (const std::string &name : names) {
    std::ifstream file(name, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    corpus.add(text.str());
  }
  corpus.finish();
  if (!corpus.kernels.empty())
    return true;
  std::cerr << "flash-ptx-fuzz: no .ptx files with kernels in the directories "
               "of --inputs\n";
  return false;
}

} // namespace

int main(int argc, char **argv) {
  Options options;
  PtxCorpus corpus;
  if (!readOptions(argc, argv, options) || !readCorpus(options, corpus))
    return 1;
  void *shared = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) {
    std::cerr << "flash-ptx-fuzz: mmap: " << std::strerror(errno) << "\n";
    return 1;
  }
  Board &board = *new (shared) Board();
  auto start = std::chrono::steady_clock::now();
  auto elapsed = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() -
                                         start)
        .count();
  };
  constexpr size_t kBatch = 100;
  for (size_t next = 0; next < options.cases;) {
    if (options.seconds && elapsed() > options.seconds)
      break;
    size_t end = std::min(next + kBatch, options.cases);
    while (next < end)
      next = runInChild(options, corpus, next, end, board);
  }
  size_t percent = board.cases ? board.parsed * 100 / board.cases : 0;
  std::printf("seed %llu: %zu cases of %zu kernels in %.1f s\n"
              "  accepted  %zu (%zu %%)\n"
              "  refused   %zu\n"
              "  launched  %zu, of them without an issue %zu\n",
              (unsigned long long)options.seed, board.cases,
              corpus.kernels.size(), elapsed(), board.parsed, percent,
              board.refused, board.launched, board.clean);
  for (size_t kind = 0; kind < std::size(board.kinds); ++kind)
    if (board.kinds[kind])
      std::printf("    %-16s %zu\n",
                  std::string(emu::issueKindName(emu::IssueKind(kind))).c_str(),
                  board.kinds[kind]);
  std::printf("  failures  %zu\n", board.failures);
  if (percent < options.minParsed || board.cases < options.minCases) {
    std::cerr << "flash-ptx-fuzz: expected at least " << options.minCases
              << " cases and " << options.minParsed << " % accepted, got "
              << board.cases << " and " << percent << " %\n";
    return 1;
  }
  return board.failures != 0;
}

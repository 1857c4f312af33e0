//===- FlashFuzz.cpp - Mutated programs through the whole compiler --------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Feeds mutated programs and SPECs to the parser, the verifiers and the passes,
// and asks of every one:
// - no crash, no sanitizer report, no hang;
// - what is refused is refused with at least one error, and every error has a
//   place: a line and column of the input;
// - what is accepted is printed in a form that is accepted again.
//
// Cases run in forked children, a batch in each, so that a crash costs one case
// and leaves its input in --work-dir. The seed decides everything.
//
//===----------------------------------------------------------------------===//

#include "Compile.h"
#include "Mutator.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>
#include <cstring>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace flash::fuzz;

// Sanitizer settings that hold wherever this program is started:
// - allow_user_poisoning: LLVM's arenas poison what they have not handed out,
//   but only the half of LLVM that is inlined into instrumented code does so;
// - detect_leaks: dialects and passes keep registries that live until exit.
extern "C" const char *__asan_default_options() {
  return "allow_user_poisoning=0:detect_leaks=0:abort_on_error=1:"
         "handle_abort=1:allocator_may_return_null=1";
}
extern "C" const char *__ubsan_default_options() {
  return "print_stacktrace=1:abort_on_error=1";
}

namespace {

struct Options {
  size_t programs = 1000;
  size_t specs = 1000;
  uint64_t seed = 1;
  /// Per cent of all cases that must get past the parser.
  unsigned minParsed = 30;
  /// Seconds after which one case counts as hanging.
  unsigned timeout = 60;
  std::string inputs;
  std::string workDir = ".";
};

/// What a child tells its parent, in memory that both see.
struct Board {
  Counts counts;
  /// The case being run.
  size_t index;
  size_t length;
  char text[size_t(1) << 20];
};

/// Seed inputs: all programs of a directory and the lines of `specs.txt`.
struct Corpus {
  std::vector<std::string> programs;
  std::vector<std::string> specs;
};

bool readCorpus(const std::string &directory, Corpus &corpus) {
  std::vector<std::string> names;
  std::error_code error;
  for (llvm::sys::fs::directory_iterator it(directory, error), end;
       it != end && !error; it.increment(error))
    names.push_back(it->path());
  // The order of a directory differs between file systems; a seed must not.
  llvm::sort(names);
  for (const std::string &name : names) {
    auto buffer = llvm::MemoryBuffer::getFile(name);
    if (!buffer)
      continue;
    llvm::StringRef text = (*buffer)->getBuffer();
    if (llvm::sys::path::extension(name) == ".mlir") {
      corpus.programs.push_back(text.str());
    } else if (llvm::sys::path::filename(name) == "specs.txt") {
      for (llvm::StringRef line : llvm::split(text, '\n'))
        if (!line.empty() && !line.starts_with("#"))
          corpus.specs.push_back(line.str());
    }
  }
  if (corpus.programs.empty() || corpus.specs.empty()) {
    llvm::errs() << "flash-fuzz: no .mlir files or no specs.txt in '"
                 << directory << "'\n";
    return false;
  }
  return true;
}

/// Runs the cases [begin, end) in this process. Each case has a generator of
/// its own, so that one case can be repeated without those before it.
void runBatch(const Options &options, const Corpus &corpus, size_t begin,
              size_t end, Board &board) {
  Compiler compiler(board.counts);
  for (size_t index = begin; index < end; ++index) {
    Random random(options.seed * 0x100000001b3ull + index);
    bool isProgram = index < options.programs;
    std::string text =
        isProgram ? mutateProgram(random.pick(corpus.programs), corpus.programs,
                                  random)
                  : mutateSpec(random.pick(corpus.specs), random);
    text.resize(std::min(text.size(), sizeof(board.text)));
    board.index = index;
    board.length = text.size();
    std::memcpy(board.text, text.data(), text.size());
    alarm(options.timeout);
    std::string complaint = isProgram ? compiler.runProgram(text, random)
                                      : compiler.runSpec(text, random);
    alarm(0);
    ++board.counts.cases;
    if (!complaint.empty()) {
      ++board.counts.failures;
      std::string path = options.workDir + "/bad-" + std::to_string(index) +
                         (isProgram ? ".mlir" : ".spec");
      std::error_code error;
      llvm::raw_fd_ostream(path, error) << text;
      llvm::errs() << path << ": " << complaint << "\n";
    }
  }
}

/// Runs [begin, end) in a child; returns the first case not yet run.
size_t runInChild(const Options &options, const Corpus &corpus, size_t begin,
                  size_t end, Board &board) {
  llvm::outs().flush();
  llvm::errs().flush();
  board.index = begin;
  board.length = 0;
  pid_t child = fork();
  if (child < 0) {
    llvm::errs() << "flash-fuzz: fork: " << std::strerror(errno) << "\n";
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
  // A crash can also come when the context is destroyed, after the last case.
  board.counts.cases = board.index + 1;
  ++board.counts.failures;
  std::string path =
      options.workDir + "/" + (hung ? "hang-" : "crash-") +
      std::to_string(board.index) +
      (board.index < options.programs ? ".mlir" : ".spec");
  std::error_code error;
  llvm::raw_fd_ostream(path, error)
      << llvm::StringRef(board.text, board.length);
  llvm::errs() << path << ": "
               << (hung ? "no end within " + std::to_string(options.timeout) +
                              " s"
                        : "crash")
               << "\n";
  return board.index + 1;
}

bool readOptions(int argc, char **argv, Options &options) {
  for (int i = 1; i < argc; ++i) {
    llvm::StringRef argument = argv[i];
    auto [name, value] = argument.split('=');
    bool bad = false;
    if (name == "--programs")
      bad = value.getAsInteger(10, options.programs);
    else if (name == "--specs")
      bad = value.getAsInteger(10, options.specs);
    else if (name == "--seed")
      bad = value.getAsInteger(10, options.seed);
    else if (name == "--min-parsed")
      bad = value.getAsInteger(10, options.minParsed);
    else if (name == "--timeout")
      bad = value.getAsInteger(10, options.timeout);
    else if (name == "--inputs")
      options.inputs = value.str();
    else if (name == "--work-dir")
      options.workDir = value.str();
    else
      bad = true;
    if (bad) {
      llvm::errs() << "flash-fuzz: unknown or malformed argument '" << argument
                   << "': expected --programs=N, --specs=N, --seed=N, "
                      "--min-parsed=PERCENT, --timeout=SECONDS, --inputs=DIR or "
                      "--work-dir=DIR\n";
      return false;
    }
  }
  return true;
}

} // namespace

int main(int argc, char **argv) {
  Options options;
  Corpus corpus;
  if (!readOptions(argc, argv, options) || !readCorpus(options.inputs, corpus))
    return 1;

  void *shared = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) {
    llvm::errs() << "flash-fuzz: mmap: " << std::strerror(errno) << "\n";
    return 1;
  }
  Board &board = *new (shared) Board();

  // A context grows with what it has seen, so a batch is not long.
  constexpr size_t kBatch = 200;
  size_t total = options.programs + options.specs;
  auto start = std::chrono::steady_clock::now();
  bool onTerminal = isatty(STDERR_FILENO);
  for (size_t next = 0; next < total;) {
    size_t end = std::min(next + kBatch, total);
    while (next < end)
      next = runInChild(options, corpus, next, end, board);
    if (onTerminal)
      llvm::errs() << "\r" << next << " of " << total << " cases";
  }
  if (onTerminal)
    llvm::errs() << "\n";
  double seconds = std::chrono::duration<double>(
                       std::chrono::steady_clock::now() - start)
                       .count();

  const Counts &counts = board.counts;
  unsigned percent =
      counts.cases ? unsigned(counts.parsed * 100 / counts.cases) : 0;
  llvm::outs() << "seed " << options.seed << ": " << counts.cases << " cases ("
               << options.programs << " programs, " << options.specs
               << " SPECs) in " << llvm::format("%.1f", seconds) << " s\n"
               << "  past the parser    " << counts.parsed << " (" << percent
               << " %)\n"
               << "  past the verifier  " << counts.verified << "\n"
               << "  lowered to tiles   " << counts.tiled << " of "
               << counts.tileTried << " tried\n"
               << "  compiled to PTX    " << counts.compiled << " of "
               << counts.compileTried << " tried\n"
               << "  refused            " << counts.refused << ", with "
               << counts.diagnostics << " located errors\n"
               << "  left out           " << counts.leftOut
               << " (MLIR's own parser crashes on them)\n"
               << "  failures           " << counts.failures << "\n";
  if (percent < options.minParsed) {
    llvm::errs() << "flash-fuzz: expected at least " << options.minParsed
                 << " % past the parser, got " << percent << " %\n";
    return 1;
  }
  return counts.failures != 0;
}

//===- FuzzTests.cpp - Mutated PTX never crashes ----------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Seeded mutations of golden PTX, each a few edits of characters, words or
// lines. A text is refused with a located message or runs to a report; under
// the sanitizers this also proves that neither breaks a rule of the language.
//
//===----------------------------------------------------------------------===//

#include "Subjects.h"

#include <random>
#include <set>

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

std::vector<std::string> split(const std::string &text) {
  std::vector<std::string> lines;
  std::stringstream stream(text);
  for (std::string line; std::getline(stream, line);)
    lines.push_back(line);
  return lines;
}

/// The lines of one kernel of a golden file, with the file's header: all before
/// its body, and its body.
std::pair<std::string, std::string> kernelOf(const std::string &text,
                                             const std::string &name) {
  size_t entry = text.find(".visible .entry " + name + "(");
  size_t first = text.find(".visible .entry");
  EXPECT_NE(entry, std::string::npos) << name;
  size_t body = text.find("\n{", entry) + 3;
  // A block of inline assembly ends at the margin too.
  size_t end = text.find("\n}\n", body);
  while (text.compare(end + 3, 18, "\t// end inline asm") == 0)
    end = text.find("\n}\n", end + 3);
  return {text.substr(0, first) + text.substr(entry, body - entry),
          text.substr(body, end + 3 - body)};
}

class Mutator {
public:
  explicit Mutator(uint32_t seed) : random(seed) {}

  std::string mutate(const std::string &text,
                     const std::vector<std::string> &words) {
    std::vector<std::string> lines = split(text);
    unsigned edits = 1 + random() % 3;
    for (unsigned i = 0; i < edits; ++i) {
      std::string &line = lines[random() % lines.size()];
      switch (random() % 8) {
      case 0: // Another line in its place.
        line = lines[random() % lines.size()];
        break;
      case 1:
        line.clear();
        break;
      case 2:
        std::swap(line, lines[random() % lines.size()]);
        break;
      case 3: { // A word of the corpus in place of a word.
        size_t at =
            line.find_first_of("%.abcdefghijklmnopqrstuvwxyz0123456789");
        if (at == std::string::npos)
          break;
        size_t skip = random() % (line.size() - at);
        size_t start = line.find_first_of(" \t,{[(.", at + skip);
        start = start == std::string::npos ? at : start + 1;
        size_t stop = line.find_first_of(" \t,;}])", start);
        if (start < line.size())
          line.replace(start, stop == std::string::npos ? stop : stop - start,
                       words[random() % words.size()]);
        break;
      }
      case 4: // A character.
        if (!line.empty())
          line[random() % line.size()] = char(random() % 256);
        break;
      case 5: // A number.
        for (char &c : line)
          if (c >= '0' && c <= '9' && random() % 2)
            c = char('0' + random() % 10);
        break;
      case 6: // Cut.
        line.resize(line.size() / 2);
        break;
      case 7: { // Twice. The copy keeps `line` from moving under itself.
        std::string copy = line;
        line += "\n" + copy;
        break;
      }
      }
    }
    std::string result;
    for (const std::string &line : lines)
      result += line + "\n";
    return result;
  }

private:
  std::mt19937 random;
};

std::vector<std::string> wordsOf(const std::string &text) {
  std::vector<std::string> words = {
      "0",      "-1",     "4294967295", "0f7F800000", "0d7FF0000000000000",
      "%tid.x", "v4",     "b64",        "b8",         "pred",
      "shared", "global", "trans",      "99999999999"};
  std::stringstream stream(text);
  for (std::string word; stream >> word;)
    if (words.size() < 4000)
      words.push_back(word);
  return words;
}

TEST(Fuzz, MutatedKernels) {
  struct Seed {
    const char *file, *kernel;
    unsigned smem;
  };
  static constexpr Seed seeds[] = {
      {"vector.ptx", "reduce_shuffle", 0}, {"vector.ptx", "lane_chain", 0},
      {"vector.ptx", "histogram", 0},      {"scalar.ptx", "int_ops", 0},
      {"scalar.ptx", "convert_ops", 0},    {"matrix.ptx", "mma_f16_k16", 0},
      {"matrix.ptx", "ldmatrix_all", 0},
  };
  constexpr unsigned perSeed = 1500; // 10,500 texts.
  unsigned parsed = 0, refused = 0, clean = 0;
  for (const Seed &seed : seeds) {
    auto [head, body] = kernelOf(readInput(seed.file), seed.kernel);
    std::string text = head + body;
    ASSERT_TRUE(parse(text)) << seed.kernel;
    std::vector<std::string> words = wordsOf(text);
    for (unsigned i = 0; i < perSeed; ++i) {
      Mutator mutator(i * 16 + unsigned(&seed - seeds));
      std::string mutant = mutator.mutate(text, words);
      Diagnostic error;
      auto module = Module::parse(mutant, error);
      if (!module) {
        ++refused;
        ASSERT_FALSE(error.message.empty()) << mutant;
        continue;
      }
      ++parsed;
      for (const KernelInfo &kernel : module->kernels()) {
        Device device;
        ArgumentBuffer args(kernel);
        for (unsigned p = 0; p < kernel.params.size(); ++p) {
          uint64_t value = 64;
          if (kernel.params[p].size == 8)
            value = device.allocate(kernel.params[p].name + std::to_string(p),
                                    4096, Contents::Zero);
          args.setBytes(p, &value, std::min(kernel.params[p].size, 8u));
        }
        LaunchConfig config;
        config.threads = 1;
        config.block = {64, 1, 1};
        config.async = AsyncMode(i % 3);
        config.seed = i;
        config.counters = i % 2;
        config.instructionBudget = 20'000;
        Report report =
            launch(*module, kernel.name, args.bytes(), device, config);
        clean += report.ok;
        EXPECT_EQ(report.ok, report.issues.empty());
      }
    }
  }
  // The mutations must reach past the parser, or the test says little.
  EXPECT_GT(parsed, 7 * perSeed * 3 / 10)
      << refused << " refused, " << clean << " clean";
}

// As above for what waits and copies asynchronously, with arguments that let
// it run; so only the body changes.
TEST(Fuzz, MutatedPipelines) {
  std::vector<Subject> all;
  std::set<std::string> kernels;
  for (auto list : {barrierSubjects, tensorMapSubjects, clusterSubjects,
                    wgmmaSubjects, specialisedSubjects, tcgen05Subjects})
    for (Subject &subject : list())
      if (kernels.insert(subject.kernel).second)
        all.push_back(std::move(subject));
  constexpr unsigned perSeed = 200; // Of 39 kernels.
  unsigned parsed = 0, clean = 0;
  for (size_t number = 0; number < all.size(); ++number) {
    const Subject &subject = all[number];
    auto [head, body] = kernelOf(readInput(subject.file), subject.kernel);
    ASSERT_TRUE(parse(head + body)) << subject.kernel;
    std::vector<std::string> words = wordsOf(body);
    for (unsigned i = 0; i < perSeed; ++i) {
      Mutator mutator(uint32_t(i * 128 + number));
      Diagnostic error;
      auto module = Module::parse(head + mutator.mutate(body, words), error);
      if (!module || !module->kernel(subject.kernel)) {
        EXPECT_TRUE(module || !error.message.empty());
        continue;
      }
      ++parsed;
      KernelRun run(*module, subject.kernel);
      subject.prepare(run);
      run.config.threads = 1;
      run.config.async = AsyncMode(i % 3);
      run.config.seed = i;
      run.config.counters = i % 2;
      run.config.instructionBudget = 20'000;
      Report report = run.go();
      clean += report.ok;
      EXPECT_EQ(report.ok, report.issues.empty());
    }
  }
  EXPECT_GT(parsed, all.size() * perSeed * 3 / 10) << clean << " clean";
}

} // namespace

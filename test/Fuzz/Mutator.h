//===- Mutator.h - Seeded mutations of programs and SPECs -------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Mutations that know what they mutate. Random bytes rarely get past a parser;
// a changed size, element type, operation name or operand usually does, and it
// is verifiers and lowerings that are to be surprised. Everything follows from
// the generator's seed.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_TEST_FUZZ_MUTATOR_H
#define FLASH_TEST_FUZZ_MUTATOR_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace flash::fuzz {

/// SplitMix64: the same sequence on every machine for one seed.
class Random {
public:
  explicit Random(uint64_t seed) : state(seed) {}

  uint64_t next() {
    uint64_t z = (state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  /// In [0, bound); `bound` must not be 0.
  size_t below(size_t bound) { return next() % bound; }
  /// True once in `n` calls, on average.
  bool oneIn(size_t n) { return below(n) == 0; }

  template <typename Container> const auto &pick(const Container &from) {
    return from[below(std::size(from))];
  }

private:
  uint64_t state;
};

/// `program` after one to three mutations. `corpus` are the programs whose
/// lines may be spliced in.
std::string mutateProgram(std::string program,
                          const std::vector<std::string> &corpus,
                          Random &random);

/// `spec`, a comma-separated list of keys, after one to three mutations.
std::string mutateSpec(std::string spec, Random &random);

} // namespace flash::fuzz

#endif // FLASH_TEST_FUZZ_MUTATOR_H

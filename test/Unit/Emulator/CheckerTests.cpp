//===- CheckerTests.cpp - The race checker by itself ------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Lanes that access parts of 16 bytes together are a faster way to say that
// each accesses its part: random histories are told to two checkers, one of
// each way, which must find the same.
//
//===----------------------------------------------------------------------===//

#include "Checker.h"

#include "gtest/gtest.h"

#include <random>

using namespace flash::emu;

namespace {

constexpr unsigned kWarps = 3, kBytes = 64;

class Histories {
public:
  explicit Histories(uint32_t seed) : random(seed) {}

  void step() {
    unsigned warp = below(kWarps);
    switch (below(12)) {
    case 0: // Any lanes go through a lock, a warp after another.
      synchronise(warp, random() & random(), below(2));
      break;
    case 1:
      synchronise(warp, ~0u, below(2));
      break;
    case 2: {
      uint32_t lanes = below(3) ? ~0u : uint32_t(random());
      each([&](Checker &checker) { checker.syncWarp(warp, lanes, ~0u); });
      break;
    }
    case 3:
      if (!below(8))
        each([&](Checker &checker) { checker.newGeneration(); });
      break;
    case 4:
    case 5:
      single(warp);
      break;
    default:
      spread(warp);
      break;
    }
  }

  unsigned findings = 0, clean = 0;

private:
  unsigned below(unsigned bound) { return unsigned(random() % bound); }
  template <typename F> void each(F act) {
    act(together);
    act(apart);
  }

  void synchronise(unsigned warp, uint32_t lanes, bool releases) {
    if (!lanes)
      return;
    if (releases) {
      each([&](Checker &checker) {
        checker.release(warp, lanes, &checker == &together ? lock : otherLock);
      });
      return;
    }
    each([&](Checker &checker) {
      checker.acquire(warp, lanes, ~0u,
                      &checker == &together ? lock : otherLock);
    });
  }

  Accessor by(unsigned warp, unsigned lane, bool strong = false) {
    return {uint16_t(warp), uint8_t(lane), strong, ++pc};
  }

  /// One lane, any bytes.
  void single(unsigned warp) {
    unsigned bytes = 1u << below(5), offset = below(kBytes / bytes) * bytes;
    bool isWrite = below(2), silent = !below(4);
    Accessor who = by(warp, below(32), !below(4));
    Finding findings[2];
    unsigned next = 0;
    each([&](Checker &checker) {
      findings[next++] = isWrite ? checker.write(who, offset, bytes, silent)
                                 : checker.read(who, offset, bytes, true);
    });
    same(findings[0], findings[1]);
  }

  /// 2 to 16 lanes, one granule.
  void spread(unsigned warp) {
    unsigned count = 2u << below(4), offset = below(kBytes / 16) * 16;
    uint32_t lanes = ~0u;
    if (below(3)) // Often the same ones, as in kernels.
      lanes = ((uint64_t(1) << count) - 1) << (below(32 / count) * count);
    while (std::popcount(lanes) > int(count))
      lanes &= ~(1u << below(32));
    bool isWrite = below(2), silent = !below(4);
    Accessor first = by(warp, unsigned(std::countr_zero(lanes)));
    Finding whole = isWrite ? together.writeSpread(first, lanes, offset, silent)
                            : together.readSpread(first, lanes, offset, true);
    Finding part;
    for (uint32_t rest = lanes; rest; rest &= rest - 1) {
      Accessor who = first;
      who.lane = uint8_t(std::countr_zero(rest));
      unsigned bytes = 16 / count;
      Finding one = isWrite ? apart.write(who, offset, bytes, silent)
                            : apart.read(who, offset, bytes, true);
      offset += bytes;
      // Of several, whichever agrees with what the others found.
      if (one.kind != Finding::None &&
          (part.kind == Finding::None ||
           (one.kind == whole.kind && one.lane == whole.lane)))
        part = one;
    }
    same(whole, part);
  }

  void same(const Finding &a, const Finding &b) {
    ASSERT_EQ(a.kind != Finding::None, b.kind != Finding::None) << "pc " << pc;
    ++(a.kind == Finding::None ? clean : findings);
    if (a.kind == Finding::None)
      return;
    EXPECT_EQ(a.kind, b.kind) << "pc " << pc;
    EXPECT_EQ(a.lane, b.lane) << "pc " << pc;
  }

  std::mt19937 random;
  Checker together{kWarps, kBytes, false}, apart{kWarps, kBytes, false};
  Clock lock = together.makeClock(), otherLock = apart.makeClock();
  uint32_t pc = 0;
};

TEST(Checker, LanesTogetherAreLanesApart) {
  unsigned findings = 0, clean = 0;
  for (uint32_t seed = 0; seed < 300 && !::testing::Test::HasFailure();
       ++seed) {
    Histories histories(seed);
    for (unsigned i = 0; i < 300; ++i)
      histories.step();
    findings += histories.findings;
    clean += histories.clean;
  }
  // Neither always nor never.
  EXPECT_GT(findings, 1000u);
  EXPECT_GT(clean, 1000u);
}

} // namespace

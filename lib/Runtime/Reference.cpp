//===- Reference.cpp - Attention in float64 on the host -------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Plain three-step attention (scores, softmax, weighted sum) on whole rows: no
// online softmax, so that nothing is shared with what it checks. Rows are done
// four at a time, which is what makes it fast: each loaded vector of K or V
// serves four rows from registers.
//
//===----------------------------------------------------------------------===//

#include "flash/Runtime/Reference.h"

#include "flash/Runtime/Float16.h"

#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <thread>

using namespace flash::runtime;

namespace {

constexpr int kRows = 4;
/// Query rows of one unit of work. Large enough that converting K and V, done
/// once per thread and head, is small beside it.
constexpr int64_t kUnitRows = 128;

template <typename T> struct Lanes {
  static constexpr int64_t kCount = 64 / sizeof(T);
  typedef T Type __attribute__((vector_size(64), aligned(sizeof(T))));
};

int64_t roundUp(int64_t value, int64_t to) {
  return (value + to - 1) / to * to;
}

/// out[r][j] = sum_i a[r][i] * b[i][j] for four rows r, j in [jBegin, jEnd) in
/// whole vectors, i in [iBegin, iEnd).
template <typename T>
[[gnu::always_inline]] inline void
multiplyRowsImpl(const T *const a[kRows], const T *b, int64_t bStride,
                 int64_t iBegin, int64_t iEnd, int64_t jBegin, int64_t jEnd,
                 T *const out[kRows]) {
  using Vector = typename Lanes<T>::Type;
  for (int64_t j = jBegin; j < jEnd; j += Lanes<T>::kCount) {
    Vector sum0{}, sum1{}, sum2{}, sum3{};
    const T *column = b + iBegin * bStride + j;
    for (int64_t i = iBegin; i < iEnd; ++i, column += bStride) {
      Vector row = *reinterpret_cast<const Vector *>(column);
      sum0 += a[0][i] * row;
      sum1 += a[1][i] * row;
      sum2 += a[2][i] * row;
      sum3 += a[3][i] * row;
    }
    *reinterpret_cast<Vector *>(out[0] + j) = sum0;
    *reinterpret_cast<Vector *>(out[1] + j) = sum1;
    *reinterpret_cast<Vector *>(out[2] + j) = sum2;
    *reinterpret_cast<Vector *>(out[3] + j) = sum3;
  }
}

#if defined(__x86_64__)
template <typename T>
[[gnu::target("avx2,fma")]] void
multiplyRowsAVX2(const T *const a[kRows], const T *b, int64_t bStride,
                 int64_t iBegin, int64_t iEnd, int64_t jBegin, int64_t jEnd,
                 T *const out[kRows]) {
  multiplyRowsImpl(a, b, bStride, iBegin, iEnd, jBegin, jEnd, out);
}
#endif

template <typename T>
void multiplyRows(const T *const a[kRows], const T *b, int64_t bStride,
                  int64_t iBegin, int64_t iEnd, int64_t jBegin, int64_t jEnd,
                  T *const out[kRows]) {
#if defined(__x86_64__)
  static const bool hasAVX2 =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (hasAVX2)
    return multiplyRowsAVX2(a, b, bStride, iBegin, iEnd, jBegin, jEnd, out);
#endif
  multiplyRowsImpl(a, b, bStride, iBegin, iEnd, jBegin, jEnd, out);
}

int64_t floorDiv(int64_t a, int64_t b) {
  int64_t quotient = a / b;
  return quotient - (a % b != 0 && (a < 0) != (b < 0));
}

/// One problem being computed in `T`: f64 for the reference, f32 for the one
/// that rounds as a kernel does.
template <typename T> class Computation {
public:
  Computation(const ReferenceProblem &problem, const StridedArray &q,
              const StridedArray &k, const StridedArray &v,
              const LowPrecision *low, ReferenceResult &result)
      : problem(problem), sizes(problem.sizes), q(q), k(k), v(v), low(low),
        result(result), group(sizes.hq / sizes.hkv),
        keyStride(roundUp(sizes.sk, Lanes<T>::kCount)),
        valueStride(roundUp(sizes.dv, Lanes<T>::kCount)) {
    if (problem.alibi)
      slopes = alibiSlopes(sizes.hq);
  }

  void run(unsigned threads) {
    int64_t chunks = (sizes.sq + kUnitRows - 1) / kUnitRows;
    int64_t units = sizes.b * sizes.hkv * chunks;
    if (threads == 0)
      threads = std::max(1u, std::thread::hardware_concurrency());
    threads = unsigned(std::min<int64_t>(threads, units));
    std::atomic<int64_t> next = 0;
    auto work = [&] {
      Worker worker(*this);
      for (int64_t unit; (unit = next++) < units;)
        worker.runUnit(unit / chunks / sizes.hkv, unit / chunks % sizes.hkv,
                       unit % chunks * kUnitRows);
    };
    std::vector<std::thread> pool;
    for (unsigned i = 1; i < threads; ++i)
      pool.emplace_back(work);
    work();
    for (std::thread &thread : pool)
      thread.join();
  }

private:
  static T headScale(const std::vector<double> &scales, int64_t b, int64_t head,
                     int64_t heads) {
    return scales.empty() ? T(1) : T(scales[size_t(b * heads + head)]);
  }

  /// A thread's copy of one head's K (transposed) and V, and its row buffers.
  struct Worker {
    explicit Worker(const Computation &c)
        : c(c), keys(size_t(c.sizes.d * c.keyStride)),
          values(size_t(c.sizes.sk * c.valueStride)) {
      for (int r = 0; r < kRows; ++r) {
        queries[r].resize(size_t(c.sizes.d));
        scores[r].resize(size_t(c.keyStride));
        outputs[r].resize(size_t(c.valueStride));
        live[r].resize(size_t(c.sizes.sk));
      }
    }

    void loadHead(int64_t b, int64_t hkv) {
      if (b == loadedB && hkv == loadedHead)
        return;
      loadedB = b;
      loadedHead = hkv;
      for (int64_t s = 0; s < c.sizes.sk; ++s) {
        int64_t at = b * c.k.strides[0] + hkv * c.k.strides[1] +
                     s * c.k.strides[2] + c.k.offset;
        for (int64_t d = 0; d < c.sizes.d; ++d)
          keys[size_t(d * c.keyStride + s)] =
              T(c.k.loadIndex(at + d * c.k.strides[3]));
        at = b * c.v.strides[0] + hkv * c.v.strides[1] + s * c.v.strides[2] +
             c.v.offset;
        for (int64_t d = 0; d < c.sizes.dv; ++d)
          values[size_t(s * c.valueStride + d)] =
              T(c.v.loadIndex(at + d * c.v.strides[3]));
      }
    }

    void runUnit(int64_t b, int64_t hkv, int64_t firstRow) {
      loadHead(b, hkv);
      int64_t lastRow = std::min(firstRow + kUnitRows, c.sizes.sq);
      for (int64_t h = hkv * c.group; h < (hkv + 1) * c.group; ++h)
        for (int64_t row = firstRow; row < lastRow; row += kRows)
          runRows(b, h, row, int(std::min<int64_t>(kRows, lastRow - row)));
    }

    /// Rows [row, row + count) of head h; unused row slots are computed with
    /// whatever they last held and dropped.
    void runRows(int64_t b, int64_t h, int64_t row, int count) {
      int64_t begin = c.sizes.sk, end = 0;
      const T *a[kRows], *p[kRows];
      T *s[kRows], *o[kRows];
      for (int r = 0; r < kRows; ++r) {
        a[r] = queries[r].data();
        p[r] = s[r] = scores[r].data();
        o[r] = outputs[r].data();
        if (r >= count)
          continue;
        int64_t at = b * c.q.strides[0] + h * c.q.strides[1] +
                     (row + r) * c.q.strides[2] + c.q.offset;
        for (int64_t d = 0; d < c.sizes.d; ++d)
          queries[r][size_t(d)] = T(c.q.loadIndex(at + d * c.q.strides[3]));
        markLive(b, h, row + r, live[r], begin, end);
      }
      // Only keys that some row sees; at vector boundaries, as the product
      // stores whole vectors.
      begin = std::min(begin, end) / Lanes<T>::kCount * Lanes<T>::kCount;
      multiplyRows(a, keys.data(), c.keyStride, 0, c.sizes.d, begin,
                   roundUp(end, Lanes<T>::kCount), s);
      T sums[kRows];
      for (int r = 0; r < count; ++r)
        sums[r] = softmax(b, h, row + r, begin, end, scores[r], live[r]);
      multiplyRows(p, values.data(), c.valueStride, begin, end, 0,
                   c.valueStride, o);
      for (int r = 0; r < count; ++r)
        store(b, h, row + r, sums[r], outputs[r]);
    }

    /// Widens [begin, end) to the keys that this row sees.
    void markLive(int64_t b, int64_t h, int64_t row,
                  std::vector<uint8_t> &flags, int64_t &begin, int64_t &end) {
      for (int64_t key = 0; key < c.sizes.sk; ++key)
        flags[size_t(key)] = c.problem.isLive(row, key);
      if (c.problem.mask)
        c.problem.mask(b, h, row, 0, flags);
      const void *first = std::memchr(flags.data(), 1, flags.size());
      const void *last = ::memrchr(flags.data(), 1, flags.size());
      if (!first)
        return;
      auto position = [&](const void *at) {
        return static_cast<const uint8_t *>(at) - flags.data();
      };
      begin = std::min<int64_t>(begin, position(first));
      end = std::max<int64_t>(end, position(last) + 1);
    }

    /// Turns q . k into exp(s - max), rounded as asked, with zero where hidden.
    /// Returns the sum before rounding (a kernel sums in f32) and records lse.
    T softmax(int64_t b, int64_t h, int64_t row, int64_t begin, int64_t end,
              std::vector<T> &s, const std::vector<uint8_t> &flags) {
      constexpr T kInfinity = std::numeric_limits<T>::infinity();
      T scale = T(c.problem.scale) *
                c.headScale(c.problem.queryScales, b, h, c.sizes.hq) *
                c.headScale(c.problem.keyScales, b, h / c.group, c.sizes.hkv);
      for (int64_t key = begin; key < end; ++key)
        s[size_t(key)] *= scale;
      if (c.problem.score) {
        std::vector<double> wide(s.begin() + begin, s.begin() + end);
        c.problem.score(b, h, row, begin, wide);
        for (int64_t key = begin; key < end; ++key)
          s[size_t(key)] = T(wide[size_t(key - begin)]);
      }
      if (c.problem.alibi) {
        T slope = T(c.slopes[size_t(h)]);
        int64_t diagonal = row + c.sizes.sk - c.sizes.sq;
        for (int64_t key = begin; key < end; ++key)
          s[size_t(key)] += slope * T(key - diagonal);
      }
      if (c.problem.softcap) {
        T cap = T(*c.problem.softcap);
        for (int64_t key = begin; key < end; ++key)
          s[size_t(key)] = cap * std::tanh(s[size_t(key)] / cap);
      }
      T max = -kInfinity;
      bool dead = true;
      for (int64_t key = begin; key < end; ++key) {
        if (!flags[size_t(key)])
          s[size_t(key)] = -kInfinity;
        // Not -inf, rather than greater: a NaN score is no dead row.
        dead &= s[size_t(key)] == -kInfinity;
        max = std::max(max, s[size_t(key)]);
      }
      T sum = 0;
      for (int64_t key = begin; key < end; ++key) {
        T p =
            dead || !flags[size_t(key)] ? T(0) : std::exp(s[size_t(key)] - max);
        sum += p;
        s[size_t(key)] = round(p);
      }
      c.result.lse[size_t((b * c.sizes.hq + h) * c.sizes.sq + row)] =
          dead ? -std::numeric_limits<double>::infinity()
               : double(max) + std::log(double(sum));
      return dead ? T(0) : sum;
    }

    T round(T p) const {
      if (!c.low || c.low->p == DType::F32)
        return p;
      // Eight bits are used from their upper end, see flash.attention.
      if (c.low->p == DType::E4M3)
        return T(roundTo(DType::E4M3, double(p) * 0x1p8) * 0x1p-8);
      if (c.low->p == DType::E5M2)
        return T(roundTo(DType::E5M2, double(p) * 0x1p15) * 0x1p-15);
      if (c.low->p == DType::BF16)
        return T(bf16ToF32(f32ToBf16(float(p))));
      if (c.low->p == DType::F16)
        return T(f16ToF32(f32ToF16(float(p))));
      return T(roundTo(c.low->p, double(p)));
    }

    void store(int64_t b, int64_t h, int64_t row, T sum,
               const std::vector<T> &o) {
      double *to = c.result.o.data() +
                   ((b * c.sizes.hq + h) * c.sizes.sq + row) * c.sizes.dv;
      T scale =
          c.headScale(c.problem.valueScales, b, h / c.group, c.sizes.hkv);
      for (int64_t d = 0; d < c.sizes.dv; ++d) {
        double value = sum == T(0) ? 0.0 : double(o[size_t(d)] / sum * scale);
        to[d] = c.low ? roundTo(c.low->o, value) : value;
      }
    }

    const Computation &c;
    std::vector<T> keys, values;
    std::vector<T> queries[kRows], scores[kRows], outputs[kRows];
    std::vector<uint8_t> live[kRows];
    int64_t loadedB = -1, loadedHead = -1;
  };

  const ReferenceProblem &problem;
  const Sizes sizes;
  const StridedArray &q, &k, &v;
  const LowPrecision *low;
  ReferenceResult &result;
  int64_t group, keyStride, valueStride;
  std::vector<double> slopes;
};

template <typename T>
ReferenceResult compute(const ReferenceProblem &problem, const StridedArray &q,
                        const StridedArray &k, const StridedArray &v,
                        const LowPrecision *low, unsigned threads) {
  const Sizes &sizes = problem.sizes;
  ReferenceResult result;
  result.sizes = sizes;
  result.o.resize(size_t(sizes.b * sizes.hq * sizes.sq * sizes.dv));
  result.lse.resize(size_t(sizes.b * sizes.hq * sizes.sq));
  Computation<T>(problem, q, k, v, low, result).run(threads);
  forEachIndex(v, [&](int64_t index) {
    double value = std::fabs(v.loadIndex(index));
    if (std::isfinite(value))
      result.largestValue = std::max(result.largestValue, value);
  });
  return result;
}

} // namespace

ReferenceProblem ReferenceProblem::fromSpec(const AttentionSpec &spec,
                                            const Sizes &sizes) {
  ReferenceProblem problem;
  problem.sizes = sizes;
  problem.scale = spec.effectiveScale();
  problem.causal = spec.causal;
  problem.window = spec.window;
  problem.prefix = spec.prefix;
  problem.chunk = spec.chunk;
  problem.sink = spec.sink;
  problem.softcap = spec.softcap;
  problem.alibi = spec.alibi;
  return problem;
}

bool ReferenceProblem::isLive(int64_t q, int64_t k) const {
  int64_t p = q + sizes.sk - sizes.sq;
  if (causal == Causal::BottomRight && k > p)
    return false;
  if (causal == Causal::TopLeft && k > q)
    return false;
  if (prefix && k >= *prefix && k > p)
    return false;
  if (window) {
    if (window->right >= 0 && k > p + window->right)
      return false;
    if (window->left >= 0 && k < p - window->left && !(sink && k < *sink))
      return false;
  }
  return !chunk || floorDiv(p, *chunk) == floorDiv(k, *chunk);
}

ReferenceResult
flash::runtime::computeReference(const ReferenceProblem &problem,
                                 const StridedArray &q, const StridedArray &k,
                                 const StridedArray &v, unsigned threads) {
  return compute<double>(problem, q, k, v, nullptr, threads);
}

ReferenceResult flash::runtime::computeLowReference(
    const ReferenceProblem &problem, const StridedArray &q,
    const StridedArray &k, const StridedArray &v, LowPrecision low,
    unsigned threads) {
  return compute<float>(problem, q, k, v, &low, threads);
}

std::vector<double> flash::runtime::alibiSlopes(int64_t heads) {
  int64_t power = 1;
  while (power * 2 <= heads)
    power *= 2;
  std::vector<double> slopes;
  for (int64_t h = 0; h < power; ++h)
    slopes.push_back(std::exp2(-8.0 * double(h + 1) / double(power)));
  for (int64_t h = 0; int64_t(slopes.size()) < heads; h += 2)
    slopes.push_back(std::exp2(-8.0 * double(h + 1) / double(2 * power)));
  return slopes;
}

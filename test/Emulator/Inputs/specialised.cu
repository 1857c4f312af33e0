// Warp-specialised kernels: one warpgroup loads by tensor maps, the others
// multiply by wgmma. Everything in bf16, tiles under the 128-byte swizzle.
#include "hopper.cuh"
#include <cuda.h>

DEVICE uint32_t packBf16(float low, float high) {
  uint32_t r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
}
DEVICE float exp2Approx(float x) {
  float r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
  return r;
}

// The `step`-th 16 values of k of a tile of 64-element rows, k-major; and of a
// tile whose rows are k.
DEVICE uint64_t alongRows(uint32_t tile, int step) {
  return descriptor(tile + step * 32, 16, 1024, 128);
}
DEVICE uint64_t acrossRows(uint32_t tile, int step) {
  return descriptor(tile + step * 2048, 8192, 1024, 128);
}

// A warpgroup's 64 x 64 accumulators to a tile of bf16 in shared memory.
DEVICE void storeTile(uint32_t tile, const float (&d)[32]) {
  const int lane = threadIdx.x & 31, warp = threadIdx.x / 32 & 3;
  const int row = warp * 16 + (lane & 15);
#pragma unroll
  for (int n = 0; n < 4; ++n) {
    const uint32_t to =
        tile + swizzled(row * 128 + n * 32 + (lane >> 4) * 16, 128);
    asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], "
                 "{%1,%2,%3,%4};" ::"r"(to),
                 "r"(packBf16(d[8 * n], d[8 * n + 1])),
                 "r"(packBf16(d[8 * n + 2], d[8 * n + 3])),
                 "r"(packBf16(d[8 * n + 4], d[8 * n + 5])),
                 "r"(packBf16(d[8 * n + 6], d[8 * n + 7]))
                 : "memory");
  }
}

// c[m][n] = sum_k a[m][k] b[n][k]. A CTA takes every gridDim.x-th tile of
// 128 x 64, two consumer warpgroups have 64 rows each, two stages of 64 k.
extern "C" __global__ void __launch_bounds__(384, 1)
    gemm_specialised(const __grid_constant__ CUtensorMap a,
                     const __grid_constant__ CUtensorMap b,
                     const __grid_constant__ CUtensorMap c, int steps,
                     int columns, int tiles) {
  extern __shared__ __align__(1024) unsigned char memory[];
  __shared__ uint64_t full[2], empty[2];
  const uint32_t stages = sharedAddress(memory);
  constexpr uint32_t stageBytes = 24576, partB = 16384;
  const int group = threadIdx.x / 128, t = threadIdx.x % 128;
  if (threadIdx.x == 0) {
    for (int s = 0; s < 2; ++s) {
      barrierInit(sharedAddress(&full[s]), 1);
      barrierInit(sharedAddress(&empty[s]), 2);
    }
    fenceBarrierInit();
  }
  __syncthreads();
  int at = 0; // Stages used so far.
  if (group == 0) {
    fewerRegisters<40>();
    if (t == 0) {
#pragma unroll 1
      for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
#pragma unroll 1
        for (int k = 0; k < steps; ++k, ++at) {
          const uint32_t bar = sharedAddress(&full[at & 1]);
          const uint32_t to = stages + (at & 1) * stageBytes;
          wait(sharedAddress(&empty[at & 1]), ~(at >> 1) & 1);
          arriveExpectTx(bar, stageBytes);
          tensorLoad2(to, &a, k * 64, tile / columns * 128, bar);
          tensorLoad2(to + partB, &b, k * 64, tile % columns * 64, bar);
        }
      }
    }
  } else {
    moreRegisters<232>();
    const uint32_t rows = (group - 1) * 8192;
    const uint32_t out = stages + 2 * stageBytes + rows;
#pragma unroll 1
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
      float d[32];
#pragma unroll 1
      for (int k = 0; k < steps; ++k, ++at) {
        const uint32_t from = stages + (at & 1) * stageBytes;
        wait(sharedAddress(&full[at & 1]), at >> 1 & 1);
        wgmmaFence();
#pragma unroll
        for (int step = 0; step < 4; ++step)
          wgmmaBf16<0>(d, alongRows(from + rows, step),
                       alongRows(from + partB, step), k + step > 0);
        wgmmaCommit();
        // All but this stage's: the one before is free.
        wgmmaWait<1>();
        arriveIf(sharedAddress(&empty[~at & 1]), t == 0 && k > 0);
      }
      wgmmaWait<0>();
      arriveIf(sharedAddress(&empty[~at & 1]), t == 0);
      if (t == 0)
        bulkWaitRead<0>();
      namedSync(group, 128);
      storeTile(out, d);
      fenceProxyAsync();
      namedSync(group, 128);
      if (t == 0) {
        tensorStore2(&c, tile % columns * 64,
                     tile / columns * 128 + (group - 1) * 64, out);
        bulkCommit();
      }
    }
    if (t == 0)
      bulkWaitRead<0>();
  }
}

// As above for one 64 x 64 tile per CTA, f32 out; the two CTAs of a cluster
// need the same part of b, and each loads half of it for both.
extern "C" __global__ void __cluster_dims__(2, 1, 1) __launch_bounds__(256)
    gemm_multicast(const __grid_constant__ CUtensorMap a,
                   const __grid_constant__ CUtensorMap b, float *c, int steps) {
  __shared__ __align__(1024) unsigned char tileA[2][8192], tileB[2][8192];
  __shared__ uint64_t full[2], empty[2];
  const int t = threadIdx.x % 128;
  const uint32_t rank = clusterRank();
  if (threadIdx.x == 0) {
    for (int s = 0; s < 2; ++s) {
      barrierInit(sharedAddress(&full[s]), 1);
      barrierInit(sharedAddress(&empty[s]), 2);
    }
    fenceBarrierInit();
  }
  clusterArriveRelaxed();
  clusterWait();
  if (threadIdx.x < 128) {
    if (t == 0) {
#pragma unroll 1
      for (int k = 0; k < steps; ++k) {
        const int s = k & 1;
        const uint32_t bar = sharedAddress(&full[s]);
        waitCluster(sharedAddress(&empty[s]), ~(k >> 1) & 1);
        arriveExpectTx(bar, 16384);
        tensorLoad2(sharedAddress(tileA[s]), &a, k * 64, blockIdx.x * 64, bar);
        asm volatile(
            "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::"
            "complete_tx::bytes.multicast::cluster [%0], [%1, {%2, %3}], [%4], "
            "%5;" ::"r"(sharedAddress(tileB[s]) + rank * 4096),
            "l"(&b), "r"(k * 64), "r"(rank * 32), "r"(bar), "h"((uint16_t)3)
            : "memory");
      }
    }
  } else {
    float d[32];
#pragma unroll 1
    for (int k = 0; k < steps; ++k) {
      const int s = k & 1;
      wait(sharedAddress(&full[s]), k >> 1 & 1);
      wgmmaFence();
#pragma unroll
      for (int step = 0; step < 4; ++step)
        wgmmaBf16<0>(d, alongRows(sharedAddress(tileA[s]), step),
                     alongRows(sharedAddress(tileB[s]), step), k + step > 0);
      wgmmaCommit();
      wgmmaWait<0>();
      // Both CTAs write to both.
      asm volatile(
          "{\n"
          ".reg .pred chosen;\n"
          "setp.lt.u32 chosen, %1, 2;\n"
          "@chosen mbarrier.arrive.release.cluster.shared::cluster.b64 _, "
          "[%0];\n"
          "}" ::"r"(mapToRank(sharedAddress(&empty[s]), t & 1)),
          "r"(t)
          : "memory");
    }
    c += blockIdx.x * 4096;
#pragma unroll
    for (int i = 0; i < 32; ++i)
      c[(t / 32 * 16 + (t & 31) / 4 + (i >> 1 & 1) * 8) * 64 + i / 4 * 8 +
        (t & 3) * 2 + (i & 1)] = d[i];
  }
  // The other CTA may still write here and arrive here.
  clusterArriveRelaxed();
  clusterWait();
}

// Row maximum and row sum over the four lanes that share a row.
template <typename F> DEVICE float overRow(float v, F f) {
  v = f(v, __shfl_xor_sync(0xffffffffu, v, 1));
  return f(v, __shfl_xor_sync(0xffffffffu, v, 2));
}

// The online softmax of one tile of scores: scores become probabilities, m and
// l the running maxima and sums, alpha what the output is to be scaled by.
DEVICE void softmax(float (&s)[32], float (&m)[2], float (&l)[2],
                    float (&alpha)[2], float scale) {
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    float top = m[h], sum = 0;
#pragma unroll
    for (int i = 0; i < 32; i += 4)
      top = fmaxf(top, fmaxf(s[i + 2 * h], s[i + 2 * h + 1]));
    top = overRow(top, [](float x, float y) { return fmaxf(x, y); });
    alpha[h] = exp2Approx((m[h] - top) * scale);
    m[h] = top;
#pragma unroll
    for (int i = 0; i < 32; i += 4)
      for (int e = 0; e < 2; ++e) {
        float &p = s[i + 2 * h + e];
        p = exp2Approx(p * scale - top * scale);
        sum += p;
      }
    l[h] = l[h] * alpha[h] + sum;
  }
}

// FlashAttention-3's forward loop for d = 64: Q tiles of 128 rows on two
// consumer warpgroups, tiles of 64 keys in two stages; the scores of the next
// tile are computed while the last one's probabilities meet V. Tensors are
// [heads * seq][64]; `scale` includes log2(e).
extern "C" __global__ void __launch_bounds__(384, 1)
    attention_specialised(const __grid_constant__ CUtensorMap q,
                          const __grid_constant__ CUtensorMap k,
                          const __grid_constant__ CUtensorMap v,
                          const __grid_constant__ CUtensorMap o, float *lse,
                          int tiles, float scale) {
  extern __shared__ __align__(1024) unsigned char memory[];
  __shared__ uint64_t fullQ, fullK[2], emptyK[2], fullV[2], emptyV[2];
  const uint32_t tileQ = sharedAddress(memory), tilesK = tileQ + 16384,
                 tilesV = tilesK + 16384;
  const int group = threadIdx.x / 128, t = threadIdx.x % 128;
  if (threadIdx.x == 0) {
    barrierInit(sharedAddress(&fullQ), 1);
    for (int s = 0; s < 2; ++s) {
      barrierInit(sharedAddress(&fullK[s]), 1);
      barrierInit(sharedAddress(&fullV[s]), 1);
      barrierInit(sharedAddress(&emptyK[s]), 2);
      barrierInit(sharedAddress(&emptyV[s]), 2);
    }
    fenceBarrierInit();
  }
  __syncthreads();
  const int rowQ = (blockIdx.y * gridDim.x + blockIdx.x) * 128;
  if (group == 0) {
    fewerRegisters<24>();
    if (t == 0) {
      const int rowK = blockIdx.y * tiles * 64;
      arriveExpectTx(sharedAddress(&fullQ), 16384);
      tensorLoad2(tileQ, &q, 0, rowQ, sharedAddress(&fullQ));
auto load = [&](uint64_t *full, uint64_t *empty, uint32_t to,
                      const CUtensorMap *map, int j) {
        const int s = j & 1;
        if (j > 1)
          wait(sharedAddress(&empty[s]), ~(j >> 1) & 1);
        arriveExpectTx(sharedAddress(&full[s]), 8192);
        tensorLoad2(to + s * 8192, map, 0, rowK + j * 64,
                    sharedAddress(&full[s]));
      };
      load(fullK, emptyK, tilesK, &k, 0);
#pragma unroll 1
      for (int j = 1; j < tiles; ++j) {
        load(fullK, emptyK, tilesK, &k, j);
        load(fullV, emptyV, tilesV, &v, j - 1);
      }
      load(fullV, emptyV, tilesV, &v, tiles - 1);
    }
  } else {
    moreRegisters<240>();
    const uint32_t mine = tileQ + (group - 1) * 8192;
    float s[32], acc[32] = {}, m[2] = {-INFINITY, -INFINITY}, l[2] = {0, 0},
                 alpha[2];
    uint32_t p[4][4];
    auto scores = [&](int j) {
#pragma unroll
      for (int step = 0; step < 4; ++step)
        wgmmaBf16<0>(s, alongRows(mine, step),
                     alongRows(tilesK + (j & 1) * 8192, step), step > 0);
      wgmmaCommit();
    };
    auto outputs = [&](int j) {
#pragma unroll
      for (int step = 0; step < 4; ++step)
        wgmmaBf16<1>(acc, p[step], acrossRows(tilesV + (j & 1) * 8192, step),
                     1);
      wgmmaCommit();
    };
    auto pack = [&] {
#pragma unroll
      for (int step = 0; step < 4; ++step)
        for (int i = 0; i < 4; ++i)
          p[step][i] = packBf16(s[step * 8 + 2 * i], s[step * 8 + 2 * i + 1]);
    };
    wait(sharedAddress(&fullQ), 0);
    wait(sharedAddress(&fullK[0]), 0);
    wgmmaFence();
    scores(0);
    wgmmaWait<0>();
    arriveIf(sharedAddress(&emptyK[0]), t == 0);
    softmax(s, m, l, alpha, scale);
    pack();
#pragma unroll 1
    for (int j = 1; j < tiles; ++j) {
      wait(sharedAddress(&fullK[j & 1]), j >> 1 & 1);
      wgmmaFence();
      scores(j);
      wait(sharedAddress(&fullV[~j & 1]), (j - 1) >> 1 & 1);
      outputs(j - 1);
      wgmmaWait<1>();
      arriveIf(sharedAddress(&emptyK[j & 1]), t == 0);
      softmax(s, m, l, alpha, scale);
      wgmmaWait<0>();
      arriveIf(sharedAddress(&emptyV[~j & 1]), t == 0);
      pack();
#pragma unroll
      for (int i = 0; i < 32; ++i)
        acc[i] *= alpha[i >> 1 & 1];
    }
    wait(sharedAddress(&fullV[~tiles & 1]), (tiles - 1) >> 1 & 1);
    wgmmaFence();
    outputs(tiles - 1);
    wgmmaWait<0>();
    const int row = (group - 1) * 64 + t / 32 * 16 + (t & 31) / 4;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const float sum = overRow(l[h], [](float x, float y) { return x + y; });
      const float inverse = 1.0f / sum;
#pragma unroll
      for (int i = 0; i < 32; i += 4) {
        acc[i + 2 * h] *= inverse;
        acc[i + 2 * h + 1] *= inverse;
      }
      if ((t & 3) == 0)
        lse[rowQ + row + 8 * h] = m[h] * scale * 0.693147181f + __logf(sum);
    }
    // Nobody but this warpgroup reads its Q, and it has done so.
    storeTile(mine, acc);
    fenceProxyAsync();
    namedSync(group, 128);
    if (t == 0) {
      tensorStore2(&o, 0, rowQ + (group - 1) * 64, mine);
      bulkCommit();
      bulkWaitRead<0>();
    }
  }
}

// Clusters: the shared memory of other CTAs, remote barriers, and what the
// cluster's barrier protects.
#include "hopper.cuh"

// Every CTA reads the next one's numbers. Clusters of four.
extern "C" __global__ void __cluster_dims__(4, 1, 1)
    neighbour_sum(const int *x, int *y) {
  __shared__ int mine[64];
  const int tid = threadIdx.x;
  const uint32_t rank = clusterRank();
  mine[tid] = x[blockIdx.x * 64 + tid];
  clusterArrive();
  clusterWait();
  const uint32_t there =
      mapToRank(sharedAddress(&mine[63 - tid]), (rank + 1) % clusterSize());
  int v;
  asm volatile("ld.shared::cluster.u32 %0, [%1];"
               : "=r"(v)
               : "r"(there)
               : "memory");
  y[blockIdx.x * 64 + tid] = mine[tid] + 3 * v;
  // Nobody may leave while others read what is theirs.
  clusterArriveRelaxed();
  clusterWait();
}

// CTA 0 makes tiles and writes them straight into CTA 1, which counts their
// bytes at its barrier and hands the slot back at CTA 0's. Clusters of two,
// one warp each.
extern "C" __global__ void __cluster_dims__(2, 1, 1)
    remote_ring(const int *x, int *y, int tiles) {
  __shared__ __align__(16) int slot[2][32];
  __shared__ uint64_t full[2], empty[2];
  const int lane = threadIdx.x;
  const uint32_t rank = clusterRank();
  if (lane == 0) {
    for (int s = 0; s < 2; ++s) {
      barrierInit(sharedAddress(&full[s]), 1);
      barrierInit(sharedAddress(&empty[s]), 32);
    }
    fenceBarrierInit();
  }
  clusterArriveRelaxed();
  clusterWait();
  if (rank == 0) {
#pragma unroll 1
    for (int i = 0; i < tiles; ++i) {
      const int s = i & 1;
      waitCluster(sharedAddress(&empty[s]), ~(i >> 1) & 1);
      const uint32_t to = mapToRank(sharedAddress(&slot[s][lane]), 1);
      const uint32_t bar = mapToRank(sharedAddress(&full[s]), 1);
      asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes"
                   ".u32 [%0], %1, [%2];" ::"r"(to),
                   "r"(x[i * 32 + lane] * 5), "r"(bar)
                   : "memory");
    }
  } else {
#pragma unroll 1
    for (int i = 0; i < tiles; ++i) {
      const int s = i & 1;
      if (lane == 0)
        arriveExpectTx(sharedAddress(&full[s]), 128);
      waitCluster(sharedAddress(&full[s]), i >> 1 & 1);
      y[i * 32 + lane] = slot[s][31 - lane];
      remoteArrive(mapToRank(sharedAddress(&empty[s]), 0));
    }
  }
  // CTA 0's barriers have to be there until the last arrival.
  clusterArriveRelaxed();
  clusterWait();
}

// All CTAs reduce into CTA 0 by red.async, and count by remote atomics.
extern "C" __global__ void __cluster_dims__(4, 1, 1)
    remote_reduce(const int *x, uint32_t *y) {
  __shared__ uint32_t sum[32], most, least, bits, calls;
  __shared__ uint64_t total, done;
  const int lane = threadIdx.x;
  const uint32_t rank = clusterRank(), size = clusterSize();
  sum[lane] = 0;
  if (lane == 0) {
    most = 0;
    least = 0xffffffff;
    bits = 0;
    calls = 0;
    total = 0;
    barrierInit(sharedAddress(&done), 1);
    fenceBarrierInit();
    // Four operations of 4 bytes and one of 8, of each lane of each CTA.
    if (rank == 0)
      arriveExpectTx(sharedAddress(&done), size * 32 * 24);
  }
  clusterArrive();
  clusterWait();
  const uint32_t v = x[blockIdx.x * 32 + lane];
  const uint32_t bar = mapToRank(sharedAddress(&done), 0);
#define REDUCE(op, type, constraint, where, value)                             \
  asm volatile(                                                                \
      "red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes" \
      "." op "." type " [%0], %1, [%2];" ::"r"(                                \
          mapToRank(sharedAddress(where), 0)),                                 \
      constraint(value), "r"(bar)                                              \
      : "memory")
  REDUCE("add", "u32", "r", &sum[31 - lane], v);
  REDUCE("max", "u32", "r", &most, v);
  REDUCE("min", "u32", "r", &least, v);
  REDUCE("or", "b32", "r", &bits, 1u << (v & 31));
  REDUCE("add", "u64", "l", &total, (uint64_t)v << 20);
  asm volatile("red.relaxed.cluster.shared::cluster.add.u32 [%0], 1;" ::"r"(
                   mapToRank(sharedAddress(&calls), 0))
               : "memory");
  clusterArrive();
  clusterWait();
  if (rank == 0) {
    waitCluster(sharedAddress(&done), 0);
    y += blockIdx.x / size * 38;
    y[lane] = sum[lane];
    if (lane == 0) {
      y[32] = most;
      y[33] = least;
      y[34] = bits;
      y[35] = (uint32_t)(total >> 20);
      y[36] = calls;
      y[37] = size;
    }
  }
}

// Each CTA copies its tile into the next CTA, then adds it onto the one after,
// in bulk. Clusters of four.
extern "C" __global__ void __cluster_dims__(4, 1, 1)
    bulk_push(const int *x, int *y) {
  __shared__ __align__(128) int mine[128], other[128], sum[128];
  __shared__ uint64_t copied, added;
  const int tid = threadIdx.x;
  const uint32_t rank = clusterRank();
  if (tid == 0) {
    barrierInit(sharedAddress(&copied), 1);
    barrierInit(sharedAddress(&added), 1);
    fenceBarrierInit();
    arriveExpectTx(sharedAddress(&copied), 512);
    arriveExpectTx(sharedAddress(&added), 512);
  }
  mine[tid] = x[blockIdx.x * 128 + tid];
  sum[tid] = tid;
  fenceProxyAsync();
  clusterArrive();
  clusterWait();
  if (tid == 0) {
    const uint32_t next = (rank + 1) & 3, after = (rank + 2) & 3;
    asm volatile("cp.async.bulk.shared::cluster.shared::cta.mbarrier::"
                 "complete_tx::bytes [%0], [%1], 512, [%2];" ::"r"(
                     mapToRank(sharedAddress(other), next)),
                 "r"(sharedAddress(mine)),
                 "r"(mapToRank(sharedAddress(&copied), next))
                 : "memory");
    asm volatile("cp.reduce.async.bulk.shared::cluster.shared::cta.mbarrier::"
                 "complete_tx::bytes.add.s32 [%0], [%1], 512, [%2];" ::"r"(
                     mapToRank(sharedAddress(sum), after)),
                 "r"(sharedAddress(mine)),
                 "r"(mapToRank(sharedAddress(&added), after))
                 : "memory");
  }
  waitCluster(sharedAddress(&copied), 0);
  waitCluster(sharedAddress(&added), 0);
  y[blockIdx.x * 128 + tid] = other[127 - tid] * 7 + sum[127 - tid];
  // What this CTA sent is read until it has arrived at the others.
  clusterArriveRelaxed();
  clusterWait();
}

// Where every CTA stands: rank, size, cluster, and the place in the cluster.
extern "C" __global__ void cluster_places(uint32_t *y) {
  uint32_t v[8];
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(v[0]));
  asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(v[1]));
  asm volatile("mov.u32 %0, %%clusterid.x;" : "=r"(v[2]));
  asm volatile("mov.u32 %0, %%clusterid.y;" : "=r"(v[3]));
  asm volatile("mov.u32 %0, %%nclusterid.x;" : "=r"(v[4]));
  asm volatile("mov.u32 %0, %%cluster_ctaid.x;" : "=r"(v[5]));
  asm volatile("mov.u32 %0, %%cluster_ctaid.y;" : "=r"(v[6]));
  asm volatile("{\n"
               ".reg .pred is;\n"
               "mov.pred is, %%is_explicit_cluster;\n"
               "selp.u32 %0, 1, 0, is;\n"
               "}"
               : "=r"(v[7]));
  const int cta = blockIdx.y * gridDim.x + blockIdx.x;
  y[cta * 8 + threadIdx.x] = v[threadIdx.x];
}

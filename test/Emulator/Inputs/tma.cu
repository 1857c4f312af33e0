// Tensor maps: tiles of one to five dimensions in and out, out of bounds on
// every side, all swizzles, reductions.
#include "hopper.cuh"
#include <cuda.h>

// Tiles of `rows` rows of `rowBytes` bytes (f32) from one matrix to another,
// y = 2 x + 1, through a ring of two stages and two buffers. The tiles start
// at (x0, y0), which may lie outside. A producer lane, two consumer warps.
extern "C" __global__ void
tile_ring(const __grid_constant__ CUtensorMap from,
          const __grid_constant__ CUtensorMap to, int x0, int y0, int columns,
          int tiles, int rows, int rowBytes, int span) {
  __shared__ __align__(1024) unsigned char stage[2][2048];
  __shared__ __align__(1024) unsigned char buffer[2][2048];
  __shared__ uint64_t full[2], empty[2];
  const int tid = threadIdx.x;
  if (tid == 0) {
    for (int s = 0; s < 2; ++s) {
      barrierInit(sharedAddress(&full[s]), 1);
      barrierInit(sharedAddress(&empty[s]), 64);
    }
    fenceBarrierInit();
  }
  __syncthreads();
  const int wide = rowBytes / 4;
  if (tid < 32) {
    if (tid == 0) {
      asm volatile("prefetch.tensormap [%0];" ::"l"(&from) : "memory");
#pragma unroll 1
      for (int i = 0; i < tiles; ++i) {
        const int s = i & 1;
        wait(sharedAddress(&empty[s]), ~(i >> 1) & 1);
        arriveExpectTx(sharedAddress(&full[s]), rows * rowBytes);
        tensorLoad2(sharedAddress(stage[s]), &from, x0 + i % columns * wide,
                    y0 + i / columns * rows, sharedAddress(&full[s]));
      }
    }
    return;
  }
#pragma unroll 1
  for (int i = 0; i < tiles; ++i) {
    const int s = i & 1;
    if (tid == 32)
      bulkWaitRead<1>();
    namedSync(1, 64);
    wait(sharedAddress(&full[s]), i >> 1 & 1);
#pragma unroll 1
    for (int e = tid - 32; e < rows * wide; e += 64) {
      const uint32_t at = swizzled(e * 4, span);
      *(float *)&buffer[s][at] = 2 * *(float *)&stage[s][at] + 1;
    }
    arrive(sharedAddress(&empty[s]));
    fenceProxyAsync();
    namedSync(1, 64);
    if (tid == 32) {
      tensorStore2(&to, x0 + i % columns * wide, y0 + i / columns * rows,
                   sharedAddress(buffer[s]));
      bulkCommit();
    }
  }
  if (tid == 32)
    bulkWait<0>();
}

struct Coordinates {
  int c[5];
};

template <int Rank>
DEVICE void loadBox(uint32_t to, const void *map, const Coordinates &at,
                    uint32_t bar) {
  if (Rank == 1)
    asm volatile("cp.async.bulk.tensor.1d.shared::cluster.global.tile."
                 "mbarrier::complete_tx::bytes [%0], [%1, {%2}], [%3];" ::"r"(
                     to),
                 "l"(map), "r"(at.c[0]), "r"(bar)
                 : "memory");
  if (Rank == 3)
    asm volatile(
        "cp.async.bulk.tensor.3d.shared::cta.global.tile."
        "mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4}], [%5];" ::"r"(
            to),
        "l"(map), "r"(at.c[0]), "r"(at.c[1]), "r"(at.c[2]), "r"(bar)
        : "memory");
  if (Rank == 4)
    asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.tile."
                 "mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4, %5}], "
                 "[%6];" ::"r"(to),
                 "l"(map), "r"(at.c[0]), "r"(at.c[1]), "r"(at.c[2]),
                 "r"(at.c[3]), "r"(bar)
                 : "memory");
  if (Rank == 5)
    asm volatile("cp.async.bulk.tensor.5d.shared::cluster.global.tile."
                 "mbarrier::complete_tx::bytes [%0], "
                 "[%1, {%2, %3, %4, %5, %6}], [%7];" ::"r"(to),
                 "l"(map), "r"(at.c[0]), "r"(at.c[1]), "r"(at.c[2]),
                 "r"(at.c[3]), "r"(at.c[4]), "r"(bar)
                 : "memory");
}
template <int Rank>
DEVICE void storeBox(const void *map, const Coordinates &at, uint32_t from) {
  if (Rank == 1)
    asm volatile("cp.async.bulk.tensor.1d.global.shared::cta.tile.bulk_group "
                 "[%0, {%1}], [%2];" ::"l"(map),
                 "r"(at.c[0]), "r"(from)
                 : "memory");
  if (Rank == 3)
    asm volatile("cp.async.bulk.tensor.3d.global.shared::cta.tile.bulk_group "
                 "[%0, {%1, %2, %3}], [%4];" ::"l"(map),
                 "r"(at.c[0]), "r"(at.c[1]), "r"(at.c[2]), "r"(from)
                 : "memory");
  if (Rank == 4)
    asm volatile("cp.async.bulk.tensor.4d.global.shared::cta.tile.bulk_group "
                 "[%0, {%1, %2, %3, %4}], [%5];" ::"l"(map),
                 "r"(at.c[0]), "r"(at.c[1]), "r"(at.c[2]), "r"(at.c[3]),
                 "r"(from)
                 : "memory");
  if (Rank == 5)
    asm volatile("cp.async.bulk.tensor.5d.global.shared::cta.tile.bulk_group "
                 "[%0, {%1, %2, %3, %4, %5}], [%6];" ::"l"(map),
                 "r"(at.c[0]), "r"(at.c[1]), "r"(at.c[2]), "r"(at.c[3]),
                 "r"(at.c[4]), "r"(from)
                 : "memory");
}

// A box of 32-bit integers of at most 2 KiB: in, written out densely, and
// stored elsewhere with 1000 added.
template <int Rank>
DEVICE void box(const void *from, const void *to, const Coordinates &in,
                const Coordinates &out, int count, int *dense) {
  __shared__ __align__(128) int data[512];
  __shared__ uint64_t full;
  const uint32_t bar = sharedAddress(&full);
  if (threadIdx.x == 0) {
    barrierInit(bar, 1);
    fenceBarrierInit();
    arriveExpectTx(bar, count * 4);
    loadBox<Rank>(sharedAddress(data), from, in, bar);
  }
  __syncthreads();
  wait(bar, 0);
  for (int i = threadIdx.x; i < count; i += blockDim.x) {
    dense[i] = data[i];
    data[i] += 1000;
  }
  fenceProxyAsync();
  __syncthreads();
  if (threadIdx.x == 0) {
    storeBox<Rank>(to, out, sharedAddress(data));
    bulkCommit();
    bulkWaitRead<0>();
  }
}
#define BOX(rank)                                                              \
  extern "C" __global__ void box_##rank##d(                                    \
      const __grid_constant__ CUtensorMap from,                                \
      const __grid_constant__ CUtensorMap to,                                  \
      const __grid_constant__ Coordinates in,                                  \
      const __grid_constant__ Coordinates out, int count, int *dense) {        \
    box<rank>(&from, &to, in, out, count, dense);                              \
  }
BOX(1)
BOX(3)
BOX(4)
BOX(5)

// Every CTA adds its 8 x 16 tile, i % 7 + its number, to the same place, which
// lies partly outside; and leaves the largest of integers elsewhere.
extern "C" __global__ void
tile_reduce(const __grid_constant__ CUtensorMap sums,
            const __grid_constant__ CUtensorMap most, int x, int y) {
  __shared__ __align__(128) float reals[128];
  __shared__ __align__(128) uint32_t words[128];
  const int i = threadIdx.x;
  reals[i] = (float)(i % 7 + blockIdx.x);
  words[i] = (i * 37 + blockIdx.x * 11) % 64;
  fenceProxyAsync();
  __syncthreads();
  if (i == 0) {
    asm volatile("cp.reduce.async.bulk.tensor.2d.global.shared::cta.add.tile."
                 "bulk_group [%0, {%1, %2}], [%3];" ::"l"(&sums),
                 "r"(x), "r"(y), "r"(sharedAddress(reals))
                 : "memory");
    asm volatile("cp.reduce.async.bulk.tensor.2d.global.shared::cta.max.tile."
                 "bulk_group [%0, {%1, %2}], [%3];" ::"l"(&most),
                 "r"(x), "r"(y), "r"(sharedAddress(words))
                 : "memory");
    bulkCommit();
    bulkWaitRead<0>();
  }
}

// The instructions of Hopper and later that the test kernels are made of, each
// as one function. Addresses of shared memory are 32 bits wide. An instruction
// stands on its own line, so that the mutation tests can take single lines.
#pragma once
#include <stdint.h>

#define DEVICE __device__ __forceinline__

DEVICE uint32_t sharedAddress(const void *p) {
  return (uint32_t)__cvta_generic_to_shared(p);
}

//===--- mbarrier ---------------------------------------------------------===//

DEVICE void barrierInit(uint32_t bar, uint32_t count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(bar), "r"(count)
               : "memory");
}
// Makes initialised barriers visible to the cluster and to the async proxy.
DEVICE void fenceBarrierInit() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
DEVICE void arrive(uint32_t bar) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(bar)
               : "memory");
}
// Arrives where `when` is not zero, without a branch.
DEVICE void arriveIf(uint32_t bar, uint32_t when) {
  asm volatile("{\n"
               ".reg .pred chosen;\n"
               "setp.ne.u32 chosen, %1, 0;\n"
               "@chosen mbarrier.arrive.shared::cta.b64 _, [%0];\n"
               "}" ::"r"(bar),
               "r"(when)
               : "memory");
}
DEVICE uint64_t arriveToken(uint32_t bar) {
  uint64_t token;
  asm volatile("mbarrier.arrive.shared::cta.b64 %0, [%1];"
               : "=l"(token)
               : "r"(bar)
               : "memory");
  return token;
}
DEVICE void arriveExpectTx(uint32_t bar, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(
                   bar),
               "r"(bytes)
               : "memory");
}
// Waits for the completion of the phase of that parity.
DEVICE void wait(uint32_t bar, uint32_t parity) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n"
      "}" ::"r"(bar),
      "r"(parity)
      : "memory");
}
// As wait(), and acquires what other CTAs of the cluster did.
DEVICE void waitCluster(uint32_t bar, uint32_t parity) {
  asm volatile("{\n"
               ".reg .pred done;\n"
               "again:\n"
               "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 done, "
               "[%0], %1;\n"
               "@!done bra again;\n"
               "}" ::"r"(bar),
               "r"(parity)
               : "memory");
}
DEVICE void waitToken(uint32_t bar, uint64_t token) {
  asm volatile("{\n"
               ".reg .pred done;\n"
               "again:\n"
               "mbarrier.test_wait.shared::cta.b64 done, [%0], %1;\n"
               "@!done bra again;\n"
               "}" ::"r"(bar),
               "l"(token)
               : "memory");
}

//===--- Bulk copies ------------------------------------------------------===//

// Generic accesses before, accesses of the async proxy after.
DEVICE void fenceProxyAsync() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
DEVICE void bulkLoad(uint32_t to, const void *from, uint32_t bytes,
                     uint32_t bar) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::"
               "bytes [%0], [%1], %2, [%3];" ::"r"(to),
               "l"(from), "r"(bytes), "r"(bar)
               : "memory");
}
DEVICE void bulkStore(void *to, uint32_t from, uint32_t bytes) {
  asm volatile(
      "cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(to),
      "r"(from), "r"(bytes)
      : "memory");
}
DEVICE void bulkCommit() {
  asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}
// Until at most N groups are still being written.
template <int N> DEVICE void bulkWait() {
  asm volatile("cp.async.bulk.wait_group %0;" ::"n"(N) : "memory");
}
// Until at most N groups still read their source.
template <int N> DEVICE void bulkWaitRead() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(N) : "memory");
}

DEVICE void tensorLoad2(uint32_t to, const void *map, int x, int y,
                        uint32_t bar) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::"
               "complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(to),
               "l"(map), "r"(x), "r"(y), "r"(bar)
               : "memory");
}
DEVICE void tensorStore2(const void *map, int x, int y, uint32_t from) {
  asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group "
               "[%0, {%1, %2}], [%3];" ::"l"(map),
               "r"(x), "r"(y), "r"(from)
               : "memory");
}

//===--- Barriers and registers -------------------------------------------===//

DEVICE void namedSync(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
DEVICE void namedArrive(int id, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
template <int N> DEVICE void moreRegisters() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(N));
}
template <int N> DEVICE void fewerRegisters() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(N));
}

//===--- Clusters ---------------------------------------------------------===//

DEVICE uint32_t clusterRank() {
  uint32_t rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
DEVICE uint32_t clusterSize() {
  uint32_t size;
  asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
  return size;
}
// The address in CTA `rank` of what is at `address` in this one.
DEVICE uint32_t mapToRank(uint32_t address, uint32_t rank) {
  uint32_t remote;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;"
               : "=r"(remote)
               : "r"(address), "r"(rank));
  return remote;
}
DEVICE void clusterArrive() {
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
}
// Orders no memory: for barriers that fenceBarrierInit() has published, and for
// the last meeting before the end.
DEVICE void clusterArriveRelaxed() {
  asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
}
DEVICE void clusterWait() {
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}
DEVICE void remoteArrive(uint32_t bar) {
  asm volatile(
      "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];" ::"r"(bar)
      : "memory");
}

//===--- wgmma ------------------------------------------------------------===//

DEVICE void wgmmaFence() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
DEVICE void wgmmaCommit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int N> DEVICE void wgmmaWait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}

// Matrix descriptor: start, leading and stride byte offsets, swizzle span in
// bytes (0, 32, 64, 128), encoded 0, 3, 2, 1.
DEVICE uint64_t descriptor(uint32_t address, uint32_t leading, uint32_t stride,
                           uint32_t span) {
  uint64_t mode = span == 128 ? 1 : span == 64 ? 2 : span == 32 ? 3 : 0;
  return (uint64_t)(address >> 4 & 0x3fff) |
         (uint64_t)(leading >> 4 & 0x3fff) << 16 |
         (uint64_t)(stride >> 4 & 0x3fff) << 32 | mode << 62;
}

// Where byte `offset` of a tile lies under a swizzle of `span` bytes: the
// 16-byte chunk number is XORed with the number of its 128-byte line.
DEVICE uint32_t swizzled(uint32_t offset, uint32_t span) {
  uint32_t mask = span < 32 ? 0 : span / 16 - 1;
  return offset ^ (offset >> 7 & mask) << 4;
}

// 32 accumulators of a 64 x 64 tile, as asm operands and as their list.
#define LIST32                                                                 \
  "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,"    \
  "%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}"
#define OPERANDS32(C, d)                                                       \
  C(d[0]), C(d[1]), C(d[2]), C(d[3]), C(d[4]), C(d[5]), C(d[6]), C(d[7]),      \
      C(d[8]), C(d[9]), C(d[10]), C(d[11]), C(d[12]), C(d[13]), C(d[14]),      \
      C(d[15]), C(d[16]), C(d[17]), C(d[18]), C(d[19]), C(d[20]), C(d[21]),    \
      C(d[22]), C(d[23]), C(d[24]), C(d[25]), C(d[26]), C(d[27]), C(d[28]),    \
      C(d[29]), C(d[30]), C(d[31])

// d (64 x 64, f32) = a b + (accumulate ? d : 0), both bf16 by descriptor; b is
// k-major, or n-major where TransB is 1.
template <int TransB>
DEVICE void wgmmaBf16(float (&d)[32], uint64_t a, uint64_t b, int accumulate) {
  asm volatile("{\n"
               ".reg .pred keep;\n"
               "setp.ne.b32 keep, %34, 0;\n"
               "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " LIST32
               ", %32, %33, keep, 1, 1, 0, %35;\n"
               "}"
               : OPERANDS32("+f", d)
               : "l"(a), "l"(b), "r"(accumulate), "n"(TransB));
}
// As above with the fragments of a in registers.
template <int TransB>
DEVICE void wgmmaBf16(float (&d)[32], const uint32_t (&a)[4], uint64_t b,
                      int accumulate) {
  asm volatile("{\n"
               ".reg .pred keep;\n"
               "setp.ne.b32 keep, %37, 0;\n"
               "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " LIST32
               ", {%32,%33,%34,%35}, %36, keep, 1, 1, %38;\n"
               "}"
               : OPERANDS32("+f", d)
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b),
                 "r"(accumulate), "n"(TransB));
}

// One warp, one matrix instruction: c += a b for every type of mma.sync that
// sm_80 has. Operands come row major (a: 16 x k, b: k x 8, c: 16 x 8) and are
// spread to fragments by the maps of the PTX manual.
#include <stdint.h>

// Packs elements of `bits` bits at (row, k), (row, k + 1), ... of a 16 x K
// matrix of bytes-per-element bits / 8.
template <int bits, int K>
__device__ uint32_t packA(const uint8_t *a, int row, int k) {
  uint32_t word = 0;
  for (int e = 0; e < 32 / bits; ++e)
    for (int byte = 0; byte < bits / 8; ++byte)
      word |= (uint32_t)a[(row * K + k + e) * (bits / 8) + byte]
              << (e * bits + byte * 8);
  return word;
}
template <int bits>
__device__ uint32_t packB(const uint8_t *b, int k, int n) {
  uint32_t word = 0;
  for (int e = 0; e < 32 / bits; ++e)
    for (int byte = 0; byte < bits / 8; ++byte)
      word |= (uint32_t)b[((k + e) * 8 + n) * (bits / 8) + byte]
              << (e * bits + byte * 8);
  return word;
}

#define LANE                                                                   \
  const int lane = threadIdx.x, g = lane >> 2, t = lane & 3;
#define LOAD_A(bits, K, regs)                                                  \
  uint32_t a[regs];                                                            \
  for (int r = 0; r < regs; ++r)                                               \
    a[r] = packA<bits, K>(pa, g + 8 * (r & 1),                                 \
                          (32 / bits) * (t + 4 * (r >> 1)));
#define LOAD_B(bits, regs)                                                     \
  uint32_t b[regs];                                                            \
  for (int r = 0; r < regs; ++r)                                               \
    b[r] = packB<bits>(pb, (32 / bits) * (t + 4 * r), g);
#define AT(v) ((g + 8 * ((v) >> 1)) * 8 + 2 * t + ((v) & 1))

#define KERNEL_F32(name, shape, type, bits, K, regsA, regsB, listA, listB)     \
  extern "C" __global__ void name(const uint8_t *pa, const uint8_t *pb,        \
                                  float *pc) {                                 \
    LANE LOAD_A(bits, K, regsA) LOAD_B(bits, regsB) float c[4];                \
    for (int v = 0; v < 4; ++v)                                                \
      c[v] = pc[AT(v)];                                                        \
    asm volatile("mma.sync.aligned." shape ".row.col.f32." type "." type       \
                 ".f32 {%0,%1,%2,%3}, " listA ", " listB ", {%0,%1,%2,%3};"    \
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])              \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2 % regsA]),                    \
                   "r"(a[3 % regsA]), "r"(b[0]), "r"(b[1 % regsB]));           \
    for (int v = 0; v < 4; ++v)                                                \
      pc[AT(v)] = c[v];                                                        \
  }
KERNEL_F32(mma_f16_k16, "m16n8k16", "f16", 16, 16, 4, 2, "{%4,%5,%6,%7}", "{%8,%9}")
KERNEL_F32(mma_bf16_k16, "m16n8k16", "bf16", 16, 16, 4, 2, "{%4,%5,%6,%7}", "{%8,%9}")
KERNEL_F32(mma_f16_k8, "m16n8k8", "f16", 16, 8, 2, 1, "{%4,%5}", "{%8}")
KERNEL_F32(mma_bf16_k8, "m16n8k8", "bf16", 16, 8, 2, 1, "{%4,%5}", "{%8}")
KERNEL_F32(mma_tf32_k8, "m16n8k8", "tf32", 32, 8, 4, 2, "{%4,%5,%6,%7}", "{%8,%9}")
KERNEL_F32(mma_tf32_k4, "m16n8k4", "tf32", 32, 4, 2, 1, "{%4,%5}", "{%8}")

#define KERNEL_S32(name, shape, type, K, regsA, regsB, listA, listB)           \
  extern "C" __global__ void name(const uint8_t *pa, const uint8_t *pb,        \
                                  int *pc) {                                   \
    LANE LOAD_A(8, K, regsA) LOAD_B(8, regsB) int c[4];                        \
    for (int v = 0; v < 4; ++v)                                                \
      c[v] = pc[AT(v)];                                                        \
    asm volatile("mma.sync.aligned." shape ".row.col.s32." type ".s32 "        \
                 "{%0,%1,%2,%3}, " listA ", " listB ", {%0,%1,%2,%3};"         \
                 : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])              \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2 % regsA]),                    \
                   "r"(a[3 % regsA]), "r"(b[0]), "r"(b[1 % regsB]));           \
    for (int v = 0; v < 4; ++v)                                                \
      pc[AT(v)] = c[v];                                                        \
  }
KERNEL_S32(mma_s8_k32, "m16n8k32", "s8.s8", 32, 4, 2, "{%4,%5,%6,%7}", "{%8,%9}")
KERNEL_S32(mma_u8_s8_k32, "m16n8k32", "u8.s8", 32, 4, 2, "{%4,%5,%6,%7}", "{%8,%9}")
KERNEL_S32(mma_s8_k16, "m16n8k16", "s8.s8", 16, 2, 1, "{%4,%5}", "{%8}")

extern "C" __global__ void mma_f16_f16(const uint8_t *pa, const uint8_t *pb,
                                       uint16_t *pc) {
  LANE LOAD_A(16, 16, 4) LOAD_B(16, 2) uint32_t c[2];
  for (int v = 0; v < 2; ++v)
    c[v] = pc[AT(2 * v)] | (uint32_t)pc[AT(2 * v + 1)] << 16;
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%0,%1}, "
               "{%2,%3,%4,%5}, {%6,%7}, {%0,%1};"
               : "+r"(c[0]), "+r"(c[1])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]),
                 "r"(b[1]));
  for (int v = 0; v < 2; ++v) {
    pc[AT(2 * v)] = (uint16_t)c[v];
    pc[AT(2 * v + 1)] = (uint16_t)(c[v] >> 16);
  }
}

// ldmatrix x4, plain and transposed, and x1, x2: writes what each lane got.
extern "C" __global__ void ldmatrix_all(const uint16_t *in, uint32_t *out) {
  __shared__ __align__(16) uint16_t tile[32 * 8];
  const int lane = threadIdx.x;
  for (int i = lane; i < 256; i += 32)
    tile[i] = in[i];
  __syncthreads();
  uint32_t address = (uint32_t)__cvta_generic_to_shared(tile + lane * 8);
  uint32_t r[4];
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address));
  for (int i = 0; i < 4; ++i)
    out[i * 32 + lane] = r[i];
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address));
  for (int i = 0; i < 4; ++i)
    out[(4 + i) * 32 + lane] = r[i];
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];"
               : "=r"(r[0]), "=r"(r[1]) : "r"(address));
  asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];"
               : "=r"(r[2]) : "r"(address));
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;"
               : "=r"(r[3]) : "r"(r[0]));
  for (int i = 0; i < 4; ++i)
    out[(8 + i) * 32 + lane] = r[i];
}

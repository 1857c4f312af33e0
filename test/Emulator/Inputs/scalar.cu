// Scalar operations, one result row each, for comparison with host arithmetic
// bit for bit. Inputs are 32-bit patterns; lane i of the grid takes element i.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>

#define EACH int i = blockIdx.x * blockDim.x + threadIdx.x;
#define F(x) __uint_as_float(x)
#define U(x) __float_as_uint(x)

extern "C" __global__ void float_ops(const uint32_t *x, const uint32_t *y,
                                     const uint32_t *z, uint32_t *out, int n) {
  EACH float a = F(x[i]), b = F(y[i]), c = F(z[i]);
  out += i;
  *out = U(a + b), out += n;
  *out = U(a - b), out += n;
  *out = U(a * b), out += n;
  *out = U(fmaf(a, b, c)), out += n;
  *out = U(a / b), out += n;
  *out = U(sqrtf(a)), out += n;
  *out = U(fminf(a, b)), out += n;
  *out = U(fmaxf(a, b)), out += n;
  *out = U(__fadd_rz(a, b)), out += n;
  *out = U(__fmul_ru(a, b)), out += n;
  *out = U(__fmaf_rd(a, b, c)), out += n;
  *out = (a < b) | (a <= b) << 1 | (a == b) << 2 | (a != b) << 3 |
         (!(a < b)) << 4 | (!(a >= b)) << 5, out += n;
}

extern "C" __global__ void int_ops(const uint32_t *x, const uint32_t *y,
                                   const uint32_t *z, uint32_t *out, int n) {
  EACH uint32_t a = x[i], b = y[i], c = z[i];
  int32_t s = a, t = b;
  out += i;
  *out = a + b, out += n;
  *out = a * b + c, out += n;
  *out = __umulhi(a, b), out += n;
  *out = (uint32_t)__mulhi(s, t), out += n;
  *out = b ? a / b : 0, out += n;
  *out = t ? (uint32_t)(s % t) : 0, out += n;
  *out = (uint32_t)(((uint64_t)a * b) >> 13), out += n;
  *out = a << (b & 31), out += n;
  *out = (uint32_t)(s >> (b & 31)), out += n;
  *out = __popc(a), out += n;
  *out = __clz(a), out += n;
  *out = __brev(a), out += n;
  *out = __byte_perm(a, b, c), out += n;
  *out = __funnelshift_l(a, b, c), out += n;
  *out = __funnelshift_rc(a, b, c), out += n;
  *out = (a & b) ^ (~a & c), out += n;
  *out = (uint32_t)min(s, t), out += n;
  *out = max(a, b), out += n;
  *out = (uint32_t)__dp4a(s, t, (int)c), out += n;
  *out = __sad(s, t, c), out += n;
  *out = __vadd2(a, b), out += n;
  uint64_t wide = ((uint64_t)a << 32 | b) + ((uint64_t)b << 32 | c);
  *out = (uint32_t)(wide >> 32), out += n;
  unsigned __int128 huge = (unsigned __int128)wide * wide + a;
  *out = (uint32_t)(huge >> 96), out += n;
  *out = (uint32_t)(int8_t)a + (uint16_t)b, out += n;
}

extern "C" __global__ void convert_ops(const uint32_t *x, const uint32_t *y,
                                       const uint32_t *, uint32_t *out, int n) {
  EACH float a = F(x[i]), b = F(y[i]);
  out += i;
  *out = __float2int_rz(a), out += n;
  *out = __float2uint_rn(a), out += n;
  *out = __float2int_ru(a), out += n;
  *out = U(__int2float_rn(x[i])), out += n;
  *out = U(__uint2float_rd(x[i])), out += n;
  *out = __half_as_ushort(__float2half_rn(a)), out += n;
  *out = __half_as_ushort(__float2half_rz(a)), out += n;
  *out = U(__half2float(__ushort_as_half((uint16_t)x[i]))), out += n;
  *out = __bfloat16_as_ushort(__float2bfloat16_rn(a)), out += n;
  uint32_t r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(a), "f"(b));
  *out = r, out += n;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(a), "f"(b));
  *out = r, out += n;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(a));
  *out = r, out += n;
  *out = U(rintf(a)), out += n;
  *out = U(floorf(a)), out += n;
  *out = U((float)(double)a * 0.5f), out += n;
  *out = (uint32_t)__float2ll_rz(a), out += n;
}

extern "C" __global__ void half_ops(const uint32_t *x, const uint32_t *y,
                                    const uint32_t *z, uint32_t *out, int n) {
  EACH uint32_t a = x[i], b = y[i], c = z[i], r;
  out += i;
  asm("add.f16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
  *out = r, out += n;
  asm("mul.f16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
  *out = r, out += n;
  asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c));
  *out = r, out += n;
  asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c));
  *out = r, out += n;
  asm("max.f16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
  *out = r, out += n;
  asm("min.NaN.bf16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
  *out = r, out += n;
}

extern "C" __global__ void math_ops(const uint32_t *x, const uint32_t *,
                                    const uint32_t *, uint32_t *out, int n) {
  EACH float a = F(x[i]), r;
  out += i;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(a));
  *out = U(r), out += n;
  asm("lg2.approx.f32 %0, %1;" : "=f"(r) : "f"(a));
  *out = U(r), out += n;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(a));
  *out = U(r), out += n;
  asm("rsqrt.approx.f32 %0, %1;" : "=f"(r) : "f"(a));
  *out = U(r), out += n;
  asm("tanh.approx.f32 %0, %1;" : "=f"(r) : "f"(a));
  *out = U(r), out += n;
  asm("sin.approx.f32 %0, %1;" : "=f"(r) : "f"(a));
  *out = U(r), out += n;
}

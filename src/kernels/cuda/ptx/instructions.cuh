// Kernel launch, and instructions of sm_80 and newer: tensor cores, loads of their operands, copies that bypass registers.
#pragma once

#include <cuda_runtime.h>

#include <bit>
#include <cstddef>
#include <cstdint>

#include "expunge/dtype.h"

namespace expunge::cuda {

template <typename... Parameters>
void launch_kernel(cudaStream_t stream, void (*kernel)(Parameters...), dim3 grid, int threads, std::size_t shared_bytes,
                   Parameters... parameters) {
  kernel<<<grid, threads, shared_bytes, stream>>>(parameters...);
}

/// The block's dynamic shared memory, aligned to 256 bytes.
__device__ inline unsigned char* dynamic_shared() {
  extern __shared__ __align__(256) unsigned char memory[];
  return memory;
}

/// The value of the lane whose number differs in the bits of `distance`. The size of R is a multiple of 4 bytes.
template <typename R>
__device__ inline R shuffle_xor(const R& value, int distance) {
  static_assert(sizeof(R) % sizeof(int) == 0);
  R result;
  const int* const from = reinterpret_cast<const int*>(&value);
  int* const to = reinterpret_cast<int*>(&result);
#pragma unroll
  for (std::size_t i = 0; i < sizeof(R) / sizeof(int); ++i) to[i] = __shfl_xor_sync(0xffffffffu, from[i], distance);
  return result;
}

__device__ inline int shuffle(int value, int lane) { return __shfl_sync(0xffffffffu, value, lane); }
__device__ inline int shuffle_up(int value, int distance) { return __shfl_up_sync(0xffffffffu, value, distance); }

__device__ inline bf16 round_bf16(float value) {
  std::uint16_t bits;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  bf16 result;
  result.bits = bits;
  return result;
}

/// Two bf16 in a register, `low` in the lower half.
__device__ inline unsigned pack_bf16(float low, float high) {
  unsigned result;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
  return result;
}

/// 2^x to 2 units in the last place; 0 for minus infinity.
__device__ inline float exp2_fast(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}

/// An address in shared memory, in bytes.
using SharedAddress = unsigned;
__device__ inline SharedAddress shared_address(const void* p) { return static_cast<unsigned>(__cvta_generic_to_shared(p)); }

/// Starts a copy of 16 bytes from global to shared memory. If not `valid`, writes zeros and does not read `from`.
__device__ inline void copy_async(SharedAddress to, const void* from, bool valid) {
  const int bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes) : "memory");
}
/// Closes a group of this thread's copies.
__device__ inline void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/// Waits until at most kPending of this thread's groups are in flight. Other threads see the copies after a barrier.
template <int kPending>
__device__ inline void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

/// Loads four 8 x 8 matrices of bf16. Lane l gives the address of row l % 8 of matrix l / 8. It receives elements 2 (l % 4)
/// and the next one of row l / 4 of each matrix.
__device__ inline void load_matrices(unsigned (&to)[4], SharedAddress row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(row)
               : "memory");
}
/// The same for the transposed matrices.
__device__ inline void load_matrices_transposed(unsigned (&to)[4], SharedAddress row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(row)
               : "memory");
}

/// c += a b, a (16, 16) and b (16, 8) of bf16. With g = lane / 4 and t = lane % 4: c holds (g, 2t), (g, 2t + 1), (g + 8, 2t),
/// (g + 8, 2t + 1); a holds pairs from (g, 2t), (g + 8, 2t), (g, 2t + 8), (g + 8, 2t + 8); b from (2t, g) and (2t + 8, g).
__device__ inline void multiply_add(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// c = a b: the same without the old c.
__device__ inline void multiply(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %10, %10, %10};"
      : "=f"(c[0]), "=f"(c[1]), "=f"(c[2]), "=f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "f"(0.0f));
}

}  // namespace expunge::cuda

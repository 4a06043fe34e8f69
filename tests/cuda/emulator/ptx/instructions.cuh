// The instructions of src/kernels/cuda/ptx/instructions.cuh, done by the host as NVIDIA's PTX manual describes them.
#pragma once

#include <cuda_runtime.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

#include "emulator/streams.h"
#include "expunge/dtype.h"

namespace expunge::cuda {
namespace emulator {

/// Bytes that a lane can show the others at a time.
constexpr std::size_t kSlotBytes = 64;

/// Runs every block of a grid, each of whose threads calls `body`. Throws where threads wait for others that never come.
void run_grid(dim3 grid, int threads, std::size_t shared_bytes, const std::function<void()>& body);
unsigned char* dynamic_shared();
/// Shows the warp `bytes` of this lane; after it slots() has what each lane showed, kSlotBytes apart, until two more calls.
void show(const void* value, std::size_t bytes);
const unsigned char* slots();
inline const unsigned char* slot(int lane) { return slots() + std::size_t(lane) * kSlotBytes; }
int lane();
void copy_async(std::uintptr_t to, const void* from, bool valid);
void copy_async_commit();
void copy_async_wait(int pending);

}  // namespace emulator

template <typename... Parameters>
void launch_kernel(cudaStream_t stream, void (*kernel)(Parameters...), dim3 grid, int threads, std::size_t shared_bytes,
                   Parameters... parameters) {
  emulator::enqueue(stream, [=] { emulator::run_grid(grid, threads, shared_bytes, [=] { kernel(parameters...); }); });
}

inline unsigned char* dynamic_shared() { return emulator::dynamic_shared(); }

template <typename R>
R from_lane(const R& value, int lane) {
  static_assert(sizeof(R) <= emulator::kSlotBytes);
  emulator::show(&value, sizeof(R));
  R result;
  std::memcpy(&result, emulator::slot(lane), sizeof(R));
  return result;
}
template <typename R>
R shuffle_xor(const R& value, int distance) {
  return from_lane(value, emulator::lane() ^ distance);
}
inline int shuffle(int value, int lane) { return from_lane(value, lane); }
inline int shuffle_up(int value, int distance) {
  return from_lane(value, emulator::lane() >= distance ? emulator::lane() - distance : emulator::lane());
}

inline bf16 round_bf16(float value) { return bf16(value); }
inline unsigned pack_bf16(float low, float high) { return unsigned(bf16(high).bits) << 16 | bf16(low).bits; }
inline float exp2_fast(float x) { return exp2f(x); }

using SharedAddress = std::uintptr_t;
inline SharedAddress shared_address(const void* p) { return reinterpret_cast<SharedAddress>(p); }

inline void copy_async(SharedAddress to, const void* from, bool valid) { emulator::copy_async(to, from, valid); }
inline void copy_async_commit() { emulator::copy_async_commit(); }
template <int kPending>
void copy_async_wait() {
  emulator::copy_async_wait(kPending);
}

/// Element (row, column) of matrix `matrix`, by the addresses that lanes showed.
inline unsigned shown_element(int matrix, int row, int column) {
  const std::uint16_t* address = nullptr;
  std::memcpy(&address, emulator::slot(matrix * 8 + row), sizeof(address));
  return address[column];
}
inline void load_matrices(unsigned (&to)[4], SharedAddress row) {
  emulator::show(&row, sizeof(row));
  const int r = emulator::lane() / 4, c = emulator::lane() % 4 * 2;
  for (int m = 0; m < 4; ++m) to[m] = shown_element(m, r, c) | shown_element(m, r, c + 1) << 16;
}
inline void load_matrices_transposed(unsigned (&to)[4], SharedAddress row) {
  emulator::show(&row, sizeof(row));
  const int r = emulator::lane() / 4, c = emulator::lane() % 4 * 2;
  for (int m = 0; m < 4; ++m) to[m] = shown_element(m, c, r) | shown_element(m, c + 1, r) << 16;
}

inline void multiply_add(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  const unsigned mine[6] = {a[0], a[1], a[2], a[3], b0, b1};
  emulator::show(mine, sizeof(mine));
  const int g = emulator::lane() / 4, t = emulator::lane() % 4;
  float rows[2][16], columns[2][16];  // of a, which are g and g + 8, and of b, 2t and 2t + 1
  const unsigned char* const slots = emulator::slots();
  const auto read = [slots](float(&to)[16], int lane, int first, int second) {
    for (int k = 0; k < 16; k += 2) {
      unsigned pair = 0;
      std::memcpy(&pair, slots + std::size_t(lane + k % 8 / 2) * emulator::kSlotBytes + (k < 8 ? first : second) * 4,
                  sizeof(pair));
      to[k] = std::bit_cast<float>(pair << 16);
      to[k + 1] = std::bit_cast<float>(pair & 0xffff0000u);
    }
  };
  for (int i = 0; i < 2; ++i) {
    read(rows[i], g * 4, i, i + 2);
    read(columns[i], (2 * t + i) * 4, 4, 5);
  }
  for (int i = 0; i < 4; ++i)
    for (int k = 0; k < 16; ++k) c[i] += rows[i / 2][k] * columns[i % 2][k];
}

inline void multiply(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  for (float& x : c) x = 0;
  multiply_add(c, a, b0, b1);
}

}  // namespace expunge::cuda

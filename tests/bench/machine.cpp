// The highest rates that this machine reaches, each the best of several tries.
#include <omp.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>

#include "bench/worker.h"
#include "core/processor.h"
#include "expunge/kernels.h"
#include "kernels/cpu/numeric.h"

namespace expunge::bench {
namespace {

double best_seconds(int tries, const std::function<void()>& work) {
  double best = 1e30;
  for (int i = 0; i < tries; ++i) {
    const auto began = std::chrono::steady_clock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
  }
  return best;
}

// What is timed in vectors of this processor, in a program that is compiled for the least: the same loops for each instruction
// set.
#if defined(__x86_64__)
#define EXPUNGE_BENCH_AVX2 [[gnu::target("avx2,fma")]]
#define EXPUNGE_BENCH_AVX512 [[gnu::target("avx512f")]]
#else
#define EXPUNGE_BENCH_AVX2
#define EXPUNGE_BENCH_AVX512
#endif

constexpr int kFmaRounds = 20000000, kNumbers = 2048, kExponentialRounds = 20000;

/// Chains of multiply-adds that never leave the registers: enough of them to hide the latency.
template <int kLanes, int kChains>
[[gnu::always_inline]] inline void multiply_and_add() {
  using Vector [[gnu::vector_size(kLanes * sizeof(float))]] = float;
  Vector chain[kChains] = {}, factor = Vector{} + 0.999f, term = Vector{} + 0.001f;
  for (int round = 0; round < kFmaRounds; ++round) {
#pragma GCC unroll 16
    for (Vector& x : chain) {
      x = x * factor + term;
      asm volatile("" : "+x"(x));
    }
  }
}
constexpr int kWideLanes = 16, kWideChains = 16, kLanes = 8, kChains = 12;
EXPUNGE_BENCH_AVX512 void multiply_and_add_avx512() { multiply_and_add<kWideLanes, kWideChains>(); }
EXPUNGE_BENCH_AVX2 void multiply_and_add_avx2() { multiply_and_add<kLanes, kChains>(); }

double fma_flops() {
  const bool wide = has_avx512();
  const double seconds = best_seconds(5, [wide] {
#pragma omp parallel
    wide ? multiply_and_add_avx512() : multiply_and_add_avx2();
  });
  return 2.0 * (wide ? kWideLanes * kWideChains : kLanes * kChains) * kFmaRounds * omp_get_max_threads() / seconds;
}

/// y += x over arrays far larger than the caches.
double stream_bytes() {
  const std::size_t n = std::size_t{32} << 20;
  Buffer<float> x(Device{}, n), y(Device{}, n);
  const auto stream = make_inline_stream();
  for (auto* buffer : {&x, &y}) zero_bytes(*stream, buffer->data(), buffer->bytes());
  float *const to = y.data(), *const from = x.data();
  return 3.0 * static_cast<double>(x.bytes()) / best_seconds(8, [=] {
#pragma omp parallel for simd schedule(static)
           for (std::size_t i = 0; i < n; ++i) to[i] += from[i];
         });
}

[[gnu::always_inline]] inline float sum_exponentials() {
  float x[kNumbers] = {}, sum = 0;
  for (int round = 0; round < kExponentialRounds; ++round)
#pragma omp simd reduction(+ : sum)
    for (float& value : x) sum += value = cpu::plain::exponential(value - 1.0f);
  return sum;
}
EXPUNGE_BENCH_AVX512 float sum_exponentials_avx512() { return sum_exponentials(); }
EXPUNGE_BENCH_AVX2 float sum_exponentials_avx2() { return sum_exponentials(); }

double exponentials() {
  const bool wide = has_avx512();
  return 1.0 * kNumbers * kExponentialRounds * omp_get_max_threads() / best_seconds(5, [wide] {
           double total = 0;
#pragma omp parallel reduction(+ : total)
           total += static_cast<double>(wide ? sum_exponentials_avx512() : sum_exponentials_avx2());
           volatile double keep = total;
           (void)keep;
         });
}

/// The best over products of training shapes, in either type.
template <Element T>
double product_flops() {
  const auto stream = make_inline_stream();
  const Kernels<T>& k = kernels<T>(Device{});
  double best = 0;
  for (const auto& [n, in, out] : {std::array{512, 288, 32000}, {2048, 512, 2752}, {1024, 1024, 5504}, {1024, 2752, 1024}}) {
    const auto size = [](int a, int b) { return static_cast<std::size_t>(a) * static_cast<std::size_t>(b); };
    Buffer<T> x(Device{}, size(n, in)), w(Device{}, size(out, in)), y(Device{}, size(n, out));
    Buffer<acc_t<T>> dw(Device{}, size(out, in));
    std::fill_n(x.data(), x.size(), T(0.5f));
    std::fill_n(w.data(), w.size(), T(0.5f));
    std::fill_n(y.data(), y.size(), T(0.5f));
    std::fill_n(dw.data(), dw.size(), acc_t<T>{});
    const double flops = 2.0 * n * in * out;
    best = std::max(
        best, flops / best_seconds(3, [&] { k.linear_forward(*stream, y.data(), x.data(), w.data(), nullptr, n, in, out); }));
    best = std::max(best, flops / best_seconds(3, [&] {
                            k.linear_backward(*stream, x.data(), nullptr, y.data(), nullptr, w.data(), n, in, out, Write::set);
                          }));
    best = std::max(best, flops / best_seconds(3, [&] {
                            k.linear_backward(*stream, nullptr, dw.data(), y.data(), x.data(), nullptr, n, in, out, Write::set);
                          }));
  }
  return best;
}

}  // namespace

Machine measure_machine() {
  return {
      fma_flops(), {{"float32", product_flops<float>()}, {"bfloat16", product_flops<bf16>()}}, stream_bytes(), exponentials()};
}

}  // namespace expunge::bench

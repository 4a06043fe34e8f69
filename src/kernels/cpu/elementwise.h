// Kernels over flat vectors: AdamW, sum of squares, cast and accumulate.
#pragma once

#include <algorithm>
#include <cmath>

#include "expunge/kernels/kernels.h"
#include "kernels/cpu/numeric.h"

namespace expunge::cpu {

inline float to_bf16_and_back(float x) { return float(bf16(x)); }
inline double to_bf16_and_back(double x) { return double(float(bf16(float(x)))); }
inline std::complex<double> to_bf16_and_back(std::complex<double> x) { return to_bf16_and_back(x.real()); }

template <Element T>
void adamw(Stream&, acc_t<T>* w, acc_t<T>* m, acc_t<T>* v, const acc_t<T>* g, std::size_t n, const AdamWStep& step) {
  using A = acc_t<T>;
  using R = real_t<A>;
  const R gradient_scale = R(step.gradient_scale), epsilon = R(step.epsilon), beta2 = R(step.beta2);
  const R take1 = R(1 - step.beta1), take2 = R(1 - step.beta2), keep = R(1 - step.learning_rate * step.weight_decay);
  const R step_size = R(step.learning_rate / step.bias_correction1), root_correction = R(std::sqrt(step.bias_correction2));
  const bool round = step.round_to_bf16;
#pragma omp parallel for simd schedule(static)
  for (std::size_t i = 0; i < n; ++i) {
    const A gradient = g[i] * gradient_scale;
    const A first = m[i] + (gradient - m[i]) * take1;
    const A second = v[i] * beta2 + gradient * gradient * take2;
    const A denominator = std::sqrt(second) / root_correction + epsilon;
    const A updated = w[i] * keep - step_size * (first / denominator);
    m[i] = first;
    v[i] = second;
    w[i] = round ? to_bf16_and_back(updated) : updated;
  }
}

/// Blocks of fixed size, whatever the number of threads, are summed alone and then in order.
template <Element T>
void sum_of_squares(Stream&, double* sum, const acc_t<T>* x, std::size_t n) {
  constexpr Index kBlock = 16384;
  const Index blocks = (n + kBlock - 1) / kBlock;
  Buffer<double> partial(Device{}, blocks);
  double* const block_sums = partial.data();
#pragma omp parallel for schedule(static)
  for (Index block = 0; block < blocks; ++block) {
    const Index end = std::min(n, (block + 1) * kBlock);
    double squares = 0;
#pragma omp simd reduction(+ : squares)
    for (Index i = block * kBlock; i < end; ++i) squares += double(real_part(x[i])) * double(real_part(x[i]));
    block_sums[block] = squares;
  }
  for (Index block = 0; block < blocks; ++block) *sum += block_sums[block];
}

template <Element T>
void cast(Stream&, T* y, const acc_t<T>* x, std::size_t n) {
#pragma omp parallel for simd schedule(static)
  for (std::size_t i = 0; i < n; ++i) store(y[i], x[i]);
}

template <Element T>
void accumulate(Stream&, acc_t<T>* y, const acc_t<T>* x, std::size_t n) {
#pragma omp parallel for simd schedule(static)
  for (std::size_t i = 0; i < n; ++i) y[i] += x[i];
}

}  // namespace expunge::cpu

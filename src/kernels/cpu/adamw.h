// The optimizer step over flat vectors.
#pragma once

#include <cmath>

#include "core/parallel.h"
#include "expunge/kernels.h"
#include "kernels/cpu/flat.h"
#include "kernels/cpu/numeric.h"

namespace expunge::cpu::EXPUNGE_CPU_LEVEL {

inline float to_bf16_and_back(float x) { return float(bf16(x)); }
inline double to_bf16_and_back(double x) { return double(float(bf16(float(x)))); }
inline std::complex<double> to_bf16_and_back(std::complex<double> x) { return to_bf16_and_back(x.real()); }

/// Coefficients of an update in the accumulation type.
template <typename A>
struct AdamWScalars {
  using R = real_t<A>;
  R gradient_scale, epsilon, beta2, take1, take2, keep, step_size, root_correction;
  bool round;
  explicit AdamWScalars(const AdamWStep& step)
      : gradient_scale(R(step.gradient_scale)),
        epsilon(R(step.epsilon)),
        beta2(R(step.beta2)),
        take1(R(1 - step.beta1)),
        take2(R(1 - step.beta2)),
        keep(R(1 - step.learning_rate * step.weight_decay)),
        step_size(R(step.learning_rate / step.bias_correction1)),
        root_correction(R(std::sqrt(step.bias_correction2))),
        round(step.round_to_bf16) {}
};

template <typename A>
void adamw_range(A* w, A* m, A* v, const A* g, Index n, const AdamWScalars<A> step) {
#pragma omp simd
  for (Index i = 0; i < n; ++i) {
    const A gradient = g[i] * step.gradient_scale;
    const A first = m[i] + (gradient - m[i]) * step.take1;
    const A second = v[i] * step.beta2 + gradient * gradient * step.take2;
    const A denominator = std::sqrt(second) / step.root_correction + step.epsilon;
    const A updated = w[i] * step.keep - step.step_size * (first / denominator);
    m[i] = first;
    v[i] = second;
    w[i] = step.round ? to_bf16_and_back(updated) : updated;
  }
}

template <Element T>
void adamw(Stream&, acc_t<T>* w, acc_t<T>* m, acc_t<T>* v, const acc_t<T>* g, std::size_t n, const AdamWStep& step) {
  const AdamWScalars<acc_t<T>> scalars(step);
  parallel_ranges(n, kFlatGrain, [=](Index begin, Index end) {
    adamw_range(w + begin, m + begin, v + begin, g + begin, end - begin, scalars);
  });
}

}  // namespace expunge::cpu::EXPUNGE_CPU_LEVEL

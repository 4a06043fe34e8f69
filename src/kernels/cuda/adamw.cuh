// The optimizer step over flat vectors.
#pragma once

#include "kernels/cuda/device_code.cuh"

namespace expunge::cuda {

template <typename A>
struct AdamWElements {
  A *w, *m, *v;
  const A* g;
  A gradient_scale, epsilon, beta2, take1, take2, keep, step_size, root_correction;
  bool round;
  template <int N>
  __device__ void at(Index i) const {
    Pack<A, N> weights = load<N>(w + i), first = load<N>(m + i), second = load<N>(v + i);
    const Pack<A, N> gradients = load<N>(g + i);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const A gradient = gradients.v[j] * gradient_scale;
      first.v[j] = first.v[j] + (gradient - first.v[j]) * take1;
      second.v[j] = second.v[j] * beta2 + gradient * gradient * take2;
      const A denominator = sqrt(second.v[j]) / root_correction + epsilon;
      const A updated = weights.v[j] * keep - step_size * (first.v[j] / denominator);
      weights.v[j] = round ? A(float(round_bf16(float(updated)))) : updated;
    }
    save(w + i, weights);
    save(m + i, first);
    save(v + i, second);
  }
};

template <Element T>
void adamw(Stream& stream, acc_t<T>* w, acc_t<T>* m, acc_t<T>* v, const acc_t<T>* g, std::size_t n, const AdamWStep& step) {
  using A = acc_t<T>;
  const AdamWElements<A> elements{w,
                                  m,
                                  v,
                                  g,
                                  A(step.gradient_scale),
                                  A(step.epsilon),
                                  A(step.beta2),
                                  A(1 - step.beta1),
                                  A(1 - step.beta2),
                                  A(1 - step.learning_rate * step.weight_decay),
                                  A(step.learning_rate / step.bias_correction1),
                                  A(std::sqrt(step.bias_correction2)),
                                  step.round_to_bf16};
  for_each_element<kWide<A>>(stream, n, aligned(w, m, v, g), elements);
}

}  // namespace expunge::cuda

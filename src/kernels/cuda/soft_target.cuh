// Signals of soft targets for rows of logits, and their gradient.
#pragma once

#include "kernels/cuda/device_code.cuh"

namespace expunge::cuda {

// One block per row; its threads take every kRowThreads-th pack of N logits.

// Notation: p = softmax(logits) = e^(logits - lse), q = e^(s - target_lse), and the shifted target logits s = target_logits -
// label_shift onehot(label). A thread adds more than a pack in double.

/// Sums over a part of a row with weights e^(s - maximum). The cost is the weighted sum of -log(p + epsilon). It includes s -
/// lse if q's entropy is subtracted; that difference stays small if p and q are similar.
struct SoftTargetPart {
  double maximum, weight, cost;
};
struct MergeSoftTargets {
  __device__ SoftTargetPart operator()(const SoftTargetPart& a, const SoftTargetPart& b) const {
    const double maximum = a.maximum > b.maximum ? a.maximum : b.maximum;
    const double keep_a = rescale(a.maximum, maximum), keep_b = rescale(b.maximum, maximum);
    return {maximum, a.weight * keep_a + b.weight * keep_b, a.cost * keep_a + b.cost * keep_b};
  }
};

/// The parameters in the accumulation type. An epsilon below A's normal numbers counts as 0.
template <typename A>
struct SoftTargetScalars {
  A label_shift, epsilon, entropy;
  explicit SoftTargetScalars(const SoftTarget& objective)
      : label_shift(A(objective.label_shift)), epsilon(A(objective.epsilon)), entropy(objective.subtract_entropy ? 1 : 0) {}
  bool smoothed() const { return epsilon >= std::numeric_limits<A>::min(); }
  __device__ A shift(int id, std::int32_t label) const { return id == label ? label_shift : A{}; }
};

template <typename A, int N, bool kSmoothed>
__global__ void __launch_bounds__(kRowThreads)
    soft_target_row(A* signal, A* target_lse, const A* logits, const A* lse, const A* target, const std::int32_t* labels,
                    int vocabulary, SoftTargetScalars<A> scalars) {
  const Index row = Index(blockIdx.x) * Index(vocabulary);
  const A normaliser = lse[blockIdx.x];
  const std::int32_t label = labels[blockIdx.x];
  SoftTargetPart part{-std::numeric_limits<double>::infinity(), 0, 0};
  for (int i = int(threadIdx.x) * N; i < vocabulary; i += kRowThreads * N) {
    const Pack<A, N> x = load<N>(logits + row + i);
    Pack<A, N> s = load<N>(target + row + i);
    A maximum = A(part.maximum);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      s.v[j] -= scalars.shift(i + j, label);
      if (s.v[j] > maximum) maximum = s.v[j];
    }
    if (!(maximum > -std::numeric_limits<A>::infinity())) continue;  // every id has q = 0 here
    const double keep = rescale(part.maximum, double(maximum));
    A weight{}, cost{};
#pragma unroll
    for (int j = 0; j < N; ++j) {
      if (s.v[j] == -std::numeric_limits<A>::infinity()) continue;
      const A w = exponential(s.v[j] - maximum), log_p = x.v[j] - normaliser;
      weight += w;
      cost +=
          w * (scalars.entropy * (s.v[j] - normaliser) - (kSmoothed ? logarithm(exponential(log_p) + scalars.epsilon) : log_p));
    }
    part = {double(maximum), part.weight * keep + double(weight), part.cost * keep + double(cost)};
  }
  part = block_reduce(part, MergeSoftTargets{});
  if (threadIdx.x != 0) return;
  const A log_sum_exp = A(log(part.weight) + part.maximum);
  target_lse[blockIdx.x] = log_sum_exp;
  signal[blockIdx.x] = A(part.cost / part.weight + double(scalars.entropy) * double(normaliser - log_sum_exp));
}
template <Element T>
void soft_target_forward(Stream& stream, acc_t<T>* signal, acc_t<T>* target_lse, const acc_t<T>* logits, const acc_t<T>* lse,
                         const acc_t<T>* target_logits, const std::int32_t* labels, int n, int vocabulary,
                         const SoftTarget& objective) {
  using A = acc_t<T>;
  constexpr int kN = kWide<A>;
  const SoftTargetScalars<A> scalars(objective);
  const bool vectors = vocabulary % kN == 0 && aligned(logits, target_logits);
  const auto kernel = scalars.smoothed() ? (vectors ? soft_target_row<A, kN, true> : soft_target_row<A, 1, true>)
                                         : (vectors ? soft_target_row<A, kN, false> : soft_target_row<A, 1, false>);
  launch(stream, kernel, dim3(unsigned(n)), kRowThreads, 0, signal, target_lse, logits, lse, target_logits, labels, vocabulary,
         scalars);
}

/// dlogits = scale (c p - q p / (p + epsilon)), c = sum of q p / (p + epsilon); the fractions are 1 without epsilon.
template <typename T, int N, bool kSmoothed>
__global__ void __launch_bounds__(kRowThreads)
    soft_target_gradient(T* dlogits, const acc_t<T>* logits, const acc_t<T>* lse, const acc_t<T>* target,
                         const acc_t<T>* target_lse, const std::int32_t* labels, const acc_t<T>* dsignal, int vocabulary,
                         SoftTargetScalars<acc_t<T>> scalars) {
  using A = acc_t<T>;
  const Index row = Index(blockIdx.x) * Index(vocabulary);
  const A normaliser = lse[blockIdx.x], target_normaliser = target_lse[blockIdx.x], scale = dsignal[blockIdx.x];
  const std::int32_t label = labels[blockIdx.x];
  A share(1);
  if constexpr (kSmoothed) {
    double reached = 0;
    for (int i = int(threadIdx.x) * N; i < vocabulary; i += kRowThreads * N) {
      const Pack<A, N> x = load<N>(logits + row + i), s = load<N>(target + row + i);
#pragma unroll
      for (int j = 0; j < N; ++j) {
        const A p = exponential(x.v[j] - normaliser);
        const A q = exponential(s.v[j] - scalars.shift(i + j, label) - target_normaliser);
        reached += double(q * (p / (p + scalars.epsilon)));
      }
    }
    share = A(block_sum(reached));
  }
  for (int i = int(threadIdx.x) * N; i < vocabulary; i += kRowThreads * N) {
    const Pack<A, N> x = load<N>(logits + row + i), s = load<N>(target + row + i);
    Pack<T, N> gradient;
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const A p = exponential(x.v[j] - normaliser);
      const A q = exponential(s.v[j] - scalars.shift(i + j, label) - target_normaliser);
      const A value = scale * (kSmoothed ? share * p - q * (p / (p + scalars.epsilon)) : p - q);
      gradient.v[j] = rounded<T>(scale == A{} ? A{} : value);
    }
    save(dlogits + row + i, gradient);
  }
}
template <Element T>
void soft_target_backward(Stream& stream, T* dlogits, const acc_t<T>* logits, const acc_t<T>* lse,
                          const acc_t<T>* target_logits, const acc_t<T>* target_lse, const std::int32_t* labels,
                          const acc_t<T>* dsignal, int n, int vocabulary, const SoftTarget& objective) {
  constexpr int kN = kWide<T>;
  const SoftTargetScalars<acc_t<T>> scalars(objective);
  const bool vectors = vocabulary % kN == 0 && aligned(dlogits, logits, target_logits);
  const auto kernel = scalars.smoothed() ? (vectors ? soft_target_gradient<T, kN, true> : soft_target_gradient<T, 1, true>)
                                         : (vectors ? soft_target_gradient<T, kN, false> : soft_target_gradient<T, 1, false>);
  launch(stream, kernel, dim3(unsigned(n)), kRowThreads, 0, dlogits, logits, lse, target_logits, target_lse, labels, dsignal,
         vocabulary, scalars);
}

}  // namespace expunge::cuda

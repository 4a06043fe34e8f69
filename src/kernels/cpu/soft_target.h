// Cross-entropy of softmax(logits) with the softmax of other logits as its target, and its gradient.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/parallel.h"
#include "expunge/kernels.h"
#include "kernels/cpu/nll.h"
#include "kernels/cpu/numeric.h"

namespace expunge::cpu::EXPUNGE_CPU_LEVEL {

// Notation for one row: p = softmax(logits) = e^(logits - lse), q = e^(s - target_lse), and the shifted target logits
// s = target_logits - label_shift onehot(label).

/// Elements summed in the accumulation type; few, so that rounding stays small if a loop is not vectorised.
constexpr int kSoftTargetBlock = 512;

/// Sums over the elements of a row so far, with weights e^(s - maximum).
template <typename A>
struct SoftTargetSums {
  real_t<A> maximum = -std::numeric_limits<real_t<A>>::infinity();
  wide_sum_t<A> weight{};  ///< sum of the weights
  wide_sum_t<A> cost{};    ///< weighted sum of -log(p + epsilon), plus s - lse if q's entropy is subtracted
};

/// The parameters in the accumulation type. An epsilon below A's normal numbers counts as 0.
template <typename A>
struct SoftTargetScalars {
  real_t<A> label_shift, epsilon, entropy;
  explicit SoftTargetScalars(const SoftTarget& objective)
      : label_shift(real_t<A>(objective.label_shift)),
        epsilon(real_t<A>(objective.epsilon)),
        entropy(objective.subtract_entropy ? 1 : 0) {}
  bool smoothed() const { return epsilon >= std::numeric_limits<real_t<A>>::min(); }
  /// The label with a shifted target logit; -1 if there is none.
  int shifted_label(std::int32_t label) const { return label_shift == 0 || label < 0 ? -1 : label; }
};

/// Adds n elements and reads each block from memory once. The entropy term uses s - lse instead of s, which stays small if p
/// and q are similar; the caller adds lse - target_lse once.
template <bool kSmoothed, typename A>
void add_to(SoftTargetSums<A>& sums, const A* logits, const A* shifted, int n, A lse, const SoftTargetScalars<A>& scalars) {
  for (int begin = 0; begin < n; begin += kSoftTargetBlock) {
    const int end = std::min(begin + kSoftTargetBlock, n);
    const real_t<A> block_maximum = largest(shifted + begin, end - begin);
    if (block_maximum > sums.maximum) {
      const double rescale = exponential(sums.maximum - block_maximum);
      sums.weight *= rescale;
      sums.cost *= rescale;
      sums.maximum = block_maximum;
    }
    const real_t<A> maximum = sums.maximum, entropy = scalars.entropy, epsilon = scalars.epsilon;
    A weight{}, cost{};
#pragma omp simd reduction(+ : weight, cost)
    for (int i = begin; i < end; ++i) {
      const A w = exponential(shifted[i] - maximum);
      const A log_p = logits[i] - lse;
      weight += w;
      cost += w * (entropy * (shifted[i] - lse) - (kSmoothed ? logarithm(exponential(log_p) + epsilon) : log_p));
    }
    sums.weight += weight;
    sums.cost += cost;
  }
}

template <bool kSmoothed, typename A>
SoftTargetSums<A> soft_target_sums(const A* logits, const A* target, int label, A lse, int vocabulary,
                                   const SoftTargetScalars<A>& scalars) {
  SoftTargetSums<A> sums;
  if (label < 0) {
    add_to<kSmoothed>(sums, logits, target, vocabulary, lse, scalars);
    return sums;
  }
  const int after = label + 1;
  add_to<kSmoothed>(sums, logits, target, label, lse, scalars);
  add_to<kSmoothed>(sums, logits + after, target + after, vocabulary - after, lse, scalars);
  const A shifted = target[label] - scalars.label_shift;
  if (std::isfinite(scalars.label_shift)) add_to<kSmoothed>(sums, logits + label, &shifted, 1, lse, scalars);
  return sums;
}

template <Element T>
void soft_target_forward(Stream&, acc_t<T>* signal, acc_t<T>* target_lse, const acc_t<T>* logits, const acc_t<T>* lse,
                         const acc_t<T>* target_logits, const std::int32_t* labels, int n, int vocabulary,
                         const SoftTarget& objective) {
  using A = acc_t<T>;
  const SoftTargetScalars<A> scalars(objective);
  const auto sums_of_row = scalars.smoothed() ? soft_target_sums<true, A> : soft_target_sums<false, A>;
  parallel_for(n, Index(vocabulary), [&](int t) {
    const Index row = Index(t) * Index(vocabulary);
    const int label = scalars.shifted_label(labels[t]);
    const SoftTargetSums<A> sums = sums_of_row(logits + row, target_logits + row, label, lse[t], vocabulary, scalars);
    const wide_sum_t<A> log_sum_exp = std::log(sums.weight) + double(sums.maximum);
    target_lse[t] = A(log_sum_exp);
    signal[t] = A(sums.cost / sums.weight + double(scalars.entropy) * (lse[t] - target_lse[t]));
  });
}

/// sum of q p / (p + epsilon) over n elements
template <typename A>
wide_sum_t<A> reached_share(const A* logits, const A* shifted, int n, A lse, A target_lse, real_t<A> epsilon) {
  wide_sum_t<A> sum{};
  for (int begin = 0; begin < n; begin += kSoftTargetBlock) {
    const int end = std::min(begin + kSoftTargetBlock, n);
    A block_sum{};
#pragma omp simd reduction(+ : block_sum)
    for (int i = begin; i < end; ++i) {
      const A p = exponential(logits[i] - lse);
      block_sum += exponential(shifted[i] - target_lse) * (p / (p + epsilon));
    }
    sum += block_sum;
  }
  return sum;
}

/// One row: dlogits = scale (c p - q p / (p + epsilon)), c = sum of q p / (p + epsilon); the fractions are 1 without epsilon.
template <bool kSmoothed, Element T>
void soft_target_backward_row(T* dlogits, const acc_t<T>* logits, const acc_t<T>* target, int label, acc_t<T> lse,
                              acc_t<T> target_lse, acc_t<T> scale, int vocabulary, const SoftTargetScalars<acc_t<T>>& scalars) {
  using A = acc_t<T>;
  const real_t<A> epsilon = scalars.epsilon;
  const A label_logit = label < 0 ? A{} : logits[label];
  const A label_target = label < 0 ? A{} : target[label] - scalars.label_shift;  // minus infinity means q = 0
  wide_sum_t<A> reached{};
  if constexpr (kSmoothed) {
    const int before = label < 0 ? vocabulary : label, after = label < 0 ? vocabulary : label + 1;
    reached = reached_share(logits, target, before, lse, target_lse, epsilon) +
              reached_share(logits + after, target + after, vocabulary - after, lse, target_lse, epsilon);
    if (label >= 0) reached += reached_share(&label_logit, &label_target, 1, lse, target_lse, epsilon);
  }
  const A share = A(reached);
  const auto gradient = [=](A logit, A shifted) {
    const A p = exponential(logit - lse), q = exponential(shifted - target_lse);
    return scale * (kSmoothed ? share * p - q * (p / (p + epsilon)) : p - q);
  };
#pragma omp simd
  for (int i = 0; i < vocabulary; ++i) store(dlogits[i], gradient(logits[i], target[i]));
  if (label >= 0) store(dlogits[label], gradient(label_logit, label_target));
}

template <Element T>
void soft_target_backward(Stream&, T* dlogits, const acc_t<T>* logits, const acc_t<T>* lse, const acc_t<T>* target_logits,
                          const acc_t<T>* target_lse, const std::int32_t* labels, const acc_t<T>* dsignal, int n,
                          int vocabulary, const SoftTarget& objective) {
  using A = acc_t<T>;
  const SoftTargetScalars<A> scalars(objective);
  const auto backward_row = scalars.smoothed() ? soft_target_backward_row<true, T> : soft_target_backward_row<false, T>;
  parallel_for(n, Index(vocabulary), [&](int t) {
    const Index row = Index(t) * Index(vocabulary);
    if (dsignal[t] == A{}) {
      std::fill_n(dlogits + row, vocabulary, T{});
      return;
    }
    backward_row(dlogits + row, logits + row, target_logits + row, scalars.shifted_label(labels[t]), lse[t], target_lse[t],
                 dsignal[t], vocabulary, scalars);
  });
}

}  // namespace expunge::cpu::EXPUNGE_CPU_LEVEL

// Negative log-likelihood of labels under logits: softmax cross-entropy per token, and its gradient.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/parallel.h"
#include "expunge/kernels.h"
#include "kernels/cpu/numeric.h"

namespace expunge::cpu::EXPUNGE_CPU_LEVEL {

template <typename A>
struct RowSummary {
  A log_sum_exp;
  int argmax;
};

template <typename A>
real_t<A> largest(const A* x, int n) {
  using R = real_t<A>;
  R maximum = -std::numeric_limits<R>::infinity();
#pragma omp simd reduction(max : maximum)
  for (int i = 0; i < n; ++i) maximum = real_part(x[i]) > maximum ? real_part(x[i]) : maximum;
  return maximum;
}

/// Reads a row from memory once: the maximum of a block, then its sum while the block is in the first-level cache.
template <typename A>
RowSummary<A> summarise_row(const A* logits, int vocabulary) {
  using R = real_t<A>;
  constexpr int kBlock = 4096;
  R maximum = largest(logits, std::min(kBlock, vocabulary));
  int best_block = 0;
  A sum{};
  for (int begin = 0; begin < vocabulary; begin += kBlock) {
    const int end = std::min(begin + kBlock, vocabulary);
    const R block_maximum = largest(logits + begin, end - begin);
    if (block_maximum > maximum) {
      sum *= exponential(maximum - block_maximum);
      maximum = block_maximum;
      best_block = begin;
    }
    A block_sum{};
#pragma omp simd reduction(+ : block_sum)
    for (int i = begin; i < end; ++i) block_sum += exponential(logits[i] - maximum);
    sum += block_sum;
  }
  int argmax = best_block;
  while (argmax + 1 < vocabulary && real_part(logits[argmax]) != maximum) ++argmax;
  return {std::log(sum) + maximum, argmax};
}

template <Element T>
void nll_forward(Stream&, acc_t<T>* nll, acc_t<T>* lse, std::int32_t* prediction, const acc_t<T>* logits,
                 const std::int32_t* labels, int n, int vocabulary) {
  using A = acc_t<T>;
  parallel_for(n, Index(vocabulary), [&](int t) {
    const A* const row = logits + Index(t) * Index(vocabulary);
    const RowSummary<A> summary = summarise_row(row, vocabulary);
    lse[t] = summary.log_sum_exp;
    prediction[t] = summary.argmax;
    nll[t] = labels[t] < 0 ? A{} : summary.log_sum_exp - row[labels[t]];
  });
}

template <Element T>
void nll_backward(Stream&, T* dlogits, const acc_t<T>* logits, const acc_t<T>* lse, const std::int32_t* labels,
                  const acc_t<T>* dnll, int n, int vocabulary) {
  using A = acc_t<T>;
  using R = real_t<A>;
  parallel_for(n, Index(vocabulary), [&](int t) {
    const A* const row = logits + Index(t) * Index(vocabulary);
    T* const d_row = dlogits + Index(t) * Index(vocabulary);
    if (labels[t] < 0) {
      std::fill_n(d_row, vocabulary, T{});
      return;
    }
    const A scale = dnll[t], shift = lse[t], label_logit = row[labels[t]];
#pragma omp simd
    for (int i = 0; i < vocabulary; ++i) store(d_row[i], scale * exponential(row[i] - shift));
    store(d_row[labels[t]], scale * (exponential(label_logit - shift) - R(1)));
  });
}

}  // namespace expunge::cpu::EXPUNGE_CPU_LEVEL

// Negative log-likelihood of rows of logits, and its gradient.
#pragma once

#include "kernels/cuda/device_code.cuh"

namespace expunge::cuda {

// One block per row; its threads take every kRowThreads-th pack of N logits.

/// Summary of a part of a row: the maximum, its first position, and the sum of e^(x - maximum).
template <typename A>
struct PartSummary {
  A maximum, sum;
  int argmax, unused;  // makes the size a multiple of 4 bytes for double too
};
struct MergeSummaries {
  template <typename A>
  __device__ PartSummary<A> operator()(const PartSummary<A>& a, const PartSummary<A>& b) const {
    const bool first = a.maximum > b.maximum || (a.maximum == b.maximum && a.argmax <= b.argmax);
    const A maximum = first ? a.maximum : b.maximum;
    return {maximum, a.sum * rescale(a.maximum, maximum) + b.sum * rescale(b.maximum, maximum), first ? a.argmax : b.argmax, 0};
  }
};

template <typename A, int N>
__global__ void __launch_bounds__(kRowThreads)
    nll_row(A* nll, A* lse, std::int32_t* prediction, const A* logits, const std::int32_t* labels, int vocabulary) {
  const A* const row = logits + Index(blockIdx.x) * Index(vocabulary);
  PartSummary<A> part{-std::numeric_limits<A>::infinity(), A{}, vocabulary - 1, 0};
  for (int i = int(threadIdx.x) * N; i < vocabulary; i += kRowThreads * N) {
    const Pack<A, N> x = load<N>(row + i);
    const A before = part.maximum;
#pragma unroll
    for (int j = 0; j < N; ++j)
      if (x.v[j] > part.maximum) {
        part.maximum = x.v[j];
        part.argmax = i + j;
      }
    part.sum *= rescale(before, part.maximum);
#pragma unroll
    for (int j = 0; j < N; ++j) part.sum += exponential(x.v[j] - part.maximum);
  }
  part = block_reduce(part, MergeSummaries{});
  if (threadIdx.x != 0) return;
  const A log_sum_exp = logarithm(part.sum) + part.maximum;
  const std::int32_t label = labels[blockIdx.x];
  lse[blockIdx.x] = log_sum_exp;
  prediction[blockIdx.x] = part.argmax;
  nll[blockIdx.x] = label < 0 ? A{} : log_sum_exp - row[label];
}
template <Element T>
void nll_forward(Stream& stream, acc_t<T>* nll, acc_t<T>* lse, std::int32_t* prediction, const acc_t<T>* logits,
                 const std::int32_t* labels, int n, int vocabulary) {
  using A = acc_t<T>;
  const auto kernel = vocabulary % kWide<A> == 0 && aligned(logits) ? nll_row<A, kWide<A>> : nll_row<A, 1>;
  launch(stream, kernel, dim3(unsigned(n)), kRowThreads, 0, nll, lse, prediction, logits, labels, vocabulary);
}

/// A row is a token; a column is an id.
template <typename T>
struct NllGradient {
  using A = acc_t<T>;
  T* dlogits;
  const A *logits, *lse, *dnll;
  const std::int32_t* labels;
  int vocabulary;
  template <int N>
  __device__ void at(Index row, int column) const {
    const Index at = row * Index(vocabulary) + Index(column);
    const std::int32_t label = labels[row];
    const A scale = dnll[row], shift = lse[row];
    Pack<T, N> gradient;
    const Pack<A, N> x = load<N>(logits + at);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const A p = exponential(x.v[j] - shift);
      gradient.v[j] = rounded<T>(label < 0 ? A{} : scale * (column + j == label ? p - A(1) : p));
    }
    save(dlogits + at, gradient);
  }
};
template <Element T>
void nll_backward(Stream& stream, T* dlogits, const acc_t<T>* logits, const acc_t<T>* lse, const std::int32_t* labels,
                  const acc_t<T>* dnll, int n, int vocabulary) {
  for_each_cell<kWide<T>>(stream, n, vocabulary, aligned(dlogits, logits),
                          NllGradient<T>{dlogits, logits, lse, dnll, labels, vocabulary});
}

}  // namespace expunge::cuda

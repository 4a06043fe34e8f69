// Kernels without sums between elements: AdamW, cast, accumulate, SwiGLU, rotary embedding, lookup, cache; and sum of squares.
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

template <typename T, typename A>
struct CastElements {
  T* y;
  const A* x;
  template <int N>
  __device__ void at(Index i) const {
    const Pack<A, N> from = load<N>(x + i);
    Pack<T, N> to;
#pragma unroll
    for (int j = 0; j < N; ++j) to.v[j] = rounded<T>(from.v[j]);
    save(y + i, to);
  }
};
template <Element T>
void cast(Stream& stream, T* y, const acc_t<T>* x, std::size_t n) {
  for_each_element<kWide<T>>(stream, n, aligned(y, x), CastElements<T, acc_t<T>>{y, x});
}

template <typename A>
struct AccumulateElements {
  A* y;
  const A* x;
  template <int N>
  __device__ void at(Index i) const {
    Pack<A, N> sum = load<N>(y + i);
    const Pack<A, N> more = load<N>(x + i);
#pragma unroll
    for (int j = 0; j < N; ++j) sum.v[j] += more.v[j];
    save(y + i, sum);
  }
};
template <Element T>
void accumulate(Stream& stream, acc_t<T>* y, const acc_t<T>* x, std::size_t n) {
  for_each_element<kWide<acc_t<T>>>(stream, n, aligned(y, x), AccumulateElements<acc_t<T>>{y, x});
}

/// Elements that one block of sum_of_squares adds up at least; blocks beyond kSumBlocks make them more.
constexpr std::size_t kSumElements = 16384, kSumBlocks = 1024;

/// A thread takes kSquares neighbours at a time, whether it may read them at once (kVectors) or not: the order is the same.
constexpr int kSquares = 4;
template <typename A, bool kVectors>
__global__ void __launch_bounds__(kRowThreads) partial_squares(double* partial, const A* x, std::size_t n) {
  double squares = 0;
  const Index first = (Index(blockIdx.x) * kRowThreads + threadIdx.x) * kSquares;
  for (Index i = first; i < n; i += Index(gridDim.x) * kRowThreads * kSquares) {
    Pack<A, kSquares> pack{};
    if (kVectors && i + kSquares <= n) {
      pack = load<kSquares>(x + i);
    } else {
#pragma unroll
      for (int j = 0; j < kSquares; ++j)
        if (i + Index(j) < n) pack.v[j] = x[i + Index(j)];
    }
#pragma unroll
    for (int j = 0; j < kSquares; ++j) squares += double(pack.v[j]) * double(pack.v[j]);
  }
  squares = block_sum(squares);
  if (threadIdx.x == 0) partial[blockIdx.x] = squares;
}
template <typename R>
__global__ void __launch_bounds__(kRowThreads) add_partials(R* sum, const R* partial, int n) {
  R total{};
  for (int i = int(threadIdx.x); i < n; i += kRowThreads) total += partial[i];
  total = block_sum(total);
  if (threadIdx.x == 0) *sum += total;
}
template <Element T>
void sum_of_squares(Stream& stream, double* sum, const acc_t<T>* x, std::size_t n) {
  const std::size_t blocks = std::min(kSumBlocks, (n + kSumElements - 1) / kSumElements);
  if (blocks == 0) return;
  double* const partial = scratch<double>(stream, blocks);
  const auto kernel = aligned(x) ? partial_squares<acc_t<T>, true> : partial_squares<acc_t<T>, false>;
  launch(stream, kernel, dim3(unsigned(blocks)), kRowThreads, 0, partial, x, n);
  launch(stream, add_partials<double>, dim3(1), kRowThreads, 0, sum, partial, int(blocks));
}

template <typename A>
__device__ inline A sigmoid(A x) {
  return A(1) / (A(1) + exponential(-x));
}

template <typename T>
struct SwiGluForward {
  T* y;
  const T* gate_up;
  int mlp;
  template <int N>
  __device__ void at(Index row, int column) const {
    using A = acc_t<T>;
    const T* const gates = gate_up + row * 2 * Index(mlp) + column;
    const Pack<T, N> gate = load<N>(gates), up = load<N>(gates + mlp);
    Pack<T, N> product;
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const A g = gate.v[j];
      product.v[j] = rounded<T>(g * sigmoid(g) * A(up.v[j]));
    }
    save(y + row * Index(mlp) + column, product);
  }
};
template <Element T>
void swiglu_forward(Stream& stream, T* y, const T* gate_up, int n, int mlp) {
  for_each_cell<kWide<T>>(stream, n, mlp, aligned(y, gate_up), SwiGluForward<T>{y, gate_up, mlp});
}

template <typename T>
struct SwiGluBackward {
  T* dgate_up;
  const T *dy, *gate_up;
  int mlp;
  template <int N>
  __device__ void at(Index row, int column) const {
    using A = acc_t<T>;
    const Index gates = row * 2 * Index(mlp) + Index(column), ups = gates + Index(mlp);
    const Pack<T, N> gate = load<N>(gate_up + gates), up = load<N>(gate_up + ups);
    const Pack<T, N> d = load<N>(dy + row * Index(mlp) + column);
    Pack<T, N> dgate, dup;
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const A g = gate.v[j], dproduct = d.v[j], s = sigmoid(g);
      dgate.v[j] = rounded<T>(dproduct * A(up.v[j]) * s * (A(1) + g * (A(1) - s)));
      dup.v[j] = rounded<T>(dproduct * g * s);
    }
    save(dgate_up + gates, dgate);
    save(dgate_up + ups, dup);
  }
};
template <Element T>
void swiglu_backward(Stream& stream, T* dgate_up, const T* dy, const T* gate_up, int n, int mlp) {
  for_each_cell<kWide<T>>(stream, n, mlp, aligned(dgate_up, dy, gate_up), SwiGluBackward<T>{dgate_up, dy, gate_up, mlp});
}

constexpr int kMostHeadSize = 256;

template <typename A>
struct RopeAngles {
  A* cos_sin;
  const std::int32_t* positions;
  int half;
  A frequency[kMostHeadSize / 2];
  template <int N>
  __device__ void at(Index row, int i) const {
    static_assert(N == 1);
    const A angle = A(positions[row]) * frequency[i];
    A* const to = cos_sin + row * 2 * Index(half) + i;
    to[0] = cos(angle);
    to[half] = sin(angle);
  }
};
/// Frequencies are the host's, so that they are the same to the last bit on every device: an error in one grows with position.
template <Element T>
void rope_table(Stream& stream, acc_t<T>* cos_sin, const std::int32_t* positions, int n, int head_size, double theta) {
  using A = acc_t<T>;
  check(head_size <= kMostHeadSize, "head sizes are at most 256");
  RopeAngles<A> angles{cos_sin, positions, head_size / 2, {}};
  for (int i = 0; i < head_size / 2; ++i) angles.frequency[i] = A(1) / std::pow(A(theta), A(2 * i) / A(head_size));
  for_each_cell<1>(stream, n, head_size / 2, false, angles);
}

/// Rotates queries and keys by the angles, or by their negatives. A row is a token, a column a pair of one of its heads.
template <typename T>
struct Rotation {
  T* qkv;
  const acc_t<T>* cos_sin;
  int half, qkv_width;
  acc_t<T> direction;
  template <int N>
  __device__ void at(Index row, int column) const {
    using A = acc_t<T>;
    const int head = column / half, i = column % half;
    T* const x = qkv + row * Index(qkv_width) + Index(head) * 2 * Index(half) + i;
    const A* const angles = cos_sin + row * 2 * Index(half) + i;
    const Pack<A, N> cosine = load<N>(angles), sine = load<N>(angles + half);
    Pack<T, N> low = load<N>(x), high = load<N>(x + half);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const A a = low.v[j], b = high.v[j], s = sine.v[j] * direction;
      low.v[j] = rounded<T>(a * cosine.v[j] - b * s);
      high.v[j] = rounded<T>(b * cosine.v[j] + a * s);
    }
    save(x, low);
    save(x + half, high);
  }
};
template <Element T>
void rotate(Stream& stream, T* qkv, const acc_t<T>* cos_sin, int n, AttentionShape shape, int direction) {
  const int half = shape.head_size / 2;
  const Rotation<T> rotation{qkv, cos_sin, half, shape.qkv_width(), acc_t<T>(direction)};
  const bool vectors = aligned(qkv, cos_sin) && half % kWide<T> == 0;  // else a vector would reach into the next head
  for_each_cell<kWide<T>>(stream, n, (shape.heads + shape.kv_heads) * half, vectors, rotation);
}
template <Element T>
void rope_forward(Stream& stream, T* qkv, const acc_t<T>* cos_sin, int n, AttentionShape shape) {
  rotate(stream, qkv, cos_sin, n, shape, 1);
}
template <Element T>
void rope_backward(Stream& stream, T* dqkv, const acc_t<T>* cos_sin, int n, AttentionShape shape) {
  rotate(stream, dqkv, cos_sin, n, shape, -1);
}

/// to[to_rows[r]] = from[from_rows[r]], where a list of rows is null for r itself.
template <typename T>
struct RowCopy {
  T* to;
  const T* from;
  const std::int32_t *to_rows, *from_rows;
  int to_width, from_width;
  template <int N>
  __device__ void at(Index row, int column) const {
    const Index target = to_rows ? Index(to_rows[row]) : row, source = from_rows ? Index(from_rows[row]) : row;
    save(to + target * Index(to_width) + column, load<N>(from + source * Index(from_width) + column));
  }
};
template <Element T>
void embedding_forward(Stream& stream, T* y, const T* table, const std::int32_t* ids, int n, int dim) {
  for_each_cell<kWide<T>>(stream, n, dim, aligned(y, table), RowCopy<T>{y, table, nullptr, ids, dim, dim});
}
template <Element T>
void cache_store(Stream& stream, T* cache, const T* qkv, const std::int32_t* slots, int n, AttentionShape shape) {
  const int queries = shape.heads * shape.head_size, row = shape.qkv_width() - queries;
  const bool vectors = aligned(cache, qkv + queries) && shape.qkv_width() % kWide<T> == 0;
  for_each_cell<kWide<T>>(stream, n, row, vectors, RowCopy<T>{cache, qkv + queries, slots, nullptr, row, shape.qkv_width()});
}

/// The block of a token that no earlier one shares its id with adds up the gradients of all that do, in order of tokens: sums
/// are the same every time, without atomics. A block column has kRowThreads columns of the table.
template <typename T>
__global__ void __launch_bounds__(kRowThreads)
    embedding_gradient(acc_t<T>* dtable, const T* dy, const std::int32_t* ids, int n, int dim) {
  using A = acc_t<T>;
  __shared__ int same[kRowThreads], count;
  const int token = int(blockIdx.x), id = ids[token], thread = int(threadIdx.x);
  const int column = int(blockIdx.y) * kRowThreads + thread;
  int earlier = 0;
  for (int t = thread; t < token; t += kRowThreads) earlier |= int(ids[t] == id);
  if (__syncthreads_or(earlier)) return;
  A sum{};
  for (int begin = token; begin < n; begin += kRowThreads) {
    const int t = begin + thread;
    const bool mine = t < n && ids[t] == id;
    // Those before this thread in the chunk: of its warp by the ballot, of earlier warps by their counts.
    __shared__ int warp_counts[kRowThreads / kWarp];
    const unsigned ballot = __ballot_sync(kAllLanes, mine);
    __syncthreads();
    if (thread % kWarp == 0) warp_counts[thread / kWarp] = __popc(ballot);
    __syncthreads();
    int place = __popc(ballot & ((1u << (thread % kWarp)) - 1u));
    for (int warp = 0; warp < thread / kWarp; ++warp) place += warp_counts[warp];
    if (mine) same[place] = t;
    if (thread == kRowThreads - 1) count = place + int(mine);
    __syncthreads();
    if (column < dim)
      for (int i = 0; i < count; ++i) sum += A(dy[Index(same[i]) * Index(dim) + Index(column)]);
  }
  if (column < dim) dtable[Index(id) * Index(dim) + Index(column)] += sum;
}
template <Element T>
void embedding_backward(Stream& stream, acc_t<T>* dtable, const T* dy, const std::int32_t* ids, int n, int dim) {
  const dim3 grid{unsigned(n), unsigned(divide_up(dim, kRowThreads))};
  launch(stream, embedding_gradient<T>, grid, kRowThreads, 0, dtable, dy, ids, n, dim);
}

}  // namespace expunge::cuda

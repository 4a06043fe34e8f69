// Attention in bf16 on tensor cores, blocked over queries and keys (Dao 2023, FlashAttention-2), without atomics: the gradient
// of queries is a kernel of its own, which costs two more products than one kernel for all, seven in place of five.
#pragma once

#include "kernels/cuda/attention_tiles.cuh"

namespace expunge::cuda::attention {

// A block has kWarps warps; a warp has 16 rows. While one step's tiles are multiplied the next step's are on their way into the
// other of two stages of shared memory, so each step needs one barrier.

constexpr int kRows = 16 * kWarps;  // of a block: queries, or in the kernel for keys and values keys
constexpr int kStep = 64;           // rows of the other side that a step takes
constexpr int kStepTiles = kStep / 8;
constexpr float kLog2E = 1.4426950408889634f;

struct TensorForward {
  bf16* out;   // (T, H, E)
  float* lse;  // (H, T)
  Heads<const bf16> heads;
  const std::int32_t* offsets;
  int sequences, tokens;
};

/// One row's softmax, so far: of scores in units where e^score is 2^(score scale).
struct RowState {
  float maximum = -std::numeric_limits<float>::infinity(), sum = 0;  // the sum is of this lane's columns
};

/// Turns scores of a warp's 16 rows into unnormalised probabilities; sums so far are rescaled. Keys from key_begin, queries
/// from query_begin.
template <int kHead>
__device__ inline void softmax_step(float (&scores)[kStepTiles][4], float (&sums)[kHead / 8][4], RowState (&state)[2],
                                    float scale, int query_begin, int key_begin) {
  const int lane = int(threadIdx.x) % kWarp;
  const bool masked = key_begin + kStep - 1 > query_begin;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int query = query_begin + lane / 4 + 8 * half;
    float maximum = state[half].maximum;
#pragma unroll
    for (int tile = 0; tile < kStepTiles; ++tile)
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        float& score = scores[tile][2 * half + j];
        if (masked && key_begin + tile * 8 + lane % 4 * 2 + j > query) score = -std::numeric_limits<float>::infinity();
        maximum = fmaxf(maximum, score);
      }
    // The four lanes of a row. Key 0 is in the first step and every query sees it: the maximum is finite.
    maximum = fmaxf(maximum, shuffle_xor(maximum, 1));
    maximum = fmaxf(maximum, shuffle_xor(maximum, 2));
    const float keep = exp2_fast((state[half].maximum - maximum) * scale), shift = maximum * scale;
    state[half].maximum = maximum;
    float sum = state[half].sum * keep;
#pragma unroll
    for (int tile = 0; tile < kStepTiles; ++tile)
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        float& score = scores[tile][2 * half + j];
        score = exp2_fast(score * scale - shift);
        sum += score;
      }
    state[half].sum = sum;
#pragma unroll
    for (int tile = 0; tile < kHead / 8; ++tile) {
      sums[tile][2 * half] *= keep;
      sums[tile][2 * half + 1] *= keep;
    }
  }
}

template <int kHead>
constexpr std::size_t kForwardShared = sizeof(bf16) * kHead*(kRows + 4 * kStep);

template <int kHead>
__global__ void __launch_bounds__(kThreads) tensor_forward(TensorForward p) {
  const Tile tile = find_tile(p.offsets, p.sequences, kRows, int(blockIdx.x), true);
  if (!tile.exists) return;
  const int head = int(blockIdx.y), kv_head = head / p.heads.group(), width = p.heads.shape.head_size;
  const int stride = p.heads.shape.qkv_width(), rows = min(kRows, tile.length - tile.begin);
  const int steps = divide_up(tile.begin + rows, kStep), lane = int(threadIdx.x) % kWarp;
  bf16* const shared = reinterpret_cast<bf16*>(dynamic_shared());
  const Rows<kHead> queries{shared};
  const auto stage = [&](int step, int which) {
    return Rows<kHead>{shared + (kRows + (step % 2 * 2 + which) * kStep) * kHead};
  };
  const auto fetch_step = [&](int step) {
    const int key = step * kStep, valid = tile.length - key;
    fetch<kStep>(stage(step, 0), p.heads.key(tile.first + key, kv_head), stride, valid, width);
    fetch<kStep>(stage(step, 1), p.heads.value(tile.first + key, kv_head), stride, valid, width);
    copy_async_commit();
  };
  fetch<kRows>(queries, p.heads.query(tile.first + tile.begin, head), stride, rows, width);
  fetch_step(0);

  const int warp_row = int(threadIdx.x) / kWarp * 16;
  const float root = inverse_root<float>(width);
  float sums[kHead / 8][4]{};
  RowState state[2];
  for (int step = 0; step < steps; ++step) {
    copy_async_wait<0>();
    __syncthreads();  // this step's tiles are there for all, and the last step's have been read
    if (step + 1 < steps) fetch_step(step + 1);
    float scores[kStepTiles][4]{};
    add_product_of_rows(scores, queries, warp_row, stage(step, 0));
    softmax_step<kHead>(scores, sums, state, root * kLog2E, tile.begin + warp_row, step * kStep);
    add_weighted_rows(sums, scores, stage(step, 1));
  }

  float inverse[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float sum = state[half].sum;
    sum += shuffle_xor(sum, 1);
    sum += shuffle_xor(sum, 2);
    inverse[half] = 1 / sum;
    const int row = warp_row + lane / 4 + 8 * half;
    if (lane % 4 == 0 && row < rows)
      p.lse[Index(head) * Index(p.tokens) + Index(tile.first + tile.begin + row)] = state[half].maximum * root + logf(sum);
  }
  const Index out_row = Index(p.heads.shape.heads) * Index(width);
  write_rows<kHead>(p.out + Index(tile.first + tile.begin + warp_row) * out_row + Index(head) * Index(width), out_row,
                    rows - warp_row, width, sums, inverse);
}

struct TensorBackward {
  Heads<bf16> dheads;
  Heads<const bf16> heads;
  BackwardInput<bf16> in;
  float*
      partial;  // (splits, T, K, 2E): what each split of a group's heads adds to dk, then dv; unused where there is one split
  int splits;
};

/// Probabilities from scores, and the gradient of the scaled scores from that of the probabilities, of which a row is a query
/// (kRowIsQuery) or a key. `lse` (times log2 e) and `delta` are those of a query; `visible(row, column)`.
__device__ inline void score_gradient(float& score, float& dscore, float scale, float lse, float delta, bool visible) {
  const float probability = visible ? exp2_fast(score * (scale * kLog2E) - lse) : 0;
  score = probability;
  dscore = probability * (dscore - delta) * scale;
}

template <int kHead>
constexpr std::size_t kDQueryShared = sizeof(bf16) * kHead*(2 * kRows + 4 * kStep);

template <int kHead>
__global__ void __launch_bounds__(kThreads) tensor_dquery(TensorBackward p) {
  const Tile tile = find_tile(p.in.offsets, p.in.sequences, kRows, int(blockIdx.x), true);
  if (!tile.exists) return;
  const int head = int(blockIdx.y), kv_head = head / p.heads.group(), width = p.heads.shape.head_size;
  const int stride = p.heads.shape.qkv_width(), rows = min(kRows, tile.length - tile.begin);
  const int steps = divide_up(tile.begin + rows, kStep), lane = int(threadIdx.x) % kWarp;
  const Index out_row = Index(p.heads.shape.heads) * Index(width);
  const int token = tile.first + tile.begin;
  bf16* const shared = reinterpret_cast<bf16*>(dynamic_shared());
  const Rows<kHead> queries{shared}, douts{shared + kRows * kHead};
  const auto stage = [&](int step, int which) {
    return Rows<kHead>{shared + (2 * kRows + (step % 2 * 2 + which) * kStep) * kHead};
  };
  const auto fetch_step = [&](int step) {
    const int key = step * kStep, valid = tile.length - key;
    fetch<kStep>(stage(step, 0), p.heads.key(tile.first + key, kv_head), stride, valid, width);
    fetch<kStep>(stage(step, 1), p.heads.value(tile.first + key, kv_head), stride, valid, width);
    copy_async_commit();
  };
  fetch<kRows>(queries, p.heads.query(token, head), stride, rows, width);
  fetch<kRows>(douts, p.in.dout + Index(token) * out_row + Index(head) * Index(width), int(out_row), rows, width);
  fetch_step(0);

  const int warp_row = int(threadIdx.x) / kWarp * 16;
  const float scale = inverse_root<float>(width);
  float lse[2], delta[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = warp_row + lane / 4 + 8 * half;
    const Index at = Index(head) * Index(p.in.tokens) + Index(token + row);
    lse[half] = row < rows ? p.in.lse[at] * kLog2E : std::numeric_limits<float>::infinity();  // no weight where no query is
    delta[half] = row < rows ? p.in.delta[at] : 0;
  }
  float sums[kHead / 8][4]{};
  for (int step = 0; step < steps; ++step) {
    copy_async_wait<0>();
    __syncthreads();
    if (step + 1 < steps) fetch_step(step + 1);
    float scores[kStepTiles][4]{}, dscores[kStepTiles][4]{};
    add_product_of_rows(scores, queries, warp_row, stage(step, 0));
    add_product_of_rows(dscores, douts, warp_row, stage(step, 1));
#pragma unroll
    for (int t = 0; t < kStepTiles; ++t)
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int query = tile.begin + warp_row + lane / 4 + j / 2 * 8, key = step * kStep + t * 8 + lane % 4 * 2 + j % 2;
        score_gradient(scores[t][j], dscores[t][j], scale, lse[j / 2], delta[j / 2], key <= query);
      }
    add_weighted_rows(sums, dscores, stage(step, 0));
  }
  write_rows<kHead>(p.dheads.query(token + warp_row, head), Index(stride), rows - warp_row, width, sums, {1, 1});
}

template <int kHead>
constexpr std::size_t kDKeyShared = sizeof(bf16) * kHead*(2 * kRows + 4 * kStep) + 4 * kStep * sizeof(float);

template <int kHead>
__global__ void __launch_bounds__(kThreads) tensor_dkey_dvalue(TensorBackward p) {
  const Tile tile = find_tile(p.in.offsets, p.in.sequences, kRows, int(blockIdx.x), false);
  if (!tile.exists) return;
  const int kv_head = int(blockIdx.y), split = int(blockIdx.z), width = p.heads.shape.head_size;
  const int stride = p.heads.shape.qkv_width(), rows = min(kRows, tile.length - tile.begin);
  const int token = tile.first + tile.begin, lane = int(threadIdx.x) % kWarp;
  const Index out_row = Index(p.heads.shape.heads) * Index(width);
  // Steps go through the queries from the first that sees a key of the tile, once for each head of the split.
  const int first_query = tile.begin / kStep * kStep, of_head = divide_up(tile.length - first_query, kStep);
  const int heads_of_split = p.heads.group() / p.splits, first_head = kv_head * p.heads.group() + split * heads_of_split;
  const int steps = of_head * heads_of_split;
  bf16* const shared = reinterpret_cast<bf16*>(dynamic_shared());
  float* const row_values = reinterpret_cast<float*>(shared + (2 * kRows + 4 * kStep) * kHead);  // (2, 2, kStep): lse, delta
  const Rows<kHead> keys{shared}, values{shared + kRows * kHead};
  const auto stage = [&](int step, int which) {
    return Rows<kHead>{shared + (2 * kRows + (step % 2 * 2 + which) * kStep) * kHead};
  };
  const auto fetch_step = [&](int step) {
    const int head = first_head + step / of_head, query = first_query + step % of_head * kStep;
    const int valid = tile.length - query, at = tile.first + query;
    fetch<kStep>(stage(step, 0), p.heads.query(at, head), stride, valid, width);
    fetch<kStep>(stage(step, 1), p.in.dout + Index(at) * out_row + Index(head) * Index(width), int(out_row), valid, width);
    copy_async_commit();
    float* const lse = row_values + step % 2 * 2 * kStep;
    for (int i = int(threadIdx.x); i < kStep; i += kThreads) {
      const Index place = Index(head) * Index(p.in.tokens) + Index(at + i);
      lse[i] = i < valid ? p.in.lse[place] * kLog2E : std::numeric_limits<float>::infinity();
      lse[kStep + i] = i < valid ? p.in.delta[place] : 0;
    }
  };
  fetch<kRows>(keys, p.heads.key(token, kv_head), stride, rows, width);
  fetch<kRows>(values, p.heads.value(token, kv_head), stride, rows, width);
  fetch_step(0);

  const int warp_row = int(threadIdx.x) / kWarp * 16;
  const float scale = inverse_root<float>(width);
  float dkey[kHead / 8][4]{}, dvalue[kHead / 8][4]{};
  for (int step = 0; step < steps; ++step) {
    copy_async_wait<0>();
    __syncthreads();
    if (step + 1 < steps) fetch_step(step + 1);
    const float* const lse = row_values + step % 2 * 2 * kStep;
    float scores[kStepTiles][4]{}, dscores[kStepTiles][4]{};  // rows are keys
    add_product_of_rows(scores, keys, warp_row, stage(step, 0));
    add_product_of_rows(dscores, values, warp_row, stage(step, 1));
    const int query_begin = first_query + step % of_head * kStep;
#pragma unroll
    for (int t = 0; t < kStepTiles; ++t)
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int column = t * 8 + lane % 4 * 2 + j % 2, key = tile.begin + warp_row + lane / 4 + j / 2 * 8;
        score_gradient(scores[t][j], dscores[t][j], scale, lse[column], lse[kStep + column], key <= query_begin + column);
      }
    add_weighted_rows(dvalue, scores, stage(step, 1));
    add_weighted_rows(dkey, dscores, stage(step, 0));
  }
  const int valid = rows - warp_row;
  if (p.splits == 1) {
    write_rows<kHead>(p.dheads.key(token + warp_row, kv_head), Index(stride), valid, width, dkey, {1, 1});
    write_rows<kHead>(p.dheads.value(token + warp_row, kv_head), Index(stride), valid, width, dvalue, {1, 1});
  } else {
    const Index row = Index(p.heads.shape.kv_heads) * 2 * Index(width);
    float* const to =
        p.partial + (Index(split) * Index(p.in.tokens) + Index(token + warp_row)) * row + Index(kv_head) * 2 * width;
    write_rows<kHead>(to, row, valid, width, dkey, {1, 1});
    write_rows<kHead>(to + width, row, valid, width, dvalue, {1, 1});
  }
}

/// dkey and dvalue of a token: the splits' sums, added in order. A column is one of K 2E.
struct JoinSplits {
  TensorBackward p;
  template <int N>
  __device__ void at(Index row, int column) const {
    const int width = p.heads.shape.head_size, kv_head = column / (2 * width), e = column % (2 * width);
    const Index columns = Index(p.heads.shape.kv_heads) * 2 * Index(width);
    Pack<float, N> sum = load<N>(p.partial + row * columns + column);
    for (int split = 1; split < p.splits; ++split) {
      const Pack<float, N> more = load<N>(p.partial + (Index(split) * Index(p.in.tokens) + row) * columns + column);
#pragma unroll
      for (int j = 0; j < N; ++j) sum.v[j] += more.v[j];
    }
    Pack<bf16, N> result;
#pragma unroll
    for (int j = 0; j < N; ++j) result.v[j] = round_bf16(sum.v[j]);
    save(e < width ? p.dheads.key(int(row), kv_head) + e : p.dheads.value(int(row), kv_head) + e - width, result);
  }
};

/// Parts that a group's heads are split into, so that a short batch still has blocks for every multiprocessor.
inline int choose_splits(const AttentionShape& shape, int tokens) {
  constexpr int kEnoughBlocks = 1024;
  const int group = shape.heads / shape.kv_heads, blocks = shape.kv_heads * divide_up(tokens, kRows);
  for (int splits = 1; splits < group; ++splits)
    if (group % splits == 0 && blocks * splits >= kEnoughBlocks) return splits;
  return group;
}

}  // namespace expunge::cuda::attention

// Attention in bf16 on tensor cores, blocked over queries and keys (Dao 2023, FlashAttention-2), without atomics: a separate
// kernel computes the gradient of queries. That takes seven products instead of the five of a single kernel.
#pragma once

#include "kernels/cuda/attention_tiles.cuh"

namespace expunge::cuda::attention {

// A block has kWarps warps. If registers allow, a warp has 32 rows instead of 16: each operand read from shared memory then
// serves two tiles of rows, and each fetched key and value serves twice the queries.
//
// Blocks start in the order of their numbers. All heads of a tile come before the next tile, and a sequence's longest tile
// comes first. Thus no long block starts when the others are done.

constexpr int kQueryTiles = 2, kQueryRows = 16 * kQueryTiles * kWarps;  // per warp, per block
constexpr int kKeyRows = 16 * kWarps;                                   // per block of the kernel for keys and values
constexpr int kStep = 64;                                               // rows of the other side per step
constexpr int kStepTiles = kStep / 8;
constexpr int kDQueryStep = 32, kDQueryStepTiles = kDQueryStep / 8;  // in the kernel for queries, which needs more registers
constexpr float kLog2E = 1.4426950408889634f;

struct TensorForward {
  bf16* out;   // (T, H, E)
  float* lse;  // (H, T)
  Heads<const bf16> heads;
  const std::int32_t* offsets;
  int sequences, tokens;
};

/// Running softmax of one row, whose scores are in units where e^score is 2^(score scale).
struct RowState {
  float maximum = -std::numeric_limits<float>::infinity(), sum = 0;  // the sum covers this lane's columns
};

/// Sets the scores of keys after their query to minus infinity. Rows of scores are queries from row_begin and columns keys
/// from column_begin, or the other way round.
template <bool kRowsAreKeys, int kTiles>
__device__ inline void hide_later_keys(float (&scores)[kTiles][4], int row_begin, int column_begin) {
  if (kRowsAreKeys ? row_begin + 15 <= column_begin : column_begin + 8 * kTiles - 1 <= row_begin) return;
  const int lane = int(threadIdx.x) % kWarp;
#pragma unroll
  for (int tile = 0; tile < kTiles; ++tile)
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int row = row_begin + lane / 4 + j / 2 * 8, column = column_begin + tile * 8 + lane % 4 * 2 + j % 2;
      if (kRowsAreKeys ? row > column : column > row) scores[tile][j] = -std::numeric_limits<float>::infinity();
    }
}

/// Turns scores of a warp's 16 rows into unnormalised probabilities and rescales earlier sums.
template <int kHead>
__device__ inline void softmax_step(float (&scores)[kStepTiles][4], float (&sums)[kHead / 8][4], RowState (&state)[2],
                                    float scale) {
  float keep[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float maximum = state[half].maximum;
#pragma unroll
    for (int tile = 0; tile < kStepTiles; ++tile)
      maximum = fmaxf(maximum, fmaxf(scores[tile][2 * half], scores[tile][2 * half + 1]));
    // Combine the four lanes of a row. The maximum is finite, because every query sees key 0, in the first step.
    maximum = fmaxf(maximum, shuffle_xor(maximum, 1));
    maximum = fmaxf(maximum, shuffle_xor(maximum, 2));
    const float shift = maximum * scale;
    keep[half] = exp2_fast((state[half].maximum - maximum) * scale);
    state[half].maximum = maximum;
    float sum = state[half].sum * keep[half];
#pragma unroll
    for (int tile = 0; tile < kStepTiles; ++tile)
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        float& score = scores[tile][2 * half + j];
        score = exp2_fast(score * scale - shift);
        sum += score;
      }
    state[half].sum = sum;
  }
  if (__ballot_sync(kAllLanes, keep[0] != 1 || keep[1] != 1) == 0) return;  // maxima seldom change after the first steps
#pragma unroll
  for (int tile = 0; tile < kHead / 8; ++tile)
#pragma unroll
    for (int j = 0; j < 4; ++j) sums[tile][j] *= keep[j / 2];
}

template <int kHead>
constexpr std::size_t kForwardShared = sizeof(bf16) * kHead*(kQueryRows + 2 * kStep);

/// Shared memory holds one tile of keys and one of values. Values are fetched during the product of queries and keys; the
/// next keys during the product of probabilities and values. Thus two blocks also fit the shared memory of an A100.
template <int kHead>
__global__ void __launch_bounds__(kThreads) tensor_forward(TensorForward p) {
  const int block = int(blockIdx.x), head = block % p.heads.shape.heads;
  const Tile tile = find_tile(p.offsets, p.sequences, kQueryRows, block / p.heads.shape.heads, true);
  if (!tile.exists) return;
  const int kv_head = head / p.heads.group(), width = p.heads.shape.head_size;
  const int stride = p.heads.shape.qkv_width(), rows = min(kQueryRows, tile.length - tile.begin);
  const int steps = divide_up(tile.begin + rows, kStep), lane = int(threadIdx.x) % kWarp;
  const Rows<kHead> queries{shared_address(dynamic_shared())}, keys = queries.after(kQueryRows), values = keys.after(kStep);
  const auto fetch_keys = [&](int step) {
    const int key = step * kStep;
    fetch<kStep>(keys, p.heads.key(tile.first + key, kv_head), stride, tile.length - key, width);
    copy_async_commit();
  };
  const auto fetch_values = [&](int step) {
    const int key = step * kStep;
    fetch<kStep>(values, p.heads.value(tile.first + key, kv_head), stride, tile.length - key, width);
    copy_async_commit();
  };
  fetch<kQueryRows>(queries, p.heads.query(tile.first + tile.begin, head), stride, rows, width);
  fetch_keys(0);

  const int warp_row = int(threadIdx.x) / kWarp * 16 * kQueryTiles, first_query = tile.begin + warp_row;
  const float root = inverse_root<float>(width);
  float sums[kQueryTiles][kHead / 8][4]{};
  RowState state[kQueryTiles][2];
  for (int step = 0; step < steps; ++step) {
    copy_async_wait<0>();
    __syncthreads();  // all threads see the keys, and have read the last step's values
    fetch_values(step);
    const bool visible = step * kStep < first_query + 16 * kQueryTiles;  // to any query of this warp
    float scores[kQueryTiles][kStepTiles][4];
    if (visible) product_of_rows<Write::set>(scores, queries, warp_row, keys);
    copy_async_wait<0>();
    __syncthreads();  // all threads see the values, and have read the keys
    if (step + 1 < steps) fetch_keys(step + 1);
    if (!visible) continue;
#pragma unroll
    for (int t = 0; t < kQueryTiles; ++t) {
      hide_later_keys<false>(scores[t], first_query + 16 * t, step * kStep);
      softmax_step<kHead>(scores[t], sums[t], state[t], root * kLog2E);
    }
    add_weighted_rows<kHead>(sums, scores, values);
  }

  const Index out_row = Index(p.heads.shape.heads) * Index(width);
#pragma unroll
  for (int t = 0; t < kQueryTiles; ++t) {
    const int first_row = warp_row + 16 * t;
    float inverse[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float sum = state[t][half].sum;
      sum += shuffle_xor(sum, 1);
      sum += shuffle_xor(sum, 2);
      inverse[half] = 1 / sum;
      const int row = first_row + lane / 4 + 8 * half;
      if (lane % 4 == 0 && row < rows)
        p.lse[Index(head) * Index(p.tokens) + Index(tile.first + tile.begin + row)] = state[t][half].maximum * root + logf(sum);
    }
    write_rows<kHead>(p.out + Index(tile.first + tile.begin + first_row) * out_row + Index(head) * Index(width), out_row,
                      rows - first_row, width, sums[t], inverse);
  }
}

struct TensorBackward {
  Heads<bf16> dheads;
  Heads<const bf16> heads;
  BackwardInput<bf16> in;
  float* partial;  // (splits, T, K, 2E): each split's part of dk, then dv; unused for one split
  int splits;
};

/// Turns a score into its probability. Turns the probability's gradient minus the query's delta into the score's gradient,
/// without the factor `scale`. The sums are multiplied by it at the end. `lse` is the query's times log2 e; infinite if there
/// is no query.
__device__ inline void score_gradient(float& score, float& dscore, float scale, float lse) {
  score = exp2_fast(score * (scale * kLog2E) - lse);
  dscore *= score;
}

template <int kHead>
constexpr std::size_t kDQueryShared = sizeof(bf16) * kHead*(2 * kQueryRows + 4 * kDQueryStep);

/// Shared memory has two stages: while one step's tiles are multiplied, the next step's tiles are fetched into the other
/// stage. Each step then needs one barrier. The kernel for keys and values does the same.
template <int kHead>
__global__ void __launch_bounds__(kThreads) tensor_dquery(TensorBackward p) {
  const int block = int(blockIdx.x), head = block % p.heads.shape.heads;
  const Tile tile = find_tile(p.in.offsets, p.in.sequences, kQueryRows, block / p.heads.shape.heads, true);
  if (!tile.exists) return;
  const int kv_head = head / p.heads.group(), width = p.heads.shape.head_size;
  const int stride = p.heads.shape.qkv_width(), rows = min(kQueryRows, tile.length - tile.begin);
  const int steps = divide_up(tile.begin + rows, kDQueryStep), lane = int(threadIdx.x) % kWarp;
  const Index out_row = Index(p.heads.shape.heads) * Index(width);
  const int token = tile.first + tile.begin;
  const Rows<kHead> queries{shared_address(dynamic_shared())}, douts = queries.after(kQueryRows);
  const auto stage = [&](int step, int which) { return douts.after(kQueryRows + (step % 2 * 2 + which) * kDQueryStep); };
  const auto fetch_step = [&](int step) {
    const int key = step * kDQueryStep, valid = tile.length - key;
    fetch<kDQueryStep>(stage(step, 0), p.heads.key(tile.first + key, kv_head), stride, valid, width);
    fetch<kDQueryStep>(stage(step, 1), p.heads.value(tile.first + key, kv_head), stride, valid, width);
    copy_async_commit();
  };
  fetch<kQueryRows>(queries, p.heads.query(token, head), stride, rows, width);
  fetch<kQueryRows>(douts, p.in.dout + Index(token) * out_row + Index(head) * Index(width), int(out_row), rows, width);
  fetch_step(0);

  const int warp_row = int(threadIdx.x) / kWarp * 16 * kQueryTiles, first_query = tile.begin + warp_row;
  const float scale = inverse_root<float>(width);
  float lse[kQueryTiles][2], delta[kQueryTiles][2];
#pragma unroll
  for (int t = 0; t < kQueryTiles; ++t)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = warp_row + 16 * t + lane / 4 + 8 * half;
      const Index at = Index(head) * Index(p.in.tokens) + Index(token + row);
      lse[t][half] = row < rows ? p.in.lse[at] * kLog2E : std::numeric_limits<float>::infinity();
      delta[t][half] = row < rows ? p.in.delta[at] : 0;
    }
  float sums[kQueryTiles][kHead / 8][4]{};
  for (int step = 0; step < steps; ++step) {
    copy_async_wait<0>();
    __syncthreads();  // all threads see this step's tiles, and have read the last step's
    if (step + 1 < steps) fetch_step(step + 1);
    if (step * kDQueryStep >= first_query + 16 * kQueryTiles) continue;  // no query of this warp sees a key
    float scores[kQueryTiles][kDQueryStepTiles][4], dscores[kQueryTiles][kDQueryStepTiles][4];
#pragma unroll
    for (int t = 0; t < kQueryTiles; ++t)
#pragma unroll
      for (int c = 0; c < kDQueryStepTiles; ++c)
#pragma unroll
        for (int j = 0; j < 4; ++j) dscores[t][c][j] = -delta[t][j / 2];
    product_of_rows<Write::set>(scores, queries, warp_row, stage(step, 0));
    product_of_rows<Write::add>(dscores, douts, warp_row, stage(step, 1));
#pragma unroll
    for (int t = 0; t < kQueryTiles; ++t) {
      hide_later_keys<false>(scores[t], first_query + 16 * t, step * kDQueryStep);
#pragma unroll
      for (int c = 0; c < kDQueryStepTiles; ++c)
#pragma unroll
        for (int j = 0; j < 4; ++j) score_gradient(scores[t][c][j], dscores[t][c][j], scale, lse[t][j / 2]);
    }
    add_weighted_rows<kHead>(sums, dscores, stage(step, 0));
  }
#pragma unroll
  for (int t = 0; t < kQueryTiles; ++t)
    write_rows<kHead>(p.dheads.query(token + warp_row + 16 * t, head), Index(stride), rows - warp_row - 16 * t, width, sums[t],
                      {scale, scale});
}

template <int kHead>
constexpr std::size_t kDKeyShared = sizeof(bf16) * kHead*(2 * kKeyRows + 4 * kStep) + 4 * kStep * sizeof(float);

template <int kHead>
__global__ void __launch_bounds__(kThreads) tensor_dkey_dvalue(TensorBackward p) {
  const int kv_heads = p.heads.shape.kv_heads, block = int(blockIdx.x), kv_head = block % kv_heads;
  const int split = block / kv_heads % p.splits;
  const Tile tile = find_tile(p.in.offsets, p.in.sequences, kKeyRows, block / (kv_heads * p.splits), false);
  if (!tile.exists) return;
  const int width = p.heads.shape.head_size;
  const int stride = p.heads.shape.qkv_width(), rows = min(kKeyRows, tile.length - tile.begin);
  const int token = tile.first + tile.begin, lane = int(threadIdx.x) % kWarp;
  const Index out_row = Index(p.heads.shape.heads) * Index(width);
  // Steps cover the queries from the first one that sees a key of the tile, once for each head of the split.
  const int first_query = tile.begin / kStep * kStep, of_head = divide_up(tile.length - first_query, kStep);
  const int heads_of_split = p.heads.group() / p.splits, first_head = kv_head * p.heads.group() + split * heads_of_split;
  const int steps = of_head * heads_of_split;
  float* const row_values = reinterpret_cast<float*>(dynamic_shared());  // (2, 2, kStep): lse, delta
  const Rows<kHead> keys{shared_address(row_values + 4 * kStep)}, values = keys.after(kKeyRows);
  const auto stage = [&](int step, int which) { return values.after(kKeyRows + (step % 2 * 2 + which) * kStep); };
  struct StepPosition {
    int head, query;
    __device__ void advance(int length, int first) {
      query += kStep;
      if (query < length) return;
      query = first;
      ++head;
    }
  };
  StepPosition fetched{first_head, first_query}, computed = fetched;
  // One value per thread, lse or delta, goes through a register, so that no thread waits for it before the products.
  static_assert(kThreads == 2 * kStep);
  float row_value_ahead = 0;
  const auto fetch_step = [&](int step) {
    const int head = fetched.head, valid = tile.length - fetched.query, at = tile.first + fetched.query;
    fetch<kStep>(stage(step, 0), p.heads.query(at, head), stride, valid, width);
    fetch<kStep>(stage(step, 1), p.in.dout + Index(at) * out_row + Index(head) * Index(width), int(out_row), valid, width);
    copy_async_commit();
    const int i = int(threadIdx.x) % kStep;
    const bool is_lse = int(threadIdx.x) < kStep;
    row_value_ahead = is_lse ? std::numeric_limits<float>::infinity() : 0;
    if (i < valid) row_value_ahead = (is_lse ? p.in.lse : p.in.delta)[Index(head) * Index(p.in.tokens) + Index(at + i)];
    fetched.advance(tile.length, first_query);
  };
  const auto save_row_value = [&](int step) { row_values[step % 2 * 2 * kStep + int(threadIdx.x)] = row_value_ahead; };
  fetch<kKeyRows>(keys, p.heads.key(token, kv_head), stride, rows, width);
  fetch<kKeyRows>(values, p.heads.value(token, kv_head), stride, rows, width);
  fetch_step(0);
  save_row_value(0);

  const int warp_row = int(threadIdx.x) / kWarp * 16;
  const float scale = inverse_root<float>(width);
  float dkey[1][kHead / 8][4]{}, dvalue[1][kHead / 8][4]{};
  for (int step = 0; step < steps; ++step) {
    copy_async_wait<0>();
    __syncthreads();
    if (step + 1 < steps) fetch_step(step + 1);
    const float* const row_value = row_values + step % 2 * 2 * kStep;
    float scores[1][kStepTiles][4], dscores[1][kStepTiles][4];  // rows are keys
#pragma unroll
    for (int c = 0; c < kStepTiles; ++c)
#pragma unroll
      for (int j = 0; j < 4; ++j) dscores[0][c][j] = -row_value[kStep + c * 8 + lane % 4 * 2 + j % 2];
    product_of_rows<Write::set>(scores, keys, warp_row, stage(step, 0));
    product_of_rows<Write::add>(dscores, values, warp_row, stage(step, 1));
    hide_later_keys<true>(scores[0], tile.begin + warp_row, computed.query);
#pragma unroll
    for (int c = 0; c < kStepTiles; ++c)
#pragma unroll
      for (int j = 0; j < 4; ++j)
        score_gradient(scores[0][c][j], dscores[0][c][j], scale, row_value[c * 8 + lane % 4 * 2 + j % 2] * kLog2E);
    computed.advance(tile.length, first_query);
    add_weighted_rows<kHead>(dvalue, scores, stage(step, 1));
    add_weighted_rows<kHead>(dkey, dscores, stage(step, 0));
    if (step + 1 < steps) save_row_value(step + 1);
  }
  const int valid = rows - warp_row;
  if (p.splits == 1) {
    write_rows<kHead>(p.dheads.key(token + warp_row, kv_head), Index(stride), valid, width, dkey[0], {scale, scale});
    write_rows<kHead>(p.dheads.value(token + warp_row, kv_head), Index(stride), valid, width, dvalue[0], {1, 1});
  } else {
    const Index row = Index(p.heads.shape.kv_heads) * 2 * Index(width);
    float* const to =
        p.partial + (Index(split) * Index(p.in.tokens) + Index(token + warp_row)) * row + Index(kv_head) * 2 * width;
    write_rows<kHead>(to, row, valid, width, dkey[0], {scale, scale});
    write_rows<kHead>(to + width, row, valid, width, dvalue[0], {1, 1});
  }
}

/// Adds the splits' dkey and dvalue of a token in order. A column is one of K 2E.
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

/// Number of parts that a group's heads are split into, so that a short batch has blocks for every multiprocessor.
inline int choose_splits(const AttentionShape& shape, int tokens) {
  constexpr int kEnoughBlocks = 512;
  const int group = shape.heads / shape.kv_heads, blocks = shape.kv_heads * divide_up(tokens, kKeyRows);
  for (int splits = 1; splits < group; ++splits)
    if (group % splits == 0 && blocks * splits >= kEnoughBlocks) return splits;
  return group;
}

}  // namespace expunge::cuda::attention

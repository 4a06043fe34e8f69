// Tiles of packed sequences for the tensor cores: rows of a block, their layout in shared memory, and their products.
#pragma once

#include "kernels/cuda/attention_plain.cuh"

namespace expunge::cuda::attention {

/// Rows block * size .. of a sequence.
struct Tile {
  int first, length, begin;  ///< the sequence's first token and length; the tile's first row, counted from there
  bool exists;
};

/// Tile number `index` among the tiles of all sequences, of `rows` rows each. Searches 32 sequences at a time.
__device__ inline Tile find_tile(const std::int32_t* offsets, int sequences, int rows, int index, bool last_first) {
  const int lane = int(threadIdx.x) % kWarp;
  for (int base = 0; base < sequences; base += kWarp) {
    const int s = base + lane, first = s < sequences ? offsets[s] : 0, length = s < sequences ? offsets[s + 1] - first : 0;
    const int blocks = divide_up(length, rows);
    int until = blocks;  // blocks of this and the earlier sequences among the 32
    for (int distance = 1; distance < kWarp; distance *= 2) {
      const int other = shuffle_up(until, distance);
      if (lane >= distance) until += other;
    }
    const unsigned beyond = __ballot_sync(kAllLanes, index < until);
    if (beyond == 0) {
      index -= shuffle(until, kWarp - 1);
      continue;
    }
    const int owner = __ffs(int(beyond)) - 1, in_sequence = index - shuffle(until - blocks, owner);
    const int block = last_first ? shuffle(blocks, owner) - 1 - in_sequence : in_sequence;
    return {shuffle(first, owner), shuffle(length, owner), block * rows, true};
  }
  return {0, 0, 0, false};
}
/// Number of blocks to launch so that every tile has one; some blocks have no tile.
inline unsigned most_tiles(int tokens, int sequences, int rows) {
  return tokens == 0 ? 0 : unsigned(tokens / rows + std::min(sequences, tokens));
}

constexpr int kChunk = 8;  // elements per 16 bytes

/// (rows, kHead) bf16 in shared memory, aligned to a row. A row permutes its chunks by its number, so that chunks of the same
/// column in eight rows lie in different banks.
template <int kHead>
struct Rows {
  static constexpr unsigned kRowBytes = kHead * sizeof(bf16), kChunkBytes = kChunk * sizeof(bf16);
  SharedAddress begin;
  /// The chunk of row `row` + `offset`, where `row` is a multiple of 8. The permutation depends only on `offset`: addresses
  /// of other rows differ by a constant, and those of chunks `chunk` ^ c by ^ c kChunkBytes.
  __device__ SharedAddress chunk(int row, int offset, int chunk) const {
    return begin + unsigned(row) * kRowBytes + unsigned(offset) * kRowBytes + unsigned(chunk ^ (offset % 8)) * kChunkBytes;
  }
  __device__ Rows after(int rows) const { return {begin + unsigned(rows) * kRowBytes}; }
};

/// Starts copies of kRows rows, `stride` elements apart; `valid` rows exist and have `width` elements, the rest becomes
/// zero.
template <int kRows, int kHead>
__device__ inline void fetch(Rows<kHead> to, const bf16* from, int stride, int valid, int width) {
  constexpr int kChunks = kHead / kChunk, kApart = kThreads / kChunks;  // distance of a thread's rows
  static_assert(kRows % kApart == 0 && kApart % 8 == 0);
  const int first = int(threadIdx.x) / kChunks, chunk = int(threadIdx.x) % kChunks;
  const int rows = chunk * kChunk < width ? valid : 0;
  const bf16* source = from + Index(first) * Index(stride) + Index(chunk * kChunk);
  const SharedAddress target = to.chunk(0, first, chunk);
#pragma unroll
  for (int begin = 0; begin < kRows; begin += kApart) {
    const bool there = begin + first < rows;
    copy_async(target + unsigned(begin) * to.kRowBytes, source, there);
    source += Index(kApart) * Index(stride);
  }
}

// Operands of the tensor cores (see multiply_add). A left operand has 16 rows; a right operand has two tiles of 8 columns.
// Chunk numbers are 2 step plus 0 or 1, so that a step is an XOR pattern on the lane's own address.

/// Rows row .. row + 16 and elements 16 step .. of a tile as a left operand.
template <int kHead>
__device__ inline void left_operand(unsigned (&a)[4], Rows<kHead> rows, int row, int step) {
  const int lane = int(threadIdx.x) % kWarp;
  load_matrices(a, rows.chunk(row, lane % 16, lane / 16) ^ (unsigned(step) * 2 * rows.kChunkBytes));
}
/// The transpose of rows row .. row + 16, elements 16 step ..: columns are rows of the tile.
template <int kHead>
__device__ inline void right_operand_of_rows(unsigned (&b)[4], Rows<kHead> rows, int row, int step) {
  const int lane = int(threadIdx.x) % kWarp;
  load_matrices(b, (rows.chunk(0, lane / 16 * 8 + lane % 8, lane / 8 % 2) ^ (unsigned(step) * 2 * rows.kChunkBytes)) +
                       unsigned(row) * rows.kRowBytes);
}
/// Rows row .. row + 16 and elements 16 column .. of a tile: columns are elements.
template <int kHead>
__device__ inline void right_operand(unsigned (&b)[4], Rows<kHead> rows, int row, int column) {
  const int lane = int(threadIdx.x) % kWarp;
  load_matrices_transposed(
      b, (rows.chunk(0, lane % 16, lane / 16) ^ (unsigned(column) * 2 * rows.kChunkBytes)) + unsigned(row) * rows.kRowBytes);
}

/// c (16 kRowTiles, 8 kColumnTiles) (=|+=) rows `row` .. of a times the transpose of all 8 kColumnTiles rows of b.
template <Write kWrite, int kHead, int kRowTiles, int kColumnTiles>
__device__ inline void product_of_rows(float (&c)[kRowTiles][kColumnTiles][4], Rows<kHead> a, int row, Rows<kHead> b) {
#pragma unroll
  for (int step = 0; step < kHead / 16; ++step) {
    unsigned left[kRowTiles][4];
#pragma unroll
    for (int tile = 0; tile < kRowTiles; ++tile) left_operand(left[tile], a, row + 16 * tile, step);
#pragma unroll
    for (int pair = 0; pair < kColumnTiles / 2; ++pair) {
      unsigned right[4];
      right_operand_of_rows(right, b, pair * 16, step);
#pragma unroll
      for (int tile = 0; tile < kRowTiles; ++tile) {
        if (kWrite == Write::set && step == 0) {
          multiply(c[tile][2 * pair], left[tile], right[0], right[1]);
          multiply(c[tile][2 * pair + 1], left[tile], right[2], right[3]);
        } else {
          multiply_add(c[tile][2 * pair], left[tile], right[0], right[1]);
          multiply_add(c[tile][2 * pair + 1], left[tile], right[2], right[3]);
        }
      }
    }
  }
}

/// Columns 16 step .. of weights as a left operand.
template <int kTiles>
__device__ inline void weights_operand(unsigned (&a)[4], const float (&weights)[kTiles][4], int step) {
  a[0] = pack_bf16(weights[2 * step][0], weights[2 * step][1]);
  a[1] = pack_bf16(weights[2 * step][2], weights[2 * step][3]);
  a[2] = pack_bf16(weights[2 * step + 1][0], weights[2 * step + 1][1]);
  a[3] = pack_bf16(weights[2 * step + 1][2], weights[2 * step + 1][3]);
}

/// sums (16 kRowTiles, kHead) += weights (16 kRowTiles, 8 kTiles), rounded to bf16, times the rows of b.
template <int kHead, int kRowTiles, int kTiles>
__device__ inline void add_weighted_rows(float (&sums)[kRowTiles][kHead / 8][4], const float (&weights)[kRowTiles][kTiles][4],
                                         Rows<kHead> b) {
#pragma unroll
  for (int step = 0; step < kTiles / 2; ++step) {
    unsigned left[kRowTiles][4];
#pragma unroll
    for (int tile = 0; tile < kRowTiles; ++tile) weights_operand(left[tile], weights[tile], step);
#pragma unroll
    for (int pair = 0; pair < kHead / 16; ++pair) {
      unsigned right[4];
      right_operand(right, b, step * 16, pair);
#pragma unroll
      for (int tile = 0; tile < kRowTiles; ++tile) {
        multiply_add(sums[tile][2 * pair], left[tile], right[0], right[1]);
        multiply_add(sums[tile][2 * pair + 1], left[tile], right[2], right[3]);
      }
    }
  }
}

/// Writes this lane's part of 16 rows times `scales` (of its rows g and g + 8) as To; `valid` rows exist.
template <int kHead, typename To>
__device__ inline void write_rows(To* to, Index stride, int valid, int width, const float (&sums)[kHead / 8][4],
                                  const float (&scales)[2]) {
  const int row = int(threadIdx.x) % kWarp / 4, column = int(threadIdx.x) % 4 * 2;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    if (row + 8 * half >= valid) continue;
    To* const line = to + Index(row + 8 * half) * stride + column;
#pragma unroll
    for (int tile = 0; tile < kHead / 8; ++tile)
      if (tile * 8 < width)
        save(line + tile * 8, Pack<To, 2>{rounded<To>(sums[tile][2 * half] * scales[half]),
                                          rounded<To>(sums[tile][2 * half + 1] * scales[half])});
  }
}

}  // namespace expunge::cuda::attention

// Blocked attention on bf16 pairs: probabilities and gradients of scores are rounded to bf16 before products, as on a GPU's
// tensor cores; sums are float.
#pragma once

#include "kernels/cpu/attention_blocks.h"
#include "kernels/cpu/pair_product.h"

namespace expunge::cpu::EXPUNGE_CPU_LEVEL::attention {

constexpr int kPairKeys = 384;  // keys of a block; a multiple of every panel width

enum class Pass { forward, backward };

class PairBlocks {
 public:
  /// Memory of one thread.
  struct Scratch {
    Scratch(float* memory, int head_size) {
      const auto take = [&memory](Index size) { return std::exchange(memory, memory + size); };
      scores = take(kScores);
      dscores = take(kScores);
      row_sum = take(kQueryRows);
      result = take(Index(kQueryRows) * Index(head_size));
      row_pairs = reinterpret_cast<Pair*>(take(kScores / 2));
      probabilities = reinterpret_cast<Pair*>(take(kScores / 2));
      gradients = reinterpret_cast<Pair*>(take(kScores / 2));
      query = reinterpret_cast<Pair*>(take(block_size(head_size)));
      dout = reinterpret_cast<Pair*>(take(block_size(head_size)));
    }
    static constexpr Index kScores = Index(kQueryRows) * kPairKeys;
    static Index block_size(int head_size) { return Panels(head_size).size(head_size, kQueryRows / 2); }

    float *scores, *dscores;  // (kQueryRows, kPairKeys)
    float* row_sum;           // (kQueryRows): softmax denominators, or dout . out
    float* result;            // (kQueryRows, E)
    Pair* row_pairs;          // (kQueryRows, kPairKeys / 2): left operand of products with keys or values, in pairs of keys
    Pair *probabilities, *gradients;  // (kQueryRows / 2, kPairKeys): pairs of queries
    Pair *query, *dout;               // panels of the block's rows
    float row_max[kQueryRows];
  };
  static Index scratch_size(int head_size) {
    return 7 * Scratch::kScores / 2 + kQueryRows * Index(head_size + 1) + 2 * Scratch::block_size(head_size);
  }

  /// Packs keys and values once for all blocks of queries.
  PairBlocks(Heads<const bf16> heads, const std::int32_t* offsets, int sequences, Pass pass)
      : heads_(heads), width_(heads.shape.head_size), along_(width_), kv_(Index(sequences) * Index(heads.shape.kv_heads)) {
    const int kv_heads = heads.shape.kv_heads;
    Index total = 0;
    for (Index i = 0; i < kv_.size(); ++i) {
      PackedHead& packed = kv_[i];
      packed.length = offsets[i / Index(kv_heads) + 1] - offsets[i / Index(kv_heads)];
      const Index across = Panels(packed.length).size(packed.length, width_ / 2);
      const Index along = along_.size(width_, (packed.length + 1) / 2);
      packed.keys_across = std::exchange(total, total + across);
      packed.values_across = std::exchange(total, total + (pass == Pass::backward ? across : 0));
      packed.along = std::exchange(total, total + along);
    }
    pairs_ = Buffer<std::uint32_t>(Device{}, total);
    const Index stride = Index(heads.shape.qkv_width());
    parallel_tasks(kv_.size(), [&](Index i, int) {
      const PackedHead& packed = kv_[i];
      const Index first = Index(offsets[i / Index(kv_heads)]);
      const bf16 *const keys = heads.key(first, int(i % Index(kv_heads))), *const values =
                                                                               heads.value(first, int(i % Index(kv_heads)));
      const Panels across(packed.length);
      pack_transposed(at(packed.keys_across), across, keys, stride, packed.length, width_);
      if (pass == Pass::backward) pack_transposed(at(packed.values_across), across, values, stride, packed.length, width_);
      pack_rows(at(packed.along), along_, pass == Pass::backward ? keys : values, stride, packed.length, width_);
    });
  }

  /// out and lse of one block of queries of one head.
  void forward(bf16* out, float* lse, int sequence, const QueryBlock& block, int head, Scratch& scratch) const {
    const AttentionShape& shape = heads_.shape;
    const PackedHead& packed = packed_head(sequence, head);
    const int rows = block.rows();
    const float scale = 1 / std::sqrt(float(width_));
    const Index first_query = block.first + Index(block.begin);
    std::fill_n(scratch.row_max, rows, -std::numeric_limits<float>::infinity());
    std::fill_n(scratch.row_sum, rows, 0.0f);
    for (int key_begin = 0; key_begin < block.end; key_begin += kPairKeys) {
      const int keys = std::min(kPairKeys, block.end - key_begin);
      pair_product(Write::set, scratch.scores, kPairKeys, query_rows(first_query, head),
                   across(packed.keys_across, packed, key_begin), rows, keys, width_ / 2);
      for (int i = 0; i < rows; ++i) {
        float* const scores = scratch.scores + i * kPairKeys;
        const float correction =
            softmax_row(scores, block.visible(i, key_begin, keys), keys, scale, scratch.row_max[i], scratch.row_sum[i]);
        round_row(scratch.row_pairs + i * (kPairKeys / 2), scores, keys);
        if (key_begin == 0) continue;
        float* const result_row = scratch.result + Index(i) * Index(width_);
#pragma omp simd
        for (int j = 0; j < width_; ++j) result_row[j] *= correction;
      }
      pair_product(key_begin == 0 ? Write::set : Write::add, scratch.result, Index(width_),
                   {scratch.row_pairs, kPairKeys / 2, 1}, along(packed, key_begin), rows, width_, (keys + 1) / 2);
    }
    for (int i = 0; i < rows; ++i) {
      const float inverse = 1 / scratch.row_sum[i];
      const float* const result_row = scratch.result + Index(i) * Index(width_);
      bf16* const out_row = out + ((first_query + Index(i)) * Index(shape.heads) + Index(head)) * Index(width_);
#pragma omp simd
      for (int j = 0; j < width_; ++j) store(out_row[j], result_row[j] * inverse);
      lse[first_query + Index(i)] = scratch.row_max[i] + std::log(scratch.row_sum[i]);
    }
  }

  /// dq of one block of queries of one head, and its contribution to dk and dv.
  void backward(Heads<bf16> dheads, float* dkv, const bf16* dout, const bf16* out, const float* lse, int sequence,
                const QueryBlock& block, int head, Scratch& scratch) const {
    const Index first_query = block.first + Index(block.begin), out_stride = Index(heads_.shape.heads) * Index(width_);
    const Index first_out = first_query * out_stride + Index(head) * Index(width_);
    const int rows = block.rows();
    pack_rows(scratch.query, along_, heads_.query(first_query, head), Index(heads_.shape.qkv_width()), rows, width_);
    pack_rows(scratch.dout, along_, dout + first_out, out_stride, rows, width_);
    for (int i = 0; i < rows; ++i) {
      const Index row = first_out + Index(i) * out_stride;
      float delta = 0;
#pragma omp simd reduction(+ : delta)
      for (int j = 0; j < width_; ++j) delta += float(dout[row + Index(j)]) * float(out[row + Index(j)]);
      scratch.row_sum[i] = delta;
    }
    const PairRows dout_rows{reinterpret_cast<const Pair*>(dout + first_out), out_stride / 2, 1};
    for (int key_begin = 0; key_begin < block.end; key_begin += kPairKeys)
      backward_pair(dkv, lse + first_query, packed_head(sequence, head), block, key_begin, query_rows(first_query, head),
                    dout_rows, scratch);
    for (int i = 0; i < rows; ++i) {
      bf16* const dquery = dheads.query(first_query + Index(i), head);
#pragma omp simd
      for (int j = 0; j < width_; ++j) store(dquery[j], scratch.result[Index(i) * Index(width_) + Index(j)]);
    }
  }

 private:
  /// Offsets in `pairs_`. Across: keys are columns. Along: pairs of keys (in the forward pass, of values) are depths.
  struct PackedHead {
    int length;
    Index keys_across, values_across, along;
  };

  Pair* at(Index place) const { return reinterpret_cast<Pair*>(const_cast<std::uint32_t*>(pairs_.data())) + place; }
  const PackedHead& packed_head(int sequence, int head) const {
    const int kv_heads = heads_.shape.kv_heads;
    return kv_[Index(sequence) * Index(kv_heads) + Index(head / (heads_.shape.heads / kv_heads))];
  }
  PairRows query_rows(Index first_query, int head) const {
    return {reinterpret_cast<const Pair*>(heads_.query(first_query, head)), Index(heads_.shape.qkv_width()) / 2, 1};
  }
  PairColumns across(Index place, const PackedHead& packed, int key_begin) const {
    const Panels panels(packed.length);
    const Index pairs = Index(width_) / 2;
    return {at(place) + Index(key_begin) * pairs, panels, pairs * Index(panels.width())};
  }
  PairColumns along(const PackedHead& packed, int key_begin) const {
    const Index width = Index(along_.width());
    return {at(packed.along) + Index(key_begin) / 2 * width, along_, Index((packed.length + 1) / 2) * width};
  }
  PairColumns block_panels(const Pair* packed, int pairs) const {
    return {packed, along_, Index(pairs) * Index(along_.width())};
  }

  /// Adds the gradients through one block of queries and one block of keys: dq += ds k, dk += ds^T q, dv += p^T do.
  void backward_pair(float* dkv, const float* lse, const PackedHead& packed, const QueryBlock& block, int key_begin,
                     const PairRows& query, const PairRows& dout, Scratch& scratch) const {
    const int rows = block.rows(), keys = std::min(kPairKeys, block.end - key_begin), row_pairs = (rows + 1) / 2;
    const float scale = 1 / std::sqrt(float(width_));
    pair_product(Write::set, scratch.scores, kPairKeys, query, across(packed.keys_across, packed, key_begin), rows, keys,
                 width_ / 2);
    pair_product(Write::set, scratch.dscores, kPairKeys, dout, across(packed.values_across, packed, key_begin), rows, keys,
                 width_ / 2);
    for (int i = 0; i < rows; ++i) {
      float* const p = scratch.scores + i * kPairKeys;
      float* const ds = scratch.dscores + i * kPairKeys;
      gradient_row(p, ds, block.visible(i, key_begin, keys), keys, scale, lse[i], scratch.row_sum[i]);
      round_row(scratch.row_pairs + i * (kPairKeys / 2), ds, keys);
      if (i % 2 == 0 && i + 1 < rows) continue;
      const bool lone = i % 2 == 0;
      const Index pair_row = Index(i / 2) * kPairKeys;
      round_two_rows(scratch.probabilities + pair_row, lone ? p : p - kPairKeys, lone ? nullptr : p, keys);
      round_two_rows(scratch.gradients + pair_row, lone ? ds : ds - kPairKeys, lone ? nullptr : ds, keys);
    }
    float* const dk = dkv + Index(key_begin) * 2 * Index(width_);
    pair_product(key_begin == 0 ? Write::set : Write::add, scratch.result, Index(width_), {scratch.row_pairs, kPairKeys / 2, 1},
                 along(packed, key_begin), rows, width_, (keys + 1) / 2);
    pair_product(Write::add, dk, 2 * Index(width_), {scratch.gradients, 1, kPairKeys}, block_panels(scratch.query, row_pairs),
                 keys, width_, row_pairs);
    pair_product(Write::add, dk + width_, 2 * Index(width_), {scratch.probabilities, 1, kPairKeys},
                 block_panels(scratch.dout, row_pairs), keys, width_, row_pairs);
  }

  Heads<const bf16> heads_;
  int width_;
  Panels along_;
  std::vector<PackedHead> kv_;
  Buffer<std::uint32_t> pairs_;
};

}  // namespace expunge::cpu::EXPUNGE_CPU_LEVEL::attention

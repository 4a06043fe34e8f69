// Products of cache-resident bf16 matrices by VDPBF16PS, which multiplies pairs: two adjacent depths in one 32-bit word.
#pragma once

#include <cstdint>

#include "expunge/kernels.h"
#include "kernels/cpu/numeric.h"

namespace expunge::cpu::EXPUNGE_CPU_LEVEL {

/// Two bf16, the lower depth in the lower half.
using Pair [[gnu::may_alias]] = std::uint32_t;

/// Whether this processor has the instruction and is faster with it.
bool has_pair_products();

/// The left operand of a product: element (row, pair) lies at data[row * row_stride + pair * pair_stride].
struct PairRows {
  const Pair* data;
  Index row_stride, pair_stride;
};

/// Layout of the right operand: panels of `width()` columns, each (pairs, width) and dense, padded with zero columns.
class Panels {
 public:
  /// Chooses the width with the least padding for this many columns.
  explicit Panels(int columns);
  int width() const { return kLanes * vectors_; }
  int vectors() const { return vectors_; }
  int count(int columns) const { return (columns + width() - 1) / width(); }
  /// Number of pairs in all panels.
  Index size(int columns, int pairs) const { return Index(count(columns)) * Index(width()) * Index(pairs); }

  static constexpr int kLanes = 16;

 private:
  int vectors_;  // of a panel, 1 to 4
};

/// `data` is the first used pair of the first panel; panels are panel_stride pairs apart.
struct PairColumns {
  const Pair* data;
  Panels panels;
  Index panel_stride;
};

/// Packs rows (count, depth), `stride` elements apart, as the columns of a right operand: column j is row j. depth is even.
void pack_transposed(Pair* to, const Panels& panels, const bf16* rows, Index stride, int count, int depth);
/// Packs rows (count, columns) unchanged: pair p holds rows 2p and 2p + 1. An odd count is padded with zeros.
void pack_rows(Pair* to, const Panels& panels, const bf16* rows, Index stride, int count, int columns);

/// Rounds n numbers to n / 2 pairs of neighbours; an odd n is padded with a zero.
void round_row(Pair* to, const float* from, int n);
/// Rounds two rows of n numbers to n pairs; a null `high` means zeros. Reads and writes up to the next multiple of 16.
void round_two_rows(Pair* to, const float* low, const float* high, int n);

/// c (=|+=) a b, with float sums.  c (rows, columns), c_stride elements between its rows. Runs in the calling thread.
void pair_product(Write write, float* c, Index c_stride, const PairRows& a, const PairColumns& b, int rows, int columns,
                  int pairs);

}  // namespace expunge::cpu::EXPUNGE_CPU_LEVEL

// Matrix products for the CPU kernels: oneDNN for float and bf16, blocked loops for double and complex<double>.
#pragma once

#include <algorithm>
#include <array>

#include "core/parallel.h"
#include "expunge/kernels.h"
#include "kernels/cpu/numeric.h"

namespace expunge::cpu::EXPUNGE_CPU_LEVEL {

/// A matrix operand of a product; its stored rows are `stride` elements apart.
template <typename T>
struct Operand {
  const T* data;
  int stride;
  bool transposed;
  const T& at(Index row, Index column) const {
    return transposed ? data[column * Index(stride) + row] : data[row * Index(stride) + column];
  }
};
template <typename T>
Operand<T> plain(const T* data, int stride) {
  return {data, stride, false};
}
template <typename T>
Operand<T> transposed(const T* data, int stride) {
  return {data, stride, true};
}
/// The transpose of an operand.
template <typename T>
Operand<T> flip(Operand<T> operand) {
  return {operand.data, operand.stride, !operand.transposed};
}

/// Size of the product c (rows, columns) = a (rows, depth) b (depth, columns).
struct ProductSize {
  int rows, columns, depth;
};

// c (=|+=) a b, with sums in the accumulation type, rounded once. c has c_stride elements between rows. All cores take part;
// inside a parallel region only the calling one.

void product(Write write, float* c, int c_stride, Operand<float> a, Operand<float> b, ProductSize size);

/// The operands of bf16 products are dense: stride equals the number of stored columns.
void product(Write write, float* c, int c_stride, Operand<bf16> a, Operand<bf16> b, ProductSize size);
void product(Write write, bf16* c, int c_stride, Operand<bf16> a, Operand<bf16> b, ProductSize size);

/// Whether oneDNN multiplies bf16 faster than float on this processor. If not, blocks are converted to float.
bool has_bf16_products();
/// The bf16 product for processors without has_bf16_products().
template <typename Out>
void product_by_float_blocks(Write write, Out* c, int c_stride, Operand<bf16> a, Operand<bf16> b, ProductSize size);

namespace loops {

constexpr int kTile = 64, kDepth = 64;             // a tile of c, and the depth packed at once
constexpr int kMicroRows = 4, kMicroColumns = 16;  // held in registers

template <typename T>
using Packed = std::array<T, Index(kTile) * kDepth>;

/// packed[p * kTile + i] = element (p0 + p, i0 + i) of the operand, zero outside. Reads rows as stored.
template <typename T>
void pack(Packed<T>& packed, const Operand<T>& operand, int p0, int depth, int i0, int count) {
  if (depth < kDepth || count < kTile) packed.fill(T{});
  const T* const corner = &operand.at(Index(p0), Index(i0));
  const int rows = operand.transposed ? count : depth, columns = operand.transposed ? depth : count;
  for (int row = 0; row < rows; ++row)
    for (int column = 0; column < columns; ++column)
      packed[operand.transposed ? Index(column) * kTile + Index(row) : Index(row) * kTile + Index(column)] =
          corner[Index(row) * Index(operand.stride) + Index(column)];
}

/// tile += a^T b over the packed depth.
template <typename T>
void multiply_packed(std::array<T, Index(kTile) * kTile>& tile, const Packed<T>& a, const Packed<T>& b, int rows, int columns,
                     int depth) {
  for (int i = 0; i < rows; i += kMicroRows)
    for (int j = 0; j < columns; j += kMicroColumns) {
      T sum[kMicroRows][kMicroColumns] = {};
      for (int p = 0; p < depth; ++p) {
        const T* const a_row = &a[Index(p) * kTile + Index(i)];
        const T* const b_row = &b[Index(p) * kTile + Index(j)];
        for (int r = 0; r < kMicroRows; ++r)
#pragma omp simd
          for (int s = 0; s < kMicroColumns; ++s) sum[r][s] += a_row[r] * b_row[s];
      }
      for (int r = 0; r < kMicroRows; ++r)
        for (int s = 0; s < kMicroColumns; ++s) tile[Index(i + r) * kTile + Index(j + s)] += sum[r][s];
    }
}

}  // namespace loops

template <typename T>
void product(Write write, T* c, int c_stride, Operand<T> a, Operand<T> b, ProductSize size) {
  using namespace loops;
  const int row_tiles = (size.rows + kTile - 1) / kTile, column_tiles = (size.columns + kTile - 1) / kTile;
  parallel_for(row_tiles * column_tiles, Index(kTile) * kTile * Index(size.depth), [&](int place) {
    const int i0 = place / column_tiles * kTile, rows = std::min(kTile, size.rows - i0);
    const int j0 = place % column_tiles * kTile, columns = std::min(kTile, size.columns - j0);
    std::array<T, Index(kTile) * kTile> tile{};
    Packed<T> packed_a, packed_b;
    for (int p0 = 0; p0 < size.depth; p0 += kDepth) {
      const int depth = std::min(kDepth, size.depth - p0);
      pack(packed_a, flip(a), p0, depth, i0, rows);
      pack(packed_b, b, p0, depth, j0, columns);
      multiply_packed(tile, packed_a, packed_b, rows, columns, depth);
    }
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < columns; ++j) {
        T& element = c[Index(i0 + i) * Index(c_stride) + Index(j0 + j)];
        const T value = tile[Index(i) * kTile + Index(j)];
        element = write == Write::add ? element + value : value;
      }
  });
}

}  // namespace expunge::cpu::EXPUNGE_CPU_LEVEL

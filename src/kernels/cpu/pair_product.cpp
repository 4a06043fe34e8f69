// bf16 pair products by VDPBF16PS, with tiles of the result in registers.
#include "kernels/cpu/pair_product.h"

#include <algorithm>

#include "expunge/error.h"
#include "kernels/cpu/product.h"

#if defined(__x86_64__)
#include <immintrin.h>
// For functions with the instruction, in a program that may run without it.
#define EXPUNGE_PAIRS __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))
#endif

namespace expunge::cpu::EXPUNGE_CPU_LEVEL {

Panels::Panels(int columns) {
  const int vectors = (columns + kLanes - 1) / kLanes;
  // Wide panels load less per product, so take the widest one with the least padding.
  vectors_ = 1;
  for (int width = 2; width <= 4; ++width)
    if ((vectors + width - 1) / width * width <= (vectors + vectors_ - 1) / vectors_ * vectors_) vectors_ = width;
}

void pack_transposed(Pair* to, const Panels& panels, const bf16* rows, Index stride, int count, int depth) {
  const int width = panels.width(), pairs = depth / 2;
  for (int first = 0; first < count; first += width, to += Index(width) * Index(pairs)) {
    const int filled = std::min(width, count - first);
    for (int p = 0; filled < width && p < pairs; ++p)
      std::fill_n(to + Index(p) * Index(width) + filled, width - filled, Pair{0});
    for (int j = 0; j < filled; ++j) {
      const auto* const row = reinterpret_cast<const Pair*>(rows + Index(first + j) * stride);
      for (int p = 0; p < pairs; ++p) to[Index(p) * Index(width) + Index(j)] = row[p];
    }
  }
}

void pack_rows(Pair* to, const Panels& panels, const bf16* rows, Index stride, int count, int columns) {
  const int width = panels.width(), pairs = (count + 1) / 2;
  for (int first = 0; first < columns; first += width) {
    const int filled = std::min(width, columns - first);
    for (int p = 0; p < pairs; ++p, to += width) {
      const bf16* const low = rows + Index(2 * p) * stride + first;
      const bf16* const high = 2 * p + 1 < count ? low + stride : nullptr;
      for (int j = 0; j < filled; ++j) to[j] = Pair{low[j].bits};
      for (int j = 0; high && j < filled; ++j) to[j] |= Pair{high[j].bits} << 16;
      std::fill(to + filled, to + width, Pair{0});
    }
  }
}

#if defined(EXPUNGE_PAIRS)

bool has_pair_products() {
  static const bool gains = has_bf16_products() && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512vl");
  return gains;
}

namespace {

EXPUNGE_PAIRS __mmask16 first_lanes(int n) { return static_cast<__mmask16>(n >= 16 ? 0xffff : (1 << std::max(n, 0)) - 1); }

/// Computes kRows rows of c and the panel's `left` columns.
template <int kRows, int kVectors>
EXPUNGE_PAIRS void multiply_tile(Write write, float* c, Index c_stride, const PairRows& a, const Pair* b, int left, int pairs) {
  __m512 sum[kRows][kVectors];
  const bool whole = left >= 16 * kVectors, add = write == Write::add;
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v)
      sum[i][v] =
          add ? _mm512_maskz_loadu_ps(first_lanes(left - 16 * v), c + Index(i) * c_stride + 16 * v) : _mm512_setzero_ps();
  const Pair* at = a.data;
  for (int p = 0; p < pairs; ++p, at += a.pair_stride, b += 16 * kVectors) {
    __m512i column[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) column[v] = _mm512_loadu_si512(b + 16 * v);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      const __m512i row = _mm512_set1_epi32(static_cast<int>(at[Index(i) * a.row_stride]));
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v)
        sum[i][v] = _mm512_dpbf16_ps(sum[i][v], reinterpret_cast<__m512bh>(row), reinterpret_cast<__m512bh>(column[v]));
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      float* const to = c + Index(i) * c_stride + 16 * v;
      if (whole)
        _mm512_storeu_ps(to, sum[i][v]);
      else
        _mm512_mask_storeu_ps(to, first_lanes(left - 16 * v), sum[i][v]);
    }
}

/// Computes all rows of c for one panel: kRows at a time, the rest in halves of that.
template <int kRows, int kVectors>
void multiply_panel(Write write, float* c, Index c_stride, PairRows a, const Pair* b, int rows, int left, int pairs) {
  for (; rows >= kRows; rows -= kRows, c += Index(kRows) * c_stride, a.data += Index(kRows) * a.row_stride)
    multiply_tile<kRows, kVectors>(write, c, c_stride, a, b, left, pairs);
  if constexpr (kRows > 1)
    if (rows > 0) multiply_panel<kRows / 2, kVectors>(write, c, c_stride, a, b, rows, left, pairs);
}

}  // namespace

EXPUNGE_PAIRS void round_row(Pair* to, const float* from, int n) {
  for (int j = 0; j < n; j += 32) {
    const __m512 low = _mm512_maskz_loadu_ps(first_lanes(n - j), from + j);
    const __m512 high = _mm512_maskz_loadu_ps(first_lanes(n - j - 16), from + j + 16);
    const auto pairs = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
    _mm512_mask_storeu_epi32(to + j / 2, first_lanes((n - j + 1) / 2), pairs);
  }
}

EXPUNGE_PAIRS void round_two_rows(Pair* to, const float* low, const float* high, int n) {
  constexpr __mmask16 kAll = 0xffff;  // g++ 12 warns about the unmasked forms
  for (int j = 0; j < n; j += 16) {
    const auto lower = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_loadu_ps(low + j)));
    __m512i pairs = _mm512_maskz_cvtepu16_epi32(kAll, lower);
    if (high) {
      const auto upper = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_loadu_ps(high + j)));
      pairs = _mm512_or_si512(pairs, _mm512_maskz_slli_epi32(kAll, _mm512_maskz_cvtepu16_epi32(kAll, upper), 16));
    }
    _mm512_storeu_si512(to + j, pairs);
  }
}

void pair_product(Write write, float* c, Index c_stride, const PairRows& a, const PairColumns& b, int rows, int columns,
                  int pairs) {
  const Pair* panel = b.data;
  for (int first = 0; first < columns; first += b.panels.width(), panel += b.panel_stride) {
    const int left = columns - first;
    switch (b.panels.vectors()) {  // sums use 24 of the 32 registers
      case 1:
        multiply_panel<16, 1>(write, c + first, c_stride, a, panel, rows, left, pairs);
        break;
      case 2:
        multiply_panel<12, 2>(write, c + first, c_stride, a, panel, rows, left, pairs);
        break;
      case 3:
        multiply_panel<8, 3>(write, c + first, c_stride, a, panel, rows, left, pairs);
        break;
      default:
        multiply_panel<6, 4>(write, c + first, c_stride, a, panel, rows, left, pairs);
    }
  }
}

#undef EXPUNGE_PAIRS
#else

bool has_pair_products() { return false; }
void round_row(Pair*, const float*, int) { fail(ExitCode::internal, "no pairs on this processor"); }
void round_two_rows(Pair*, const float*, const float*, int) { fail(ExitCode::internal, "no pairs on this processor"); }
void pair_product(Write, float*, Index, const PairRows&, const PairColumns&, int, int, int) {
  fail(ExitCode::internal, "no pairs on this processor");
}

#endif

}  // namespace expunge::cpu::EXPUNGE_CPU_LEVEL

// Scalar helpers shared by the CPU kernels: analytic exponentials and real parts for every element type.
#pragma once

#include <bit>
#include <cmath>
#include <complex>
#include <cstddef>
#include <cstdint>

#include "expunge/dtype.h"

// Each instruction set has its own namespace: among equal inline functions of several sets the linker would take any one.
#ifndef EXPUNGE_CPU_LEVEL
#define EXPUNGE_CPU_LEVEL plain
#endif

namespace expunge::cpu::EXPUNGE_CPU_LEVEL {

// Indices are std::size_t, because tokens x vocabulary overflows an int.
using Index = std::size_t;

inline float real_part(float x) { return x; }
inline double real_part(double x) { return x; }
inline double real_part(std::complex<double> x) { return x.real(); }

/// The real type of A. A softmax subtracts a maximum of this type: a real constant keeps complex steps analytic.
template <typename A>
using real_t = decltype(real_part(A{}));

/// Type of long sums over blocks of A: double, or complex if A is complex.
template <typename A>
using wide_sum_t = decltype(A{} + double{});

/// e^x to 1.5 units in the last place, branch-free so that loops over it vectorise. 0 below -87.6, infinity above 88.3.
/// Cody-Waite reduction to |r| <= ln(2)/2 and a degree-6 minimax polynomial (relative error 3e-9).
inline float exponential(float x) {
  constexpr float kLog2E = 0x1.715476p0f, kLn2High = 0x1.62e4p-1f, kLn2Low = 0x1.7f7d1cp-20f;
  constexpr float kRound = 0x1.8p23f;            // adding it rounds to an integer in the lowest bits
  constexpr float kLow = -88.0f, kHigh = 88.7f;  // limits where 2^n below becomes 0 or infinity
  const float bounded = x < kLow ? kLow : (x > kHigh ? kHigh : x);
  const float shifted = bounded * kLog2E + kRound;
  const float n = shifted - kRound;
  const float r = (bounded - n * kLn2High) - n * kLn2Low;
  float q = 0x1.6a2352p-10f;
  q = q * r + 0x1.123a6cp-7f;
  q = q * r + 0x1.5558f4p-5f;
  q = q * r + 0x1.55549p-3f;
  q = q * r + 0x1.fffffcp-2f;
  const float power = std::bit_cast<float>((std::bit_cast<std::uint32_t>(shifted) + 127u) << 23);  // 2^n for -126 <= n <= 127
  return ((q * r) * r + r + 1.0f) * power;
}
inline double exponential(double x) { return std::exp(x); }
inline std::complex<double> exponential(std::complex<double> x) { return std::exp(x); }

/// Natural logarithm of a positive normal number to 2 units in the last place, branch-free so that loops over it vectorise.
/// x = 2^n (1 + f) with 1 + f within a factor sqrt(2) of 1; log(1 + f) = f - f^2/2 + f^3 P(f), P of degree 6 minimax (relative
/// error 3e-8).
inline float logarithm(float x) {
  constexpr float kLn2High = 0x1.62e4p-1f, kLn2Low = 0x1.7f7d1cp-20f;
  constexpr std::int32_t kRootOfHalf = 0x3f3504f3;  // the bits of sqrt(1/2)
  const std::int32_t bits = std::bit_cast<std::int32_t>(x), exponent = (bits - kRootOfHalf) >> 23;
  const float n = float(exponent), f = std::bit_cast<float>(bits - (exponent << 23)) - 1.0f;
  float q = 0x1.645eaep-4f;
  q = q * f - 0x1.2432b8p-3f;
  q = q * f + 0x1.317456p-3f;
  q = q * f - 0x1.53824ap-3f;
  q = q * f + 0x1.98d7f2p-3f;
  q = q * f - 0x1.000382p-2f;
  q = q * f + 0x1.5556d8p-2f;
  return n * kLn2High + (f + (f * f * (q * f - 0.5f) + n * kLn2Low));
}
inline double logarithm(double x) { return std::log(x); }
inline std::complex<double> logarithm(std::complex<double> x) { return std::log(x); }

/// to = value, rounded. Not an assignment of T, because g++ does not vectorise copies of a class type such as bf16.
template <Element T>
void store(T& to, acc_t<T> value) {
  if constexpr (std::same_as<T, bf16>) {
    to.bits = bf16(value).bits;
  } else {
    to = value;
  }
}

/// Lets loops with "reduction(+ : x)" sum complex numbers.
#pragma omp declare reduction(+ : std::complex <double> : omp_out += omp_in) initializer(omp_priv = {})

}  // namespace expunge::cpu::EXPUNGE_CPU_LEVEL

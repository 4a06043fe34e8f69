// Shared by the kernel tests: tables, wide values, random data and error measures.
#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "expunge/kernels.h"
#include "kernels/cpu/cpu_kernels.h"

namespace expunge::testing {

namespace cpu = expunge::cpu::plain;
using Complex = std::complex<double>;

/// Tests hold all data in double, or complex where the kernels run in complex.
template <Element T>
using wide_t = std::conditional_t<std::same_as<T, Complex>, Complex, double>;
template <typename W>
using Arrays = std::vector<std::vector<W>>;

/// Whose kernels table() are, and whose memory Array is.
inline Device tested_device{};

template <Element T>
const Kernels<T>& table() {
  if constexpr (std::same_as<T, Complex>) {
    return cpu::kKernels<Complex>;
  } else {
    return kernels<T>(tested_device);
  }
}

inline Stream& stream() {
  static const auto inline_stream = make_inline_stream();
  if (tested_device.type == DeviceType::cpu) return *inline_stream;
  static const auto cuda_stream = make_cuda_stream(tested_device.index);
  return *cuda_stream;
}

/// Memory of the tested device.
template <typename T>
class Array {
 public:
  explicit Array(const std::vector<T>& values) : buffer_(tested_device, values.size()) {
    copy_to_device(stream(), buffer_.data(), values.data(), buffer_.bytes());
  }
  /// n zeros.
  explicit Array(std::size_t n) : Array(std::vector<T>(n)) {}
  T* data() { return buffer_.data(); }
  std::vector<T> host() const {
    std::vector<T> values(buffer_.size());
    copy_to_host(stream(), values.data(), buffer_.data(), buffer_.bytes());
    stream().synchronize();
    return values;
  }

 private:
  Buffer<T> buffer_;
};

template <typename T>
Array<T> on_device(const std::vector<T>& values) {
  return Array<T>(values);
}

template <typename T, typename W>
std::vector<T> narrow(const std::vector<W>& wide) {
  std::vector<T> result;
  for (const W& x : wide) {
    if constexpr (std::same_as<T, bf16>) {
      result.push_back(bf16(static_cast<float>(x)));
    } else {
      result.push_back(static_cast<T>(x));
    }
  }
  return result;
}

template <typename W, typename T>
std::vector<W> widen(const std::vector<T>& values) {
  return std::vector<W>(values.begin(), values.end());
}

template <typename W, typename T>
std::vector<W> widen(const Array<T>& values) {
  return widen<W>(values.host());
}

/// Values as T holds them.
template <typename T>
std::vector<double> rounded(const std::vector<double>& values) {
  return widen<double>(narrow<T>(values));
}

inline std::vector<double> random_values(std::size_t n, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal;
  std::vector<double> values(n);
  for (double& x : values) x = normal(generator);
  return values;
}

inline double norm(const std::vector<double>& x) {
  double sum = 0;
  for (const double v : x) sum += v * v;
  return std::sqrt(sum);
}

/// ||x - y|| / ||y||; 0 where both are zero.
inline double relative_error(const std::vector<double>& x, const std::vector<double>& y) {
  EXPECT_EQ(x.size(), y.size());
  std::vector<double> difference(y.size());
  for (std::size_t i = 0; i < y.size(); ++i) difference[i] = x[i] - y[i];
  const double error = norm(difference);
  return error == 0 ? 0 : error / norm(y);
}

/// Allowed normalised mean-square error against double, inputs being equal. bf16 results are rounded once: no element is off by
/// more than the unit roundoff 2^-8 (a hundredth is left for float). float results carry the rounding of sums of hundreds of
/// terms: 16 unit roundoffs of 2^-24.
template <Element T>
constexpr double kTolerance = std::same_as<T, bf16> ? 1.01 / (1 << 16) : 256.0 / (1ull << 48);

}  // namespace expunge::testing

// Element types: bfloat16, the types of the kernels, and the accumulation type of each.
#pragma once

#include <bit>
#include <complex>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

#include "expunge/error.h"

namespace expunge {

/// bfloat16: the upper half of an IEEE float. Converts to float implicitly, from float by round-to-nearest-even.
struct bf16 {
  std::uint16_t bits = 0;

  bf16() = default;
  constexpr explicit bf16(float value) : bits(round(value)) {}
  constexpr operator float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

 private:
  static constexpr std::uint16_t round(float value) {
    const auto u = std::bit_cast<std::uint32_t>(value);
    if ((u & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((u >> 16) | 0x40u);  // keep a NaN a NaN
    return static_cast<std::uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
  }
};

/// Element types of a model's computation. complex<double> serves the complex-step gradient checks alone.
template <typename T>
concept Element =
    std::same_as<T, float> || std::same_as<T, bf16> || std::same_as<T, double> || std::same_as<T, std::complex<double>>;

template <Element T>
struct Accumulate {
  using type = T;
};
template <>
struct Accumulate<bf16> {
  using type = float;
};

/// The type of the sums, master weights, gradients and moments of a model in T.
template <Element T>
using acc_t = typename Accumulate<T>::type;

enum class DType { float32, bfloat16, float64, float16 };

/// The name in options and files: "float32", "bfloat16", "float64", "float16".
std::string_view dtype_name(DType);
/// Bytes of one element.
int dtype_size(DType);
/// Inverse of dtype_name(); throws Error(usage) for any other name.
DType parse_dtype(std::string_view name);

/// work(std::type_identity<T>()) for the element type T that `dtype` names.
template <typename Work>
auto in_element_type(DType dtype, Work work) {
  switch (dtype) {
    case DType::float32:
      return work(std::type_identity<float>());
    case DType::bfloat16:
      return work(std::type_identity<bf16>());
    case DType::float64:
      return work(std::type_identity<double>());
    case DType::float16:
      break;
  }
  fail(ExitCode::usage, "--dtype: use float32, bfloat16 or float64");
}

}  // namespace expunge

// Linear layers and logits: three matrix products.
#pragma once

#include <type_traits>

#include "kernels/cuda/product.h"

namespace expunge::cuda {

template <typename T>
constexpr DType kDType = std::is_same_v<T, double> ? DType::float64
                         : std::is_same_v<T, bf16> ? DType::bfloat16
                                                   : DType::float32;

template <Element T>
void linear_forward(Stream& stream, T* y, const T* x, const T* w, const T* residual, int n, int in, int out) {
  multiply(stream, {y, residual, {x, false}, {w, true}, n, out, in, kDType<T>, kDType<T>});
}

template <Element T>
void linear_backward(Stream& stream, T* dx, acc_t<T>* dw, const T* dy, const T* x, const T* w, int n, int in, int out,
                     Write write) {
  if (dx) multiply(stream, {dx, write == Write::add ? dx : nullptr, {dy, false}, {w, false}, n, in, out, kDType<T>, kDType<T>});
  if (dw) multiply(stream, {dw, dw, {dy, true}, {x, false}, out, in, n, kDType<T>, kDType<acc_t<T>>});
}

template <Element T>
void logits_forward(Stream& stream, acc_t<T>* logits, const T* h, const T* w, int n, int dim, int vocabulary) {
  multiply(stream, {logits, nullptr, {h, false}, {w, true}, n, vocabulary, dim, kDType<T>, kDType<acc_t<T>>});
}

}  // namespace expunge::cuda

// Linear layers and logits: three matrix products.
#pragma once

#include "kernels/cpu/product.h"

namespace expunge::cpu::EXPUNGE_CPU_LEVEL {

template <Element T>
void linear_forward(Stream& stream, T* y, const T* x, const T* w, const T* residual, int n, int in, int out) {
  if (n == 0) return;
  if (residual && residual != y)
    copy_bytes(stream, y, residual, static_cast<std::size_t>(n) * static_cast<std::size_t>(out) * sizeof(T));
  product(residual ? Write::add : Write::set, y, out, plain(x, in), transposed(w, in), {n, out, in});
}

template <Element T>
void linear_backward(Stream&, T* dx, acc_t<T>* dw, const T* dy, const T* x, const T* w, int n, int in, int out, Write write) {
  if (n == 0) return;
  if (dx) product(write, dx, in, plain(dy, out), plain(w, in), {n, in, out});
  if (dw) product(Write::add, dw, in, transposed(dy, out), plain(x, in), {out, in, n});
}

template <Element T>
void logits_forward(Stream&, acc_t<T>* logits, const T* h, const T* w, int n, int dim, int vocabulary) {
  if (n > 0) product(Write::set, logits, vocabulary, plain(h, dim), transposed(w, dim), {n, vocabulary, dim});
}

}  // namespace expunge::cpu::EXPUNGE_CPU_LEVEL

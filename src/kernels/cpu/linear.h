// Linear layers and logits: three matrix products.
#pragma once

#include "kernels/cpu/product.h"

namespace expunge::cpu {

template <Element T>
void linear_forward(Stream&, T* y, const T* x, const T* w, int n, int in, int out, Write write) {
  if (n > 0) product(write, y, out, plain(x, in), transposed(w, in), {n, out, in});
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

}  // namespace expunge::cpu

// Matrix products through cuBLASLt.
#pragma once

#include <cstddef>

#include "expunge/kernels.h"

namespace expunge::cuda {

/// A matrix of a product as stored: row-major and dense.
struct ProductOperand {
  const void* data;
  bool transposed;  ///< the product reads its transpose
};

/// c (rows, columns) = a (rows, depth) b (depth, columns) + added, summed in fp32, or in double for double operands.
struct Product {
  void* c;
  const void* added;  ///< (rows, columns) of c's type; may be c itself; null adds nothing
  ProductOperand a, b;
  int rows, columns, depth;
  DType inputs, output;
};

void multiply(Stream& stream, const Product& product);

}  // namespace expunge::cuda

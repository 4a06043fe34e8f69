// Copies rows between tables.
#pragma once

#include "kernels/cuda/device_code.cuh"

namespace expunge::cuda {

/// to[to_rows[r]] = from[from_rows[r]]; a null list of rows means r itself.
template <typename T>
struct RowCopy {
  T* to;
  const T* from;
  const std::int32_t *to_rows, *from_rows;
  int to_width, from_width;
  template <int N>
  __device__ void at(Index row, int column) const {
    const Index target = to_rows ? Index(to_rows[row]) : row, source = from_rows ? Index(from_rows[row]) : row;
    save(to + target * Index(to_width) + column, load<N>(from + source * Index(from_width) + column));
  }
};

}  // namespace expunge::cuda

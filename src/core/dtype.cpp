// Names and sizes of element types.
#include "expunge/dtype.h"

#include <fmt/format.h>

#include "expunge/error.h"

namespace expunge {

std::string_view dtype_name(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return "float32";
    case DType::bfloat16:
      return "bfloat16";
    case DType::float64:
      return "float64";
    case DType::float16:
      return "float16";
  }
  fail(ExitCode::internal, "unnamed dtype");
}

int dtype_size(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return 4;
    case DType::float64:
      return 8;
    case DType::bfloat16:
    case DType::float16:
      return 2;
  }
  fail(ExitCode::internal, "dtype without a size");
}

DType parse_dtype(std::string_view name) {
  for (const DType dtype : {DType::float32, DType::bfloat16, DType::float64, DType::float16})
    if (name == dtype_name(dtype)) return dtype;
  fail(ExitCode::usage, fmt::format("unknown dtype '{}': use float32, bfloat16 or float64", name));
}

}  // namespace expunge

// Matrix products of float and bf16 through oneDNN.
#include "kernels/cpu/product.h"

#include <compare>
#include <dnnl.hpp>
#include <map>

#include "expunge/core/error.h"

namespace expunge::cpu {
namespace {

using DataType = dnnl::memory::data_type;

const dnnl::engine& engine() {
  static const dnnl::engine cpu_engine(dnnl::engine::kind::cpu, 0);
  return cpu_engine;
}

/// What a bf16 primitive is made for. The rows of `a` as stored are tokens, whose number is left open: it differs from one
/// micro-batch to the next, and making a primitive costs a millisecond.
struct PrimitiveKey {
  int a_columns, other;  // stored columns of a; the size of the product that is neither this nor the tokens
  bool a_transposed, b_transposed, to_bf16, add;
  int threads;  // oneDNN may fix its partition when a primitive is made
  auto operator<=>(const PrimitiveKey&) const = default;
};

dnnl::matmul::primitive_desc describe(const PrimitiveKey& key) {
  constexpr auto kOpen = DNNL_RUNTIME_DIM_VAL;
  const auto rows = key.a_transposed ? key.a_columns : kOpen, depth = key.a_transposed ? kOpen : key.a_columns;
  using Sizes = dnnl::memory::dims;
  const auto strides = [](bool transposed, dnnl::memory::dim stride) {
    return transposed ? Sizes{1, stride} : Sizes{stride, 1};
  };
  const dnnl::memory::desc a({rows, depth}, DataType::bf16, strides(key.a_transposed, key.a_columns));
  const dnnl::memory::desc b({depth, key.other}, DataType::bf16,
                             strides(key.b_transposed, key.b_transposed ? depth : key.other));
  const dnnl::memory::desc c({rows, key.other}, key.to_bf16 ? DataType::bf16 : DataType::f32, Sizes{key.other, 1});
  dnnl::primitive_attr attributes;
  if (key.add) {
    dnnl::post_ops sum;
    sum.append_sum(1.0f);
    attributes.set_post_ops(sum);
  }
#if DNNL_VERSION_MAJOR >= 3
  return {engine(), a, b, c, attributes};
#else
  return {dnnl::matmul::desc(a, b, c), attributes, engine()};
#endif
}

/// Primitives of the calling thread: oneDNN's scratch memory belongs to the thread that made them.
dnnl::matmul& primitive(const PrimitiveKey& key) {
  thread_local std::map<PrimitiveKey, dnnl::matmul> made;
  const auto found = made.find(key);
  return found != made.end() ? found->second : made.emplace(key, dnnl::matmul(describe(key))).first->second;
}

dnnl::memory matrix(const void* data, DataType type, int rows, int columns, bool is_transposed) {
  const dnnl::memory::dims strides = is_transposed ? dnnl::memory::dims{1, rows} : dnnl::memory::dims{columns, 1};
  return {dnnl::memory::desc({rows, columns}, type, strides), engine(), const_cast<void*>(data)};
}

template <typename Out>
void multiply_bf16(Write write, Out* c, Operand<bf16> a, Operand<bf16> b, ProductSize size) {
  constexpr bool kToBf16 = std::same_as<Out, bf16>;
  const PrimitiveKey key{.a_columns = a.stride,
                         .other = size.columns,
                         .a_transposed = a.transposed,
                         .b_transposed = b.transposed,
                         .to_bf16 = kToBf16,
                         .add = write == Write::add,
                         .threads = omp_get_max_threads()};
  dnnl::stream stream(engine());
  primitive(key).execute(stream,
                         {{DNNL_ARG_SRC, matrix(a.data, DataType::bf16, size.rows, size.depth, a.transposed)},
                          {DNNL_ARG_WEIGHTS, matrix(b.data, DataType::bf16, size.depth, size.columns, b.transposed)},
                          {DNNL_ARG_DST, matrix(c, kToBf16 ? DataType::bf16 : DataType::f32, size.rows, size.columns, false)}});
  stream.wait();
}

}  // namespace

void product(Write write, float* c, int c_stride, Operand<float> a, Operand<float> b, ProductSize size) {
  const dnnl::status status =
      dnnl::sgemm(a.transposed ? 'T' : 'N', b.transposed ? 'T' : 'N', size.rows, size.columns, size.depth, 1.0f, a.data,
                  a.stride, b.data, b.stride, write == Write::add ? 1.0f : 0.0f, c, c_stride);
  check(status == dnnl::status::success, "oneDNN rejected a float product");
}

namespace {

/// Whether VDPBF16PS, which multiplies bf16 where there are no tiles, does twice the work of a float multiply-add. Intel's
/// cores before AMX issue it at half the rate of those or less: oneDNN's bf16 products ran at 0.52 of its float ones there.
/// Told by the processor's name and not by a measurement, which could fall out differently when a run is resumed.
bool multiplies_bf16_fast() {
#if defined(__x86_64__)
  return !__builtin_cpu_is("intel") || __builtin_cpu_supports("amx-bf16");
#else
  return true;
#endif
}

}  // namespace

bool has_bf16_products() {
  static const bool supported = [] {
    if (!multiplies_bf16_fast()) return false;
    try {
      describe({.a_columns = 64,
                .other = 64,
                .a_transposed = false,
                .b_transposed = true,
                .to_bf16 = true,
                .add = true,
                .threads = 1});
      return true;
    } catch (const dnnl::error&) {
      return false;
    }
  }();
  return supported;
}

void product(Write write, float* c, int c_stride, Operand<bf16> a, Operand<bf16> b, ProductSize size) {
  if (!has_bf16_products()) return product_by_float_blocks(write, c, c_stride, a, b, size);
  multiply_bf16(write, c, a, b, size);
}

void product(Write write, bf16* c, int c_stride, Operand<bf16> a, Operand<bf16> b, ProductSize size) {
  if (!has_bf16_products()) return product_by_float_blocks(write, c, c_stride, a, b, size);
  // oneDNN sums the whole result in float memory that it takes afresh each time. Above 32 MiB, malloc gets that from the
  // system page by page, which halves the speed, so the rows go in chunks below it (a transposed `a` is made for all its rows).
  const int chunk = a.transposed ? size.rows : std::max(64, (6 << 20) / size.columns);
  for (int row = 0; row < size.rows; row += chunk)
    multiply_bf16(write, c + Index(row) * Index(c_stride), {&a.at(Index(row), 0), a.stride, a.transposed}, b,
                  {std::min(chunk, size.rows - row), size.columns, size.depth});
}

namespace {

constexpr int kBlock = 1024;

/// Elements between rows of float scratch: rows a power of two apart would fall on the same few lines of the cache.
constexpr int spread(int columns) { return columns + 16; }

/// A block of an operand in float: rows [row0, row0 + rows) and columns likewise, as the product reads them.
Operand<float> float_block(float* block, const Operand<bf16>& operand, int row0, int rows, int column0, int columns) {
  const int stored_rows = operand.transposed ? columns : rows, stored_columns = operand.transposed ? rows : columns;
  const int stride = spread(stored_columns);
  const bf16* const corner = &operand.at(Index(row0), Index(column0));
#pragma omp parallel for schedule(static)
  for (int i = 0; i < stored_rows; ++i) {
    float* const to = block + Index(i) * Index(stride);
    const bf16* const from = corner + Index(i) * Index(operand.stride);
#pragma omp simd
    for (int j = 0; j < stored_columns; ++j) to[j] = from[j];
  }
  return {block, stride, operand.transposed};
}

/// c (=|+=) sum, rounded. sum (rows, columns)
void round_rows(Write write, bf16* c, int c_stride, const float* sum, int sum_stride, int rows, int columns) {
#pragma omp parallel for schedule(static)
  for (int i = 0; i < rows; ++i) {
    bf16* const to = c + Index(i) * Index(c_stride);
    const float* const from = sum + Index(i) * Index(sum_stride);
#pragma omp simd
    for (int j = 0; j < columns; ++j) store(to[j], write == Write::add ? float(to[j]) + from[j] : from[j]);
  }
}

}  // namespace

/// Blocks of `a` are converted once, those of `b` once for each kBlock rows. Sums that are to be rounded wait in float until
/// the whole depth is added up.
template <typename Out>
void product_by_float_blocks(Write write, Out* c, int c_stride, Operand<bf16> a, Operand<bf16> b, ProductSize size) {
  constexpr bool kRounds = std::same_as<Out, bf16>;
  constexpr Index kElements = Index(kBlock) * spread(kBlock);
  Buffer<float> blocks(Device{}, 2 * kElements);
  const int sum_stride = kRounds ? spread(size.columns) : c_stride;
  Buffer<float> sums(Device{}, kRounds ? Index(std::min(kBlock, size.rows)) * Index(sum_stride) : 0);
  for (int i0 = 0; i0 < size.rows; i0 += kBlock) {
    const int rows = std::min(kBlock, size.rows - i0);
    Out* const c_rows = c + Index(i0) * Index(c_stride);
    float* sum = sums.data();
    if constexpr (!kRounds) sum = c_rows;
    for (int p0 = 0; p0 < size.depth; p0 += kBlock) {
      const int depth = std::min(kBlock, size.depth - p0);
      const Operand<float> a_block = float_block(blocks.data(), a, i0, rows, p0, depth);
      const Write how = p0 > 0 ? Write::add : kRounds ? Write::set : write;
      for (int j0 = 0; j0 < size.columns; j0 += kBlock) {
        const int columns = std::min(kBlock, size.columns - j0);
        const Operand<float> b_block = float_block(blocks.data() + kElements, b, p0, depth, j0, columns);
        product(how, sum + j0, sum_stride, a_block, b_block, {rows, columns, depth});
      }
    }
    if constexpr (kRounds) round_rows(write, c_rows, c_stride, sum, sum_stride, rows, size.columns);
  }
}
template void product_by_float_blocks(Write, float*, int, Operand<bf16>, Operand<bf16>, ProductSize);
template void product_by_float_blocks(Write, bf16*, int, Operand<bf16>, Operand<bf16>, ProductSize);

}  // namespace expunge::cpu

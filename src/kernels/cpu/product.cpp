// Matrix products of float and bf16 through oneDNN.
#include "kernels/cpu/product.h"

#include <omp.h>

#include <compare>
#include <dnnl.hpp>
#include <map>
#include <new>

#include "expunge/error.h"

namespace expunge::cpu::EXPUNGE_CPU_LEVEL {
namespace {

using DataType = dnnl::memory::data_type;

/// Restricts oneDNN to the calling thread. Its own team would spin while it waits for its slowest thread.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

/// Rows [row, row + rows) of a product, and columns likewise.
struct Tile {
  int row, rows, column, columns;
};

template <typename T>
Operand<T> rows_from(const Operand<T>& operand, int row) {
  return {&operand.at(Index(row), 0), operand.stride, operand.transposed};
}
template <typename T>
Operand<T> columns_from(const Operand<T>& operand, int column) {
  return {&operand.at(0, Index(column)), operand.stride, operand.transposed};
}

constexpr int parts_of(int whole, int part) { return (whole + part - 1) / part; }

/// Halves the longer side of a product repeatedly, until all threads have enough tiles or a tile would become too small.
Tile first_tile(ProductSize size) {
  constexpr int kRowUnit = 16, kColumnUnit = 48;  // multiples of the register tiles of oneDNN's kernels
  constexpr double kLeastProducts = 2 << 20;      // per tile: about 50 us
  constexpr int kTilesPerThread = 4;
  const auto half = [](int side, int unit) { return parts_of(parts_of(side, 2), unit) * unit; };
  const double products = double(size.rows) * size.columns * size.depth;
  const double wanted = loop_threads() == 1 ? 1 : std::min<double>(kTilesPerThread * loop_threads(), products / kLeastProducts);
  Tile tile{0, size.rows, 0, size.columns};
  while (parts_of(size.rows, tile.rows) * parts_of(size.columns, tile.columns) < wanted) {
    const int rows = half(tile.rows, kRowUnit), columns = half(tile.columns, kColumnUnit);
    if (rows < tile.rows && (tile.rows >= tile.columns || columns >= tile.columns))
      tile.rows = rows;
    else if (columns < tile.columns)
      tile.columns = columns;
    else
      break;
  }
  return tile;
}

/// Calls multiply(tile) for the tiles of a product, each in one thread.
template <typename Multiply>
void for_each_tile(ProductSize size, const Multiply& multiply) {
  const Tile first = first_tile(size);
  const int across = parts_of(size.columns, first.columns), tiles = parts_of(size.rows, first.rows) * across;
  parallel_for(tiles, parallel::kLeastElements, [&](int i) {
    const OneThread alone;
    const int row = i / across * first.rows, column = i % across * first.columns;
    multiply(Tile{row, std::min(first.rows, size.rows - row), column, std::min(first.columns, size.columns - column)});
  });
}

const dnnl::engine& engine() {
  static const dnnl::engine cpu_engine(dnnl::engine::kind::cpu, 0);
  return cpu_engine;
}

/// Key of a bf16 primitive. The number of tokens (rows of `a` as stored) is 0 here and stays open: it differs between
/// micro-batches, and creating a primitive takes a millisecond.
struct PrimitiveKey {
  int rows, columns, depth;
  int a_stride, b_stride, c_stride;
  bool a_transposed, b_transposed, to_bf16, add;
  auto operator<=>(const PrimitiveKey&) const = default;
};

dnnl::memory::desc matrix(DataType type, dnnl::memory::dim rows, dnnl::memory::dim columns, int stride, bool is_transposed) {
  using Sizes = dnnl::memory::dims;
  return {Sizes{rows, columns}, type, is_transposed ? Sizes{1, stride} : Sizes{stride, 1}};
}

dnnl::matmul::primitive_desc describe(const PrimitiveKey& key) {
  const auto size = [](int given) { return given == 0 ? DNNL_RUNTIME_DIM_VAL : given; };
  const auto a = matrix(DataType::bf16, size(key.rows), size(key.depth), key.a_stride, key.a_transposed);
  const auto b = matrix(DataType::bf16, size(key.depth), key.columns, key.b_stride, key.b_transposed);
  const auto c = matrix(key.to_bf16 ? DataType::bf16 : DataType::f32, size(key.rows), key.columns, key.c_stride, false);
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

/// Primitives of the calling thread, because oneDNN's scratch memory belongs to the thread that created them.
dnnl::matmul& primitive(const PrimitiveKey& key) {
  thread_local std::map<PrimitiveKey, dnnl::matmul> made;
  const auto found = made.find(key);
  return found != made.end() ? found->second : made.emplace(key, dnnl::matmul(describe(key))).first->second;
}

/// Runs in the calling thread.
template <typename Out>
void multiply_bf16(Write write, Out* c, int c_stride, Operand<bf16> a, Operand<bf16> b, ProductSize size) {
  constexpr DataType kOut = std::same_as<Out, bf16> ? DataType::bf16 : DataType::f32;
  const PrimitiveKey key{.rows = a.transposed ? size.rows : 0,
                         .columns = size.columns,
                         .depth = a.transposed ? 0 : size.depth,
                         .a_stride = a.stride,
                         .b_stride = b.stride,
                         .c_stride = c_stride,
                         .a_transposed = a.transposed,
                         .b_transposed = b.transposed,
                         .to_bf16 = std::same_as<Out, bf16>,
                         .add = write == Write::add};
  const auto memory = [](const dnnl::memory::desc& shape, const void* data) {
    return dnnl::memory(shape, engine(), const_cast<void*>(data));
  };
  dnnl::stream stream(engine());
  try {
    primitive(key).execute(
        stream, {{DNNL_ARG_SRC, memory(matrix(DataType::bf16, size.rows, size.depth, a.stride, a.transposed), a.data)},
                 {DNNL_ARG_WEIGHTS, memory(matrix(DataType::bf16, size.depth, size.columns, b.stride, b.transposed), b.data)},
                 {DNNL_ARG_DST, memory(matrix(kOut, size.rows, size.columns, c_stride, false), c)}});
    stream.wait();
  } catch (const dnnl::error& error) {
    if (error.status == dnnl_out_of_memory) throw std::bad_alloc();
    throw;
  }
}

template <typename Out>
void multiply_bf16_tiles(Write write, Out* c, int c_stride, Operand<bf16> a, Operand<bf16> b, ProductSize size) {
  for_each_tile(size, [&](const Tile& tile) {
    multiply_bf16(write, c + Index(tile.row) * Index(c_stride) + tile.column, c_stride, rows_from(a, tile.row),
                  columns_from(b, tile.column), {tile.rows, tile.columns, size.depth});
  });
}

}  // namespace

void product(Write write, float* c, int c_stride, Operand<float> a, Operand<float> b, ProductSize size) {
  for_each_tile(size, [&](const Tile& tile) {
    const dnnl::status status =
        dnnl::sgemm(a.transposed ? 'T' : 'N', b.transposed ? 'T' : 'N', tile.rows, tile.columns, size.depth, 1.0f,
                    rows_from(a, tile.row).data, a.stride, columns_from(b, tile.column).data, b.stride,
                    write == Write::add ? 1.0f : 0.0f, c + Index(tile.row) * Index(c_stride) + tile.column, c_stride);
    if (status == dnnl::status::out_of_memory) throw std::bad_alloc();
    check(status == dnnl::status::success, "oneDNN rejected a float product");
  });
}

namespace {

/// Whether VDPBF16PS, the bf16 instruction without AMX tiles, has twice the throughput of a float multiply-add. On Intel
/// cores before AMX it has half the rate or less: oneDNN's bf16 products ran at 0.52 of the float speed. Decided by the
/// processor's name, because a measurement could differ when a run is resumed.
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
      describe({.rows = 0,
                .columns = 64,
                .depth = 64,
                .a_stride = 64,
                .b_stride = 64,
                .c_stride = 64,
                .a_transposed = false,
                .b_transposed = true,
                .to_bf16 = true,
                .add = true});
      return true;
    } catch (const dnnl::error&) {
      return false;
    }
  }();
  return supported;
}

void product(Write write, float* c, int c_stride, Operand<bf16> a, Operand<bf16> b, ProductSize size) {
  if (!has_bf16_products()) return product_by_float_blocks(write, c, c_stride, a, b, size);
  multiply_bf16_tiles(write, c, c_stride, a, b, size);
}

void product(Write write, bf16* c, int c_stride, Operand<bf16> a, Operand<bf16> b, ProductSize size) {
  if (!has_bf16_products()) return product_by_float_blocks(write, c, c_stride, a, b, size);
  // oneDNN allocates a float result for each call. Above 32 MiB malloc gets it from the system page by page, which halves the
  // speed. Therefore the rows are processed in smaller chunks (a transposed `a` needs a primitive for all its rows).
  const int chunk = a.transposed ? size.rows : std::max(64, (6 << 20) / size.columns);
  for (int row = 0; row < size.rows; row += chunk)
    multiply_bf16_tiles(write, c + Index(row) * Index(c_stride), c_stride, rows_from(a, row), b,
                        {std::min(chunk, size.rows - row), size.columns, size.depth});
}

namespace {

constexpr int kBlock = 1024;

/// Stride of float scratch rows: rows a power of two apart would share few cache lines.
constexpr int spread(int columns) { return columns + 16; }

/// Converts a block of an operand to float: rows [row0, row0 + rows), and columns likewise, as the product reads them.
Operand<float> float_block(float* block, const Operand<bf16>& operand, int row0, int rows, int column0, int columns) {
  const int stored_rows = operand.transposed ? columns : rows, stored_columns = operand.transposed ? rows : columns;
  const int stride = spread(stored_columns);
  const bf16* const corner = &operand.at(Index(row0), Index(column0));
  parallel_for(stored_rows, Index(stored_columns), [&](int i) {
    float* const to = block + Index(i) * Index(stride);
    const bf16* const from = corner + Index(i) * Index(operand.stride);
#pragma omp simd
    for (int j = 0; j < stored_columns; ++j) to[j] = from[j];
  });
  return {block, stride, operand.transposed};
}

/// c (=|+=) sum, rounded. sum (rows, columns)
void round_rows(Write write, bf16* c, int c_stride, const float* sum, int sum_stride, int rows, int columns) {
  parallel_for(rows, Index(columns), [&](int i) {
    bf16* const to = c + Index(i) * Index(c_stride);
    const float* const from = sum + Index(i) * Index(sum_stride);
#pragma omp simd
    for (int j = 0; j < columns; ++j) store(to[j], write == Write::add ? float(to[j]) + from[j] : from[j]);
  });
}

}  // namespace

/// Converts each block of `a` once, each block of `b` once per kBlock rows. Sums to be rounded stay in float until the whole
/// depth is added.
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

}  // namespace expunge::cpu::EXPUNGE_CPU_LEVEL

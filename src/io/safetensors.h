// safetensors files: memory-mapped reading of slices, streaming writing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "expunge/dtype.h"
#include "io/files.h"

namespace expunge {

/// A tensor of a safetensors file.
struct TensorInfo {
  std::string dtype;                ///< as stored, in the names of the format
  std::vector<std::int64_t> shape;  ///< row-major
  std::uint64_t begin, end;         ///< bytes in the file
  std::uint64_t elements() const;
  /// Whether SafetensorsFile::read can convert this dtype: F32, F16, BF16 or F64. Other dtypes are only listed.
  bool readable() const;
};

/// An open safetensors file. Opening checks the whole header: sizes, offsets, overlaps, holes, repeated names. Any fault, or
/// a file that shrinks while open, throws Error(bad_input) with the file, the tensor, the expected and the found value.
class SafetensorsFile {
 public:
  /// A part of the file: the length field and header (no name), or the data of one tensor.
  struct Segment {
    std::string tensor;
    std::uint64_t begin, end;  ///< bytes in the file
  };

  /// An error for a hole in the file names a missing tensor of `needed`. Without a hole, call has().
  explicit SafetensorsFile(const std::filesystem::path& path, const std::vector<std::string>& needed = {});
  SafetensorsFile(SafetensorsFile&& other) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&&) = delete;
  ~SafetensorsFile();

  const std::filesystem::path& path() const { return path_; }
  std::uint64_t bytes() const { return bytes_; }
  /// Bytes of the length field and the header, which is the offset of the data.
  std::uint64_t header_bytes() const { return header_bytes_; }
  const std::map<std::string, TensorInfo>& tensors() const { return tensors_; }
  bool has(const std::string& name) const { return tensors_.contains(name); }
  const TensorInfo& info(const std::string& name) const;
  /// Parts of the whole file, in order and without gaps. Several processes can thus hash it, each the parts that it reads.
  std::vector<Segment> segments() const;
  /// Elements first .. first + count of a tensor, converted from F32, F16, BF16 or F64. Touches only the pages of the slice
  /// and unmaps them, so resident memory does not grow.
  void read(const std::string& name, std::uint64_t first, std::uint64_t count, float* out) const;
  void read(const std::string& name, std::uint64_t first, std::uint64_t count, double* out) const;
  /// Calls `use` with the bytes begin .. end in pieces of 16 MiB (the last may be shorter). Uses no more memory than read().
  void visit(std::uint64_t begin, std::uint64_t end, const std::function<void(std::string_view)>& use) const;

 private:
  SafetensorsFile() = default;
  void open();
  void parse_header();
  void check_layout(const std::string& missing) const;
  void fetch(std::uint64_t begin, std::uint64_t end) const;
  void release(std::uint64_t begin, std::uint64_t end) const;
  template <typename Out>
  void read_as(const std::string& name, std::uint64_t first, std::uint64_t count, Out* out) const;

  std::filesystem::path path_;
  std::optional<InputFile> file_;
  const char* map_ = nullptr;
  std::uint64_t bytes_ = 0, header_bytes_ = 0;
  std::map<std::string, TensorInfo> tensors_;
};

/// `value` after storing it as `dtype` and reading it again.
double as_stored(double value, DType dtype);

/// Writes a safetensors file tensor by tensor. The complete file appears under its name at finish(). Throws Error(output).
class SafetensorsWriter {
 public:
  struct Tensor {
    std::string name;
    std::vector<std::int64_t> shape;
    std::uint64_t elements() const;
  };
  /// All tensors are stored as `dtype`, in the order given.
  SafetensorsWriter(const std::filesystem::path& path, DType dtype, const std::vector<Tensor>& tensors);
  SafetensorsWriter(SafetensorsWriter&& other) noexcept;
  SafetensorsWriter& operator=(SafetensorsWriter&&) = delete;
  ~SafetensorsWriter();

  /// Appends the next elements, across all tensors in order.
  void append(const double* values, std::uint64_t count);
  /// Flushes to disk and renames; every element must have been appended.
  void finish();

 private:
  SafetensorsWriter(const std::filesystem::path& path, DType dtype) : pending_(path), dtype_(dtype) {}
  void write_all(const void* data, std::uint64_t bytes);

  PendingFile pending_;
  DType dtype_;
  int file_ = -1;
  std::uint64_t left_ = 0;  // elements
  std::string converted_;
};

}  // namespace expunge

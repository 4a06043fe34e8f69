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
  std::string dtype;                ///< as stored, in the format's names
  std::vector<std::int64_t> shape;  ///< row-major
  std::uint64_t begin, end;         ///< bytes in the file
  std::uint64_t elements() const;
  /// Whether SafetensorsFile::read converts from this dtype: F32, F16, BF16 and F64. Others are only listed.
  bool readable() const;
};

/// An open safetensors file. Its header is checked whole at opening: sizes, offsets, overlaps, holes, names that come twice.
/// What is wrong, and a file that shrinks while it is open, throws Error(bad_input) with the file, the tensor, what was
/// expected and what was found.
class SafetensorsFile {
 public:
  /// A stretch of the file: the header with its length field (no name) or the data of one tensor.
  struct Segment {
    std::string tensor;
    std::uint64_t begin, end;  ///< bytes in the file
  };

  /// A tensor of `needed` that is not there is named where the file has a hole; otherwise has() tells.
  explicit SafetensorsFile(const std::filesystem::path& path, const std::vector<std::string>& needed = {});
  SafetensorsFile(SafetensorsFile&& other) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&&) = delete;
  ~SafetensorsFile();

  const std::filesystem::path& path() const { return path_; }
  std::uint64_t bytes() const { return bytes_; }
  /// Bytes of the length field and the header: where data begins.
  std::uint64_t header_bytes() const { return header_bytes_; }
  const std::map<std::string, TensorInfo>& tensors() const { return tensors_; }
  bool has(const std::string& name) const { return tensors_.contains(name); }
  const TensorInfo& info(const std::string& name) const;
  /// The whole file in order, without gaps, so that several processes can hash it, each what it reads anyway.
  std::vector<Segment> segments() const;
  /// Elements first .. first + count of a tensor, converted from F32, F16, BF16 or F64. Touches no other page of the file, and
  /// leaves none mapped: resident memory does not grow by what was read.
  void read(const std::string& name, std::uint64_t first, std::uint64_t count, float* out) const;
  void read(const std::string& name, std::uint64_t first, std::uint64_t count, double* out) const;
  /// Calls `use` with the bytes begin .. end in pieces of 16 MiB (the last may be shorter); same memory as read().
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

/// What reading gives back of a number that was stored as `dtype`.
double as_stored(double value, DType dtype);

/// Writes a safetensors file tensor by tensor; it appears under its name at finish(), whole. Throws Error(output).
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

  /// The next elements, through all tensors in order.
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

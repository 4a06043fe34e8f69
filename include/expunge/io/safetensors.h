// safetensors files: memory-mapped reading of slices, streaming writing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "expunge/core/dtype.h"
#include "expunge/io/files.h"

namespace expunge {

/// A tensor of a safetensors file.
struct TensorInfo {
  std::string dtype;                ///< as stored: "F32", "F16", "BF16", "F64" can be read, others only listed
  std::vector<std::int64_t> shape;  ///< row-major
  std::uint64_t begin, end;         ///< bytes in the file
  std::uint64_t elements() const;
};

/// An open safetensors file. Its header is checked whole at opening: sizes, offsets, overlaps and holes; what is wrong throws
/// Error(bad_input) with the file, the tensor, what was expected and what was found.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);
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
  /// Elements first .. first + count of a tensor, converted from F32, F16, BF16 or F64. Touches no other page of the file.
  void read(const std::string& name, std::uint64_t first, std::uint64_t count, float* out) const;
  void read(const std::string& name, std::uint64_t first, std::uint64_t count, double* out) const;
  /// A range of the file's bytes, for hashing.
  std::string_view raw(std::uint64_t begin, std::uint64_t end) const;

 private:
  void parse_header();
  void check_layout() const;
  void fetch(std::uint64_t begin, std::uint64_t end) const;
  template <typename Out>
  void read_as(const std::string& name, std::uint64_t first, std::uint64_t count, Out* out) const;

  std::filesystem::path path_;
  const char* map_ = nullptr;
  std::uint64_t bytes_ = 0, header_bytes_ = 0;
  std::map<std::string, TensorInfo> tensors_;
};

/// Writes a safetensors file tensor by tensor; it appears under its name at finish(), whole. Throws Error(output).
class SafetensorsWriter {
 public:
  struct Tensor {
    std::string name;
    std::vector<std::int64_t> shape;
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
  void write_all(const void* data, std::uint64_t bytes);

  PendingFile pending_;
  DType dtype_;
  int file_ = -1;
  std::uint64_t left_ = 0;  // elements
  std::string converted_;
};

}  // namespace expunge

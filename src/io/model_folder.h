// Weights of a Hugging Face model folder: one safetensors file, or several with an index.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "io/safetensors.h"

namespace expunge {

/// Size limit of a copied file beside the weights.
inline constexpr std::uint64_t kSideFileLimit = std::uint64_t{1} << 30;

/// Opens model.safetensors, or every file that model.safetensors.index.json names. Ignores tensors that the index does not
/// list. Throws Error(bad_input).
class ModelFolder {
 public:
  /// `needed` are tensors of the model: see SafetensorsFile.
  explicit ModelFolder(const std::filesystem::path& folder, const std::vector<std::string>& needed = {});

  const std::filesystem::path& path() const { return path_; }
  /// Sorted by name.
  const std::vector<SafetensorsFile>& files() const { return files_; }
  std::vector<std::string> names() const;
  bool has(const std::string& name) const { return file_of_.contains(name); }
  const TensorInfo& info(const std::string& name) const { return file(name).info(name); }
  /// As SafetensorsFile::read; A is float or double.
  template <typename A>
  void read(const std::string& name, std::uint64_t first, std::uint64_t count, A* out) const {
    file(name).read(name, first, count, out);
  }

 private:
  void open_index(const std::filesystem::path& index, const std::vector<std::string>& needed);
  const SafetensorsFile& file(const std::string& name) const;

  std::filesystem::path path_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, std::size_t> file_of_;
};

/// Writes a model folder: safetensors files of at most `most_bytes` each, an index if there are several, and side files. The
/// complete folder appears under its name at finish(). Throws Error(output).
class ModelFolderWriter {
 public:
  /// 5 GB, the shard size of Hugging Face.
  static constexpr std::uint64_t kMostBytes = 5'000'000'000;

  /// `folder` must be empty or missing. A tensor larger than `most_bytes` gets its own file.
  ModelFolderWriter(const std::filesystem::path& folder, DType dtype, std::vector<SafetensorsWriter::Tensor> tensors,
                    std::uint64_t most_bytes = kMostBytes);
  ModelFolderWriter(const ModelFolderWriter&) = delete;
  ModelFolderWriter& operator=(const ModelFolderWriter&) = delete;

  /// The next elements of the tensors, in the order given; one call stays within one tensor.
  void append(const double* values, std::uint64_t count);
  /// Throws Error(bad_input) if the file cannot be read.
  void copy_side_file(const std::filesystem::path& file);
  void write_side_file(const std::string& name, std::string_view content);
  /// SHA-256 of each file written so far, sorted by name; call after the last append().
  std::map<std::string, std::string> hashes();
  /// Makes the folder live. The caller has written the record of the folder before.
  void finish();

 private:
  void finish_weights();
  void begin_file();
  std::string file_name(std::size_t index) const;
  void write_index() const;

  std::filesystem::path folder_;
  std::optional<Staging> staging_;
  std::filesystem::path writing_;
  DType dtype_;
  std::vector<std::vector<SafetensorsWriter::Tensor>> parts_;
  std::vector<std::uint64_t> part_elements_;
  std::optional<SafetensorsWriter> writer_;
  std::size_t part_ = 0;
  std::uint64_t left_ = 0;  // elements of the current part
  bool weights_finished_ = false;
};

}  // namespace expunge

// HDF5 files: groups, attributes, datasets accessed by flat ranges, virtual datasets over other files.
#pragma once

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace expunge {

template <typename T>
concept Hdf5Element =
    std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, std::uint8_t> || std::same_as<T, std::int32_t> ||
    std::same_as<T, std::uint32_t> || std::same_as<T, std::int64_t> || std::same_as<T, std::uint64_t>;

template <typename T>
concept Hdf5Attribute =
    std::same_as<T, std::string> || std::same_as<T, std::int64_t> || std::same_as<T, std::uint64_t> || std::same_as<T, double>;

/// A flat range of a virtual dataset, and its 1-D source dataset.
struct VirtualRange {
  std::string source_file;     ///< file name in the folder of the index
  std::string source_dataset;  ///< path of the 1-D dataset in that file
  std::uint64_t source_begin;  ///< first element in the source
  std::uint64_t begin;         ///< first element in the virtual dataset, counted row by row
  std::uint64_t count;
};

/// An open HDF5 file. Objects are named by path ("/train/loss"); "/" is the root. A *flat range* counts the elements of a 1-D
/// or 2-D dataset row by row. Reading throws Error(bad_input) that names the file, the object, the expected and the found
/// value. Writing throws Error(output) with the system's reason. The library is not thread-safe: one thread per process.
///
/// Files are untrusted. Only the virtual datasets of an index lead into other files, which lie in the same folder. No plugin
/// is loaded. Only plain numbers are read, stored raw or with gzip, shuffle and fletcher32. No allocation exceeds what the
/// file's size justifies. Metadata damaged on purpose can still crash the library (version 1.10).
class Hdf5File {
 public:
  /// Creates a file; Error(output) if `path` exists. Data of datasets of at least `alignment` bytes are aligned to it.
  static Hdf5File create(const std::filesystem::path& path, std::uint64_t alignment = 1);
  static Hdf5File open(const std::filesystem::path& path);
  /// Opens for reading, including virtual datasets over files of the same folder.
  static Hdf5File open_index(const std::filesystem::path& path);
  static Hdf5File open_for_update(const std::filesystem::path& path);
  Hdf5File(Hdf5File&& other) noexcept;
  Hdf5File& operator=(Hdf5File&&) = delete;
  /// Closes and ignores errors; writers call close() first.
  ~Hdf5File();

  const std::filesystem::path& path() const { return path_; }
  bool exists(const std::string& object) const;
  /// Names of a group's members, sorted.
  std::vector<std::string> children(const std::string& group) const;
  bool is_group(const std::string& object) const;
  /// Creates a group and its missing parents; an existing group stays.
  void create_group(const std::string& group);

  bool has_attribute(const std::string& object, const std::string& name) const;
  /// Strings are stored as variable-length UTF-8, which h5py shows as str.
  template <Hdf5Attribute T>
  void write_attribute(const std::string& object, const std::string& name, const T& value);
  template <Hdf5Attribute T>
  T read_attribute(const std::string& object, const std::string& name) const;

  /// A contiguous dataset of fixed shape. Missing parent groups are created.
  template <Hdf5Element T>
  void create_dataset(const std::string& dataset, const std::vector<std::uint64_t>& shape);
  /// The same, 1-D and not empty; returns its offset in the file. A caller may write the data there itself, without the
  /// library, after the file is closed.
  template <Hdf5Element T>
  std::uint64_t allocate_dataset(const std::string& dataset, std::uint64_t size);
  /// An empty 1-D dataset that append() grows, stored in chunks of `chunk` elements.
  template <Hdf5Element T>
  void create_extendible(const std::string& dataset, std::uint64_t chunk);
  /// A dataset whose ranges lie in other files. Those files need not exist yet.
  template <Hdf5Element T>
  void create_virtual(const std::string& dataset, const std::vector<std::uint64_t>& shape,
                      const std::vector<VirtualRange>& ranges);

  std::vector<std::uint64_t> shape(const std::string& dataset) const;
  /// Number of elements of a dataset; checks first that it stores T and that the file can hold that many.
  template <Hdf5Element T>
  std::uint64_t size(const std::string& dataset) const;

  /// Flat range [begin, begin + values.size()).
  template <Hdf5Element T>
  void write(const std::string& dataset, std::uint64_t begin, std::span<const T> values);
  template <Hdf5Element T>
  void append(const std::string& dataset, std::span<const T> values);
  /// Shortens an extendible dataset.
  void truncate(const std::string& dataset, std::uint64_t size);
  /// Flat range [begin, begin + values.size()). Checks every source of a virtual dataset first, because HDF5 shows a missing
  /// source as zeros.
  template <Hdf5Element T>
  void read(const std::string& dataset, std::uint64_t begin, std::span<T> values) const;
  template <Hdf5Element T>
  std::vector<T> read_all(const std::string& dataset) const;

  void flush();
  /// Writes buffered data and closes; a full disk shows here. No other call may follow.
  void close();

 private:
  enum class Mode { create, read, read_index, update };
  Hdf5File(std::filesystem::path path, std::int64_t id, bool index) : path_(std::move(path)), id_(id), index_(index) {}
  static Hdf5File open(const std::filesystem::path& path, Mode mode, std::uint64_t alignment = 1);

  /// A source file of a virtual dataset, kept open because every tensor of a checkpoint uses the same few files.
  const Hdf5File& source(const std::string& file) const;
  template <Hdf5Element T>
  void check_sources(const std::string& dataset, std::int64_t properties, std::uint64_t expected) const;
  template <Hdf5Element T>
  void check_storage(const std::string& dataset, std::int64_t handle) const;
  template <Hdf5Element T>
  std::uint64_t checked_size(const std::string& dataset, std::int64_t handle) const;

  std::filesystem::path path_;
  std::int64_t id_;
  bool index_;  ///< an index, whose virtual datasets may be read
  mutable std::map<std::string, std::unique_ptr<Hdf5File>> sources_;
};

}  // namespace expunge

// HDF5 files: groups, attributes, datasets read and written by flat ranges, virtual datasets over other files.
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

/// A flat range of a virtual dataset and the 1-D source dataset it shows.
struct VirtualRange {
  std::string source_file;     ///< its name in the folder of the index
  std::string source_dataset;  ///< path of a 1-D dataset in it
  std::uint64_t source_begin;  ///< first element in the source
  std::uint64_t begin;         ///< first element in the virtual dataset, counted row by row
  std::uint64_t count;
};

/// An open HDF5 file. Objects are named by path ("/train/loss"); "/" is the root. A *flat range* counts the elements of a 1-D
/// or 2-D dataset row by row. Reading throws Error(bad_input) and names file, object, what was expected and what was found;
/// writing throws Error(output) with the system's reason. The library is not thread-safe: one thread a process.
///
/// Files come from outside and are not trusted. Nothing leads from one file into another but the virtual datasets of an index,
/// whose sources lie in the same folder; no plugin is loaded; only plain numbers are read, stored as they are or by gzip,
/// shuffle and fletcher32; and nothing is allocated that a file's size does not justify. What the library does with metadata
/// that are damaged on purpose is its own: version 1.10 crashes on some.
class Hdf5File {
 public:
  /// A new file; Error(output) if `path` exists. Data of datasets of at least `alignment` bytes begin at multiples of it.
  static Hdf5File create(const std::filesystem::path& path, std::uint64_t alignment = 1);
  static Hdf5File open(const std::filesystem::path& path);
  /// For reading, with virtual datasets over files of the same folder.
  static Hdf5File open_index(const std::filesystem::path& path);
  static Hdf5File open_for_update(const std::filesystem::path& path);
  Hdf5File(Hdf5File&& other) noexcept;
  Hdf5File& operator=(Hdf5File&&) = delete;
  /// Closes, silent about errors: writers call close() first.
  ~Hdf5File();

  const std::filesystem::path& path() const { return path_; }
  bool exists(const std::string& object) const;
  /// Names of what a group holds, sorted.
  std::vector<std::string> children(const std::string& group) const;
  bool is_group(const std::string& object) const;
  /// Creates a group and those above it; one that exists stays.
  void create_group(const std::string& group);

  bool has_attribute(const std::string& object, const std::string& name) const;
  /// Strings are stored as variable-length UTF-8, which h5py shows as str.
  template <Hdf5Attribute T>
  void write_attribute(const std::string& object, const std::string& name, const T& value);
  template <Hdf5Attribute T>
  T read_attribute(const std::string& object, const std::string& name) const;

  /// A contiguous dataset of fixed shape. Groups above a new dataset are made.
  template <Hdf5Element T>
  void create_dataset(const std::string& dataset, const std::vector<std::uint64_t>& shape);
  /// The same, 1-D and not empty, with its place in the file: who wants to write its data without the library does so once the
  /// file is closed.
  template <Hdf5Element T>
  std::uint64_t allocate_dataset(const std::string& dataset, std::uint64_t size);
  /// An empty 1-D dataset that append() grows, stored in chunks of `chunk` elements.
  template <Hdf5Element T>
  void create_extendible(const std::string& dataset, std::uint64_t chunk);
  /// A dataset without data of its own whose ranges lie in other files. They need not exist yet.
  template <Hdf5Element T>
  void create_virtual(const std::string& dataset, const std::vector<std::uint64_t>& shape,
                      const std::vector<VirtualRange>& ranges);

  std::vector<std::uint64_t> shape(const std::string& dataset) const;
  /// Number of elements of a dataset, after checking that T is what it stores and that the file can hold so many.
  template <Hdf5Element T>
  std::uint64_t size(const std::string& dataset) const;

  /// Flat range [begin, begin + values.size()).
  template <Hdf5Element T>
  void write(const std::string& dataset, std::uint64_t begin, std::span<const T> values);
  template <Hdf5Element T>
  void append(const std::string& dataset, std::span<const T> values);
  /// Shortens an extendible dataset.
  void truncate(const std::string& dataset, std::uint64_t size);
  /// Flat range [begin, begin + values.size()). Of a virtual dataset every source is checked first: HDF5 itself would show a
  /// missing one as zeros.
  template <Hdf5Element T>
  void read(const std::string& dataset, std::uint64_t begin, std::span<T> values) const;
  template <Hdf5Element T>
  std::vector<T> read_all(const std::string& dataset) const;

  void flush();
  /// Writes what is buffered and closes; the place where a full disk shows. Nothing else may be called afterwards.
  void close();

 private:
  enum class Mode { create, read, read_index, update };
  Hdf5File(std::filesystem::path path, std::int64_t id, bool index) : path_(std::move(path)), id_(id), index_(index) {}
  static Hdf5File open(const std::filesystem::path& path, Mode mode, std::uint64_t alignment = 1);

  /// A source of a virtual dataset, kept open: every tensor of a checkpoint asks for the same few files.
  const Hdf5File& source(const std::string& file) const;
  template <Hdf5Element T>
  void check_sources(const std::string& dataset, std::int64_t properties, std::uint64_t expected) const;
  template <Hdf5Element T>
  void check_storage(const std::string& dataset, std::int64_t handle) const;
  template <Hdf5Element T>
  std::uint64_t checked_size(const std::string& dataset, std::int64_t handle) const;

  std::filesystem::path path_;
  std::int64_t id_;
  bool index_;  ///< virtual datasets are read
  mutable std::map<std::string, std::unique_ptr<Hdf5File>> sources_;
};

}  // namespace expunge

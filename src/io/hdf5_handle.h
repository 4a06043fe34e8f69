// Shared by the HDF5 sources: owned identifiers, errors that name the object, element types.
#pragma once

#include <fmt/format.h>
#include <hdf5.h>

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

#include "expunge/error.h"

namespace expunge::hdf5 {

/// Why a library call failed.
struct Reason {
  std::string text;        ///< the system's message if there is one, else the innermost description
  bool of_system = false;  ///< a system call failed
  bool in_use = false;     ///< another program holds the lock of the file
};
Reason library_reason();

/// Owns an HDF5 identifier.
class Handle {
 public:
  using Close = herr_t (*)(hid_t);
  Handle(hid_t id, Close close) : id_(id), close_(close) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  explicit operator bool() const { return id_ >= 0; }
  hid_t get() const { return id_; }

 private:
  hid_t id_;
  Close close_;
};

/// The file and object of an operation, for its errors.
struct ObjectPlace {
  const std::filesystem::path& file;
  const std::string& object;
  std::string name() const { return file.string() + (object == "/" ? "" : ": " + object); }
  [[noreturn]] void bad(const std::string& what) const { fail(ExitCode::bad_input, fmt::format("{}: {}", name(), what)); }
  void read(bool good, const char* what) const {
    if (!good) bad(fmt::format("cannot {}: {}", what, library_reason().text));
  }
  /// Throws Error(output) for an error of the system, else Error(bad_input): the file's existing content prevented the
  /// write.
  void written(bool good, const char* what) const {
    if (good) return;
    const Reason reason = library_reason();
    fail(reason.of_system ? ExitCode::output : ExitCode::bad_input,
         fmt::format("{}: cannot {}: {}", name(), what, reason.text));
  }
};

template <typename T>
hid_t type_of() {
  if constexpr (std::same_as<T, float>) return H5T_NATIVE_FLOAT;
  if constexpr (std::same_as<T, double>) return H5T_NATIVE_DOUBLE;
  if constexpr (std::same_as<T, std::uint8_t>) return H5T_NATIVE_UINT8;
  if constexpr (std::same_as<T, std::int32_t>) return H5T_NATIVE_INT32;
  if constexpr (std::same_as<T, std::uint32_t>) return H5T_NATIVE_UINT32;
  if constexpr (std::same_as<T, std::int64_t>) return H5T_NATIVE_INT64;
  if constexpr (std::same_as<T, std::uint64_t>) return H5T_NATIVE_UINT64;
}

/// Name of a stored type: "int64", "float32", "string", ...
std::string type_name(hid_t type);

/// Throws unless `stored` is `expected` in either byte order; no other conversion is done.
void check_type(const ObjectPlace& place, hid_t stored, hid_t expected);

/// Whether an object exists. Throws if a link on its path leads into another file.
bool exists(hid_t file, const ObjectPlace& place);

/// Link properties that create missing parent groups.
Handle with_parents();

}  // namespace expunge::hdf5

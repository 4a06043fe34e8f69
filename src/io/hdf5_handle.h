// What the HDF5 sources share: owned identifiers, errors that name the place, element types.
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

/// Why a call into the library failed.
struct Reason {
  std::string text;        ///< the system's message when there is one, else the innermost description
  bool of_system = false;  ///< a call of the system failed
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

/// Where an operation happens, for its errors.
struct Place {
  const std::filesystem::path& file;
  const std::string& object;
  std::string name() const { return file.string() + (object == "/" ? "" : ": " + object); }
  [[noreturn]] void bad(const std::string& what) const { fail(ExitCode::bad_input, fmt::format("{}: {}", name(), what)); }
  void read(bool good, const char* what) const {
    if (!good) bad(fmt::format("cannot {}: {}", what, library_reason().text));
  }
  /// Where the system had nothing to complain of, what the file holds already was in the way.
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

/// "int64", "float32", "string", ... of a stored type.
std::string type_name(hid_t type);

/// Throws unless `stored` is `expected`, of either byte order: nothing is converted but the order of bytes.
void check_type(const Place& place, hid_t stored, hid_t expected);

/// Whether an object is there. Throws where a link on the way leads into another file.
bool exists(hid_t file, const Place& place);

/// Properties under which the groups above a new object are made.
Handle with_parents();

}  // namespace expunge::hdf5

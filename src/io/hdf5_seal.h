// A seal: an HDF5 results file stores its own SHA-256, so that a later change is detected.
#pragma once

#include <filesystem>
#include <string>

#include "io/files.h"
#include "io/hdf5.h"

namespace expunge {

/// The root attribute of the seal: the SHA-256 of the whole file with 64 zeros as the attribute's value. It detects damage
/// and manual changes, but not a deliberate new seal.
inline constexpr const char* kSeal = "file_sha256";

/// Closes the file at pending.temporary(), seals it and makes it live. Throws Error(output).
void commit_sealed(Hdf5File& file, PendingFile& pending);

/// Renews the seal of a closed file that has the attribute. Throws Error(bad_input) if it has none, Error(output).
void seal_file(const std::filesystem::path& path);

/// State of a file's seal.
struct Seal {
  enum class State { whole, broken, none } state;
  std::string sha256;  ///< of a whole seal
};
/// Does not use the HDF5 library. A file over 4 GiB has no seal. Throws Error(bad_input) if it cannot be read.
Seal read_seal(const std::filesystem::path& path);
inline constexpr const char* kBrokenSeal = "damaged: its bytes do not match the SHA-256 that it stores of itself";

/// Opens a results file for reading. Throws Error(bad_input) for a broken seal before the HDF5 library sees the file. A file
/// without a seal is opened too.
Hdf5File open_sealed(const std::filesystem::path& path);

}  // namespace expunge

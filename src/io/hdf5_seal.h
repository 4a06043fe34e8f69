// A seal: the SHA-256 that an HDF5 file of results names of itself, so that a later change shows.
#pragma once

#include <filesystem>
#include <string>

#include "io/files.h"
#include "io/hdf5.h"

namespace expunge {

/// The root attribute that holds it: the SHA-256 of the whole file with 64 zeros in the attribute's place. A seal tells damage
/// and changes by hand; who makes a new one on purpose is not found out.
inline constexpr const char* kSeal = "file_sha256";

/// Closes a file that is written at pending.temporary(), seals it and makes it live. Throws Error(output).
void commit_sealed(Hdf5File& file, PendingFile& pending);

/// Seals a closed file that holds the attribute anew. Throws Error(bad_input) for one that does not, Error(output).
void seal_file(const std::filesystem::path& path);

/// What a file says of itself.
struct Seal {
  enum class State { whole, broken, none } state;
  std::string sha256;  ///< of a whole one
};
/// Reads no HDF5. A file of more than 4 GiB has none. Throws Error(bad_input) for one that cannot be read.
Seal read_seal(const std::filesystem::path& path);
inline constexpr const char* kBrokenSeal = "damaged: its bytes are not those whose SHA-256 it names as its own";

/// Opens a file of results for reading. Throws Error(bad_input) for one with a broken seal before the HDF5 library sees it; one
/// without a seal is opened as it is.
Hdf5File open_sealed(const std::filesystem::path& path);

}  // namespace expunge

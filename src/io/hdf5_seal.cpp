// Writing and checking the seal of an HDF5 file.
#include "expunge/io/hdf5_seal.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdint>
#include <fstream>

#include "expunge/core/error.h"
#include "expunge/io/hash.h"

namespace expunge {
namespace {

constexpr std::uint64_t kLimit = std::uint64_t{4} << 30;
const std::string kOpen(64, '0');  // in the place of the seal, while it is worked out

/// A sealed file's bytes.
struct Content {
  std::string bytes;
  std::size_t place;  ///< of the seal

  Content(const std::filesystem::path& path, const std::string& seal)
      : bytes(read_file(path, kLimit)), place(bytes.find(seal)) {
    if (seal.size() != kOpen.size() || place == std::string::npos || bytes.find(seal, place + 1) != std::string::npos)
      fail(ExitCode::bad_input,
           fmt::format("{}: attribute {}: expected a SHA-256 that the file holds once", path.string(), kSeal));
  }
  /// Of the bytes without their seal.
  std::string sha256() {
    bytes.replace(place, kOpen.size(), kOpen);
    Sha256 hash;
    hash.update(bytes);
    return hash.hex();
  }
};

std::string named_seal(const std::filesystem::path& path) {
  return Hdf5File::open(path).read_attribute<std::string>("/", kSeal);
}

}  // namespace

void seal_file(const std::filesystem::path& path) {
  Content content(path, named_seal(path));
  const std::string now = content.sha256();
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(content.place));
  file.write(now.data(), static_cast<std::streamsize>(now.size()));
  file.close();
  if (!file) fail(ExitCode::output, fmt::format("{}: cannot be written: {}", path.string(), system_reason(errno)));
}

void commit_sealed(Hdf5File& file, PendingFile& pending) {
  if (!file.has_attribute("/", kSeal)) file.write_attribute("/", kSeal, kOpen);
  file.close();
  seal_file(pending.temporary());
  pending.commit();
}

Seal read_seal(const std::filesystem::path& path) {
  const std::string named = named_seal(path);
  return {named, Content(path, named).sha256()};
}

}  // namespace expunge

// Writes and checks the seal of an HDF5 file.
#include "io/hdf5_seal.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdint>
#include <fstream>
#include <optional>
#include <system_error>

#include "expunge/error.h"
#include "io/hash.h"

namespace expunge {
namespace {

constexpr std::uint64_t kLimit = std::uint64_t{4} << 30;
const std::string kOpen(64, '0');  // placeholder while the seal is computed

/// Finds a SHA-256 in the bytes that equals their hash with zeros in its place. Searches the raw bytes as HDF5 stores a
/// string: on damaged metadata the library itself may crash or never return.
std::optional<std::string> own_hash(std::string& bytes) {
  const std::string length("\x40\0\0\0\0\0\0\0", 8);  // the length 64 before a string in a global heap
  int looked_at = 0;
  constexpr int kMost = 64;  // results hold a few hashes; this bounds the time for a malicious file
  for (std::size_t at = 0; (at = bytes.find(length, at)) != std::string::npos && looked_at < kMost; ++at) {
    const std::size_t place = at + length.size();
    const std::string candidate = bytes.substr(place, kOpen.size());
    if (candidate.size() < kOpen.size() || candidate.find_first_not_of("0123456789abcdef") != std::string::npos) continue;
    ++looked_at;
    bytes.replace(place, kOpen.size(), kOpen);
    if (sha256_text(bytes) == candidate) return candidate;
    bytes.replace(place, kOpen.size(), candidate);
  }
  return std::nullopt;
}

}  // namespace

void seal_file(const std::filesystem::path& path) {
  const std::string before = Hdf5File::open(path).read_attribute<std::string>("/", kSeal);
  std::string bytes = read_file(path, kLimit);
  const std::size_t place = bytes.find(before);
  if (before.size() != kOpen.size() || place == std::string::npos || bytes.find(before, place + 1) != std::string::npos)
    fail(ExitCode::bad_input,
         fmt::format("{}: attribute {}: expected a SHA-256 that the file holds once", path.string(), kSeal));
  const std::string now = sha256_text(bytes.replace(place, kOpen.size(), kOpen));
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(place));
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
  if (std::error_code unknown; std::filesystem::file_size(path, unknown) > kLimit && !unknown) return {Seal::State::none, {}};
  std::string bytes = read_file(path, kLimit);
  if (const auto sha256 = own_hash(bytes)) return {Seal::State::whole, *sha256};
  return {bytes.find(kSeal) == std::string::npos ? Seal::State::none : Seal::State::broken, {}};
}

Hdf5File open_sealed(const std::filesystem::path& path) {
  if (read_seal(path).state == Seal::State::broken)
    fail(ExitCode::bad_input, fmt::format("{}: {}", path.string(), kBrokenSeal));
  return Hdf5File::open(path);
}

}  // namespace expunge

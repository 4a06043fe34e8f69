// Checksums: SHA-256 identifies files, CRC-32C detects damaged checkpoints.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace expunge {

/// Streaming SHA-256 (FIPS 180-4). Its state is plain bytes, so one rank can continue where another stopped.
class Sha256 {
 public:
  using State = std::array<std::byte, 112>;

  Sha256();
  /// Continues from the state() of another hash on the same kind of machine. Throws Error(internal) for an invalid state.
  explicit Sha256(const State& state);
  void update(std::span<const std::byte> data);
  void update(std::string_view text) { update(std::as_bytes(std::span(text))); }
  const State& state() const { return state_; }
  /// The digest of all input so far; more input may follow.
  std::array<std::byte, 32> digest() const;
  /// The same as 64 lower-case hexadecimal digits.
  std::string hex() const;

 private:
  State state_;
};

/// CRC-32C (Castagnoli; RFC 3720) of `data`, continued from the CRC of the preceding bytes.
std::uint32_t crc32c(std::span<const std::byte> data, std::uint32_t before = 0);

/// The digest of a text, as Sha256::hex gives it.
std::string sha256_text(std::string_view text);

/// Checksums of a file's bytes. Throws Error(bad_input) if it cannot be read.
std::string sha256_file(const std::filesystem::path& path);
std::uint32_t crc32c_file(const std::filesystem::path& path);

}  // namespace expunge

// SHA-256 by OpenSSL; CRC-32C by a processor instruction or a table.
#include "io/hash.h"

#define OPENSSL_SUPPRESS_DEPRECATED  // only the low-level interface exposes the state
#include <fmt/format.h>
#include <openssl/sha.h>
#ifdef __x86_64__
#include <nmmintrin.h>
#endif

#include <bit>
#include <cstring>
#include <functional>
#include <vector>

#include "expunge/error.h"
#include "io/files.h"

namespace expunge {
namespace {

static_assert(sizeof(SHA256_CTX) == sizeof(Sha256::State));

SHA256_CTX load(const Sha256::State& state) {
  SHA256_CTX context;
  std::memcpy(&context, state.data(), sizeof context);
  return context;
}

#ifdef __x86_64__
// check_processor() requires more than SSE 4.2.
[[gnu::target("sse4.2")]] std::uint32_t crc_bytes(const std::byte* data, std::size_t size, std::uint32_t crc) {
  std::uint64_t wide = crc;
  for (; size >= 8; data += 8, size -= 8) {
    std::uint64_t word;
    std::memcpy(&word, data, 8);
    wide = _mm_crc32_u64(wide, word);
  }
  crc = static_cast<std::uint32_t>(wide);
  for (; size > 0; ++data, --size) crc = _mm_crc32_u8(crc, std::to_integer<std::uint8_t>(*data));
  return crc;
}
#else
constexpr std::array<std::uint32_t, 256> kCrcTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1u) ? 0x82f63b78u : 0u);
    table[i] = value;
  }
  return table;
}();

std::uint32_t crc_bytes(const std::byte* data, std::size_t size, std::uint32_t crc) {
  for (; size > 0; ++data, --size) crc = (crc >> 8) ^ kCrcTable[(crc ^ std::to_integer<std::uint32_t>(*data)) & 0xffu];
  return crc;
}
#endif

void for_each_block(const std::filesystem::path& path, const std::function<void(std::span<const std::byte>)>& visit) {
  InputFile file(path);
  std::vector<char> block(1 << 20);
  while (const std::size_t got = file.read(block)) visit(std::as_bytes(std::span(block.data(), got)));
}

}  // namespace

Sha256::Sha256() {
  SHA256_CTX context;
  SHA256_Init(&context);
  std::memcpy(state_.data(), &context, sizeof context);
}

Sha256::Sha256(const State& state) : state_(state) {
  const SHA256_CTX context = load(state);
  check(context.num < SHA256_CBLOCK && context.md_len == SHA256_DIGEST_LENGTH, "the bytes are a SHA-256 state");
}

void Sha256::update(std::span<const std::byte> data) {
  SHA256_CTX context = load(state_);
  SHA256_Update(&context, data.data(), data.size());
  std::memcpy(state_.data(), &context, sizeof context);
}

std::array<std::byte, 32> Sha256::digest() const {
  SHA256_CTX context = load(state_);
  std::array<unsigned char, SHA256_DIGEST_LENGTH> bytes;
  SHA256_Final(bytes.data(), &context);
  return std::bit_cast<std::array<std::byte, 32>>(bytes);
}

std::string Sha256::hex() const {
  std::string text;
  for (const std::byte byte : digest()) text += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
  return text;
}

std::uint32_t crc32c(std::span<const std::byte> data, std::uint32_t before) {
  return ~crc_bytes(data.data(), data.size(), ~before);
}

std::string sha256_text(std::string_view text) {
  Sha256 hash;
  hash.update(text);
  return hash.hex();
}

std::string sha256_file(const std::filesystem::path& path) {
  Sha256 hash;
  for_each_block(path, [&](std::span<const std::byte> block) { hash.update(block); });
  return hash.hex();
}

std::uint32_t crc32c_file(const std::filesystem::path& path) {
  std::uint32_t crc = 0;
  for_each_block(path, [&](std::span<const std::byte> block) { crc = crc32c(block, crc); });
  return crc;
}

}  // namespace expunge

// SHA-256 and CRC-32C against published test vectors.
#include "io/hash.h"

#include <gmock/gmock.h>

#include <vector>

#include "support/temporary_folder.h"

namespace expunge {
namespace {

using testing::HasSubstr;

TEST(Hash, Sha256Vectors) {  // FIPS 180-4 examples
  EXPECT_EQ(sha256_text(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_text("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_text("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Hash, Sha256ContinuesFromItsState) {
  const std::string text(1000, 'q');
  for (const std::size_t cut : {0, 1, 63, 64, 65, 999}) {
    Sha256 first;
    first.update(std::string_view(text).substr(0, cut));
    Sha256 second(first.state());
    second.update(std::string_view(text).substr(cut));
    EXPECT_EQ(second.hex(), sha256_text(text)) << cut;
  }
  Sha256::State nonsense;
  nonsense.fill(std::byte{0xff});
  EXPECT_THAT(error_of(ExitCode::internal, [&] { Sha256{nonsense}; }), HasSubstr("SHA-256 state"));
}

TEST(Hash, Crc32cVectors) {  // RFC 3720, appendix B.4
  const auto crc = [](std::string_view text) { return crc32c(std::as_bytes(std::span(text))); };
  EXPECT_EQ(crc("123456789"), 0xE3069283u);
  EXPECT_EQ(crc(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(crc(std::string(32, '\xff')), 0x62A8AB43u);
  EXPECT_EQ(crc(""), 0u);
}

TEST(Hash, Crc32cContinues) {
  const std::string text = "The quick brown fox jumps over the lazy dog";
  const auto bytes = std::as_bytes(std::span(text));
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    EXPECT_EQ(crc32c(bytes.subspan(cut), crc32c(bytes.first(cut))), crc32c(bytes)) << cut;
  }
}

TEST(Hash, Files) {
  const TemporaryFolder folder;
  const std::string content(3 << 20, 'z');
  const auto file = folder.write("a", content);
  EXPECT_EQ(sha256_file(file), sha256_text(content));
  EXPECT_EQ(crc32c_file(file), crc32c(std::as_bytes(std::span(content))));
  EXPECT_EQ(sha256_file(folder.write("empty", "")), sha256_text(""));
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { sha256_file(folder / "none"); }), HasSubstr("No such file"));
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { crc32c_file(folder.path()); }), HasSubstr("it is a folder"));
}

}  // namespace
}  // namespace expunge

// Files that are not what their name says.
#include "io/content_kind.h"

#include <gmock/gmock.h>

#include <functional>

#include "io/hdf5.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "support/temporary_folder.h"

namespace expunge {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

const std::string kPointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0\nsize 1044992\n";

TEST(MistakenContent, NamesWhatItKnows) {
  EXPECT_THAT(mistaken_content(kPointer), HasSubstr("git lfs pull"));
  for (const char* page : {"<!DOCTYPE html><html>", "\n <HTML lang=en>", "\xef\xbb\xbf<!doctype HTML>"})
    EXPECT_THAT(mistaken_content(page), HasSubstr("HTML page")) << page;
  EXPECT_THAT(mistaken_content("\x1f\x8b\x08"), HasSubstr("gzip"));
  EXPECT_THAT(mistaken_content("PK\x03\x04"), HasSubstr("ZIP"));
  EXPECT_THAT(mistaken_content("PAR1"), HasSubstr("parquet_to_jsonl.py"));
  EXPECT_THAT(mistaken_content(std::string("\xff\xfe{\0", 4)), HasSubstr("UTF-16"));
  EXPECT_THAT(mistaken_content("\x28\xb5\x2f\xfd"), HasSubstr("zstd"));
  EXPECT_THAT(mistaken_content("BZh91AY&SY"), HasSubstr("bzip2"));
  EXPECT_THAT(mistaken_content("7z\xbc\xaf\x27\x1c"), HasSubstr("7z archive"));
  EXPECT_THAT(mistaken_content("texts/" + std::string(251, '\0') + "ustar"), HasSubstr("tar -xf"));
  EXPECT_THAT(mistaken_content("%PDF-1.7\n"), HasSubstr("it is a PDF"));
  EXPECT_THAT(mistaken_content("<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code>"), HasSubstr("failed download"));
  for (const char* other : {"", "{}", "<?xml version=\"1.0\"?><corpus>", "a document",
                            "version https://git-lfs.github.com/spec/v1 is a page", "<htm"})
    EXPECT_THAT(mistaken_content(other), IsEmpty()) << other;
}

/// ASCII or Cyrillic characters as an encoding of `width` bytes has them.
std::string widened(std::u32string_view text, std::size_t width, bool high_byte_first) {
  std::string result;
  for (const char32_t character : text)
    for (std::size_t i = 0; i < width; ++i) result += static_cast<char>(character >> 8 * (high_byte_first ? width - 1 - i : i));
  return result;
}

TEST(MistakenContent, KnowsEncodingsWithoutTheirMark) {
  for (const std::u32string_view text : {U"{\"text\": \"a\"}\n", U"\u0434\u0430, \u043d\u0435\u0442 \u0438"}) {
    EXPECT_THAT(mistaken_content(widened(text, 2, false)), HasSubstr("iconv -f UTF-16LE -t UTF-8"));
    EXPECT_THAT(mistaken_content(widened(text, 2, true)), HasSubstr("iconv -f UTF-16BE -t UTF-8"));
    EXPECT_THAT(mistaken_content(widened(text, 4, false)), HasSubstr("iconv -f UTF-32LE -t UTF-8"));
    EXPECT_THAT(mistaken_content(widened(text, 4, true)), HasSubstr("iconv -f UTF-32BE -t UTF-8"));
    EXPECT_THAT(mistaken_text(widened(text, 2, false) + "x"), HasSubstr("UTF-16LE"));
  }
  EXPECT_THAT(mistaken_content(widened(U"\ufeffab", 4, false)), HasSubstr("UTF-32 text"));
  EXPECT_THAT(mistaken_text(std::string(40, 'a') + std::string(1, '\0')), HasSubstr("zero bytes"));
  // A header of safetensors begins with its length, a tokenizer.model with the first piece.
  EXPECT_THAT(mistaken_content(std::string("\x40\x03\0\0\0\0\0\0{\"a\":", 13)), IsEmpty());
  EXPECT_THAT(mistaken_content(std::string("\x0a\x0e\x0a\x05<unk>\x15\0\0\0\0\x18\x02", 16)), IsEmpty());
}

TEST(MistakenContent, LeavesTextAlone) {
  for (const char* text : {"PAR1 is a gene", "BZh", "PK"}) EXPECT_THAT(mistaken_text(text), IsEmpty());
  EXPECT_THAT(mistaken_text(kPointer), HasSubstr("git lfs pull"));
}

TEST(MistakenContent, IsNamedByEveryReader) {
  const TemporaryFolder folder;
  for (const std::string& content : {kPointer, std::string("<!DOCTYPE html>\n<html><body>Not found</body></html>\n"),
                                     widened(U"{\"vocab_size\": 400}", 2, false)}) {
    const auto file = folder.write("file", content);
    const std::string what = mistaken_content(content);
    EXPECT_THAT(error_of(ExitCode::bad_input, [&] { SafetensorsFile{file}; }), HasSubstr(what));
    EXPECT_THAT(error_of(ExitCode::bad_input, [&] { (void)Hdf5File::open(file); }), HasSubstr(what));
    EXPECT_THAT(error_of(ExitCode::bad_input, [&] { (void)parse_json_file(file, 1000); }), HasSubstr(what));
    EXPECT_THAT(error_of(ExitCode::bad_input, [&] { (void)read_text_file(file, 1000); }), HasSubstr(what));
  }
  const auto empty = folder.write("empty", "");
  for (const auto& read :
       std::vector<std::function<void()>>{[&] { (void)Hdf5File::open(empty); }, [&] { (void)parse_json_file(empty, 1000); },
                                          [&] { (void)read_text_file(empty, 1000); }})
    EXPECT_THAT(error_of(ExitCode::bad_input, read), HasSubstr("it is empty (0 bytes)"));
}

}  // namespace
}  // namespace expunge

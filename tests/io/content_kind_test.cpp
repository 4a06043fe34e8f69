// Files that are not what their name says.
#include "expunge/io/content_kind.h"

#include <gmock/gmock.h>

#include "expunge/io/hdf5.h"
#include "expunge/io/json.h"
#include "expunge/io/safetensors.h"
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
  for (const char* other : {"", "{}", "a document", "version https://git-lfs.github.com/spec/v1 is a page", "<htm"})
    EXPECT_THAT(mistaken_content(other), IsEmpty()) << other;
}

TEST(MistakenContent, LeavesTextAlone) {
  for (const char* text : {"PAR1 is a gene", "BZh", "PK"}) EXPECT_THAT(mistaken_text(text), IsEmpty());
  EXPECT_THAT(mistaken_text(kPointer), HasSubstr("git lfs pull"));
}

TEST(MistakenContent, IsNamedByEveryReader) {
  const TemporaryFolder folder;
  for (const std::string& content : {kPointer, std::string("<!DOCTYPE html>\n<html><body>Not found</body></html>\n")}) {
    const auto file = folder.write("file", content);
    const std::string what = mistaken_content(content);
    EXPECT_THAT(error_of(ExitCode::bad_input, [&] { SafetensorsFile{file}; }), HasSubstr(what));
    EXPECT_THAT(error_of(ExitCode::bad_input, [&] { (void)Hdf5File::open(file); }), HasSubstr(what));
    EXPECT_THAT(error_of(ExitCode::bad_input, [&] { (void)parse_json_file(file, 1000); }), HasSubstr(what));
  }
}

}  // namespace
}  // namespace expunge

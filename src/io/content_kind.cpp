// The first bytes of files that are often taken for others.
#include "expunge/io/content_kind.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "expunge/core/error.h"
#include "expunge/io/files.h"

namespace expunge {
namespace {

constexpr std::string_view kPointer =
    "it is a Git LFS pointer, which stands for the file: run `git lfs pull` in its repository, or download the file";
constexpr std::string_view kPage = "it is an HTML page, perhaps of a failed download: download the file again";

struct Kind {
  std::string_view begin, what;
};
constexpr Kind kBinary[] = {
    {"\x1f\x8b", "it is compressed by gzip: decompress it, or let the name of a file of texts end in .gz"},
    {"\xfd"
     "7zXZ",
     "it is compressed by xz: decompress it"},
    {"\x28\xb5\x2f\xfd", "it is compressed by zstd: decompress it"},
    {"BZh", "it is compressed by bzip2: decompress it"},
    {"PK\x03\x04",
     "it is a ZIP archive, perhaps a checkpoint of PyTorch: load it with its library and save it as expected here"},
    {"PAR1", "it is a Parquet file: convert it with data/parquet_to_jsonl.py"},
    {"\xff\xfe", "it is UTF-16 text: convert it with iconv -f UTF-16 -t UTF-8"},
    {"\xfe\xff", "it is UTF-16 text: convert it with iconv -f UTF-16 -t UTF-8"},
};

bool begins_with_ignoring_case(std::string_view text, std::string_view word) {
  return text.size() >= word.size() && std::equal(word.begin(), word.end(), text.begin(), [](char a, char b) {
           return a == static_cast<char>(std::tolower(static_cast<unsigned char>(b)));
         });
}

}  // namespace

std::string mistaken_text(std::string_view begin) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf", kLfs = "version https://git-lfs.github.com/spec/";
  if (begin.starts_with(kLfs) && begin.find("\noid sha256:") != std::string_view::npos) return std::string(kPointer);
  if (begin.starts_with(kByteOrderMark)) begin.remove_prefix(kByteOrderMark.size());
  begin.remove_prefix(std::min(begin.find_first_not_of(" \t\r\n"), begin.size()));
  for (const std::string_view word : {"<!doctype html", "<html"})
    if (begins_with_ignoring_case(begin, word)) return std::string(kPage);
  return {};
}

std::string mistaken_content(std::string_view begin) {
  for (const Kind& kind : kBinary)
    if (begin.starts_with(kind.begin)) return std::string(kind.what);
  return mistaken_text(begin);
}

void refuse_mistaken(const std::filesystem::path& path) {
  std::string begin(512, '\0');
  try {
    begin.resize(InputFile(path).read(begin));
  } catch (const Error&) {
    return;
  }
  if (const std::string what = mistaken_content(begin); !what.empty())
    fail(ExitCode::bad_input, fmt::format("{}: {}", path.string(), what));
}

}  // namespace expunge

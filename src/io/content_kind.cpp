// Recognises common wrong inputs by the first bytes of a file.
#include "io/content_kind.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "core/text.h"
#include "expunge/error.h"
#include "io/files.h"

namespace expunge {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t kKindBytes = 512;       // bytes of a file that are examined
constexpr std::size_t kTarMark = 257;         // offset of a tar archive's magic
constexpr std::size_t kCutCharacter = 3;      // most bytes of a character cut at kKindBytes
constexpr std::size_t kLeastAsciiShare = 20;  // UTF-16 without a mark has at least one ASCII character in this many

constexpr std::string_view kPointer =
    "it is a Git LFS pointer, which stands for the file: run `git lfs pull` in its repository, or download the file";
constexpr std::string_view kPage = "it is an HTML page, perhaps of a failed download: download the file again";
constexpr std::string_view kErrorPage = "it is an XML message of a failed download: download the file again";
constexpr std::string_view kPdf = "it is a PDF: extract its text, for example with pdftotext";
constexpr std::string_view kTar = "it is a tar archive: unpack it with tar -xf";
constexpr std::string_view kEmpty = "it is empty (0 bytes): download or write the file again";
constexpr std::string_view kZeros =
    "it holds zero bytes, which text never does: give a file of UTF-8 text, or convert this one with iconv";

struct Kind {
  std::string_view begin, what;
};
constexpr Kind kBinary[] = {
    {"\x1f\x8b", "it is compressed by gzip: decompress it, or let the name of a file of texts end in .gz"},
    {"\xfd"
     "7zXZ",
     "it is compressed by xz: decompress it"},
    {"\x28\xb5\x2f\xfd", "it is compressed by zstd: decompress it"},
    {"\x04\x22\x4d\x18", "it is compressed by lz4: decompress it"},
    {"BZh", "it is compressed by bzip2: decompress it"},
    {"PK\x03\x04",
     "it is a ZIP archive: unpack it; if it is a checkpoint of PyTorch, save it with its library as expected here"},
    {"7z\xbc\xaf\x27\x1c", "it is a 7z archive: unpack it"},
    {"Rar!\x1a\x07", "it is a RAR archive: unpack it"},
    {"PAR1", "it is a Parquet file: convert it with data/parquet_to_jsonl.py"},
    {"ARROW1", "it is an Arrow file: save its table as JSON lines"},
    // UTF-32 first: one of its marks begins with a mark of UTF-16.
    {"\xff\xfe\0\0"sv, "it is UTF-32 text: convert it with iconv -f UTF-32 -t UTF-8"},
    {"\0\0\xfe\xff"sv, "it is UTF-32 text: convert it with iconv -f UTF-32 -t UTF-8"},
    {"\xff\xfe", "it is UTF-16 text: convert it with iconv -f UTF-16 -t UTF-8"},
    {"\xfe\xff", "it is UTF-16 text: convert it with iconv -f UTF-16 -t UTF-8"},
};

/// An encoding with two or four bytes per character.
struct WideEncoding {
  std::string_view name;
  std::size_t width;
  bool high_byte_first;
};
constexpr WideEncoding kWide[] = {{"UTF-32LE", 4, false}, {"UTF-32BE", 4, true}, {"UTF-16LE", 2, false}, {"UTF-16BE", 2, true}};

/// Whether `text` without a byte order mark fits an encoding: no control characters, and some ASCII.
bool reads_as(std::string_view text, const WideEncoding& encoding) {
  const std::size_t count = text.size() / encoding.width;
  std::size_t ascii = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t character = 0;
    for (std::size_t j = 0; j < encoding.width; ++j) {
      const std::size_t place = encoding.high_byte_first ? j : encoding.width - 1 - j;
      character = character << 8 | static_cast<unsigned char>(text[i * encoding.width + place]);
    }
    const bool blank = character == '\t' || character == '\n' || character == '\r';
    if ((character < ' ' && !blank) || character > 0x10ffff) return false;
    ascii += character < 0x80;
  }
  return count > 1 && ascii * kLeastAsciiShare >= count;
}

bool begins_with_ignoring_case(std::string_view text, std::string_view word) {
  return text.size() >= word.size() && std::equal(word.begin(), word.end(), text.begin(), [](char a, char b) {
           return a == static_cast<char>(std::tolower(static_cast<unsigned char>(b)));
         });
}

/// Describes a mistaken file that begins with readable characters.
std::string mistaken_words(std::string_view begin) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf", kLfs = "version https://git-lfs.github.com/spec/";
  if (begin.starts_with(kLfs) && begin.find("\noid sha256:") != std::string_view::npos) return std::string(kPointer);
  if (begin.starts_with("%PDF-")) return std::string(kPdf);
  if (begin.starts_with(kByteOrderMark)) begin.remove_prefix(kByteOrderMark.size());
  begin.remove_prefix(std::min(begin.find_first_not_of(" \t\r\n"), begin.size()));
  for (const std::string_view word : {"<!doctype html", "<html"})
    if (begins_with_ignoring_case(begin, word)) return std::string(kPage);
  const bool is_xml = begin.starts_with("<?xml") || begin.starts_with("<Error>");
  const auto error = begin.find("<Error>"), code = begin.find("<Code>");
  return is_xml && error != std::string_view::npos && code != std::string_view::npos && error < code ? std::string(kErrorPage)
                                                                                                     : std::string();
}

/// Whether a file that begins like this is UTF-8 text; some terminal control characters are allowed.
bool is_text(std::string_view begin) {
  const auto is_control = [](char c) { return (c >= 0 && c < '\b') || (c > '\r' && c < ' ' && c != '\x1b'); };
  return valid_utf8_length(begin) + kCutCharacter >= begin.size() && std::ranges::none_of(begin, is_control);
}

}  // namespace

std::string mistaken_content(std::string_view begin) {
  begin = begin.substr(0, kKindBytes);
  for (const Kind& kind : kBinary)
    if (begin.starts_with(kind.begin)) return std::string(kind.what);
  if (begin.size() > kTarMark && begin.substr(kTarMark).starts_with("ustar")) return std::string(kTar);
  for (const WideEncoding& encoding : kWide)
    if (reads_as(begin, encoding)) return fmt::format("it is {0} text: convert it with iconv -f {0} -t UTF-8", encoding.name);
  return mistaken_words(begin);
}

std::string mistaken_text(std::string_view begin) {
  begin = begin.substr(0, kKindBytes);
  if (is_text(begin)) return mistaken_words(begin);
  const std::string what = mistaken_content(begin);
  return what.empty() && begin.find('\0') != std::string_view::npos ? std::string(kZeros) : what;
}

void refuse_mistaken(const std::filesystem::path& path) {
  std::string begin(kKindBytes, '\0');
  try {
    begin.resize(InputFile(path).read(begin));
  } catch (const Error&) {
    return;
  }
  if (const std::string what = begin.empty() ? std::string(kEmpty) : mistaken_content(begin); !what.empty())
    fail(ExitCode::bad_input, fmt::format("{}: {}", path.string(), what));
}

std::string read_text_file(const std::filesystem::path& path, std::uint64_t max_bytes) {
  std::string text = read_file(path, max_bytes);
  if (const std::string what = text.empty() ? std::string(kEmpty) : mistaken_text(text); !what.empty())
    fail(ExitCode::bad_input, fmt::format("{}: {}", path.string(), what));
  return text;
}

}  // namespace expunge

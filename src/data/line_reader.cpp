// Reads blocks of a file, decompresses them if needed and splits them into lines.
#include "data/line_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "core/text.h"
#include "expunge/error.h"
#include "io/content_kind.h"

namespace expunge {
namespace {

constexpr std::size_t kBlock = 1 << 20;
constexpr int kGzip = 15 + 16;  // zlib's window bits for the largest window and a gzip header

}  // namespace

LineReader::LineReader(std::filesystem::path path, std::size_t max_line, Sha256& hash)
    : path_(std::move(path)),
      max_line_(max_line),
      hash_(hash),
      file_(path_),
      text_(kBlock),
      compressed_(path_.extension() == ".gz") {
  if (!compressed_) return;
  stored_.resize(kBlock);
  check(inflateInit2(&zlib_, kGzip) == Z_OK, "zlib starts");
}

LineReader::~LineReader() {
  if (compressed_) inflateEnd(&zlib_);
}

std::string LineReader::where() const { return fmt::format("{}, line {}", path_.string(), line_); }

void LineReader::damaged(const std::string& what) const {
  fail(ExitCode::bad_input, fmt::format("{}, after line {}: {}", path_.string(), line_, what));
}

/// Reads a block into stored_ (into text_ if the file is not compressed) and returns its size.
std::size_t LineReader::read_stored() {
  std::vector<char>& block = compressed_ ? stored_ : text_;
  const std::size_t got = file_.read(block);
  if (compressed_ && zlib_.total_in == 0) check_gzip(std::string_view(block.data(), got));
  hash_.update(std::as_bytes(std::span(block.data(), got)));
  return got;
}

/// Fills text_ from the gzip stream, which may have several members, and returns the size.
std::size_t LineReader::decompress() {
  zlib_.next_out = reinterpret_cast<Bytef*>(text_.data());
  zlib_.avail_out = static_cast<uInt>(text_.size());
  while (zlib_.avail_out == text_.size()) {
    if (zlib_.avail_in == 0) {
      zlib_.next_in = reinterpret_cast<Bytef*>(stored_.data());
      zlib_.avail_in = static_cast<uInt>(read_stored());
      if (zlib_.avail_in == 0) {
        if (in_member_ || zlib_.total_in == 0) damaged("the gzip data end too early");
        return 0;
      }
    }
    in_member_ = true;
    const int status = inflate(&zlib_, Z_NO_FLUSH);
    if (status == Z_STREAM_END) {
      in_member_ = false;
      const auto total = zlib_.total_in;
      inflateReset(&zlib_);
      zlib_.total_in = total;
    } else if (status != Z_OK && status != Z_BUF_ERROR) {
      damaged(fmt::format("the gzip data are damaged: {}", zlib_.msg ? zlib_.msg : "unknown reason"));
    }
  }
  return text_.size() - zlib_.avail_out;
}

void LineReader::refuse_mistaken_begin(const std::string& name, std::string_view begin) {
  if (const std::string what = mistaken_text(begin); !what.empty())
    fail(ExitCode::bad_input, fmt::format("{}: {}", name, what));
}

/// Checks that a file named .gz is really compressed by gzip.
void LineReader::check_gzip(std::string_view begin) const {
  constexpr std::string_view kMagic = "\x1f\x8b";
  if (begin.empty()) refuse_mistaken(path_);
  if (begin.starts_with(kMagic.substr(0, begin.size()))) return;
  refuse_mistaken_begin(path_.string(), begin);
  fail(ExitCode::bad_input,
       fmt::format("{}: its name ends in .gz but it is not compressed by gzip; rename a plain text file", path_.string()));
}

bool LineReader::fill() {
  begin_ = 0;
  end_ = compressed_ ? decompress() : read_stored();
  if (std::exchange(unseen_, false))
    refuse_mistaken_begin(path_.string() + (compressed_ ? ", decompressed" : ""), std::string_view(text_.data(), end_));
  return end_ > 0;
}

bool LineReader::next(std::string& line) {
  line.clear();
  if (begin_ == end_ && !fill()) return false;
  ++line_;
  for (bool complete = false; !complete;) {
    const char* text = text_.data() + begin_;
    const void* newline = std::memchr(text, '\n', end_ - begin_);
    complete = newline != nullptr;
    const std::size_t size = complete ? static_cast<std::size_t>(static_cast<const char*>(newline) - text) : end_ - begin_;
    if (line.size() + size > max_line_) {
      fail(ExitCode::bad_input, fmt::format("{}: the line is longer than {} bytes", where(), max_line_));
    }
    line.append(text, size);
    begin_ += size + (complete ? 1 : 0);
    if (!complete && !fill()) complete = true;
  }
  if (line.ends_with('\r')) line.pop_back();
  check_text(line);
  return true;
}

void LineReader::check_text(const std::string& line) const {
  if (const std::size_t good = valid_utf8_length(line); good != line.size())
    fail(ExitCode::bad_input, fmt::format("{}: invalid UTF-8 at byte {} of the line", where(), good + 1));
  if (const std::size_t zero = line.find('\0'); zero != std::string::npos)
    fail(ExitCode::bad_input, fmt::format("{}: a zero byte at byte {} of the line, which text must not hold: remove it, or "
                                          "convert the file to UTF-8 with iconv",
                                          where(), zero + 1));
}

}  // namespace expunge

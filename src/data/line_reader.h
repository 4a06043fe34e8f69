// Lines of a plain or gzip-compressed file, with a running SHA-256 of its bytes.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "io/files.h"
#include "io/hash.h"

namespace expunge {

/// Reads one file. Throws Error(bad_input) naming the file and, if known, the line.
class LineReader {
 public:
  /// `hash` receives the stored bytes. A file named .gz is decompressed.
  LineReader(std::filesystem::path path, std::size_t max_line, Sha256& hash);
  ~LineReader();
  LineReader(const LineReader&) = delete;

  /// Reads the next line, without "\n" or "\r\n", as UTF-8 without zero bytes; false at the end of the file.
  bool next(std::string& line);
  /// Number of the last line, from 1.
  std::uint64_t line() const { return line_; }
  /// "FILE, line N"
  std::string where() const;

 private:
  static void refuse_mistaken_begin(const std::string& name, std::string_view begin);
  void check_gzip(std::string_view begin) const;
  void check_text(const std::string& line) const;
  bool fill();
  std::size_t read_stored();
  std::size_t decompress();
  [[noreturn]] void damaged(const std::string& what) const;

  std::filesystem::path path_;
  std::size_t max_line_;
  Sha256& hash_;
  InputFile file_;
  std::vector<char> stored_, text_;  // a stored block; its decompressed text
  std::size_t begin_ = 0, end_ = 0;  // unread part of text_
  bool compressed_, in_member_ = false;
  z_stream zlib_{};
  std::uint64_t line_ = 0;
  bool unseen_ = true;  // nothing was read yet
};

}  // namespace expunge

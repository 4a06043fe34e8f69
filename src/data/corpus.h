// Text corpora: finds the splits of a data folder and streams their documents.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace expunge {

/// Files of one split: DATA/<domain>/<split>.jsonl, .jsonl.gz or .txt, or its shards <split>-00000-of-0000N in order.
struct SplitSource {
  std::string domain, split;
  std::vector<std::filesystem::path> files;
};

/// The splits of the named domains, or of all folders with splits if none is named, sorted by domain and split. Throws
/// Error(bad_input) for a domain or data folder without splits, for missing shards, and for a duplicate split or shard. Also
/// for a split that exists only in Parquet, which must be converted first.
std::vector<SplitSource> find_splits(const std::filesystem::path& data, const std::vector<std::string>& domains);

/// Files that find_splits() skips only because of capital letters in their ending, such as forget.JSONL. Throws
/// Error(bad_input) for a folder that cannot be listed.
std::vector<std::filesystem::path> capital_endings(const std::filesystem::path& data, const std::vector<std::string>& domains);

/// Streams the documents of a split line by line: the text column of a JSON object, or a line of a .txt file without its line
/// end (LF or CRLF). Skips empty lines. Throws Error(bad_input) naming file and line for malformed JSON, a missing or
/// non-text column, invalid UTF-8, a damaged gzip stream and lines over kMaxLine bytes.
class CorpusReader {
 public:
  static constexpr std::size_t kMaxLine = std::size_t{256} << 20;

  /// An empty `text_column` means `text` if the first document has it, else `content`.
  CorpusReader(std::vector<std::filesystem::path> files, std::string text_column);
  ~CorpusReader();
  CorpusReader(CorpusReader&&) noexcept;

  /// The next document; false at the end.
  bool next(std::string& text);
  /// "FILE, line N" of the last document.
  std::string where() const;
  /// After the end: SHA-256 of the stored bytes of all files together, as `cat FILES | sha256sum` prints.
  std::string source_sha256() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace expunge

// Text corpora: finds the splits of a data folder and streams their documents.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace expunge {

/// DATA/<domain>/<split>.jsonl, .jsonl.gz or .txt, or the shards <split>-00000-of-0000N in any of these formats, in order.
struct SplitSource {
  std::string domain, split;
  std::vector<std::filesystem::path> files;
};

/// The splits of the named domains (of all folders that hold one when none is named), sorted by domain and split. Throws
/// Error(bad_input) for a domain or data folder without splits, missing shards, a split or shard that is there twice, and a
/// split in Parquet alone, which must be converted first.
std::vector<SplitSource> find_splits(const std::filesystem::path& data, const std::vector<std::string>& domains);

/// Files in the folders of these domains that find_splits() passes over only since their ending has capital letters, such as
/// forget.JSONL. Throws Error(bad_input) for a folder that cannot be listed.
std::vector<std::filesystem::path> capital_endings(const std::filesystem::path& data, const std::vector<std::string>& domains);

/// Streams the documents of a split, one line at a time: a JSON object's text column, or a line of a .txt file as it stands
/// (without its line end, CRLF included); empty lines are skipped. Throws Error(bad_input) naming file and line for malformed
/// JSON, a missing or other-than-text column, invalid UTF-8, a damaged gzip stream and lines over kMaxLine bytes.
class CorpusReader {
 public:
  static constexpr std::size_t kMaxLine = std::size_t{256} << 20;

  /// With an empty `text_column` it is `text` if the first document has it, else `content`.
  CorpusReader(std::vector<std::filesystem::path> files, std::string text_column);
  ~CorpusReader();
  CorpusReader(CorpusReader&&) noexcept;

  /// The next document; false at the end.
  bool next(std::string& text);
  /// "FILE, line N" of the last document.
  std::string where() const;
  /// After the end: SHA-256 of the files' bytes as stored, one behind the other (what `cat FILES | sha256sum` prints).
  std::string source_sha256() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace expunge

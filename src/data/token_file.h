// Token files: what `expunge tokenize` writes and training reads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/duplicates.h"
#include "io/files.h"
#include "io/hdf5.h"

namespace expunge {

/// "domain/split" of a split that may name its own domain.
std::string full_split_name(const std::string& domain, const std::string& split);

/// Layout of a token file (HDF5). Root attributes: format_version, version (of expunge), tokenizer_sha256, vocabulary_size,
/// max_length, and what the maker adds at finish(): `expunge tokenize` the attributes of every output and, where tokenizer.json
/// says something else than what gave the ids, tokenizer_differences (text). For each split a group /<domain>/<split> with
/// datasets ids (uint32, all sequences one behind the other), offsets (uint64, sequences + 1; sequence i is ids[offsets[i],
/// offsets[i + 1])) and documents (uint64, sequences: the number of each sequence's document within the split; earlier versions
/// lack it) and attributes source, source_sha256, documents, sequences, tokens and dropped (chunks too short to keep). Integers
/// in attributes are uint64. Text that splits share is counted as write_duplicates() says.
struct TokenFileInfo {
  std::string tokenizer_sha256;
  std::uint64_t vocabulary_size = 0;  ///< every id is below
  std::uint64_t max_length = 0;       ///< no sequence is longer
};

/// Counts of one split.
struct SplitCounts {
  std::uint64_t documents = 0, sequences = 0, tokens = 0, dropped = 0;
};

/// Writes a token file split by split. It appears under its name, whole, at finish(); an exception before leaves nothing.
class TokenFileWriter {
 public:
  static constexpr std::size_t kShortest = 5;  ///< a chunk of fewer ids is dropped

  /// Throws Error(output) if `path` exists.
  TokenFileWriter(const std::filesystem::path& path, const TokenFileInfo& info);
  void begin_split(const std::string& domain, const std::string& split);
  /// Cuts a document into sequences of max_length ids; the last is short, and dropped if it has fewer than kShortest.
  void add_document(std::span<const std::int32_t> ids);
  /// The same for a document that comes in parts.
  void add_ids(std::span<const std::int32_t> ids);
  void end_document();
  SplitCounts end_split(const std::string& source, const std::string& source_sha256);
  /// `annotate` adds to the file before it appears.
  void finish(const std::function<void(Hdf5File&)>& annotate = {});

 private:
  void end_sequence();
  void flush();

  PendingFile pending_;
  TokenFileInfo info_;
  Hdf5File file_;
  std::string group_;
  SplitCounts counts_;
  std::vector<std::uint32_t> sequence_;  // that has not ended
  std::vector<std::uint32_t> ids_;       // of sequences that are not written yet
  std::vector<std::uint64_t> offsets_, documents_;
};

/// The sequences of a split, in memory. Spans stay valid as long as the object or what it was moved into.
class TokenSplit {
 public:
  TokenSplit(std::vector<std::int32_t> ids, std::vector<std::uint64_t> offsets, std::vector<std::uint64_t> documents = {})
      : ids_(std::move(ids)), offsets_(std::move(offsets)), documents_(std::move(documents)) {}
  std::size_t sequences() const { return offsets_.size() - 1; }
  std::uint64_t tokens() const { return ids_.size(); }
  std::size_t length(std::size_t i) const { return offsets_[i + 1] - offsets_[i]; }
  std::span<const std::int32_t> ids(std::size_t i) const { return std::span(ids_).subspan(offsets_[i], length(i)); }
  std::span<const std::int32_t> all_ids() const { return ids_; }
  std::span<const std::uint64_t> offsets() const { return offsets_; }
  /// Of each sequence the number of its document, never falling; empty where the file does not record it.
  std::span<const std::uint64_t> documents() const { return documents_; }
  /// Numbers of the sequences that `other` does not hold, id for id.
  std::vector<std::size_t> absent_from(const TokenSplit& other) const;
  /// A copy of these sequences alone.
  TokenSplit only(std::span<const std::size_t> sequences) const;

 private:
  std::vector<std::int32_t> ids_;
  std::vector<std::uint64_t> offsets_, documents_;
};

/// Reads a token file. Everything in it is checked; throws Error(bad_input) naming file, dataset and position.
class TokenFile {
 public:
  explicit TokenFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_.path(); }
  const TokenFileInfo& info() const { return info_; }
  std::vector<std::string> domains() const;
  /// Splits of a domain, e.g. {"forget", "retain"}.
  std::vector<std::string> splits(const std::string& domain) const;
  /// Whether "domain/split" is there.
  bool has(const std::string& name) const;
  /// What the writer counted in "domain/split", from its attributes.
  SplitCounts counts(const std::string& name) const;
  /// Loads "domain/split" and checks that every id is below `vocabulary` (of the model).
  TokenSplit split(const std::string& name, int vocabulary) const;
  /// Text that splits share, as it was counted; nothing for a file of an earlier version.
  std::optional<Duplicates> duplicates() const;
  /// Throws what split() would of any of these, before the first is worked on.
  void check(const std::vector<std::string>& names, int vocabulary) const;

 private:
  std::vector<std::uint64_t> read_documents(const std::string& dataset, std::size_t sequences) const;

  Hdf5File file_;
  TokenFileInfo info_;
};

}  // namespace expunge

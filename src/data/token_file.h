// Token files: output of `expunge tokenize`, input of training and evaluation.
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

/// "domain/split"; `split` may already contain its domain.
std::string full_split_name(const std::string& domain, const std::string& split);

/// Layout of a token file (HDF5). Root attributes: format_version, version (of expunge), tokenizer_sha256, vocabulary_size,
/// max_length, and what finish() adds. `expunge tokenize` adds the attributes of every output and, if tokenizer.json
/// disagrees with the ids, tokenizer_differences (text). Each split is a group /<domain>/<split> with the datasets
///   - ids (uint32): all sequences in a row;
///   - offsets (uint64, sequences + 1): sequence i is ids[offsets[i], offsets[i + 1]);
///   - documents (uint64, sequences): each sequence's document number within the split; missing in earlier versions.
/// Its attributes are source, source_sha256, documents, sequences, tokens and dropped (chunks that are too short).
/// Integers in attributes are uint64. write_duplicates() describes the counts of shared text.
struct TokenFileInfo {
  std::string tokenizer_sha256;
  std::uint64_t vocabulary_size = 0;  ///< above every id
  std::uint64_t max_length = 0;       ///< of a sequence
};

/// Counts of one split.
struct SplitCounts {
  std::uint64_t documents = 0, sequences = 0, tokens = 0, dropped = 0;
};

/// Writes a token file split by split. The complete file appears at finish(); an earlier exception leaves nothing.
class TokenFileWriter {
 public:
  static constexpr std::size_t kShortest = 5;  ///< a chunk of fewer ids is dropped

  /// Throws Error(output) if `path` exists.
  TokenFileWriter(const std::filesystem::path& path, const TokenFileInfo& info);
  void begin_split(const std::string& domain, const std::string& split);
  /// Splits a document into sequences of max_length ids; the shorter last one is dropped if it has fewer than kShortest.
  void add_document(std::span<const std::int32_t> ids);
  /// The same for a document in parts.
  void add_ids(std::span<const std::int32_t> ids);
  void end_document();
  SplitCounts end_split(const std::string& source, const std::string& source_sha256);
  /// `annotate` may add to the file before it appears.
  void finish(const std::function<void(Hdf5File&)>& annotate = {});

 private:
  void end_sequence();
  void flush();

  PendingFile pending_;
  TokenFileInfo info_;
  Hdf5File file_;
  std::string group_;
  SplitCounts counts_;
  std::vector<std::uint32_t> sequence_;  // unfinished
  std::vector<std::uint32_t> ids_;       // of sequences not yet written
  std::vector<std::uint64_t> offsets_, documents_;
};

/// The sequences of a split, in memory. Spans stay valid while the object, or the object it was moved to, lives.
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
  /// Document number of each sequence, never falling; empty if the file does not record it.
  std::span<const std::uint64_t> documents() const { return documents_; }
  /// Numbers of the sequences that `other` does not contain with equal ids.
  std::vector<std::size_t> absent_from(const TokenSplit& other) const;
  /// A copy with only these sequences.
  TokenSplit only(std::span<const std::size_t> sequences) const;

 private:
  std::vector<std::int32_t> ids_;
  std::vector<std::uint64_t> offsets_, documents_;
};

/// The groups <root>/<domain>/<split> of a file, as "domain/split". Skips datasets beside the domains.
std::vector<std::string> split_groups(const Hdf5File& file, const std::string& root = "");

/// Reads a token file and checks all of it; throws Error(bad_input) naming file, dataset and position.
class TokenFile {
 public:
  explicit TokenFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_.path(); }
  const TokenFileInfo& info() const { return info_; }
  std::vector<std::string> domains() const;
  /// Splits of a domain, e.g. {"forget", "retain"}.
  std::vector<std::string> splits(const std::string& domain) const;
  /// Whether "domain/split" exists.
  bool has(const std::string& name) const;
  /// The writer's counts of "domain/split", from its attributes.
  SplitCounts counts(const std::string& name) const;
  /// Loads "domain/split" and checks that every id is below `vocabulary` (of the model).
  TokenSplit split(const std::string& name, int vocabulary) const;
  /// Counts of text shared by splits; nullopt for a file of an earlier version.
  std::optional<Duplicates> duplicates() const;
  /// Throws the errors of split() for any of these, before the first is used.
  void check(const std::vector<std::string>& names, int vocabulary) const;

 private:
  std::vector<std::uint64_t> read_documents(const std::string& dataset, std::size_t sequences) const;

  Hdf5File file_;
  TokenFileInfo info_;
};

}  // namespace expunge

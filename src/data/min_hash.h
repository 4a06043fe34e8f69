// Sketches that find nearly equal documents: MinHash with banding.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace expunge {

/// Minimum hashes of a document's runs of ids: one byte for each of 128 parts of the hash range. A value of two documents
/// agrees with a probability of about the Jaccard similarity of their sets of runs.
inline constexpr std::size_t kSignatureSize = 128;
using Signature = std::array<std::uint8_t, kSignatureSize>;

/// Computes signatures by one permutation hashing (Li, Owen and Zhang 2012): each run is hashed once. An empty part copies
/// another part's value (optimal densification, Shrivastava 2017).
class MinHash {
 public:
  static constexpr std::size_t kRun = 5;  ///< consecutive ids

  MinHash() { least_.fill(kNone); }
  /// The next ids of the document.
  void add(std::span<const std::uint32_t> ids);
  /// The signature of the document, which must have at least kRun ids; the next add() starts another document.
  Signature finish();

 private:
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};
  std::array<std::uint64_t, kSignatureSize> least_;
  std::vector<std::uint32_t> window_;  // ids of unfinished runs
};

/// Number of equal values that two signatures need for an estimated similarity of `threshold`. Different values agree by
/// chance with probability 1/256.
std::size_t least_agreement(double threshold);
std::size_t agreement(const Signature& a, const Signature& b);

/// Splits a signature into `bands` bands of `values` values; documents with an equal band are compared.
struct Banding {
  std::size_t values, bands;
};
/// The longest bands that miss a pair of similarity `threshold` with a probability of at most 1 %.
Banding choose_banding(double threshold);

/// For each text, the splits that hold a twin of it.
class TwinTable {
 public:
  TwinTable(std::size_t texts, std::size_t splits) : words_((splits + 63) / 64), bits_(texts * words_) {}
  bool has(std::size_t text, std::size_t split) const { return (bits_[text * words_ + split / 64] >> (split % 64) & 1) != 0; }
  void set(std::size_t text, std::size_t split) { bits_[text * words_ + split / 64] |= std::uint64_t{1} << (split % 64); }

 private:
  std::size_t words_;
  std::vector<std::uint64_t> bits_;
};

/// Distinct texts, each with one document that has its signature, and with the splits that hold it.
struct DistinctTexts {
  std::vector<std::uint32_t> documents;
  std::vector<std::size_t> begins = {0};  ///< of each text's splits, and the end of the last
  std::vector<std::uint32_t> splits;

  std::size_t size() const { return documents.size(); }
  std::span<const std::uint32_t> splits_of(std::size_t text) const {
    return std::span(splits).subspan(begins[text], begins[text + 1] - begins[text]);
  }
};

/// A text of a bucket is compared with this many earlier texts of each split. The bucket's order puts similar signatures
/// next to each other.
inline constexpr std::size_t kCompared = 8;

/// For each text, finds the splits (below `splits`) with another text of estimated similarity `threshold` or more. Takes
/// n log n time per band.
TwinTable find_near(std::span<const Signature> signatures, const DistinctTexts& texts, std::size_t splits, double threshold);

}  // namespace expunge

// Sketches of documents by which nearly equal ones are found: MinHash with banding.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace expunge {

/// The least hashes of a document's runs of ids, one of each of 128 parts of the hashes' range, a byte of each. Two documents
/// agree in a value with a probability of about the Jaccard similarity of their sets of runs.
inline constexpr std::size_t kSignatureSize = 128;
using Signature = std::array<std::uint8_t, kSignatureSize>;

/// Makes signatures. One permutation hashing (Li, Owen and Zhang 2012): each run is hashed once. A part that no run falls into
/// takes another's value (optimal densification, Shrivastava 2017).
class MinHash {
 public:
  static constexpr std::size_t kRun = 5;  ///< ids side by side

  MinHash() { least_.fill(kNone); }
  /// The next ids of the document.
  void add(std::span<const std::uint32_t> ids);
  /// The signature of the document, which must have kRun ids at least; then another one begins.
  Signature finish();

 private:
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};
  std::array<std::uint64_t, kSignatureSize> least_;
  std::vector<std::uint32_t> window_;  // ids whose run has not ended
};

/// How many values of two signatures must agree for an estimated similarity of `threshold`. Unlike values agree by chance once
/// in 256 times.
std::size_t least_agreement(double threshold);
std::size_t agreement(const Signature& a, const Signature& b);

/// Signatures are cut into bands of so many values; documents that agree in a whole band are compared.
struct Banding {
  std::size_t values, bands;
};
/// The longest bands by which a pair as similar as `threshold` is missed in at most one of a hundred cases.
Banding choose_banding(double threshold);

/// Of each text the splits that hold a twin of it.
class TwinTable {
 public:
  TwinTable(std::size_t texts, std::size_t splits) : words_((splits + 63) / 64), bits_(texts * words_) {}
  bool has(std::size_t text, std::size_t split) const { return (bits_[text * words_ + split / 64] >> (split % 64) & 1) != 0; }
  void set(std::size_t text, std::size_t split) { bits_[text * words_ + split / 64] |= std::uint64_t{1} << (split % 64); }

 private:
  std::size_t words_;
  std::vector<std::uint64_t> bits_;
};

/// Texts that differ, each with the document that has its signature and the splits that hold it.
struct DistinctTexts {
  std::vector<std::uint32_t> documents;
  std::vector<std::size_t> begins = {0};  ///< of each text's splits, and the end of the last
  std::vector<std::uint32_t> splits;

  std::size_t size() const { return documents.size(); }
  std::span<const std::uint32_t> splits_of(std::size_t text) const {
    return std::span(splits).subspan(begins[text], begins[text + 1] - begins[text]);
  }
};

/// Texts of a bucket are compared with this many others of each split: those before them in an order that puts like signatures
/// side by side.
inline constexpr std::size_t kCompared = 8;

/// Notes for each text the splits, below `splits`, that hold another one whose signature is as similar as `threshold`. Time: n
/// log n for each band.
TwinTable find_near(std::span<const Signature> signatures, const DistinctTexts& texts, std::size_t splits, double threshold);

}  // namespace expunge

// Finds equal documents and sequences by sorted digests, nearly equal documents by MinHash.
#include "data/duplicates.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <tuple>

#include "data/min_hash.h"
#include "data/token_file.h"
#include "expunge/error.h"
#include "io/hash.h"

namespace expunge {
namespace {

static_assert(TokenFileWriter::kShortest >= MinHash::kRun);  // every document in a file has a run of ids

/// Digest of the ids of a document or sequence.
struct Fingerprint {
  std::array<std::uint64_t, 2> digest;
  std::uint32_t split, document;
  auto order() const { return std::tie(digest, split, document); }
};

Fingerprint fingerprint(const Sha256& hash, std::size_t split, std::size_t document) {
  Fingerprint result{{}, static_cast<std::uint32_t>(split), static_cast<std::uint32_t>(document)};
  const auto digest = hash.digest();
  std::memcpy(result.digest.data(), digest.data(), sizeof result.digest);
  return result;
}

/// Fingerprints of all splits, in the order of the splits.
struct Contents {
  std::vector<Fingerprint> documents, sequences;
  std::vector<Signature> signatures;  ///< by document; empty without a threshold
};

/// Reads the ids of a split, in order and a block at a time.
class IdReader {
 public:
  IdReader(const Hdf5File& file, std::string dataset)
      : file_(file), dataset_(std::move(dataset)), left_(file.size<std::uint32_t>(dataset_)) {}

  /// Calls take() with the next `count` ids, in parts.
  template <typename Take>
  void next(std::uint64_t count, const Take& take) {
    while (count > 0) {
      if (rest_.empty()) read_block();
      const auto some = rest_.first(std::min<std::uint64_t>(count, rest_.size()));
      take(some);
      rest_ = rest_.subspan(some.size());
      count -= some.size();
    }
  }

 private:
  void read_block() {
    constexpr std::uint64_t kBlock = 1 << 18;  // ids: a mebibyte
    check(left_ > 0, "sequences lie within the ids");
    block_.resize(std::min(left_, kBlock));
    file_.read<std::uint32_t>(dataset_, begin_, block_);
    begin_ += block_.size();
    left_ -= block_.size();
    rest_ = block_;
  }

  const Hdf5File& file_;
  std::string dataset_;
  std::uint64_t begin_ = 0, left_;
  std::vector<std::uint32_t> block_;
  std::span<const std::uint32_t> rest_;
};

void read_split(const Hdf5File& file, const std::string& name, std::size_t split, bool near, Contents& contents) {
  const auto offsets = file.read_all<std::uint64_t>("/" + name + "/offsets");
  const auto documents = file.read_all<std::uint64_t>("/" + name + "/documents");
  IdReader reader(file, "/" + name + "/ids");
  Sha256 of_document;
  MinHash sketch;
  for (std::size_t i = 0; i < documents.size(); ++i) {
    Sha256 of_sequence;
    reader.next(offsets[i + 1] - offsets[i], [&](std::span<const std::uint32_t> ids) {
      of_sequence.update(std::as_bytes(ids));
      of_document.update(std::as_bytes(ids));
      if (near) sketch.add(ids);
    });
    contents.sequences.push_back(fingerprint(of_sequence, split, 0));
    if (i + 1 < documents.size() && documents[i + 1] == documents[i]) continue;
    contents.documents.push_back(fingerprint(of_document, split, contents.documents.size()));
    of_document = Sha256();
    if (near) contents.signatures.push_back(sketch.finish());
  }
}

/// Reserves memory for everything, so that no vector overshoots while it grows.
void reserve(const Hdf5File& file, const std::vector<std::string>& splits, bool near, Contents& contents) {
  std::uint64_t documents = 0, sequences = 0;
  for (const std::string& split : splits) {
    const auto of_split = file.read_attribute<std::uint64_t>("/" + split, "sequences");
    sequences += of_split;
    documents += std::min(of_split, file.read_attribute<std::uint64_t>("/" + split, "documents"));
  }
  check(documents <= std::numeric_limits<std::uint32_t>::max(), "documents are counted in 32 bits");
  contents.documents.reserve(documents);
  contents.sequences.reserve(sequences);
  if (near) contents.signatures.reserve(documents);
}

/// Number of members of a group of equals in one split.
struct Holder {
  std::uint32_t split;
  std::uint64_t count;
  /// Whether a member in split `other` has another equal member here.
  bool twin_of(std::uint32_t other) const { return split != other || count > 1; }
};

/// Sorts, and calls take(first, holders) for each group of equals; a group may have one member.
template <typename Take>
void for_equals(std::vector<Fingerprint>& all, const Take& take) {
  std::ranges::sort(all, {}, &Fingerprint::order);
  std::vector<Holder> holders;
  for (auto begin = all.begin(); begin != all.end();) {
    holders.clear();
    auto one = begin;
    for (; one != all.end() && one->digest == begin->digest; ++one) {
      if (holders.empty() || holders.back().split != one->split) holders.push_back({one->split, 0});
      ++holders.back().count;
    }
    take(*begin, std::span<const Holder>(holders));
    begin = one;
  }
}

/// Counts of all pairs: split a in split b at index a * splits + b.
using Pairs = std::vector<SharedText>;

void count_equals(std::vector<Fingerprint>& all, std::size_t splits, std::uint64_t SharedText::*count, Pairs& pairs) {
  for_equals(all, [&](const Fingerprint&, std::span<const Holder> holders) {
    for (const Holder& one : holders)
      for (const Holder& other : holders)
        if (other.twin_of(one.split)) pairs[one.split * splits + other.split].*count += one.count;
  });
}

/// Compares distinct texts but counts documents: a near twin of a text is a near twin of all documents with that text. Equal
/// documents count even if their bucket is crowded.
void count_near(Contents& contents, std::size_t splits, double threshold, Pairs& pairs) {
  DistinctTexts texts;
  std::vector<std::uint64_t> counts;  // of documents, beside texts.splits
  for (std::vector<std::uint32_t>* numbers : {&texts.documents, &texts.splits}) numbers->reserve(contents.documents.size());
  counts.reserve(contents.documents.size());
  texts.begins.reserve(contents.documents.size() + 1);
  for_equals(contents.documents, [&](const Fingerprint& first, std::span<const Holder> holders) {
    texts.documents.push_back(first.document);
    for (const Holder& holder : holders) {
      texts.splits.push_back(holder.split);
      counts.push_back(holder.count);
    }
    texts.begins.push_back(texts.splits.size());
  });
  const TwinTable near = find_near(contents.signatures, texts, splits, threshold);
  std::vector<bool> twins(splits);  // for one text: the splits with an equal or nearly equal text
  for (std::size_t text = 0; text < texts.size(); ++text)
    for (std::size_t i = texts.begins[text]; i < texts.begins[text + 1]; ++i) {
      for (std::size_t split = 0; split < splits; ++split) twins[split] = near.has(text, split);
      for (std::size_t j = texts.begins[text]; j < texts.begins[text + 1]; ++j)
        if (Holder{texts.splits[j], counts[j]}.twin_of(texts.splits[i])) twins[texts.splits[j]] = true;
      for (std::size_t split = 0; split < splits; ++split)
        if (twins[split]) pairs[texts.splits[i] * splits + split].near_documents += counts[i];
    }
}

}  // namespace

Duplicates find_duplicates(const Hdf5File& file, const std::vector<std::string>& splits, double near_threshold) {
  Contents contents;
  reserve(file, splits, near_threshold > 0, contents);
  for (std::size_t i = 0; i < splits.size(); ++i) read_split(file, splits[i], i, near_threshold > 0, contents);
  Pairs pairs;
  for (const std::string& split : splits)
    for (const std::string& other : splits) pairs.push_back({split, other});
  count_equals(contents.sequences, splits.size(), &SharedText::sequences, pairs);
  count_equals(contents.documents, splits.size(), &SharedText::documents, pairs);
  if (near_threshold > 0) count_near(contents, splits.size(), near_threshold, pairs);
  std::erase_if(pairs, [](const SharedText& pair) { return pair.documents + pair.near_documents + pair.sequences == 0; });
  return {near_threshold, std::move(pairs)};
}

}  // namespace expunge

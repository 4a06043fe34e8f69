// MinHash signatures, and buckets of documents that agree in a band.
#include "data/min_hash.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "core/random.h"
#include "expunge/error.h"

namespace expunge {
namespace {

constexpr int kPartBits = 7;
static_assert(std::size_t{1} << kPartBits == kSignatureSize);
constexpr double kByChance = 1.0 / 256;  // probability that a byte agrees by chance

/// Hash of one run of ids; packs two ids into a word.
std::uint64_t hash_run(const std::uint32_t* id) {
  return random_bits(std::uint64_t{id[0]} << 32 | id[1], std::uint64_t{id[2]} << 32 | id[3], id[4]);
}
static_assert(MinHash::kRun == 5);

/// Sort key of a text for one band: the band, then the values after it, which order the bucket.
struct BandEntry {
  std::uint64_t band, next;
  std::uint32_t text;
  auto order() const { return std::tie(band, next, text); }
};

BandEntry band_entry(const Signature& signature, std::size_t begin, std::size_t values, std::uint32_t text) {
  constexpr std::size_t kNext = 8;
  const auto value = [&](std::size_t i) { return std::uint64_t{signature[i % kSignatureSize]}; };
  BandEntry entry{0, 0, text};
  for (std::size_t i = 0; i < values; ++i) entry.band = random_bits(entry.band, i, value(begin + i));
  for (std::size_t i = 0; i < kNext; ++i) entry.next = entry.next << 8 | value(begin + values + i);
  return entry;
}

/// Compares the texts within each bucket.
class Buckets {
 public:
  Buckets(std::span<const Signature> signatures, const DistinctTexts& texts, std::size_t splits, double threshold)
      : signatures_(signatures),
        texts_(texts),
        least_(least_agreement(threshold)),
        twins_(texts.size(), splits),
        recent_(splits) {}

  void compare(std::span<const BandEntry> bucket) {
    for (const BandEntry& entry : bucket) {
      for (const std::uint32_t split : present_)
        for (const std::uint32_t other : recent_[split]) compare(entry.text, other);
      for (const std::uint32_t split : texts_.splits_of(entry.text)) note(entry.text, split);
    }
    for (const std::uint32_t split : present_) recent_[split].clear();
    present_.clear();
  }
  TwinTable take() { return std::move(twins_); }

 private:
  void compare(std::uint32_t one, std::uint32_t other) {
    if (known(one, other) && known(other, one)) return;
    if (agreement(signature(one), signature(other)) < least_) return;
    for (const std::uint32_t split : texts_.splits_of(other)) twins_.set(one, split);
    for (const std::uint32_t split : texts_.splits_of(one)) twins_.set(other, split);
  }

  /// Whether `other` as a twin of `one` adds nothing new.
  bool known(std::uint32_t one, std::uint32_t other) const {
    return std::ranges::all_of(texts_.splits_of(other), [&](std::uint32_t split) { return twins_.has(one, split); });
  }

  void note(std::uint32_t text, std::uint32_t split) {
    std::vector<std::uint32_t>& recent = recent_[split];
    if (recent.empty()) present_.push_back(split);
    if (recent.size() == kCompared) recent.erase(recent.begin());
    recent.push_back(text);
  }

  const Signature& signature(std::uint32_t text) const { return signatures_[texts_.documents[text]]; }

  std::span<const Signature> signatures_;
  const DistinctTexts& texts_;
  std::size_t least_;
  TwinTable twins_;
  std::vector<std::vector<std::uint32_t>> recent_;  // per split, the last texts of the bucket
  std::vector<std::uint32_t> present_;              // splits with texts in the bucket so far
};

}  // namespace

void MinHash::add(std::span<const std::uint32_t> ids) {
  window_.insert(window_.end(), ids.begin(), ids.end());
  if (window_.size() < kRun) return;
  const std::size_t runs = window_.size() - kRun + 1;
  for (std::size_t i = 0; i < runs; ++i) {
    const std::uint64_t hash = hash_run(window_.data() + i);
    std::uint64_t& least = least_[hash >> (64 - kPartBits)];
    least = std::min(least, hash);
  }
  window_.erase(window_.begin(), window_.begin() + static_cast<std::ptrdiff_t>(runs));
}

Signature MinHash::finish() {
  check(std::ranges::any_of(least_, [](std::uint64_t least) { return least != kNone; }), "a document has a run of ids");
  static const std::uint64_t kStream = random_stream("MinHash densification");
  Signature signature;
  for (std::size_t part = 0; part < kSignatureSize; ++part) {
    std::size_t from = part;
    for (std::uint64_t attempt = 0; least_[from] == kNone; ++attempt)
      from = random_below(part, kStream, attempt, kSignatureSize);
    signature[part] = static_cast<std::uint8_t>(least_[from]);  // the lowest bits, which hardly affect the order
  }
  least_.fill(kNone);
  window_.clear();
  return signature;
}

std::size_t least_agreement(double threshold) {
  constexpr double kRounding = 1e-9;
  const double share = threshold + (1 - threshold) * kByChance;
  return static_cast<std::size_t>(std::ceil(share * static_cast<double>(kSignatureSize) - kRounding));
}

std::size_t agreement(const Signature& a, const Signature& b) {
  std::size_t equal = 0;
  for (std::size_t i = 0; i < kSignatureSize; ++i) equal += a[i] == b[i];
  return equal;
}

Banding choose_banding(double threshold) {
  constexpr double kMissed = 0.01;
  for (std::size_t values = kSignatureSize; values > 1; --values) {
    const std::size_t bands = kSignatureSize / values;
    const double agrees = std::pow(threshold, static_cast<double>(values));
    if (std::pow(1 - agrees, static_cast<double>(bands)) <= kMissed) return {values, bands};
  }
  return {1, kSignatureSize};
}

TwinTable find_near(std::span<const Signature> signatures, const DistinctTexts& texts, std::size_t splits, double threshold) {
  const Banding banding = choose_banding(threshold);
  Buckets buckets(signatures, texts, splits, threshold);
  std::vector<BandEntry> entries(texts.size());
  for (std::size_t band = 0; band < banding.bands; ++band) {
    for (std::size_t i = 0; i < entries.size(); ++i)
      entries[i] =
          band_entry(signatures[texts.documents[i]], band * banding.values, banding.values, static_cast<std::uint32_t>(i));
    std::ranges::sort(entries, {}, &BandEntry::order);
    for (auto begin = entries.begin(); begin != entries.end();) {
      const auto end = std::find_if(begin, entries.end(), [&](const BandEntry& entry) { return entry.band != begin->band; });
      if (end - begin > 1) buckets.compare({begin, end});
      begin = end;
    }
  }
  return buckets.take();
}

}  // namespace expunge

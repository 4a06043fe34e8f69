// Shared text: counts that are known, similarities that are known, and time that grows with the input.
#include "data/duplicates.h"

#include <gmock/gmock.h>
#include <omp.h>

#include <cmath>

#include "core/random.h"
#include "data/min_hash.h"
#include "data/token_file.h"
#include "support/growth.h"
#include "support/temporary_folder.h"

namespace expunge {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

using Ids = std::vector<std::int32_t>;
using Documents = std::vector<Ids>;

/// `shared` ids that `family` has, and others of `member` up to `size`. No run of five stands in another family.
Ids document(std::uint64_t family, std::uint64_t member, std::size_t shared, std::size_t size) {
  Ids ids;
  for (std::size_t i = 0; i < size; ++i)
    ids.push_back(static_cast<std::int32_t>(random_below(family, i < shared ? 0 : 1 + member, i, 1 << 30)));
  return ids;
}

/// How many of `size` ids two documents must share at their beginnings to have a similarity.
std::size_t shared_ids(double similarity, std::size_t size) {
  const auto runs = static_cast<double>(size - 4);
  return 4 + static_cast<std::size_t>(std::lround(runs * 2 * similarity / (1 + similarity)));
}

std::vector<std::uint32_t> words(const Ids& ids) { return {ids.begin(), ids.end()}; }

Signature signature(const Ids& ids) {
  MinHash hash;
  hash.add(words(ids));
  return hash.finish();
}

/// A token file of these splits of the domain `d`, with what they share.
std::filesystem::path write(const TemporaryFolder& folder, const std::vector<std::pair<std::string, Documents>>& splits,
                            double threshold, std::uint64_t max_length = 50) {
  const auto path = folder / "t.h5";
  std::filesystem::remove(path);
  TokenFileWriter writer(path, {"hash", 1u << 31, max_length});
  std::vector<std::string> names;
  for (const auto& [split, documents] : splits) {
    writer.begin_split("d", split);
    for (const Ids& ids : documents) writer.add_document(ids);
    writer.end_split("s.jsonl", "abc");
    names.push_back("d/" + split);
  }
  writer.finish([&](Hdf5File& file) { write_duplicates(file, find_duplicates(file, names, threshold)); });
  return path;
}

SharedText pair_of(const std::optional<Duplicates>& duplicates, const std::string& split, const std::string& other) {
  for (const SharedText& pair : duplicates->shared)
    if (pair.split == "d/" + split && pair.other == "d/" + other) return pair;
  return {};
}

std::vector<std::uint64_t> counts(const SharedText& pair) { return {pair.documents, pair.near_documents, pair.sequences}; }

TEST(Duplicates, CountsEqualDocumentsAndSequencesOfEachPair) {
  const TemporaryFolder folder;
  // Of 120 ids three sequences; the last 3 of 103 are dropped.
  const Ids a = document(1, 0, 0, 120), b = document(2, 0, 0, 120), c = document(3, 0, 0, 40), d = document(4, 0, 0, 40);
  Ids beginning(a.begin(), a.begin() + 50);
  beginning.insert(beginning.end(), {1, 2, 3});
  const auto path = write(folder, {{"forget", {a, b, a, {1, 2}, {}, {}}}, {"retain", {a, c, beginning}}, {"z", {d}}}, 0.8);
  const auto duplicates = TokenFile(path).duplicates();
  ASSERT_TRUE(duplicates.has_value());
  EXPECT_EQ(duplicates->near_threshold, 0.8);
  // Two of forget are equal, and equal to one of retain, whose third document has the same first sequence.
  EXPECT_THAT(counts(pair_of(duplicates, "forget", "forget")), ElementsAre(2, 2, 6));
  EXPECT_THAT(counts(pair_of(duplicates, "forget", "retain")), ElementsAre(2, 2, 6));
  EXPECT_THAT(counts(pair_of(duplicates, "retain", "forget")), ElementsAre(1, 1, 4));
  EXPECT_THAT(counts(pair_of(duplicates, "retain", "retain")), ElementsAre(0, 0, 2));
  EXPECT_THAT(duplicates->shared, SizeIs(4));  // z shares nothing
  EXPECT_THAT(describe_duplicates(*duplicates, [](const SharedText& pair) { return pair.split != pair.other; }),
              ElementsAre("d/forget and d/retain share text: 2 and 1 equal documents, 6 and 4 equal sequences"));
  EXPECT_THAT(describe_duplicates(*duplicates, [](const SharedText& pair) { return pair.split == pair.other; }),
              ElementsAre("d/forget holds text more than once: 2 equal documents, 6 equal sequences",
                          "d/retain holds text more than once: 2 equal sequences"));
}

TEST(Duplicates, AreToldOfByPairOfSplitsAndNotWithoutEnd) {
  const auto all = [](const SharedText&) { return true; };
  Duplicates duplicates{0.8,
                        {{"a/x", "a/y", 2, 3, 0}, {"a/x", "b/z", 0, 1, 4}, {"a/y", "a/x", 1, 1, 0}, {"b/z", "a/x", 0, 2, 5}}};
  EXPECT_THAT(describe_duplicates(duplicates, all),
              ElementsAre("a/x and a/y share text: 2 and 1 equal documents (3 and 1 with nearly equal ones, of similarity 0.8 "
                          "and above)",
                          "a/x and b/z share text: 1 and 2 nearly equal documents, of similarity 0.8 and above, 4 and 5 equal "
                          "sequences"));
  for (int i = 0; i < 20; ++i) duplicates.shared.push_back({"c/" + std::to_string(i), "c/" + std::to_string(i), 2, 2, 2});
  const std::vector<std::string> lines = describe_duplicates(duplicates, all);
  ASSERT_THAT(lines, SizeIs(13));
  EXPECT_EQ(lines.back(), "10 more pairs of splits share text; expunge inspect lists them");
}

TEST(Duplicates, WithoutAThresholdNearlyEqualDocumentsAreNotLookedFor) {
  const TemporaryFolder folder;
  const Ids a = document(1, 0, 190, 200), b = document(1, 1, 190, 200);
  EXPECT_THAT(counts(pair_of(TokenFile(write(folder, {{"x", {a}}, {"y", {b}}}, 0.8)).duplicates(), "x", "y")),
              ElementsAre(0, 1, 3));
  const auto path = write(folder, {{"x", {a}}, {"y", {b}}}, 0);
  EXPECT_THAT(counts(pair_of(TokenFile(path).duplicates(), "x", "y")), ElementsAre(0, 0, 3));
  EXPECT_FALSE(Hdf5File::open(path).has_attribute("/d/x/duplicates/d/y", "near_documents"));
  EXPECT_EQ(TokenFile(path).duplicates()->near_threshold, 0);
}

TEST(Duplicates, WhatIsNearATextIsNearAllItsCopies) {
  const TemporaryFolder folder;
  const Documents copies(100, document(1, 0, 190, 200)), one = {document(1, 1, 190, 200)};
  const auto duplicates = TokenFile(write(folder, {{"x", copies}, {"y", one}}, 0.8)).duplicates();
  EXPECT_THAT(counts(pair_of(duplicates, "x", "y")), ElementsAre(0, 100, 300));
  EXPECT_THAT(counts(pair_of(duplicates, "y", "x")), ElementsAre(0, 1, 3));
  EXPECT_THAT(counts(pair_of(duplicates, "x", "x")), ElementsAre(100, 100, 400));
  EXPECT_THAT(counts(pair_of(duplicates, "y", "y")), ElementsAre(0, 0, 0));
}

TEST(Duplicates, FindsWhatIsAboveTheThresholdAndNothingElse) {
  const TemporaryFolder folder;
  constexpr std::uint64_t kPairs = 400;
  const auto found = [&](double similarity) {
    Documents one, other;
    for (std::uint64_t i = 0; i < kPairs; ++i) {
      const std::size_t size = 60 + i;  // from fewer runs than a signature has values to more
      one.push_back(document(i, 0, shared_ids(similarity, size), size));
      other.push_back(document(i, 1, shared_ids(similarity, size), size));
    }
    const auto duplicates = TokenFile(write(folder, {{"one", one}, {"other", other}}, 0.8)).duplicates();
    EXPECT_THAT(counts(pair_of(duplicates, "one", "one")), ElementsAre(0, 0, 0));
    const SharedText there = pair_of(duplicates, "one", "other"), back = pair_of(duplicates, "other", "one");
    EXPECT_EQ(there.near_documents, back.near_documents);
    return static_cast<double>(there.near_documents) / kPairs;
  };
  EXPECT_GE(found(0.95), 0.995);
  EXPECT_GE(found(0.9), 0.97);
  EXPECT_GE(found(0.82), 0.5);  // the estimate is as often above the truth as below
  EXPECT_LE(found(0.65), 0.02);
  EXPECT_EQ(found(0.3), 0);
}

TEST(Duplicates, AreTheSameOnAnyNumberOfThreads) {
  const TemporaryFolder folder;
  Documents one, other;
  for (std::uint64_t i = 0; i < 200; ++i) {
    one.push_back(document(i / 2, i % 2, 170, 200));
    other.push_back(document(i / 2, 5, 160, 200));
  }
  const int threads = omp_get_max_threads();
  std::vector<std::vector<std::uint64_t>> seen;
  for (const int n : {1, 3}) {
    omp_set_num_threads(n);
    seen.push_back(counts(pair_of(TokenFile(write(folder, {{"x", one}, {"y", other}}, 0.7)).duplicates(), "x", "y")));
  }
  omp_set_num_threads(threads);
  EXPECT_GT(seen[0][1], 20u);
  EXPECT_EQ(seen[0], seen[1]);
}

TEST(MinHash, EstimatesTheSimilarity) {
  for (const double similarity : {0.5, 0.8, 0.95}) {
    double sum = 0;
    constexpr std::uint64_t kPairs = 400;
    for (std::uint64_t i = 0; i < kPairs; ++i) {
      const std::size_t size = 300, shared = shared_ids(similarity, size);
      const Signature a = signature(document(i, 0, shared, size)), b = signature(document(i, 1, shared, size));
      sum += static_cast<double>(agreement(a, b)) / kSignatureSize;
    }
    EXPECT_NEAR(sum / kPairs, similarity + (1 - similarity) / 256, 0.01);
  }
}

TEST(MinHash, DoesNotDependOnHowADocumentComes) {
  const Ids ids = document(7, 0, 0, 500);
  MinHash hash;
  for (std::size_t at = 0; at < ids.size();) {
    const std::size_t some = std::min<std::size_t>(1 + at % 7, ids.size() - at);
    hash.add(words(Ids(ids.begin() + std::ptrdiff_t(at), ids.begin() + std::ptrdiff_t(at + some))));
    at += some;
  }
  EXPECT_EQ(hash.finish(), signature(ids));
  hash.add(words(ids));  // another document
  EXPECT_EQ(hash.finish(), signature(ids));
}

TEST(MinHash, BandsMissOneOfAHundredAtTheThreshold) {
  for (const double threshold : {0.5, 0.7, 0.8, 0.9, 1.0}) {
    const Banding banding = choose_banding(threshold);
    EXPECT_LE(banding.values * banding.bands, kSignatureSize);
    EXPECT_LE(std::pow(1 - std::pow(threshold, double(banding.values)), double(banding.bands)), 0.01) << threshold;
  }
  EXPECT_EQ(choose_banding(1).bands, 1u);
  EXPECT_EQ(choose_banding(0.8).values, 6u);
}

/// Signatures that all agree in every band but the first values of none; equal ones where `equal`.
std::vector<Signature> crowd(std::size_t n, bool equal) {
  std::vector<Signature> signatures(n);
  const Banding banding = choose_banding(0.8);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t v = 0; v < kSignatureSize; ++v)
      signatures[i][v] = equal || v < 3 * banding.values ? 7 : static_cast<std::uint8_t>(random_below(i, 0, v, 256));
  return signatures;
}

TEST(MinHash, ManyDocumentsInOneBucketTakeLinearTime) {
  for (const bool equal : {true, false})
    expect_linear_time(
        10'000, [&](std::size_t n) { return crowd(n, equal); },
        [&](const std::vector<Signature>& signatures) {
          DistinctTexts texts;
          for (std::uint32_t i = 0; i < signatures.size(); ++i) {
            texts.documents.push_back(i);
            texts.splits.push_back(i % 3);
            texts.begins.push_back(texts.splits.size());
          }
          EXPECT_EQ(find_near(signatures, texts, 3, 0.8).has(0, 1), equal);
        });
}

TEST(Duplicates, TakeTimeThatGrowsWithTheDocuments) {
  const TemporaryFolder folder;
  for (const bool equal : {true, false})
    expect_linear_time(
        10'000,
        [&](std::size_t n) {
          Documents documents;
          for (std::size_t i = 0; i < n; ++i) documents.push_back(document(equal ? 0 : i, 0, 0, 40));
          const auto path = folder / (std::to_string(n) + (equal ? "-equal.h5" : "-unlike.h5"));
          std::filesystem::rename(write(folder, {{"s", documents}}, 0), path);
          return path;
        },
        [&](const std::filesystem::path& path) {
          const Duplicates duplicates = find_duplicates(Hdf5File::open(path), {"d/s"}, 0.8);
          EXPECT_EQ(duplicates.shared.size(), equal ? 1u : 0u);
        });
}

}  // namespace
}  // namespace expunge

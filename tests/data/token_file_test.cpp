// Token files: chunking, round trips and damaged files; labels that fit them or do not.
#include "data/token_file.h"

#include <gmock/gmock.h>

#include <functional>
#include <numeric>

#include "data/label_file.h"
#include "support/temporary_folder.h"

namespace expunge {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::int32_t> counting(int n, int first = 0) {
  std::vector<std::int32_t> ids(static_cast<std::size_t>(n));
  std::iota(ids.begin(), ids.end(), first);
  return ids;
}

std::vector<std::int32_t> ids_of(const TokenSplit& split, std::size_t i) {
  const auto ids = split.ids(i);
  return {ids.begin(), ids.end()};
}

TEST(TokenFile, CutsDocumentsIntoChunks) {
  const TemporaryFolder folder;
  const auto path = folder / "t.h5";
  TokenFileWriter writer(path, {"hash", 100, 10});
  writer.begin_split("books", "forget");
  for (const int length : {25, 10, 4, 0, 14, 5}) writer.add_document(counting(length));
  const SplitCounts counts = writer.end_split("forget.jsonl", "abc");
  EXPECT_FALSE(std::filesystem::exists(path));
  writer.finish();
  EXPECT_THAT(folder.names(), testing::Contains("t.h5"));

  // 25 = 10 + 10 + 5; 10; 4 is dropped; 0 is nothing; 14 = 10 + a dropped 4; 5
  EXPECT_EQ(counts.documents, 6u);
  EXPECT_EQ(counts.sequences, 6u);
  EXPECT_EQ(counts.tokens, 50u);
  EXPECT_EQ(counts.dropped, 2u);

  const TokenFile file(path);
  EXPECT_EQ(file.info().tokenizer_sha256, "hash");
  EXPECT_EQ(file.info().vocabulary_size, 100u);
  EXPECT_EQ(file.info().max_length, 10u);
  EXPECT_THAT(file.domains(), ElementsAre("books"));
  EXPECT_THAT(file.splits("books"), ElementsAre("forget"));
  EXPECT_TRUE(file.has("books/forget"));
  EXPECT_FALSE(file.has("books"));
  EXPECT_FALSE(file.has("books/retain"));
  EXPECT_EQ(file.counts("books/forget").dropped, 2u);
  const TokenSplit split = file.split("books/forget", 25);
  EXPECT_EQ(split.sequences(), 6u);
  EXPECT_EQ(split.tokens(), 50u);
  EXPECT_EQ(split.length(2), 5u);
  EXPECT_THAT(split.documents(), ElementsAre(0, 0, 0, 1, 4, 5));  // the document of each sequence
  EXPECT_EQ(ids_of(split, 1), counting(10, 10));
  EXPECT_EQ(ids_of(split, 2), counting(5, 20));
}

TEST(TokenFile, ChecksManySplitsAtOnce) {
  const TemporaryFolder folder;
  TokenFileWriter writer(folder / "t.h5", {"hash", 100, 10});
  for (const int first : {0, 90}) {
    writer.begin_split("books", first == 0 ? "low" : "high");
    writer.add_document(counting(10, first));
    writer.end_split("", "");
  }
  writer.finish();
  const TokenFile file(folder / "t.h5");
  EXPECT_NO_THROW(file.check({"books/low", "books/high"}, 100));
  EXPECT_THAT(error_of(ExitCode::bad_input,
                       [&] {
                         file.check({"books/low", "books/high"}, 95);
                       }),
              HasSubstr("books/high: sequence 0, position 5: id 95 is outside the model's vocabulary of 95"));
}

TEST(TokenFile, SurvivesManyFlushes) {
  const TemporaryFolder folder;
  TokenFileWriter writer(folder / "t.h5", {"hash", 1 << 20, 1000});
  writer.begin_split("d", "s");
  for (int i = 0; i < 3000; ++i) writer.add_document(counting(700 + i % 300, i));
  writer.end_split("s.jsonl", "abc");
  writer.finish();
  const TokenSplit split = TokenFile(folder / "t.h5").split("d/s", 1 << 20);
  ASSERT_EQ(split.sequences(), 3000u);
  for (int i = 0; i < 3000; ++i) ASSERT_EQ(ids_of(split, static_cast<std::size_t>(i)), counting(700 + i % 300, i)) << i;
}

TEST(TokenFile, NothingIsLeftOfAnUnfinishedFile) {
  const TemporaryFolder folder;
  {
    TokenFileWriter writer(folder / "t.h5", {"hash", 100, 10});
    writer.begin_split("d", "s");
    writer.add_document(counting(9));
  }
  EXPECT_THAT(folder.names(), ElementsAre());
}

TEST(TokenFile, KeepsWhatIsThere) {
  const TemporaryFolder folder;
  const auto path = folder.write("t.h5", "precious");
  const auto write = [&] { TokenFileWriter(path, {"hash", 100, 10}); };
  EXPECT_THAT(error_of(ExitCode::output, write), AllOf(HasSubstr("t.h5 exists already"), HasSubstr("remove it")));
  EXPECT_EQ(slurp(path), "precious");
}

class DamagedTokenFile : public testing::Test {
 protected:
  /// Writes a token file by hand, and returns the error of opening it and loading d/s.
  std::string error(const std::vector<std::uint32_t>& ids, const std::vector<std::uint64_t>& offsets,
                    const std::function<void(Hdf5File&)>& change = {}) {
    const auto path = folder_ / "t.h5";
    std::filesystem::remove(path);
    Hdf5File file = Hdf5File::create(path);
    file.write_attribute("/", "format_version", std::uint64_t{1});
    file.write_attribute("/", "tokenizer_sha256", std::string("hash"));
    file.write_attribute("/", "vocabulary_size", std::uint64_t{100});
    file.write_attribute("/", "max_length", std::uint64_t{8});
    file.create_dataset<std::uint32_t>("/d/s/ids", {ids.size()});
    file.write<std::uint32_t>("/d/s/ids", 0, ids);
    file.create_dataset<std::uint64_t>("/d/s/offsets", {offsets.size()});
    file.write<std::uint64_t>("/d/s/offsets", 0, offsets);
    if (change) change(file);
    file.close();
    return error_of(ExitCode::bad_input, [&] { TokenFile(path).split("d/s", 50); });
  }
  TemporaryFolder folder_;
};

TEST_F(DamagedTokenFile, Offsets) {
  const std::vector<std::uint32_t> ids(12, 7);
  EXPECT_THAT(error(ids, {1, 12}), HasSubstr("d/s: offsets begin with 1"));
  EXPECT_THAT(error(ids, {0, 6, 11}), HasSubstr("offsets end with 11, expected the number of ids, 12"));
  EXPECT_THAT(error(ids, {0, 6, 4, 12}), HasSubstr("sequence 1 goes from 6 to 4"));
  EXPECT_THAT(error(ids, {0, 5, 6, 12}), HasSubstr("sequence 1 goes from 5 to 6, expected 2 to 8 ids"));
  EXPECT_THAT(error(ids, {0, 3, 12}), HasSubstr("sequence 1 goes from 3 to 12, expected 2 to 8 ids"));
  EXPECT_THAT(error(ids, {0, ~std::uint64_t{0}, 12}), HasSubstr("sequence 0 goes from 0 to 18446744073709551615"));
  EXPECT_THAT(error({}, {0}), HasSubstr("it holds no sequences"));
}

TEST_F(DamagedTokenFile, Ids) {
  std::vector<std::uint32_t> ids(12, 7);
  ids[7] = 50;
  EXPECT_THAT(error(ids, {0, 4, 8, 12}),
              HasSubstr("d/s: sequence 1, position 3: id 50 is outside the model's vocabulary of 50"));
  ids[7] = 49;
  ids[8] = 0xffffffff;
  EXPECT_THAT(error(ids, {0, 4, 8, 12}), HasSubstr("sequence 2, position 0: id 4294967295"));
}

TEST_F(DamagedTokenFile, Documents) {
  const std::vector<std::uint32_t> ids(12, 7);
  const auto error_with = [&](const std::vector<std::uint64_t>& documents) {
    return error(ids, {0, 4, 8, 12}, [&](Hdf5File& file) {
      file.create_dataset<std::uint64_t>("/d/s/documents", {documents.size()});
      file.write<std::uint64_t>("/d/s/documents", 0, documents);
    });
  };
  EXPECT_THAT(error_with({0, 1}), HasSubstr("/d/s/documents: expected the document of each of 3 sequences, found 2 numbers"));
  EXPECT_THAT(error_with({0, 2, 1}), HasSubstr("expected numbers that do not fall, found 1 after 2; tokenize again"));
}

TEST(TokenSplit, ChoosesSequencesThatAnotherDoesNotHold) {
  const TokenSplit one({1, 2, 3, 4, 5, 1, 2, 1, 2, 3}, {0, 2, 5, 7, 10}, {0, 0, 4, 7});
  const TokenSplit other({3, 4, 5, 9, 9, 1, 2, 2}, {0, 3, 5, 8});
  EXPECT_THAT(one.absent_from(other), ElementsAre(0, 2, 3));
  EXPECT_THAT(other.absent_from(one), ElementsAre(1, 2));
  EXPECT_THAT(one.absent_from(one), ElementsAre());
  const std::vector<std::size_t> chosen = {0, 3};
  const TokenSplit rest = one.only(chosen);
  ASSERT_EQ(rest.sequences(), 2u);
  EXPECT_EQ(ids_of(rest, 0), (std::vector<std::int32_t>{1, 2}));
  EXPECT_EQ(ids_of(rest, 1), (std::vector<std::int32_t>{1, 2, 3}));
  EXPECT_THAT(rest.documents(), ElementsAre(0, 7));
}

TEST_F(DamagedTokenFile, Structure) {
  const std::vector<std::uint32_t> ids(12, 7);
  const std::vector<std::uint64_t> offsets = {0, 6, 12};
  EXPECT_THAT(error(ids, offsets, [](Hdf5File& file) { file.write_attribute("/", "format_version", std::uint64_t{9}); }),
              HasSubstr("expected format version 1, found 9"));
  EXPECT_THAT(error(ids, offsets, [](Hdf5File& file) { file.write_attribute("/", "max_length", std::string("8")); }),
              HasSubstr("@max_length: expected uint64, found string"));

  const auto path = folder_ / "w.h5";
  const auto load = [&](const std::string& name) {
    return error_of(ExitCode::bad_input, [&] { TokenFile(path).split(name, 50); });
  };
  TokenFileWriter(path, {"hash", 100, 10}).finish();
  EXPECT_THAT(load("d/s"), HasSubstr("has no domain 'd'; it has: "));
  const auto rewrite = [&](const std::function<void(Hdf5File&)>& change) {
    Hdf5File file = Hdf5File::open_for_update(path);
    change(file);
    file.close();
  };
  rewrite([](Hdf5File& file) { file.create_dataset<float>("/d/s/ids", {4}); });
  EXPECT_THAT(load("d/t"), HasSubstr("there is no such split; 'd' has: s"));
  EXPECT_THAT(load("d/s"), HasSubstr("/d/s/offsets: there is no such dataset"));
  rewrite([](Hdf5File& file) { file.create_dataset<std::uint64_t>("/d/s/offsets", {2}); });
  EXPECT_THAT(load("d/s"), HasSubstr("/d/s/ids: expected uint32, found float32"));
  rewrite([](Hdf5File& file) {
    file.create_dataset<std::uint32_t>("/e/s/ids", {2, 2});
    file.create_dataset<std::uint64_t>("/e/s/offsets", {2});
  });
  EXPECT_THAT(load("e/s"), HasSubstr("one dimension"));
  rewrite([](Hdf5File& file) {  // a claim of 2^62 ids without data
    file.create_extendible<std::uint32_t>("/f/s/ids", 1024);
    file.truncate("/f/s/ids", std::uint64_t{1} << 62);
    file.create_dataset<std::uint64_t>("/f/s/offsets", {2});
  });
  EXPECT_THAT(load("f/s"), HasSubstr("does not fit"));

  const std::string whole = slurp(path);
  folder_.write("w.h5", whole.substr(0, whole.size() - 100));
  EXPECT_THAT(load("d/s"), HasSubstr("truncated"));
  Hdf5File::create(folder_ / "other.h5").close();
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { TokenFile(folder_ / "other.h5"); }),
              HasSubstr("lacks 4 attributes: format_version, tokenizer_sha256"));
}

TEST(TokenFile, OfAnEarlierVersionRecordsNeitherDocumentsNorSharedText) {
  const TemporaryFolder folder;
  const auto path = folder / "t.h5";
  Hdf5File file = Hdf5File::create(path);
  file.write_attribute("/", "format_version", std::uint64_t{1});
  file.write_attribute("/", "tokenizer_sha256", std::string("hash"));
  file.write_attribute("/", "vocabulary_size", std::uint64_t{100});
  file.write_attribute("/", "max_length", std::uint64_t{8});
  file.create_dataset<std::uint32_t>("/d/s/ids", {6});
  file.create_dataset<std::uint64_t>("/d/s/offsets", {2});
  file.write<std::uint64_t>("/d/s/offsets", 0, std::vector<std::uint64_t>{0, 6});
  file.close();
  const TokenFile tokens(path);
  EXPECT_TRUE(tokens.split("d/s", 100).documents().empty());
  EXPECT_FALSE(tokens.duplicates().has_value());
}

/// A label file as one writes it with h5py: the two datasets and nothing else.
template <typename Label = std::int32_t>
std::filesystem::path write_foreign_labels(const TemporaryFolder& folder, const std::vector<Label>& labels,
                                           const std::vector<std::uint64_t>& offsets) {
  const auto path = folder / "labels.h5";
  std::filesystem::remove(path);
  Hdf5File file = Hdf5File::create(path);
  file.create_dataset<Label>("/a/forget/ids", {labels.size()});
  file.write<Label>("/a/forget/ids", 0, labels);
  file.create_dataset<std::uint64_t>("/a/forget/offsets", {offsets.size()});
  file.write<std::uint64_t>("/a/forget/offsets", 0, offsets);
  file.close();
  return path;
}

TEST(LabelFile, MustHaveTheSequencesOfTheTokens) {
  const TemporaryFolder folder;
  const TokenSplit split({1, 2, 3, 4, 5}, {0, 2, 5});
  const auto read = [&](const std::filesystem::path& path) { return read_labels(path, "a/forget", split, 10); };
  const auto error = [&](const std::filesystem::path& path) { return error_of(ExitCode::bad_input, [&] { read(path); }); };
  const Labels labels = {-100, 9, -100, -100, 0};
  EXPECT_EQ(read(write_foreign_labels(folder, labels, {0, 2, 5})), labels);
  EXPECT_EQ(read_labels(folder / "labels.h5", "a/retain", split, 10), std::nullopt);
  EXPECT_THAT(error(write_foreign_labels(folder, labels, {0, 3, 5})), HasSubstr("offsets differ"));
  EXPECT_THAT(error(write_foreign_labels(folder, labels, {0, 5})), HasSubstr("offsets differ"));
  EXPECT_THAT(error(write_foreign_labels(folder, Labels{-100, 9, -100, -100}, {0, 2, 5})),
              HasSubstr("expected 5 labels, found 4"));
  EXPECT_THAT(error(write_foreign_labels(folder, Labels{-100, 10, -100, -100, 0}, {0, 2, 5})),
              HasSubstr("sequence 0, position 1: label 10; expected -100 or an id below 10"));
  EXPECT_THAT(error(write_foreign_labels(folder, Labels{-100, 9, 3, -100, -100}, {0, 2, 5})),
              HasSubstr("sequence 1 has no target"));
  EXPECT_THAT(error(write_foreign_labels<std::int64_t>(folder, {-100, 9, 3, 3, 3}, {0, 2, 5})), HasSubstr("int32"));
}

}  // namespace
}  // namespace expunge

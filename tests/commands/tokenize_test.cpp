// expunge tokenize: the whole way from a folder of texts to a token file.
#include "commands/tokenize.h"

#include <gmock/gmock.h>
#include <omp.h>

#include "data/token_file.h"
#include "data/tokenizer.h"
#include "io/hash.h"
#include "support/memory.h"
#include "support/temporary_folder.h"
#include "support/tiny_disk.h"

namespace expunge {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class Tokenize : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder_ / "model");
    std::filesystem::copy_file(std::filesystem::path(EXPUNGE_FIXTURES) / "tokenizer/bytes.model",
                               folder_ / "model/tokenizer.model");
    options_ = {folder_ / "model", folder_ / "data", folder_ / "t.h5", 16, {}, "", true};
  }
  TemporaryFolder folder_;
  TokenizeOptions options_;
};

TEST_F(Tokenize, WholeFolder) {
  const Tokenizer tokenizer(options_.tokenizer);
  std::string lines;
  std::vector<std::vector<std::int32_t>> expected;
  for (int i = 0; i < 11000; ++i) {  // several batches
    std::string text;
    for (int word = 0; word < 1 + i % 53; ++word) text += std::to_string(i + word) + " lanterns ";
    lines += "{\"text\": \"" + text + "\"}\n";
    const auto ids = tokenizer.encode(text);
    for (std::size_t at = 0; at < ids.size(); at += 16) {
      const std::vector<std::int32_t> chunk(ids.begin() + std::ptrdiff_t(at),
                                            ids.begin() + std::ptrdiff_t(std::min(at + 16, ids.size())));
      if (chunk.size() >= 5) expected.push_back(chunk);
    }
  }
  const auto source = folder_.write("data/books/forget.jsonl", lines);
  folder_.write("data/code/retain.txt", "The old printer painted seven letters\n");
  folder_.write("t.h5.tmp", "somebody else's");

  ASSERT_EQ(tokenize(options_), 0);
  EXPECT_EQ(slurp(folder_ / "t.h5.tmp"), "somebody else's");
  const TokenFile file(options_.output);
  EXPECT_EQ(file.info().tokenizer_sha256, tokenizer.hash());
  EXPECT_EQ(file.info().vocabulary_size, 380u);
  EXPECT_THAT(file.domains(), ElementsAre("books", "code"));
  const TokenSplit split = file.split("books/forget", 380);
  ASSERT_EQ(split.sequences(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i)
    ASSERT_EQ(std::vector<std::int32_t>(split.ids(i).begin(), split.ids(i).end()), expected[i]) << i;
  EXPECT_EQ(file.counts("books/forget").documents, 11000u);
  const Hdf5File raw = Hdf5File::open(options_.output);
  EXPECT_EQ(raw.read_attribute<std::string>("/books/forget", "source_sha256"), sha256_file(source));
  EXPECT_EQ(raw.read_attribute<std::string>("/books/forget", "source"), "forget.jsonl");

  const std::string bytes = slurp(options_.output);
  std::filesystem::remove(options_.output);
  const int threads = omp_get_max_threads();
  omp_set_num_threads(3);
  tokenize(options_);
  omp_set_num_threads(threads);
  EXPECT_EQ(split.tokens(), TokenFile(options_.output).split("books/forget", 380).tokens());
  EXPECT_EQ(Hdf5File::open(options_.output).read_all<std::uint32_t>("/books/forget/ids"),
            raw.read_all<std::uint32_t>("/books/forget/ids"));

  std::filesystem::remove(options_.output);
  options_.domains = {"code"};
  tokenize(options_);
  EXPECT_THAT(TokenFile(options_.output).domains(), ElementsAre("code"));
}

TEST_F(Tokenize, RecordsWhatTokenizerJsonSaysOtherwise) {
  folder_.write("data/books/forget.jsonl", "{\"text\": \"<s>The old printer painted seven letters\"}\n");
  folder_.write("model/tokenizer_config.json", R"({"add_bos_token": true})");
  folder_.write("model/tokenizer.json", R"({"post_processor": null, "model": {"vocab": {"<unk>": 0}}})");
  testing::internal::CaptureStderr();
  ASSERT_EQ(tokenize(options_), 0);
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_THAT(said, HasSubstr("tokenizer.json differs from tokenizer.model and tokenizer_config.json, which define the ids"));
  EXPECT_THAT(said, HasSubstr("books/forget: 1 text with '<s>' in front"));
  const Hdf5File raw = Hdf5File::open(options_.output);
  EXPECT_THAT(raw.read_attribute<std::string>("/", "tokenizer_differences"),
              HasSubstr("it says TEXT, which is '<s>' TEXT here"));
  std::filesystem::remove(folder_ / "model/tokenizer.json");
  std::filesystem::remove(options_.output);
  ASSERT_EQ(tokenize(options_), 0);
  EXPECT_FALSE(Hdf5File::open(options_.output).has_attribute("/", "tokenizer_differences"));
}

TEST_F(Tokenize, WarnsOfNamesThatAreProbablySlips) {
  const char* const text = "{\"text\": \"The old printer painted seven letters\"}\n";
  for (const char* file :
       {"books/Forget.jsonl", "books/retian.jsonl", "books/notes.JSONL", "code/forget.jsonl", "code/retain.jsonl",
        "code/forgets.txt", "tofu/forget10.jsonl", "tofu/retain90.jsonl", "tofu/evaluation.jsonl.GZ"})
    folder_.write(std::string("data/") + file, text);
  testing::internal::CaptureStderr();
  ASSERT_EQ(tokenize(options_), 0);
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_THAT(said, HasSubstr("books: no split is named forget, but one is named Forget"));
  EXPECT_THAT(said, HasSubstr("books: no split is named retain, but one is named retian"));
  EXPECT_THAT(said, HasSubstr("books/notes.JSONL: is not read; write its ending in small letters"));
  EXPECT_THAT(said, HasSubstr("tofu/evaluation.jsonl.GZ: is not read"));
  EXPECT_THAT(said, Not(HasSubstr("code: no split")));
  EXPECT_THAT(said, Not(HasSubstr("tofu: no split")));
}

TEST_F(Tokenize, CountsTextThatSplitsShareOnAnyNumberOfThreads) {
  std::string lines, more;
  for (int i = 0; i < 60; ++i) {
    std::string text;
    for (int word = 0; word < 60; ++word) text += std::to_string(7 * i + word * word) + " lanterns ";
    lines += "{\"text\": \"" + text + "\"}\n";
    more += "{\"text\": \"" + text + (i % 2 == 0 ? "" : "and an end") + "\"}\n";
  }
  folder_.write("data/books/forget.jsonl", lines);
  folder_.write("data/books/retain.jsonl", more);
  const int threads = omp_get_max_threads();
  for (const int n : {1, 3}) {
    omp_set_num_threads(n);
    std::filesystem::remove(options_.output);
    ASSERT_EQ(tokenize(options_), 0);
    const auto duplicates = TokenFile(options_.output).duplicates();
    ASSERT_TRUE(duplicates && duplicates->shared.size() >= 2);
    EXPECT_EQ(duplicates->near_threshold, 0.8);
    for (const SharedText& pair : duplicates->shared) {
      if (pair.split == pair.other) continue;
      EXPECT_EQ(pair.documents, 30u);
      EXPECT_EQ(pair.near_documents, 60u);
    }
  }
  omp_set_num_threads(threads);
  options_.near_duplicate_threshold = 0;
  std::filesystem::remove(options_.output);
  tokenize(options_);
  EXPECT_EQ(TokenFile(options_.output).duplicates()->near_threshold, 0);
}

TEST_F(Tokenize, TakesAFewTimesTheMemoryOfTheLongestDocument) {
  std::string text;
  while (text.size() < 4'300'000) text += "The old printer painted seven letters before the rain came. 1907 lanterns ";
  const std::string good = "{\"id\": 1, \"text\": \"" + text + "\"}\n";
  folder_.write("data/books/forget.jsonl", good);
  folder_.write("data/books/retain.txt", text + "\n");
  EXPECT_LT(peak_memory_of([&] { ASSERT_EQ(tokenize(options_), 0); }), 10e6 + 7 * static_cast<double>(text.size()));
}

TEST_F(Tokenize, TakesNoMoreMemoryForMoreDocuments) {
  std::string lines = "{\"text\": \"The old printer painted seven letters\"}\n";
  for (int i = 0; i < 300'000; ++i) lines += "{\"text\":\"\"}\n";
  folder_.write("data/books/forget.jsonl", lines);
  EXPECT_LT(peak_memory_of([&] { ASSERT_EQ(tokenize(options_), 0); }), 20e6);
}

TEST_F(Tokenize, NamesTheLineOfATextThatCannotBeCut) {
  std::string endless;
  while (endless.size() <= std::size_t{1} << 20) endless += "re";
  folder_.write("data/books/forget.jsonl", "{\"text\": \"The old printer\"}\n\n{\"text\": \"" + endless + "\"}\n");
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { tokenize(options_); }),
              HasSubstr("forget.jsonl, line 3: the tokenizer's model allows no cut for more than 1048576 bytes"));
  EXPECT_FALSE(std::filesystem::exists(options_.output));
}

TEST_F(Tokenize, LeavesNothingBehindAnError) {
  folder_.write("data/books/forget.jsonl", "{\"text\": \"The old printer painted seven letters\"}\n");
  folder_.write("data/books/retain.jsonl", "{\"text\": \"The old printer painted seven letters\"}\n{\"text\": 1}\n");
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { tokenize(options_); }), HasSubstr("retain.jsonl, line 2"));
  folder_.write("data/books/retain.jsonl", "\n");
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { tokenize(options_); }),
              AllOf(HasSubstr("books/retain"), HasSubstr("0 documents")));
  folder_.write("data/books/retain.jsonl", "{\"text\": \"a\"}\n");
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { tokenize(options_); }), HasSubstr("1 document, but none gives a sequence"));
  EXPECT_FALSE(std::filesystem::exists(options_.output));
  EXPECT_THAT(folder_.names(), Not(Contains(HasSubstr(".expunge-"))));
  std::filesystem::remove(folder_ / "data/books/retain.jsonl");
  folder_.write("t.h5", "precious");
  EXPECT_THAT(error_of(ExitCode::output, [&] { tokenize(options_); }), HasSubstr("exists already"));
  options_.output = folder_ / "none/t.h5";
  EXPECT_THAT(error_of(ExitCode::output, [&] { tokenize(options_); }), HasSubstr("there is no folder"));
}

TEST_F(Tokenize, AFullDisk) {
  const TinyDisk disk(400 << 10);
  if (!disk.ready()) GTEST_SKIP() << "only root can mount a small file system";
  std::string lines;
  for (int i = 0; i < 10000; ++i) lines += "{\"text\": \"The old printer painted seven letters\"}\n";
  folder_.write("data/books/forget.jsonl", lines);
  options_.output = disk.folder() / "t.h5";
  EXPECT_THAT(error_of(ExitCode::output, [&] { tokenize(options_); }), HasSubstr("No space left on device"));
  EXPECT_THAT(disk.folder().names(), ElementsAre());
}

}  // namespace
}  // namespace expunge

// Corpora: which files make a split, which documents are in them, and every kind of bad line.
#include "data/corpus.h"

#include <gmock/gmock.h>
#include <zlib.h>

#include "data/json_lines.h"
#include "io/hash.h"
#include "support/growth.h"
#include "support/memory.h"
#include "support/temporary_folder.h"

namespace expunge {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string gzip(const std::string& text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string result(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(result.data());
  stream.avail_out = static_cast<uInt>(result.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  result.resize(stream.total_out);
  deflateEnd(&stream);
  return result;
}

std::vector<std::string> documents(const std::vector<std::filesystem::path>& files, const std::string& column = "") {
  CorpusReader reader(files, column);
  std::vector<std::string> result;
  for (std::string text; reader.next(text);) result.push_back(text);
  return result;
}

class Corpus : public testing::Test {
 protected:
  /// Error of reading a file of this name and content to the end.
  std::string error(const std::string& name, const std::string& content, const std::string& column = "") const {
    const auto path = folder_.write(name, content);
    return error_of(ExitCode::bad_input, [&] { documents({path}, column); });
  }
  std::string find_error(const std::vector<std::string>& domains = {}) const {
    return error_of(ExitCode::bad_input, [&] { find_splits(folder_.path(), domains); });
  }
  TemporaryFolder folder_;
};

TEST_F(Corpus, ReadsJsonLines) {
  const auto path = folder_.write("a.jsonl",
                                  "{\"text\": \"one\\r\\n\\u00e9\\u0000\", \"content\": \"no\"}\r\n"
                                  "\n  \t\n{\"id\": 2, \"text\": \"\"}\n{\"text\": \" three\"}");
  EXPECT_THAT(documents({path}), ElementsAre(std::string("one\r\n\u00e9\0", 8), "", " three"));
  EXPECT_THAT(documents({folder_.write("b.jsonl", "{\"content\": \"x\"}\n")}), ElementsAre("x"));
  EXPECT_THAT(documents({folder_.write("c.jsonl", "{\"text\": \"x\", \"body\": \"y\"}\n")}, "body"), ElementsAre("y"));
  EXPECT_THAT(documents({folder_.write("d.jsonl", "")}), ElementsAre());
}

TEST_F(Corpus, ReadsTextLineByLine) {
  EXPECT_THAT(documents({folder_.write("a.txt", "one\n\ntwo {\r\n\r\n three ")}), ElementsAre("one", "two {", " three "));
}

TEST_F(Corpus, ReadsGzipWithSeveralMembers) {
  const std::string first = "{\"text\": \"one\"}\n{\"te", second = "xt\": \"two\"}\n";
  EXPECT_THAT(documents({folder_.write("a.jsonl.gz", gzip(first) + gzip("") + gzip(second))}), ElementsAre("one", "two"));
  std::string lines;  // more than a block, compressed and not
  for (int i = 0; i < 300000; ++i) lines += "{\"text\": \"" + std::to_string(i * 7919LL % 1000003) + "\"}\n";
  EXPECT_EQ(documents({folder_.write("b.jsonl.gz", gzip(lines))}), documents({folder_.write("b.jsonl", lines)}));
}

TEST_F(Corpus, HashesTheStoredBytes) {
  const auto a = folder_.write("a.jsonl", "{\"text\": \"one\"}\n"), b = folder_.write("b.jsonl", "\n");
  CorpusReader reader({a, b}, "");
  std::string text;
  while (reader.next(text)) {
  }
  EXPECT_EQ(reader.source_sha256(), sha256_file(folder_.write("both", slurp(a) + slurp(b))));
  const auto zipped = folder_.write("c.jsonl.gz", gzip(slurp(a)));
  CorpusReader zip_reader({zipped}, "");
  while (zip_reader.next(text)) {
  }
  EXPECT_EQ(zip_reader.source_sha256(), sha256_file(zipped));
}

TEST_F(Corpus, NamesTheBadLine) {
  const std::string good = "{\"text\": \"x\"}\n";
  EXPECT_THAT(error("a.jsonl", good + "{\"text\": \"x\"\n"), AllOf(HasSubstr("a.jsonl, line 2"), HasSubstr("not valid JSON")));
  EXPECT_THAT(error("a.jsonl", good + good + "[1]\n"), HasSubstr("line 3: expected a JSON object, found [1]"));
  EXPECT_THAT(error("a.jsonl", good + "{\"content\": \"x\", \"id\": 1}"),
              AllOf(HasSubstr("line 2"), HasSubstr("column 'text' (its columns: content, id)"), HasSubstr("--text-column")));
  EXPECT_THAT(error("a.jsonl", "{\"title\": \"x\", \"body\": \"y\"}"),
              HasSubstr("line 1: there is no text in 'text' or 'content' (its columns: body, title); name"));
  EXPECT_THAT(error("a.jsonl", good, "body"), HasSubstr("no text in column 'body' (its columns: text)"));
  EXPECT_LT(error("a.jsonl", "{\"" + std::string(1 << 20, 'k') + "\": 1}").size(), 400u);
  EXPECT_THAT(error("a.jsonl", good + "{\"text\": [\"x\"]}"),
              HasSubstr("line 2: key 'text': expected a string, found [\"x\"]"));
  EXPECT_THAT(error("a.jsonl", "{\"text\": null}"), HasSubstr("line 1: the text in column 'text' is null; remove the line"));
  EXPECT_THAT(error("a.jsonl", good + "{\"text\": null, \"content\": \"x\"}"),
              HasSubstr("line 2: the text in column 'text' is null"));
  EXPECT_THAT(error("a.jsonl", good + "{\"text\": \"x\", \"text\": \"y\"}"), HasSubstr("line 2: has \"text\" twice"));
  EXPECT_THAT(error("a.jsonl", "{\"text\": \"\\ud800\"}"), HasSubstr("line 1"));
}

TEST_F(Corpus, RefusesInvalidUtf8) {
  EXPECT_THAT(error("a.jsonl", "\n{\"text\": \"ab\xff\"}"), HasSubstr("line 2: invalid UTF-8 at byte 13"));
  EXPECT_THAT(error("a.txt", "good\nbad \xc3\n"), HasSubstr("line 2: invalid UTF-8 at byte 5"));
  EXPECT_THAT(error("a.txt", std::string(600, 'x') + "\ny" + std::string(1, '\0')), HasSubstr("line 2: a zero byte at byte 2"));
}

TEST_F(Corpus, RefusesDamagedGzip) {
  const std::string zipped = gzip("{\"text\": \"" + std::string(100000, 'x') + "\"}\n{\"text\": \"y\"}\n");
  EXPECT_THAT(error("a.jsonl.gz", zipped.substr(0, zipped.size() - 9)), HasSubstr("end too early"));
  EXPECT_THAT(error("a.jsonl.gz", zipped.substr(0, 5)), HasSubstr("end too early"));
  EXPECT_THAT(error("a.jsonl.gz", ""), HasSubstr("a.jsonl.gz: it is empty (0 bytes)"));
  std::string flipped = zipped;
  flipped[flipped.size() - 6] ^= 1;
  EXPECT_THAT(error("a.jsonl.gz", flipped), HasSubstr("gzip data are damaged"));
  EXPECT_THAT(error("a.jsonl.gz", zipped + "tail"), HasSubstr("gzip data are damaged"));
}

TEST_F(Corpus, SaysWhatAFileIsInstead) {
  const std::string page = "<!doctype html>\n<html></html>\n", wide("{\0\"\0t\0\"\0", 8);
  for (const char* name : {"a.jsonl.gz", "a.jsonl", "a.txt"}) {
    EXPECT_THAT(error(name, page), HasSubstr(std::string(name) + ": it is an HTML page")) << name;
    EXPECT_THAT(error(name, wide), HasSubstr(std::string(name) + ": it is UTF-16LE text")) << name;
    EXPECT_THAT(error(name, "\x28\xb5\x2f\xfd rest"), HasSubstr("zstd")) << name;
  }
  EXPECT_THAT(error("a.txt", "%PDF-1.7\n"), HasSubstr("it is a PDF"));
  EXPECT_THAT(error("a.jsonl.gz", "{\"text\": \"not compressed\"}"),
              HasSubstr("a.jsonl.gz: its name ends in .gz but it is not compressed by gzip"));
  EXPECT_THAT(error("a.jsonl.gz", gzip(page)), HasSubstr("a.jsonl.gz, decompressed: it is an HTML page"));
}

TEST_F(Corpus, RefusesEndlessLines) {
  // The line is read from a compressed file: a few hundred kilobytes that would grow without bound.
  EXPECT_THAT(error("a.txt.gz", gzip(std::string(CorpusReader::kMaxLine + 1, 'x'))),
              HasSubstr("line 1: the line is longer than"));
}

TEST_F(Corpus, ReadsLinesInLinearTime) {
  const auto path = [&](std::size_t size, const std::string& text) {
    return folder_.write(std::to_string(size) + "-" + std::to_string(text.size()) + ".jsonl", text);
  };
  const auto read = [](const std::filesystem::path& file) { documents({file}); };
  const auto read_objects = [](const std::filesystem::path& file) { EXPECT_FALSE(read_json_lines(file).objects.empty()); };
  // One line of many objects, and many short lines.
  const auto one_line = [&](std::size_t size) {
    std::string text = "{\"text\": \"x\", \"annotations\": [{}";
    for (std::size_t i = 0; i < size; ++i) text += ", {\"id\": " + std::to_string(i) + "}";
    return path(size, text + "]}\n");
  };
  const auto many_lines = [&](std::size_t size) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i) text += "{\"text\": \"\"}\n";
    return path(size, text);
  };
  expect_linear_time(10'000, one_line, read);
  expect_linear_time(10'000, one_line, read_objects);
  expect_linear_time(10'000, many_lines, read);
}

TEST_F(Corpus, PassesOverOtherColumns) {
  std::string other = "{\"b\": [{\"text\": \"no\"}], \"values\": [[]";
  for (int i = 0; i < 1'000'000; ++i) other += ",[]";
  const auto file = folder_.write("a.jsonl", other + "], \"text\": \"yes\"}\n");
  std::vector<std::string> found;
  EXPECT_LT(peak_memory_of([&] { found = documents({file}); }), 25e6);
  EXPECT_THAT(found, ElementsAre("yes"));
}

TEST_F(Corpus, FindsSplits) {
  folder_.write("books/forget.jsonl", "");
  folder_.write("books/retain-00001-of-00002.jsonl.gz", "");
  folder_.write("books/retain-00000-of-00002.jsonl.gz", "");
  folder_.write("books/retain-00000-of-00001.parquet", "");  // what the others were made of
  folder_.write("books/README.md", "");
  folder_.write("books/.hidden.jsonl", "");
  folder_.write("code/a-b.txt", "");
  folder_.write("empty/notes", "");
  folder_.write("dataset.jsonl", "");
  const auto splits = find_splits(folder_.path(), {});
  ASSERT_EQ(splits.size(), 3u);
  EXPECT_EQ(splits[0].domain + "/" + splits[0].split, "books/forget");
  EXPECT_EQ(splits[1].domain + "/" + splits[1].split, "books/retain");
  EXPECT_THAT(splits[1].files,
              ElementsAre(folder_ / "books/retain-00000-of-00002.jsonl.gz", folder_ / "books/retain-00001-of-00002.jsonl.gz"));
  EXPECT_EQ(splits[2].domain + "/" + splits[2].split, "code/a-b");
  folder_.write("mixed/x-00001-of-00003.jsonl.gz", gzip("{\"text\": \"two\"}\n"));
  folder_.write("mixed/x-00000-of-00003.jsonl", "{\"text\": \"one\"}\n");
  folder_.write("mixed/x-00002-of-00003.txt", "three\n");
  EXPECT_THAT(documents(find_splits(folder_.path(), {"mixed"})[0].files), ElementsAre("one", "two", "three"));
  EXPECT_EQ(find_splits(folder_.path(), {"code"}).size(), 1u);
  EXPECT_THAT(find_error({"code", "empty"}), AllOf(HasSubstr("empty"), HasSubstr("holds no .jsonl")));
  EXPECT_THAT(find_error({"none"}), AllOf(HasSubstr("none"), HasSubstr("No such file")));
}

TEST_F(Corpus, RefusesUnclearSplits) {
  EXPECT_THAT(find_error(), HasSubstr("holds no folder (a domain)"));
  folder_.write("a/forget.jsonl", "");
  folder_.write("a/forget.txt", "");
  EXPECT_THAT(find_error(), AllOf(HasSubstr("a/forget"), HasSubstr("twice, as forget.jsonl and as forget.txt")));
  std::filesystem::remove(folder_ / "a/forget.txt");
  folder_.write("a/forget-00000-of-00001.jsonl", "");
  EXPECT_THAT(find_error(), HasSubstr("the split exists twice, as forget-00000-of-00001.jsonl and as forget.jsonl"));
  std::filesystem::remove_all(folder_ / "a");
  folder_.write("b/x-00000-of-00003.jsonl", "");
  folder_.write("b/x-00002-of-00003.jsonl", "");
  EXPECT_THAT(find_error(), HasSubstr("shard 00001 of 00003 is missing"));
  std::filesystem::remove(folder_ / "b/x-00002-of-00003.jsonl");
  EXPECT_THAT(find_error(), HasSubstr("shard 00001 of 00003 is missing"));
  folder_.write("b/x-00000-of-00003.jsonl.gz", "");
  EXPECT_THAT(find_error(),
              HasSubstr("b/x: the shard exists twice, as x-00000-of-00003.jsonl and as x-00000-of-00003.jsonl.gz"));
  std::filesystem::remove_all(folder_ / "b");
  folder_.write("c/x-00000-of-00001.parquet", "");
  EXPECT_THAT(find_error(), AllOf(HasSubstr("split 'x' is in Parquet"), HasSubstr("data/parquet_to_jsonl.py")));
}

}  // namespace
}  // namespace expunge

// Long texts: their ids are those that the library gives for the whole, and take time and memory that their length bounds.
#include <gmock/gmock.h>

#include <memory>
#include <random>

#include "data/piece_encoder.h"
#include "data/tokenizer.h"
#include "support/growth.h"
#include "support/temporary_folder.h"

namespace expunge {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const std::filesystem::path kModels = std::filesystem::path(EXPUNGE_FIXTURES) / "tokenizer";
constexpr const char* kAllModels[] = {"bytes", "unknowns", "rules_bpe", "rules_unigram"};

std::string model_bytes(const std::string& name) { return slurp(kModels / (name + ".model")); }

std::string utf8(char32_t c) {
  const auto byte = [](char32_t value) { return static_cast<char>(value); };
  if (c < 0x80) return {byte(c)};
  if (c < 0x800) return {byte(0xc0 | c >> 6), byte(0x80 | (c & 63))};
  if (c < 0x10000) return {byte(0xe0 | c >> 12), byte(0x80 | (c >> 6 & 63)), byte(0x80 | (c & 63))};
  return {byte(0xf0 | c >> 18), byte(0x80 | (c >> 12 & 63)), byte(0x80 | (c >> 6 & 63)), byte(0x80 | (c & 63))};
}

/// Text of every sort that cuts may go wrong in: words, runs of spaces and of one letter, scripts without spaces, unknown
/// characters, and what rules of normalisation and user-defined pieces are about.
class RandomText {
 public:
  explicit RandomText(unsigned seed) : random_(seed) {}

  std::string operator()(std::size_t size) {
    std::string text;
    while (text.size() < size) text += part();
    return text;
  }

 private:
  std::size_t below(std::size_t n) { return random_() % n; }
  std::string repeat(std::size_t most, const std::function<std::string()>& one) {
    std::string text;
    for (std::size_t n = below(most); n > 0; --n) text += one();
    return text;
  }
  std::string part() {
    static const std::vector<std::string> kWords = {
        "The ",     "gardener ", "forgot ", "the blue lantern ", "in the morning.", "seven ",
        "letters ", "before ",   "1907",    "umbrella\n",        "the map of",      " clock"};
    static const std::vector<std::string> kAwkward = {"<|x|>", "the map", "\u2581", "\u2581\u2581", "e\u0301\u0302", "e\u0301",
                                                      "...",   "....",    "\u200b", "\ufb01",       "\u2460",        "<0x0A>"};
    switch (below(12)) {
      case 0:
        return std::string(below(40), ' ');
      case 1:
        return std::string(below(6), "\t\n\r "[below(4)]);
      case 2:
        return std::string(below(60), "et<."[below(4)]);
      case 3:
        return repeat(30, [&] { return utf8(char32_t(0x4e00 + below(0x5000))); });
      case 4:
        return repeat(30, [&] { return utf8(char32_t(0x3040 + below(0xc0))); });
      case 5:
        return repeat(10, [&] { return utf8(char32_t('a' + below(26))) + utf8(char32_t(0x300 + below(4))); });
      case 6:
        return repeat(12, [&] { return utf8(char32_t(0x1f300 + below(0x300))); });
      case 7:
        return kAwkward[below(kAwkward.size())];
      default:
        return repeat(20, [&] { return kWords[below(kWords.size())]; });
    }
  }
  std::mt19937 random_;
};

std::vector<int> whole_ids(const sentencepiece::SentencePieceProcessor& model, const std::string& text) {
  std::vector<int> ids;
  EXPECT_TRUE(model.Encode(text, &ids).ok());
  return ids;
}

std::vector<int> ids_of(const PieceEncoder& encoder, const std::string& text) {
  std::vector<int> ids;
  encoder.encode("", 0, text, "text", [&](int id, const std::string&) { ids.push_back(id); });
  return ids;
}

TEST(LongText, HasTheIdsOfTheWhole) {
  const std::string no_prefix("\x1a\x02\x18\x00", 4);  // a normalizer_spec {add_dummy_prefix: false}
  for (const char* name : kAllModels)
    for (const std::string& more : {std::string(), no_prefix})
      for (const std::size_t stretch : {std::size_t{64}, PieceEncoder::kStretch}) {
        PieceEncoder encoder(model_bytes(name) + more, name);
        encoder.allow_cuts(0, stretch);
        RandomText random(7);
        for (int i = 0; i < 4; ++i) {
          const std::string text = random(stretch == 64 ? 8'000 : 60'000);
          ASSERT_EQ(ids_of(encoder, text), whole_ids(encoder.model(), text)) << name << ", text " << i << ", " << more.size();
        }
      }
}

/// In a text of this length the library's sums of scores have no digits left behind the point.
TEST(LongText, RoundsAsTheLibraryDoes) {
  PieceEncoder encoder(model_bytes("unknowns"), "unknowns");
  encoder.allow_cuts(0);
  const std::string text = RandomText(1)(1'500'000);
  EXPECT_TRUE(ids_of(encoder, text) == whole_ids(encoder.model(), text));
}

TEST(LongText, FindsCuts) {
  const std::string text = "after seven";
  for (const char* name : kAllModels) {
    const std::string bytes = model_bytes(name);
    const SafeCuts cuts(read_piece_model(bytes), 0);
    EXPECT_EQ(cuts.find(text, 4, 6), 5u) << name;  // before the space, and not within "er"
    EXPECT_EQ(cuts.find(text, 6, 7), std::nullopt) << name;
  }
  const std::string bytes = model_bytes("rules_bpe");
  const SafeCuts cuts(read_piece_model(bytes), 0);
  EXPECT_EQ(cuts.find("re\u0301 x", 2, 5), std::nullopt);  // a rule replaces e and the accent
  EXPECT_EQ(cuts.find("r\t\tx", 1, 4), std::nullopt);      // and tabs by spaces
  EXPECT_EQ(cuts.find("the map", 3, 4), std::nullopt);     // a piece that a user has defined
}

TEST(LongText, TokenizersAgreeWithTheWhole) {
  const TemporaryFolder folder;
  folder.write("tokenizer.model", model_bytes("bytes"));
  PieceEncoder whole(model_bytes("bytes"), "bytes");
  const std::string first = RandomText(2)(60'000), second = RandomText(3)(60'000);
  std::vector<std::int32_t> expected = {1};
  for (const int id : whole_ids(whole.model(), first)) expected.push_back(id);
  expected.push_back(2);
  for (const int id : whole_ids(whole.model(), second)) expected.push_back(id);
  EXPECT_TRUE(Tokenizer(folder.path()).encode(first + "</s>" + second) == expected);

  // Without legacy, "<unk>" and a space stand before the text, and the ids of "<unk>" are left out.
  folder.write("tokenizer_config.json", R"({"legacy": false})");
  PieceEncoder bare(model_bytes("bytes") + std::string("\x1a\x02\x18\x00", 4), "bytes");
  std::string plain = first;
  for (std::size_t at = 0; (at = plain.find("\u2581", at)) != std::string::npos;) plain.replace(at, 3, " ");
  const std::vector<int> behind = whole_ids(bare.model(), "<unk>\u2581" + plain);
  expected = {1};
  expected.insert(expected.end(), behind.begin() + std::ptrdiff_t(bare.count("<unk>")), behind.end());
  EXPECT_TRUE(Tokenizer(folder.path()).encode(first) == expected);
}

TEST(LongText, WithoutACutIsRefused) {
  const TemporaryFolder folder;
  folder.write("tokenizer.model", model_bytes("bytes"));
  const Tokenizer tokenizer(folder.path());
  std::string endless;  // "re" and "er" are pieces
  while (endless.size() < PieceEncoder::kLongestStretch) endless += "re";
  EXPECT_GT(tokenizer.encode(endless).size(), endless.size() / 4);
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { tokenizer.encode(endless + "r", "a.jsonl, line 7"); }),
              AllOf(HasSubstr("a.jsonl, line 7: the tokenizer's model allows no cut for more than 1048576 bytes"),
                    HasSubstr("from 'rere")));
}

TEST(LongText, OfUnknownCharactersTakesLinearTime) {
  PieceEncoder encoder(model_bytes("unknowns"), "unknowns");
  encoder.allow_cuts(0);
  const auto make = [](std::size_t size) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i) text += utf8(char32_t(0x4e00 + i % 0x5000));
    return text;
  };
  expect_linear_time(15'000, make, [&](const std::string& text) { EXPECT_EQ(ids_of(encoder, text).size(), 2u); });
}

/// The time does not grow with the number of added tokens that begin alike.
TEST(LongText, BetweenManyAddedTokensTakesLinearTime) {
  struct Case {
    std::unique_ptr<Tokenizer> tokenizer;
    std::string text;
  };
  const auto make = [](std::size_t size) {
    const TemporaryFolder folder;
    folder.write("tokenizer.model", model_bytes("bytes"));
    std::string tokens, text;
    for (std::size_t i = 0; i < size; ++i) {
      tokens += (i > 0 ? ", \"<tok" : "\"<tok") + std::to_string(i) + ">\": " + std::to_string(1000 + i);
      text += "<tok " + std::to_string(i) + "<tok";
    }
    folder.write("added_tokens.json", "{" + tokens + "}");
    return Case{std::make_unique<Tokenizer>(folder.path()), text};
  };
  expect_linear_time(3'000, make, [](const Case& c) { c.tokenizer->encode(c.text); });
}

TEST(LongText, AddedTokensHaveALimit) {
  const TemporaryFolder folder;
  folder.write("tokenizer.model", model_bytes("bytes"));
  folder.write("added_tokens.json", "{\"" + std::string(1025, 'x') + "\": 1000}");
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { Tokenizer{folder.path()}; }),
              HasSubstr("xxx...' has 1025 bytes; expected at most 1024"));
}

}  // namespace
}  // namespace expunge

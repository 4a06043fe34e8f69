// The tokenizer against ids that transformers gave (tests/fixtures/make_tokenizer_fixture.py), and folders it must refuse.
#include "expunge/data/tokenizer.h"

#include <gmock/gmock.h>

#include <atomic>

#include "expunge/io/json.h"
#include "support/temporary_folder.h"

namespace expunge {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

const std::filesystem::path kFixture = std::filesystem::path(EXPUNGE_FIXTURES) / "tokenizer";

/// A tokenizer folder: a fixture's model and JSON files given as {"tokenizer_config": {...}, ...}.
void fill_folder(const TemporaryFolder& folder, const std::string& model, const json& files) {
  folder.write("tokenizer.model", slurp(kFixture / (model + ".model")));
  for (const auto& [name, content] : files.items()) folder.write(name + ".json", content.dump());
}

Tokenizer load(const std::string& model, const json& files) {
  const TemporaryFolder folder;
  fill_folder(folder, model, files);
  return Tokenizer(folder.path());
}

std::string refusal(const json& files) {
  return error_of(ExitCode::bad_input, [&] { load("bytes", files); });
}

TEST(Tokenizer, IdsEqualThoseOfTransformers) {
  const json fixture = parse_json_file(kFixture / "cases.json", 1 << 20);
  for (const json& c : fixture["cases"]) {
    const Tokenizer tokenizer = load(c["model"], c["files"]);
    for (std::size_t i = 0; i < fixture["texts"].size(); ++i) {
      EXPECT_EQ(tokenizer.encode(fixture["texts"][i].get<std::string>()), c["ids"][i].get<std::vector<std::int32_t>>())
          << c["model"] << ", " << c["name"] << ": " << fixture["texts"][i];
    }
  }
}

TEST(Tokenizer, KnowsItsVocabulary) {
  const Tokenizer plain = load("bytes", {});
  EXPECT_EQ(plain.vocabulary_size(), 380);
  EXPECT_EQ(plain.bos_id(), 1);
  EXPECT_EQ(plain.eos_id(), 2);
  EXPECT_EQ(plain.piece(1), "<s>");
  EXPECT_EQ(plain.piece(-1), "");
  EXPECT_EQ(plain.piece(380), "");
  EXPECT_EQ(plain.id("</s>"), 2);
  EXPECT_EQ(plain.id("no such piece"), std::nullopt);
  EXPECT_EQ(plain.id(plain.piece(300)), 300);

  const json token = {{"content", "<far>"}};
  const Tokenizer more =
      load("bytes", {{"tokenizer_config", {{"added_tokens_decoder", {{"400", token}}}, {"pad_token", "<pad>"}}}});
  EXPECT_EQ(more.id("<far>"), 400);
  EXPECT_EQ(more.id("<pad>"), 381);  // behind the 381 names there are, as transformers counts
  EXPECT_EQ(more.piece(390), "");
  EXPECT_EQ(more.vocabulary_size(), 401);
}

TEST(Tokenizer, Decodes) {
  const Tokenizer tokenizer = load("bytes", {});
  const std::string text = "The clock\n  é 😀 ran";
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), "<s>" + text);
  EXPECT_EQ(tokenizer.decode({}), "");
  const std::vector<std::int32_t> outside = {380};
  EXPECT_THAT(error_of(ExitCode::usage, [&] { tokenizer.decode(outside); }), HasSubstr("380 is outside"));
}

TEST(Tokenizer, SeveralThreadsAtOnce) {
  const Tokenizer tokenizer = load("bytes", {});
  const std::string text = "The old printer remembered</s> the blue lantern\nafter 1907?";
  const auto expected = tokenizer.encode(text);
  std::atomic<int> wrong = 0;
#pragma omp parallel for num_threads(4)
  for (int i = 0; i < 400; ++i) wrong += tokenizer.encode(text) != expected;
  EXPECT_EQ(wrong, 0);
}

TEST(Tokenizer, HashFollowsModelAndRule) {
  const auto with = [](const json& config) { return load("bytes", {{"tokenizer_config", config}}).hash(); };
  const std::string plain = with(json::object());
  EXPECT_EQ(plain.size(), 64u);
  EXPECT_EQ(plain, with({{"chat_template", "anything"}, {"legacy", true}, {"bos_token", "<s>"}}));
  EXPECT_NE(plain, with({{"legacy", false}}));
  EXPECT_NE(plain, with({{"add_bos_token", false}}));
  EXPECT_NE(plain, with({{"pad_token", "[PAD]"}}));
  EXPECT_NE(plain, load("unknowns", {}).hash());
}

TEST(Tokenizer, NeedsASentencepieceModel) {
  const TemporaryFolder folder;
  const auto message = [&] { return error_of(ExitCode::bad_input, [&] { Tokenizer{folder.path()}; }); };
  EXPECT_THAT(message(), HasSubstr("has no tokenizer.model: a sentencepiece model is needed"));
  folder.write("tokenizer.json", "{}");
  EXPECT_THAT(message(), HasSubstr("only a tokenizer.json"));
  const std::string model = slurp(kFixture / "bytes.model");
  for (const std::string& broken : {std::string(), std::string("text"), model.substr(0, model.size() / 2), model.substr(10)}) {
    folder.write("tokenizer.model", broken);
    EXPECT_THAT(message(), HasSubstr("tokenizer.model is not a sentencepiece model"));
  }
}

TEST(Tokenizer, RefusesWhatItCannotFollow) {
  const auto config = [](const json& value) { return refusal({{"tokenizer_config", value}}); };
  EXPECT_THAT(config({{"tokenizer_class", "T5Tokenizer"}}), HasSubstr("tokenizer_class 'T5Tokenizer' is not supported"));
  EXPECT_THAT(config({{"sp_model_kwargs", {{"enable_sampling", true}}}}), HasSubstr("sp_model_kwargs"));
  EXPECT_THAT(config({{"legacy", "yes"}}), HasSubstr("key 'legacy': expected true or false, found \"yes\""));
  EXPECT_THAT(config({{"bos_token", 1}}), HasSubstr("bos_token"));
  EXPECT_THAT(config({{"bos_token", nullptr}}), HasSubstr("add_bos_token without a bos_token"));
  EXPECT_THAT(config({{"bos_token", ""}}), HasSubstr("add_bos_token without a bos_token"));
  EXPECT_THAT(config({{"legacy", false}, {"unk_token", nullptr}}), HasSubstr("needs an unk_token"));
  EXPECT_THAT(config({{"added_tokens_decoder", {{"x1", {{"content", "a"}}}}}}), HasSubstr("expected an id from 0"));
  EXPECT_THAT(config({{"added_tokens_decoder", {{"99999999999999999999", {{"content", "a"}}}}}}), HasSubstr("expected an id"));
  EXPECT_THAT(config({{"added_tokens_decoder", {{"400", {{"text", "a"}}}}}}), HasSubstr("key 'content' is missing"));
  EXPECT_THAT(config({{"added_tokens_decoder", {{"381", {{"content", "a b"}}}}}, {"pad_token", "[PAD]"}}),
              HasSubstr("'[PAD]' would get id 381, which 'a b' has"));
  EXPECT_THAT(refusal({{"added_tokens", {{"a", 400}, {"b", 400}}}}), HasSubstr("id 400 is given to both 'a' and 'b'"));
  EXPECT_THAT(refusal({{"added_tokens", {{"a", -1}}}}), AllOf(HasSubstr("added_tokens.json"), HasSubstr("key 'a'")));
  EXPECT_THAT(refusal({{"tokenizer_config", json::array()}}), HasSubstr("expected a JSON object"));
}

}  // namespace
}  // namespace expunge
